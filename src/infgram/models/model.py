"""A language model: one index or several, an estimator, and whether the text read counts too."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Literal, Unpack

import numpy as np
from numpy.typing import NDArray

from ..checks import instance, whole
from ..errors import InvalidParameter
from ..index import Cursor, Index, indexes_of
from ..native import Predictor
from ..seeds import generator, spawn
from ..text.pieces import Behind, blank_between
from ..text.tokens import ABSENT, Ids, Query
from ..values.table import Column, Tabular
from ..values.value import Value
from . import sampling as writing
from .context import Context
from .definition import Blend, DefinedPredictor, DefinedSampler, Estimator, explained
from .estimators import SBIS, KneserNey
from .sampling import Generation, Plan, Sampling, TokenTrace, TokenTraces, plan_of

_CHUNK_PROBABILITIES = 1 << 21
# Texts that a thread draws at once: with more of them a cache holds less of each.
_SIDE_BY_SIDE = 8
Seed = int | np.random.Generator | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Scores(Tabular, Value):
    """What a model says about a text, token by token; arrays of shape (n_tokens,).

    - `token_ids`: the tokens, uint32.
    - `log_prob`: natural logarithm of each token's probability, float64; -inf where that is 0.
    - `n`, `m`: uint32 and int64, of the longest level of the corpus before each token; 0 and all
      tokens where nothing of the context occurs.

    `to_arrow()` and `to_pandas()` make a table of it, a row a token.
    """

    token_ids: NDArray[np.uint32]
    log_prob: NDArray[np.float64]
    n: NDArray[np.uint32]
    m: NDArray[np.int64]

    def columns(self) -> dict[str, Column]:
        """The fields."""
        return {"token_id": self.token_ids, "log_prob": self.log_prob, "n": self.n, "m": self.m}


class Model:
    """A language model over an index.

    - `index`: an index, or several that share a tokenizer: their distributions are mixed.
    - `estimator`: `Longest()`, `SBIS(...)`, `KneserNey()`, `Mix()`, or one of your own
      (`models.definition.Estimator`). None: `KneserNey()`.
    - `weights`: of the indexes, not negative; they are normalised. None: equal ones.
    - `adapt`: what is read (prompt, generated or scored text) is counted too, on top of the index,
      which does not change. The last million tokens or so; the cost of a token does not depend on
      how many were read.

    A document's beginning and end are tokens: `end_of_text` is its end, and stands before its
    first token. `bos=True` begins the context with one, `eos=True` adds one to what is predicted,
    and ids may have them anywhere, between documents.

    It has these as attributes, `indexes` always several, and

    - `tokenizer`, `end_of_text`: those of the indexes.
    - `token_ids`: uint32 of shape (n_alphabet,), what a distribution has an entry for: the end of
      text, the tokens that occur in any index, rising, and 2**32 - 1, which stands for all others
      of the vocabulary.
    - `n_unseen`: how many others there are; they share their entry evenly. None is ever generated.

    Models are immutable and safe to use from many threads.

    Raises InvalidParameter.

    >>> import infgram
    >>> model = infgram.Model(infgram.build(["to be or not to be"]), infgram.KneserNey())
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
        self.indexes = indexes_of(index)
        self.estimator: Estimator = KneserNey() if estimator is None else estimator
        self.adapt = adapt
        if isinstance(estimator, type) or not isinstance(self.estimator, Estimator):
            raise InvalidParameter(
                f"estimator is {self.estimator!r}, expected Longest(), SBIS(), KneserNey(), "
                "Mix() or what has window, distribution, explain and native as they do"
            )
        first = self.indexes[0]
        self.weights = _normalised(weights, len(self.indexes))
        self.tokenizer = first.tokenizer
        self.end_of_text = first.end_of_text
        if self.end_of_text == ABSENT:
            raise InvalidParameter(
                f"the vocabulary has {ABSENT:,} ids, expected at most {ABSENT - 1:,}: one must be "
                "left for what no corpus has"
            )
        self._blend = Blend(self.indexes, self.weights)
        self.token_ids = self._blend.token_ids
        self.n_unseen = self._blend.n_unseen

    def __repr__(self) -> str:
        names = ", ".join(index.path.name for index in self.indexes)
        return f"<infgram.Model of {names}: {self.estimator}{', adapting' if self.adapt else ''}>"

    @property
    def window(self) -> int:
        """Tokens of context that are seen."""
        return self.estimator.window

    # Probabilities --------------------------------------------------------------------------------

    def is_unknown(self, token_ids: Ids) -> NDArray[np.bool_]:
        """Which tokens no corpus has, or stand for text that the tokenizer does not know.

        >>> import infgram
        >>> model = infgram.Model(infgram.build(["to be or not to be"]))
        >>> model.is_unknown(list(b"to?")).tolist()
        [False, False, True]
        """
        ids = np.asarray(token_ids)
        known = np.isin(ids, self.token_ids[self._blend.drawn])
        if self.tokenizer.unknown_id is not None:
            known &= ids != self.tokenizer.unknown_id
        return ~known

    def distribution(self, context: Query = (), *, bos: bool = False) -> NDArray[np.float64]:
        """Probability of each of `token_ids` after the context, of shape (n,). Sums to 1.

        Nothing stands before the context, unless `bos` says: the beginning of a document.

        >>> import infgram
        >>> model = infgram.Model(infgram.build(["to be or not to be"]), infgram.Longest())
        >>> float(model.distribution(bos=True)[model.token_ids == ord("t")].sum())
        1.0
        """
        return self._blend([p.distribution() for p in self._start(self._read(context, bos))])

    def defined_distribution(
        self, context: Query = (), *, bos: bool = False
    ) -> NDArray[np.float64]:
        """The same by the estimator's definition, in Python."""
        contexts = self._contexts(self._read(context, bos))
        return self._blend([self.estimator.distribution(each) for each in contexts])

    def distributions(
        self, text: Query, *, context: Query = (), bos: bool = False, eos: bool = False
    ) -> Iterator[tuple[NDArray[np.uint32], NDArray[np.float64]]]:
        """The distribution before each token of the text, chunk by chunk.

        Yields the tokens' ids, of shape (n,), and distributions of shape (n, len(token_ids)).
        """
        predictors = self._start(self._read(context, bos))
        ids = self._predicted(text, eos)
        n_chunk = max(1, _CHUNK_PROBABILITIES // len(self.token_ids))
        for start in range(0, len(ids), n_chunk):
            chunk = ids[start : start + n_chunk]
            yield (
                chunk.astype(np.uint32),
                self._blend([p.distributions(chunk) for p in predictors]),
            )

    def score(
        self, text: Query, *, context: Query = (), bos: bool = False, eos: bool = False
    ) -> Scores:
        """Log probability of each token of the text, given the context and what came before.

        `bos`: the context, or the text where there is none, begins a document. `eos`: the text ends
        one, and its end is scored as one more token. A token that the corpus never had gets
        the probability of one unseen token.

        >>> import infgram
        >>> model = infgram.Model(infgram.build(["to be or not to be"]), infgram.Longest())
        >>> model.score("be", context="to ").log_prob.tolist()
        [0.0, 0.0]
        """
        ids = self._predicted(text, eos)
        scored = [p.score(ids) for p in self._start(self._read(context, bos))]
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
        **sampling: Unpack[Sampling],
    ) -> Generation:
        """Generates text after the prompt; an empty one begins a document.

        Ids of a prompt may hold the end of text: behind the last one, a document begins.

        Keyword arguments are those of `Sampling`: max_tokens, temperature, top_k, top_p, min_p,
        max_copy, stop. The same seed gives the same text. `trace` also tells for every token where
        it came from, which takes about a millisecond each.

        Raises InvalidParameter and, for a prompt of ids, TokenOutOfRange.

        >>> import infgram
        >>> model = infgram.Model(infgram.build(["to be or not to be"]), infgram.SBIS(k=1))
        >>> model.generate("not to", max_tokens=3, seed=0).text
        ' be'
        """
        plan = plan_of(sampling)
        (sampler,) = self._samplers(prompt, plan, [generator(seed)])
        made = writing.run(sampler, plan, self._behind(prompt))
        if trace:
            traced = self._trace(made.token_ids.tolist(), self._prompt(prompt))
            made = replace(made, trace=TokenTraces(traced))
        return made

    def stream(
        self,
        prompt: Query = (),
        *,
        seed: Seed = None,
        chunk: int | None = None,
        **sampling: Unpack[Sampling],
    ) -> Generator[str, None, Generation]:
        """The text of `generate`, piece by piece as it is made, and at its end what that gives.

        `chunk`: tokens that are drawn for a piece, at most; None: as is quickest. What `yield from`
        gives is the whole `Generation`.

        >>> import infgram
        >>> model = infgram.Model(infgram.build(["to be or not to be"]), infgram.SBIS(k=1))
        >>> pieces = model.stream("not to", max_tokens=3, seed=0, chunk=1)
        >>> [piece for piece in pieces if piece]
        [' ', 'b', 'e']
        """
        plan = plan_of(sampling)
        if chunk is not None:
            whole(1, chunk=chunk)
        (sampler,) = self._samplers(prompt, plan, [generator(seed)])
        return writing.stream(sampler, plan, self._behind(prompt), chunk)

    def samples(
        self,
        n: int,
        prompt: Query = (),
        *,
        threads: int | None = None,
        seed: Seed = None,
        **sampling: Unpack[Sampling],
    ) -> list[Generation]:
        """`n` texts after one prompt, made by `threads` threads at once (None: one a core).

        Each thread draws several side by side, which hides how long memory takes. Text i depends on
        the seed and on i alone.
        """
        whole(0, n=n)
        if threads is not None:
            whole(1, threads=threads)
        plan = plan_of(sampling)
        n_threads = threads or os.cpu_count() or 1
        # What others draw behind a stop string is drawn for nothing.
        size = 1 if plan.stops else min(_SIDE_BY_SIDE, max(1, -(-n // n_threads)))
        rngs = list(spawn(seed, n))  # each text draws from a generator of its own
        groups = [
            self._samplers(prompt, plan, rngs[start : start + size]) for start in range(0, n, size)
        ]
        behind = self._behind(prompt)
        with ThreadPoolExecutor(n_threads) as pool:
            made = pool.map(lambda group: [writing.run(s, plan, behind) for s in group], groups)
            return [text for group in made for text in group]

    def trace(
        self, text: Query, *, context: Query = (), bos: bool = False, eos: bool = False
    ) -> TokenTraces:
        """For each token that `score` scores where its probability came from, by the definitions.

        The text of an end of a document is "". About a millisecond a token.

        >>> import infgram
        >>> index = infgram.build(["to be or not to be"])
        >>> traces = infgram.Model(index, infgram.Longest()).trace("be", context="to ")
        >>> [(token.text, token.n, token.prob) for token in traces]
        [('b', 3, 1.0), ('e', 4, 1.0)]
        """
        traced = self._trace(self._predicted(text, eos).tolist(), self._read(context, bos))
        return TokenTraces(traced)

    def _trace(self, ids: list[int], before: NDArray[Any]) -> Iterator[TokenTrace]:
        read = before.tolist()
        contexts = self._contexts(before)
        for token_id, text in zip(ids, self._texts(ids, read), strict=True):
            levels = explained(self.estimator, contexts, self.weights.tolist(), token_id)
            n, m = max(each.longest() for each in contexts)
            matched = max(
                (level.n for level in levels if level.prob > 0 and not level.live), default=0
            )
            yield TokenTrace(
                token_id,
                text,
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

    def _with_ends(self, query: Query) -> NDArray[Any]:
        """A query as token ids, the ends of documents among them where they are given as ids."""
        if isinstance(query, (str, bytes)):
            return self._ids(query)
        return self.tokenizer.check(query, ends=True)

    def _read(self, context: Query, bos: bool) -> NDArray[Any]:
        """A context as token ids: a document begins behind an end."""
        ids = self._with_ends(context)
        return np.append(np.uint32(self.end_of_text), ids).astype(np.uint32) if bos else ids

    def _predicted(self, text: Query, eos: bool) -> NDArray[Any]:
        ids = self._with_ends(text)
        return np.append(ids, np.uint32(self.end_of_text)).astype(np.uint32) if eos else ids

    def _prompt(self, prompt: Query) -> NDArray[Any]:
        """What is read before a text is written: an empty prompt begins a document."""
        ids = self._with_ends(prompt)
        return ids if len(ids) else self._read((), True)

    def _behind(self, prompt: Query) -> Behind:
        ids = self._with_ends(prompt)
        if isinstance(prompt, (str, bytes)):
            skip = blank_between(self.tokenizer, prompt, ids)
            return Behind(self.tokenizer, ids, skip=skip)
        return Behind(self.tokenizer, self._last_document(ids.tolist()))

    def _texts(self, ids: list[int], before: list[int]) -> Iterator[str]:
        """What each token adds to the text of its document; a number where tokens are numbers."""
        while ids:
            end = ids.index(self.end_of_text) if self.end_of_text in ids else len(ids)
            if self.tokenizer.name == "ids":
                yield from map(str, ids[:end])
            else:
                yield from Behind(self.tokenizer, self._last_document(before)).by_token(ids[:end])
            if end < len(ids):
                yield ""
            before, ids = [], ids[end + 1 :]

    def _last_document(self, ids: list[int]) -> list[int]:
        """What stands behind the last end of text."""
        if self.end_of_text not in ids:
            return ids
        return ids[len(ids) - ids[::-1].index(self.end_of_text) :]

    def _start(self, ids: NDArray[Any]) -> list[Predictor | DefinedPredictor]:
        return [self._predictor(index, ids) for index in self.indexes]

    def _predictor(self, index: Index, ids: NDArray[Any]) -> Predictor | DefinedPredictor:
        """The estimator after a context."""
        cursor, rest = self._cursor(index, ids)
        predictor: Predictor | DefinedPredictor | None = self.estimator.native(
            cursor, live=self.adapt
        )
        if predictor is None:
            predictor = DefinedPredictor(self.estimator, Context(cursor, adapt=self.adapt))
        predictor.read(rest)
        return predictor

    def _cursor(self, index: Index, ids: NDArray[Any]) -> tuple[Cursor, NDArray[Any]]:
        """A cursor on its way through a context, and what is read from there; counted, if at all.

        A beginning of a document is known to the index, and counts as no token of a live text.
        """
        ends = np.flatnonzero(ids == self.end_of_text)
        if self.adapt:
            ends = ends[: int(len(ends) > 0 and ends[0] == 0)]
        if len(ends):
            return index.start_of_document(window=self.window), ids[ends[-1] + 1 :]
        if self.adapt or getattr(self.estimator, "reads_text", False):
            return index.cursor(window=self.window), ids
        return index.cursor(ids, window=self.window), ids[:0]

    def _samplers(
        self, prompt: Query, plan: Plan, rngs: Sequence[np.random.Generator]
    ) -> Sequence[writing.Sampler]:
        """A text for each generator, drawn together where the core does it."""
        if plan.max_copy is not None and plan.max_copy > self.window:
            raise InvalidParameter(
                f"max_copy is {plan.max_copy}, expected at most {self.window}, the tokens of "
                "context that the estimator sees"
            )
        if len(self.indexes) == 1:
            predictor = self._predictor(self.indexes[0], self._prompt(prompt))
            if isinstance(predictor, Predictor):
                return _NativeSampler(predictor, plan, rngs).texts()
        return [self.defined_sampler(prompt, plan, rng) for rng in rngs]

    def defined_sampler(
        self, prompt: Query, plan: Plan, rng: np.random.Generator
    ) -> DefinedSampler:
        """The readable twin of the core's loop."""
        return DefinedSampler(
            self.estimator,
            self._contexts(self._prompt(prompt)),
            self._blend,
            rng,
            max_copy=plan.max_copy,
            temperature=plan.temperature,
            top_k=plan.top_k,
            top_p=plan.top_p,
            min_p=plan.min_p,
        )

    def _contexts(self, ids: NDArray[Any]) -> list[Context]:
        """The readable twin of `_start`, one context an index."""
        contexts = []
        for index in self.indexes:
            cursor, rest = self._cursor(index, ids)
            context = Context(cursor, adapt=self.adapt)
            for token_id in rest.tolist():
                context.advance(token_id)
            contexts.append(context)
        return contexts


def check_model(**named: object) -> None:
    """Each is a model. Raises InvalidParameter."""
    instance(Model, "infgram.Model(index) makes one", **named)


class _NativeSampler:
    """The core's loop over one index, of several texts: when one that has nothing left is asked,
    all draw. Each must be asked for the same numbers of tokens."""

    def __init__(
        self, predictor: Predictor, plan: Plan, rngs: Sequence[np.random.Generator]
    ) -> None:
        self._locks = [rng.bit_generator.lock for rng in rngs]
        self._drawn: list[deque[tuple[NDArray[np.uint32], str]]] = [deque() for _ in rngs]
        self._native = predictor.sampler(
            temperature=plan.temperature,
            top_k=min(plan.top_k, 2**32 - 1),
            top_p=plan.top_p,
            min_p=plan.min_p,
            max_copy=plan.max_copy or 0,
            bit_generators=[rng.bit_generator for rng in rngs],
        )

    def texts(self) -> list[writing.Sampler]:
        return [_OneOf(self, i) for i in range(len(self._drawn))]

    def sample(self, text: int, n: int) -> tuple[NDArray[np.uint32], str]:
        if not self._drawn[text]:
            with ExitStack() as held:
                for lock in self._locks:
                    held.enter_context(lock)
                for drawn, new in zip(self._drawn, self._native.sample(n), strict=True):
                    drawn.append(new)
        return self._drawn[text].popleft()


@dataclass(frozen=True)
class _OneOf:
    """One text of those that are drawn together."""

    sampler: _NativeSampler
    text: int

    def sample(self, n: int) -> tuple[NDArray[np.uint32], str]:
        return self.sampler.sample(self.text, n)


def _normalised(weights: Sequence[float] | None, n: int) -> NDArray[np.float64]:
    values = np.ones(n) if weights is None else np.asarray(weights, np.float64)
    if values.shape != (n,):
        raise InvalidParameter(f"weights are {weights!r}, expected one for each of {n} indexes")
    if not (np.isfinite(values).all() and (values >= 0).all() and (values > 0).any()):
        raise InvalidParameter(
            f"weights are {weights!r}, expected numbers of at least 0, one of them above"
        )
    shares = values / values.max()  # of which the sum is no more than n
    normalised: NDArray[np.float64] = shares / shares.sum()
    return normalised


def generate(
    index: Index,
    prompt: Query = (),
    *,
    k: int = SBIS.k,
    decay: float = SBIS.decay,
    weighting: Literal["counts", "distributions"] = SBIS.weighting,
    window: int = SBIS.window,
    seed: Seed = None,
    trace: bool = False,
    **sampling: Unpack[Sampling],
) -> Generation:
    """Generates text by SBIS: `Model(index, SBIS(k, decay, weighting, window)).generate(...)`.

    >>> import infgram
    >>> index = infgram.build(["to be or not to be"])
    >>> infgram.generate(index, "not to", max_tokens=3, k=1, seed=0).text
    ' be'
    """
    model = Model(index, SBIS(k, decay, weighting, window))
    return model.generate(prompt, seed=seed, trace=trace, **sampling)


def stream(
    index: Index,
    prompt: Query = (),
    *,
    k: int = SBIS.k,
    decay: float = SBIS.decay,
    weighting: Literal["counts", "distributions"] = SBIS.weighting,
    window: int = SBIS.window,
    seed: Seed = None,
    **sampling: Unpack[Sampling],
) -> Iterator[str]:
    """The text of `generate`, piece by piece as it is made."""
    model = Model(index, SBIS(k, decay, weighting, window))
    return model.stream(prompt, seed=seed, **sampling)
