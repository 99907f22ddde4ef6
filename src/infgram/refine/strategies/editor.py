"""The editor: the network finds weak words, the index proposes others, the network judges.

Words that the corpus does not have come first, since most of them are none. Of these, and then of
the others, a word is as weak as its pseudo-log-likelihood is low: the network is asked for each
token with that one hidden and the others shown. The weakest get candidates of their length from the
index. One stands if with it the text around gains more than a margin. The network writes nothing
itself: small ones judge better than they write.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...checks import number, whole
from ..edits import Edit
from ..working_text import Text, Word, far_apart
from .strategy import Tools

_APART = 20  # tokens between words of one round: each is judged beside what is not edited
_PER = 256  # tokens that `words` counts for


@dataclass(frozen=True)
class Editor:
    """Detects, proposes, judges, accepts.

    - `words`: of 256 tokens, that are tried in a round.
    - `margin`: nats that an edit must gain.
    - `commonness`: how much more, for each nat that the new words are commoner than the old ones
      where the corpus has both between the same two tokens. A network finds common words likelier
      wherever they stand; a word that the corpus does not have there is replaced without that.
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
        whole(0, words=self.words, n_judged=self.n_judged)
        number(0, margin=self.margin, commonness=self.commonness)

    def edit(
        self, texts: Sequence[Text], tools: Tools, rng: np.random.Generator
    ) -> list[list[Edit]]:
        """One round: edits of each text, which do not touch each other."""
        log_probs = tools.log_likelihoods([text.token_ids for text in texts])
        words = []
        for text, own in zip(texts, log_probs, strict=True):
            n = -(-self.words * (len(own) - text.n_prompt) // _PER)
            words.append(far_apart(_weakest_first(text, own, tools), _APART, n))
        candidates = tools.propose(texts, words, self.n_sbis, self.n_lexicon, rng)
        likely, _ = tools.likeliest(texts, words, candidates, self.n_judged)
        return [
            [edit for edit in own if edit.gain > self._asked(text, edit, tools)]
            for text, own in zip(texts, tools.judge(texts, words, likely, log_probs), strict=True)
        ]

    def _asked(self, text: Text, edit: Edit, tools: Tools) -> float:
        """Nats that an edit must gain."""
        place = (edit.start, edit.end)
        old = tools.count_between(text, place, edit.old)
        if old == 0 or edit.gain <= self.margin:
            return self.margin
        new = tools.count_between(text, place, edit.new)
        return self.margin + self.commonness * max(0.0, math.log((1 + new) / (1 + old)))


def _weakest_first(text: Text, log_probs: NDArray[np.float64], tools: Tools) -> list[Word]:
    """The words of a text: those that the corpus does not have, and those that it has."""
    strength = {
        (begin, end): (
            tools.count_between(text, (begin, end), text.token_ids[begin:end]) > 0,
            float(log_probs[begin:end].sum()),
        )
        for begin, end in text.words
    }
    return sorted(strength, key=strength.__getitem__)
