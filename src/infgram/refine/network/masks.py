"""Which places of a text are hidden while a network learns to fill them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_PREFIX = 32
_SPAN = (2, 12)
_MEAN_SPAN = 7


def draw_masks(n_rows: int, n: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Masks of shape (n_rows, n), every row with one hidden place at least.

    A row hides 3 to 75 % of its places, one row in eight 75 to 100 %; half of the rows hide places
    one by one, half spans of 2 to 12; half leave up to 32 places at their beginning.
    """
    even = rng.permutation((np.arange(n_rows) + rng.random()) / n_rows)
    rate = np.where(rng.random(n_rows) < 1 / 8, 0.75 + 0.25 * even, 0.03 + 0.72 * even)[:, None]
    singles = rng.random((n_rows, n)) < rate
    # a place is left where none of the spans that could reach it begins
    begins = rng.random((n_rows, n)) < -np.log1p(-np.minimum(rate, 0.995)) / _MEAN_SPAN
    rows, starts = np.nonzero(begins)
    ends = starts + rng.integers(_SPAN[0], _SPAN[1] + 1, len(starts))
    edges = np.zeros((n_rows, n + _SPAN[1] + 1), np.int64)
    np.add.at(edges, (rows, starts), 1)
    np.add.at(edges, (rows, ends), -1)
    spans = edges.cumsum(axis=1)[:, :n] > 0
    masks = np.where(rng.random((n_rows, 1)) < 0.5, spans, singles)
    prefix = rng.integers(0, min(_PREFIX, n - 1) + 1, (n_rows, 1)) * (rng.random((n_rows, 1)) < 0.5)
    masks &= np.arange(n) >= prefix
    masks[:, -1] |= ~masks.any(axis=1)
    return masks
