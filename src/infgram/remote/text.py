"""The text of an index that is read in place, in blocks that are kept.

Has the methods of the core's index that `Occurrences` asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..store.objects import Objects
from .shard import RemoteShard

_BLOCK = 1 << 8  # tokens
_MOST_KEPT = 1 << 16  # blocks


class RemoteText:
    """Token ids at positions of shards, as `Index.native` has them. Fetches what it has not got."""

    def __init__(
        self, objects: Objects, shards: Sequence[RemoteShard], alphabet: NDArray[np.uint32]
    ) -> None:
        self._objects = objects
        self._shards = shards
        self._alphabet = alphabet
        self._blocks: dict[tuple[int, int], NDArray[np.uint32]] = {}

    def fetch(self, s: int, begins: NDArray[np.int64], ends: NDArray[np.int64]) -> None:
        """Sees to it that stretches of a shard are here. One round trip, or none."""
        n_rows = self._shards[s].layout.n_rows
        wanted: set[int] = set()
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
            wanted.update(range(max(begin, 0) // _BLOCK, -(-min(end, n_rows) // _BLOCK)))
        new = sorted(block for block in wanted if (s, block) not in self._blocks)
        if not new:
            return
        if len(self._blocks) + len(new) > _MOST_KEPT:
            self._blocks.clear()
            new = sorted(wanted)
        runs = [
            [block for _, block in run]
            for _, run in groupby(enumerate(new), lambda each: each[1] - each[0])
        ]
        shard = self._shards[s]
        parts = [shard.text(run[0] * _BLOCK, min((run[-1] + 1) * _BLOCK, n_rows)) for run in runs]
        for run, content in zip(runs, self._objects.parts(parts), strict=True):
            codes = shard.codes_of(content)
            for i, block in enumerate(run):
                self._blocks[s, block] = codes[i * _BLOCK : (i + 1) * _BLOCK]

    def _codes(self, s: int, begin: int, end: int) -> NDArray[Any]:
        self.fetch(s, np.array([begin]), np.array([end]))
        blocks = range(begin // _BLOCK, -(-end // _BLOCK))
        held = [self._blocks[s, block] for block in blocks]
        codes = np.concatenate([np.zeros(0, np.uint8), *held])
        first = begin // _BLOCK * _BLOCK
        return codes[begin - first : end - first]

    def tokens(self, s: int, begin: int, end: int) -> NDArray[np.uint32]:
        """The token ids at positions [begin, end)."""
        return np.asarray(self._alphabet[self._codes(s, begin, end)], np.uint32)

    def line_ends(
        self,
        s: int,
        n_line_ends: NDArray[np.uint32],
        begins: NDArray[np.uint32],
        ends: NDArray[np.uint32],
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Line ends of stretches, n_line_ends[c] of code c, and the last place of one, or -1."""
        first, last = begins.astype(np.int64), ends.astype(np.int64)
        self.fetch(s, first, last)
        counts, lasts = np.zeros(len(begins), np.int64), np.full(len(begins), -1, np.int64)
        for i, (begin, end) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
            n = n_line_ends[self._codes(s, begin, end)]
            counts[i] = n.sum()
            if counts[i]:
                lasts[i] = begin + np.flatnonzero(n)[-1]
        return counts, lasts
