"""Which tokens of a draft a model would have written itself: exact, for any draft.

The definitions, in numpy: what they give has the law of the model, whatever was drafted. A draft
only decides how many tokens a step gives. Rows of what the model said are those of the context
(row 0) and of each token of the draft (row i + 1), of shape (n + 1,) or (n + 1, vocab_size).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InvalidParameter
from ..seeds import generator
from ..text import tokens
from ..values.value import Value
from .drafter import Draft

_LARGEST = 1e300  # so that what a vocabulary has of it can be added up


@dataclass(frozen=True, eq=False, repr=False)
class Verified(Value):
    """What a step gave.

    - `token_ids`: int64; the tokens accepted, and behind them one of the model's own.
    - `places`: int64; where the accepted ones stand in the draft, for whoever keeps their rows of a
      key-value cache.
    """

    token_ids: NDArray[np.int64]
    places: NDArray[np.int64]

    @property
    def num_accepted(self) -> int:
        return len(self.places)


def greedy(draft: Draft, choices: ArrayLike) -> Verified:
    """The tokens that a model writes which always takes its likeliest one.

    choices: the likeliest token after the context and after each token of the draft.

    Raises InvalidParameter, TokenError.

    >>> import infgram
    >>> from infgram.draft import Drafter, greedy
    >>> drafter = Drafter(infgram.build(["to be or not to be"]), max_tokens=3, tree=False)
    >>> draft = drafter.propose_ids(list(b"to be or "))
    >>> bytes(draft.token_ids.tolist()), bytes(greedy(draft, list(b"nor ")).token_ids.tolist())
    (b'not', b'nor')
    """
    chosen = tokens.check_ids(_rows(draft, choices, 1), tokens.ABSENT)
    return _follow(draft, lambda row: int(chosen[row]))


def sample(
    draft: Draft, probs: ArrayLike, rng: int | np.random.Generator | None = None
) -> Verified:
    """Tokens with the law of a model that samples.

    probs: the model's distribution after the context and after each token of the draft, with
    temperature, top-k, top-p and whatever else it samples with.

    A draft whose tokens were chosen is compared with what the model draws. One whose tokens were
    drawn is verified by rejection (Leviathan, Kalman and Matias 2023; for the siblings of a tree
    one after another, with what the ones before left of the model's law, as Miao et al. 2024 and
    Jeon et al. 2024 do without replacement): it accepts more.

    Raises InvalidParameter.
    """
    laws = _laws(draft, probs)
    random = generator(rng)
    if draft.q:
        return _reject(draft, laws, random)
    return _follow(draft, lambda row: _draw(laws[row], random))


def _follow(draft: Draft, choose: Callable[[int], int]) -> Verified:
    """Goes down the tree while it has what the model chooses."""
    written: list[int] = []
    places: list[int] = []
    at = -1
    while True:
        written.append(choose(at + 1))
        child = draft.child(at, written[-1])
        if child is None:
            return Verified(np.array(written, np.int64), np.array(places, np.int64))
        places.append(child)
        at = child


def _reject(draft: Draft, laws: NDArray[np.float64], random: np.random.Generator) -> Verified:
    written: list[int] = []
    places: list[int] = []
    at = -1
    while True:
        wanted = laws[at + 1] / laws[at + 1].sum()
        offered = np.zeros_like(wanted)
        if at in draft.q:
            ids, law = draft.q[at]
            offered[ids] = law
        accepted = None
        for child in draft.children(at):
            token = int(draft.token_ids[child])
            if random.random() * offered[token] < wanted[token]:
                accepted = child
                break
            wanted = np.maximum(wanted - offered, 0.0)
            wanted /= wanted.sum()
            offered[token] = 0.0
            if offered.any():
                offered /= offered.sum()
        if accepted is None:
            written.append(_draw(wanted, random))
            return Verified(np.array(written, np.int64), np.array(places, np.int64))
        written.append(int(draft.token_ids[accepted]))
        places.append(accepted)
        at = accepted


def _draw(law: NDArray[np.float64], random: np.random.Generator) -> int:
    reached = np.cumsum(law)
    return int(np.searchsorted(reached, random.random() * reached[-1], side="right"))


def _rows(draft: Draft, given: ArrayLike, n_axes: int) -> NDArray[Any]:
    """One for the context and for each token of a draft."""
    try:
        rows = np.asarray(given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidParameter(f"expected rows of one length: {error}") from error
    if rows.ndim != n_axes or len(rows) != len(draft) + 1:
        raise InvalidParameter(
            f"expected a row for the context and one for each of {len(draft)} drafted tokens, "
            f"found an array of shape {rows.shape}"
        )
    return rows


def _laws(draft: Draft, given: ArrayLike) -> NDArray[np.float64]:
    """Rows of probabilities, or of what is in proportion to them."""
    rows = _rows(draft, given, 2)
    if rows.dtype.kind not in "fiu":
        raise InvalidParameter(f"expected probabilities, found an array of {rows.dtype}")
    check_width(draft, rows.shape[1])
    laws = rows.astype(np.float64, copy=False)
    largest = laws.max(axis=1)
    if not (laws.min() >= 0.0 and largest.min() > 0.0 and largest.max() <= _LARGEST):  # NaN, too
        raise no_law()
    return laws


def check_width(draft: Draft, width: int) -> None:
    """Raises InvalidParameter for laws without a place for what is drafted."""
    drafted = [draft.token_ids, *(ids for ids, _ in draft.q.values())]
    largest = max(int(ids.max(initial=0)) for ids in drafted)
    if width <= largest:
        raise InvalidParameter(
            f"found laws of {width} tokens and token {largest} in a draft, expected a probability "
            "for each token of the vocabulary"
        )


def no_law() -> InvalidParameter:
    """The error for rows that nothing can be drawn from."""
    return InvalidParameter(
        "found a row with a negative number, without a positive one, or with one that is not "
        "finite, expected the probabilities of all tokens in each"
    )
