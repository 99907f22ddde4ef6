"""Refined drafts beside raw ones: quality, copying, diversity, and a statistic without a judge.

Any of the four can be bought with another, so none stands alone: what is likely may be copied, what
is new may be nonsense, what a judge likes may be bland. The question is whether refined text is
likelier than any raw setting that copies as little.
"""

from __future__ import annotations

from typing import Any

import infgram

from .findings import Curve, Findings, Picture, duration, per_second
from .neural import missing
from .processes import run_job
from .question import Bench, CannotMeasure, Question, instrument
from .refining_bars import add_bars

_JUDGES = ("transformer", "recurrent")
_VALUES = {
    **{f"nats, {judge}": f"nats, {judge}" for judge in _JUDGES},
    **{f"nats of new, {judge}": f"nats of new, {judge}" for judge in _JUDGES},
    "known words": "known words, %",
    "copied grams": "copied 20-grams, %",
    "longest copy": "longest copy, mean",
    "distinct word bigrams": "distinct word bigrams",
    "distinct 6-grams": "distinct 6-grams",
    "divergence of trigrams": "divergence, trigrams",
    "divergence of words": "divergence, words",
    "changed": "changed, %",
}
_PERCENT = ("known words", "copied grams", "changed")


def _answer(bench: Bench) -> None:
    if reason := missing():
        raise CannotMeasure(reason)
    found = _measure(bench)
    findings, rows = bench.findings, found["rows"]
    losses = ", ".join(f"{name} {loss:.3f}" for name, loss in found["losses"].items())
    findings.setting["judges"] = f"held-out loss in nats a character: {losses}"
    findings.setting["text"] = (
        f"{bench.settings.corpus.name}; {found['n_prompts']} held-out prompts of "
        f"{found['n_prompt']} bytes, kept for reporting, with {found['n_seeds']} seeds; "
        f"{found['n_written']} bytes each"
    )
    whole = [row for row in rows if row["kind"] != "refined"]
    whole.sort(key=lambda row: row["values"]["copied grams"])
    _values("real and raw text, sorted by what is copied", whole, findings)
    for k, name in found["drafts"].items():
        _start(int(k), name, rows, findings)
    findings.table(
        "who finds what SBIS wrote within held-out text",
        ["AUROC"],
        [[name, f"{each:.3f}"] for name, each in found["detection"].items()],
    )
    findings.note(verdict(found["rivals"]))
    for name, reason in found["absent"].items():
        findings.note(f"{name}: {reason}")
    _notes(findings)
    add_bars(found, findings)
    findings.pictures.append(_picture(rows))


def _minutes(settings: Any) -> float:
    return 0.1 if missing() else 60.0


QUESTION = Question(
    "refining",
    "Refined drafts beside raw ones",
    _answer,
    minutes=_minutes,
    in_quick=False,
)


def _measure(bench: Bench) -> dict[str, Any]:
    corpus, folder = bench.settings.corpus, bench.folder
    (folder / "training.txt").write_bytes(corpus.training)
    (folder / "held_out.txt").write_bytes(corpus.validation)
    infgram.build(
        folder / "training.txt", folder / "training.infgram", format="bytes", two_sided=True
    )
    for judge in _JUDGES:

        def training(line: dict[str, Any], judge: str = judge) -> None:
            stage = f"training the {judge} judge, {line['seconds_left'] / 60:.0f} minutes left"
            bench.progress(stage, line["step"], line["max_iters"])

        with instrument(f"the {judge} judge"):
            run_job("refining_train", judge, folder, on_line=training)

    def refiner(line: dict[str, Any]) -> None:
        bench.progress(f"training the refiner: {line['stage']}", line["step"], line["max_iters"])

    trained = run_job("refining_refiner", folder, on_line=refiner).result
    bench.findings.figures.update(trained)

    def measuring(line: dict[str, Any]) -> None:
        bench.progress(line["stage"], line["step"], line["max_iters"])

    found = run_job("refining_measure", folder, on_line=measuring).result
    found["throughput"] = run_job("refining_throughput", folder, all_cores=True).result
    return found


def verdict(rivals: list[dict[str, Any]]) -> str:
    """Does refined text beat the best raw text at equal copying? `rivals` as refining_measure's."""
    if not rivals:
        return "Does refined text beat the best raw setting at equal copying? Nothing refines yet."
    said = []
    for each in rivals:
        who = f"{each['name']} from k={each['start']}"
        if not each["beside"]:
            said.append(f"{who}: no raw text copies as little")
            continue
        wins = all(found["difference"][2] < 0 for found in each["beside"].values())
        figures = "; ".join(
            f"{found['difference'][0]:+.3f} nats ({found['difference'][1]:+.3f} to "
            f"{found['difference'][2]:+.3f}) by the {judge} judge, beside {found['rival']}"
            for judge, found in each["beside"].items()
        )
        said.append(f"{who}: {'yes' if wins else 'no'}, {figures}")
    return f"Does refined text beat the best raw setting at equal copying? {'. '.join(said)}."


# Tables -------------------------------------------------------------------------------------------


def _start(k: int, name: str, rows: list[dict[str, Any]], findings: Findings) -> None:
    """What became of the drafts of one k, and the differences to them."""
    ours = [row for row in rows if row["start"] == k]
    drafts = next(row for row in rows if row["name"] == name)
    _values(f"refined from {name}", [drafts, *ours], findings)
    findings.table(
        f"k={k}: differences to the draft, 95 % of resamplings",
        [*_VALUES.values(), "bytes a second", "a draft alone"],
        [
            [
                row["name"],
                *(_difference(name, row) for name in _VALUES),
                per_second(row["seconds"]),
                duration(row["one_seconds"]),
            ]
            for row in ours
        ],
    )
    for row in ours:
        for name, (value, *_) in row["differences"].items():
            findings.figures[f"{row['name']}, k={k}: {name}"] = value


def _values(title: str, rows: list[dict[str, Any]], findings: Findings) -> None:
    findings.table(
        title,
        [*_VALUES.values(), "longest copy"],
        [
            [
                row["name"],
                *(_shown(name, row["values"][name]) for name in _VALUES),
                str(row["longest"]),
            ]
            for row in rows
        ],
    )


def _shown(name: str, value: float, sign: str = "") -> str:
    if name in _PERCENT:
        return f"{100 * value:{sign}.1f}"
    return f"{value:{sign}.1f}" if name == "longest copy" else f"{value:{sign}.3f}"


def _difference(name: str, row: dict[str, Any]) -> str:
    value, low, high = (_shown(name, each, "+") for each in row["differences"][name])
    return f"{value} ({low} to {high})"


def _notes(findings: Findings) -> None:
    findings.note(
        "nats: a byte, prompts as context alone; of new: bytes outside of runs of 20 and more that "
        "stand in the training text; words: whole ones that the training text has"
    )
    findings.note(
        "distinct and divergence (Jensen-Shannon, nats, to held-out text): of groups of 64 texts, "
        "since they depend on how many there are; resampled by group, the rest by text"
    )


def _picture(rows: list[dict[str, Any]]) -> Picture:
    points = [
        Curve(
            row["name"] if row["start"] is None else f"{row['name']}, k={row['start']}",
            [row["values"]["copied grams"]],
            [row["values"]["nats, transformer"]],
        )
        for row in rows
    ]
    return Picture(
        "refining",
        "Refined and raw text: what a judge finds likely, and what is copied",
        "share of 20-grams that stand in the training text",
        "transformer judge's nats a byte",
        points,
    )
