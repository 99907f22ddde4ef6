"""How many line ends stand in stretches of a text, of which each block is counted once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1 << 14  # tokens

_Numbers: TypeAlias = NDArray[np.int64]
Count: TypeAlias = Callable[[NDArray[np.uint32], NDArray[np.uint32]], tuple[_Numbers, _Numbers]]
"""Of stretches [begin, end): line ends, and the place of the last token with one, -1 for none."""


class LineCounter:
    """Answers as `count` does, of a text of `n_tokens`; counts no block twice. Safe for threads.

    >>> def count(begins, ends):
    ...     lines = [np.flatnonzero(text[b:e] == 10) + b for b, e in zip(begins, ends)]
    ...     return np.array([len(each) for each in lines]), np.array([max(each) for each in lines])
    >>> text = np.tile([97, 10], 30_000)
    >>> LineCounter(count, len(text)).between(np.array([1]), np.array([50_000]))
    (array([25000]), array([49999]))
    """

    def __init__(self, count: Count, n_tokens: int) -> None:
        n_blocks = n_tokens // _BLOCK
        self._count = count
        self._known = np.zeros(n_blocks, np.bool_)
        self._counts = np.zeros(n_blocks, np.int64)
        self._lasts = np.full(n_blocks, -1, np.int64)

    def between(self, begins: _Numbers, ends: _Numbers) -> tuple[_Numbers, _Numbers]:
        """Of each stretch: its line ends, and the place of the last token with one, or -1."""
        first, behind = -(-begins // _BLOCK), ends // _BLOCK  # whole blocks
        inside = behind > first
        # A stretch within a block, or around the end of one, is a head without a tail.
        heads = np.where(inside, first * _BLOCK, ends)
        tails = np.where(inside, behind * _BLOCK, ends)
        counts, lasts = self._counted(begins, heads)
        if inside.any():
            self._see_to(first[inside], behind[inside])
            sums = np.concatenate([[0], np.cumsum(self._counts)])
            latest = np.maximum.accumulate(self._lasts)[behind[inside] - 1]
            counts[inside] += sums[behind[inside]] - sums[first[inside]]
            lasts[inside] = np.where(latest >= heads[inside], latest, lasts[inside])
            more, later = self._counted(tails, ends)
            counts += more
            lasts = np.maximum(lasts, later)
        return counts, lasts

    def _see_to(self, first: _Numbers, behind: _Numbers) -> None:
        """Counts the blocks [first, behind) that were not counted yet."""
        asked = np.zeros(len(self._known) + 1, np.int64)
        np.add.at(asked, first, 1)
        np.add.at(asked, behind, -1)
        new = np.flatnonzero((np.cumsum(asked[:-1]) > 0) & ~self._known)
        if len(new):
            self._counts[new], self._lasts[new] = self._counted(new * _BLOCK, (new + 1) * _BLOCK)
            self._known[new] = True

    def _counted(self, begins: _Numbers, ends: _Numbers) -> tuple[_Numbers, _Numbers]:
        return self._count(begins.astype(np.uint32), ends.astype(np.uint32))
