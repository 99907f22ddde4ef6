"""Drafts for a neural model: how many tokens a step of it gives, with infgram and with its rivals.

Fixed texts are replayed (drafting_replay.py), which needs no neural model and gives the same counts
on every machine. Every drafter may draft so many tokens a step and no more, in a tree or in a path,
and runs in a process of its own.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .drafting_replay import BUDGETS
from .drafting_rivals import NOT_DRIVEN, SYSTEMS
from .drafting_traces import CHATS, N_PROMPT, TARGET, Material, add_text
from .failures import Failure, Trial
from .findings import Curve, Findings, Picture, duration, size
from .neural import missing
from .processes import Run, bytes_in, run_job
from .question import Bench, CannotMeasure, Question, instrument
from .settings import Settings

_OURS = "infgram, tree"
_LIMIT = 3600.0  # seconds for everything that one drafter does with one corpus
_N_RESAMPLED = 1000
_TIMED = "8"  # the budget that latencies have bars for
_ASKED = {"8": 1.0, "16": 1.3}  # tokens a step, to the best rival
_NOT_MEASURED = "not measured"
_BOUND = "hindsight"  # the best of all that copy a piece of what was read

_Ways = dict[str, dict[str, dict[str, Any]]]  # replays, by way and budget


def _answer(bench: Bench) -> None:
    corpus, findings = bench.settings.corpus, bench.findings
    findings.setting["traces"] = (
        f"held-out text of {corpus.name}, what a GPT ({TARGET}) writes, files of Python's "
        f"standard library, and answers of models in aider; the first {N_PROMPT} tokens of a "
        "document are its prompt"
    )
    traces: dict[str, _Ways] = {}
    absent: dict[str, str] = dict(NOT_DRIVEN)
    failed: dict[str, dict[str, Failure]] = {}
    for material in (_text(bench), _code(bench)):
        if material is not None:
            trial = Trial()
            measured = _measure(material, absent, trial, bench)
            traces.update(measured)
            failed.update(dict.fromkeys(measured, trial.failed))
    for trace, ways in traces.items():
        _compare(trace, ways, absent, failed[trace], findings)
    for name, reason in absent.items():
        findings.note(f"{name}: {reason}")
    _options(traces, findings)
    _promises(traces, findings)
    _latencies(traces, findings)


def _minutes(settings: Settings) -> float:
    return 8.0 if missing() else 15.0


QUESTION = Question(
    "drafting",
    "Drafts for a neural model: tokens a step",
    _answer,
    minutes=_minutes,
    in_quick=False,
)


# Materials ----------------------------------------------------------------------------------------


def _text(bench: Bench) -> Material:
    material = Material(bench.folder / "text")
    add_text(bench.settings.corpus, material)
    if reason := missing():
        bench.findings.note(f"what a GPT writes: {_NOT_MEASURED}: {reason}")
        return material
    try:
        text, loss = train_target(TARGET, bench)
        bench.findings.setting["target"] = f"held-out loss {loss:.3f} nats a character"
        bench.progress("the target writes", 0, 0)
        with instrument("the target"):
            run_job("drafting_write", text, material.folder)
    except CannotMeasure as reason:
        bench.findings.note(f"what a GPT writes: {_NOT_MEASURED}: {reason}")
    return material


def train_target(recipe: str, bench: Bench) -> tuple[Path, float]:
    """Trains to the end, if it was not; the whole text, and the held-out loss in nats.

    Raises CannotMeasure.
    """
    text = bench.folder / "corpus.txt"
    text.write_bytes(bench.settings.corpus.text)

    def report(line: dict[str, Any]) -> None:
        stage = f"training the target, {line['seconds_left'] / 60:.0f} minutes left"
        bench.progress(stage, line["step"], line["max_iters"])

    with instrument("the target"):
        run_job("neural_train", recipe, text, "inf", on_line=report)
        loss = float(run_job("neural_nanogpt_loss", recipe, text).result["loss"])
    return text, loss


def _code(bench: Bench) -> Material | None:
    if importlib.util.find_spec("tokenizers") is None:
        bench.findings.note(f"code: {_NOT_MEASURED}: tokenizers not installed")
        return None
    material = Material(bench.folder / "code")
    bench.progress("a tokenizer for code", 0, 0)
    try:
        with instrument("the tokenizer"):
            made = run_job("drafting_code", material.folder).result
    except CannotMeasure as reason:
        bench.findings.note(f"code: {_NOT_MEASURED}: {reason}")
        return None
    bench.findings.note(
        f"code: {made['bytes']:,} bytes, {made['tokens']:,} tokens to draft from; "
        f"{made['dropped']} of {made['candidates']} other files were left out, since they share "
        f"{made['span']} tokens in a row with them"
    )
    _chats(material, bench)
    return material


def _chats(material: Material, bench: Bench) -> None:
    history = os.environ.get(CHATS)
    if not history:
        bench.findings.note(f"chats: {_NOT_MEASURED}: {CHATS} names no history of aider")
        return
    try:
        with instrument("the history"):
            made = run_job("drafting_chats", material.folder, history).result
    except CannotMeasure as reason:
        bench.findings.note(f"chats: {_NOT_MEASURED}: {reason}")
        return
    bench.findings.note(
        f"chats: {made['chosen']} of {made['answers']:,} long answers of models in a history of "
        f"aider, of which {made['dropped']} were left out as such files"
    )


# Measuring ----------------------------------------------------------------------------------------


def _measure(
    material: Material, absent: dict[str, str], trial: Trial, bench: Bench
) -> dict[str, _Ways]:
    """Every system's replays, by trace and way; who is not there is added to `absent`."""
    n_tokens = sum(map(len, material.corpus))
    bench.progress(f"{material.folder.name}: infgram builds", 0, 0)
    build = run_job("drafting_build", material.folder)
    bench.progress(f"{material.folder.name}: hindsight", 0, 0)
    bounds = run_job("drafting_hindsight", material.folder).result
    traces: dict[str, _Ways] = {trace: {_BOUND: bounds[trace]} for trace in bounds}
    rows: list[list[str]] = []
    for system in SYSTEMS:
        bench.progress(f"{material.folder.name}: {system.name}", len(rows), len(SYSTEMS))
        is_ours = system is SYSTEMS[0]
        with trial.of("" if is_ours else system.name, "replays"):
            run = run_job("drafting_replay", system.name, material.folder, limit=_LIMIT)
        if system.name in trial.failed:
            rows.append([system.name, trial.failed[system.name].cell, *[""] * 4])
            continue
        if reason := run.result.get("absent"):
            absent[system.name] = reason
            continue
        for trace, ways in run.result["replays"].items():
            traces[trace].update(ways)
        if system.keeps_corpus:
            rows.append(_costs(system.name, run, build if is_ours else None, material))
            if is_ours:
                _bars_of_costs(run, n_tokens, bench.findings)
    bench.findings.table(
        f"{n_tokens:,} tokens of {material.folder.name}",
        ["build", "ready in a new process", "memory when ready", "memory in use", "on disk"],
        rows,
    )
    return traces


def _costs(name: str, run: Run, build: Run | None, material: Material) -> list[str]:
    """Who has no build makes everything anew in every process."""
    return [
        name,
        duration(build.result["seconds"]) if build else "at every start",
        duration(run.result["seconds"]),
        size(run.result["ready_bytes"]),
        size(run.result["used_bytes"]),
        size(bytes_in(material.index)) if build else "nothing",
    ]


def _bars_of_costs(run: Run, n_tokens: int, findings: Findings) -> None:
    what = f"{n_tokens:,} tokens"
    used = run.result["used_bytes"] / n_tokens
    findings.at_most(f"{what}: memory in use, for a million", used, 20, "MB")
    findings.at_most(f"{what}: ready in a new process", run.result["seconds"] * 1e3, 50, "ms")


# Tokens a step ------------------------------------------------------------------------------------


def _compare(
    trace: str,
    ways: _Ways,
    absent: dict[str, str],
    failed: dict[str, Failure],
    findings: Findings,
) -> None:
    """A table of tokens a step, and how infgram compares with the best rival."""
    rows = [
        [way, *(_tokens_cell(replays[str(budget)]) for budget in BUDGETS)]
        for way, replays in ways.items()
    ]
    instead = {
        **dict.fromkeys(absent, _NOT_MEASURED),
        **{name: failure.cell for name, failure in failed.items()},
    }
    rows += [[name, cell, *[""] * (len(BUDGETS) - 1)] for name, cell in instead.items()]
    title = f"{trace}: tokens a step (95 % of resamplings), nodes a step"
    findings.table(title, [f"{budget} nodes" for budget in BUDGETS], rows)
    for way, replays in ways.items():
        for budget, replay in replays.items():
            findings.figures[f"{trace}, {way}, {budget}"] = _tokens_a_step(replay)
    rivals = {
        way: replays for way, replays in _drafters(ways).items() if not way.startswith("infgram")
    }
    for budget, asked in _ASKED.items() if rivals else ():
        best = max(rivals, key=lambda way: _tokens_a_step(rivals[way][budget]))
        ratio = _tokens_a_step(ways[_OURS][budget]) / _tokens_a_step(rivals[best][budget])
        findings.at_least(f"{trace}: tokens a step at {budget} nodes, to {best}", ratio, asked)
    findings.pictures.append(
        Picture(
            f"drafting-{'-'.join(trace.replace(',', '').replace('=', '').split())}",
            f"Drafts: {trace}",
            "drafted tokens a step",
            "tokens a step",
            [
                Curve(way, list(map(float, BUDGETS)), [_tokens_a_step(r) for r in replays.values()])
                for way, replays in ways.items()
            ],
            log_x=True,
        )
    )


def _drafters(ways: _Ways) -> _Ways:
    """All but the bound."""
    return {way: replays for way, replays in ways.items() if way != _BOUND}


def _tokens_cell(replay: dict[str, Any]) -> str:
    low, high = np.percentile(_resampled(replay), [2.5, 97.5])
    nodes = replay["nodes"] / sum(replay["steps"])
    return f"{_tokens_a_step(replay):.3f} ({low:.2f} to {high:.2f}), {nodes:.1f}"


def _tokens_a_step(replay: dict[str, Any]) -> float:
    return float(sum(replay["tokens"]) / sum(replay["steps"]))


def _resampled(replay: dict[str, Any]) -> NDArray[np.float64]:
    """Tokens a step of as many documents, drawn with replacement."""
    tokens, steps = np.array(replay["tokens"]), np.array(replay["steps"])
    drawn = np.random.default_rng(0).integers(len(steps), size=(_N_RESAMPLED, len(steps)))
    means: NDArray[np.float64] = tokens[drawn].sum(axis=1) / steps[drawn].sum(axis=1)
    return means


def _options(traces: dict[str, _Ways], findings: Findings) -> None:
    """What was chosen on the tuning documents."""
    rows = [
        [f"{trace}: {way}", *(_options_cell(replays[str(budget)]) for budget in BUDGETS)]
        for trace, ways in traces.items()
        for way, replays in ways.items()
        if way.endswith("tuned")
    ]
    if rows:
        findings.table("settings chosen", [f"{budget} nodes" for budget in BUDGETS], rows)


def _options_cell(replay: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {value}" if isinstance(value, str) else f"{name} {value:g}"
        for name, value in replay["options"].items()
    )


# Promises and latencies ---------------------------------------------------------------------------


def _promises(traces: dict[str, _Ways], findings: Findings) -> None:
    """Probabilities against what came of them."""
    rows = [
        [f"{trace}: {way}", *(_promise_cell(replays[str(budget)]) for budget in BUDGETS)]
        for trace, ways in traces.items()
        for way, replays in _drafters(ways).items()
        if replays[_TIMED]["error"] is not None
    ]
    title = "calibration error (drafted tokens expected to be accepted a step, accepted)"
    findings.table(title, [f"{budget} nodes" for budget in BUDGETS], rows)
    worst = max(replay["error"] for ways in traces.values() for replay in ways[_OURS].values())
    findings.at_most("calibration error, of the worst trace and budget", worst, 0.05, "")


def _promise_cell(replay: dict[str, Any]) -> str:
    return f"{replay['error']:.3f} ({replay['promised']:.2f}, {replay['accepted']:.2f})"


def _latencies(traces: dict[str, _Ways], findings: Findings) -> None:
    rows = [
        [
            f"{trace}: {way}",
            duration(replays[_TIMED]["propose_p50"]),
            duration(replays[_TIMED]["propose_p99"]),
            duration(replays[_TIMED]["accept"]),
        ]
        for trace, ways in traces.items()
        for way, replays in _drafters(ways).items()
    ]
    findings.table(f"at {_TIMED} nodes", ["a draft, p50", "p99", "a token of the text"], rows)
    for what, figure, asked in [
        ("a draft, p50", "propose_p50", 30),
        ("a draft, p99", "propose_p99", 300),
        ("a token of the text", "accept", 5),
    ]:
        worst = max(ways[_OURS][_TIMED][figure] for ways in traces.values())
        findings.at_most(f"{what}, at {_TIMED} nodes, worst trace", worst * 1e6, asked, "µs")
