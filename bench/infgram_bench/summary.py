"""The few figures that documents show, made from the results of a run: nothing is typed in.

    python -m infgram_bench.summary [--check] RESULTS.json README.md bench/README.md

replaces what stands between two marks in each file: a table of all groups of rows, or the headline,
in which each group that has rivals is one row.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from .answers import Answer, read
from .findings import duration, per_second
from .render import facts, table


def summary(answers: Mapping[str, Answer]) -> str:
    """A table, and below it the machine, the versions and the dates of what stands in it."""
    header = ["what", "who", "figure", "to infgram"]
    rows = [[row.what, row.who, row.figure, row.times] for row in _rows(answers)]
    shown = _shown(answers)
    machines = ". ".join(sorted({facts(answer.machine) for answer in shown}))
    return f"{table(header, rows)}\n\n{_when(shown)}. {machines}."


def headline(answers: Mapping[str, Answer]) -> str:
    """A row for each group of which a rival has a figure: infgram's, and that of the best rival."""
    header = ["what", "infgram", "next best", "whose", "ratio"]
    rows = [
        [own.what, own.figure, rival.figure, rival.who, rival.times.removesuffix(" x")]
        for own, *others in _groups(_rows(answers))
        if (rivals := [row for row in others if row.ratio is not None])
        for rival in [min(rivals, key=lambda row: row.ratio or 0.0)]
    ]
    shown = _shown(answers)
    cpus = sorted({answer.machine.get("CPU", "?") for answer in shown})
    versions = sorted({answer.machine.get("infgram", "?") for answer in shown})
    with_what = f"infgram {', '.join(versions)}, {', '.join(cpus)}"
    return (
        f"{table(header, rows)}\n\nRatios above 1 are in infgram's favour. "
        f"{_when(shown)}. {with_what}."
    )


def replace(text: str, answers: Mapping[str, Answer]) -> str:
    """The text with other figures. Raises ValueError where it has no place for them."""
    found = False
    for name, write in _WRITTEN.items():
        before, begin, rest = text.partition(f"<!-- {name}: written by `make figures` -->")
        _, end, after = rest.partition(f"<!-- end of {name} -->")
        if begin and end:
            found = True
            text = f"{before}{begin}\n\n{write(answers)}\n\n{end}{after}"
    if not found:
        names = " or ".join(map(repr, _WRITTEN))
        raise ValueError(f"the text has no marks of {names} for figures between them")
    return text


_WRITTEN = {"figures": summary, "headline": headline}
_Figures = Mapping[str, float]


class _Row(NamedTuple):
    """A figure. Each group of rows begins with infgram's, which alone say of what they are.

    `ratio`: how many times as long a rival takes, or how many times infgram's figure it has.
    """

    what: str
    who: str
    figure: str
    ratio: float | None = None

    @property
    def times(self) -> str:
        if self.ratio is None:
            return ""
        digits = 0 if self.ratio >= 10 else 1 if self.ratio >= 2 else 2
        return f"{self.ratio:,.{digits}f} x"


def _rows(answers: Mapping[str, Answer]) -> list[_Row]:
    rows = []
    for question, line in _LINES:
        if question not in answers:
            continue
        try:
            rows += line(_numbers(answers[question].findings.figures))
        except KeyError:  # what the line is of was not asked
            continue
    return rows


def _groups(rows: Sequence[_Row]) -> Iterator[list[_Row]]:
    group: list[_Row] = []
    for row in rows:
        if row.what and group:
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def _shown(answers: Mapping[str, Answer]) -> list[Answer]:
    asked = {question for question, _ in _LINES}
    return [answer for name, answer in answers.items() if name in asked]


def _when(shown: Sequence[Answer]) -> str:
    dates = sorted(answer.date[:10] for answer in shown)
    when = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    cores = {answer.findings.setting.get("cores", "") for answer in shown}
    return f"Measured on {when}, {', '.join(sorted(cores))}"


def _numbers(figures: Mapping[str, float | None]) -> dict[str, float]:
    """JSON has null for what is not a finite number."""
    return {name: value for name, value in figures.items() if value is not None}


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
        _Row(what, "infgram", show(seconds)),
        *(_Row("", name, show(seconds * ratio), ratio) for name, ratio in there.items()),
    ]


def _listed(what: str, figures: Mapping[str, str]) -> list[_Row]:
    """A figure each, for what has no ratio."""
    return [_Row(what * (i == 0), who, figure) for i, (who, figure) in enumerate(figures.items())]


_INDEXES = ("tokengrams", "infini-gram", "fast-gram", "py-infinigram")


def _count(f: _Figures) -> list[_Row]:
    return [
        *_timed(
            "count of 3 to 20 bytes",
            f["count seconds"],
            f,
            {f"count, {name}": name for name in _INDEXES},
        ),
        *_timed(
            "count, in a batch",
            f["count seconds in a batch"],
            f,
            {"count in a batch, tokengrams": "tokengrams"},
        ),
    ]


def _ntd(f: _Figures) -> list[_Row]:
    what = f"next bytes, {f['ntd matches']:,.0f} hits"
    return _timed(what, f["ntd seconds"], f, {f"ntd, {name}": name for name in _INDEXES})


def _levels(f: _Figures) -> list[_Row]:
    rivals = {f"levels, {name}, inside the text": name for name in _INDEXES}
    return _timed("levels of 200 bytes", f["levels seconds, inside the text"], f, rivals)


def _write(f: _Figures) -> list[_Row]:
    rivals = {"tokengrams": "tokengrams, n=8", "published program": "published SBIS"}
    return _timed("characters a second", f["seconds a character"], f, rivals, per_second)


def _write_neural(f: _Figures) -> list[_Row]:
    own = f["infgram seconds a character"]
    ways = {"no cache": "nanoGPT 10.65 M", "key-value cache": "nanoGPT, cached"}
    figures = {way: f.get(f"nanoGPT, {way}: seconds a character") for way in ways}
    ratios = {way: seconds / own for way, seconds in figures.items() if seconds}
    return _timed("written, beside nanoGPT", own, ratios, ways, per_second)


def _ready(f: _Figures) -> list[_Row]:
    own = {"SBIS, k = -1": "SBIS k=-1", "Kneser-Ney": "Kneser-Ney"}
    ready = {name: duration(f[f"infgram, {key}: ready seconds"]) for name, key in own.items()}
    loss = {name: f"{f[f'infgram, {key}: loss']:.3f}" for name, key in own.items()}
    loss["the same, adapting"] = f"{f['infgram, Kneser-Ney, adapting: loss']:.3f}"
    for name in ("Mix", "Mix, adapting"):
        if (seconds := f.get(f"infgram, {name}: ready seconds")) is not None:
            ready[name] = duration(seconds)
        if (nats := f.get(f"infgram, {name}: loss")) is not None:
            loss[name] = f"{nats:.3f}"
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
    own = {
        "Mix, full": f.get("perplexity of Mix, full, static"),
        "Mix": f.get("perplexity of Mix, static"),
        "Mix, full, adapting": f.get("perplexity of Mix, full, adapting"),
        "Mix, adapting": f.get("perplexity of Mix, adapting"),
        "Kneser-Ney": f["perplexity of Kneser-Ney, static"],
        "the same, adapting": f["perplexity of Kneser-Ney, adapting"],
    }
    shown = {who: f"{figure:.2f}" for who, figure in own.items() if figure is not None}
    best = own["Mix, full"] or own["Mix"] or own["Kneser-Ney"] or 0.0
    rivals = [(n, f.get(f"perplexity of KenLM-{n}")) for n in (6, 8, 10)]
    return [
        *_listed("perplexity of a byte", shown),
        *(
            _Row("", f"KenLM, order {n}", f"{found:.2f}", found / best)
            for n, found in rivals
            if found is not None
        ),
    ]


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
        *_timed(f"index of {f['MiB']:,.0f} MiB, 1 core", seconds, sort, {"sort": "pydivsufsort"}),
        *_listed(
            "a byte of its text takes",
            {"memory, building": f"{f['peak']:.1f} bytes", "disk": f"{f['disk']:.1f} bytes"},
        ),
        _Row("opening it", "infgram", duration(f["open seconds"])),
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


def main(results: str, *files: str, check: bool = False) -> None:
    """Writes the figures into each file, as a whole or not at all; or says which has others."""
    answers = read(Path(results))
    for path in map(Path, files):
        if check:
            if replace(path.read_text(), answers) != path.read_text():
                sys.exit(f"{path} has other figures than {results}: write them with `make figures`")
            continue
        partial = path.with_suffix(".partial")
        partial.write_text(replace(path.read_text(), answers))
        os.replace(partial, path)


if __name__ == "__main__":
    given = sys.argv[1:]
    main(*(each for each in given if each != "--check"), check="--check" in given)
