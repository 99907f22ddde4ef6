"""Where a text stands in indexes: its maximal spans, in tokens, with the rows of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..index import Index
from ..text.placing import PlacedText

# Of a nat: a sum of 2^26 tokens is in range.
_PARTS = 2.0**32


@dataclass(frozen=True)
class Found:
    """Spans: their tokens [begins, ends), and their rows in each shard, of shape (n, n_shards, 2).

    Shards are those of all indexes, one index after another.
    """

    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    rows: NDArray[np.int64]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Tokens of each."""
        return self.ends - self.begins

    @property
    def counts(self) -> NDArray[np.int64]:
        """How often each occurs."""
        counts: NDArray[np.int64] = (self.rows[..., 1] - self.rows[..., 0]).sum(axis=1)
        return counts

    def where(self, chosen: NDArray[Any]) -> Found:
        """Some of them, by their numbers or by whether each is."""
        return Found(self.begins[chosen], self.ends[chosen], self.rows[chosen])


def maximal(
    indexes: Sequence[Index], placed: PlacedText, whole_words: bool, delimiters: str
) -> Found:
    """The maximal spans among those that stand where spans may.

    >>> import infgram
    >>> from infgram.text.placing import place
    >>> index = infgram.build(["to be or not"])
    >>> found = maximal([index], place(index.tokenizer, "be not"), True, "")
    >>> list(zip(found.begins.tolist(), found.ends.tolist(), found.counts.tolist()))
    [(0, 3, 1), (2, 6, 1)]
    """
    n = len(placed.token_ids)
    can_begin, can_end = placed.can_begin(), placed.can_end()
    stops = can_end & placed.has(delimiters) if delimiters else np.zeros(n, np.bool_)
    if whole_words:
        cuts = placed.cuts_words()
        can_begin &= ~cuts[placed.begins]
        can_end &= ~cuts[placed.ends]
    # the first place from each on where a span may begin; n, where none may
    begins = np.where(np.append(can_begin, True), np.arange(n + 1), n)
    begins = np.minimum.accumulate(begins[::-1])[::-1]
    # behind the last delimiter before each token
    behind = np.maximum.accumulate(np.append(0, np.where(stops, np.arange(1, n + 1), 0)))[:-1]
    earliest = np.where(can_end, behind, n)
    found = [
        _found_in(index, placed, begins.astype(np.uint32), earliest.astype(np.uint32))
        for index in indexes
    ]
    return found[0] if len(found) == 1 else _joined(indexes, placed, found)


def _found_in(
    index: Index, placed: PlacedText, begins: NDArray[np.uint32], earliest: NDArray[np.uint32]
) -> Found:
    flat, rows = index.native.maximal_spans(placed.token_ids, begins, earliest)
    bounds = flat.astype(np.int64).reshape(-1, 2)
    return Found(
        bounds[:, 0], bounds[:, 1], rows.astype(np.int64).reshape(len(bounds), index.n_shards, 2)
    )


def _joined(indexes: Sequence[Index], placed: PlacedText, found: Sequence[Found]) -> Found:
    """Of the spans that are maximal in some index those that lie in no longer one of another."""
    own = [
        dict(
            zip(zip(each.begins.tolist(), each.ends.tolist(), strict=True), each.rows, strict=True)
        )
        for each in found
    ]
    kept: list[tuple[int, int]] = []
    for begin, end in sorted({span for each in own for span in each}, key=lambda s: (s[0], -s[1])):
        if not kept or end > kept[-1][1]:
            kept.append((begin, end))
    rows = [
        np.concatenate(
            [
                known[begin, end]
                if (begin, end) in known
                else np.array(index.native.find(placed.token_ids[begin:end]), np.int64)
                for index, known in zip(indexes, own, strict=True)
            ]
        )
        for begin, end in kept
    ]
    n_shards = sum(index.n_shards for index in indexes)
    bounds = np.array(kept, np.int64).reshape(-1, 2)
    return Found(
        bounds[:, 0], bounds[:, 1], np.array(rows, np.int64).reshape(len(kept), n_shards, 2)
    )


def log_probs(indexes: Sequence[Index], placed: PlacedText, found: Found) -> NDArray[np.float64]:
    """Of each span, by how often the corpus has each of its tokens."""
    different, places = np.unique(placed.token_ids, return_inverse=True)
    offsets = np.arange(len(different) + 1)
    counts = np.zeros(len(different), np.int64)
    for index in indexes:
        counts += index.native.count_batch(different, offsets)
    n_tokens = sum(index.n_tokens for index in indexes)
    # tokens that do not occur are in no span
    each = np.log(np.maximum(counts, 1) / n_tokens)[places]
    # in whole parts of a nat, so that the same text has the same sum wherever it stands
    sums = np.concatenate([[0], np.cumsum(np.rint(each * _PARTS).astype(np.int64))])
    found_sums: NDArray[np.float64] = (sums[found.ends] - sums[found.begins]) / _PARTS
    return found_sums
