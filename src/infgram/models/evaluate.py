"""Judging a model by text: how probable the text is to it, and whether it knows how sure it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..checks import whole
from ..errors import InvalidParameter
from ..index import Index, check_index
from ..text.tokens import Query, Tokenizer
from ..values.value import Value
from .estimators import SBIS, check_levels
from .model import Model, check_model

_PUBLISHED_WINDOW = 100
_PUBLISHED_FLOOR = 1e-10
_NOTHING = "there is no token to predict: give a text that is not empty"

# Perplexity ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Perplexity(Value):
    """How surprising a text is to a model.

    - `n_tokens`, `n_bytes`: of the text; `n_bytes` is None for bare token ids. Ends of documents
      are tokens of 0 bytes.
    - `n_zero`: tokens to which the model gives probability zero. One is enough to make
      `nats_per_token`, `perplexity` and `bits_per_byte` infinite.
    - `n_unknown`: tokens that no index of the model has, an end of text where no document ends
      among them, or that stand for text which the tokenizer does not know.
    - `nats_per_token`: mean negative natural logarithm of a token's probability.
    - `perplexity`: its exponential.
    - `perplexity_nonzero`: of the tokens alone that have a probability. Not of the model: it has
      not paid for the others.
    - `perplexity_known`: of the tokens alone that are not unknown, each read where it stands.
    - `bits_per_byte`: the same for every tokenizer; None for bare token ids.
    """

    n_tokens: int
    n_bytes: int | None
    n_zero: int
    n_unknown: int
    nats_per_token: float
    perplexity: float
    perplexity_nonzero: float
    perplexity_known: float
    bits_per_byte: float | None


def perplexity(
    model: Model, *texts: Query, context: Query = (), bos: bool = False, eos: bool = False
) -> Perplexity:
    """Perplexity of a model on text it should not have seen.

    Of several texts, each is read on its own, after `context`, which does not count itself. Without
    one, the first token has nothing before it. With `bos` each begins a document, and with `eos`
    each ends one, whose end is predicted too: so evaluations of language models count.

    Raises InvalidParameter for texts without tokens.

    >>> import infgram
    >>> model = infgram.Model(infgram.build(["to be or not to be"]), infgram.Longest())
    >>> infgram.perplexity(model, "be or", context="to ").perplexity
    1.0
    """
    check_model(model=model)
    return _perplexity([_scored(model, text, context, bos, eos) for text in texts])


def published_perplexity(
    index: Index,
    *texts: Query,
    k: int = 2,
    weighting: Literal["counts", "distributions"] = "counts",
) -> Perplexity:
    """Perplexity of SBIS exactly as its author's program measures it.

    With decay 0.1 and 100 tokens of context. The first token of a text is context alone. A token
    of probability zero is given 1e-10, as is every token where nothing of the context occurs.
    `n_zero` counts them and `perplexity_nonzero` leaves them out, though nothing is infinite here.

    On Tiny Shakespeare, first 90 % against last 10 %, at k = 1, 2, 3, 5, -1: 4036.19, 97.73, 18.24,
    7.10, 6.06.

    Source: Nathan Barry, tiny-infini-gram, `Perplexity` in infini-gram.go (2026).

    >>> import infgram
    >>> infgram.published_perplexity(infgram.build(["to be or not to be"]), "bet", k=1).n_zero
    1
    """
    check_index(index=index)
    model = Model(index, SBIS.published(k, weighting, _PUBLISHED_WINDOW))
    texts_scored = []
    for text in texts:
        ids = index.ids(text)
        scores = model.score(ids[1:], context=ids[:1])
        zero = np.isneginf(scores.log_prob) | (scores.n == 0)
        log_prob = np.where(zero, math.log(_PUBLISHED_FLOOR), scores.log_prob)
        unknown = model.is_unknown(scores.token_ids)
        texts_scored.append(_Scored(log_prob, zero, unknown, _n_bytes(model.tokenizer, ids[1:])))
    return _perplexity(texts_scored)


class _Scored(NamedTuple):
    """A text's tokens: log probability, whether it stands for zero, whether they are unknown."""

    log_prob: NDArray[np.float64]
    zero: NDArray[np.bool_]
    unknown: NDArray[np.bool_]
    n_bytes: int | None


def _scored(model: Model, text: Query, context: Query, bos: bool, eos: bool) -> _Scored:
    scores = model.score(text, context=context, bos=bos, eos=eos)
    zero = np.isneginf(scores.log_prob)
    n_bytes = _n_bytes(model.tokenizer, text)
    return _Scored(scores.log_prob, zero, model.is_unknown(scores.token_ids), n_bytes)


def _perplexity(texts: Sequence[_Scored]) -> Perplexity:
    log_prob = np.concatenate([np.zeros(0), *(text.log_prob for text in texts)])
    if not len(log_prob):
        raise InvalidParameter(_NOTHING)
    zero = np.concatenate([text.zero for text in texts])
    unknown = np.concatenate([text.unknown for text in texts])
    sizes = [text.n_bytes for text in texts if text.n_bytes is not None]
    n_bytes = sum(sizes) if len(sizes) == len(texts) else None
    nats = 0.0 - float(log_prob.mean())
    return Perplexity(
        n_tokens=len(log_prob),
        n_bytes=n_bytes,
        n_zero=int(zero.sum()),
        n_unknown=int(unknown.sum()),
        nats_per_token=nats,
        perplexity=_exp(nats),
        perplexity_nonzero=_of_part(log_prob[~zero]),
        perplexity_known=_of_part(log_prob[~unknown]),
        bits_per_byte=nats * len(log_prob) / math.log(2) / n_bytes if n_bytes else None,
    )


def _of_part(log_prob: NDArray[np.float64]) -> float:
    return _exp(-float(log_prob.mean())) if len(log_prob) else math.inf


# Comparison ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Comparison(Value):
    """How well each of several models explains each of several texts.

    - `documents`: one entry a text, with one `Perplexity` a model, in the order of the models; an
      empty entry for a text without tokens.
    - `total`: of all texts together, one `Perplexity` a model.
    """

    documents: tuple[tuple[Perplexity, ...], ...]
    total: tuple[Perplexity, ...]

    @property
    def best(self) -> tuple[int | None, ...]:
        """For each text the model that explains it best; None where the first two are equal."""
        return tuple(map(_best, self.documents))

    @property
    def best_in_total(self) -> int | None:
        """The same of all texts together."""
        return _best(self.total)


def compare(
    models: Sequence[Model], *texts: Query, bos: bool = False, eos: bool = False
) -> Comparison:
    """Which model explains which text better: the one that needs fewer bits for it.

    Each text is read on its own. Models may have different tokenizers: bits of a text can be
    compared, perplexities of their tokens cannot.

    Raises InvalidParameter without models, or if no text has a token.

    >>> import infgram
    >>> index = infgram.build(["to be or not to be"])
    >>> models = [infgram.Model(index), infgram.Model(index, infgram.KneserNey(max_order=2))]
    >>> found = infgram.compare(models, "to be", "or not")
    >>> found.best, len(found.documents), len(found.total)
    ((0, 0), 2, 2)
    """
    if not models:
        raise InvalidParameter("got 0 models to compare, expected at least 1")
    for model in models:
        check_model(models=model)
    scored = [[_scored(model, text, (), bos, eos) for model in models] for text in texts]
    return Comparison(
        tuple(
            tuple(_perplexity([each]) for each in row) if all(len(s.log_prob) for s in row) else ()
            for row in scored
        ),
        tuple(_perplexity([row[i] for row in scored]) for i in range(len(models))),
    )


def _best(found: Sequence[Perplexity]) -> int | None:
    nats = [each.nats_per_token * each.n_tokens for each in found]
    order = sorted(range(len(nats)), key=nats.__getitem__)
    if not order or (len(order) > 1 and nats[order[0]] == nats[order[1]]):
        return None
    return order[0]


# Reliability --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Bins(Value):
    """Predictions by how probable they said something was, and how often it happened.

    Bin i holds predictions in [edges[i], edges[i + 1]), the last one also its upper edge. Arrays of
    shape (n_bins,) but for `edges`, (n_bins + 1,).

    - `counts`: predictions.
    - `predicted`: their mean; nan in an empty bin.
    - `actual`: the share of them that came true; nan in an empty bin.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    predicted: NDArray[np.float64]
    actual: NDArray[np.float64]

    @property
    def error(self) -> float:
        """Mean distance of predicted and actual over all predictions: the ECE of these bins."""
        filled = self.counts > 0
        distances = np.abs(self.predicted - self.actual)[filled]
        return float(np.average(distances, weights=self.counts[filled]))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Reliability(Value):
    """Whether what a model expects is what happens.

    - `n_tokens`: tokens of the text.
    - `expected_nats`: mean entropy of the distributions, the nats a token that the model expects to
      need. `actual_nats`: what it needs; above the former it is too sure of itself. Infinite where
      a token had probability zero.
    - `top`: the most probable token of every place, in bins of equal width.
    - `tokens`: every token of the alphabet at every place, and all others together, in bins of
      which each is twice as probable as the one before; the lowest reaches down to zero.

    Source of the ECE: Guo et al., "On calibration of modern neural networks" (2017),
    arXiv 1706.04599.
    """

    n_tokens: int
    expected_nats: float
    actual_nats: float
    top: Bins
    tokens: Bins

    @property
    def accuracy(self) -> float:
        """How often the most probable token came."""
        return _mean(self.top.counts, self.top.actual)

    @property
    def confidence(self) -> float:
        """Mean probability of the most probable token."""
        return _mean(self.top.counts, self.top.predicted)

    @property
    def ece(self) -> float:
        """Expected calibration error: the mean distance of confidence and accuracy, bin by bin."""
        return self.top.error

    @property
    def expected_perplexity(self) -> float:
        """The perplexity that the model's own distributions promise."""
        return _exp(self.expected_nats)

    @property
    def actual_perplexity(self) -> float:
        """The perplexity it has."""
        return _exp(self.actual_nats)


def reliability(
    model: Model,
    *texts: Query,
    context: Query = (),
    n_bins: int = 20,
    bos: bool = False,
    eos: bool = False,
) -> Reliability:
    """Expected against actual, on text the model should not have seen.

    A low perplexity does not tell whether a model is right about how sure it is; this does. O(size
    of the alphabet) a token. `context`, `bos` and `eos` as `perplexity` has them.

    Raises InvalidParameter for texts without tokens, or without bins.

    >>> import infgram
    >>> model = infgram.Model(infgram.build(["to be or not to be"]))
    >>> found = infgram.reliability(model, "to be or to see")
    >>> 0 <= found.ece <= 1
    True
    """
    check_model(model=model)
    whole(1, n_bins=n_bins)
    top = _Tally(np.linspace(0, 1, n_bins + 1))
    tokens = _Tally(np.concatenate([[0.0], 2.0 ** np.arange(1 - n_bins, 1)]))
    entropy = actual = 0.0
    n_tokens = 0
    order = np.argsort(model.token_ids)
    n_sharing = np.ones(len(order))
    n_sharing[-1] = max(model.n_unseen, 1)
    for text in texts:
        for ids, probs in model.distributions(text, context=context, bos=bos, eos=eos):
            column = order[np.searchsorted(model.token_ids, ids, sorter=order) % len(order)]
            column[model.token_ids[column] != ids] = len(order) - 1  # that of all others
            prob = probs[np.arange(len(ids)), column]
            best = probs[:, :-1].argmax(axis=1)
            confidence = probs[np.arange(len(ids)), best]
            top.add(confidence, confidence[best == column])
            tokens.add(probs.ravel(), prob)
            entropy -= float((probs * (_log(probs) - np.log(n_sharing))).sum())
            each = prob / n_sharing[column]
            actual -= float(_log(each).sum()) if each.all() else -math.inf
            n_tokens += len(ids)
    if not n_tokens:
        raise InvalidParameter(_NOTHING)
    return Reliability(n_tokens, entropy / n_tokens, actual / n_tokens, top.bins(), tokens.bins())


class _Tally:
    """Counts predictions, and those that came true, into bins."""

    def __init__(self, edges: NDArray[np.float64]) -> None:
        self._edges = edges
        self._counts = np.zeros(len(edges) - 1, np.int64)
        self._happened = np.zeros(len(edges) - 1, np.int64)
        self._predicted = np.zeros(len(edges) - 1)

    def add(self, predicted: NDArray[np.float64], happened: NDArray[np.float64]) -> None:
        """Predictions, and again those of them that came true."""
        bins = self._bins_of(predicted)
        n = len(self._counts)
        self._counts += np.bincount(bins, minlength=n)
        self._predicted += np.bincount(bins, weights=predicted, minlength=n)
        self._happened += np.bincount(self._bins_of(happened), minlength=n)

    def bins(self) -> Bins:
        counts = np.where(self._counts, self._counts, np.nan)
        return Bins(self._edges, self._counts, self._predicted / counts, self._happened / counts)

    def _bins_of(self, predicted: NDArray[np.float64]) -> NDArray[np.intp]:
        # A sum of rounded numbers may be a little more than 1.
        return np.searchsorted(self._edges[1:-1], predicted, side="right")


# Levels -------------------------------------------------------------------------------------------


class Summary(NamedTuple):
    """Mean, standard deviation (of these numbers, not of what they were drawn from), median."""

    mean: float
    std: float
    median: float


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LevelStatistics(Value):
    """One back-off level over all places of a text.

    - `level`: 1 for the longest.
    - `n_places`: tokens whose context has so many levels. The others do not count below.
    - `n`, `m`: tokens of context matched, and matches that have a next token.
    """

    level: int
    n_places: int
    n: Summary
    m: Summary


def level_statistics(
    index: Index, *texts: Query, context: Query = (), k: int = 2, window: int = 200
) -> list[LevelStatistics]:
    """What the first k levels (-1: all) are like before each token of a text, the longest first.

    For generated text with its prompt as `context`, these are the statistics that the published
    SBIS program prints. A level that no place has is not listed. O(levels) a token.

    Raises InvalidParameter.

    >>> import infgram
    >>> for found in infgram.level_statistics(infgram.build(["to be or not to be"]), "to be or"):
    ...     print(found.level, found.n_places, found.n.median, found.m.mean)
    1 7 4.0 1.7142857142857142
    2 4 1.0 4.5
    """
    check_index(index=index)
    check_levels(k)
    levels: list[list[tuple[int, int]]] = []
    for text in texts:
        cursor = index.cursor(context, window=window).native
        ids = index.ids(text)
        for i in range(len(ids)):
            found = cursor.levels()
            found = found if k == -1 else found[:k]
            while len(levels) < len(found):
                levels.append([])
            for places, level in zip(levels, found, strict=False):
                places.append(level)
            cursor.read(ids[i : i + 1])
    return [
        LevelStatistics(i, len(places), *map(_summary, np.array(places, np.int64).T))
        for i, places in enumerate(levels, 1)
    ]


def _summary(numbers: NDArray[np.int64]) -> Summary:
    return Summary(float(numbers.mean()), float(numbers.std()), float(np.median(numbers)))


# Helpers ------------------------------------------------------------------------------------------


def _n_bytes(tokenizer: Tokenizer, text: Query) -> int | None:
    """Bytes of a text as it was given, or as ids decode; None where nobody knows."""
    if tokenizer.name == "ids":
        return None
    if isinstance(text, (str, bytes)):
        return len(text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text)
    ids = np.asarray(text, np.int64)
    ends = np.flatnonzero(ids == tokenizer.vocab_size)
    return sum(
        len(tokenizer.decode(part[part != tokenizer.vocab_size])) for part in np.split(ids, ends)
    )


def _log(probs: NDArray[np.float64]) -> NDArray[np.float64]:
    """The logarithm, and 0 for 0."""
    return np.log(probs, out=np.zeros_like(probs), where=probs > 0)


def _exp(nats: float) -> float:
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf


def _mean(counts: NDArray[np.int64], values: NDArray[np.float64]) -> float:
    return float(np.average(values[counts > 0], weights=counts[counts > 0]))
