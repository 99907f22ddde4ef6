"""Which line of its document a token stands on, counted in the text that the index holds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1 << 20  # tokens whose line ends are counted once


class LineCounter:
    """Counts line ends in a shard's text, each block of it once. Safe to share between threads.

    `codes` is the shard's text; `n_line_ends`, of shape (n_codes,), how many line ends each code
    holds.
    """

    def __init__(self, codes: NDArray[Any], n_line_ends: NDArray[np.uint32]) -> None:
        self._codes = codes
        self._n_line_ends = n_line_ends
        self._ending = np.flatnonzero(n_line_ends).astype(codes.dtype)
        self._blocks: dict[int, tuple[int, int]] = {}

    def between(self, begin: int, end: int) -> tuple[int, int]:
        """Line ends in [begin, end) and the position of the last token there that has one, or -1.

        >>> LineCounter(np.array([1, 2, 1, 2, 1]), np.array([0, 0, 1])).between(1, 4)
        (2, 3)
        """
        n, last, at = 0, -1, begin
        while at < end:
            to = min(end, (at // _BLOCK + 1) * _BLOCK)
            is_whole = to - at == _BLOCK
            found = self._blocks.get(at) if is_whole else None
            if found is None:
                found = self._count(at, to)
                if is_whole:
                    self._blocks[at] = found
            n += found[0]
            last = max(last, found[1])
            at = to
        return n, last

    def _count(self, begin: int, end: int) -> tuple[int, int]:
        codes = self._codes[begin:end]
        if len(self._ending) == 1:
            found = np.flatnonzero(codes == self._ending[0])
        else:
            found = np.flatnonzero(np.isin(codes, self._ending))
        if not len(found):
            return 0, -1
        return int(self._n_line_ends[codes[found]].sum(dtype=np.int64)), begin + int(found[-1])
