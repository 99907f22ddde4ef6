"""The editor: the network finds weak words, the index proposes others, the network judges.

A word is as weak as its pseudo-log-likelihood is low: the network is asked for each token with that
one hidden and the others shown. The weakest get candidates of their length from the index. One
stands if with it the text around gains more than a margin. The network writes nothing itself: small
ones judge better than they write.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import InvalidParameter
from ..edits import Edit
from ..texts import Text, far_apart
from .tools import Tools

_APART = 20  # tokens between words of one round: each is judged beside what is not edited
_PER = 256  # tokens that `words` counts for


@dataclass(frozen=True)
class Editor:
    """Detects, proposes, judges, accepts.

    - `words`: of 256 tokens, that are tried in a round.
    - `margin`: nats that an edit must gain.
    - `commonness`: how much more, for each nat that the new words are commoner than the old ones
      where the corpus has both between the same two tokens. A network finds common words likelier
      wherever they stand; what the corpus does not have at all is replaced without that.
    - `n_sbis`, `n_lexicon`: candidates of each kind, see `Proposer`.
    - `n_judged`: of a word's candidates, those that are judged: the likeliest in its hole.

    Raises InvalidParameter.
    """

    words: int = 8
    margin: float = 4.0
    commonness: float = 1.0
    n_sbis: int = 3
    n_lexicon: int = 3
    n_judged: int = 2

    def __post_init__(self) -> None:
        for name in ("words", "margin", "commonness", "n_judged"):
            if not getattr(self, name) >= 0:
                raise InvalidParameter(f"{name} is {getattr(self, name)}, expected at least 0")

    def edit(
        self, texts: Sequence[Text], tools: Tools, rng: np.random.Generator
    ) -> list[list[Edit]]:
        """One round: edits of each text, which do not touch each other."""
        log_probs = tools.log_likelihoods([text.token_ids for text in texts])
        words = []
        for text, own in zip(texts, log_probs, strict=True):
            reached = np.concatenate([[0.0], np.cumsum(own, dtype=np.float64)])
            weakest = sorted(text.words, key=lambda word: reached[word[1]] - reached[word[0]])
            n = -(-self.words * (len(own) - text.n_prompt) // _PER)
            words.append(far_apart(weakest, _APART, n))
        candidates = tools.propose(texts, words, self.n_sbis, self.n_lexicon, rng)
        likely, _ = tools.likeliest(texts, words, candidates, self.n_judged)
        return [
            [edit for edit in own if edit.gain > self._asked(text, edit, tools)]
            for text, own in zip(texts, tools.judge(texts, words, likely, log_probs), strict=True)
        ]

    def _asked(self, text: Text, edit: Edit, tools: Tools) -> float:
        """Nats that an edit must gain."""
        old = tools.count_between(text, edit, edit.old)
        if old == 0 or edit.gain <= self.margin:
            return self.margin
        new = tools.count_between(text, edit, edit.new)
        return self.margin + self.commonness * max(0.0, math.log((1 + new) / (1 + old)))
