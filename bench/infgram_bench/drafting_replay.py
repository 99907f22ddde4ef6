"""A fixed text, drafted and verified step by step: the tokens a step gives, and what was promised.

In a step a model reads the draft, accepts of it what it would have written itself, and adds a token
of its own. Here the text says what that is.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .drafting_rivals import SYSTEMS, DraftingSystem, Options, Session, Way
from .drafting_traces import N_PROMPT, Ids, Material, Trace
from .rivals import Absent

BUDGETS = (4, 8, 16, 32)  # tokens of a draft, at most
_N_BINS = 20


@dataclass(frozen=True)
class Replay:
    """What came of a session.

    - `steps`, `tokens`: of each document; tokens without the prompt.
    - `nodes`: drafted tokens, of all documents.
    - `promised`, `accepted`: drafted tokens a step, as far as the text goes.
    - `error`: how far the share of accepted tokens is from what was promised, over bins of the
      promise, or None where the drafter promises nothing.
    - `propose_p50`, `propose_p99`: seconds a draft; `accept`: seconds a token.
    """

    options: Options
    steps: list[int]
    tokens: list[int]
    nodes: int
    promised: float
    accepted: float
    error: float | None
    propose_p50: float
    propose_p99: float
    accept: float

    @property
    def tokens_a_step(self) -> float:
        return sum(self.tokens) / sum(self.steps)


def replay(session: Session, documents: Sequence[Ids], max_tokens: int, options: Options) -> Replay:
    """Drafts all of the documents, one after another; `options` are those of the session.

    Raises ValueError for a draft of more than `max_tokens`.
    """
    record = _Record()
    with _no_collection():
        for document in documents:
            session.start(document[:N_PROMPT])
            record.steps.append(0)
            record.tokens.append(len(document) - N_PROMPT)
            at = N_PROMPT
            while at < len(document):
                at += _step(session, document[at:], max_tokens, record)
            session.stop()
    return record.result(options)


def follow(token_ids: Sequence[int], parents: Sequence[int], text: Sequence[int]) -> list[int]:
    """Places of the drafted tokens that the text goes on with."""
    children: dict[tuple[int, int], int] = {}
    for place, edge in enumerate(zip(parents, token_ids, strict=True)):
        children.setdefault(edge, place)
    places: list[int] = []
    at = -1
    for token in text:
        if (at, token) not in children:
            break
        at = children[at, token]
        places.append(at)
    return places


class _Record:
    """A session as it goes on."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.tokens: list[int] = []
        self.nodes = 0
        self.proposing: list[float] = []
        self.accepting = 0.0
        self.promises = np.zeros((_N_BINS, 3))  # in bins: drafted tokens, promised, accepted
        self.has_promises = False

    def judge(
        self,
        probs: Sequence[float],
        parents: Sequence[int],
        accepted: Sequence[int],
        n_left: int,
    ) -> None:
        """Counts promises and what came of them, but not of tokens behind the text's end."""
        self.has_promises |= len(probs) > 0
        places = set(accepted)
        depths: list[int] = []
        for place, parent in enumerate(parents):
            depths.append(1 if parent < 0 else depths[parent] + 1)
            if depths[-1] <= n_left:
                prob = probs[place] if probs else 0.0
                bin_ = min(int(prob * _N_BINS), _N_BINS - 1)
                self.promises[bin_] += (1, prob, place in places)

    def result(self, options: Options) -> Replay:
        drafted, promised, accepted = self.promises.T
        error = float(np.abs(promised - accepted).sum() / max(drafted.sum(), 1))
        n_steps = sum(self.steps)
        p50, p99 = np.percentile(self.proposing, [50, 99]).tolist()
        return Replay(
            options=options,
            steps=self.steps,
            tokens=self.tokens,
            nodes=self.nodes,
            promised=float(promised.sum()) / n_steps,
            accepted=float(accepted.sum()) / n_steps,
            error=error if self.has_promises else None,
            propose_p50=p50,
            propose_p99=p99,
            accept=self.accepting / sum(self.tokens),
        )


def _step(session: Session, rest: Ids, max_tokens: int, record: _Record) -> int:
    """Tokens that a step gives."""
    started = time.perf_counter()
    draft = session.propose()
    record.proposing.append(time.perf_counter() - started)
    token_ids, parents, probs = list(draft.token_ids), list(draft.parents), list(draft.probs)
    if len(token_ids) > max_tokens:
        raise ValueError(f"a draft of {len(token_ids)} tokens, expected at most {max_tokens}")
    accepted = follow(token_ids, parents, rest[:max_tokens].tolist())
    written = rest[: len(accepted) + 1]
    started = time.perf_counter()
    session.accept(written)
    record.accepting += time.perf_counter() - started
    record.steps[-1] += 1
    record.nodes += len(token_ids)
    record.judge(probs, parents, accepted, len(rest))
    return len(written)


@contextmanager
def _no_collection() -> Iterator[None]:
    """The collector of garbage stands still."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


# In a process of its own --------------------------------------------------------------------------


def measure(
    name: str, material: Material, resident: Callable[[], dict[str, int]]
) -> dict[str, Any]:
    """Replays everything with one system, in all of its ways.

    `resident` tells the resident memory of the process by kind, in bytes.
    """
    (kind,) = [system for system in SYSTEMS if system.name == name]
    traces = material.traces
    before = sum(resident().values())
    started = time.perf_counter()
    try:
        system = kind(material)
    except Absent as absent:
        return {"absent": str(absent)}
    seconds = time.perf_counter() - started
    ready = sum(resident().values())
    replays = {
        trace.name: {way.name: _replays(system, way, trace) for way in system.ways}
        for trace in traces
    }
    return {
        "seconds": seconds,
        "ready_bytes": ready - before,
        "used_bytes": sum(resident().values()) - before,
        "replays": replays,
    }


def _replays(system: DraftingSystem, way: Way, trace: Trace) -> dict[str, dict[str, Any]]:
    """Of the held-out documents, by budget."""
    found = {}
    for max_tokens in BUDGETS:
        options = way.trials[0]
        if len(way.trials) > 1:
            options = _best(system, way, trace, max_tokens)
        found[str(max_tokens)] = asdict(_run(system, trace.held_out, max_tokens, options))
    return found


def _best(system: DraftingSystem, way: Way, trace: Trace, max_tokens: int) -> Options:
    """The first of those trials that give most tokens a step on the tuning documents."""
    trials = [_run(system, trace.tuning, max_tokens, options) for options in way.trials]
    return max(trials, key=lambda trial: trial.tokens_a_step).options


def _run(
    system: DraftingSystem, documents: Sequence[Ids], max_tokens: int, options: Options
) -> Replay:
    with closing(system.session(max_tokens, options)) as session:
        return replay(session, documents, max_tokens, options)
