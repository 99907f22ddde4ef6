"""The limit to copying: of each verbatim run too long, the word whose loss hurts least goes.

One of a run's first `max_copy` + 1 tokens has to be another. Which word it is and what takes its
place is decided as the editor decides, with the difference that an edit must break the run, and may
cost something. Where no word can be exchanged, as in indentation, punctuation and digits, a mark
can: a character that is no letter becomes another such character.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...index import Index
from ...tracing.copying import certify
from ..edits import Edit
from ..propose import EXCHANGE
from ..words import marks_of
from ..working_text import Text, Word, far_apart
from .strategy import Candidate, Candidates, Tools

_APART = 20  # tokens between words of one round: each is judged beside what is not edited


@dataclass(frozen=True)
class Cap:
    """Edits until no run of more than `max_copy` tokens of a text stands in the corpus.

    - `marks`: exchange marks instead of words.
    - `n_sbis`, `n_lexicon`, `n_judged`: as those of `Editor`.
    """

    index: Index
    max_copy: int
    marks: bool = False
    n_sbis: int = 3
    n_lexicon: int = 8
    n_judged: int = 3

    def edit(
        self, texts: Sequence[Text], tools: Tools, rng: np.random.Generator
    ) -> list[list[Edit]]:
        """One round: edits of each text, which do not touch each other."""
        runs = [self._runs(text) for text in texts]
        if not any(runs):
            return [[] for _ in texts]
        words = [sorted({word for run in own for word in run}) for own in runs]
        candidates = [
            [
                [each for each in those if self._breaks(text, word, each)]
                for word, those in zip(own, of_text, strict=True)
            ]
            for text, own, of_text in zip(
                texts, words, self._propose(texts, words, tools, rng), strict=True
            )
        ]
        likely, gains = tools.likeliest(texts, words, candidates, self.n_judged)
        chosen = [
            _least_loss(own, dict(zip(of_text, gain, strict=True)))
            for own, of_text, gain in zip(runs, words, gains, strict=True)
        ]
        kept = [
            [those for word, those in zip(own, of_text, strict=True) if word in some]
            for own, of_text, some in zip(words, likely, chosen, strict=True)
        ]
        before = tools.log_likelihoods([text.token_ids for text in texts])
        return tools.judge(texts, chosen, kept, before)

    def _propose(
        self,
        texts: Sequence[Text],
        words: Sequence[Sequence[Word]],
        tools: Tools,
        rng: np.random.Generator,
    ) -> Candidates:
        if not self.marks:
            return tools.propose(texts, words, self.n_sbis, self.n_lexicon, "word", rng)
        marks = [Candidate(mark[None], EXCHANGE, None) for mark in marks_of(self.index)]
        return [
            [
                [each for each in marks if each.token_ids[0] != text.token_ids[begin]]
                for begin, _ in own
            ]
            for text, own in zip(texts, words, strict=True)
        ]

    def _runs(self, text: Text) -> list[list[Word]]:
        """For each run that is too long, the words or marks that may be edited to break it."""
        n_prompt = text.n_prompt
        places = text.marks(self.index) if self.marks else text.words
        own = certify(self.index, text.token_ids[n_prompt:], max_copy=self.max_copy)
        found = []
        for begin, end in own.runs:
            # a run of twice the limit has to be broken more than once
            for first in range(begin + n_prompt, end + n_prompt - self.max_copy, self.max_copy):
                last = first + self.max_copy + 1
                found.append([word for word in places if word[1] > first and word[0] < last])
        return found

    def _breaks(self, text: Text, word: Word, candidate: Candidate) -> bool:
        """Whether no run through the word is too long with the candidate in it."""
        begin, end = word
        first = max(text.n_prompt, begin - self.max_copy)
        around = text.token_ids[first : end + self.max_copy].copy()
        around[begin - first : end - first] = candidate.token_ids
        runs = certify(self.index, around, max_copy=self.max_copy).runs
        return all(end <= begin - first for _, end in runs)


def _least_loss(runs: Sequence[Sequence[Word]], gains: dict[Word, float]) -> list[Word]:
    """Of each run the word that gains most, where it is far enough from those of other runs."""
    best = [
        max((word for word in run if gains[word] > -np.inf), key=gains.__getitem__, default=None)
        for run in runs
    ]
    return far_apart((word for word in best if word is not None), _APART, len(runs))
