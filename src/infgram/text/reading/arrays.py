"""Token ids that programs have written: .npy, raw arrays, the folders of infini-gram.

Nothing is read whole: files are mapped.
"""

from __future__ import annotations

import json
import os
import tokenize
from collections.abc import Iterator
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError, MalformedRecord
from .document import Document, Input
from .kinds import Kind

Ids = NDArray[np.integer[Any]]
_STEP = 1 << 22  # ids looked at at once
# what numpy raises for a header, which it reads as Python's literals
_BROKEN = (
    ValueError, EOFError, TypeError, SyntaxError, OverflowError, RecursionError, MemoryError,
    KeyError, AttributeError, tokenize.TokenError,
)  # fmt: skip


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
    except _BROKEN as error:
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
    folder, name = os.path.split(file.path)
    number = name.partition(".")[2]
    offsets = _raw_offsets(os.path.join(folder, f"offset.{number}"))
    if not len(offsets) and not os.path.getsize(file.path):
        return
    width = _width(file, offsets)
    ids: Ids = np.memmap(file.path, np.dtype(f"<u{width}"), mode="r")
    bounds = np.append(offsets // width, len(ids)).astype(np.int64)
    path = os.path.join(folder, f"metadata.{number}")
    lines = _metadata(path) if os.path.isfile(path) else repeat({}, len(offsets))
    for i in range(len(offsets)):
        metadata = next(lines, None)
        if metadata is None:
            file.bad(f"{path}:{i + 1}: expected a line with a JSON object for each document")
        yield Document(ids[bounds[i] + 1 : bounds[i + 1]], file.path, i + 1, metadata or {})
    if next(lines, lines) is not lines:
        file.bad(f"{path}: more lines than the {len(offsets):,} documents, expected one for each")


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


def _width(file: Input, offsets: NDArray[np.uint64]) -> int:
    n_bytes = os.path.getsize(file.path)
    asked = file.options.token_dtype
    widths = (4, 2, 1) if asked is None else (np.dtype(asked).itemsize,)
    if n_bytes and len(offsets) and not offsets[0]:
        data = np.memmap(file.path, np.uint8, mode="r")
        starts = offsets.astype(np.int64)
        for width in widths:
            places = [starts + i for i in range(width)]
            if not all((data[p[p < n_bytes]] == 0xFF).all() for p in places):
                continue
            if (offsets % np.uint64(width)).any() or n_bytes % width or starts[-1] >= n_bytes:
                break  # bytes are missing, or too many
            return width
    raise MalformedRecord(
        f"{file.path}: not the tokens of an index of infini-gram: its documents must begin, where "
        "the offsets beside it say, with a token of all ones, and the first one at 0; copy the "
        "folder again, or name the width (--token-dtype)"
    )


def _metadata(path: str) -> Iterator[dict[str, object] | None]:
    with open(path, "rb") as handle:
        for line in handle:
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                found = None
            yield found if isinstance(found, dict) else None
