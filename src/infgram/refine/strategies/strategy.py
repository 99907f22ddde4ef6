"""What strategies work with, and what a strategy is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from ..edits import Edit
from ..propose import PROPOSERS, Proposer
from ..working_text import HALO, Text, Word

if TYPE_CHECKING:
    from ..network.score import Scorer

_LEAST = math.log(1e-10)  # of a token: those that the network does not know leave gains finite


@dataclass(frozen=True)
class Candidate:
    """What may stand in the place of a word. `source`: of the corpus, where it is known."""

    token_ids: NDArray[np.uint32]
    proposer: str
    source: int | None


Candidates = list[list[list[Candidate]]]  # of each text, of each word


@dataclass(frozen=True)
class Tools:
    """An index's words and a network's judgement."""

    proposer: Proposer
    scorer: Scorer

    @property
    def longest(self) -> int:
        """Tokens of the longest word that the network sees with what it is judged by."""
        return self.scorer.window - 2 * HALO

    def log_likelihoods(self, texts: Sequence[NDArray[np.uint32]]) -> list[NDArray[np.float64]]:
        """For each token its log-probability where it is hidden, in nats; ln 1e-10 at least."""
        return [np.maximum(found, _LEAST) for found in self.scorer.log_likelihoods(texts)]

    def propose(
        self,
        texts: Sequence[Text],
        words: Sequence[Sequence[Word]],
        n_sbis: int,
        n_lexicon: int,
        wanted: str,
        rng: np.random.Generator,
    ) -> Candidates:
        """Candidates for words of the texts, which come from left to right.

        `wanted`: which words, as `Proposer.propose` takes it.
        """
        offsets = np.cumsum([0, *(len(text.token_ids) for text in texts)])
        flat = [
            (begin + offset, end + offset)
            for own, offset in zip(words, offsets.tolist(), strict=False)
            for begin, end in own
        ]
        proposed = self.proposer.propose(
            np.concatenate([np.zeros(0, np.uint32), *(text.token_ids for text in texts)]),
            flat,
            offsets=offsets,
            n_sbis=n_sbis,
            n_lexicon=n_lexicon,
            wanted=wanted,
            seed=rng,
        )
        found: Candidates = [[[] for _ in own] for own in words]
        places = [each for own in found for each in own]
        for i, number in enumerate(proposed.span_of.tolist()):
            source = int(proposed.source_offset[i])
            places[number].append(
                Candidate(
                    proposed[i], PROPOSERS[proposed.proposer[i]], source if source >= 0 else None
                )
            )
        return found

    def standing(self, text: Text) -> dict[Word, int]:
        """Of each of its words, as `Proposer.standing` tells."""
        found = self.proposer.standing(text.token_ids, text.words)
        return dict(zip(text.words, found.tolist(), strict=True))

    def count_between(
        self, text: Text, word: Word, token_ids: Sequence[int] | NDArray[np.uint32]
    ) -> int:
        """How often tokens stand in the corpus between those on both sides of a word."""
        begin, end = word
        before = text.token_ids[max(begin - 1, 0) : begin]
        behind = text.token_ids[end : end + 1]
        return self.proposer.index.count(
            np.concatenate([before, np.array(token_ids, np.uint32), behind])
        )

    def likeliest(
        self,
        texts: Sequence[Text],
        words: Sequence[Sequence[Word]],
        candidates: Candidates,
        n: int,
    ) -> tuple[Candidates, list[list[float]]]:
        """Of each word the n candidates that fit its hole best, and what the best one gains there.

        In nats; -inf where there is no candidate.
        """
        with_old = _with_old(texts, words, candidates)
        scores = self.scorer.masked_scores(_ids(texts), words, with_old)
        best: Candidates = []
        gains: list[list[float]] = []
        for own, of_text in zip(candidates, scores, strict=True):
            orders = [np.argsort(-each[1:], kind="stable")[:n].tolist() for each in of_text]
            best.append([[c[i] for i in order] for c, order in zip(own, orders, strict=True)])
            gains.append(
                [
                    float(each[1 + order[0]] - each[0]) if order else -np.inf
                    for each, order in zip(of_text, orders, strict=True)
                ]
            )
        return best, gains

    def judge(
        self,
        texts: Sequence[Text],
        words: Sequence[Sequence[Word]],
        candidates: Candidates,
        before: Sequence[NDArray[np.float64]],
    ) -> list[list[Edit]]:
        """The best edit of each word that has a candidate, whether it is a gain or not.

        The gain is in the log-likelihoods of the word's tokens and of 10 on both sides. The first
        candidates of all words of a text are judged at once, then the second ones, and so on, so
        words must be further than that from each other.

        - `before`: the `log_likelihoods` of the texts as they are.
        """
        best: list[list[tuple[float, Candidate] | None]] = [[None] * len(own) for own in words]
        for rank in range(max((len(each) for own in candidates for each in own), default=0)):
            tried = [
                _with(text, own, [each[rank] if rank < len(each) else None for each in of_text])
                for text, own, of_text in zip(texts, words, candidates, strict=True)
            ]
            for own, of_text, found, after, known in zip(
                words, candidates, best, self.log_likelihoods(tried), before, strict=True
            ):
                for i, ((begin, end), those) in enumerate(zip(own, of_text, strict=True)):
                    if rank < len(those):
                        gain = gain_around(begin, end, after, known)
                        known_best = found[i]
                        if known_best is None or gain > known_best[0]:
                            found[i] = (gain, those[rank])
        return [
            [
                _edit(text, word, *found)
                for word, found in zip(own, of_text, strict=True)
                if found is not None
            ]
            for text, own, of_text in zip(texts, words, best, strict=True)
        ]


def gain_around(
    begin: int, end: int, after: NDArray[np.float64], before: NDArray[np.float64]
) -> float:
    """What a text gains where it was edited, in nats: the log-likelihoods there and around."""
    around = slice(max(0, begin - HALO), end + HALO)
    return float(after[around].sum() - before[around].sum())


def _with(
    text: Text, words: Sequence[Word], candidates: Sequence[Candidate | None]
) -> NDArray[np.uint32]:
    """The text with candidates in place of words."""
    token_ids = text.token_ids.copy()
    for (begin, end), candidate in zip(words, candidates, strict=True):
        if candidate is not None:
            token_ids[begin:end] = candidate.token_ids
    return token_ids


def _ids(texts: Iterable[Text]) -> list[NDArray[np.uint32]]:
    return [text.token_ids for text in texts]


def _with_old(
    texts: Sequence[Text], words: Sequence[Sequence[Word]], candidates: Candidates
) -> list[list[list[NDArray[np.uint32]]]]:
    """Before the candidates of each word what stands there; nothing where there are none."""
    return [
        [
            [text.token_ids[begin:end], *(each.token_ids for each in those)] if those else []
            for (begin, end), those in zip(own, of_text, strict=True)
        ]
        for text, own, of_text in zip(texts, words, candidates, strict=True)
    ]


def _edit(text: Text, word: Word, gain: float, candidate: Candidate) -> Edit:
    begin, end = word
    return Edit(
        start=begin,
        end=end,
        old=tuple(text.token_ids[begin:end].tolist()),
        new=tuple(candidate.token_ids.tolist()),
        gain=gain,
        proposer=candidate.proposer,
        source_offset=candidate.source,
    )


class Strategy(Protocol):
    """Decides what is edited."""

    def edit(
        self, texts: Sequence[Text], tools: Tools, rng: np.random.Generator
    ) -> list[list[Edit]]:
        """One round: edits of each text, which do not touch each other. Texts stay as they are.

        Their places are counted from the beginning of the prompt.
        """
