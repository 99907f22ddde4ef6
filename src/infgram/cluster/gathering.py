"""infgram.cluster.open: an index of many parts, which workers hold, asked as if it were one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks import instance, whole
from ..errors import IndexReplaced, InvalidParameter
from ..models.definition import draw
from ..models.estimators import SBIS
from ..models.sampling import Generation, Plan, Reason
from ..occurrences import draw as draw_rows
from ..queries import Queries, TakesQueries, numbered, several
from ..results import Levels, Matches, NextTokens
from ..seeds import generator, spawn
from ..store.urls import url_of
from ..text.pieces import Behind
from ..text.tokens import Query
from . import engine
from .holder import Facts, Histogram, Holder
from .merging import first_levels, flat_of, levels_of, sum_of


class Cluster(TakesQueries):
    """A corpus in parts, which actors of Ray hold: `infgram.cluster.open` gives one.

    Answers are sums over parts. A worker that dies is started again and asked again; if its parts
    have been built anew by then, IndexReplaced is raised: every answer is of `identity`.

    - `tokenizer`: what made the tokens.
    - `n_tokens`, `n_documents`, `n_parts`: of the corpus; documents are numbered through all parts.
    - `identity`: of the builds of all parts.
    - `workers`: the actors.
    """

    def __init__(self, parts: Sequence[str | os.PathLike[str]], *, n_workers: int) -> None:
        paths = [part if url_of(part) else Path(os.path.abspath(part)) for part in parts]
        n = min(n_workers, len(paths))
        bounds = [i * len(paths) // n for i in range(n + 1)]
        self._shares = [slice(bounds[i], bounds[i + 1]) for i in range(n)]
        self.workers = engine.actors(Holder, [(paths[share],) for share in self._shares])
        self._identities: list[tuple[str, ...]] = []
        try:
            told = engine.results([worker.facts.remote() for worker in self.workers])
            self._identities = [identities for identities, _ in told]
            facts: list[Facts] = [each for _, of_parts in told for each in of_parts]
            self.tokenizer = facts[0].tokenizer
            for path, each in zip(paths, facts, strict=True):
                if each.tokenizer.spec() != self.tokenizer.spec():
                    raise InvalidParameter(
                        f"{path} has another tokenizer than {paths[0]}: only parts with the same "
                        "one can be asked together"
                    )
        except BaseException:
            self.close()
            raise
        self.n_parts = len(facts)
        self.n_tokens = sum(each.n_tokens for each in facts)
        self.n_documents = sum(each.n_documents for each in facts)
        self._first_documents = np.cumsum([0, *(each.n_documents for each in facts)]).tolist()
        every = "".join(identity for of_worker in self._identities for identity in of_worker)
        self.identity = hashlib.sha256(every.encode()).hexdigest()

    def __repr__(self) -> str:
        return (
            f"<infgram.cluster.Cluster: {self.n_tokens:,} tokens ({self.tokenizer.name}), "
            f"{self.n_documents:,} documents, {self.n_parts} parts, {len(self.workers)} workers>"
        )

    def close(self) -> None:
        """Ends the workers. Also at the end of a `with` block."""
        for worker in self.workers:
            engine.stop(worker)
        self.workers = []

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, question: Callable[[Any, int], Any]) -> list[Any]:
        """The answers of all workers, which have to be of the parts that were opened.

        question: asks a worker, given its number.
        """
        if not self.workers:
            raise InvalidParameter("the cluster is closed: open it again")
        told = engine.results([question(worker, i) for i, worker in enumerate(self.workers)])
        for now, (identities, _) in zip(self._identities, told, strict=True):
            if identities != now:
                raise IndexReplaced(
                    "a part was built anew since the cluster was opened: open it again"
                )
        return [answer for _, answer in told]

    # Counts ---------------------------------------------------------------------------------------

    def count(self, ngram: Query) -> int:
        """Occurrences of an n-gram of any length. Many at once cost as much: `count_batch`."""
        return int(self._counts([self._uint32(ngram)]).sum())

    def count_batch(self, ngrams: Queries) -> NDArray[np.int64]:
        """Occurrences of many n-grams, of shape (n_ngrams,). One question to each worker."""
        return np.asarray(self._counts(self._all("count_batch", ngrams)).sum(axis=0), np.int64)

    def _counts(self, ngrams: Sequence[NDArray[np.uint32]]) -> NDArray[np.int64]:
        """In each part, of shape (n_parts, n_ngrams)."""
        flat, offsets = flat_of(ngrams)
        found = self._ask(lambda worker, _: worker.count_batch.remote(flat, offsets))
        return np.concatenate(found)

    # Next tokens ----------------------------------------------------------------------------------

    def ntd(self, prompt: Query) -> NextTokens:
        """Exact next-token distribution after all of `prompt`; empty if it never occurs."""
        return self.ntd_batch([prompt])[0]

    def ntd_batch(self, prompts: Queries) -> list[NextTokens]:
        """`ntd` of many prompts. One question to each worker."""
        asked = self._all("ntd_batch", prompts)
        flat, offsets = flat_of(asked)
        of_workers = self._ask(lambda worker, _: worker.next_tokens.remote(flat, offsets))
        found = []
        for ids, *told in zip(asked, *of_workers, strict=True):
            every = [histogram for of_parts in told for histogram in of_parts]
            _, m, token_ids, counts = sum_of(every, self.end_of_text)
            found.append(NextTokens.of(token_ids, counts, m, len(ids), self.tokenizer))
        return found

    def levels(self, context: Query) -> Levels:
        """All back-off levels of the context, longest first, each with more matches than the last.

        A part does not know that another one follows: the last document of each stops, and its end
        is nothing that comes next.
        """
        flat, offsets = flat_of([self._uint32(context)])
        told = self._ask(lambda worker, _: worker.levels.remote(flat, offsets))
        return Levels(levels_of([levels for (of_parts,) in told for levels in of_parts]))

    # Documents ------------------------------------------------------------------------------------

    def find(
        self,
        ngram: Query,
        *,
        limit: int = 10,
        seed: int | np.random.Generator | None = None,
        context: int = 60,
    ) -> Matches:
        """Up to `limit` occurrences, drawn without replacement, in the order of parts.

        Two questions to each worker.
        """
        whole(0, limit=limit, context=context)
        ids = self._looked_for(ngram).astype(np.uint32)
        counts = self._counts([ids])[:, 0]
        ranges = np.stack([np.zeros_like(counts), counts], axis=1)
        drawn = draw_rows(ranges, limit, generator(seed))
        chosen = [drawn[drawn[:, 0] == part, 1] for part in range(self.n_parts)]
        told = self._ask(
            lambda worker, i: worker.matches.remote(ids, chosen[self._shares[i]], context)
        )
        of_parts = [matches for of_worker in told for matches in of_worker]
        return Matches(
            replace(match, document=match.document + first)
            for first, matches in zip(self._first_documents, of_parts, strict=False)
            for match in matches
        )

    # Texts ----------------------------------------------------------------------------------------

    def generate(
        self,
        prompts: Queries,
        *,
        max_tokens: int = 500,
        temperature: float = 0.8,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        estimator: SBIS | None = None,
        seed: int | np.random.Generator | None = None,
    ) -> list[Generation]:
        """Texts behind many prompts, all written at once, with SBIS over all parts together.

        A token of all texts is one question to each worker: 64 texts take hardly more of them than
        one. What is drawn of prompt i depends on the seed and on i alone. `estimator` has no floor.
        """
        sbis = SBIS() if estimator is None else estimator
        instance(SBIS, "other estimators need an index that is here", estimator=sbis)
        if sbis.floor:
            raise InvalidParameter(f"floor is {sbis.floor}, expected 0: a cluster has none")
        how = Plan(max_tokens, temperature, top_k, top_p, min_p)
        begun = self._all("generate", prompts)
        rngs = spawn(seed, len(begun))
        read = [ids.tolist() for ids in begun]
        running = dict.fromkeys(range(len(begun)) if max_tokens else ())
        ended: set[int] = set()
        for _ in range(max_tokens):
            if not running:
                break
            texts = [np.array(read[i][-sbis.window :], np.uint32) for i in running]
            flat, offsets = flat_of(texts)
            asked = (flat, offsets, sbis.k, sbis.window)
            told = self._ask(lambda worker, _, asked=asked: worker.first_levels.remote(*asked))  # type: ignore[misc]
            for i, *of_workers in list(zip(list(running), *told, strict=True)):
                parts = [part for of_parts in of_workers for part in of_parts]
                levels = first_levels(parts, sbis.k, self.end_of_text)
                token_ids, weights = _weights(levels, sbis)
                token_id = _drawn(token_ids, weights, how, rngs[i])
                if token_id == self.end_of_text:
                    del running[i]
                    ended.add(i)
                else:
                    read[i].append(token_id)
        made = []
        for i, ids in enumerate(begun):
            token_ids = np.array(read[i][len(ids) :], np.uint32)
            text = Behind(self.tokenizer, ids).text(token_ids)
            reason: Reason = "end_of_text" if i in ended else "length"
            made.append(Generation(text, token_ids, reason))
        return made

    def _uint32(self, query: Query) -> NDArray[np.uint32]:
        return self.ngram_ids(query).astype(np.uint32)

    def _all(self, asked: str, queries: Queries) -> list[NDArray[np.uint32]]:
        found = []
        for i, query in enumerate(several(asked, queries)):
            with numbered(i):
                found.append(self._uint32(query))
        return found


def _drawn(
    token_ids: NDArray[np.uint32],
    weights: NDArray[np.float64],
    how: Plan,
    rng: np.random.Generator,
) -> int:
    return draw(
        token_ids,
        weights,
        temperature=how.temperature,
        rng=rng,
        top_k=how.top_k,
        top_p=how.top_p,
        min_p=how.min_p,
    )


def _weights(
    levels: Sequence[Histogram], sbis: SBIS
) -> tuple[NDArray[np.uint32], NDArray[np.float64]]:
    """The tokens that levels have, rising, and what SBIS gives each."""
    token_ids = np.unique(np.concatenate([level.token_ids for level in levels]))
    weights = np.zeros(len(token_ids))
    decay = 1.0
    for level in levels:
        scale = 1.0 if sbis.weighting == "counts" else 1.0 / level.m
        weights[np.searchsorted(token_ids, level.token_ids)] += decay * scale * level.counts
        decay *= sbis.decay
    return token_ids, weights


def open(
    parts: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], *, n_workers: int = 4
) -> Cluster:
    """Opens parts of a corpus, each an index, in `n_workers` actors of Ray.

    - `parts`: paths or addresses of indexes with one tokenizer, or the folder that
      `infgram.cluster.build` has filled. Workers open them by these names, wherever Ray runs them.

    Ray is used as it is (`ray.init`); where none was started, it starts one on this machine. It
    runs whatever reaches its ports: read docs/howto/cluster.md first.

    Raises InvalidParameter, MissingExtra, WorkerLost, and what opening an index raises.

    >>> import infgram.cluster
    >>> infgram.cluster.open([])
    Traceback (most recent call last):
    infgram.errors.InvalidParameter: parts is [], expected paths of indexes, or a folder of them
    """
    whole(1, n_workers=n_workers)
    if isinstance(parts, (str, os.PathLike)):
        found: Sequence[str | os.PathLike[str]] = sorted(Path(parts).glob("part-*.infgram"))
    else:
        found = list(parts)
    if not found:
        raise InvalidParameter(
            f"parts is {parts!r}, expected paths of indexes, or a folder of them"
        )
    return Cluster(found, n_workers=n_workers)
