"""Building an index against the suffix sort alone; its size, its memory, opening it.

Everything runs in processes of their own (jobs.py). The text is read once beforehand, so that all
find it in the page cache.
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from .failures import Trial
from .findings import Findings
from .large import large_text
from .processes import bytes_in, run_job
from .question import Bench, Question
from .timing import Contender, Timing

_MIB = 1 << 20
_LARGE = 64 * _MIB
_N_COUNTS = 1000
_N_OPENS = 9
_ROUNDS = 3
_SORT = "pydivsufsort's sort alone"


def _answer(bench: Bench) -> None:
    corpus = large_text(bench, max(bench.settings.sizes))
    n_bytes = corpus.stat().st_size
    bench.findings.setting["text"] = f"{n_bytes:,} bytes of {corpus.name}"
    _build(corpus, bench)
    _open(corpus, bench.folder / "corpus.infgram", bench.findings)


QUESTION = Question(
    "building",
    "Building and opening an index",
    _answer,
    minutes=lambda settings: 0.3 + 0.015 * max(settings.sizes),
    in_quick=False,
)


def _build(corpus: Path, bench: Bench) -> None:
    """Sort and build in turn; leaves the last index in the folder."""
    trial, limit = Trial(), bench.settings.patience
    sort, build, compact = Timing(), Timing(), Timing()
    sort_peak = build_peak = compact_peak = 0
    index, small = bench.folder / "corpus.infgram", bench.folder / "compact.infgram"
    for i in range(_ROUNDS):
        bench.progress("building and sorting in turn", i, _ROUNDS)
        if _SORT not in trial.failed:
            with trial.of(_SORT, "sort"):
                run = run_job("sort", corpus, limit=limit)
                sort.wall.append(run.result["seconds"])
                sort_peak = max(sort_peak, run.peak_bytes)
        for each in (index, small):
            shutil.rmtree(each, ignore_errors=True)
        run = run_job("build", corpus, index)
        build.wall.append(run.result["seconds"])
        build.cpu.append(run.cpu_seconds)
        build_peak = max(build_peak, run.peak_bytes)
        run = run_job("build_compact", corpus, small)
        compact.wall.append(run.result["seconds"])
        compact.cpu.append(run.cpu_seconds)
        compact_peak = max(compact_peak, run.peak_bytes)
    findings = bench.findings
    contenders = [
        Contender("infgram.build", str, timing=build),
        Contender("infgram.build, compact", str, timing=compact),
        Contender(_SORT, str, timing=sort, rival=_SORT),
    ]
    title = "build (CPU: the whole process)"
    findings.timing_table(title, contenders, failed=trial.failed)
    n_bytes = corpus.stat().st_size
    disk = bytes_in(index)
    nothing_peak = run_job("nothing").peak_bytes
    small_disk = bytes_in(small)
    own = [f"{peak / n_bytes:.2f}" for peak in (build_peak, nothing_peak, disk)]
    of_small = [f"{n / n_bytes:.2f}" for n in (compact_peak, nothing_peak, small_disk)]
    failed = trial.failed.get(_SORT)
    findings.table(
        "bytes per byte of the corpus",
        ["peak memory", "of that, importing infgram", "on disk"],
        [
            ["infgram.build", *own],
            ["infgram.build, compact", *of_small],
            [_SORT, failed.cell if failed else f"{sort_peak / n_bytes:.2f}", "", ""],
        ],
    )
    if n_bytes >= _LARGE:
        findings.at_most("peak memory of a build", build_peak / n_bytes, 12, "bytes a byte")
        findings.at_most("compact on disk", small_disk / n_bytes, 0.55, "bytes a byte")
    else:
        findings.note(
            "peak memory has no bar below 64 MiB, where the interpreter outweighs the corpus"
        )
    findings.at_most("size on disk", disk / n_bytes, 8, "bytes a byte")
    findings.figures.update({"MiB": n_bytes / _MIB, "build seconds": build.seconds})
    findings.figures.update({"peak": build_peak / n_bytes, "disk": disk / n_bytes})
    findings.figures["compact disk"] = small_disk / n_bytes
    if not failed:
        findings.at_most("build, to the sort alone", build.seconds / sort.seconds, 2.5, "x")
        findings.figures["sort seconds"] = sort.seconds


def _open(corpus: Path, index: Path, findings: Findings) -> None:
    """Opening in fresh processes, and how memory grows with use."""
    ngrams = ",".join(ngram.hex() for ngram in _ngrams(corpus))
    runs = [run_job("use", index, ngrams) for _ in range(_N_OPENS)]
    timing = Timing([run.result["seconds"] for run in runs])
    findings.timing_table("open", [Contender("infgram.open", str, timing=timing)])
    last, n_bytes = runs[-1].result, bytes_in(index)
    findings.table(
        "growth of resident memory",
        ["its own", "mapped pages of the index", "share of the index"],
        [
            [
                name,
                f"{last[f'{stage}_own'] / _MIB:.2f} MiB",
                f"{last[f'{stage}_mapped'] / _MIB:.2f} MiB",
                f"{last[f'{stage}_mapped'] / n_bytes:.2%}",
            ]
            for name, stage in [
                ("after open", "opened"),
                ("after 1 count", "counted_one"),
                (f"after {_N_COUNTS:,} counts", "counted_all"),
            ]
        ],
    )
    findings.at_most("open", timing.seconds * 1e3, 50, "ms")
    findings.figures["open seconds"] = timing.seconds


def _ngrams(corpus: Path) -> list[bytes]:
    """N-grams of 3 to 20 bytes from all over the corpus."""
    rng = random.Random(1)
    n_bytes = corpus.stat().st_size
    ngrams = []
    with open(corpus, "rb") as file:
        for _ in range(_N_COUNTS):
            file.seek(rng.randrange(n_bytes - 20))
            ngrams.append(file.read(rng.randint(3, 20)))
    return ngrams
