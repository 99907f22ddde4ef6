"""What wide contexts pass on, counted once and kept beside a large index for all who ask next."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import native
from ..errors import CorruptIndex
from ..index import Index
from ..native import WideTables
from ..store.kept import column, keep, kept, number, once
from ..store.memory import enough
from ..store.storage import CONTINUATIONS

# A context of fewer rows is counted when it is met. Twice as many take half of the 0.4 bytes a byte
# of text, and make texts of 128 MB an eighth slower.
_LEAST_ROWS = 256
_LARGE = 1 << 20  # rows of an index: all of a smaller one are counted in less time than files take

_DTYPES: dict[str, Any] = {
    "shards": np.uint64,
    "ranges": np.uint32,
    "depths": np.uint8,
    "offsets": np.uint64,
    "tokens": np.uint8,
}
_CACHE: weakref.WeakKeyDictionary[Index, tuple[float, WideTables]] = weakref.WeakKeyDictionary()


def wide_tables_of(index: Index, exponent: float) -> WideTables | None:
    """Those kept for the index, or else counted now, 30 ns a row, and kept; None for a small one.

    None are kept of one that has grown. `exponent`: of the fractional counts. Raises CorruptIndex.
    """
    if index.n_rows < _LARGE:
        return None
    if not index.segments.is_one:
        known = _CACHE.get(index)
        if known is None or known[0] != exponent:
            known = _CACHE[index] = exponent, count_wide_tables(index, exponent)
        return known[1]
    exponent_and_tables = once(
        index.stored,
        lambda: _known(index, exponent),
        lambda: _counted_now(index, exponent),
    )
    _CACHE[index] = exponent_and_tables
    return exponent_and_tables[1]


def count_wide_tables(index: Index, exponent: float) -> WideTables:
    """Counts those of an index of any size, and keeps none.

    >>> import infgram
    >>> tables = count_wide_tables(infgram.build(["to be or not to be"] * 300), 0.2)
    >>> shards, ranges, depths, *_ = tables.arrays()
    >>> len(depths), int(depths[-1])  # the last one is the empty context, of all rows
    (261, 0)
    """
    index.need_fast_layout("Kneser-Ney, on which this stands,")
    with enough("counting continuations", "raise the limit, or use another estimator"):
        return native.count_wide(index.native, exponent=exponent, least_rows=_LEAST_ROWS)


def keep_wide_tables(index: Index, exponent: float, tables: WideTables) -> None:
    """Keeps those of a large index beside it. Raises IndexReplaced, StorageError."""
    if index.n_rows >= _LARGE:
        index.stored.write_extra(_as_arrays(exponent, tables), CONTINUATIONS)
        _CACHE[index] = exponent, tables


def _as_arrays(exponent: float, tables: WideTables) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = dict(zip(_DTYPES, tables.arrays(), strict=True))
    return {"exponent": np.array(exponent)} | arrays


def _counted_now(index: Index, exponent: float) -> tuple[float, WideTables]:
    tables = count_wide_tables(index, exponent)
    _CACHE[index] = exponent, tables
    keep(index.stored, _as_arrays(exponent, tables), CONTINUATIONS)
    return exponent, tables


def _known(index: Index, exponent: float) -> tuple[float, WideTables] | None:
    known = _CACHE.get(index)
    if known is not None and known[0] == exponent:
        return known
    found = stored_wide_tables(index)
    return found if found is not None and found[0] == exponent else None


def stored_wide_tables(index: Index) -> tuple[float, WideTables] | None:
    """Those kept for a large index, if any are, and their exponent. Raises CorruptIndex."""
    arrays = kept(index.stored, CONTINUATIONS) if index.n_rows >= _LARGE else None
    if arrays is None:
        return None
    try:
        columns = {name: column(arrays, name, dtype) for name, dtype in _DTYPES.items()}
        return number(arrays, "exponent"), WideTables(**columns)
    except (LookupError, TypeError, ValueError, CorruptIndex) as error:
        raise index.stored.damaged(CONTINUATIONS, error) from error
