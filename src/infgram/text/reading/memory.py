"""Text that never was a file: strings, records, token ids, tables of other libraries.

Also what a caller means, paths or texts: a `Path` is a path, and so is a string that exists as one.
"""

from __future__ import annotations

import codecs
import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from ...errors import InputError, MalformedRecord
from .arrays import array_documents
from .document import BadRecord, Content, Document, Input
from .encodings import held_as_utf8, noted_once
from .fields import Field, content_of, json_able, unique
from .tables import batch_rows, batches_of, is_table

SOURCE = "memory"
_LIKE_A_PATH = re.compile(r"\S*(?:[/\\]\S*|\w\.[A-Za-z0-9]{1,8})")
_MAX_PATH = 4096


@dataclass(frozen=True)
class Stream:
    """An open file, of text or of bytes, read as bytes."""

    handle: BinaryIO
    name: str
    is_text: bool
    """It was decoded already, whatever encoding it had."""


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


def stream_of(inputs: Any) -> Stream | None:
    """`inputs` as a stream of bytes, if it is an open file."""
    if not callable(getattr(inputs, "read", None)) or is_table(inputs):
        return None
    if not hasattr(inputs, "readline") and hasattr(inputs, "__iter__"):
        return None  # it reads something else, as a table in parts
    name = getattr(inputs, "name", None)
    name = name if isinstance(name, str) and name else SOURCE
    is_text = isinstance(inputs, io.TextIOBase | codecs.StreamReader | codecs.StreamReaderWriter)
    handle: Any = _Handle(inputs, name)
    return Stream(handle, name, is_text)


class _Handle:
    """Whatever has a method `read`, of text or of bytes, as a file of bytes."""

    def __init__(self, handle: Any, name: str) -> None:
        self._handle = handle
        self._name = name

    def read(self, n: int) -> bytes:
        try:
            found = self._handle.read(n)
            if isinstance(found, str):
                return found.encode("utf-8", "surrogateescape")
            return bytes(memoryview(found))
        except UnicodeDecodeError as error:
            raise MalformedRecord(
                f"{self._name}: not {error.encoding} (byte 0x{error.object[error.start]:02x}): "
                "open it with its encoding, or in bytes (mode 'rb')"
            ) from error
        except UnicodeEncodeError as error:
            raise MalformedRecord(
                f"{self._name}: holds a lone surrogate, {error.object[error.start]!r}, which is no "
                "character"
            ) from error
        except (ValueError, TypeError, AttributeError) as error:
            raise InputError(
                f"{self._name}: cannot be read: {error}; expected a file that is open for reading"
            ) from error


def documents_in(inputs: Any, file: Input) -> Iterator[Document]:
    """The documents of an iterable of strings, of records or of token ids, or of a table.

    It is read once, and one item is held at a time. Tables may also come one after another. Raises
    InputError for what is none of these.
    """
    if isinstance(inputs, Mapping):
        keys = ", ".join(map(repr, list(inputs)[:5]))
        raise InputError(f"memory: found a mapping with {keys}; give one of its values")
    if isinstance(inputs, np.ndarray) and inputs.dtype.kind in "iu" and inputs.ndim in (1, 2):
        if np.ma.is_masked(inputs):
            raise InputError("memory: a masked array, in which ids are missing; give .compressed()")
        yield from array_documents(inputs, SOURCE, file.options.separator)
        return
    file = noted_once(file)
    field = Field(file.options.text_field)
    number = 0
    for item in _items(inputs):
        if is_table(item):
            for batch in batches_of(item):
                yield from batch_rows(file, batch, number + 1)
                number += batch.num_rows
            continue
        for row in _rows(item, field) if _is_frame(item) else (item,):
            number += 1
            try:
                yield from _item(row, number, field, file)
            except BadRecord as error:
                file.bad(f"{SOURCE}:{number}: {error}")


def _items(inputs: Any) -> Iterator[Any]:
    """What to iterate over: a table is one item, whose own iterator gives names or columns."""
    if _is_frame(inputs) or is_table(inputs):
        return iter([inputs])
    if callable(getattr(inputs, "collect", None)) and not hasattr(inputs, "__len__"):
        raise InputError(f"inputs are {type(inputs).__name__}, not computed yet: give .collect()")
    try:
        return iter(inputs)
    except TypeError as error:
        raise InputError(
            f"inputs are {type(inputs).__name__}, expected a path, or texts, records or token ids "
            "to iterate over"
        ) from error


def _is_frame(value: object) -> bool:
    """Whether a value is a data frame, of pandas or of polars."""
    is_pandas = callable(getattr(value, "itertuples", None))
    return is_pandas or callable(getattr(value, "iter_rows", None))


def _rows(frame: Any, field: Field) -> Iterable[Any]:
    if not hasattr(frame, "itertuples"):  # polars
        named: Iterable[Any] = frame.iter_rows(named=True)
        return named
    names = [str(name) for name in frame.columns]
    text = field.name if field.name in names else field.root
    if names.count(text) > 1:
        raise InputError(
            f"memory: {names.count(text)} columns are called {text!r}; give the one with the text "
            "a name of its own"
        )
    names = unique(names)
    rows = frame.itertuples(index=False, name=None)
    return (dict(zip(names, row, strict=True)) for row in rows)


def _item(item: object, number: int, field: Field, file: Input) -> Iterator[Document]:
    if callable(getattr(item, "as_py", None)):  # of pyarrow
        item = item.as_py()  # type: ignore[attr-defined]
    if isinstance(item, Mapping):
        record = dict(item)
        content = field.take(record)
        metadata = {str(key): json_able(value) for key, value in record.items()}
    elif isinstance(item, os.PathLike):
        raise BadRecord("found a path among texts: give paths in a list")
    elif callable(getattr(item, "read", None)):
        raise BadRecord("found an open file among texts: give each by itself, or its path")
    else:
        content, metadata = _content(item, field), {}
    if isinstance(content, bytes):
        if not isinstance(item, str):
            content = held_as_utf8(file, content)
    elif file.options.separator is not None:
        for part in array_documents(content, SOURCE, file.options.separator):
            yield Document(part.content, SOURCE, number, metadata)
        return
    yield Document(content, SOURCE, number, metadata)


def _content(item: object, field: Field) -> Content:
    try:
        return content_of(item, field.name)
    except BadRecord as error:
        if isinstance(item, str):
            raise BadRecord("a text that holds a lone surrogate, which is no character") from error
        raise BadRecord(
            f"expected a text, a record with {field.name!r} or token ids, "
            f"found {type(item).__name__}"
        ) from error
