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
from ...native import AdaptingMixModel, MixModel
from ...store.kept import column, keep, kept, once
from ...store.memory import enough
from ...store.storage import ADAPTING_MIXTURE, MIXTURE
from ...values.value import Value
from ..calibration import kneser_ney_of

Progress = Callable[[int, int], object]

_RECIPE = 4
"""Of contexts, sets of weights and hashes: another number, and what was kept is learnt anew."""

_BLOCK_TOKENS = (20_000, 40_000)  # without and with the text that is read
_MAX_GUARD_TOKENS = 60_000
_SHARE = 16  # a block, and its guard, are at most this part of what is counted
_SWEEPS = (4, 2)
_MOST_TOKENS = 1 << 22
_MOST_LEARNT = 1_200_000
_N_CODES = 256

_log = logging.getLogger("infgram")


@dataclass(frozen=True, eq=False, repr=False)
class MixFit(Value):
    """What the mixture learnt of one index.

    - `n_tokens`, `nats`: tokens that it learnt from, and their mean negative log probability, each
      with its surroundings left out and before it was learnt.
    - `n_counted`: tokens at the beginning of the corpus whose named contexts are counted, and of
      which those were drawn, in blocks spread over them: all but of a large corpus.
    - `words`, `classes`: hashes of the words and marks that have a class of their own, and those.
    - `offsets`, `contexts`: what followed the named contexts, a hash table (docs/format.md), which
      is mapped where it was read from a file.
    - `values`: float32, the parameters, in the order of csrc/infgram/models/mix/parameters.hpp.
    - `sizes`: how many of them each array has.
    - `adapts`: whether the text that is read counts too; the values are then others, and more.
    - `questions`: shape (n_questions, 5): of each, the first code, the first on the side of yes,
      the end, and the next question of no and of yes, or -1 - code where one code is left.
    """

    n_tokens: int
    nats: float
    adapts: bool
    n_counted: int
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


def fit(
    index: Index,
    *,
    adapt: bool = False,
    save: bool = True,
    progress: Progress | None = None,
) -> MixFit:
    """Fits the mixture to an index; half a minute for 1 MB. Deterministic, on one core.

    `adapt`: fits the one that counts the text that it reads and learns from it, which takes three
    times as long. It looks at the same contexts, so the other one is fitted first if nobody has.

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
    learnt = _fitted(index, adapt, progress)
    if save:
        index.stored.write_extra(_as_arrays(learnt.fit), _FILES[adapt])
        _CACHES[adapt][index] = learnt
    return learnt.fit


def stored_fit(index: Index, *, adapt: bool = False) -> MixFit | None:
    """What is kept of the mixture for the index, if anything is. Raises CorruptIndex.

    >>> import infgram
    >>> infgram.stored_fit(infgram.build(["to be or not to be"])) is None
    True
    """
    check_index(index=index)
    learnt = _stored(index, adapt)
    return None if learnt is None else learnt.fit


class Learnt(NamedTuple):
    """A fit, and the same for the core."""

    fit: MixFit
    native: MixModel | AdaptingMixModel


def learnt_of(index: Index, *, adapt: bool) -> Learnt:
    """What the mixture learnt of the index: kept for it, or else learnt now, and kept.

    Of several threads and processes that ask at once, one learns and the others wait for it. The
    logger "infgram" tells that the fit begins, at the level INFO.
    """
    known = once(
        index.stored,
        lambda: _CACHES[adapt].get(index) or _stored(index, adapt),
        lambda: _fitted_now(index, adapt),
        prepare=lambda: _prepare(index, adapt),
    )
    _CACHES[adapt][index] = known
    return known


def _prepare(index: Index, adapt: bool) -> None:
    """What a fit needs, and waits for by itself."""
    kneser_ney_of(_predictable(index), adapt=adapt)
    if adapt:
        learnt_of(index, adapt=False)


def _stored(index: Index, adapt: bool) -> Learnt | None:
    file = _FILES[adapt]
    arrays = kept(index.stored, file)
    if arrays is None or arrays.get("recipe") != _RECIPE:
        return None
    try:
        n_tokens, nats = arrays["fit"].tolist()
        if adapt:  # the contexts are those of the other one
            shared = learnt_of(index, adapt=False).fit
            arrays |= {name: getattr(shared, name) for name in _SHARED}
        columns = {name: column(arrays, name, dtype) for name, dtype in _DTYPES.items()}
        make = AdaptingMixModel if adapt else MixModel
        kneser_ney = kneser_ney_of(_predictable(index), adapt=adapt)
        model = make(index=index.native, kneser_ney=kneser_ney, **columns)
    except (LookupError, TypeError, ValueError, CorruptIndex) as error:
        raise CorruptIndex(
            f"{index.stored.folder / file} is damaged ({error}): "
            f"run `infgram fit{' --adapt' if adapt else ''}`"
        ) from error
    return _learnt(index, model, int(n_tokens), float(nats), adapt, columns)


def _predictable(index: Index) -> Index:
    """The index, if the mixture can predict its tokens.

    Raises InvalidParameter, NeedsFastLayout.
    """
    index.need_fast_layout("Mix")
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
_SHARED = ("words", "classes", "offsets", "contexts")
_FILES = (MIXTURE, ADAPTING_MIXTURE)
_CACHES: tuple[weakref.WeakKeyDictionary[Index, Learnt], ...] = (
    weakref.WeakKeyDictionary(),
    weakref.WeakKeyDictionary(),
)


def _fitted_now(index: Index, adapt: bool) -> Learnt:
    _log.info("fitting the mixture to %s, which is kept for next time", index.path)
    learnt = _CACHES[adapt][index] = _fitted(index, adapt, None)
    keep(index.stored, _as_arrays(learnt.fit), _FILES[adapt])
    return learnt


def _fitted(index: Index, adapt: bool, progress: Progress | None) -> Learnt:
    kneser_ney = kneser_ney_of(_predictable(index), adapt=adapt)
    share = max(1, _n_counted(index) // _SHARE)
    with enough("fitting the mixture", "raise the limit, or use another estimator"):
        model: MixModel | AdaptingMixModel
        model, n_tokens, nats = (native.fit_adapting_mix if adapt else native.fit_mix)(
            index.native,
            kneser_ney=kneser_ney,
            block_tokens=min(_BLOCK_TOKENS[adapt], share),
            guard=min(_MAX_GUARD_TOKENS, share),
            n_sweeps=_SWEEPS[adapt],
            most_tokens=_MOST_TOKENS,
            most_learnt=_MOST_LEARNT,
            progress=progress,
        )
    columns: dict[str, Any] = dict(zip(_DTYPES, model.arrays(), strict=True))
    return _learnt(index, model, n_tokens, nats, adapt, columns)


def _learnt(
    index: Index,
    model: MixModel | AdaptingMixModel,
    n_tokens: int,
    nats: float,
    adapt: bool,
    columns: dict[str, Any],
) -> Learnt:
    questions = model.questions().reshape(-1, 5)
    n_counted = _n_counted(index) - 1  # but for the boundary before the text
    found = MixFit(
        *(n_tokens, nats, adapt, n_counted), **columns, sizes=model.sizes(), questions=questions
    )
    return Learnt(found, model)


def _n_counted(index: Index) -> int:
    """Rows of the beginning of the corpus that a fit looks at."""
    return min(index.n_rows, _MOST_TOKENS)


def _as_arrays(fitted: MixFit) -> dict[str, NDArray[Any]]:
    return {
        "recipe": np.array(_RECIPE),
        "fit": np.array([fitted.n_tokens, fitted.nats]),
        **{
            name: getattr(fitted, name)
            for name in _DTYPES
            if not (fitted.adapts and name in _SHARED)
        },
    }
