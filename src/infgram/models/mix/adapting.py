"""The mixture while it adapts, written to be read: what was read is counted, and each token changes
the parameters a little, by the gradient of the loss of each question on its path.

The core does the same, in the same order (learning.hpp, live_counts.hpp in csrc).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .definition import LEAST_PROB, Answers, Floats, Recent, probability
from .sight import Numbers, Sight

MOST_LIVE_TOKENS = 1 << 17
"""The older half of what was read is forgotten when it is this long."""

_RATE = 0.0005
_FINAL_RATE = 0.002
_MAP_RATE = 1 / 400
_CURVE_RATE = 1 / 200
_SUREST = 0.9998


class LiveCounts:
    """What followed each context in the text that was read.

    >>> from infgram.models.mix.sight import SIGHTS
    >>> live, keys = LiveCounts(SIGHTS["lean"]), list(range(32))
    >>> for code in (1, 2, 2):
    ...     live.read(keys, code)
    >>> live.counts(keys, 3)[0].tolist(), live.recent(keys)[0].codes
    ([0, 1, 2], (2, 2, 1))
    """

    def __init__(self, sight: Sight) -> None:
        self._sight = sight
        self._read: list[tuple[list[int], int]] = []
        self._codes: defaultdict[int, list[int]] = defaultdict(list)

    def read(self, keys: list[int], code: int) -> None:
        """Counts a code in the contexts of a text, whose hashes these are."""
        if len(self._read) >= MOST_LIVE_TOKENS:
            kept = self._read[-(MOST_LIVE_TOKENS // 2) :]
            self._read, self._codes = [], defaultdict(list)
            for each in kept:
                self.read(*each)
        self._read.append((keys, code))
        for key in keys:
            self._codes[key].append(code)

    def counts(self, keys: list[int], n_codes: int) -> Numbers:
        """How often each code followed each context, shape (n_counted, n_codes)."""
        return np.array([np.bincount(self._codes.get(key, []), minlength=n_codes) for key in keys])

    def recent(self, keys: list[int]) -> list[Recent]:
        """What came last in the contexts of the sight that have rings."""
        found = []
        for i in self._sight.rings:
            codes = self._codes.get(keys[i], [])
            found.append(Recent(tuple(codes[:-8:-1]), len(Counter(codes))))
        return found


class Learner:
    """Parameters that answers change: arrays as `MixFit.parameters` has them."""

    def __init__(self, sight: Sight, parameters: list[NDArray[np.float32]]) -> None:
        self._n_sets = len(sight.sets)
        maps, *arrays, by_question, by_both = parameters
        self._arrays = [array.copy() for array in arrays]
        self._maps = maps.astype(np.float64)
        self._curves = [curve.astype(np.float64) for curve in (by_question, by_both)]

    @property
    def parameters(self) -> list[NDArray[np.float64] | NDArray[np.float32]]:
        """What answers are made with."""
        return [self._maps, *self._arrays, *(curve.astype(np.float32) for curve in self._curves)]

    def learn(self, answered: Answers, code: int) -> None:
        """The code came."""
        for question, is_yes in answered.path(code):
            self._learn(answered, question, float(is_yes))

    def _learn(self, answered: Answers, at: int, truth: float) -> None:
        weights, own, *finals = self._arrays
        for curve, point in zip(self._curves, answered.points[:, at].tolist(), strict=True):
            fraction = float(answered.fraction[at])
            for where, share in ((point, 1 - fraction), (point + 1, fraction)):
                moved = curve[where] + (truth - curve[where]) * share * _CURVE_RATE
                curve[where] = np.clip(moved, LEAST_PROB, 1 - LEAST_PROB)

        n_sets, said = self._n_sets, answered.said[:, at]
        for of, row, odds in zip(
            finals, answered.final_rows[:, at].tolist(), answered.final_odds[:, at], strict=True
        ):
            _add(of.reshape(-1, n_sets + 1), row, _FINAL_RATE * (truth - _prob(odds)) * said)

        inputs = answered.inputs[:, at]
        n_inputs = len(inputs)
        rows = weights.reshape(-1, -(-n_inputs // 4) * 4)
        for row, odds in zip(answered.rows[:, at].tolist(), said[:n_sets], strict=True):
            step = np.float32(_RATE * (truth - _prob(odds)))
            rows[row, :n_inputs] += step * inputs.astype(np.float32)
        chosen = (np.arange(n_inputs), answered.trust[:, at])
        _add(own.reshape(n_inputs, -1), chosen, _RATE * (truth - _prob(said[n_sets])) * inputs)

        entries = answered.maps[:, at]
        entries = entries[entries >= 0]
        moved = self._maps[entries] + (truth - self._maps[entries]) * _MAP_RATE
        self._maps[entries] = np.clip(moved, 1 - _SUREST, _SUREST)


def _prob(odds: float) -> float:
    return float(probability(np.array(odds)))


def _add(to: NDArray[np.float32], where: Any, step: Floats) -> None:
    """Rounds once."""
    to[where] = (to[where].astype(np.float64) + step).astype(np.float32)
