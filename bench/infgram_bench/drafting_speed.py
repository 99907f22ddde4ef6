"""Drafts for a neural model, by the clock: the same texts with drafts and without, in turn.

A model of 10.65 M parameters writes after pieces of held-out text, greedily and at T = 0.8, in two
loops (drafting_loops.py). All drafters of a loop draft for the same verification, so that nothing
but the drafts differs; transformers' own prompt lookup alone has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from infgram.draft import Draft, Drafter
from infgram.draft.drafter import draft_of

from .drafting import train_target
from .drafting_rivals import (
    NO_TOKEN,
    Arctic,
    DraftingSystem,
    InfgramDrafting,
    Options,
    PromptLookup,
    Session,
)
from .drafting_traces import Ids, Material
from .failures import Trial
from .findings import duration
from .neural import load_nanogpt, missing
from .processes import run_beside
from .question import Bench, CannotMeasure, Question
from .rivals import Absent
from .settings import Settings
from .timing import Contender, Timing, interleave

TARGET = "DRAFTING_TARGET"
_N_PROMPTS = 5
_PROMPT, _WRITTEN = 48, 176  # characters: together what the model has positions for, and a draft
_MAX_TOKENS = 32
_RIVALS_TOKENS = (8, 16, 32)  # at most, of a draft: a rival does not know what pays
_ROUNDS = 5
_MANNERS = {"greedy": 0.0, "T = 0.8": 0.8}
_OURS = "infgram"
_PLAIN = ("transformers", "no drafts")
_LOOKUP = "prompt lookup, by transformers"
_ARCTIC: dict[str, Options] = {  # its defaults, and what replays chose
    "Arctic, path": {},
    "Arctic, tree": {"use_tree_spec": True, "max_spec_factor": 4.0, "min_token_prob": 0.05},
}


def _answer(bench: Bench) -> None:
    if reason := missing():
        raise CannotMeasure(reason)
    findings = bench.findings
    text, loss = train_target(TARGET, bench)
    findings.setting["target"] = f"10.65 M parameters, held-out loss {loss:.3f} nats a character"
    bench.progress("writing with drafts and without", 0, 0)
    trial, limit = Trial(), bench.settings.patience
    folder = bench.folder / "speed"
    result = run_beside("drafting_speed", text, folder, trial=trial, limit=limit).result
    for name, reason in result["absent"].items():
        findings.note(f"{name}: {reason}")
    for loop, cost in result["cost"].items():
        sizes = [n for n in (1, 2, 4, 8, 16, 32) if n < len(cost)]
        findings.note(
            f"{loop}: a step with no draft takes {duration(cost[0])}; with "
            + ", ".join(f"{n} tokens {cost[n] / cost[0]:.2f} x" for n in sizes)
        )
    for subject, ways in result["seconds"].items():
        _compare(subject, ways, result, trial, bench)


def _compare(
    subject: str,
    ways: dict[str, list[float]],
    result: dict[str, Any],
    trial: Trial,
    bench: Bench,
) -> None:
    """A table, and how infgram's drafts compare with the fastest of everyone else."""
    contenders = [Contender(name, str, timing=Timing(taken)) for name, taken in ways.items()]
    title = f"{subject}: {_WRITTEN} characters after each of {_N_PROMPTS} prompts"
    bench.findings.timing_table(title, contenders, rate=True, failed=trial.failed)
    steps = result["tokens_per_step"][subject]
    bench.findings.note(
        f"{subject}, tokens a step: "
        + "; ".join(f"{name} {found:.2f}" for name, found in steps.items())
    )
    different = result["different"][subject]
    bench.findings.note(
        f"{subject}: other texts than without drafts: "
        + ("none" if not different else "; ".join(f"{n}: {d}" for n, d in different.items()))
    )
    medians = {name: float(np.median(taken)) for name, taken in ways.items()}
    ours = min(median for name, median in medians.items() if _is_ours(name))
    plain = min(medians[name] for name in _PLAIN if name in medians)
    rivals = {name: m for name, m in medians.items() if name not in _PLAIN and not _is_ours(name)}
    bench.findings.at_least(f"{subject}: drafts, to none", plain / ours, 1.0)
    if rivals:
        best = min(rivals, key=lambda name: rivals[name])
        bench.findings.at_least(f"{subject}: drafts, to {best}", rivals[best] / ours, 1.0)


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

    def __init__(self, session: Session, *, vocab_size: int, tree: bool, max_tokens: int) -> None:
        self.vocab_size = vocab_size
        self.tree = tree
        self.max_tokens = max_tokens
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
        return draft_of(ids, parents)

    def accept(self, request: object, verified_ids: Sequence[int], num_accepted: int) -> None:
        self._session.accept(np.array(verified_ids, np.uint32))

    def stop(self, request: object) -> None:
        self._session.stop()


def measure(text: Path, folder: Path, trial: Trial) -> dict[str, Any]:
    """Seconds a character by manner, loop and way, with what else is told of them."""
    from . import gpt
    from .drafting_loops import LOOPS, Run

    model, split = load_nanogpt(TARGET, text)
    material = Material(folder)
    material.add_corpus([split.training.astype(np.uint32)])
    material.build()
    starts = np.linspace(0, len(split.validation) - _PROMPT, _N_PROMPTS).astype(int)
    prompts = [split.validation[start : start + _PROMPT] for start in starts.tolist()]
    parts = ("cost", "seconds", "tokens_per_step", "different", "absent")
    result: dict[str, Any] = {part: {} for part in parts}
    with gpt.use_threads(1):
        for manner, temperature in _MANNERS.items():
            for kind in LOOPS:
                loop = kind(model, _WRITTEN, temperature)
                if loop.name not in result["cost"]:
                    found = loop.cost(_PROMPT + _WRITTEN // 2, _MAX_TOKENS)
                    result["cost"][loop.name] = found
                cost = np.array(result["cost"][loop.name])
                writers = _writers(
                    loop, model, material, cost, temperature, trial, result["absent"]
                )
                runs = {name: Run() for name in writers}
                subject = f"{manner}, {loop.name}"
                seconds = _time(writers, runs, prompts, trial)
                if loop.plain in trial.failed:
                    result["absent"][subject] = f"not measured: {loop.plain} failed"
                    continue
                result["seconds"][subject] = seconds
                runs = {name: run for name, run in runs.items() if name not in trial.failed}
                result["tokens_per_step"][subject] = {
                    name: run.n_tokens / run.n_steps for name, run in runs.items() if run.n_steps
                }
                same = runs[loop.plain].texts
                result["different"][subject] = {
                    name: len(run.texts - same)
                    for name, run in runs.items()
                    if run.texts != same and not _has_its_own_chance(name, loop.name, temperature)
                }
    return result


def _has_its_own_chance(name: str, loop: str, temperature: float) -> bool:
    """Draws otherwise than plain writing does: the same law, another text."""
    return temperature > 0 and (loop != "transformers" or name.endswith(", drawn"))


_Writer = tuple[Any, Callable[[], None]]  # what writes, and what forgets what was written


def _time(
    writers: dict[str, _Writer], runs: dict[str, Any], prompts: Sequence[Any], trial: Trial
) -> dict[str, list[float]]:
    """Of everyone who did not fail."""

    def contender(name: str) -> Contender:
        write, forget = writers[name]

        def run() -> None:
            forget()
            for prompt in prompts:
                write(prompt, runs[name])

        rival = "" if name.startswith(_OURS) else name
        return Contender(name, run, len(prompts) * _WRITTEN, rival=rival)

    contenders = [contender(name) for name in writers]
    interleave(contenders, rounds=_ROUNDS, seconds=0, trial=trial, doing="writing")
    return {each.name: each.timing.wall for each in contenders if each.name not in trial.failed}


def _writers(
    loop: Any,
    model: Any,
    material: Material,
    cost: Any,
    temperature: float,
    trial: Trial,
    absent: dict[str, str],
) -> dict[str, _Writer]:
    """Each way to write in a loop, and what makes its drafter forget what it has written."""

    def nothing() -> None:
        pass

    vocab_size = model.config.vocab_size
    writers: dict[str, _Writer] = {loop.plain: (loop.undrafted(), nothing)}
    if loop.name == "transformers":
        none = Drafter(vocab_size=vocab_size, max_tokens=0, session_tokens=0)
        writers["infgram's loop, no drafts"] = (loop.drafted(none), nothing)
        if _LOOKUP not in trial.failed:
            lookup = loop.undrafted(
                prompt_lookup_num_tokens=_RIVALS_TOKENS[0], eos_token_id=NO_TOKEN
            )
            writers[_LOOKUP] = (lookup, nothing)
    index = InfgramDrafting(material).index
    for shape, tree in (("tree", True), ("path", False)):
        drafter = Drafter(
            index, vocab_size=vocab_size, max_tokens=_MAX_TOKENS, tree=tree, cost=cost
        )
        writers[f"{_OURS}, {shape}"] = (loop.drafted(drafter), drafter.forget_session)
        if temperature:
            drawn = loop.drafted(drafter, draw=True)
            writers[f"{_OURS}, {shape}, drawn"] = (drawn, drafter.forget_session)
    for name, system, options, max_tokens in _rivals(material, trial, absent):
        if name not in trial.failed:
            writers[name] = _of_session(loop, system.session, options, max_tokens, vocab_size)
    return writers


def _rivals(
    material: Material, trial: Trial, absent: dict[str, str]
) -> list[tuple[str, DraftingSystem, Options, int]]:
    found: list[tuple[str, DraftingSystem, Options, int]] = []
    lookup: Options = {"share": 1.0, "max_matching_ngram_size": 3}
    kinds: list[tuple[type[DraftingSystem], dict[str, Options], tuple[int, ...]]] = [
        (PromptLookup, {"prompt lookup": lookup}, _RIVALS_TOKENS[:1]),
        (Arctic, _ARCTIC, _RIVALS_TOKENS),
    ]
    for kind, ways, budgets in kinds:
        if kind.name in trial.failed:
            continue
        with trial.of(kind.name, "getting ready"):
            try:
                system = kind(material)
            except Absent as reason:
                absent[kind.name] = str(reason)
                continue
            found += [
                (f"{name}, {n} tokens", system, options, n)
                for name, options in ways.items()
                for n in budgets
            ]
    return found


def _of_session(
    loop: Any,
    make: Callable[[int, Options], Session],
    options: Options,
    max_tokens: int,
    vocab_size: int,
) -> _Writer:
    """Drafts of a session that begins anew with each round."""
    tree = bool(options.get("use_tree_spec"))
    sessions: list[Session] = []
    writers: list[Any] = []

    def forget() -> None:
        for session in sessions:
            session.close()
        sessions[:] = [make(max_tokens, options)]
        drafter = SessionDrafter(
            sessions[0], vocab_size=vocab_size, tree=tree, max_tokens=max_tokens
        )
        writers[:] = [loop.drafted(drafter)]

    def write(prompt: Ids, run: Any) -> None:
        writers[0](prompt, run)

    return write, forget
