"""Judging text against a corpus."""

from __future__ import annotations

import numpy as np

from .errors import InvalidParameter
from .index import Index, Query


def copied_share(index: Index, text: Query, *, run: int = 50) -> float:
    """Share of the tokens that lie in a verbatim run of at least `run` tokens of the corpus.

    0.0 for a text without tokens.

    >>> import infgram
    >>> copied_share(infgram.open(demo_index), "to be or be to", run=8)
    0.6428571428571429
    """
    if run < 1:
        raise InvalidParameter(f"run is {run}, expected at least 1")
    # Tokens of a longer run are those of the runs of this length within it.
    lengths = index.match_lengths(text, window=run).astype(np.int64)
    if not len(lengths):
        return 0.0
    ends = np.flatnonzero(lengths >= run) + 1
    covering = np.zeros(len(lengths) + 1, np.int64)
    np.add.at(covering, ends - lengths[ends - 1], 1)
    np.add.at(covering, ends, -1)
    return float(np.count_nonzero(np.cumsum(covering[:-1])) / len(lengths))
