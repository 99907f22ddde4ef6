"""What a step of a model costs, as `Drafter(cost=...)` takes it. Measured by profile.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import flat_numbers
from ..errors import InvalidParameter


def check_cost(given: ArrayLike | None) -> NDArray[np.float64] | None:
    """What steps cost, as an array. Raises InvalidParameter."""
    if given is None:
        return None
    cost = flat_numbers(given)
    if cost is None or not cost.size or not np.all(cost > 0) or not np.all(np.isfinite(cost)):
        raise InvalidParameter(
            f"cost is {given!r}, expected what a step takes with 0, 1, 2, ... drafted tokens"
        )
    return cost


def batch_cost(cost: NDArray[np.float64], n_texts: int) -> NDArray[np.float64]:
    """What a step costs that reads several texts, with 0, 1, 2, ... drafted tokens behind each.

    An estimate: a step costs what its tokens cost, whosever they are, and behind the end of the
    curve as much more a token as in its second half. So weights that are read once for all texts
    make a step cheaper for each, and drafted tokens, of which a processor can take only so many
    for nothing, dearer beside it.

    >>> batch_cost(np.array([1.0, 1.0, 1.0, 1.5, 2.0]), 2)  # of 2, 4, 6, 8 and 10 tokens
    array([1. , 1.5, 2.5, 3.5, 4.5])
    """
    last = len(cost) - 1
    middle = last // 2
    slope = (cost[last] - cost[middle]) / (last - middle) if last else 0.0
    n_more = n_texts * np.arange(1, last + 2) - 1  # tokens of a step, less the one it always has
    inside: NDArray[np.float64] = np.interp(n_more, np.arange(last + 1), cost)
    return inside + slope * np.maximum(n_more - last, 0)


def share_of_cost(cost: NDArray[np.float64], n_texts: int) -> NDArray[np.float64]:
    """What of `batch_cost` each of the texts pays."""
    return cost if n_texts == 1 else batch_cost(cost, n_texts) / n_texts


def length_that_pays(probs: Sequence[NDArray[np.floating[Any]]], cost: NDArray[np.float64]) -> int:
    """How many tokens each text may draft at most, where a step reads as many of each.

    - `probs`: of each draft's tokens, that they are accepted.
    - `cost`: as `batch_cost` gives it.

    >>> sure, unsure = np.full(4, 0.9), np.full(4, 0.1)
    >>> [length_that_pays(drafts, np.arange(1.0, 3.5, 0.5)) for drafts in ([sure], [sure, unsure])]
    [4, 0]
    """
    most = min(max(map(len, probs)), len(cost) - 1)
    tokens = np.zeros(most + 1)
    tokens[0] = len(probs)
    for each in probs:
        tokens[1 : len(each) + 1] += each[:most]
    return int(np.argmax(np.cumsum(tokens) / cost[: most + 1]))
