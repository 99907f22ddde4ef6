"""Drafts for a neural model, by the clock: the same texts with drafts and without, in turn.

A model of 10.65 M parameters writes after pieces of held-out text, greedily and at T = 0.8. All
drafters but transformers' own draft for infgram's loop, so that nothing but the drafts differs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from infgram import _core
from infgram.draft import Draft, Drafter

from .drafting import train_target
from .drafting_rivals import Arctic, DraftingSystem, InfgramDrafting, Options, PromptLookup, Session
from .drafting_traces import Ids, Material
from .findings import duration
from .neural import load_nanogpt, missing
from .processes import run_job
from .question import Bench, CannotMeasure, Question
from .rivals import Absent
from .settings import Settings
from .timing import Contender, Timing, interleave

TARGET = "DRAFTING_TARGET"
_N_PROMPTS = 5
_PROMPT, _WRITTEN = 48, 200  # characters: together what the model has positions for, and a draft
_MAX_TOKENS = 8
_ROUNDS = 5
_MANNERS = {"greedy": 0.0, "T = 0.8": 0.8}
_OURS = "infgram"
_PLAIN = ("transformers", "a lean loop", "infgram's loop, no drafts")
_ARCTIC: dict[str, Options] = {  # its defaults, and what replays chose at 8 nodes
    "Arctic, path, defaults": {},
    "Arctic, path, tuned": {"max_spec_factor": 16.0, "min_token_prob": 0.05},
    "Arctic, tree, tuned": {
        "use_tree_spec": True,
        "max_spec_factor": 4.0,
        "min_token_prob": 0.05,
    },
}


def _answer(bench: Bench) -> None:
    if reason := missing():
        raise CannotMeasure(reason)
    findings = bench.findings
    text, loss = train_target(TARGET, bench)
    findings.setting["target"] = f"10.65 M parameters, held-out loss {loss:.3f} nats a character"
    bench.progress("writing with drafts and without", 0, 0)
    result = run_job("drafting_speed", text, bench.folder / "speed").result
    for name, reason in result["absent"].items():
        findings.note(f"{name}: {reason}")
    cost = result["cost"]
    sizes = [n for n in (1, 2, 4, 8, 16, 32) if n < len(cost)]
    findings.note(
        f"a step with no draft takes {duration(cost[0])}; with "
        + ", ".join(f"{n} tokens {cost[n] / cost[0]:.2f} x" for n in sizes)
    )
    for manner, ways in result["seconds"].items():
        _compare(manner, ways, result, bench)


def _compare(
    manner: str, ways: dict[str, list[float]], result: dict[str, Any], bench: Bench
) -> None:
    """A table, and how infgram's drafts compare with the fastest of everyone else."""
    contenders = [Contender(name, str, timing=Timing(taken)) for name, taken in ways.items()]
    title = f"{manner}: {_WRITTEN} characters after each of {_N_PROMPTS} prompts"
    bench.findings.timing_table(title, contenders, rate=True)
    steps = result["tokens_per_step"][manner]
    bench.findings.note(
        f"{manner}, tokens a step: "
        + "; ".join(f"{name} {found:.2f}" for name, found in steps.items())
    )
    different = result["different"][manner]
    bench.findings.note(
        f"{manner}: texts unlike those of transformers: "
        + ("none" if not different else "; ".join(f"{n}: {d}" for n, d in different.items()))
    )
    medians = {name: float(np.median(taken)) for name, taken in ways.items()}
    ours = min(median for name, median in medians.items() if _is_ours(name))
    plain = min(medians[name] for name in _PLAIN if name in medians)
    rivals = {name: m for name, m in medians.items() if name not in _PLAIN and not _is_ours(name)}
    bench.findings.figures[f"{manner}: drafts, to plain cached writing"] = plain / ours
    bench.findings.at_least(f"{manner}: drafts, to the fastest without", plain / ours, 1.0)
    if rivals:
        best = min(rivals, key=lambda name: rivals[name])
        bench.findings.at_least(f"{manner}: drafts, to {best}", rivals[best] / ours, 1.0)


def _is_ours(name: str) -> bool:
    return name.startswith(f"{_OURS}, ")


def _minutes(settings: Settings) -> float:
    return 0.1 if missing() else 42.0


QUESTION = Question(
    "drafting-speed",
    "Drafts for a neural model: by the clock",
    _answer,
    minutes=_minutes,
    in_quick=False,
)


# In a process of its own --------------------------------------------------------------------------


class SessionDrafter:
    """A session of drafting_rivals.py in the place of a Drafter."""

    draws = False

    def __init__(self, session: Session, *, vocab_size: int, tree: bool) -> None:
        self.vocab_size = vocab_size
        self.tree = tree
        self.max_tokens = _MAX_TOKENS
        self._session = session

    def start(self, request: object, prompt_ids: Sequence[int]) -> None:
        self._session.start(np.array(prompt_ids, np.uint32))

    def propose(self, request: object, max_tokens: int) -> Draft:
        """Parents come before their children: the first tokens of a draft are a draft."""
        if max_tokens == 0:
            ids, parents = [], []
        else:
            found = self._session.propose()
            ids = list(found.token_ids)[:max_tokens]
            parents = list(found.parents)[:max_tokens]
        zeros = np.zeros(len(ids), np.int32)
        return Draft(
            _core.Draft(
                np.array(ids, np.int32),
                np.array(parents, np.int32),
                zeros.astype(np.float32),
                zeros,
                zeros.astype(np.uint8),
            )
        )

    def accept(self, request: object, verified_ids: Sequence[int], num_accepted: int) -> None:
        self._session.accept(np.array(verified_ids, np.uint32))

    def stop(self, request: object) -> None:
        self._session.stop()


@dataclass
class _Run:
    """What one way wrote, in all of its rounds."""

    texts: set[tuple[int, ...]] = field(default_factory=set)
    n_steps: int = 0
    n_tokens: int = 0


def measure(text: Path, folder: Path) -> dict[str, Any]:
    """Seconds a character by manner and way, with what else is told of them."""
    from infgram.draft.profile import measure_cost

    from . import gpt

    model, split = load_nanogpt(TARGET, text)
    material = Material(folder)
    material.add_corpus([split.training.astype(np.uint32)])
    material.build()
    starts = np.linspace(0, len(split.validation) - _PROMPT, _N_PROMPTS).astype(int)
    prompts = [split.validation[start : start + _PROMPT] for start in starts.tolist()]
    result: dict[str, Any] = {"seconds": {}, "tokens_per_step": {}, "different": {}, "absent": {}}
    with gpt.use_threads(1):
        cost = measure_cost(model, context_tokens=_PROMPT + _WRITTEN // 2, max_tokens=_MAX_TOKENS)
        result["cost"] = cost.seconds
        for manner, temperature in _MANNERS.items():
            writers = _writers(model, material, cost.curve, temperature, result["absent"])
            seconds, runs = _time(writers, prompts)
            result["seconds"][manner] = seconds
            result["tokens_per_step"][manner] = {
                name: run.n_tokens / run.n_steps for name, run in runs.items() if run.n_steps
            }
            same = runs["transformers"].texts
            result["different"][manner] = {
                name: len(run.texts - same)
                for name, run in runs.items()
                if run.texts != same and not _has_its_own_chance(name)
            }
    return result


def _has_its_own_chance(name: str) -> bool:
    """Draws otherwise than transformers: of the same law, but not the same text."""
    return name == "a lean loop" or name.endswith(", drawn")


_Write = Callable[[Ids, _Run], None]


def _time(
    writers: dict[str, tuple[_Write, Callable[[], None]]], prompts: Sequence[Any]
) -> tuple[dict[str, list[float]], dict[str, _Run]]:
    runs = {name: _Run() for name in writers}

    def contender(name: str) -> Contender:
        write, forget = writers[name]

        def run() -> None:
            forget()
            for prompt in prompts:
                write(prompt, runs[name])

        return Contender(name, run, len(prompts) * _WRITTEN)

    contenders = [contender(name) for name in writers]
    interleave(contenders, rounds=_ROUNDS, seconds=0)
    return {each.name: each.timing.wall for each in contenders}, runs


def _writers(
    model: Any, material: Material, cost: Any, temperature: float, absent: dict[str, str]
) -> dict[str, tuple[_Write, Callable[[], None]]]:
    """Each way to write, and what makes its drafter forget what it has written."""
    import torch

    from infgram.draft.huggingface import Report, decode

    from . import gpt

    how: dict[str, Any] = {"do_sample": False}
    if temperature:
        how = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}

    def by_transformers(**more: Any) -> _Write:
        def write(prompt: Ids, run: _Run) -> None:
            report = Report()
            if "custom_generate" in more:
                more["report"] = report
            ids = torch.from_numpy(prompt.astype(np.int64))[None]
            torch.manual_seed(0)
            made = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=_WRITTEN,
                pad_token_id=0,
                **how,
                **more,
            )
            run.texts.add(tuple(made[0].tolist()))
            run.n_steps += report.n_steps
            run.n_tokens += report.n_tokens

        return write

    def by_lean_loop(prompt: Ids, run: _Run) -> None:
        vocab_size = model.config.vocab_size
        gpt.generate(
            *(model, prompt.astype(np.uint8), _WRITTEN),
            temperature=temperature,
            top_k=vocab_size,
            seed=0,
            use_cache=True,
        )

    def drafted(drafter: Any, *, draw: bool = False) -> _Write:
        """draw: of a drafter that can draw its drafts, which a model that samples likes better."""
        return by_transformers(custom_generate=decode, drafter=drafter, sample_drafts=draw)

    def nothing() -> None:
        pass

    vocab_size = model.config.vocab_size
    none = Drafter(vocab_size=vocab_size, max_tokens=0, session_tokens=0)
    writers: dict[str, tuple[_Write, Callable[[], None]]] = {
        "transformers": (by_transformers(), nothing),
        "a lean loop": (by_lean_loop, nothing),
        "infgram's loop, no drafts": (drafted(none), nothing),
    }
    index = InfgramDrafting(material).index
    for shape, tree in (("tree", True), ("path", False)):
        drafter = Drafter(
            index, vocab_size=vocab_size, max_tokens=_MAX_TOKENS, tree=tree, cost=cost
        )
        writers[f"{_OURS}, {shape}"] = (drafted(drafter), drafter.forget_session)
        if temperature:
            drawn = drafted(drafter, draw=True)
            writers[f"{_OURS}, {shape}, drawn"] = (drawn, drafter.forget_session)
    lookup = by_transformers(prompt_lookup_num_tokens=_MAX_TOKENS)
    writers["prompt lookup, by transformers"] = (lookup, nothing)
    for name, system, options in _rivals(material, absent):
        writers[name] = _of_session(system, options, drafted, vocab_size)
    return writers


def _rivals(
    material: Material, absent: dict[str, str]
) -> list[tuple[str, DraftingSystem, Options]]:
    found: list[tuple[str, DraftingSystem, Options]] = []
    kinds: list[tuple[type[DraftingSystem], dict[str, Options]]] = [
        (
            PromptLookup,
            {"prompt lookup, in infgram's loop": {"share": 1.0, "max_matching_ngram_size": 3}},
        ),
        (Arctic, _ARCTIC),
    ]
    for kind, ways in kinds:
        try:
            system = kind(material)
        except Absent as reason:
            absent[kind.name] = str(reason)
            continue
        found += [(name, system, options) for name, options in ways.items()]
    return found


def _of_session(
    system: DraftingSystem, options: Options, drafted: Callable[[Any], _Write], vocab_size: int
) -> tuple[_Write, Callable[[], None]]:
    """Drafts of a session that begins anew with each round."""
    tree = bool(options.get("use_tree_spec"))
    sessions: list[Session] = []
    writers: list[_Write] = []

    def forget() -> None:
        for session in sessions:
            session.close()
        sessions[:] = [system.session(_MAX_TOKENS, options)]
        drafter = SessionDrafter(sessions[0], vocab_size=vocab_size, tree=tree)
        writers[:] = [drafted(drafter)]

    def write(prompt: Ids, run: _Run) -> None:
        writers[0](prompt, run)

    return write, forget
