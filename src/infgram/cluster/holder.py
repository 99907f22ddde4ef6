"""What a worker does: it holds some parts of a corpus, open, and answers of all of them together.

Every answer comes with the identities of the parts, so that nobody sums up answers of two builds: a
worker that was started again has opened its parts anew. Nothing is kept between two questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..index import NO_WINDOW, Index
from ..results import Match
from ..text.tokens import Tokenizer

Told: TypeAlias = tuple[tuple[str, ...], Any]


class Facts(NamedTuple):
    """What is known of a part when it is opened."""

    tokenizer: Tokenizer
    n_tokens: int
    n_documents: int


class Histogram(NamedTuple):
    """Of a level: tokens of context, matches that have a next token, which ones, how often each."""

    n: int
    m: int
    token_ids: NDArray[np.uint32]
    counts: NDArray[np.int64]


class Holder:
    """Parts of a corpus by their paths. Queries are flat token ids, with offsets."""

    def __init__(self, paths: Sequence[str | Path]) -> None:
        self._paths = paths

    @cached_property
    def _parts(self) -> list[Index]:
        """Opened by the first question, to which it then is the error if that fails."""
        return [Index(path) for path in self._paths]

    def facts(self) -> Told:
        """Of each part its `Facts`."""
        return self._told(
            [Facts(part.tokenizer, part.n_tokens, part.n_documents) for part in self._parts]
        )

    def count_batch(self, flat: NDArray[np.uint32], offsets: NDArray[np.int64]) -> Told:
        """Counts in each part, of shape (n_parts, n_ngrams)."""
        return self._told(
            np.array([part.native.count_batch(flat, offsets) for part in self._parts])
        )

    def next_tokens(self, flat: NDArray[np.uint32], offsets: NDArray[np.int64]) -> Told:
        """Of each prompt, a histogram a part; n is that of the prompt."""
        sizes = np.diff(offsets).tolist()
        of_parts = [part.native.next_tokens_batch(flat, offsets) for part in self._parts]
        return self._told(
            [
                [Histogram(n, m, ids, counts) for ids, counts, m in of_prompt]
                for n, *of_prompt in zip(sizes, *of_parts, strict=True)
            ]
        )

    def levels(self, flat: NDArray[np.uint32], offsets: NDArray[np.int64]) -> Told:
        """Of each context, the levels of each part, as pairs (n, m)."""
        return self._told(
            [
                [part.native.cursor(ids, NO_WINDOW).levels() for part in self._parts]
                for ids in _queries(flat, offsets)
            ]
        )

    def first_levels(
        self, flat: NDArray[np.uint32], offsets: NDArray[np.int64], k: int, window: int
    ) -> Told:
        """Of each context, the first k levels of each part with what follows them; -1: all.

        Where a part has no level, that of all its tokens, n = 0.
        """
        return self._told(
            [
                [_first_levels(part, ids, k, window) for part in self._parts]
                for ids in _queries(flat, offsets)
            ]
        )

    def matches(
        self, ngram: NDArray[np.uint32], chosen: Sequence[NDArray[np.int64]], context: int
    ) -> Told:
        """Of each part, those of its occurrences of an n-gram that have these numbers."""
        return self._told(
            [
                _matches(part, ngram, numbers, context)
                for part, numbers in zip(self._parts, chosen, strict=True)
            ]
        )

    def _told(self, answer: Any) -> Told:
        return tuple(part.identity for part in self._parts), answer


def _queries(flat: NDArray[np.uint32], offsets: NDArray[np.int64]) -> list[NDArray[np.uint32]]:
    return [flat[begin:end] for begin, end in pairwise(offsets)]


def _first_levels(part: Index, ids: NDArray[np.uint32], k: int, window: int) -> list[Histogram]:
    cursor = part.native.cursor(ids, window)
    n_levels = len(cursor.levels())
    wanted = n_levels if k == -1 else min(k, n_levels)
    found = []
    for i in range(max(wanted, 1)):  # behind the last level comes that of all tokens
        n, (token_ids, counts, m) = cursor.next_tokens(i)
        found.append(Histogram(n, m, token_ids, counts))
    return found


def _matches(
    part: Index, ngram: NDArray[np.uint32], numbers: NDArray[np.int64], context: int
) -> list[Match]:
    ranges = np.array(part.native.find_parts(ngram))
    sizes = ranges[:, 1] - ranges[:, 0]
    firsts = np.append(0, sizes.cumsum())
    shards = firsts.searchsorted(numbers, "right") - 1
    rows = np.stack([shards, numbers - firsts[shards] + ranges[shards, 0]], axis=1)
    (found,) = part.matches([rows], [len(ngram)], context)
    return list(found)
