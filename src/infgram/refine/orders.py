"""In which order holes are filled while a trace is played; alone in knowing orders by name.

An order is any callable that takes a `Scene` and gives a `Step` for each picture. It need not know
when to end: what is hidden after its last step is filled at once, and so is what an order that goes
on for too long has left.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidParameter

_STEPS = 24  # of a round, so that a long text takes no longer
_GENERATIONS = 48
_ALIVE = 0.3


@dataclass(frozen=True)
class Scene:
    """What is filled, and where it stands.

    - `n_rows`, `n_columns`: of the grid that the text stands on, a character a cell.
    - `rows`, `columns`: int64, the cell of each place that is filled, in the order of the text.
      Bytes of one character share its cell.
    - `edits`: int64, for each place the number of the edit that fills it, from 0.
    - `gains`: float64, what each edit gains, in nats.
    - `rng`: the only source of chance: the same seed gives the same pictures.
    """

    n_rows: int
    n_columns: int
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    edits: NDArray[np.int64]
    gains: NDArray[np.float64]
    rng: np.random.Generator


class Step(NamedTuple):
    """One picture: which places are `hidden` still, and which cells of the grid are lit, if any.

    Boolean arrays of shape (n_places,) and (n_rows, n_columns).
    """

    hidden: NDArray[np.bool_]
    lit: NDArray[np.bool_] | None = None


Order = Callable[[Scene], Iterable[Step]]


def left_to_right(scene: Scene) -> Iterator[Step]:
    """As one reads."""
    return _in_turn(np.arange(len(scene.rows)))


def confidence(scene: Scene) -> Iterator[Step]:
    """Edits that gain most come first."""
    return _in_turn(np.lexsort([scene.edits, -scene.gains[scene.edits]]))


def random(scene: Scene) -> Iterator[Step]:
    """Any place, whatever it is next to."""
    return _in_turn(scene.rng.permutation(len(scene.rows)))


def life(scene: Scene) -> Iterator[Step]:
    """Conway's Game of Life on the grid, which has no edges: a place is filled by a birth there.

    Where the cells come to a rest, new ones are sown.
    """
    hidden = np.ones(len(scene.rows), bool)
    alive = _sown(scene)
    before = alive
    for _ in range(_GENERATIONS):
        grown = next_generation(alive)
        if (grown == before).all() or (grown == alive).all():
            grown = _sown(scene)
        before, alive = alive, grown
        hidden &= ~(alive & ~before)[scene.rows, scene.columns]
        yield Step(hidden.copy(), alive)
        if not hidden.any():
            return


def next_generation(alive: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of Conway's Game of Life, on a grid whose opposite edges meet.

    >>> blinker = np.zeros((5, 5), bool)
    >>> blinker[2, 1:4] = True
    >>> np.argwhere(next_generation(blinker)).tolist()
    [[1, 2], [2, 2], [3, 2]]
    """
    shifts = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right]
    neighbours = sum(np.roll(alive, shift, (0, 1)).astype(np.int8) for shift in shifts)
    return (neighbours == 3) | (alive & (neighbours == 2))


ORDERS: dict[str, Order] = {
    "left-to-right": left_to_right,
    "confidence": confidence,
    "random": random,
    "life": life,
}


def order_named(name: str) -> Order:
    """One of `ORDERS`, or else the callable of that name in a module, as "module:function".

    Raises InvalidParameter.

    >>> order_named("life") is life
    True
    """
    if name in ORDERS:
        return ORDERS[name]
    module, colon, function = name.partition(":")
    if not (module and colon and function):
        raise InvalidParameter(
            f"order is {name!r}, expected {', '.join(ORDERS)}, or module:function"
        )
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise InvalidParameter(
            f"order is {name!r}, which cannot be loaded: {error}; the module must be one that "
            "Python finds, and have a function of that name"
        ) from error
    if not callable(found):
        raise InvalidParameter(f"order is {name!r}, which is no function: {found!r}")
    return found


def _in_turn(places: NDArray[np.int64]) -> Iterator[Step]:
    """Fills places one after another, several at a time where there are many."""
    hidden = np.ones(len(places), bool)
    for some in np.array_split(places, min(len(places), _STEPS) or 1):
        hidden[some] = False
        yield Step(hidden.copy())


def _sown(scene: Scene) -> NDArray[np.bool_]:
    return scene.rng.random((scene.n_rows, scene.n_columns)) < _ALIVE
