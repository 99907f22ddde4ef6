"""What an estimator is, and all that follows from its definition alone: its mixture explained, its
law asked, texts drawn from it. The readable twin of the core's predictor and sampler.

Slow, a token in a fraction of a millisecond; for whoever wants to see why, for estimators that the
core does not have, and for mixtures of several indexes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..index import Cursor, Index
from ..native import Predictor
from ..text.tokens import ABSENT
from ..values.value import Value
from .context import Context


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TraceLevel(Value):
    """What one level had to say about a token: its weight in the mixture, its own probability.

    `m` is 0 for the distribution behind all levels; `live` levels are of the text itself.
    Where an estimator is no mixture of levels, `name` says what had something to say instead, and
    `push` in log odds how far it pushed the token.
    """

    n: int
    m: int
    live: bool
    weight: float
    prob: float
    name: str = ""
    push: float = 0.0


@runtime_checkable
class Estimator(Protocol):
    """A law of the next token, given what was read.

    `Model` takes whatever has these four; `Mixture` has two of them for estimators that are
    mixtures of levels. One that looks at more of a text than its levels has `reads_text = True`
    beside them: its native predictor, then, begins with nothing and reads the context.
    """

    @property
    def window(self) -> int:
        """Tokens of context that are seen."""

    def distribution(self, context: Context) -> NDArray[np.float64]:
        """Probabilities of `context.alphabet`, in its order; they sum to one. The definition.

        The last one is of all tokens together that the corpus never had. It may be 0.
        """

    def explain(self, context: Context, token_id: int) -> Sequence[TraceLevel]:
        """What the levels had to say about a token; weight * prob sum to its probability."""

    def native(self, cursor: Cursor, *, live: bool) -> Predictor | None:
        """The same law in the core, at a cursor; `live`: what is read is counted too.

        None if the core does not have it: then the definition is what runs.
        """


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Component(Value):
    """One part of a mixture: a level, its weight, and its distribution over next tokens.

    `m` is 0 for what is no level: the distribution behind all of them, which also has ABSENT.
    """

    n: int
    m: int
    live: bool
    weight: float
    token_ids: NDArray[np.uint32]
    prob: NDArray[np.float64]

    def prob_of(self, token_id: int) -> float:
        """The component's probability of a token."""
        return float(self.prob[self.token_ids == token_id].sum())


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Rows(Value):
    """Rows of a level that a draw may take: what follows each of them, and the weight of one.

    - `token_ids`: uint32, of shape (m,), in the order of rows.
    """

    weight: float
    token_ids: NDArray[np.uint32]


@runtime_checkable
class OfRows(Protocol):
    """An estimator whose law is that of rows: a token's weight is that of all that it follows."""

    def rows(self, context: Context) -> Sequence[Rows] | None:
        """The levels' rows, longest level first; None where the law is another."""


class Mixture(ABC):
    """An estimator that mixes levels: each has a weight and a distribution."""

    @abstractmethod
    def mixture(self, context: Context) -> list[Component]:
        """The levels mixed, longest first; weights sum to one."""

    def distribution(self, context: Context) -> NDArray[np.float64]:
        """Probabilities of the context's alphabet, in its order."""
        return distribution(self.mixture(context), context.alphabet)

    def explain(self, context: Context, token_id: int) -> tuple[TraceLevel, ...]:
        """The mixture's weights, and what each of its parts says of a token."""
        place, n_sharing = context.place(token_id)
        entry = int(context.alphabet[place])
        return tuple(
            TraceLevel(part.n, part.m, part.live, part.weight, part.prob_of(entry) / n_sharing)
            for part in self.mixture(context)
        )


def distribution(mixture: Sequence[Component], alphabet: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Probabilities of the alphabet's tokens, in its order."""
    place = {int(token_id): i for i, token_id in enumerate(alphabet)}
    prob = np.zeros(len(alphabet))
    for component in mixture:
        at = [place[token_id] for token_id in component.token_ids.tolist()]
        prob[at] += component.weight * component.prob
    return prob


class Blend:
    """Distributions over the alphabets of several indexes, as one over `token_ids`.

    - `token_ids`: uint32, the end of text, all that occur in any, rising, and ABSENT, which stands
      for all others of the vocabulary.
    - `n_unseen`: how many those are.
    - `drawn`: bool, by entry of `token_ids`: what a text may be made of. No token that no corpus
      has, and no end of text where no document is followed by another.
    """

    def __init__(self, indexes: Sequence[Index], weights: NDArray[np.float64]) -> None:
        self.weights = weights
        known = [index.alphabet[1:] for index in indexes]
        ids = known[0] if len(known) == 1 else np.unique(np.concatenate(known))
        end_of_text = indexes[0].alphabet[:1]
        self.token_ids: NDArray[np.uint32] = np.concatenate(
            [end_of_text, ids, np.array([ABSENT], np.uint32)]
        )
        self.n_unseen = max(index.n_vocabulary for index in indexes) - len(ids) - 1
        self.drawn = self.token_ids != ABSENT
        self.drawn[0] = any(index.n_documents > 1 for index in indexes)
        self._places = [np.searchsorted(ids, alphabet) + 1 for alphabet in known]
        self._lacking = [
            np.flatnonzero(~np.isin(self.token_ids[:-1], np.append(end_of_text, alphabet)))
            for alphabet in known
        ]

    def __call__(self, distributions: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Arrays of shape (..., n_codes of the index + 1), one an index, mixed by their weights."""
        if len(distributions) == 1:
            return distributions[0]
        mixed = np.zeros((*distributions[0].shape[:-1], len(self.token_ids)))
        for weight, places, lacking, probs in zip(
            self.weights, self._places, self._lacking, distributions, strict=True
        ):
            mixed[..., 0] += weight * probs[..., 0]
            mixed[..., places] += weight * probs[..., 1:-1]
            each = weight * probs[..., -1:] / max(self.n_unseen + len(lacking), 1)
            mixed[..., lacking] += each  # what this index never had, and another has
            mixed[..., -1:] += each * self.n_unseen
        return mixed


class DefinedPredictor:
    """An estimator at a context, by its definition; asked as the core's predictors are."""

    def __init__(self, estimator: Estimator, context: Context) -> None:
        self._estimator = estimator
        self._context = context

    def read(self, ids: NDArray[Any]) -> None:
        """Reads tokens."""
        for token_id in ids.tolist():
            self._context.advance(token_id)

    def distribution(self) -> NDArray[np.float64]:
        """Of the next token, by code, and of all that have none together."""
        return self._estimator.distribution(self._context)

    def distributions(self, ids: NDArray[Any]) -> NDArray[np.float64]:
        """Before each token, which is then read: shape (n_tokens, n_codes + 1)."""
        rows = np.empty((len(ids), len(self._context.alphabet)))
        for row, token_id in zip(rows, ids.tolist(), strict=True):
            row[:] = self.distribution()
            self._context.advance(token_id)
        return rows

    def score(
        self, ids: NDArray[Any]
    ) -> tuple[NDArray[np.float64], NDArray[np.uint32], NDArray[np.int64]]:
        """Of each token its log probability, and n and m of the longest level before it."""
        longest = []
        probs = np.zeros(len(ids))
        for i, token_id in enumerate(ids.tolist()):
            longest.append(self._context.longest())
            place, n_sharing = self._context.place(token_id)
            probs[i] = self.distribution()[place] / n_sharing
            self._context.advance(token_id)
        with np.errstate(divide="ignore"):
            log_prob = np.log(probs)
        levels = np.array(longest, np.int64).reshape(-1, 2)
        return log_prob, levels[:, 0].astype(np.uint32), levels[:, 1]


def draw(
    token_ids: NDArray[np.uint32],
    weights: NDArray[np.float64],
    *,
    temperature: float,
    rng: np.random.Generator,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
) -> int:
    """Draws a token with probability proportional to weight**(1 / temperature).

    `top_k` keeps so many of the heaviest (0: all), `top_p` the heaviest of those that together
    reach this share, `min_p` those with at least this share of the heaviest one's probability.
    The heaviest always stays. One uniform number decides; at temperature 0 none is drawn and the
    heaviest token wins, the first among equals.

    >>> draw(np.array([7, 9], np.uint32), np.array([1.0, 3.0]), temperature=0.0,
    ...      rng=np.random.default_rng(0))
    9
    """
    if temperature == 0.0:
        return int(token_ids[np.argmax(weights)])
    heaviest = weights.max()
    exponent = 1.0 / temperature
    shares = np.array([float(w / heaviest) ** exponent for w in weights])
    if not _keeps_all(top_k=top_k, top_p=top_p, min_p=min_p):
        order = np.argsort(-shares, kind="stable")[: top_k or None]
        before = np.concatenate([[0.0], np.cumsum(shares[order])])
        kept = (before[:-1] < top_p * before[-1]) & (shares[order] >= min_p * shares[order[0]])
        kept[0] = True
        limited = np.zeros_like(shares)
        limited[order[kept]] = shares[order[kept]]
        shares = limited
    reached = np.cumsum(shares)
    drawn = rng.random() * reached[-1]
    chosen = np.searchsorted(reached, drawn, side="right")
    return int(token_ids[min(chosen, len(token_ids) - 1)])


def _keeps_all(*, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0, **_: float) -> bool:
    return top_k == 0 and top_p >= 1.0 and min_p <= 0.0


MOST_TRIES = 64
LEAST_TEMPERATURE = 0.5


def draw_row(levels: Sequence[Rows], *, temperature: float, rng: np.random.Generator) -> int | None:
    """Draws a token with probability proportional to weight**(1 / temperature), by rejection.

    The weight of a token is that of all rows that it follows. A row is drawn by its weight, which
    proposes a token with the probability w / W, W being the weight of all rows; the token is taken
    with the probability (w / W)**(1 / temperature - 1), and else another row is drawn. At most
    `MOST_TRIES`, behind which None says that all weights should be counted: whether that comes does
    not depend on the token, so the law stays as it is.

    Two uniform numbers a try, at temperature 1 one. The temperature is at most 1.

    Source: von Neumann (1951), "Various techniques used in connection with random digits".

    >>> draw_row([Rows(1.0, np.array([7, 9, 9, 9], np.uint32))], temperature=0.8,
    ...          rng=np.random.default_rng(0))
    9
    """
    drawn = [level for level in levels if level.weight > 0]
    total = 0.0
    for level in drawn:
        total += level.weight * len(level.token_ids)
    for _ in range(MOST_TRIES):
        left = rng.random() * total
        for level in drawn:
            reach = level.weight * len(level.token_ids)
            if left < reach or level is drawn[-1]:
                break
            left -= reach
        row = min(left * (1.0 / level.weight), len(level.token_ids) - 1.0)
        token_id = level.token_ids[int(row)]
        weight = 0.0
        for each in drawn:
            weight += each.weight * float((each.token_ids == token_id).sum())
        if temperature == 1.0 or rng.random() < (weight / total) ** (1.0 / temperature - 1.0):
            return int(token_id)
    return None


def draw_part(
    parts: Sequence[Component],
    drawn: NDArray[np.uint32],
    *,
    temperature: float,
    rng: np.random.Generator,
) -> int | None:
    """Draws a token with probability proportional to prob**(1 / temperature), by rejection.

    A token is drawn from the mixture, and taken with its probability to the power of
    1 / temperature - 1, if it is one of `drawn`: of what a text may be made of. As `draw_row`, with
    a mixture's parts instead of rows: the native core looks at no more levels than a draw and its
    test need.

    A uniform number for each token drawn, another one for its test, if the temperature is not 1.

    >>> part = Component(0, 1, False, 1.0, np.array([7, 9], np.uint32), np.array([0.0, 1.0]))
    >>> draw_part([part], np.array([7, 9], np.uint32), temperature=0.8,
    ...           rng=np.random.default_rng(0))
    9
    """
    for _ in range(MOST_TRIES):
        left = rng.random()
        for part in parts:
            if left < part.weight or part is parts[-1]:
                break
            left -= part.weight
        reached = np.cumsum(part.weight * part.prob)
        place = min(int(np.searchsorted(reached, left, side="right")), len(reached) - 1)
        token_id = int(part.token_ids[place])
        if token_id not in drawn:
            continue
        prob = 0.0
        for each in parts:
            prob += each.weight * each.prob_of(token_id)
        if temperature == 1.0 or rng.random() < prob ** (1.0 / temperature - 1.0):
            return token_id
    return None


@runtime_checkable
class OfParts(Protocol):
    """An estimator whose mixture is drawn from part by part."""

    def parts(self, context: Context) -> Sequence[Component]:
        """Its mixture, longest level first; what stands behind all levels has m = 0."""


class DefinedSampler:
    """The definition of sampling, over any number of contexts: a law, its limits, a draw.

    One context of a corpus alone is drawn from by rejection, at temperatures from
    `LEAST_TEMPERATURE` to 1 and without limits: `draw_row` where the law is that of rows
    (`OfRows`), `draw_part` where its parts are drawn from (`OfParts`). All others by their weights:
    `draw`.

    No token is drawn that the corpus never had, nor an end of text that it never had.
    `how`: temperature, top_k, top_p and min_p, as `draw` takes them.
    """

    def __init__(
        self,
        estimator: Estimator,
        contexts: Sequence[Context],
        blend: Blend,
        rng: np.random.Generator,
        *,
        max_copy: int | None,
        **how: Any,
    ) -> None:
        self._estimator = estimator
        self._contexts = contexts
        self._blend = blend
        self._rng = rng
        self._max_copy = max_copy
        self._how = how
        self._n_generated = 0
        temperature = how["temperature"]
        self._rejects = (
            max_copy is None
            and _keeps_all(**how)
            and LEAST_TEMPERATURE <= temperature <= 1.0
            and len(contexts) == 1
            and not contexts[0].adapts
        )

    def sample(self, n: int) -> tuple[NDArray[np.uint32], str]:
        """Up to n tokens, and why there are fewer: "", "end_of_text" or "max_copy"."""
        token_ids: list[int] = []
        while len(token_ids) < n:
            token_id = self._draw()
            if token_id is None or token_id == self._contexts[0].end_of_text:
                ended = "max_copy" if token_id is None else "end_of_text"
                return np.array(token_ids, np.uint32), ended
            token_ids.append(token_id)
            self._n_generated += 1
            for context in self._contexts:
                context.advance(token_id)
        return np.array(token_ids, np.uint32), ""

    def _draw(self) -> int | None:
        if self._rejects and (token_id := self._by_rejection()) is not None:
            return token_id
        banned = self._banned()
        token_ids = self._blend.token_ids
        for prob in self._laws():
            allowed = (prob > 0) & self._blend.drawn & ~np.isin(token_ids, banned)
            if allowed.any():
                return draw(token_ids[allowed], prob[allowed], rng=self._rng, **self._how)
        return None

    def _by_rejection(self) -> int | None:
        how: dict[str, Any] = {"temperature": self._how["temperature"], "rng": self._rng}
        (context,) = self._contexts
        if isinstance(self._estimator, OfRows) and (rows := self._estimator.rows(context)):
            return draw_row(rows, **how)
        if isinstance(self._estimator, OfParts):
            drawn = self._blend.token_ids[self._blend.drawn]
            return draw_part(self._estimator.parts(context), drawn, **how)
        return None

    def _laws(self) -> Iterator[NDArray[np.float64]]:
        """The estimator's, and where a copy limit leaves nothing of it, shorter levels alone."""
        yield self._blend([self._estimator.distribution(context) for context in self._contexts])
        end_of_text = self._contexts[0].end_of_text
        deepest = min(
            level.n
            for context in self._contexts
            for level in self._estimator.explain(context, end_of_text)
        )
        merged = [
            [Component(c.n, c.m, False, 1.0, c.token_ids, c.counts / c.m) for c in levels]
            for levels in (context.merged_levels() for context in self._contexts)
        ]
        for n in sorted({part.n for parts in merged for part in parts if part.n < deepest})[::-1]:
            yield self._blend(
                [
                    distribution([part for part in parts if part.n == n], context.alphabet)
                    for parts, context in zip(merged, self._contexts, strict=True)
                ]
            )

    def _banned(self) -> NDArray[np.uint32]:
        """Tokens that would make a verbatim run of generated tokens longer than `max_copy`."""
        limit = self._max_copy
        banned = [np.zeros(0, np.uint32)]
        if limit is not None and self._n_generated >= limit:
            for context in self._contexts:
                long = [level for level in context.levels() if level.n >= limit]
                if long:
                    ids = long[-1].token_ids
                    banned.append(ids[ids != context.end_of_text])
        return np.concatenate(banned)


def explained(
    estimator: Estimator, contexts: Sequence[Context], weights: Sequence[float], token_id: int
) -> tuple[TraceLevel, ...]:
    """What the levels of several contexts have to say about a token, longest first.

    What has a name is no level: it stays where its estimator put it.
    """
    levels = [
        replace(level, weight=weight * level.weight)
        for weight, context in zip(weights, contexts, strict=True)
        for level in estimator.explain(context, token_id)
    ]
    return tuple(sorted(levels, key=lambda level: 0 if level.name else -level.n))
