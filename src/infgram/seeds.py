"""A generator that threads share: whoever has it make others holds its lock, as who draws does.

numpy's own methods lock where they draw, and do not where they spawn: two threads at once get the
same children.
"""

from __future__ import annotations

import numpy as np

from .errors import InvalidParameter


def generator(seed: int | np.random.Generator | None) -> np.random.Generator:
    """The generator a seed stands for; one that is given goes on where it is."""
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        raise InvalidParameter(f"seed is {seed!r}, expected a number of at least 0") from error


def spawn(seed: int | np.random.Generator | None, n: int) -> list[np.random.Generator]:
    """n independent generators: the same for the same number, others each time for a generator.

    >>> one, other = spawn(0, 2)
    >>> one.random() == spawn(0, 1)[0].random(), one.random() == other.random()
    (True, False)
    """
    rng = generator(seed)
    with rng.bit_generator.lock:
        return rng.spawn(n)
