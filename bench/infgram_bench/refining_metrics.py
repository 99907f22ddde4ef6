"""What a set of texts is like: likely, copied, varied, near to real text; each with its unit.

A measure is a sum over a sum, text by text, or group of texts by group where it is of many texts
together and depends on how many. That is what resampling needs: differences of two sets of texts
after the same prompts come with an interval.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

import infgram
from infgram.text.words import words_in

from .refining_drafts import Ids

GRAM = 20
GROUP = 64
_N_RESAMPLED = 2000

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Measure:
    """`part` / `whole`, summed over units (n,), which are texts or groups of texts."""

    part: Floats
    whole: Floats

    @property
    def value(self) -> float:
        """nan where there is nothing to share."""
        whole = float(self.whole.sum())
        return float(self.part.sum()) / whole if whole else float("nan")

    def difference(self, other: Measure, seed: int = 0) -> tuple[float, float, float]:
        """This one's value less another's of the same units, and where 95 % of resamplings lie."""
        n = len(self.part)
        times = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), _N_RESAMPLED)
        with np.errstate(invalid="ignore", divide="ignore"):
            resampled = (times @ self.part) / (times @ self.whole) - (times @ other.part) / (
                times @ other.whole
            )
        defined = resampled[np.isfinite(resampled)]
        low, high = np.quantile(defined, [0.025, 0.975]).tolist() if len(defined) else [np.nan] * 2
        return self.value - other.value, low, high


@dataclass(frozen=True, eq=False)
class Real:
    """What texts are held against: the training text, its index, and held-out text."""

    index: infgram.Index
    training: bytes
    held_out: bytes

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        return frozenset(_words(_decoded(self.training)))

    @cached_property
    def trigrams(self) -> Counter[Hashable]:
        return Counter(_grams(np.frombuffer(self.held_out, np.uint8), 3))

    @cached_property
    def words(self) -> Counter[Hashable]:
        return Counter(_words(_decoded(self.held_out)))


def measures(
    written: Ids, drafts: Ids, nats: Mapping[str, Floats], real: Real
) -> dict[str, Measure]:
    """Of texts (n, length), what they were before (n, length), and nats (n, length) by judge."""
    runs = run_lengths(real.index, written)
    copied = in_runs(runs, GRAM)
    words = [whole_words(text) for text in written]
    n, length = written.shape
    known = [sum(word in real.vocabulary for word in each) for each in words]
    grams = length - GRAM + 1
    found = {
        "known words": _measure(known, map(len, words)),
        "longest copy": _measure(runs.max(1), np.ones(n)),
        "copied grams": _measure((runs >= GRAM).sum(1), np.full(n, max(grams, 0))),
        "changed": _measure((written != drafts).sum(1), np.full(n, length)),
    }
    for judge, each in nats.items():
        found[f"nats, {judge}"] = _measure(each.sum(1), np.full(n, length))
        new = np.where(copied, 0.0, each).sum(1)
        found[f"nats of new, {judge}"] = _measure(new, (~copied).sum(1))
    pairs = [list(pairwise(each)) for each in words]
    groups = np.array_split(np.arange(n), max(n // GROUP, 1))
    by_group: dict[str, list[float]] = {
        "distinct word bigrams": [_distinct(_joined(pairs, group)) for group in groups],
        "distinct 6-grams": [
            _distinct(_joined([_grams(text, 6) for text in written[group]])) for group in groups
        ],
        "divergence of trigrams": [
            divergence(Counter(_joined([_grams(t, 3) for t in written[group]])), real.trigrams)
            for group in groups
        ],
        "divergence of words": [
            divergence(Counter(_joined(words, group)), real.words) for group in groups
        ],
    }
    return found | {name: _measure(each, np.ones(len(groups))) for name, each in by_group.items()}


def run_lengths(index: infgram.Index, texts: Ids) -> NDArray[np.int64]:
    """How long a run of the corpus ends with each byte, within each text alone: (n, length)."""
    window = max(texts.shape[1], 1)
    return np.stack([index.match_lengths(text, window=window) for text in texts]).astype(np.int64)


def in_runs(runs: NDArray[np.int64], least: int) -> NDArray[np.bool_]:
    """Which bytes lie in a run of at least so many, by how long a run ends with each."""
    n, length = runs.shape
    ends = np.zeros((n, length + least), np.int64)
    ends[:, 1 : length + 1] = np.cumsum(runs >= least, axis=1)
    ends[:, length + 1 :] = ends[:, length : length + 1]
    inside: NDArray[np.bool_] = ends[:, least : length + least] > ends[:, :length]
    return inside


def whole_words(text: Ids) -> list[str]:
    """Its words; one at either end of the text may be cut, and is left out."""
    decoded = _decoded(text.tobytes())
    spans = words_in(decoded)
    return [decoded[begin:end] for begin, end in spans if begin > 0 and end < len(decoded)]


def _words(text: str) -> Iterator[str]:
    return (text[begin:end] for begin, end in words_in(text))


def divergence(a: Mapping[Hashable, int], b: Mapping[Hashable, int]) -> float:
    """Jensen and Shannon's, in nats: 0 for equal shares, log 2 for nothing in common."""
    keys = list(a.keys() | b.keys())
    shares = np.array([[counts.get(key, 0) for key in keys] for counts in (a, b)], np.float64)
    totals = shares.sum(1, keepdims=True)
    if not totals.all():
        return float("nan")
    shares /= totals
    mean = shares.mean(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(shares > 0, shares * np.log(shares / mean), 0.0)
    return float(terms.sum() / 2)


def _measure(part: Iterable[float], whole: Iterable[float]) -> Measure:
    return Measure(np.array(list(part), np.float64), np.array(list(whole), np.float64))


def _decoded(text: bytes) -> str:
    return text.decode(errors="replace")


def _grams(text: Ids, n: int) -> list[Hashable]:
    """n-grams of up to 8 bytes as numbers."""
    codes = np.zeros(max(len(text) - n + 1, 0), np.uint64)
    for i in range(n):
        codes = codes << np.uint64(8) | text[i : i + len(codes)]
    return list(codes.tolist())


def _joined(
    lists: Sequence[Sequence[Hashable]], chosen: Iterable[int] | None = None
) -> list[Hashable]:
    which = range(len(lists)) if chosen is None else chosen
    return [item for i in which for item in lists[i]]


def _distinct(items: Sequence[Hashable]) -> float:
    return len(set(items)) / len(items) if items else float("nan")
