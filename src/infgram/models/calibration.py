"""Fitting the discounts of Kneser-Ney on an index's own text, once: they are kept for next time."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import native
from ..index import Index, check_index
from ..native import KneserNeyModel, WideTables
from ..store.kept import keep, kept, once
from ..store.memory import enough
from ..store.storage import CALIBRATION
from ..values.value import Value
from .continuations import count_wide_tables, keep_wide_tables, wide_tables_of

_N_BLOCKS = 8
_MAX_BLOCK_TOKENS = 48_000
_MIN_BLOCK_TOKENS = 8_000
_LARGE = 1 << 20
_MAX_GUARD_TOKENS = 60_000
# Of the tokens in the blocks, every second (third, ...) is looked at, so that no more are. On Tiny
# Shakespeare, half as many give perplexities 0.2 % higher, twice as many 0.1 % lower ones.
_MOST_TOKENS = 192_000
_SHARE = 16  # a block, and its guard, are at most this part of the corpus
_STEPS = 80
_PULL = 1.5e-5
_MIN_TOKENS = 1_000
# What a context passes on is its count to this power: docs/estimators.md has the figures.
_EXPONENT = 0.2
_CACHE_BYTES = 1 << 28
_MOST = np.finfo(np.float32).max

_log = logging.getLogger("infgram")


@dataclass(frozen=True, eq=False, repr=False)
class Calibration(Value):
    """Discounts of Kneser-Ney for one index, with or without a live text.

    - `exponent`: of the fractional counts.
    - `corpus`, `live`: the tables that discounts are the sums of; `live` is None without a live
      text. What their rows mean is the core's (csrc/infgram/models/discounts.hpp).
    - `n_tokens`: tokens the fit saw; 0 where the corpus is too small, and textbook discounts stand.
    - `nats`: their mean negative log probability, each with its surroundings left out.
    - `n_rows`, `n_vocabulary`: of the index.
    """

    exponent: float
    corpus: NDArray[np.float64]
    live: NDArray[np.float64] | None
    n_tokens: int
    nats: float
    n_rows: int
    n_vocabulary: int

    def native(self, *, wide: WideTables | None, cache_bytes: int) -> KneserNeyModel:
        """The same for the core, with the tables of wide contexts and memory for others."""
        return KneserNeyModel(
            exponent=self.exponent,
            corpus=self.corpus,
            live=self.live,
            n_vocabulary=self.n_vocabulary,
            n_rows=self.n_rows if cache_bytes else 0,
            cache_bytes=cache_bytes,
            wide=wide,
        )

    @cached_property
    def _discounts(self) -> KneserNeyModel:
        return self.native(wide=None, cache_bytes=0)

    def discount(self, **shape: Any) -> tuple[float, float, float]:
        """What a level keeps back of counts from 1, 2, and 3 or more contexts."""
        d1, d2, d3 = self._discounts.discount(**shape)
        return d1, d2, d3


def calibrate(index: Index, *, save: bool = True) -> tuple[Calibration, Calibration]:
    """Fits the discounts without and with a live text; seconds. Deterministic.

    Blocks spread over the corpus are scored one after another as if they and their surroundings
    were not in it, and the discounts that make them most probable are kept in the index's folder
    (unless `save` is False); of a large index also what its wide contexts pass on. The first model
    that needs discounts does this too, if nobody has, and where the folder cannot be written it
    keeps them in the user's cache.

    Raises IndexReplaced if another build has taken the place of this one, StorageError if the
    folder cannot be written.

    >>> import infgram
    >>> static, adapting = infgram.calibrate(infgram.build(["to be or not to be"]))
    >>> static.n_tokens  # too small a corpus: textbook discounts
    0
    """
    check_index(index=index)
    index.need_one_piece("Kneser-Ney")
    if save:
        index.stored.need_writable(CALIBRATION)
    wide = count_wide_tables(index, _EXPONENT)
    fits = _fitted(index, wide)
    if save:
        keep_wide_tables(index, _EXPONENT, wide)
        index.stored.write_extra(_as_arrays(fits))
        _CACHE[index] = fits
    return fits


def calibration_of(index: Index, *, adapt: bool, apart: bool = False) -> Calibration:
    """The index's calibration: the one that is kept for it, or else one fitted now, and kept.

    `apart`: also of an index that has grown, of which it is kept as long as the index is open.

    Of several threads and processes that ask at once, one fits and the others wait for it. The
    logger "infgram" tells that the fit begins, at the level INFO.
    """
    return _fits_of(index, apart)[adapt]


def kneser_ney_of(index: Index, *, adapt: bool, apart: bool = False) -> KneserNeyModel:
    """What the core estimates with: the index's calibration and what wide contexts pass on.

    All that estimate with it share its memory of contexts met. Waits and tells as `calibration_of`.
    """
    fits = _fits_of(index, apart)
    known = _MODELS.get(index)
    if known is None or known[0] is not fits:
        wide = wide_tables_of(index, fits[0].exponent)
        static, adapting = (fit.native(wide=wide, cache_bytes=_CACHE_BYTES) for fit in fits)
        known = _MODELS[index] = fits, (static, adapting)
    return known[1][adapt]


def _fits_of(index: Index, apart: bool) -> _Fits:
    if apart and not index.segments.is_one:
        return _fits_of_segments(index)
    index.need_one_piece("Kneser-Ney, unless it counts segments apart (apart=True),")
    known = once(
        index.stored,
        lambda: _CACHE.get(index) or stored_calibration(index),
        lambda: _fitted_now(index),
        prepare=lambda: wide_tables_of(index, _EXPONENT),
    )
    _CACHE[index] = known
    return known


def _fits_of_segments(index: Index) -> _Fits:
    index.need_nothing_removed("Kneser-Ney")
    with _FITTING:
        if index not in _CACHE:
            _log.info("fitting Kneser-Ney to the segments of %s", index.path)
            wide = wide_tables_of(index, _EXPONENT) or count_wide_tables(index, _EXPONENT)
            _CACHE[index] = _fitted(index, wide)
        return _CACHE[index]


def _fitted_now(index: Index) -> _Fits:
    if index.n_tokens >= _MIN_TOKENS:
        _log.info("fitting Kneser-Ney to %s, which is kept for next time", index.path)
    wide = wide_tables_of(index, _EXPONENT) or count_wide_tables(index, _EXPONENT)
    fits = _CACHE[index] = _fitted(index, wide)
    keep(index.stored, _as_arrays(fits))
    return fits


def _fitted(index: Index, wide: WideTables) -> _Fits:
    with enough("fitting the discounts", "raise the limit, or use another estimator"):
        return _fit(index, wide)


def _as_arrays(fits: _Fits) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    for name, fitted in zip(_NAMES, fits, strict=True):
        arrays[f"{name}_corpus"] = fitted.corpus.astype(np.float32)
        if fitted.live is not None:
            arrays[f"{name}_live"] = fitted.live.astype(np.float32)
        arrays[f"{name}_fit"] = np.array([fitted.exponent, fitted.n_tokens, fitted.nats])
    return arrays


def exponent_of(index: Index) -> float:
    """Of the fractional counts that the index's discounts were, or will be, fitted with."""
    known = _CACHE.get(index)
    if known is not None:
        return known[0].exponent
    arrays = _stored_arrays(index) if index.segments.is_one else None
    return _EXPONENT if arrays is None else float(arrays["static_fit"][0])


def textbook_discounts() -> tuple[float, NDArray[np.float64]]:
    """An exponent and tables for a text that no index's calibration fits."""
    return _EXPONENT, native.textbook_discounts()


_NAMES = ("static", "adapting")
_Fits = tuple[Calibration, Calibration]
_FITTING = threading.Lock()
_CACHE: weakref.WeakKeyDictionary[Index, _Fits] = weakref.WeakKeyDictionary()
_MODELS: weakref.WeakKeyDictionary[Index, tuple[_Fits, tuple[KneserNeyModel, KneserNeyModel]]] = (
    weakref.WeakKeyDictionary()
)


def stored_calibration(index: Index) -> tuple[Calibration, Calibration] | None:
    """The calibrations kept for the index, without and with a live text, if there are any.

    Raises CorruptIndex.
    """
    check_index(index=index)
    arrays = _stored_arrays(index)
    if arrays is None:
        return None
    try:
        static, adapting = (
            _calibration(
                index,
                float(arrays[f"{name}_fit"][0]),
                arrays[f"{name}_corpus"],
                arrays.get(f"{name}_live"),
                int(arrays[f"{name}_fit"][1]),
                float(arrays[f"{name}_fit"][2]),
            )
            for name in _NAMES
        )
    except (TypeError, ValueError) as error:
        raise index.stored.damaged(CALIBRATION, error) from error
    return static, adapting


def _stored_arrays(index: Index) -> dict[str, NDArray[Any]] | None:
    """What is kept for the index, checked. Raises CorruptIndex."""
    arrays = kept(index.stored)
    if arrays is None:
        return None
    try:
        _check(arrays)
    except (LookupError, ValueError) as error:
        raise index.stored.damaged(CALIBRATION, error) from error
    return arrays


def _check(arrays: dict[str, NDArray[Any]]) -> None:
    shapes = {"static_fit": 3, "adapting_fit": 3}
    shapes |= dict.fromkeys(
        ("static_corpus", "adapting_corpus", "adapting_live"), native.n_discounts
    )
    for name, length in shapes.items():
        if arrays[name].shape != (length,) or arrays[name].dtype.kind != "f":
            raise ValueError(f"{name} is not {length} numbers")
        if not (np.abs(arrays[name]) <= _MOST).all():
            raise ValueError(f"{name} holds what is no number, or none of 32 bits")
    if "static_live" in arrays:
        raise ValueError("static_live is there, and without a live text there is none")
    for name in _NAMES:
        exponent, n_tokens, _ = arrays[f"{name}_fit"]
        if not 0 <= exponent <= 1 or n_tokens < 0:
            raise ValueError(f"{name}_fit is out of range")


def _calibration(
    index: Index,
    exponent: float,
    corpus: NDArray[Any],
    live: NDArray[Any] | None,
    n_tokens: int,
    nats: float,
) -> Calibration:
    # Stored as float32: rounded at once, so that what was fitted and what is read are the same.
    corpus = corpus.astype(np.float32).astype(np.float64)
    live = None if live is None else live.astype(np.float32).astype(np.float64)
    made = Calibration(exponent, corpus, live, n_tokens, nats, index.n_rows, index.n_vocabulary)
    made._discounts  # which refuses what fits no index
    return made


def _fit(index: Index, wide: WideTables) -> tuple[Calibration, Calibration]:
    blocks = _blocks(index)
    n_tokens = int(blocks[2::3].sum(dtype=np.int64) - blocks[1::3].sum(dtype=np.int64))
    corpus, nats, adapting, adapting_nats, n_tokens = native.fit_discounts(
        index.native,
        exponent=_EXPONENT,
        blocks=blocks,
        guard=_length(index, _MAX_GUARD_TOKENS),
        every=max(1, -(-n_tokens // _MOST_TOKENS)),
        n_steps=_STEPS,
        pull=_PULL,
        n_threads=min(os.cpu_count() or 1, _N_BLOCKS),
        wide=wide,
    )
    split = native.n_discounts
    return (
        _calibration(index, _EXPONENT, corpus, None, n_tokens, nats),
        _calibration(index, _EXPONENT, adapting[:split], adapting[split:], n_tokens, adapting_nats),
    )


def _length(index: Index, most: int) -> int:
    return min(most, index.n_rows // _SHARE)


def _blocks(index: Index) -> NDArray[np.uint32]:
    """(shard, begin, end) of blocks spread evenly over the corpus, one after another."""
    if index.n_tokens < _MIN_TOKENS:
        return np.zeros(0, np.uint32)
    # A large corpus has much to count for each token, and its discounts are less delicate.
    most = max(_MIN_BLOCK_TOKENS, _MAX_BLOCK_TOKENS * _LARGE // max(index.n_rows, _LARGE))
    size = _length(index, most)
    blocks = []
    for start in np.linspace(1, index.n_rows - size, _N_BLOCKS).astype(np.int64).tolist():
        for shard, n_rows in enumerate(index.shard_rows):
            if start < n_rows:
                begin = max(start, 1)
                if begin < min(begin + size, n_rows):
                    blocks.append((shard, begin, min(begin + size, n_rows)))
                break
            start -= n_rows
    return np.array(blocks, np.uint32).reshape(-1)
