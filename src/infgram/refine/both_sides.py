"""Rounds of polish in Python, with a model of each side of the index for a judge.

The core does the same with Kneser-Ney and no other estimator, several times as fast.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..index import Index
from ..models.definition import Estimator
from ..models.model import Model
from .edits import Edit
from .propose import FITS, PROPOSERS, Proposer
from .working_text import Word

_BEFORE = 32  # tokens that are read before what is judged
_BEHIND = 16  # tokens behind an edit that are judged with it
_TOUCHED = 6  # tokens around an edit whose words are looked at again

Ids = NDArray[np.uint32]


@dataclass(frozen=True)
class Rounds:
    """How words are edited.

    - `n`: rounds, fewer where one edits nothing; `share`: of the words, the least probable ones,
      that a round looks at.
    - `margin`: nats, the mean of both sides; as often again as the word's standing is.
    - `n_sbis`, `n_lexicon`: candidates, see `Proposer`.
    """

    n: int
    share: float
    margin: float
    n_sbis: int
    n_lexicon: int


class BothSides:
    """Judges and edits with an estimator, of a two-sided index.

    Raises NotTwoSided, and what the estimator raises for the index, at the first look.

    >>> import infgram
    >>> index = infgram.build(["to be or not to be"], two_sided=True)
    >>> ids = index.ids("to te or not ").astype(np.uint32)
    >>> how = Rounds(n=1, share=1.0, margin=4.0, n_sbis=3, n_lexicon=3)
    >>> edits = BothSides(index, infgram.KneserNey()).edit(
    ...     ids, [(3, 5)], how, np.random.default_rng(0)
    ... )
    >>> [bytes(edit.new) for edit in edits], bytes(ids.tolist())
    ([b'be'], b'to be or not ')
    """

    def __init__(self, index: Index, estimator: Estimator) -> None:
        self._models = (Model(index, estimator), Model(index.backwards, estimator))
        self._proposer = Proposer(index)

    def edit(
        self, token_ids: Ids, words: Sequence[Word], rounds: Rounds, rng: np.random.Generator
    ) -> Iterator[Edit]:
        """Edits token_ids in place, and gives the edits in the order in which they were made.

        `words`: those that may be edited; each ends before the text does.
        """
        touched = np.ones(len(token_ids), np.bool_)
        for number in range(rounds.n):
            n = math.ceil(rounds.share * len(words))
            edited = False
            for begin, end in self._weakest_first(token_ids, words)[:n]:
                if not touched[begin:end].any():
                    continue
                touched[begin:end] = False
                edit = self._best(token_ids, (begin, end), number, rounds, rng)
                if edit is None:
                    continue
                token_ids[begin:end] = edit.new
                touched[max(begin - _TOUCHED, 0) : end + _TOUCHED] = True
                edited = True
                yield edit
            if not edited:
                return

    def _best(
        self,
        token_ids: Ids,
        word: Word,
        number: int,
        rounds: Rounds,
        rng: np.random.Generator,
    ) -> Edit | None:
        """The edit of a word that gains most, if that is enough."""
        begin, end = word
        standing = int(self._proposer.standing(token_ids, [word])[0])
        if standing == FITS:
            return None
        found = self._proposer.propose(
            token_ids,
            [word],
            n_sbis=rounds.n_sbis,
            n_lexicon=rounds.n_lexicon,
            wanted="better",
            seed=rng,
        )
        if not len(found):
            return None
        before = self._log_prob(token_ids, word)
        changed = token_ids.copy()
        gains = []
        for i in range(len(found)):
            changed[begin:end] = found[i]
            gains.append(self._log_prob(changed, word) - before)
        best = int(np.argmax(gains))
        if gains[best] <= rounds.margin * (1 + standing):
            return None
        source = int(found.source_offset[best])
        return Edit(
            start=begin,
            end=end,
            old=tuple(token_ids[begin:end].tolist()),
            new=tuple(found[best].tolist()),
            gain=gains[best],
            proposer=PROPOSERS[found.proposer[best]],
            source_offset=source if source >= 0 else None,
            round=number,
        )

    def _log_prob(self, token_ids: Ids, word: Word) -> float:
        """Of a word and of what stands behind it in the order of reading, the mean of both sides.

        O(1) tokens.
        """
        begin, end = word
        n = len(token_ids)
        total = 0.0
        for model, ids, at, behind in zip(
            self._models,
            (token_ids, token_ids[::-1]),
            (begin, n - end),
            (end, n - begin),
            strict=True,
        ):
            context = ids[max(at - _BEFORE, 0) : at]
            total += float(model.score(ids[at : behind + _BEHIND], context=context).log_prob.sum())
        return total / 2

    def _weakest_first(self, token_ids: Ids, words: Sequence[Word]) -> list[Word]:
        """By the mean, of both sides, over the tokens of a word and the one that it ends at."""
        forwards, backwards = (
            model.score(ids).log_prob
            for model, ids in zip(self._models, (token_ids, token_ids[::-1]), strict=True)
        )
        backwards = backwards[::-1]

        def strength(word: Word) -> float:
            begin, end = word
            first = max(begin - 1, 0)
            both = forwards[begin : end + 1].sum() + backwards[first:end].sum()
            return float(both) / (end - begin + 1)

        return sorted(words, key=strength)
