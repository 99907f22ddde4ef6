"""Text that never was a file: strings, records, token ids, tables of other libraries.

Also what a caller means, paths or texts: a `Path` is a path, and so is a string that exists as one.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from .arrays import array_documents
from .document import BadRecord, Document, Input
from .fields import Field, content_of, json_able
from .tables import batch_rows, batches_of

SOURCE = "memory"
_LIKE_A_PATH = re.compile(r"\S*(?:[/\\]\S*|\w\.[A-Za-z0-9]{1,8})")
_MAX_PATH = 4096


@dataclass(frozen=True)
class Stream:
    """An open file, of text or of bytes, read as bytes."""

    handle: BinaryIO
    name: str


def paths_in(inputs: object) -> list[str] | None:
    """The paths that the caller means, or None if they are texts, records or token ids.

    Raises InputError where both can be meant.

    >>> paths_in(["to be", "or not"]), paths_in(["README.md"])
    (None, ['README.md'])
    """
    if isinstance(inputs, os.PathLike):
        return [os.fspath(inputs)]
    if isinstance(inputs, bytes):
        raise InputError("inputs are bytes, expected paths or texts: give texts in a list")
    if isinstance(inputs, str):
        if not _exists(inputs):
            raise InputError(
                f"{inputs[:200]!r}: no such file or folder. If it is a path, check it; if it is "
                "the text itself, give it in a list: [text]"
            )
        return [inputs]
    if not isinstance(inputs, list | tuple):
        return None
    if any(isinstance(each, os.PathLike) for each in inputs):
        others = [each for each in inputs if not isinstance(each, str | os.PathLike)]
        if others:
            raise InputError(
                f"inputs are paths and {type(others[0]).__name__}: build from one or the other"
            )
        return [os.fspath(each) for each in inputs]
    if not inputs:
        return []
    if not all(isinstance(each, str) for each in inputs):
        return None
    like = [each for each in inputs if _is_like_a_path(each)]
    there = [each for each in like if _exists(each)]
    if len(there) == len(inputs):
        return list(inputs)
    if there or len(like) == len(inputs):
        lost = next(each for each in inputs if each not in there)
        raise InputError(
            f"{lost[:200]!r}: no such file or folder"
            + (f", and {there[0]!r} is one" if there else "")
            + ". If these are paths, check them; if they are texts, give iter(texts)"
        )
    return None


def _is_like_a_path(text: str) -> bool:
    return text == "-" or (
        0 < len(text) < _MAX_PATH
        and "\n" not in text
        and (_LIKE_A_PATH.fullmatch(text) is not None or _exists(text))
    )


def _exists(path: str) -> bool:
    try:
        return path == "-" or os.path.lexists(path)
    except (OSError, ValueError):
        return False


def stream_of(inputs: object) -> Stream | None:
    """`inputs` as a stream of bytes, if it is an open file."""
    if not callable(getattr(inputs, "read", None)):
        return None
    name = getattr(inputs, "name", None)
    is_text = isinstance(inputs, io.TextIOBase) or not isinstance(
        inputs, io.RawIOBase | io.BufferedIOBase
    )
    handle: Any = _Encoded(inputs) if is_text else inputs
    return Stream(handle, name if isinstance(name, str) else SOURCE)


class _Encoded:
    """A file of text as one of bytes."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def read(self, n: int) -> bytes:
        text = self._handle.read(n)
        return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else bytes(text)


def documents_in(inputs: Any, file: Input) -> Iterator[Document]:
    """The documents of an iterable of strings, of records or of token ids, or of a table.

    It is read once, and one item is held at a time. Raises InputError for what is none of these.
    """
    if isinstance(inputs, Mapping):
        keys = ", ".join(map(repr, list(inputs)[:5]))
        raise InputError(f"memory: found a mapping with {keys}; give one of its values")
    if isinstance(inputs, np.ndarray) and inputs.dtype.kind in "iu" and inputs.ndim in (1, 2):
        yield from array_documents(inputs, SOURCE, file.options.separator)
        return
    if callable(getattr(inputs, "to_batches", None)):
        first = 1
        for batch in batches_of(inputs):
            yield from batch_rows(file, batch, first)
            first += batch.num_rows
        return
    try:
        items = iter(_rows(inputs))
    except TypeError as error:
        raise InputError(
            f"inputs are {type(inputs).__name__}, expected a path, or texts, records or token ids "
            "to iterate over"
        ) from error
    field = Field(file.options.text_field)
    number = 0
    for number, item in enumerate(items, 1):
        try:
            yield from _item(item, number, field, file)
        except BadRecord as error:
            file.bad(f"{SOURCE}:{number}: {error}")


def _rows(inputs: Any) -> Iterable[Any]:
    """What to iterate over: the rows of a data frame, whose iterator gives names of columns."""
    if callable(getattr(inputs, "itertuples", None)):  # pandas
        names = [str(name) for name in inputs.columns]
        rows = inputs.itertuples(index=False, name=None)
        return (dict(zip(names, row, strict=True)) for row in rows)
    if callable(getattr(inputs, "iter_rows", None)):  # polars
        named: Iterable[Any] = inputs.iter_rows(named=True)
        return named
    return inputs  # type: ignore[no-any-return]


def _item(item: object, number: int, field: Field, file: Input) -> Iterator[Document]:
    if isinstance(item, Mapping):
        record = dict(item)
        content = field.take(record)
        metadata = {str(key): json_able(value) for key, value in record.items()}
        yield Document(content, SOURCE, number, metadata)
        return
    if isinstance(item, os.PathLike):
        raise BadRecord("found a path among texts: give paths in a list")
    if callable(getattr(item, "as_py", None)):  # of pyarrow
        item = item.as_py()  # type: ignore[attr-defined]
    if isinstance(item, np.str_):
        item = str(item)
    if isinstance(item, bytearray | memoryview):
        item = bytes(item)
    ids = _ids(item)
    if ids is not None and file.options.separator is not None:
        for part in array_documents(ids, SOURCE, file.options.separator):
            yield Document(part.content, SOURCE, number, {})
        return
    try:
        content = content_of(item if ids is None else ids, field.name)
    except BadRecord as error:
        if isinstance(item, str):
            raise
        raise BadRecord(
            f"expected a text, a record with {field.name!r} or token ids, "
            f"found {type(item).__name__}"
        ) from error
    yield Document(content, SOURCE, number, {})


def _ids(item: object) -> NDArray[Any] | None:
    """Token ids of any kind of sequence; None for what is none."""
    if isinstance(item, str | bytes) or not hasattr(item, "__len__"):
        return None
    if isinstance(item, list | tuple) and not set(map(type, item)) <= {int}:
        if not all(isinstance(each, int | np.integer) for each in item):
            return None
        item = [int(each) for each in item]
    try:
        ids = np.asarray(item)
    except (ValueError, OverflowError):
        return None
    if ids.size == 0 and ids.ndim == 1:
        return ids.astype(np.int64)
    return ids if ids.ndim == 1 and ids.dtype.kind in "iu" else None
