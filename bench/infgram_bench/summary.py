"""The few figures that stand in the README, made from the results of a run: nothing is typed in.

    python -m infgram_bench.summary RESULTS.json README.md

replaces what stands between the two marks in a file.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from .answers import Answer, read
from .findings import duration, per_second
from .render import facts, table

_BEGIN = "<!-- figures: written by `make figures` -->"
_END = "<!-- end of figures -->"


def summary(answers: Mapping[str, Answer]) -> str:
    """A table, and below it the machine, the versions and the dates."""
    found = {name: _numbers(answer.findings.figures) for name, answer in answers.items()}
    rows = []
    for question, line in _LINES:
        try:
            rows.append(line(found[question]))
        except KeyError:  # the question was not asked
            continue
    machines = {facts(answer.machine) for answer in answers.values()}
    dates = sorted(answer.date[:10] for answer in answers.values())
    when = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    cores = {answer.findings.setting.get("cores", "") for answer in answers.values()}
    measured = f"Measured on {when}, {', '.join(sorted(cores))}. {'. '.join(sorted(machines))}."
    return f"{table(['what', 'infgram', 'compared with'], rows)}\n\n{measured}"


def replace(text: str, figures: str) -> str:
    """The text with other figures. Raises ValueError where it has no place for them."""
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"the text has no lines {_BEGIN!r} and {_END!r} for figures between them")
    return f"{before}{begin}\n\n{figures}\n\n{end}{after}"


_Figures = Mapping[str, float]


def _numbers(figures: Mapping[str, float | None]) -> dict[str, float]:
    """JSON has null for what is not a finite number."""
    return {name: value for name, value in figures.items() if value is not None}


# Every line begins with what infgram does; of rivals it has those that came through.


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.1f}"


def _rivals(f: _Figures, names: Mapping[str, str], *, joint: str = ", ") -> str:
    """How many times as long they take; `names` by figure."""
    found = [f"{name} {_times(f[figure])}" for figure, name in names.items() if figure in f]
    return f"{joint.join(found)} times as long" if found else ""


def _count(f: _Figures) -> list[str]:
    return [
        "exact count of a 3 to 20 byte n-gram from Python",
        f"{duration(f['count seconds'])}, in batches {duration(f['count seconds in a batch'])}",
        _rivals(
            f,
            {"count, tokengrams": "tokengrams", "count in a batch, tokengrams": "in batches"},
            joint=" times, ",
        ),
    ]


def _ntd(f: _Figures) -> list[str]:
    return [
        f"exact next-token distribution, {f['ntd matches']:,.0f} matches",
        duration(f["ntd seconds"]),
        _rivals(f, {f"ntd, {name}": name for name in _INDEXES}),
    ]


_INDEXES = ("tokengrams", "infini-gram", "py-infinigram")


def _levels(f: _Figures) -> list[str]:
    rival = {"levels, infini-gram, inside the text": "infini-gram, for the longest alone,"}
    return [
        "all levels of a 200 byte context",
        duration(f["levels seconds, inside the text"]),
        _rivals(f, rival),
    ]


def _write(f: _Figures) -> list[str]:
    return [
        "text by SBIS, k = 2, characters a second",
        per_second(f["seconds a character"]),
        _rivals(
            f,
            {
                "tokengrams": "tokengrams' n = 8",
                "published program": "the published SBIS program",
            },
        ),
    ]


def _write_neural(f: _Figures) -> list[str]:
    own = f["infgram seconds a character"]
    found = []
    for way, name, unit in [
        ("no cache", "its own way", "times as long"),
        ("key-value cache", "with a key-value cache", "times"),
    ]:
        if seconds := f.get(f"nanoGPT, {way}: seconds a character"):
            found.append(f"{name} {per_second(seconds)} ({_times(seconds / own)} {unit})")
    return [
        "the same beside nanoGPT's 10.65 M model on one core",
        per_second(own),
        ", ".join(found),
    ]


def _ready(f: _Figures) -> list[str]:
    sbis, kneser = f["infgram, SBIS k=-1: ready seconds"], f["infgram, Kneser-Ney: ready seconds"]
    rivals = []
    if "CPU_RECIPE loss" in f:
        recipe = duration(f["CPU_RECIPE seconds"])
        rivals.append(f"nanoGPT's CPU recipe {recipe}, {f['CPU_RECIPE loss']:.3f}")
    if "SHAKESPEARE_CHAR loss" in f:
        rivals.append(
            f"10.65 M after {f['SHAKESPEARE_CHAR step']:,.0f} of 5,000 "
            f"steps, {duration(f['SHAKESPEARE_CHAR seconds'])}, {f['SHAKESPEARE_CHAR loss']:.3f} "
            "(its README, on a GPU: 1.470)"
        )
    return [
        "ready to predict, and the held-out loss then, nats a character",
        f"SBIS k = -1 {duration(sbis)}, {f['infgram, SBIS k=-1: loss']:.3f}; Kneser-Ney "
        f"{duration(kneser)}, {f['infgram, Kneser-Ney: loss']:.3f}; adapting "
        f"{f['infgram, Kneser-Ney, adapting: loss']:.3f}",
        "; ".join(rivals),
    ]


def _perplexity(f: _Figures) -> list[str]:
    own = [f["perplexity of Kneser-Ney, static"], f["perplexity of Kneser-Ney, adapting"]]
    kenlm = {order: f"perplexity of KenLM-{order}" for order in (6, 8, 10)}
    there = {order: f[figure] for order, figure in kenlm.items() if figure in f}
    orders = ", ".join(map(str, there))
    return [
        "perplexity of a byte, last tenth of Tiny Shakespeare",
        f"Kneser-Ney {own[0]:.2f}, adapting {own[1]:.2f}",
        f"KenLM of order {orders}: {', '.join(f'{p:.2f}' for p in there.values())}"
        if there
        else "",
    ]


def _kneser_ney(f: _Figures) -> list[str]:
    return [
        "bytes a second by Kneser-Ney: scoring, adapting, writing",
        f"{f['scoring with Kneser-Ney']:,.0f}, {f['scoring with Kneser-Ney, adapting']:,.0f}, "
        f"{f['generating with Kneser-Ney']:,.0f}",
        "",
    ]


def _build(f: _Figures) -> list[str]:
    return [
        f"index of {f['MiB']:,.0f} MiB, on one core",
        f"{duration(f['build seconds'])}, {f['peak']:.1f} bytes of memory and {f['disk']:.1f} on "
        f"disk a byte; opened in {duration(f['open seconds'])}",
        f"pydivsufsort's sort alone: {duration(f['sort seconds'])}" if "sort seconds" in f else "",
    ]


def _growth(f: _Figures) -> list[str]:
    sort = f.get("exponent, its suffix sort alone")
    return [
        f"exponent of cost against size, 1 to {f['largest MiB']:,.0f} MiB",
        f"build {f['exponent, build']:.2f}, count {f['exponent, count, hot']:.2f}, cursor "
        f"{f['exponent, cursor, hot']:.2f}",
        (f"the suffix sort alone {sort:.2f}; " if sort is not None else "")
        + f"count with cold caches {f['exponent, count, cold']:.2f}",
    ]


_LINES = (
    ("queries", _count),
    ("queries", _ntd),
    ("queries", _levels),
    ("generation", _write),
    ("neural", _write_neural),
    ("neural", _ready),
    ("models", _perplexity),
    ("models", _kneser_ney),
    ("building", _build),
    ("growth", _growth),
)


def main(results: str, *files: str) -> None:
    """Writes the figures into each file, as a whole or not at all."""
    figures = summary(read(Path(results)))
    for path in map(Path, files):
        partial = path.with_suffix(".partial")
        partial.write_text(replace(path.read_text(), figures))
        os.replace(partial, path)


if __name__ == "__main__":
    main(*sys.argv[1:])
