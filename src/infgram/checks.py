"""What an argument must be, and what is said where it is not: found, expected. Said once.

What needs more words than these has its own message where it is checked.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidParameter

MOST_THREADS = 1024
"""That somebody can want: libraries end the process where they cannot start as many."""


def whole(least: int, most: int | None = None, /, **named: object) -> None:
    """Each is a whole number in that range. Raises InvalidParameter.

    >>> whole(1, jobs=0)
    Traceback (most recent call last):
    infgram.errors.InvalidParameter: jobs is 0, expected a whole number of at least 1
    """
    for name, value in named.items():
        above = math.inf if most is None else most
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, np.integer))
            or not least <= value <= above
        ):
            asked = f"of at least {least}" if most is None else f"from {least} to {most}"
            raise InvalidParameter(f"{name} is {value!r}, expected a whole number {asked}")


def number(
    least: float, most: float = math.inf, /, *, above: bool = False, **named: object
) -> None:
    """Each is a finite number in that range; `above`: more than the least.

    Raises InvalidParameter.

    >>> number(0, 1, above=True, top_p=0.0)
    Traceback (most recent call last):
    infgram.errors.InvalidParameter: top_p is 0.0, expected a number above 0 and up to 1
    """
    for name, value in named.items():
        given = _as_float(value)
        if least <= given <= most and math.isfinite(given) and not (above and given == least):
            continue
        if above:
            asked = f"above {least}" if most == math.inf else f"above {least} and up to {most}"
        else:
            asked = f"of at least {least}" if most == math.inf else f"from {least} to {most}"
        raise InvalidParameter(f"{name} is {value!r}, expected a number {asked}")


def flag(**named: object) -> None:
    """Each is True or False. Raises InvalidParameter.

    >>> flag(tree="no")
    Traceback (most recent call last):
    infgram.errors.InvalidParameter: tree is 'no', expected True or False
    """
    for name, value in named.items():
        if not isinstance(value, (bool, np.bool_)):
            raise InvalidParameter(f"{name} is {value!r}, expected True or False")


def several(what: str, /, **named: object) -> None:
    """Each can be gone through, and is no text. Raises InvalidParameter.

    >>> several("prompts", prompts=3)
    Traceback (most recent call last):
    infgram.errors.InvalidParameter: prompts is 3, expected several prompts, as in a list
    """
    for name, value in named.items():
        if not isinstance(value, Iterable) or isinstance(value, (str, bytes)):
            raise InvalidParameter(f"{name} is {value!r}, expected several {what}, as in a list")


def instance(kind: type, where: str, /, **named: object) -> None:
    """Each is of that class; `where`: how one comes by it. Raises InvalidParameter.

    >>> instance(str, "str(x) makes one", name=3)
    Traceback (most recent call last):
    infgram.errors.InvalidParameter: name is 3, expected str: str(x) makes one
    """
    for name, value in named.items():
        if not isinstance(value, kind):
            raise InvalidParameter(f"{name} is {value!r}, expected {kind.__name__}: {where}")


def one_of(known: Collection[str], /, **named: object) -> None:
    """Each is one of those that are known. Raises InvalidParameter.

    >>> one_of(["cpu", "cuda"], device="gpu")
    Traceback (most recent call last):
    infgram.errors.InvalidParameter: device is 'gpu', expected one of: cpu, cuda
    """
    for name, value in named.items():
        if not isinstance(value, str) or value not in known:
            raise InvalidParameter(f"{name} is {value!r}, expected one of: {', '.join(known)}")


def flat_numbers(value: object) -> NDArray[np.float64] | None:
    """A flat sequence of numbers as an array, of shape (n,); None where it is something else.

    What they must be is for the caller to say.

    >>> flat_numbers([1, 0.5]), flat_numbers(["a"]), flat_numbers(3)
    (array([1. , 0.5]), None, None)
    """
    try:
        array: NDArray[Any] = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):  # of several lengths, or on another device
        return None
    if array.ndim != 1 or array.dtype.kind not in "iuf":
        return None
    return np.ascontiguousarray(array, np.float64)


def _as_float(value: object) -> float:
    """nan for what is no number."""
    if not isinstance(value, (int, float, np.integer, np.floating)):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
