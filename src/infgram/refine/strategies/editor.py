"""The editor: the network finds weak words, the index proposes others, the network judges.

A word that the corpus has beside both of its neighbours is no fault. Of the others, those of the
lowest standing come first (`Proposer.standing`); then a word is as weak as its
pseudo-log-likelihood is low: the network is asked for each token with that one hidden and the
others shown. The weakest get candidates of their length from the index, words of a higher standing.
One stands if with it the text around gains more than a margin. The network writes nothing itself:
small ones judge better than they write.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...checks import number, whole
from ..edits import Edit
from ..propose import FITS
from ..working_text import Text, Word, far_apart
from .strategy import Tools

_APART = 20  # tokens between words of one round: each is judged beside what is not edited
_PER = 256  # tokens that `words` counts for


@dataclass(frozen=True)
class Editor:
    """Detects, proposes, judges, accepts.

    - `words`: of 256 tokens, that are tried in a round.
    - `margin`: nats that an edit of a word must gain that the corpus does not have; twice as many
      for one that it has, and three times for one that fits on one side.
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
        standing = [tools.standing(text) for text in texts]
        words = []
        for text, own, of_text in zip(texts, log_probs, standing, strict=True):
            n = -(-self.words * (len(own) - text.n_prompt) // _PER)
            words.append(far_apart(_weakest_first(of_text, own), _APART, n))
        candidates = tools.propose(texts, words, self.n_sbis, self.n_lexicon, "better", rng)
        likely, _ = tools.likeliest(texts, words, candidates, self.n_judged)
        judged = tools.judge(texts, words, likely, log_probs)
        return [
            [
                edit
                for edit in own
                if edit.gain > self._asked(text, edit, of_text[edit.start, edit.end], tools)
            ]
            for text, own, of_text in zip(texts, judged, standing, strict=True)
        ]

    def _asked(self, text: Text, edit: Edit, standing: int, tools: Tools) -> float:
        """Nats that an edit must gain."""
        margin = self.margin * (1 + standing)
        place = (edit.start, edit.end)
        old = tools.count_between(text, place, edit.old)
        if old == 0 or edit.gain <= margin:
            return margin
        new = tools.count_between(text, place, edit.new)
        return margin + self.commonness * max(0.0, math.log((1 + new) / (1 + old)))


def _weakest_first(standing: Mapping[Word, int], log_probs: NDArray[np.float64]) -> list[Word]:
    """Words that do not fit on both sides."""
    strength = {
        (begin, end): (n, float(log_probs[begin:end].sum()))
        for (begin, end), n in standing.items()
        if n < FITS
    }
    return sorted(strength, key=strength.__getitem__)
