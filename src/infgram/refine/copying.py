"""What of a text stands in the corpus in one piece: found, and certified not to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidParameter
from ..index import Index, Query

_LONGEST = 64


@dataclass(frozen=True, slots=True)
class Certificate:
    """Whether a text keeps to a limit of copying.

    - `max_copy`: the limit, in tokens.
    - `longest_run`: tokens of the longest run that stands in the corpus.
    - `runs`: those longer than the limit, [begin, end) each, no run within another.
    """

    max_copy: int
    longest_run: int
    runs: tuple[tuple[int, int], ...]

    @property
    def holds(self) -> bool:
        """Whether no run is longer."""
        return not self.runs


def certify(index: Index, text: Query, *, max_copy: int) -> Certificate:
    """Looks up every run of a text in the corpus. No run crosses documents. O(levels) a token.

    Raises InvalidParameter.

    >>> import infgram
    >>> certify(infgram.open(demo_index), "to be, or not", max_copy=4)
    Certificate(max_copy=4, longest_run=7, runs=((0, 5), (6, 13)))
    """
    if not isinstance(max_copy, (int, np.integer)) or max_copy < 1:
        raise InvalidParameter(f"max_copy is {max_copy!r}, expected a whole number of at least 1")
    ids = index.ids(text)
    lengths = index.match_lengths(ids, window=max(len(ids), 1)).astype(np.int64)
    # a run goes on with the next token where that one's match is longer by it
    is_last = np.append(lengths[1:] != lengths[:-1] + 1, True)[: len(lengths)]
    ends = np.flatnonzero(is_last & (lengths > max_copy)) + 1
    begins = ends - lengths[ends - 1]
    return Certificate(
        int(max_copy),
        int(lengths.max(initial=0)),
        tuple(zip(begins.tolist(), ends.tolist(), strict=True)),
    )


def run_lengths(index: Index, text: Query) -> NDArray[np.float32]:
    """For each token, how long a run of the corpus ends with it, counted up to 64 tokens.

    What a refiner is told of a text by an index.

    >>> import infgram
    >>> run_lengths(infgram.open(demo_index), "to bees").tolist()
    [1.0, 2.0, 3.0, 4.0, 5.0, 1.0, 0.0]
    """
    return index.match_lengths(text, window=_LONGEST).astype(np.float32)
