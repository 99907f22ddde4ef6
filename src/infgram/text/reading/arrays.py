"""Token ids that programs have written: .npy, raw arrays, the folders of infini-gram.

Nothing is read whole: files are mapped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError, MalformedRecord
from .document import Document, Input
from .kinds import Kind

Ids = NDArray[np.integer[Any]]
_STEP = 1 << 22  # ids looked at at once


def token_file(file: Input, kind: Kind) -> Iterator[Document]:
    """The documents of a file of token ids: the whole, its rows, or what separators separate."""
    if kind == "infini-gram":
        yield from _infini_gram(file)
    elif kind == "npy":
        yield from array_documents(_npy(file.path), file.path, file.options.separator)
    else:
        yield from array_documents(_raw(file.path, kind), file.path, file.options.separator)


def array_documents(ids: Ids, source: str, separator: int | None) -> Iterator[Document]:
    """A document a row of a 2-d array, or a document where there is one row.

    With a `separator` each is cut at that id, which belongs to neither part; empty parts are none.

    >>> [part.content.tolist() for part in array_documents(np.array([1, 2, 0, 3]), "a.npy", 0)]
    [[1, 2], [3]]
    """
    if ids.ndim == 1 and separator is None:
        yield Document(ids, source, 0, {})
        return
    number = 0
    for row in ids if ids.ndim == 2 else (ids,):
        for part in (row,) if separator is None else _parts(row, separator):
            number += 1
            yield Document(part, source, number, {})


def _parts(ids: Ids, separator: int) -> Iterator[Ids]:
    begin = 0
    for at in range(0, len(ids), _STEP):
        for end in (at + np.flatnonzero(ids[at : at + _STEP] == separator)).tolist():
            if end > begin:
                yield ids[begin:end]
            begin = end + 1
    if len(ids) > begin:
        yield ids[begin:]


def _npy(path: str) -> Ids:
    try:
        ids: Ids = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, EOFError, TypeError, SyntaxError, OverflowError) as error:
        raise MalformedRecord(f"{path}: not a sound .npy file: {error}") from error
    if ids.ndim not in (1, 2) or ids.dtype.kind not in "iu":
        raise InputError(
            f"{path}: token ids must be integers of shape (n,), or (n_documents, n); "
            f"found {ids.dtype} of shape {ids.shape}"
        )
    return ids


def _raw(path: str, name: str) -> Ids:
    dtype = np.dtype(name).newbyteorder("<")
    n_tokens, rest = divmod(os.path.getsize(path), dtype.itemsize)
    if rest:
        raise InputError(
            f"{path}: {name} token ids take {dtype.itemsize} bytes each, and its "
            f"length is not a multiple of that ({rest} left over); is the width right?"
        )
    # an empty file cannot be mapped
    return np.memmap(path, dtype, mode="r") if n_tokens else np.empty(0, dtype)


def _infini_gram(file: Input) -> Iterator[Document]:
    """The documents of one shard of an index of infini-gram, of `tokenized.N`.

    `offset.N` holds where each begins, in bytes: with a token of all ones, which separates them.
    Nothing tells the width of tokens, so it is the widest for which that is so. `metadata.N`, where
    it is, has a line of JSON for each.
    """
    data = np.memmap(file.path, np.uint8, mode="r") if os.path.getsize(file.path) else None
    folder, name = os.path.split(file.path)
    number = name.partition(".")[2]
    offsets = _raw_offsets(os.path.join(folder, f"offset.{number}"))
    if data is None or not len(offsets):
        return
    width = _width(file, data, offsets)
    ids: Ids = np.memmap(file.path, np.dtype(f"<u{width}"), mode="r")
    bounds = np.append(offsets // width, len(ids)).astype(np.int64)
    lines = _metadata(os.path.join(folder, f"metadata.{number}"))
    for i in range(len(offsets)):
        metadata = next(lines, {})
        yield Document(ids[bounds[i] + 1 : bounds[i + 1]], file.path, i + 1, metadata)


def _raw_offsets(path: str) -> NDArray[np.uint64]:
    try:
        offsets = np.fromfile(path, "<u8")
    except OSError as error:
        raise MalformedRecord(f"{path}: cannot be read: {error.strerror}") from error
    if os.path.getsize(path) % 8 or (np.diff(offsets.astype(np.int64)) <= 0).any():
        raise MalformedRecord(
            f"{path}: not the offsets of an index of infini-gram, which rise and take 8 bytes each"
        )
    return offsets


def _width(file: Input, data: NDArray[np.uint8], offsets: NDArray[np.uint64]) -> int:
    asked = file.options.token_dtype
    widths = (4, 2, 1) if asked is None else (np.dtype(asked).itemsize,)
    for width in widths:
        fits = not (offsets % np.uint64(width)).any() and len(data) % width == 0
        if fits and int(offsets.max()) + width <= len(data):
            starts = offsets.astype(np.int64)
            if all((data[starts + i] == 0xFF).all() for i in range(width)):
                return width
    raise MalformedRecord(
        f"{file.path}: not the tokens of an index of infini-gram: its documents must begin, where "
        "the offsets beside it say, with a token of all ones"
    )


def _metadata(path: str) -> Iterator[dict[str, object]]:
    if not os.path.isfile(path):
        return
    with open(path, "rb") as handle:
        for line in handle:
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                found = {}
            yield found if isinstance(found, dict) else {}
