"""Estimators: from the levels of a context to probabilities of the next token. The definitions.

Every estimator is a mixture of levels: each level has a weight and a distribution, the weights sum
to one, and so do the mixtures. They are written here to be read, over numpy, in the terms of their
sources. The native core does the same sums in the same order; tests hold the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from . import _core
from .calibrate import Calibration, calibration_of
from .context import Context, Counts
from .errors import InvalidParameter

_NO_WINDOW = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Component:
    """One part of a mixture: a level, its weight, and its distribution over next tokens.

    `m` is 0 for what is no level: the uniform distribution behind all of them.
    """

    n: int
    m: int
    live: bool
    weight: float
    token_ids: NDArray[np.uint32]
    prob: NDArray[np.float64]

    def prob_of(self, token_id: int) -> float:
        """The component's probability of a token."""
        return float(self.prob[self.token_ids == token_id].sum())


@dataclass(frozen=True)
class SBIS:
    """Selective Back-off Interpolation Sampling: mix the first k levels, weighted by decay**i.

    A level is a suffix of the context with more matches than any longer one, so each of the k
    levels adds evidence. The weight of token w is the sum over levels i of decay**i * count_i(w).

    - `k`: levels to mix, -1 for all.
    - `decay`: how much less each further level counts.
    - `weighting`: "counts" mixes raw counts, as the published program does; "distributions" first
      divides each level by its m, as its description says.
    - `window`: tokens of context that are seen.
    - `floor`: the probability of each token of the alphabet that no level has; the others share
      what is left. Without it such a token has probability 0.

    Where nothing of the context occurs in the corpus, the level is that of all tokens. A live text
    adds its counts to those of the corpus.

    Source: Nathan Barry, "Language Modeling Without Neural Networks" (2026).

    >>> SBIS(k=3).decay
    0.1
    """

    k: int = 2
    decay: float = 0.1
    weighting: Literal["counts", "distributions"] = "counts"
    window: int = 200
    floor: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.k, int) or not -1 <= self.k < 2**31 or self.k == 0:
            raise InvalidParameter(f"k is {self.k}, expected a number of levels or -1 for all")
        if not 0 <= self.decay <= 1:
            raise InvalidParameter(f"decay is {self.decay}, expected 0 to 1")
        if self.weighting not in ("counts", "distributions"):
            raise InvalidParameter(
                f"weighting is {self.weighting!r}, expected 'counts' or 'distributions'"
            )
        _check_window(self.window)
        if not 0 <= self.floor <= 1e-3:
            raise InvalidParameter(f"floor is {self.floor}, expected 0 to 0.001")

    def mixture(self, context: Context) -> list[Component]:
        """The levels mixed, longest first."""
        levels = merged_levels(context)
        mixed = levels[:-1] if self.k == -1 else levels[:-1][: self.k]
        mixed = mixed or levels[-1:]
        decays = np.cumprod([1.0] + [self.decay] * (len(mixed) - 1))
        scales = [level.m if self.weighting == "counts" else 1.0 for level in mixed]
        weights = decays * scales
        components = [
            Component(
                level.n,
                level.m,
                False,
                float(weight / weights.sum()),
                level.token_ids,
                level.counts / level.m,
            )
            for level, weight in zip(mixed, weights, strict=True)
        ]
        return self._with_floor(components, levels[-1].token_ids) if self.floor else components

    def _with_floor(
        self, components: list[Component], alphabet: NDArray[np.uint32]
    ) -> list[Component]:
        """Tokens without a weight get the floor, as one more component."""
        seen = [c.token_ids for c in components if c.weight > 0]
        unseen = np.setdiff1d(alphabet, np.concatenate(seen))
        if not len(unseen):
            return components
        floor = self.floor * len(unseen)
        uniform = np.full(len(unseen), 1 / len(unseen))
        return [
            *(
                Component(c.n, c.m, c.live, c.weight * (1 - floor), c.token_ids, c.prob)
                for c in components
            ),
            Component(0, 0, False, floor, unseen, uniform),
        ]


@dataclass(frozen=True)
class Longest:
    """The infinity-gram: the distribution of the longest level, and nothing else.

    A token that never followed it has probability 0.

    Source: Liu et al., "Infini-gram" (2024), arXiv 2401.17377.
    """

    window: int = 1000

    def __post_init__(self) -> None:
        _check_window(self.window)

    def mixture(self, context: Context) -> list[Component]:
        """The longest level, alone."""
        return SBIS(k=1, window=self.window).mixture(context)


@dataclass(frozen=True)
class KneserNey:
    """Interpolated Kneser-Ney of unbounded order, with fractional counts and fitted discounts.

    Every level gives each next token its continuation count (in how many different contexts, one
    token longer, was it seen?) less a discount; what was kept back goes to the next shorter level,
    and at last to the uniform distribution over the alphabet. So every token has a probability.
    The longest level's counts are continuation counts too.

    The counts are fractional: a context passes on a power of its own count and not 1, between raw
    counts and Kneser-Ney's, as hierarchical Pitman-Yor processes do. The discounts depend on what
    a level looks like, and are fitted on the index's own text (`infgram.calibrate`). A live text's
    levels stand above those of the corpus of the same length.

    - `max_order`: the longest n-gram, one more than the tokens of context that are seen; None sees
      up to 253 tokens.

    Sources: Kneser and Ney (1995); Chen and Goodman (1999); Teh (2006), "A hierarchical Bayesian
    language model based on Pitman-Yor processes"; Wood et al. (2009), "A stochastic memoizer for
    sequence data". docs/estimators.md tells what was tried.
    """

    max_order: int | None = None

    def __post_init__(self) -> None:
        order = self.max_order
        if order is not None and not (isinstance(order, int) and 2 <= order <= MAX_ORDER):
            raise InvalidParameter(f"max_order is {order!r}, expected 2 to {MAX_ORDER}, or None")

    @property
    def window(self) -> int:
        """Tokens of context that are seen."""
        return (self.max_order or MAX_ORDER) - 1

    def mixture(self, context: Context, calibration: Calibration | None = None) -> list[Component]:
        """The levels of live text and corpus, longest first, and the uniform distribution.

        The context must have been made with the calibration's exponent.
        """
        live = context.live_levels()
        corpus = context.levels()
        if calibration is None:
            calibration = calibration_of(context.cursor.index, adapt=bool(live))
        components = []
        rest = 1.0
        for level, shorter in _interleaved(corpus, live):
            single = bool((level.contexts == 1).all())
            discounts = np.array(
                calibration.discount(
                    live=level.live,
                    n=level.n,
                    n_shorter=shorter.n if shorter else 0,
                    n_types=len(level.token_ids),
                    n_types_shorter=len(shorter.token_ids) if shorter else 0,
                    m=level.m,
                    n_corpus=corpus[0].n,
                    n_live=live[0].n if live else 0,
                    single=single,
                )
            )
            kept_back = discounts[np.minimum(level.contexts, 3) - 1]
            total = level.passed.sum()
            share = (level.passed - kept_back) / total
            own = float(share.sum())
            if own > 0:
                components.append(
                    Component(
                        level.n, level.m, level.live, rest * own, level.token_ids, share / own
                    )
                )
            rest *= float(kept_back.sum() / total)
        alphabet = corpus[-1].token_ids
        uniform = np.full(len(alphabet), 1 / len(alphabet))
        return [*components, Component(0, 0, False, rest, alphabet, uniform)]


MAX_ORDER: int = _core.max_context + 1
Estimator = Longest | SBIS | KneserNey


def _check_window(window: object) -> None:
    if not isinstance(window, int) or not 1 <= window <= _NO_WINDOW:
        raise InvalidParameter(f"window is {window!r}, expected a number from 1 to {_NO_WINDOW}")


def merged_levels(context: Context) -> list[Counts]:
    """Levels of corpus and live text as one list: at length n each gives its shortest level that
    is at least n long, and what gains no match over a longer level is none. The last one, n = 0,
    always stands there."""
    corpus, live, end_of_text = context.levels(), context.live_levels(), context.end_of_text
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
            merged.append(Counts(n, m, False, ids, counts, np.ones_like(ids), np.ones(len(ids))))
    return merged


def _interleaved(
    corpus: Sequence[Counts], live: Sequence[Counts]
) -> list[tuple[Counts, Counts | None]]:
    """Levels with the next shorter one of their kind, by falling n, live ones first."""
    pairs = [pair for levels in (live, corpus) for pair in zip_longest(levels, levels[1:])]
    return sorted(pairs, key=lambda pair: -pair[0].n)  # stable: live ones stay first


def distribution(mixture: Sequence[Component], alphabet: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Probabilities of the alphabet's tokens, in its order."""
    place = {int(token_id): i for i, token_id in enumerate(alphabet)}
    prob = np.zeros(len(alphabet))
    for component in mixture:
        at = [place[token_id] for token_id in component.token_ids.tolist()]
        prob[at] += component.weight * component.prob
    return prob


def draw(
    token_ids: NDArray[np.uint32],
    weights: NDArray[np.float64],
    *,
    temperature: float,
    rng: np.random.Generator,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
) -> int:
    """Draws a token with probability proportional to weight**(1 / temperature).

    `top_k` keeps so many of the heaviest (0: all), `top_p` the heaviest of those that together
    reach this share, `min_p` those with at least this share of the heaviest one's probability.
    The heaviest always stays. One uniform number decides; at temperature 0 none is drawn and the
    heaviest token wins, the first among equals.

    >>> draw(np.array([7, 9], np.uint32), np.array([1.0, 3.0]), temperature=0.0,
    ...      rng=np.random.default_rng(0))
    9
    """
    if temperature == 0.0:
        return int(token_ids[np.argmax(weights)])
    heaviest = weights.max()
    exponent = 1.0 / temperature
    shares = np.array([float(w / heaviest) ** exponent for w in weights])
    if top_k or top_p < 1.0 or min_p > 0.0:
        order = np.argsort(-shares, kind="stable")[: top_k or None]
        before = np.concatenate([[0.0], np.cumsum(shares[order])])
        kept = (before[:-1] < top_p * before[-1]) & (shares[order] >= min_p * shares[order[0]])
        kept[0] = True
        limited = np.zeros_like(shares)
        limited[order[kept]] = shares[order[kept]]
        shares = limited
    reached = np.cumsum(shares)
    drawn = rng.random() * reached[-1]
    chosen = np.searchsorted(reached, drawn, side="right")
    return int(token_ids[min(chosen, len(token_ids) - 1)])
