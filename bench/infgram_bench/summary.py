"""The few figures that stand in the README, made from the results of a run: nothing is typed in.

    python -m infgram_bench.summary RESULTS.json README.md

replaces what stands between the two marks in a file.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from .answers import Answer, read
from .findings import duration, per_second
from .render import facts, table

_BEGIN = "<!-- figures: written by `make figures` -->"
_END = "<!-- end of figures -->"


def summary(answers: Mapping[str, Answer]) -> str:
    """A table, and below it the machine, the versions and the dates of what stands in it."""
    asked = {question for question, _ in _LINES}
    answers = {name: answer for name, answer in answers.items() if name in asked}
    found = {name: _numbers(answer.findings.figures) for name, answer in answers.items()}
    rows = []
    for question, line in _LINES:
        try:
            rows += line(found[question])
        except KeyError:  # the question was not asked
            continue
    machines = {facts(answer.machine) for answer in answers.values()}
    dates = sorted(answer.date[:10] for answer in answers.values())
    when = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    cores = {answer.findings.setting.get("cores", "") for answer in answers.values()}
    measured = f"Measured on {when}, {', '.join(sorted(cores))}. {'. '.join(sorted(machines))}."
    return f"{table(['what', 'who', 'figure', 'to infgram'], rows)}\n\n{measured}"


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


# A row: what is measured, whose it is, the figure, and how many times infgram's that is. Each group
# begins with infgram; of rivals it has those that came through.

_Row = list[str]


def _times(ratio: float) -> str:
    return f"{ratio:,.0f} x" if ratio >= 10 else f"{ratio:.1f} x"


def _timed(
    what: str,
    seconds: float,
    f: _Figures,
    rivals: Mapping[str, str],
    show: Callable[[float], str] = duration,
) -> list[_Row]:
    """`rivals`: by the figure that has how many times as long they take."""
    there = {name: f[figure] for figure, name in rivals.items() if figure in f}
    return [
        [what, "infgram", show(seconds), ""],
        *(["", name, show(seconds * ratio), _times(ratio)] for name, ratio in there.items()),
    ]


def _listed(what: str, figures: Mapping[str, str]) -> list[_Row]:
    """A figure each, for what has no ratio."""
    return [[what * (i == 0), who, figure, ""] for i, (who, figure) in enumerate(figures.items())]


_INDEXES = ("tokengrams", "infini-gram", "py-infinigram")


def _count(f: _Figures) -> list[_Row]:
    return [
        *_timed(
            "count of 3 to 20 bytes", f["count seconds"], f, {"count, tokengrams": "tokengrams"}
        ),
        *_timed(
            "the same, in a batch",
            f["count seconds in a batch"],
            f,
            {"count in a batch, tokengrams": "tokengrams"},
        ),
    ]


def _ntd(f: _Figures) -> list[_Row]:
    what = f"next tokens of {f['ntd matches']:,.0f} matches"
    return _timed(what, f["ntd seconds"], f, {f"ntd, {name}": name for name in _INDEXES})


def _levels(f: _Figures) -> list[_Row]:
    rival = {"levels, infini-gram, inside the text": "infini-gram, one"}
    return _timed("levels of 200 bytes", f["levels seconds, inside the text"], f, rival)


def _write(f: _Figures) -> list[_Row]:
    rivals = {"tokengrams": "tokengrams, n = 8", "published program": "published SBIS"}
    return _timed("characters a second", f["seconds a character"], f, rivals, per_second)


def _write_neural(f: _Figures) -> list[_Row]:
    own = f["infgram seconds a character"]
    ways = {"no cache": "nanoGPT 10.65 M", "key-value cache": "the same, KV cache"}
    figures = {way: f.get(f"nanoGPT, {way}: seconds a character") for way in ways}
    ratios = {way: seconds / own for way, seconds in figures.items() if seconds}
    return _timed("the same, both on one core", own, ratios, ways, per_second)


def _ready(f: _Figures) -> list[_Row]:
    own = {"SBIS, k = -1": "SBIS k=-1", "Kneser-Ney": "Kneser-Ney"}
    ready = {name: duration(f[f"infgram, {key}: ready seconds"]) for name, key in own.items()}
    loss = {name: f"{f[f'infgram, {key}: loss']:.3f}" for name, key in own.items()}
    loss["the same, adapting"] = f"{f['infgram, Kneser-Ney, adapting: loss']:.3f}"
    if "CPU_RECIPE loss" in f:
        ready["nanoGPT CPU recipe"] = duration(f["CPU_RECIPE seconds"])
        loss["nanoGPT CPU recipe"] = f"{f['CPU_RECIPE loss']:.3f}"
    if "SHAKESPEARE_CHAR loss" in f:  # of a training that came to its end
        ready["nanoGPT 10.65 M"] = duration(f["SHAKESPEARE_CHAR seconds"])
        loss["nanoGPT 10.65 M"] = f"{f['SHAKESPEARE_CHAR loss']:.3f}"
    if "SHAKESPEARE_CHAR step" in f:
        loss["10.65 M, published"] = "1.470"  # its README, after 5,000 steps on a GPU
    return [*_listed("ready to predict", ready), *_listed("nats a character then", loss)]


def _perplexity(f: _Figures) -> list[_Row]:
    found = {
        "Kneser-Ney": f"{f['perplexity of Kneser-Ney, static']:.2f}",
        "the same, adapting": f"{f['perplexity of Kneser-Ney, adapting']:.2f}",
    }
    for order in (6, 8, 10):
        if (figure := f.get(f"perplexity of KenLM-{order}")) is not None:
            found[f"KenLM, order {order}"] = f"{figure:.2f}"
    return _listed("perplexity of a byte", found)


def _kneser_ney(f: _Figures) -> list[_Row]:
    return _listed(
        "bytes a second, Kneser-Ney",
        {
            "scoring": f"{f['scoring with Kneser-Ney']:,.0f}",
            "scoring, adapting": f"{f['scoring with Kneser-Ney, adapting']:,.0f}",
            "writing": f"{f['generating with Kneser-Ney']:,.0f}",
        },
    )


def _build(f: _Figures) -> list[_Row]:
    seconds = f["build seconds"]
    sort = {"sort": f["sort seconds"] / seconds} if "sort seconds" in f else {}
    return [
        *_timed(f"index of {f['MiB']:,.0f} MiB, one core", seconds, sort, {"sort": "pydivsufsort"}),
        *_listed(
            "a byte of its text takes",
            {"memory, building": f"{f['peak']:.1f} bytes", "disk": f"{f['disk']:.1f} bytes"},
        ),
        ["opening it", "infgram", duration(f["open seconds"]), ""],
    ]


def _growth(f: _Figures) -> list[_Row]:
    exponents = {
        "build": f["exponent, build"],
        "count": f["exponent, count, hot"],
        "count, cold caches": f["exponent, count, cold"],
        "cursor": f["exponent, cursor, hot"],
        "pydivsufsort": f.get("exponent, its suffix sort alone"),
    }
    found = {name: f"{x:.2f}" for name, x in exponents.items() if x is not None}
    return _listed(f"exponent, 1 to {f['largest MiB']:,.0f} MiB", found)


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
