"""Estimators: from the levels of a context to probabilities of the next token. The definitions.

Each is a mixture of levels: each level has a weight and a distribution, the weights sum to one, and
so do the mixtures. They are written here to be read, over numpy, in the terms of their sources. The
native core does the same sums in the same order; tests hold the two together. Another estimator is
another class here, and a header in csrc/infgram/models if it is to be fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .. import native
from ..checks import number, one_of, whole
from ..errors import InvalidParameter
from ..index import NO_WINDOW, Cursor
from ..text.tokens import ABSENT
from .calibration import calibration_of, kneser_ney_of
from .context import LIVE_TOKENS, Context, Counts
from .definition import Component, Mixture, Rows

MAX_ORDER: int = native.max_context + 1


@dataclass(frozen=True)
class SBIS(Mixture):
    """Selective Back-off Interpolation Sampling: mix the first k levels, weighted by decay**i.

    A level is a suffix of the context with more matches than any longer one, so each of the k
    levels adds evidence. The weight of token w is the sum over levels i of decay**i * count_i(w).

    - `k`: levels to mix, -1 for all.
    - `decay`: how much less each further level counts.
    - `weighting`: "counts" mixes raw counts, as the published program does; "distributions" first
      divides each level by its m, as its description says.
    - `window`: tokens of context that are seen.
    - `floor`: the probability of each token of the alphabet that no level has, and of all tokens
      together that the corpus never had, as if they were one more; the others share what is left.
      Without it such a token has probability 0.

    Where nothing of the context occurs in the corpus, the level is that of all tokens. A live text
    adds its counts to those of the corpus.

    Source: Nathan Barry, "Language Modeling Without Neural Networks" (2026).

    >>> import infgram
    >>> infgram.SBIS().decay, infgram.SBIS.published().decay
    (0.3, 0.1)
    """

    k: int = 2
    decay: float = 0.3
    weighting: Literal["counts", "distributions"] = "counts"
    window: int = 200
    floor: float = 0.0

    def __post_init__(self) -> None:
        check_levels(self.k)
        number(0, 1, decay=self.decay)
        one_of(("counts", "distributions"), weighting=self.weighting)
        whole(1, NO_WINDOW, window=self.window)
        number(0, 1e-3, floor=self.floor)

    @classmethod
    def published(
        cls,
        k: int = 2,
        weighting: Literal["counts", "distributions"] = "counts",
        window: int = 200,
        floor: float = 0.0,
    ) -> SBIS:
        """With the decay of the published program, 0.1. Held-out judges find texts with 0.3 as
        good, and half as many of their 20-grams are copied."""
        return cls(k, 0.1, weighting, window, floor)

    def mixture(self, context: Context) -> list[Component]:
        """The levels mixed, longest first."""
        levels = context.merged_levels()
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
        return (
            self._with_floor(components, context.levels()[-1].token_ids, context)
            if self.floor
            else components
        )

    def rows(self, context: Context) -> list[Rows] | None:
        """The rows of the levels mixed; None where there is a floor, which is of no row."""
        if self.floor:
            return None
        levels = context.cursor.levels()
        n_mixed = len(levels) if self.k == -1 else min(self.k, len(levels))
        found = []
        weight = 1.0
        for i in range(max(n_mixed, 1)):  # where there is no level, all tokens are one
            token_ids = context.following(i)
            of_row = weight if self.weighting == "counts" else weight / len(token_ids)
            found.append(Rows(of_row, token_ids))
            weight *= self.decay
        return found

    def native(self, cursor: Cursor, *, live: bool) -> native.Predictor:
        """The same law in the core."""
        self._check_floor(len(cursor.index.alphabet))
        return native.sbis(
            cursor.native,
            k=self.k,
            decay=self.decay,
            normalise=self.weighting == "distributions",
            floor=self.floor,
            n_vocabulary=cursor.index.n_vocabulary,
            live_tokens=LIVE_TOKENS if live else 0,
        )

    def _with_floor(
        self, components: list[Component], known: NDArray[np.uint32], context: Context
    ) -> list[Component]:
        """Tokens without a weight get the floor, as one more component."""
        self._check_floor(len(context.alphabet) - 1)
        weighted = [c.token_ids for c in components if c.weight > 0]
        lacking = np.setdiff1d(known, np.concatenate(weighted))
        # What follows nothing: the tokens without an entry, and an end of text where none is.
        new = np.setdiff1d(context.alphabet, known)
        n_new = np.where(new == ABSENT, context.n_unseen, 1)
        shares = n_new / n_new.sum() if n_new.sum() else np.zeros(len(new))
        floors = np.concatenate([np.ones(len(lacking)), shares])
        if not floors.sum():
            return components
        floor = self.floor * float(floors.sum())
        return [
            *(
                Component(c.n, c.m, c.live, c.weight * (1 - floor), c.token_ids, c.prob)
                for c in components
            ),
            Component(0, 0, False, floor, np.concatenate([lacking, new]), floors / floors.sum()),
        ]

    def _check_floor(self, n_alphabet: int) -> None:
        if self.floor * (n_alphabet + 1) >= 1:
            raise InvalidParameter(
                f"floor is {self.floor!r}, expected less than 1/{n_alphabet + 1}: each of "
                f"{n_alphabet:,} tokens may need it, and all that the corpus never had"
            )


@dataclass(frozen=True)
class Longest(Mixture):
    """The infinity-gram: the distribution of the longest level, and nothing else.

    A token that never followed it has probability 0.

    Source: Liu et al., "Infini-gram" (2024), arXiv 2401.17377.
    """

    window: int = 1000

    def __post_init__(self) -> None:
        whole(1, NO_WINDOW, window=self.window)

    def mixture(self, context: Context) -> list[Component]:
        """The longest level, alone."""
        return self._as_sbis().mixture(context)

    def rows(self, context: Context) -> list[Rows] | None:
        """Its rows."""
        return self._as_sbis().rows(context)

    def native(self, cursor: Cursor, *, live: bool) -> native.Predictor:
        """The same law in the core."""
        return self._as_sbis().native(cursor, live=live)

    def _as_sbis(self) -> SBIS:
        return SBIS(k=1, window=self.window)


@dataclass(frozen=True)
class KneserNey(Mixture):
    """Interpolated Kneser-Ney of unbounded order, with fractional counts and fitted discounts.

    Every level gives each next token its continuation count (in how many different contexts, one
    token longer, was it seen?) less a discount; what was kept back goes to the next shorter level,
    and at last to a base distribution: uniform over the alphabet, but for a share that is uniform
    over the whole vocabulary. So every token has a probability, in the corpus or not. The longest
    level's counts are continuation counts too.

    The counts are fractional: a context passes on a power of its own count and not 1, between raw
    counts and Kneser-Ney's, as hierarchical Pitman-Yor processes do. The discounts depend on what
    a level looks like, and are fitted on the index's own text (`infgram.calibrate`). A live text's
    levels stand above those of the corpus of the same length.

    The share is what N1 + 1 is of K + N1 + 1, where the corpus has K different tokens, N1 of them
    after one other token alone: each of the K was new once, the N1 would be again if one context
    were left out, and one stands for whatever else there is.

    - `max_order`: the longest n-gram, one more than the tokens of context that are seen; None sees
      up to 253 tokens. A model cut in this way is a back-off model: each level is read as if it
      were the longest, so that a context only adds one level to what its suffixes say.
    - `apart`: of an index that has grown, the contexts of each segment are counted apart, so that
      one which several have counts as often; and the last document of a segment has no end. The
      law is then another one than that of an index in one piece, which without `apart` is asked
      for (NeedsMerge). Where documents were removed it is always. The discounts are fitted when a
      model first needs them, and not kept. docs/howto/growing.md has the figures.

    Sources: Kneser and Ney (1995); Chen and Goodman (1999); Teh (2006), "A hierarchical Bayesian
    language model based on Pitman-Yor processes"; Wood et al. (2009), "A stochastic memoizer for
    sequence data". docs/estimators.md tells what was tried.
    """

    max_order: int | None = None
    apart: bool = False

    def __post_init__(self) -> None:
        if self.max_order is not None:
            whole(2, MAX_ORDER, max_order=self.max_order)

    @property
    def window(self) -> int:
        """Tokens of context that are seen."""
        return (self.max_order or MAX_ORDER) - 1

    def native(self, cursor: Cursor, *, live: bool) -> native.Predictor:
        """The same law in the core."""
        return native.kneser_ney(
            cursor.native,
            model=kneser_ney_of(cursor.index, adapt=live, apart=self.apart),
            live_tokens=LIVE_TOKENS if live else 0,
        )

    def parts(self, context: Context) -> list[Component]:
        """The mixture, which is drawn from part by part."""
        return self.mixture(context)

    def mixture(self, context: Context) -> list[Component]:
        """The levels of live text and corpus, longest first, and the uniform distribution."""
        live = context.live_levels()
        calibration = calibration_of(context.cursor.index, adapt=context.adapts, apart=self.apart)
        corpus = context.levels(apart=self.apart)
        is_cut = self.window < MAX_ORDER - 1
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
                    n_corpus=level.n if is_cut and not level.live else corpus[0].n,
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
        return [
            *components,
            Component(0, 0, False, rest, context.alphabet, _base(context, corpus[-1])),
        ]


def check_levels(k: int) -> None:
    """Raises InvalidParameter."""
    if not isinstance(k, int) or not -1 <= k < 2**31 or k == 0:
        raise InvalidParameter(f"k is {k!r}, expected a number of levels or -1 for all")


def _base(context: Context, everything: Counts) -> NDArray[np.float64]:
    """What stands behind all levels; `everything`: the empty context's."""
    n_known = len(everything.token_ids)
    n_new = int((everything.contexts == 1).sum()) + 1
    share = n_new / (n_known + n_new)
    each = share / (len(context.alphabet) - 1 + context.n_unseen)
    known = np.isin(context.alphabet, everything.token_ids)
    base = np.where(known, (1 - share) / n_known + each, each)
    base[-1] = each * context.n_unseen
    return base


def _interleaved(
    corpus: Sequence[Counts], live: Sequence[Counts]
) -> list[tuple[Counts, Counts | None]]:
    """Levels with the next shorter one of their kind, by falling n, live ones first."""
    pairs = [pair for levels in (live, corpus) for pair in zip_longest(levels, levels[1:])]
    return sorted(pairs, key=lambda pair: -pair[0].n)  # stable: live ones stay first
