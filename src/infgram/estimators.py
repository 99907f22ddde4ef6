"""Estimators: from the levels of a context to weights for the next token. The readable definitions.

Each estimator is a few lines over numpy in the terms of its source. The native loops that
`infgram.generate` uses do the same operations in the same order; tests hold the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidParameter

if TYPE_CHECKING:
    from .index import Cursor


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

    Where nothing of the context occurs in the corpus, the weights are the counts of all tokens.

    Source: Nathan Barry, "Language Modeling Without Neural Networks" (2026).

    >>> SBIS(k=2).decay
    0.1
    """

    k: int = 2
    decay: float = 0.1
    weighting: Literal["counts", "distributions"] = "counts"
    window: int = 200

    def __post_init__(self) -> None:
        if not isinstance(self.k, int) or not -1 <= self.k < 2**31 or self.k == 0:
            raise InvalidParameter(f"k is {self.k}, expected a number of levels or -1 for all")
        if not 0 <= self.decay <= 1:
            raise InvalidParameter(f"decay is {self.decay}, expected 0 to 1")
        if self.weighting not in ("counts", "distributions"):
            raise InvalidParameter(
                f"weighting is {self.weighting!r}, expected 'counts' or 'distributions'"
            )
        if not isinstance(self.window, int) or not 1 <= self.window < 2**32:
            raise InvalidParameter(
                f"window is {self.window}, expected a number from 1 to 2**32 - 1"
            )

    def weights(self, cursor: Cursor) -> tuple[NDArray[np.uint32], NDArray[np.float64]]:
        """Token ids, in the order of their codes, and their weights; both of shape (n_tokens,)."""
        n_levels = len(cursor.levels())
        mixed = range(n_levels if self.k == -1 else min(self.k, n_levels)) or [n_levels]
        weights: dict[int, float] = {}
        level_weight = 1.0
        for i in mixed:
            ntd = cursor.ntd(level=i)
            scale = ntd.prompt_cnt if self.weighting == "distributions" else 1
            for token, count in zip(ntd.token_ids.tolist(), ntd.counts.tolist(), strict=True):
                weights[token] = weights.get(token, 0.0) + level_weight * (count / scale)
            level_weight *= self.decay
        # The last level has every token, in order: its range contains those of the others.
        token_ids = ntd.token_ids
        return token_ids, np.array([weights[token] for token in token_ids.tolist()])


def draw(
    token_ids: NDArray[np.uint32],
    weights: NDArray[np.float64],
    *,
    temperature: float,
    rng: np.random.Generator,
) -> int:
    """Draws a token with probability proportional to weight**(1 / temperature).

    One uniform number decides; at temperature 0 none is drawn and the heaviest token wins, the
    first among equals.

    >>> draw(np.array([7, 9], np.uint32), np.array([1.0, 3.0]), temperature=0.0,
    ...      rng=np.random.default_rng(0))
    9
    """
    if temperature == 0.0:
        return int(token_ids[np.argmax(weights)])
    heaviest = weights.max()
    reached = np.cumsum([float(w / heaviest) ** (1.0 / temperature) for w in weights])
    drawn = rng.random() * reached[-1]
    chosen = np.searchsorted(reached, drawn, side="right")
    return int(token_ids[min(chosen, len(token_ids) - 1)])
