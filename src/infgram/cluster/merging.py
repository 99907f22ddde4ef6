"""Answers of parts as one: sums by token id, and levels of all parts together.

A part matches n tokens of a context as often as its shortest level of at least n tokens does. So
the matches of all parts change where a level of some part ends, and the first k levels of all are
among the first k of each.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..results import Level
from .holder import Histogram


def sum_of(histograms: Sequence[Histogram], end_of_text: int) -> Histogram:
    """How often each token follows in all: the end of text first, and then by rising ids."""
    token_ids = np.concatenate([each.token_ids for each in histograms])
    counts = np.concatenate([each.counts for each in histograms])
    unique, inverse = np.unique(token_ids, return_inverse=True)
    summed = np.zeros(len(unique), np.int64)
    np.add.at(summed, inverse, counts)
    if len(unique) and unique[-1] == end_of_text:
        unique, summed = np.roll(unique, 1), np.roll(summed, 1)
    return Histogram(histograms[0].n, int(summed.sum()), unique, summed)


def levels_of(parts: Sequence[Sequence[tuple[int, int]]]) -> list[Level]:
    """Levels of all parts together, longest first, by those of each.

    >>> levels_of([[(5, 1), (2, 3)], [(3, 4)]])
    [Level(n=5, m=1), Level(n=3, m=5), Level(n=2, m=7)]
    """
    found = []
    for n in sorted({n for part in parts for n, _ in part}, reverse=True):
        m = sum(max((m for length, m in part if length >= n), default=0) for part in parts)
        found.append(Level(n, m))
    return found


def first_levels(parts: Sequence[Sequence[Histogram]], k: int, end_of_text: int) -> list[Histogram]:
    """The first k levels of all parts together, -1: all, by those of each.

    Where none has a level, that of all tokens.
    """
    lengths = sorted({level.n for part in parts for level in part}, reverse=True)
    lengths = [n for n in lengths if n] or [0]
    found = []
    for n in lengths if k == -1 else lengths[:k]:
        held = [_at(part, n) for part in parts]
        summed = sum_of([level for level in held if level is not None], end_of_text)
        found.append(summed._replace(n=n))
    return found


def _at(levels: Sequence[Histogram], n: int) -> Histogram | None:
    """What a part says of n tokens of context: its last level of at least as many."""
    return next((level for level in reversed(levels) if level.n >= n), None)


def flat_of(queries: Sequence[NDArray[np.uint32]]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Queries behind each other; where each begins, and the last one ends."""
    flat = np.concatenate([np.zeros(0, np.uint32), *queries]).astype(np.uint32)
    return flat, np.cumsum([0, *map(len, queries)], dtype=np.int64)
