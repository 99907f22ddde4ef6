"""Where the labels of points stand so that none covers another, a point or the edge.

Boxes alone, in any unit with y upwards; nothing is drawn here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

_GAP = 4.0
"""Between a point and its label, in the unit of the boxes."""
_RINGS = 24
_DIRECTIONS = 24


def place(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    bounds: tuple[float, float, float, float],
    *,
    taken: Sequence[tuple[float, float, float, float]] = (),
) -> NDArray[np.float64]:
    """Boxes (left, bottom, right, top) for labels, one a row: near their points, and free.

    `points`: of the labels, x and y; `sizes`: of the labels, width and height; `bounds`: a box in
    which all should be; `taken`: boxes that none should cover, such as those of the markers. Labels
    are placed one after another, where least is covered and, of such places, nearest to the point.
    In O(n^2) for n labels.

    >>> place([(10, 10), (10, 10)], [(8, 4), (8, 4)], (0, 0, 50, 50)).tolist()
    [[14.0, 8.0, 22.0, 12.0], [6.0, 14.0, 14.0, 18.0]]
    """
    boxes = np.zeros((0, 4))
    obstacles = np.array(taken, np.float64).reshape(-1, 4)
    for (x, y), (width, height) in zip(points, sizes, strict=True):
        best, least = np.zeros(4), math.inf
        for left, bottom in _candidates(x, y, width, height):
            box = np.array([left, bottom, left + width, bottom + height])
            covered = _covered(box, np.concatenate([boxes, obstacles])) + _outside(box, bounds)
            if covered < least:
                best, least = box, covered
            if covered == 0:
                break
        boxes = np.concatenate([boxes, best[None]])
    return boxes


def _candidates(x: float, y: float, width: float, height: float) -> Iterator[tuple[float, float]]:
    """Lower left corners, nearest first: beside, above and below the point, then ever wider rings
    around it."""
    yield x + _GAP, y - height / 2
    yield x - _GAP - width, y - height / 2
    yield x - width / 2, y + _GAP
    yield x - width / 2, y - _GAP - height
    for ring, direction in itertools.product(range(_RINGS), range(_DIRECTIONS)):
        angle = 2 * math.pi * direction / _DIRECTIONS
        away = _GAP + height * (0.3 + 0.5 * ring)
        middle = x + math.cos(angle) * (away + width / 2), y + math.sin(angle) * (away + height / 2)
        yield middle[0] - width / 2, middle[1] - height / 2


def _covered(box: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    """How much area of others a box covers."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    return float(np.prod(np.maximum(high - low, 0), axis=1).sum())


def _outside(box: NDArray[np.float64], bounds: tuple[float, float, float, float]) -> float:
    """How much of its area is out of bounds, and a little more, so that inside is better."""
    whole = float(np.prod(box[2:] - box[:2]))
    return whole - _covered(box, np.array([bounds], np.float64))
