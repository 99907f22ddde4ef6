"""A language model: one index or several, an estimator, and whether the text read counts too."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from . import _core
from . import generate as generation
from .calibrate import calibration_of
from .context import LIVE_TOKENS, Context
from .errors import InvalidParameter
from .estimators import (
    SBIS,
    Component,
    Estimator,
    KneserNey,
    Longest,
    distribution,
    draw,
    merged_levels,
)
from .generate import Generation, Sampling, TokenTrace, TraceLevel
from .generators import spawn
from .index import Index, Level, Query, generator

_PREDICTORS = {
    _core.Cursor8: _core.Predictor8,
    _core.Cursor16: _core.Predictor16,
    _core.Cursor32: _core.Predictor32,
}
_CHUNK_PROBABILITIES = 1 << 21
_Native = _core.Predictor8 | _core.Predictor16 | _core.Predictor32
Seed = int | np.random.Generator | None


@dataclass(frozen=True, slots=True)
class Scores:
    """What a model says about a text, token by token; arrays of shape (n_tokens,).

    - `token_ids`: the tokens, uint32.
    - `log_prob`: natural logarithm of each token's probability, float64; -inf where that is 0.
    - `n`, `m`: uint32 and int64, of the longest level of the corpus before each token; 0 and all
      tokens where nothing of the context occurs.
    """

    token_ids: NDArray[np.uint32]
    log_prob: NDArray[np.float64]
    n: NDArray[np.uint32]
    m: NDArray[np.int64]


class Model:
    """A language model over an index.

    - `index`: an index, or several that share a tokenizer: their distributions are mixed.
    - `estimator`: `Longest()`, `SBIS(...)`, `KneserNey()`.
    - `weights`: of the indexes, not negative; they are normalised. None: equal ones.
    - `adapt`: what is read (prompt, generated or scored text) is counted too, on top of the index,
      which does not change. The last million tokens or so; the cost of a token does not depend on
      how many were read.

    Models are immutable and safe to use from many threads.

    Raises InvalidParameter.

    >>> import infgram
    >>> model = Model(infgram.open(demo_index), KneserNey())
    >>> round(float(model.distribution("to b").sum()), 12)
    1.0
    """

    def __init__(
        self,
        index: Index | Sequence[Index],
        estimator: Estimator | None = None,
        *,
        weights: Sequence[float] | None = None,
        adapt: bool = False,
    ) -> None:
        self.indexes: tuple[Index, ...] = (index,) if isinstance(index, Index) else tuple(index)
        self.estimator: Estimator = KneserNey() if estimator is None else estimator
        self.adapt = adapt
        if not self.indexes or not all(isinstance(i, Index) for i in self.indexes):
            raise InvalidParameter("expected an index or several: infgram.open gives one")
        if not isinstance(self.estimator, (Longest, SBIS, KneserNey)):
            raise InvalidParameter(
                f"estimator is {self.estimator!r}, expected Longest(), SBIS() or KneserNey()"
            )
        first = self.indexes[0]
        for other in self.indexes[1:]:
            if other.tokenizer.spec() != first.tokenizer.spec():
                raise InvalidParameter(
                    f"{other.path.name} has another tokenizer than {first.path.name}: only indexes "
                    "with the same one can be mixed"
                )
        self.weights = _normalised(weights, len(self.indexes))
        self.tokenizer = first.tokenizer
        self.end_of_text = first.end_of_text
        alphabets = [i.alphabet[1:] for i in self.indexes]
        ids = alphabets[0] if len(alphabets) == 1 else np.unique(np.concatenate(alphabets))
        self.token_ids: NDArray[np.uint32] = np.concatenate(
            [np.array([self.end_of_text], np.uint32), ids]
        )
        self._places = [np.searchsorted(ids, alphabet) + 1 for alphabet in alphabets]

    def __repr__(self) -> str:
        names = ", ".join(index.path.name for index in self.indexes)
        return f"<infgram.Model of {names}: {self.estimator}{', adapting' if self.adapt else ''}>"

    @property
    def window(self) -> int:
        """Tokens of context that are seen."""
        return self.estimator.window

    # Probabilities --------------------------------------------------------------------------------

    def distribution(self, context: Query = ()) -> NDArray[np.float64]:
        """Probability of each of `token_ids` after the context, of shape (n_alphabet,). Sums to 1.

        Nothing stands before the context, not even the beginning of a document.
        """
        return self._mixed([p.distribution() for p in self._start(context)])

    def distributions(
        self, text: Query, *, context: Query = ()
    ) -> Iterator[tuple[NDArray[np.uint32], NDArray[np.float64]]]:
        """The distribution before each token of the text, chunk by chunk.

        Yields the tokens' ids, of shape (n,), and distributions of shape (n, n_alphabet).
        """
        predictors = self._start(context)
        ids = self._ids(text)
        n_chunk = max(1, _CHUNK_PROBABILITIES // len(self.token_ids))
        for start in range(0, len(ids), n_chunk):
            chunk = ids[start : start + n_chunk]
            yield (
                chunk.astype(np.uint32),
                self._mixed([p.distributions(chunk) for p in predictors]),
            )

    def score(self, text: Query, *, context: Query = ()) -> Scores:
        """Log probability of each token of the text, given the context and what came before.

        >>> import infgram
        >>> Model(infgram.open(demo_index), Longest()).score("be", context="to ").log_prob.tolist()
        [0.0, 0.0]
        """
        ids = self._ids(text)
        scored = [p.score(ids) for p in self._start(context)]
        log_prob, n, m = scored[0]
        if len(scored) > 1:
            log_probs = [
                lp + np.log(w) for (lp, _, _), w in zip(scored, self.weights, strict=True) if w > 0
            ]
            log_prob = np.logaddexp.reduce(log_probs, axis=0)
            lengths = np.array([lengths for _, lengths, _ in scored])
            longest = lengths.argmax(axis=0)
            n = lengths.max(axis=0)
            m = np.array([matches for _, _, matches in scored])[longest, np.arange(len(ids))]
        return Scores(ids.astype(np.uint32), log_prob, n, m)

    # Text -----------------------------------------------------------------------------------------

    def generate(
        self,
        prompt: Query = (),
        *,
        seed: Seed = None,
        trace: bool = False,
        **sampling: Any,
    ) -> Generation:
        """Generates text after the prompt; an empty one begins a document.

        Keyword arguments are those of `Sampling`: max_tokens, temperature, top_k, top_p, min_p,
        max_copy, stop. The same seed gives the same text. `trace` also tells for every token where
        it came from, which takes about a millisecond each.

        Raises InvalidParameter and, for a prompt of ids, TokenOutOfRange.

        >>> import infgram
        >>> model = Model(infgram.open(demo_index), SBIS(k=1))
        >>> model.generate("not to", max_tokens=3, seed=0).text
        ' be'
        """
        plan = _plan(sampling)
        made = generation.run(self._sampler(prompt, plan, generator(seed)), plan, self._decode)
        if trace:
            traced = self._trace(made.token_ids.tolist(), prompt, begin=True)
            made = replace(made, trace=tuple(traced))
        return made

    def stream(self, prompt: Query = (), *, seed: Seed = None, **sampling: Any) -> Iterator[str]:
        """The text of `generate`, piece by piece as it is made."""
        plan = _plan(sampling)
        return generation.stream(self._sampler(prompt, plan, generator(seed)), plan, self._decode)

    def samples(
        self,
        n: int,
        prompt: Query = (),
        *,
        threads: int | None = None,
        seed: Seed = None,
        **sampling: Any,
    ) -> list[Generation]:
        """`n` texts after one prompt, made by `threads` threads at once (None: one a core).

        Text i depends on the seed and on i alone.
        """
        if not isinstance(n, int) or n < 0:
            raise InvalidParameter(f"n is {n!r}, expected a whole number of at least 0")
        if threads is not None and threads < 1:
            raise InvalidParameter(f"threads is {threads}, expected at least 1")
        plan = _plan(sampling)
        # each thread draws from a generator of its own
        samplers = [self._sampler(prompt, plan, rng) for rng in spawn(seed, n)]
        with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
            return list(pool.map(lambda s: generation.run(s, plan, self._decode), samplers))

    def trace(self, text: Query, *, context: Query = ()) -> Iterator[TokenTrace]:
        """For each token of the text where its probability came from, by the definitions.

        As for `score`, nothing stands before the context.
        """
        return self._trace(self._ids(text).tolist(), context, begin=False)

    def _trace(self, ids: list[int], context: Query, *, begin: bool) -> Iterator[TokenTrace]:
        read = self._ids(context).tolist()
        contexts = self._contexts(context, begin=begin)
        for token_id in ids:
            mixture = self._mixture(contexts)
            levels = tuple(
                TraceLevel(c.n, c.m, c.live, c.weight, c.prob_of(token_id)) for c in mixture
            )
            n, m = max(
                (c.cursor.levels() or [Level(0, c.cursor.ntd().prompt_cnt)])[0] for c in contexts
            )
            matched = max(
                (level.n for level in levels if level.prob > 0 and not level.live), default=0
            )
            yield TokenTrace(
                token_id,
                self._decode([token_id]),
                sum(level.weight * level.prob for level in levels),
                n,
                m,
                levels,
                (*read[len(read) - min(matched, len(read)) :], token_id),
            )
            read.append(token_id)
            for each in contexts:
                each.advance(token_id)

    # Helpers --------------------------------------------------------------------------------------

    def _ids(self, query: Query) -> NDArray[Any]:
        return self.indexes[0].ids(query)

    def _decode(self, token_ids: Any) -> str:
        return self.indexes[0].decode(token_ids)

    def _mixed(self, distributions: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Distributions over the indexes' own codes as one over `token_ids`."""
        if len(distributions) == 1:
            return distributions[0]
        mixed = np.zeros((*distributions[0].shape[:-1], len(self.token_ids)))
        for weight, places, probs in zip(self.weights, self._places, distributions, strict=True):
            mixed[..., 0] += weight * probs[..., 0]
            mixed[..., places] += weight * probs[..., 1:]
        return mixed

    def _start(self, context: Query) -> list[_Native]:
        ids = self._ids(context)
        return [self._predictor(index, ids) for index in self.indexes]

    def _predictor(self, index: Index, ids: NDArray[Any], *, begin: bool = False) -> _Native:
        """The core's estimator after a context, or at the beginning of a document."""
        window = self.window
        if begin:
            cursor = index.start_of_document(window=window)
        else:
            cursor = index.cursor((() if self.adapt else ids), window=window)
        live_tokens = LIVE_TOKENS if self.adapt else 0
        make: Any = _PREDICTORS[type(cursor.native)]
        predictor: _Native
        if isinstance(self.estimator, KneserNey):
            model = calibration_of(index, adapt=self.adapt).native
            predictor = make(cursor.native, model=model, live_tokens=live_tokens)
        else:
            sbis = self.estimator if isinstance(self.estimator, SBIS) else SBIS(k=1)
            predictor = make(
                cursor.native,
                k=sbis.k,
                decay=sbis.decay,
                normalise=sbis.weighting == "distributions",
                floor=sbis.floor,
                live_tokens=live_tokens,
            )
        if self.adapt and not begin:
            predictor.read(ids)
        return predictor

    def _sampler(
        self, prompt: Query, sampling: Sampling, rng: np.random.Generator
    ) -> generation.Sampler:
        if sampling.max_copy is not None and sampling.max_copy > self.window:
            raise InvalidParameter(
                f"max_copy is {sampling.max_copy}, expected at most {self.window}, the tokens of "
                "context that the estimator sees"
            )
        if len(self.indexes) > 1:
            return DefinedSampler(self, prompt, sampling, rng)
        ids = self._ids(prompt)
        predictor = self._predictor(self.indexes[0], ids, begin=not len(ids))
        return _NativeSampler(predictor, sampling, rng)

    def _contexts(self, prompt: Query, *, begin: bool = False) -> list[Context]:
        """The readable twin of `_start`, one context an index."""
        contexts = []
        ids = self._ids(prompt)
        for index in self.indexes:
            exponent = 0.0
            if isinstance(self.estimator, KneserNey):
                exponent = calibration_of(index, adapt=self.adapt).exponent
            cursor = index.cursor(window=self.window)
            if begin and not len(ids):
                cursor = index.start_of_document(window=self.window)
            context = Context(cursor, exponent=exponent, adapt=self.adapt)
            for token_id in ids.tolist():
                context.advance(token_id)
            contexts.append(context)
        return contexts

    def _mixture(self, contexts: Sequence[Context]) -> list[Component]:
        """What the estimator makes of each index, weighted, longest level first."""
        mixture = []
        for weight, context in zip(self.weights, contexts, strict=True):
            if isinstance(self.estimator, KneserNey):
                calibration = calibration_of(context.cursor.index, adapt=self.adapt)
                parts = self.estimator.mixture(context, calibration)
            else:
                parts = self.estimator.mixture(context)
            mixture += [replace(part, weight=weight * part.weight) for part in parts]
        return sorted(mixture, key=lambda part: -part.n)


class _NativeSampler:
    """The core's loop over one index."""

    def __init__(self, predictor: _Native, sampling: Sampling, rng: np.random.Generator) -> None:
        self._lock = rng.bit_generator.lock
        self._native = predictor.sampler(
            temperature=sampling.temperature,
            top_k=min(sampling.top_k, 2**32 - 1),
            top_p=sampling.top_p,
            min_p=sampling.min_p,
            max_copy=sampling.max_copy or 0,
            bit_generator=rng.bit_generator,
        )

    def sample(self, n: int) -> tuple[NDArray[np.uint32], str]:
        with self._lock:
            token_ids, ended = self._native.sample(n)
        return token_ids, ended


class DefinedSampler:
    """The definition of sampling, over any number of indexes: a mixture, its limits, a draw.

    What the native loop does, a token in a fraction of a millisecond; several indexes use it.
    """

    def __init__(
        self, model: Model, prompt: Query, sampling: Sampling, rng: np.random.Generator
    ) -> None:
        self._model = model
        self._sampling = sampling
        self._rng = rng
        self._contexts = model._contexts(prompt, begin=True)
        self._n_generated = 0

    def sample(self, n: int) -> tuple[NDArray[np.uint32], str]:
        token_ids: list[int] = []
        while len(token_ids) < n:
            token_id = self._draw()
            if token_id is None or token_id == self._model.end_of_text:
                ended = "max_copy" if token_id is None else "end_of_text"
                return np.array(token_ids, np.uint32), ended
            token_ids.append(token_id)
            self._n_generated += 1
            for context in self._contexts:
                context.advance(token_id)
        return np.array(token_ids, np.uint32), ""

    def _draw(self) -> int | None:
        model, sampling = self._model, self._sampling
        banned = self._banned()
        token_ids = model.token_ids
        for mixture in self._mixtures():
            prob = distribution(mixture, token_ids)
            allowed = (prob > 0) & ~np.isin(token_ids, banned)
            if allowed.any():
                return draw(
                    token_ids[allowed],
                    prob[allowed],
                    temperature=sampling.temperature,
                    rng=self._rng,
                    top_k=sampling.top_k,
                    top_p=sampling.top_p,
                    min_p=sampling.min_p,
                )
        return None

    def _mixtures(self) -> Iterator[list[Component]]:
        """The estimator's mixture, and where a copy limit leaves nothing of it, shorter levels."""
        model = self._model
        mixture = model._mixture(self._contexts)
        yield mixture
        if isinstance(model.estimator, KneserNey):
            return
        deepest = min(part.n for part in mixture)
        all_levels = [
            Component(c.n, c.m, False, weight, c.token_ids, c.counts / c.m)
            for weight, context in zip(model.weights, self._contexts, strict=True)
            for c in merged_levels(context)
        ]
        for n in sorted({part.n for part in all_levels if part.n < deepest}, reverse=True):
            yield [part for part in all_levels if part.n == n]

    def _banned(self) -> NDArray[np.uint32]:
        """Tokens that would make a verbatim run of generated tokens longer than `max_copy`."""
        limit = self._sampling.max_copy
        banned = [np.zeros(0, np.uint32)]
        if limit is not None and self._n_generated >= limit:
            for context in self._contexts:
                long = [level for level in context.levels() if level.n >= limit]
                if long:
                    ids = long[-1].token_ids
                    banned.append(ids[ids != self._model.end_of_text])
        return np.concatenate(banned)


def _plan(sampling: dict[str, Any]) -> Sampling:
    unknown = sampling.keys() - Sampling.__dataclass_fields__.keys()
    if unknown:
        known = ", ".join(Sampling.__dataclass_fields__)
        raise TypeError(f"unexpected argument {sorted(unknown)[0]!r}, expected one of: {known}")
    return Sampling(**sampling)


def _normalised(weights: Sequence[float] | None, n: int) -> NDArray[np.float64]:
    values = np.ones(n) if weights is None else np.asarray(weights, np.float64)
    if values.shape != (n,):
        raise InvalidParameter(f"weights are {weights!r}, expected one for each of {n} indexes")
    if not (np.isfinite(values).all() and (values >= 0).all() and values.sum() > 0):
        raise InvalidParameter(
            f"weights are {weights!r}, expected numbers of at least 0, one of them above"
        )
    shares: NDArray[np.float64] = values / values.sum()
    return shares


def generate(
    index: Index,
    prompt: Query = (),
    *,
    k: int = 2,
    decay: float = 0.3,
    weighting: Literal["counts", "distributions"] = "counts",
    window: int = 200,
    seed: Seed = None,
    **sampling: Any,
) -> Generation:
    """Generates text by SBIS: `Model(index, SBIS(k, decay, weighting, window)).generate(...)`.

    >>> import infgram
    >>> generate(infgram.open(demo_index), "not to", max_tokens=3, k=1, seed=0).text
    ' be'
    """
    model = Model(index, SBIS(k, decay, weighting, window))
    return model.generate(prompt, seed=seed, **sampling)


def stream(
    index: Index,
    prompt: Query = (),
    *,
    k: int = 2,
    decay: float = 0.3,
    weighting: Literal["counts", "distributions"] = "counts",
    window: int = 200,
    seed: Seed = None,
    **sampling: Any,
) -> Iterator[str]:
    """The text of `generate`, piece by piece as it is made."""
    model = Model(index, SBIS(k, decay, weighting, window))
    return model.stream(prompt, seed=seed, **sampling)
