"""A context as estimators see it: levels of an index, and of the live text on top of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from . import _core
from .errors import CorruptIndex

if TYPE_CHECKING:
    from .index import Cursor, Index

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

    `exponent` is that of the fractional continuation counts (`Counts.passed`).

    >>> import infgram
    >>> context = Context(infgram.open(demo_index).cursor("to b"))
    >>> [(level.n, level.m) for level in context.levels()]
    [(4, 2), (1, 3), (0, 21)]
    """

    def __init__(self, cursor: Cursor, *, exponent: float = 0.0, adapt: bool = False) -> None:
        self.cursor = cursor.copy()
        self.exponent = exponent
        self._index: Index = cursor.index
        self._alphabet = self._index.alphabet
        self._live = (
            _core.LiveText(exponent=exponent, max_tokens=LIVE_TOKENS, window=cursor.native.window)
            if adapt
            else None
        )

    @property
    def end_of_text(self) -> int:
        """The index's id for the end of a document."""
        return self._index.end_of_text

    def advance(self, token_id: int) -> None:
        """Reads a token, the end of text among them."""
        self.cursor.advance(token_id)
        if self._live is not None:
            code = np.flatnonzero(self._alphabet == token_id)
            self._live.read(np.array(code if len(code) else [_UNKNOWN], np.uint32))

    def levels(self) -> list[Counts]:
        """Levels of the corpus, longest first; the last is the empty context, n = 0."""
        found = []
        levels = [*self.cursor.levels(), (0, 0)]
        for i, (n, _) in enumerate(levels):
            ntd = self.cursor.ntd(i)
            token_ids, contexts, passed, m = self.cursor.native.continuations(i, self.exponent)
            if not np.array_equal(ntd.token_ids, token_ids) or ntd.prompt_cnt != m:
                raise CorruptIndex(
                    f"{self._index.path}: its ranks contradict its rows; run `infgram verify`, and "
                    "build the index again"
                )
            found.append(Counts(n, m, False, token_ids, ntd.counts, contexts, passed))
        return found

    def live_levels(self) -> list[Counts]:
        """Levels of the live text, longest first, the empty context last; none before it began."""
        if self._live is None:
            return []
        found = []
        for i, (n, m) in enumerate(self._live.levels()):
            codes, counts, contexts, passed = self._live.continuations(i)
            order = np.argsort(codes)
            found.append(
                Counts(
                    n,
                    m,
                    True,
                    self._alphabet[codes[order]],
                    counts[order].astype(np.int64),
                    contexts[order],
                    passed[order],
                )
            )
        return found
