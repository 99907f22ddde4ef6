"""What a mixture learns from an index's own text, once: it is kept for next time."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ... import native
from ...errors import CorruptIndex, InvalidParameter
from ...index import Index, check_index
from ...native import MixModel
from ...store.kept import keep, kept, once
from ...store.memory import enough
from ...store.storage import MIXTURE
from ...values.value import Value
from ..calibration import calibration_of

Progress = Callable[[int, int], object]

_RECIPE = 2
"""Of contexts, sets of weights and hashes: another number, and what was kept is learnt anew."""

_BLOCK_TOKENS = 20_000
_MAX_GUARD_TOKENS = 60_000
_SHARE = 16  # a block, and its guard, are at most this part of what is counted
_SWEEPS = 4
_MOST_TOKENS = 1 << 22
_MOST_LEARNT = 1_200_000
_N_CODES = 256

_log = logging.getLogger("infgram")


@dataclass(frozen=True, eq=False, repr=False)
class MixFit(Value):
    """What the mixture learnt of one index.

    - `n_tokens`, `nats`: tokens that it learnt from, and their mean negative log probability, each
      with its surroundings left out and before it was learnt.
    - `words`, `classes`: hashes of the words and marks that have a class of their own, and those.
    - `offsets`, `contexts`: what followed the named contexts, a hash table (docs/format.md), which
      is mapped where it was read from a file.
    - `values`: float32, the parameters, in the order of csrc/infgram/models/mix/parameters.hpp.
    - `sizes`: how many of them each array has.
    - `questions`: shape (n_questions, 5): of each, the first code, the first on the side of yes,
      the end, and the next question of no and of yes, or -1 - code where one code is left.
    """

    n_tokens: int
    nats: float
    words: NDArray[np.uint64]
    classes: NDArray[np.uint8]
    offsets: NDArray[np.uint32]
    contexts: NDArray[np.uint8]
    values: NDArray[np.float32]
    sizes: NDArray[np.int64]
    questions: NDArray[np.int64]

    def parameters(self) -> list[NDArray[np.float32]]:
        """Maps, weights, own weights, three final ones and two curves, flat."""
        ends = np.cumsum([0, *self.sizes.tolist()]).tolist()
        return [self.values[begin:end] for begin, end in pairwise(ends)]


def fit(index: Index, *, save: bool = True, progress: Progress | None = None) -> MixFit:
    """Fits the mixture to an index; half a minute for 1 MB. Deterministic, on one core.

    Each block of the corpus is predicted as if it and its surroundings were not in it, and each
    answer changes the weights a little. What is learnt is kept in the index's folder (unless `save`
    is False), some 30 bytes for each byte of the corpus. The first model that needs it does this
    too, if nobody has, and where the folder cannot be written it keeps it in the user's cache.

    Of more than 4 million tokens the first 4 million are learnt from, and of them 1.2 million; all
    levels and Kneser-Ney still see the whole corpus. `progress` is called with blocks done and
    their number; what it raises, such as KeyboardInterrupt, ends the fit.

    Raises InvalidParameter for an index that the mixture cannot predict, IndexReplaced if another
    build has taken the place of this one, StorageError if the folder cannot be written.

    >>> import infgram
    >>> infgram.fit(infgram.build(["to be or not to be"])).n_tokens  # too few to learn much
    18
    """
    check_index(index=index)
    learnt = _fitted(index, progress)
    if save:
        index.stored.write_extra(_as_arrays(learnt.fit), MIXTURE)
        _CACHE[index] = learnt
    return learnt.fit


def stored_fit(index: Index) -> MixFit | None:
    """What is kept of the mixture for the index, if anything is. Raises CorruptIndex.

    >>> import infgram
    >>> infgram.stored_fit(infgram.build(["to be or not to be"])) is None
    True
    """
    check_index(index=index)
    learnt = _stored(index)
    return None if learnt is None else learnt.fit


class Learnt(NamedTuple):
    """A fit, and the same for the core."""

    fit: MixFit
    native: MixModel


def learnt_of(index: Index) -> Learnt:
    """What the mixture learnt of the index: kept for it, or else learnt now, and kept.

    Of several threads and processes that ask at once, one learns and the others wait for it. The
    logger "infgram" tells that the fit begins, at the level INFO.
    """
    known = once(
        index.stored,
        lambda: _CACHE.get(index) or _stored(index),
        lambda: _fitted_now(index),
        prepare=lambda: _kneser_ney(_predictable(index)),  # which waits by itself
    )
    _CACHE[index] = known
    return known


def _stored(index: Index) -> Learnt | None:
    arrays = kept(index.stored, MIXTURE)
    if arrays is None or arrays.get("recipe") != _RECIPE:
        return None
    try:
        n_tokens, nats = arrays["fit"].tolist()
        columns = {name: _column(arrays, name, dtype) for name, dtype in _DTYPES.items()}
        model = MixModel(index=index.native, kneser_ney=_kneser_ney(_predictable(index)), **columns)
    except (LookupError, TypeError, ValueError, CorruptIndex) as error:
        raise CorruptIndex(
            f"{index.stored.folder / MIXTURE} is damaged ({error}): run `infgram fit`"
        ) from error
    return Learnt(MixFit(int(n_tokens), float(nats), **columns, **_shapes(model)), model)


def _predictable(index: Index) -> Index:
    """The index, if the mixture can predict its tokens. Raises InvalidParameter."""
    n_codes, n_shards = len(index.alphabet), len(index.shard_rows)
    if index.tokenizer.name not in ("bytes", "chars") or n_codes > _N_CODES or n_shards != 1:
        raise InvalidParameter(
            f"Mix reads bytes, or characters of which at most {_N_CODES - 1} occur, in one shard; "
            f"{index.path.name} has the tokenizer {index.tokenizer.name!r}, {n_codes - 1:,} "
            f"different tokens and {n_shards} shards: use KneserNey()"
        )
    return index


_DTYPES: dict[str, Any] = {
    "words": np.uint64,
    "classes": np.uint8,
    "offsets": np.uint32,
    "contexts": np.uint8,
    "values": np.float32,
}
_CACHE: weakref.WeakKeyDictionary[Index, Learnt] = weakref.WeakKeyDictionary()


def _kneser_ney(index: Index) -> native.KneserNeyModel:
    return calibration_of(index, adapt=False).native


def _fitted_now(index: Index) -> Learnt:
    _log.info("fitting the mixture to %s, which is kept for next time", index.path)
    learnt = _CACHE[index] = _fitted(index, None)
    keep(index.stored, _as_arrays(learnt.fit), MIXTURE)
    return learnt


def _fitted(index: Index, progress: Progress | None) -> Learnt:
    kneser_ney = _kneser_ney(_predictable(index))
    share = max(1, min(index.n_rows, _MOST_TOKENS) // _SHARE)
    with enough("fitting the mixture", "raise the limit, or use another estimator"):
        model, n_tokens, nats = native.fit_mix(
            index.native,
            kneser_ney=kneser_ney,
            block_tokens=min(_BLOCK_TOKENS, share),
            guard=min(_MAX_GUARD_TOKENS, share),
            n_sweeps=_SWEEPS,
            most_tokens=_MOST_TOKENS,
            most_learnt=_MOST_LEARNT,
            progress=progress,
        )
    learnt: dict[str, Any] = dict(zip(_DTYPES, model.arrays(), strict=True))
    return Learnt(MixFit(n_tokens, nats, **learnt, **_shapes(model)), model)


def _shapes(model: MixModel) -> dict[str, Any]:
    return {
        "sizes": model.sizes(),
        "questions": model.questions().reshape(-1, 5),
    }


def _as_arrays(fitted: MixFit) -> dict[str, NDArray[Any]]:
    return {
        "recipe": np.array(_RECIPE),
        "fit": np.array([fitted.n_tokens, fitted.nats]),
        **{name: getattr(fitted, name) for name in _DTYPES},
    }


def _column(arrays: dict[str, NDArray[Any]], name: str, dtype: Any) -> NDArray[Any]:
    array = arrays[name]
    if array.ndim != 1 or array.dtype != dtype:
        raise ValueError(f"{name} is {array.dtype} of shape {array.shape}, expected {dtype}")
    return np.require(array, requirements="A")
