"""Parquet and Arrow: a document a row. Alone in importing pyarrow."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from ...errors import InputError, MalformedRecord
from .document import BadRecord, Content, Document, Input, missing
from .encodings import held_as_utf8, noted_once
from .fields import Field, json_able, unique

_ROWS = 1024  # held at once
_VIEWS = ("is_list_view", "is_large_list_view")  # newer than the oldest pyarrow
_NAMES = {"parquet": "Parquet", "arrow": "Arrow"}


def table(
    file: Input, kind: str, handle: BinaryIO | None, chunks: Iterator[bytes], n_bytes: int
) -> Iterator[Document]:
    """The rows of a Parquet or Arrow file: of its `handle`, or of `chunks`.

    A table is read from its end, so `chunks` are first written to a temporary file. `n_bytes`, its
    size, is told to `on_bytes` in proportion to the rows.
    """
    try:
        import pyarrow  # noqa: F401 - before anything is written
    except ImportError as error:
        raise missing(file.path, "pyarrow", "parquet") from error
    if handle is not None:
        yield from _rows(file, kind, handle, n_bytes)
        return
    with tempfile.TemporaryFile() as written:
        for chunk in chunks:
            written.write(chunk)
        written.seek(0)
        yield from _rows(file, kind, written, n_bytes)


def _rows(file: Input, kind: str, source: Any, n_bytes: int) -> Iterator[Document]:
    file = noted_once(file)
    try:
        n_rows, batches = _parquet(source) if kind == "parquet" else _arrow(source)
        done = n_read = 0
        for rows in _small(batches):
            yield from batch_rows(file, rows, done + 1)
            done += rows.num_rows
            before, n_read = n_read, n_bytes * done // n_rows if n_rows else 0
            file.on_bytes(n_read - before)
        file.on_bytes(n_bytes - n_read)
    except _broken() as error:
        reason = str(error) or "a length in it is beyond all memory"
        raise MalformedRecord(f"{file.path}: not a sound {_NAMES[kind]} file: {reason}") from error


def _broken() -> tuple[type[Exception], ...]:
    """What pyarrow raises for a damaged file."""
    import pyarrow as pa

    return pa.ArrowException, OSError, ValueError, TypeError, KeyError, OverflowError, MemoryError


def _parquet(source: Any) -> tuple[int, Iterator[Any]]:
    import pyarrow.parquet

    parquet = pyarrow.parquet.ParquetFile(source, page_checksum_verification=True)
    return parquet.metadata.num_rows, parquet.iter_batches(batch_size=_ROWS)


def _arrow(source: Any) -> tuple[int, Iterator[Any]]:
    """Either form of Arrow: with a footer, as Feather has it, or a stream, as `datasets` saves."""
    import pyarrow as pa

    is_file = bytes(source.read(6)) == b"ARROW1"
    source.seek(0)
    if not is_file:
        return 0, _proved(pa.ipc.open_stream(source))
    reader = pa.ipc.open_file(source)
    return 0, _proved(reader.get_batch(i) for i in range(reader.num_record_batches))


def _proved(batches: Iterable[Any]) -> Iterator[Any]:
    """Batches that were mapped as they lie: damaged offsets would lead out of them."""
    for batch in batches:
        batch.validate(full=True)
        yield batch


def _small(batches: Iterable[Any]) -> Iterator[Any]:
    for batch in batches:
        yield from (batch.slice(at, _ROWS) for at in range(0, batch.num_rows, _ROWS))


def batch_rows(file: Input, batch: Any, first: int) -> Iterator[Document]:
    """The rows of a batch as documents; `first` is the number of the first one."""
    field = Field(file.options.text_field)
    names = batch.schema.names
    if field.name not in names and not (field.is_path and field.root in names):
        raise MalformedRecord(
            f"{file.path}: no column {field.name!r}, only {', '.join(map(repr, names)) or 'none'}; "
            "name the column (--text-field)"
        )
    name = field.name if field.name in names else field.root
    if names.count(name) > 1:
        raise MalformedRecord(
            f"{file.path}: {names.count(name)} columns are called {name!r}; give the one with the "
            "text a name of its own"
        )
    at = names.index(name)
    columns = {label: _values(batch.column(i)) for i, label in enumerate(unique(names)) if i != at}
    column = _plain(batch.column(at))
    is_whole = name == field.name
    is_bytes = is_whole and _is_binary(column.type)
    contents: Iterator[Any] = _contents(file.path, column) if is_whole else iter(_values(column))
    for number, content in enumerate(contents):
        line = first + number
        metadata = {label: values[number] for label, values in columns.items()}
        if content is None:
            file.bad(f"{file.path}:{line}: the column {name!r} is null")
            continue
        record = {} if is_whole else {name: content}
        try:
            if not is_whole:
                content = field.take(record)
            elif is_bytes:
                content = held_as_utf8(file, content)
        except BadRecord as error:
            file.bad(f"{file.path}:{line}: {error}")
            continue
        metadata.update(record)
        yield Document(content, file.path, line, metadata)


def _contents(path: str, column: Any) -> Iterator[Content | None]:
    """Text or token ids of a pyarrow column, None where a row, or an id in it, is null."""
    import pyarrow as pa

    column = _plain(column)
    kind = column.type
    is_text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    is_list = (
        pa.types.is_list,
        pa.types.is_large_list,
        pa.types.is_fixed_size_list,
        *(getattr(pa.types, name) for name in _VIEWS if hasattr(pa.types, name)),
    )
    if any(is_kind(kind) for is_kind in is_text):
        yield from column.cast(pa.large_binary()).to_pylist()
    elif _is_binary(kind):
        yield from column.to_pylist()
    elif any(is_kind(kind) for is_kind in is_list) and pa.types.is_integer(kind.value_type):
        for row in column:
            sound = row.is_valid and not row.values.null_count
            yield row.values.to_numpy(zero_copy_only=False) if sound else None
    elif pa.types.is_null(kind):
        yield from [None] * len(column)
    else:
        raise MalformedRecord(
            f"{path}: the text must be strings, bytes or lists of integers, found {kind}; "
            "--text-field names another column, or a path into one, such as 'text[]'"
        )


def _is_binary(kind: Any) -> bool:
    import pyarrow as pa

    kinds = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return pa.types.is_fixed_size_binary(kind) or any(is_kind(kind) for is_kind in kinds)


def _plain(column: Any) -> Any:
    """A column without what only compresses or names it."""
    import pyarrow as pa

    while isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_run_end_encoded(column.type):
        column = pa.compute.run_end_decode(column)
    return column


def _values(column: Any) -> list[object]:
    """What a column holds as JSON has it, of any type."""
    import pyarrow.compute  # noqa: F401 - what _plain decodes runs with

    return [_value(scalar) for scalar in _plain(column)]


def _value(scalar: Any) -> object:
    """One value. Not by pyarrow alone, which has none for some types unless pandas is there."""
    import pyarrow as pa

    if not scalar.is_valid:
        return None
    kind = scalar.type
    if isinstance(scalar, pa.ExtensionScalar | pa.DictionaryScalar | pa.RunEndEncodedScalar):
        inner = scalar.value
        return _value(inner) if isinstance(inner, pa.Scalar) else json_able(inner)
    if pa.types.is_struct(kind):
        names = unique([kind.field(i).name for i in range(kind.num_fields)])
        return {name: _value(scalar[i]) for i, name in enumerate(names)}
    if pa.types.is_map(kind):
        return {str(_value(key)): _value(item) for key, item in _pairs(scalar)}
    if hasattr(scalar, "values"):
        return [_value(item) for item in scalar.values]
    if getattr(kind, "unit", None) == "ns":  # pyarrow needs pandas for it
        return _nanoseconds(scalar)
    try:
        return json_able(scalar.as_py())
    except (ValueError, TypeError, OverflowError, ImportError, pa.ArrowException):
        return str(getattr(scalar, "value", scalar))


def _pairs(scalar: Any) -> Iterator[tuple[Any, Any]]:
    for pair in scalar.values:
        yield pair[0], pair[1]


def _nanoseconds(scalar: Any) -> str:
    import pyarrow as pa

    try:
        if pa.types.is_duration(scalar.type):
            return f"{scalar.value} ns"
        return str(scalar.cast(pa.string()).as_py())
    except pa.ArrowException:  # as where no names of time zones are known
        return str(scalar.value)


def is_table(value: object) -> bool:
    """Whether a value is a table of pyarrow, a part of one, or what gives its parts."""
    parts = ("to_batches", "iter_batches", "read_next_batch")
    is_batch = hasattr(value, "schema") and hasattr(value, "num_rows")
    return is_batch or any(callable(getattr(value, name, None)) for name in parts)


def batches_of(table: Any) -> Iterator[Any]:
    """The batches of a table in memory, of a part, a reader or a file of one. Raises InputError.

    >>> import pyarrow
    >>> [batch.num_rows for batch in batches_of(pyarrow.table({"text": ["a", "b"]}))]
    [2]
    """
    import pyarrow as pa

    for name in ("to_batches", "iter_batches"):
        if hasattr(table, name):
            batches = getattr(table, name)
            break
    else:
        batches = table.__iter__ if hasattr(table, "read_next_batch") else [table].__iter__
    try:
        yield from _small(batches())
    except (pa.ArrowException, TypeError, ValueError, OSError) as error:
        raise InputError(f"memory: a table that cannot be read: {error}") from error
