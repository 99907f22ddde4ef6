"""What a mixture learns from an index's own text, once: it is kept for next time."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ... import checks, native
from ...errors import CorruptIndex, InvalidParameter
from ...index import Index, check_index
from ...native import AdaptingMixModel, FullAdaptingMixModel, FullMixModel, MixModel
from ...store.kept import column, keep, kept, number, once
from ...store.memory import enough
from ...store.storage import (
    ADAPTING_MIXTURE,
    FULL_ADAPTING_MIXTURE,
    FULL_MIXTURE,
    MIXTURE,
)
from ...values.value import Value
from ..calibration import kneser_ney_of
from .sight import SIGHTS, Size

Progress = Callable[[int, int], object]

_RECIPE = 5
"""Of contexts, sets of weights and hashes: another number, and what was kept is learnt anew."""

_BLOCK_TOKENS = (20_000, 40_000)  # without and with the text that is read
_MAX_GUARD_TOKENS = 60_000
_SHARE = 16  # a block, and its guard, are at most this part of what is counted
_SWEEPS = (4, 2)
_MOST_TOKENS: dict[Size, int] = {"lean": 1 << 22, "full": 1 << 21}
_PIECE_TOKENS = 80_000  # of a longer text, pieces of this length
_MOST_LEARNT = 1_200_000
_N_CODES = 256

_log = logging.getLogger("infgram")


@dataclass(frozen=True, eq=False, repr=False)
class MixFit(Value):
    """What the mixture learnt of one index.

    - `n_tokens`, `nats`: tokens that it learnt from, and their mean negative log probability, each
      with its surroundings left out and before it was learnt.
    - `n_counted`: tokens whose named contexts are counted, and of which those were drawn: all, or
      of a large corpus pieces spread evenly over it.
    - `size`: "lean", or "full", which looks at more.
    - `words`, `classes`: hashes of the words and marks that have a class of their own, and those.
    - `coarse`: their classes of the second kind, where the mixture is full, or else nothing.
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
    size: Size
    words: NDArray[np.uint64]
    classes: NDArray[np.uint8]
    offsets: NDArray[np.uint32]
    contexts: NDArray[np.uint8]
    coarse: NDArray[np.uint8]
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
    size: Size = "lean",
    adapt: bool = False,
    save: bool = True,
    progress: Progress | None = None,
) -> MixFit:
    """Fits the mixture to an index; half a minute for 1 MB. Deterministic, on one core.

    `size`: "lean", or "full" for the one that looks at more and takes two to three times as long.
    `adapt`: fits the one that counts the text that it reads and learns from it, which takes three
    times as long. It looks at the same contexts, so the other one is fitted first if nobody has.

    Each block of the corpus is predicted as if it and its surroundings were not in it, and each
    answer changes the weights a little. What is learnt is kept in the index's folder (unless `save`
    is False), some 30 bytes for each byte of the corpus, of the full one some 90. The first model
    that needs it does this too, if nobody has, and where the folder cannot be written it keeps it
    in the user's cache.

    Of a larger corpus, 4 million tokens (2 million where it is full) are counted in named
    contexts, in pieces spread evenly over it, and 1.2 million of them are learnt from; all
    levels and Kneser-Ney still see the whole corpus. `progress` is called with blocks done and
    their number; what it raises, such as KeyboardInterrupt, ends the fit.

    Raises InvalidParameter for an index that the mixture cannot predict, IndexReplaced if another
    build has taken the place of this one, StorageError if the folder cannot be written.

    >>> import infgram
    >>> infgram.fit(infgram.build(["to be or not to be"])).n_tokens  # too few to learn much
    18
    """
    check_index(index=index)
    index.need_one_piece("Mix")
    kind = kind_of(size, adapt)
    if save:
        index.stored.need_writable(kind.file)
    learnt = _fitted(index, kind, progress)
    if save:
        index.stored.write_extra(_as_arrays(learnt.fit), kind.file)
        kind.cache[index] = learnt
    return learnt.fit


def stored_fit(index: Index, *, size: Size = "lean", adapt: bool = False) -> MixFit | None:
    """What is kept of the mixture for the index, if anything is. Raises CorruptIndex.

    >>> import infgram
    >>> infgram.stored_fit(infgram.build(["to be or not to be"])) is None
    True
    """
    check_index(index=index)
    learnt = _stored(index, kind_of(size, adapt))
    return None if learnt is None else learnt.fit


_Model: TypeAlias = MixModel | AdaptingMixModel | FullMixModel | FullAdaptingMixModel


class Learnt(NamedTuple):
    """A fit, and the same for the core."""

    fit: MixFit
    native: _Model


@dataclass(frozen=True, eq=False)
class _Kind:
    """One of the four mixtures: what the core calls it, and where it is kept."""

    size: Size
    adapt: bool
    file: str
    model: Callable[..., _Model]
    fit: Callable[..., tuple[_Model, int, float]]
    cache: weakref.WeakKeyDictionary[Index, Learnt] = field(
        default_factory=weakref.WeakKeyDictionary
    )


_KINDS = (
    _Kind("lean", False, MIXTURE, MixModel, native.fit_mix),
    _Kind("lean", True, ADAPTING_MIXTURE, AdaptingMixModel, native.fit_adapting_mix),
    _Kind("full", False, FULL_MIXTURE, FullMixModel, native.fit_full_mix),
    _Kind("full", True, FULL_ADAPTING_MIXTURE, FullAdaptingMixModel, native.fit_full_adapting_mix),
)


def kind_of(size: Size, adapt: bool) -> _Kind:
    """Which of the mixtures that is. Raises InvalidParameter."""
    checks.one_of(SIGHTS, size=size)
    return next(kind for kind in _KINDS if (kind.size, kind.adapt) == (size, adapt))


def learnt_of(index: Index, *, size: Size = "lean", adapt: bool) -> Learnt:
    """What the mixture learnt of the index: kept for it, or else learnt now, and kept.

    Of several threads and processes that ask at once, one learns and the others wait for it. The
    logger "infgram" tells that the fit begins, at the level INFO.
    """
    index.need_one_piece("Mix")
    kind = kind_of(size, adapt)
    known = once(
        index.stored,
        lambda: kind.cache.get(index) or _stored(index, kind),
        lambda: _fitted_now(index, kind),
        prepare=lambda: _prepare(index, kind),
    )
    kind.cache[index] = known
    return known


def _prepare(index: Index, kind: _Kind) -> None:
    """What a fit needs, and waits for by itself."""
    kneser_ney_of(_predictable(index), adapt=kind.adapt)
    if kind.adapt:
        learnt_of(index, size=kind.size, adapt=False)


def _stored(index: Index, kind: _Kind) -> Learnt | None:
    arrays = kept(index.stored, kind.file)
    if arrays is None:
        return None
    try:
        if number(arrays, "recipe", "iu") != _RECIPE:
            return None
        n_tokens, nats = _told(column(arrays, "fit", np.float64))
    except (LookupError, ValueError) as error:
        raise index.stored.damaged(kind.file, error) from error
    if kind.adapt:  # the contexts are those of the other one
        static = kind_of(kind.size, False)
        shared = static.cache.get(index) or _stored(index, static)
        if shared is None:
            return None
        arrays |= {name: getattr(shared.fit, name) for name in _SHARED}
    kneser_ney = kneser_ney_of(_predictable(index), adapt=kind.adapt)
    try:
        columns = {name: column(arrays, name, dtype) for name, dtype in _DTYPES.items()}
        model = kind.model(index=index.native, kneser_ney=kneser_ney, **columns)
    except (LookupError, TypeError, ValueError, CorruptIndex) as error:
        raise index.stored.damaged(kind.file, error) from error
    return _learnt(index, model, n_tokens, nats, kind, columns)


def _told(fit: NDArray[np.float64]) -> tuple[int, float]:
    """Tokens that were learnt from, and their mean negative log probability. Raises ValueError."""
    if fit.shape != (2,) or not (np.isfinite(fit).all() and (fit >= 0).all()):
        raise ValueError(f"fit is {fit!r:.80}, expected two finite numbers of at least 0")
    n_tokens, nats = fit.tolist()
    return int(n_tokens), nats


def _predictable(index: Index) -> Index:
    """The index, if the mixture can predict its tokens.

    Raises InvalidParameter, NeedsFastLayout.
    """
    index.need_fast_layout("Mix")
    n_codes, n_shards = len(index.alphabet), len(index.shard_rows)
    if index.tokenizer.name not in ("bytes", "chars") or n_codes > _N_CODES or n_shards != 1:
        raise InvalidParameter(
            f"Mix reads bytes or characters, at most {_N_CODES - 1} different ones, in one shard; "
            f"{index.path.name} has the tokenizer {index.tokenizer.name!r}, {n_codes - 1:,} "
            f"different tokens and {n_shards} shards: use KneserNey()"
        )
    return index


_DTYPES: dict[str, Any] = {
    "words": np.uint64,
    "classes": np.uint8,
    "offsets": np.uint32,
    "contexts": np.uint8,
    "coarse": np.uint8,
    "values": np.float32,
}
_SHARED = ("words", "classes", "offsets", "contexts", "coarse")


def _fitted_now(index: Index, kind: _Kind) -> Learnt:
    _log.info("fitting the mixture to %s, which is kept for next time", index.path)
    learnt = kind.cache[index] = _fitted(index, kind, None)
    keep(index.stored, _as_arrays(learnt.fit), kind.file)
    return learnt


def _fitted(index: Index, kind: _Kind, progress: Progress | None) -> Learnt:
    kneser_ney = kneser_ney_of(_predictable(index), adapt=kind.adapt)
    most = _MOST_TOKENS[kind.size]
    share = max(1, min(index.n_rows, most) // _SHARE)
    with enough("fitting the mixture", "raise the limit, or use another estimator"):
        model, n_tokens, nats = kind.fit(
            index.native,
            kneser_ney=kneser_ney,
            block_tokens=min(_BLOCK_TOKENS[kind.adapt], share),
            guard=min(_MAX_GUARD_TOKENS, share),
            n_sweeps=_SWEEPS[kind.adapt],
            most_tokens=most,
            piece_tokens=min(_PIECE_TOKENS, share),
            most_learnt=_MOST_LEARNT,
            progress=progress,
        )
    columns: dict[str, Any] = dict(zip(_DTYPES, model.arrays(), strict=True))
    return _learnt(index, model, n_tokens, nats, kind, columns)


def _learnt(
    index: Index,
    model: _Model,
    n_tokens: int,
    nats: float,
    kind: _Kind,
    columns: dict[str, Any],
) -> Learnt:
    questions = model.questions().reshape(-1, 5)
    n_counted = _n_counted(index, kind.size)
    found = MixFit(
        *(n_tokens, nats, kind.adapt, n_counted, kind.size),
        **columns,
        sizes=model.sizes(),
        questions=questions,
    )
    return Learnt(found, model)


def _n_counted(index: Index, size: Size) -> int:
    """Tokens whose named contexts a fit counts."""
    most = _MOST_TOKENS[size]
    if index.n_rows <= most:
        return index.n_rows - 1  # but for the boundary before the text
    piece = min(_PIECE_TOKENS, max(1, most // _SHARE))
    return max(1, most // piece) * piece


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
