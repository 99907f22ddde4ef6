"""A context as estimators see it: levels of an index, and of the live text on top of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import native
from ..index import Cursor, Index
from ..results import Level
from ..store.layout import COMPACT
from ..text.tokens import ABSENT
from .calibration import exponent_of

LIVE_TOKENS = 1 << 20
"""The live text forgets its older half when it is this long."""

_UNKNOWN = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Counts:
    """What a level knows of its next tokens; arrays of shape (n_tokens,) in the order of codes.

    - `n`, `m`: tokens of context matched, matches that have a next token.
    - `live`: of the live text, not of the corpus.
    - `counts`: how often each token follows.
    - `contexts`: in how many different contexts, one token longer, it follows.
    - `passed`: the sum over those contexts of (what they pass on to the token)**exponent; where
      the token has followed one context alone, that context's own parting decides. With exponent 0
      the same as `contexts`.
    """

    n: int
    m: int
    live: bool
    token_ids: NDArray[np.uint32]
    counts: NDArray[np.int64]
    contexts: NDArray[np.uint32]
    passed: NDArray[np.float64]


class Context:
    """What was read: a cursor, and where the text is counted too (`adapt`), the live text.

    - `exponent`: of the fractional continuation counts (`Counts.passed`). None: the one that the
      index's discounts were fitted with.
    - `alphabet`: uint32, what has a probability: the end of text, the token ids that occur, rising,
      and ABSENT, which stands for all others together.
    - `n_unseen`: how many others the vocabulary has; what they have together they share evenly.
    - `text`: the token ids that `advance` read since a document began, or since one that occurs
      nowhere in the corpus.
    - `begin`, `read`: where the cursor was, and all token ids that `advance` read since.

    >>> import infgram
    >>> context = Context(infgram.build(["to be or not to be"]).cursor("to b"))
    >>> [(level.n, level.m) for level in context.levels()]
    [(4, 2), (0, 18)]
    """

    def __init__(
        self, cursor: Cursor, *, exponent: float | None = None, adapt: bool = False
    ) -> None:
        self.begin = cursor.copy()
        self.cursor = cursor.copy()
        self.exponent = exponent_of(cursor.index) if exponent is None else exponent
        self.adapts = adapt
        self._index: Index = cursor.index
        self._codes = self._index.alphabet
        self.alphabet = np.append(self._codes, np.uint32(ABSENT))
        self.n_unseen = self._index.n_vocabulary - len(self._codes)
        self.text: list[int] = []
        self.read: list[int] = []
        self._live = (
            native.LiveText(
                exponent=self.exponent, max_tokens=LIVE_TOKENS, window=cursor.native.window
            )
            if adapt
            else None
        )

    @property
    def end_of_text(self) -> int:
        """The index's id for the end of a document."""
        return self._index.end_of_text

    def place(self, token_id: int) -> tuple[int, int]:
        """Where a token's probability stands, and how many tokens share it."""
        found = np.flatnonzero(self._codes == token_id)
        return (int(found[0]), 1) if len(found) else (len(self._codes), max(self.n_unseen, 1))

    def longest(self) -> Level:
        """The longest level of the corpus; n = 0 where nothing of the context occurs."""
        levels = self.cursor.levels()
        return levels[0] if levels else Level(0, self.cursor.ntd().prompt_cnt)

    def advance(self, token_id: int) -> None:
        """Reads a token, the end of text among them."""
        self.cursor.advance(token_id)
        self.read.append(token_id)
        code = np.flatnonzero(self._codes == token_id)
        if code.any():  # it occurs, and is no end of text
            self.text.append(token_id)
        else:
            self.text.clear()
        if self._live is not None:
            self._live.read(np.array(code if len(code) else [_UNKNOWN], np.uint32))

    def levels(self, *, apart: bool = False) -> list[Counts]:
        """Levels of the corpus, longest first; the last is the empty context, n = 0.

        The compact layout does not tell different contexts, nor does an index that has grown:
        `contexts` is 0 and `passed` NaN. `apart`: those of each segment are counted apart, and the
        ends of their last documents not at all.
        """
        index = self.cursor.index
        if index.layout == COMPACT or not (apart or index.segments.is_one):
            return self._counted_levels()
        return [
            Counts(n, m, False, token_ids, counts, contexts, passed)
            for n, m, token_ids, counts, contexts, passed in self.cursor.native.read_levels(
                self.exponent
            )
        ]

    def _counted_levels(self) -> list[Counts]:
        cursor, found = self.cursor.native, []
        for i in range(len(cursor.levels()) + 1):
            n, (token_ids, counts, m) = cursor.next_tokens(i)
            contexts, passed = np.zeros_like(token_ids), np.full(len(counts), np.nan)
            found.append(Counts(n, m, False, token_ids, counts, contexts, passed))
        return found

    def following(self, level: int) -> NDArray[np.uint32]:
        """What follows each match of the i-th of `levels`, in the order of rows; uint32 (m,)."""
        return self.cursor.native.following(level)

    def live_levels(self) -> list[Counts]:
        """Levels of the live text, longest first, the empty context last; none before it began."""
        found = []
        for n, m, codes, *arrays in self._live.read_levels() if self._live else ():
            order = np.argsort(codes)
            counts, contexts, passed = (array[order] for array in arrays)
            token_ids = self._codes[codes[order]]
            found.append(Counts(n, m, True, token_ids, counts.astype(np.int64), contexts, passed))
        return found

    def merged_levels(self) -> list[Counts]:
        """Levels of corpus and live text as one list, longest first, the empty context last.

        At length n each gives its shortest level that is at least n long; what gains no match over
        a longer level is none.
        """
        corpus, live, end_of_text = self.levels(), self.live_levels(), self.end_of_text
        merged: list[Counts] = []
        for n in sorted({level.n for level in [*corpus, *live]}, reverse=True):
            parts = [
                [level for level in levels if level.n >= n][-1]
                for levels in (corpus, live)
                if levels and levels[0].n >= n
            ]
            m = sum(part.m for part in parts)
            if n == 0 or m > (merged[-1].m if merged else 0):
                token_ids = np.concatenate([part.token_ids for part in parts]).astype(np.int64)
                token_ids[token_ids == end_of_text] = -1  # its code comes first
                distinct, inverse = np.unique(token_ids, return_inverse=True)
                counts = np.zeros(len(distinct), np.int64)
                np.add.at(counts, inverse, np.concatenate([part.counts for part in parts]))
                distinct[distinct == -1] = end_of_text
                ids = distinct.astype(np.uint32)
                merged.append(
                    Counts(n, m, False, ids, counts, np.ones_like(ids), np.ones(len(ids)))
                )
        return merged
