"""Re-masking: what the network is unsure of becomes holes, and the network fills them.

The plain form of a refiner, and two baselines. Holes are filled several at a time: all tokens that
the network is sure of, and at least the surest (confidence-aware parallel decoding). A network as
small as "nano" writes worse than the index does, so `Editor` is the default; docs/refiner.md has
the figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...checks import number, whole
from ..edits import Edit
from ..words import YES
from ..working_text import Text
from .strategy import Tools, gain_around

_FILL = "fill"


@dataclass(frozen=True)
class Remask:
    """Spans that the network is least sure of are masked and filled.

    - `share`: of a text's tokens that are masked in a round.
    - `widen`: tokens on both sides of an unsure one that are masked with it.
    - `temperature`: that tokens are drawn at; 0 takes the likeliest.
    - `threshold`: a token as probable as that stays at once.
    - `steps`: after so many readings all holes are filled.
    - `only_better`: a span stands only where the text around gains by it.

    Raises InvalidParameter.
    """

    share: float = 0.15
    widen: int = 2
    temperature: float = 0.7
    threshold: float = 0.9
    steps: int = 8
    only_better: bool = True

    def __post_init__(self) -> None:
        _check(self)

    def edit(
        self, texts: Sequence[Text], tools: Tools, rng: np.random.Generator
    ) -> list[list[Edit]]:
        """One round: edits of each text, which do not touch each other."""
        sure = tools.scorer.confidence([text.token_ids for text in texts])
        holes = [
            _worst(own, text.may == YES, self.share, self.widen)
            for text, own in zip(texts, sure, strict=True)
        ]
        filled = _filled(texts, holes, self, tools, rng)
        least = 0.0 if self.only_better else -np.inf
        return _edits(texts, holes, filled, tools, least)


@dataclass(frozen=True)
class Schedule:
    """Spans anywhere are masked and filled, and stand whatever they are: a baseline.

    Parameters are those of `Remask`.
    """

    share: float = 0.15
    widen: int = 2
    temperature: float = 0.7
    threshold: float = 0.9
    steps: int = 8

    def __post_init__(self) -> None:
        _check(self)

    def edit(
        self, texts: Sequence[Text], tools: Tools, rng: np.random.Generator
    ) -> list[list[Edit]]:
        """One round: edits of each text, which do not touch each other."""
        holes = [
            _worst(rng.random(len(text.may)), text.may == YES, self.share, self.widen)
            for text in texts
        ]
        return _edits(texts, holes, _filled(texts, holes, self, tools, rng), tools, -np.inf)


@dataclass(frozen=True)
class TokenToToken:
    """Single tokens are exchanged where the network, seeing all, would have another: a baseline.

    - `most_old`: probability of a token that may go, at most.
    - `least_new`: probability of one that may come, at least.
    """

    most_old: float = 0.05
    least_new: float = 0.7

    def edit(
        self, texts: Sequence[Text], tools: Tools, rng: np.random.Generator
    ) -> list[list[Edit]]:
        """One round: edits of each text, which do not touch each other."""
        given = [text.token_ids for text in texts]
        old = tools.scorer.confidence(given)
        filled, holes = [], []
        for text, sure, (best, prob) in zip(texts, old, tools.scorer.likeliest(given), strict=True):
            hole = (text.may == YES) & (sure <= self.most_old) & (prob >= self.least_new)
            filled.append(np.where(hole, best, text.token_ids))
            holes.append(hole)
        return _edits(texts, holes, filled, tools, -np.inf)


def _check(how: Remask | Schedule) -> None:
    number(0, 1, share=how.share)
    whole(0, widen=how.widen)


def _worst(
    confidence: NDArray[np.floating], may: NDArray[np.bool_], share: float, widen: int
) -> NDArray[np.bool_]:
    """Flags of the least confident tokens that may be edited, and of those around them."""
    masked = np.zeros(len(may), bool)
    n = round(share * int(may.sum()))
    for place in np.argsort(np.where(may, confidence, np.inf), kind="stable").tolist():
        if np.count_nonzero(masked & may) >= n:
            break
        masked[max(0, place - widen) : place + widen + 1] = True
    return masked & may


def _filled(
    texts: Sequence[Text],
    holes: Sequence[NDArray[np.bool_]],
    how: Remask | Schedule,
    tools: Tools,
    rng: np.random.Generator,
) -> list[NDArray[np.uint32]]:
    return tools.scorer.fill(
        [text.token_ids for text in texts],
        holes,
        steps=how.steps,
        threshold=how.threshold,
        temperature=how.temperature,
        seed=rng,
    )


def _edits(
    texts: Sequence[Text],
    holes: Sequence[NDArray[np.bool_]],
    filled: Sequence[NDArray[np.uint32]],
    tools: Tools,
    least: float,
) -> list[list[Edit]]:
    """Of each text the spans of its holes that have become others, and gained more than `least`."""
    before = tools.log_likelihoods([text.token_ids for text in texts])
    after = tools.log_likelihoods(filled)
    edits: list[list[Edit]] = []
    for text, hole, new, now, then in zip(texts, holes, filled, after, before, strict=True):
        edges = np.flatnonzero(np.diff(np.concatenate([[False], hole, [False]])))
        own = []
        for begin, end in edges.reshape(-1, 2).tolist():
            gain = gain_around(begin, end, now, then)
            is_other = not np.array_equal(new[begin:end], text.token_ids[begin:end])
            if is_other and gain > least:
                old = tuple(text.token_ids[begin:end].tolist())
                own.append(Edit(begin, end, old, tuple(new[begin:end].tolist()), gain, _FILL, None))
        edits.append(own)
    return edits
