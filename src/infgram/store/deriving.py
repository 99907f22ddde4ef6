"""The columns that follow from a text and its sorted rows, in either layout: the same for whoever
builds an index, converts one, or proves one.

Each column is handed to `write` as soon as it is known, and what `write` returns stands for it from
then on: a map of the file, where memory is to be saved.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .. import native

_Column = NDArray[Any]
Write = Callable[[str, _Column], _Column]
"""Takes a column's name and values; returns the column as it is read from now on."""

COMPACT_NEXT = ("next_supers", "next_starts", "next_entries", "next_blocks")
SAMPLES = ("sa_starts", "sa_marks", "sa_samples", "text_rows")

_LEAST_PART = 1 << 16
_CHUNK = 1 << 20
_Part = TypeVar("_Part")


def fast_columns(
    write: Write,
    codes: _Column,
    sa: NDArray[np.uint32],
    *,
    n_codes: int,
    block_rows: int,
    threads: int | None = None,
    scratch: NDArray[np.uint32] | None = None,
) -> int:
    """All columns of the fast layout but the text and the suffix array. Returns the end row.

    For byte-wide codes 6 new bytes a row at a time, if what is written is not kept; 2 with
    `scratch`, memory of a number a row, which the system need not clear for this once more.
    `threads` of them: as many as there are cores, unless said.
    """
    threads = threads or os.cpu_count() or 1
    buckets = write("buckets", np.asarray(native.count_buckets(codes, n_codes)))
    codes = codes.copy()  # read in no order: large pages are faster than those of a map
    before = np.empty(len(codes), np.uint32) if scratch is None else scratch
    next_, end_row = _link_rows(codes, sa, before, threads)
    next_ = write("next", next_)
    shared = _shared_contexts(codes, before, threads)
    del before, codes
    write("same", _same(sa, shared, threads))
    del shared
    if next_.dtype == np.uint8:
        blocks, supers = native.block_ranks(next_, buckets, block_rows)
        write("rank_blocks", blocks)
        write("rank_supers", supers)
    else:
        write("psi", native.psi(next_, buckets))
    return end_row


def compact_columns(
    write: Write, next_: _Column, sa: NDArray[np.uint32], buckets: NDArray[np.uint32]
) -> None:
    """All columns of the compact layout. Less than a new byte a row for byte-wide codes."""
    write("buckets", buckets)
    samples: tuple[_Column, ...] = native.samples(sa)
    for name, column in zip(SAMPLES, samples, strict=True):
        write(name, column)
    blocks: tuple[_Column, ...] = native.compact_next(next_, buckets)
    for name, column in zip(COMPACT_NEXT, blocks, strict=True):
        write(name, column)


def expanded(
    columns: Mapping[str, _Column], code_bits: int, n_rows: int, end_row: int
) -> tuple[_Column, NDArray[np.uint32], _Column]:
    """The text, the suffix array and `next` of a shard in the compact layout, by its columns.

    5 bytes a row for byte-wide codes, and one more for the text. That the rows are sorted is not
    proved. Raises CorruptIndex.
    """
    next_ = np.empty(n_rows, f"uint{code_bits}")
    buckets = columns["buckets"]
    supers, starts, entries, blocks = (columns[name] for name in COMPACT_NEXT)
    native.expand_next(supers, starts, entries, blocks, buckets, next_)
    sa = native.expand_sa(next_, buckets, end_row)
    codes = np.zeros(n_rows + 1, next_.dtype)
    for start in range(0, n_rows, _CHUNK):
        codes[sa[start : start + _CHUNK]] = next_[start : start + _CHUNK]
    codes[0] = 0
    return codes[:n_rows], sa, next_


def next_tokens(codes: _Column, sa: NDArray[np.uint32]) -> tuple[_Column, int]:
    """`next`, and the end row: all that the compact layout needs of a text."""
    next_ = np.empty_like(codes)
    end_row = 0
    for start in range(0, len(sa), _CHUNK):
        positions = sa[start : start + _CHUNK]
        part = next_[start : start + _CHUNK]
        np.take(codes, positions, mode="clip", out=part)
        ends = np.flatnonzero(positions == len(codes))
        if len(ends):
            part[ends] = 0
            end_row = start + int(ends[0])
    return next_, end_row


def _link_rows(
    codes: _Column, sa: NDArray[np.uint32], before: NDArray[np.uint32], threads: int
) -> tuple[_Column, int]:
    """`next` and the end row; and fills `before`: by position, the row before."""
    next_ = np.empty_like(codes)
    ends = _in_parts(
        lambda begin, end: native.link_rows(codes, sa, next_, before, begin, end),
        len(codes),
        threads,
    )
    return next_, min(ends)


def _shared_contexts(codes: _Column, before: NDArray[np.uint32], threads: int) -> NDArray[np.uint8]:
    """By position, the tokens that its context shares with that of the row before."""
    shared = np.empty(len(before) + 1, np.uint8)
    _in_parts(
        lambda begin, end: native.shared_contexts(codes, before, shared, begin, end),
        len(shared),
        threads,
    )
    return shared


def _same(sa: NDArray[np.uint32], shared: NDArray[np.uint8], threads: int) -> NDArray[np.uint8]:
    same = np.empty(len(sa), np.uint8)
    _in_parts(lambda begin, end: native.fill_same(sa, shared, same, begin, end), len(sa), threads)
    return same


def _in_parts(run: Callable[[int, int], _Part], n: int, threads: int) -> list[_Part]:
    """Calls run(begin, end) for parts of n, each on a thread of its own."""
    n_parts = max(1, min(threads, n // _LEAST_PART))
    bounds = [n * i // n_parts for i in range(n_parts + 1)]
    if n_parts == 1:
        return [run(0, n)]
    with ThreadPoolExecutor(n_parts) as pool:
        return list(pool.map(run, bounds[:-1], bounds[1:]))
