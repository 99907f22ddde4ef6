"""At how many places a text stands in documents of tokens, however they are cut into tokens.

A place begins in some token and ends in the same or a later one. All rows of tokens that can hold
the text so are tried: those whose first token ends with a beginning of the text, whose inner tokens
spell what comes then, and whose last one begins with the rest. An n-gram of tokens has a place for
each way its first token can end so, hence the sum of the n-grams' counts is the number of places.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .tokens import TokenTexts

_MANY = 64

Paths = NDArray[np.uint32]
"""n-grams of one length, of shape (n_paths, n)."""


class Counts(Protocol):
    """What is asked of an index."""

    def count_batch(
        self, flat: NDArray[np.uint32], offsets: NDArray[np.int64], /
    ) -> NDArray[np.int64]:
        """Occurrences of n-grams, as `Index.count_batch` has them."""

    def next_tokens(
        self, ids: NDArray[np.uint32], /
    ) -> tuple[NDArray[np.uint32], NDArray[np.int64], int]:
        """What follows an n-gram: ids, counts, their sum."""


class Spelling:
    """How the tokens of a corpus are spelt.

    - `token_ids`: those that occur, rising.
    - `texts`: of each, behind others and at the beginning of a document.
    - `n_beginning`: how many documents begin with an n-gram.

    >>> import infgram
    >>> index = infgram.build(["to be or not to be"])
    >>> ids = index.alphabet[1:]
    >>> Spelling(ids, index.tokenizer.texts(ids), index.native, lambda ngram: 0).count(b"e or")
    1
    """

    def __init__(
        self,
        token_ids: NDArray[np.uint32],
        texts: TokenTexts,
        counts: Counts,
        n_beginning: Callable[[NDArray[np.uint32]], int],
    ) -> None:
        self._ids = token_ids
        self._later, self._first = texts
        self._counts = counts
        self._n_beginning = n_beginning
        order = sorted(range(len(token_ids)), key=self._later.__getitem__)
        self._sorted = [self._later[i] for i in order]
        self._sorted_ids = token_ids[order]
        pairs = enumerate(zip(self._later, self._first, strict=True))
        self._other_first = [i for i, (later, first) in pairs if later != first]
        self._longest = max(map(len, self._later), default=0)

    def count(self, text: bytes) -> int:
        """Places of a text that is not empty."""
        behind = range(len(self._later))
        total = self._n_places(text, self._later, behind, self._n_at_large)
        if not self._other_first:
            return total
        # At the beginning of a document a token may be spelt otherwise: not so, but so.
        others = self._other_first
        total -= self._n_places(text, self._later, others, self._n_at_start)
        return total + self._n_places(text, self._first, others, self._n_at_start)

    def _n_places(
        self,
        text: bytes,
        texts: list[bytes],
        among: range | list[int],
        count: Callable[[Paths], int],
    ) -> int:
        """Places that begin in one of some tokens, of these texts."""
        total = 0
        firsts: dict[int, list[int]] = {}  # by how much of the text they end with
        for i in among:
            token = texts[i]
            if inside := _n_inside(text, token):
                total += inside * count(self._ids[i : i + 1, None])
            for n in range(1, min(len(text), len(token) + 1)):
                if token.endswith(text[:n]):
                    firsts.setdefault(n, []).append(i)
        for n, found in sorted(firsts.items()):
            total += self._n_going_on(self._ids[found][:, None], text[n:], count)
        return total

    def _n_going_on(self, paths: Paths, rest: bytes, count: Callable[[Paths], int]) -> int:
        """Places that have the rest of their text behind n-grams."""
        total = 0
        waiting = [(paths, rest)]
        while waiting:
            paths, rest = waiting.pop()
            paths = self._that_occur(paths)
            if not len(paths):
                continue
            begin, end = self._range(rest)
            if end - begin > _MANY:
                ends = np.zeros(int(self._ids[-1]) + 1, np.bool_)
                ends[self._sorted_ids[begin:end]] = True
                for path in paths:
                    following = self._counts.next_tokens(path)[0]
                    following = following[following < len(ends)]  # not the end of text
                    total += count(_extended(path[None], following[ends[following]]))
            elif end > begin:
                total += count(_extended(paths, self._sorted_ids[begin:end]))
            for n in range(min(len(rest) - 1, self._longest) + 1):
                same = self._spelt(rest[:n])
                if len(same):
                    waiting.append((_extended(paths, same), rest[n:]))
        return total

    def _range(self, beginning: bytes) -> tuple[int, int]:
        """Where tokens that begin so stand in the order of their texts."""
        begin = bisect_left(self._sorted, beginning)
        return begin, bisect_left(self._sorted, beginning + b"\xff" * (self._longest + 1))

    def _spelt(self, text: bytes) -> NDArray[np.uint32]:
        begin, end = bisect_left(self._sorted, text), bisect_right(self._sorted, text)
        return self._sorted_ids[begin:end]

    def _that_occur(self, paths: Paths) -> Paths:
        return paths[self._each(paths) > 0] if len(paths) else paths

    def _each(self, paths: Paths) -> NDArray[np.int64]:
        n_paths, n = paths.shape
        offsets = np.arange(0, n_paths * n + 1, n, dtype=np.int64)
        return self._counts.count_batch(np.ascontiguousarray(paths).reshape(-1), offsets)

    def _n_at_large(self, paths: Paths) -> int:
        return int(self._each(paths).sum()) if len(paths) else 0

    def _n_at_start(self, paths: Paths) -> int:
        return sum(
            self._n_beginning(np.ascontiguousarray(path)) for path in self._that_occur(paths)
        )


def _extended(paths: Paths, token_ids: NDArray[np.uint32]) -> Paths:
    """Each path with each of the tokens behind it."""
    ends = np.tile(token_ids, len(paths))[:, None]
    return np.concatenate([np.repeat(paths, len(token_ids), axis=0), ends], axis=1)


def _n_inside(text: bytes, token: bytes) -> int:
    """Places of a text in a token, which may overlap."""
    found, at = 0, token.find(text)
    while at >= 0:
        found, at = found + 1, token.find(text, at + 1)
    return found
