"""A shard that is read in place: where the rows of an n-gram lie, and what they hold.

A context's rows are looked for as in a book: the summary leaves 64 rows (store/summary.py), and the
text before a few of those, all read at once, decides. So the round trips grow with the logarithm of
the corpus, however long the n-gram is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CorruptIndex
from ..store.layout import Layout, ShardLayout
from ..store.objects import Objects, Part
from ..store.summary import Records, records_of, tiers_of
from .asking import Question, side_by_side

_TEXT = 64  # tokens that are compared at first
_MORE = 8  # times as many as that, where they were equal
_SUPER_ROWS = 1 << 16
_SLICE = 1 << 13  # next tokens that are read rather than counted by ranks


class RemoteShard:
    """Rows are those of docs/format.md; an n-gram is codes, of which none is the boundary.

    folder: of the shard, below the address. top: the first tier of its summary.
    """

    def __init__(
        self,
        objects: Objects,
        folder: str,
        layout: Layout,
        shard: ShardLayout,
        top: Records,
        n_codes: int,
    ) -> None:
        self._objects = objects
        self._folder = folder
        self._layout = layout
        self.layout = shard
        self._top = top
        self._tiers = tiers_of(layout, shard)
        self._code = np.dtype(f"<u{layout.code_bits // 8}")
        self._n_codes = n_codes

    # Rows -----------------------------------------------------------------------------------------

    def rows(self, ngram: NDArray[Any]) -> Question[tuple[int, int]]:
        """The rows [begin, end) whose contexts end in an n-gram."""
        reverse = ngram[::-1].astype(self._code)
        ends = [self._bound(reverse, is_behind) for is_behind in (False, True)]
        begin, end = yield from side_by_side(ends)
        return begin, max(begin, end)

    def _bound(self, reverse: NDArray[Any], is_behind: bool) -> Question[int]:
        """The first row whose context is not before the n-gram; is_behind: that it does not end."""
        begin, end = 0, self.layout.n_rows
        for tier in self._tiers:
            first, last = -(-begin // tier.step), -(-end // tier.step)
            if tier is self._tiers[0]:
                records = self._top[first:last]
            else:
                (content,) = yield [self._part("summary", *tier.place(first, last))]
                records = records_of(content, self._layout.code_bits)
            orders = _orders(records.keys, reverse, is_behind)
            i = yield from self._split(orders, records.positions, reverse, is_behind)
            if i < len(orders):
                end = (first + i) * tier.step
            if i:
                begin = (first + i - 1) * tier.step + 1
        positions = yield from self.positions(begin, end)
        orders = np.zeros(len(positions), np.int8)
        return begin + (yield from self._split(orders, positions, reverse, is_behind))

    def _split(
        self,
        orders: NDArray[np.int8],
        positions: NDArray[np.int64],
        reverse: NDArray[Any],
        is_behind: bool,
    ) -> Question[int]:
        """How many of rising contexts are before; orders: -1 before, 1 not, 0 not known yet."""
        low, high = int((orders < 0).sum()), len(orders) - int((orders > 0).sum())
        while low < high:
            n = high - low
            tries = 7 if n < 256 else 31  # of 64 rows: eight, and then one
            probes = low + np.unique((np.arange(1, tries + 1) * n) // (tries + 1))
            found = yield from self._compared(positions[probes], reverse, is_behind)
            before = int((found < 0).sum())
            if before < len(probes):
                high = int(probes[before])
            if before:
                low = int(probes[before - 1]) + 1
        return low

    def _compared(
        self, positions: NDArray[np.int64], reverse: NDArray[Any], is_behind: bool
    ) -> Question[NDArray[np.int8]]:
        """Whether the context of each position is before the n-gram, -1, or not, 1."""
        self._check_positions(positions)
        orders = np.zeros(len(positions), np.int8)
        at, n = 0, len(reverse) if len(reverse) <= 2 * _TEXT else _TEXT
        while len(left := np.flatnonzero(orders == 0)):
            end = min(at + n, len(reverse))
            begins, ends = np.maximum(positions[left] - end, 0), np.maximum(positions[left] - at, 0)
            texts = yield [
                self._codes("codes", begin, stop)
                for begin, stop in zip(begins.tolist(), ends.tolist(), strict=True)
            ]
            keys = np.zeros((len(left), end - at), self._code)
            for key, text in zip(keys, texts, strict=True):
                codes = np.frombuffer(text, self._code)[::-1]
                key[: len(codes)] = codes
            orders[left] = _orders(keys, reverse[at:], is_behind)
            at, n = end, n * _MORE
        return orders

    def positions(self, begin: int, end: int) -> Question[NDArray[np.int64]]:
        """The positions of rows [begin, end)."""
        (content,) = yield [self._part("sa", 4 * begin, 4 * end)]
        return np.frombuffer(content, "<u4").astype(np.int64)

    def positions_of(self, rows: NDArray[np.int64]) -> Question[NDArray[np.int64]]:
        """The positions of single rows."""
        contents = yield [self._part("sa", 4 * row, 4 * row + 4) for row in rows.tolist()]
        positions = np.frombuffer(b"".join(contents), "<u4").astype(np.int64)
        self._check_positions(positions)
        return positions

    def _check_positions(self, positions: NDArray[np.int64]) -> None:
        if ((positions < 1) | (positions > self.layout.n_rows)).any():
            raise self._corrupt("sa")

    # Next tokens ----------------------------------------------------------------------------------

    def followed(self, begin: int, end: int) -> int:
        """Rows of [begin, end) that have a next token."""
        return end - begin - (begin <= self.layout.end_row < end)

    def next_codes(self, begin: int, end: int) -> Question[NDArray[np.int64]]:
        """How often each code comes next in rows [begin, end), of shape (n_codes,)."""
        if self._layout.code_bits == 8 and end - begin > _SLICE:
            before, until = yield from side_by_side([self._ranks(begin), self._ranks(end)])
            counts = until - before
            # ranks do not tell of boundaries; every row is followed by one code
            counts[0] = 0
            counts[0] = end - begin - counts.sum()
        else:
            (content,) = yield [self._codes("next", begin, end)]
            codes = np.frombuffer(content, self._code)
            if len(codes) and int(codes.max()) >= self._n_codes:
                raise self._corrupt("next")
            counts = np.bincount(codes, minlength=self._n_codes)
        if begin <= self.layout.end_row < end:
            counts[0] -= 1
        if (counts < 0).any():
            raise self._corrupt("rank_blocks")
        return counts.astype(np.int64)

    def _ranks(self, row: int) -> Question[NDArray[np.int64]]:
        """rank(c, row) of every code c, as docs/format.md has it."""
        n, step = self._n_codes, self._layout.block_rows
        wide, narrow = row // _SUPER_ROWS, row // step
        supers, blocks, rest = yield [
            self._part("rank_supers", 4 * n * wide, 4 * n * (wide + 1)),
            self._part("rank_blocks", 2 * n * narrow, 2 * n * (narrow + 1)),
            self._codes("next", narrow * step, row),
        ]
        codes = np.frombuffer(rest, self._code)
        if len(codes) and int(codes.max()) >= n:
            raise self._corrupt("next")
        counted = np.bincount(codes, minlength=n)
        before = np.frombuffer(supers, "<u4").astype(np.int64) + np.frombuffer(blocks, "<u2")
        return np.asarray(before + counted, np.int64)

    # Text -----------------------------------------------------------------------------------------

    def text(self, begin: int, end: int) -> Part:
        """The part that holds the codes at positions [begin, end)."""
        return self._codes("codes", begin, end)

    def codes_of(self, content: bytes) -> NDArray[Any]:
        """The codes in it. Raises CorruptIndex."""
        codes = np.frombuffer(content, self._code)
        if len(codes) and int(codes.max()) >= self._n_codes:
            raise self._corrupt("codes")
        return codes

    def _codes(self, column: str, begin: int, end: int) -> Part:
        size = self._code.itemsize
        return self._part(column, begin * size, end * size)

    def _part(self, column: str, begin: int, end: int) -> Part:
        return Part(f"{self._folder}/{column}", begin, end)

    def _corrupt(self, column: str) -> CorruptIndex:
        return CorruptIndex(
            f"{self._objects.url}/{self._folder}/{column} holds impossible values: push it again"
        )


def _orders(keys: NDArray[Any], reverse: NDArray[Any], is_behind: bool) -> NDArray[np.int8]:
    """Of each key, which begins a context read backwards, against an n-gram read backwards.

    keys: of shape (n, tokens). -1: the context is before, 1: not before, 0: the key is too short
    to tell.

    >>> keys = np.array([[1, 3], [2, 1], [2, 2], [3, 1]])
    >>> _orders(keys, np.array([2, 2, 9]), False).tolist()
    [-1, -1, 0, 1]
    >>> _orders(keys, np.array([2]), True).tolist()
    [-1, -1, -1, 1]
    """
    n = min(keys.shape[1], len(reverse))
    differs = keys[:, :n] != reverse[:n]
    at = differs.argmax(axis=1)
    less = keys[np.arange(len(keys)), at] < reverse[at]
    equal = -1 if is_behind else 1
    if n < len(reverse):
        equal = 0
    return np.where(differs.any(axis=1), np.where(less, -1, 1), equal).astype(np.int8)
