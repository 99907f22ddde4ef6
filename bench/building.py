"""Building an index against the suffix sort alone; its size, its memory, opening it.

Everything runs in processes of their own (jobs.py), pinned like this one, which stays small: the
peak memory of a process counts from its fork. The corpus is read once beforehand, so that all find
it in the page cache.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .common import Contender, Timing, arguments, corpus_path, pin
from .report import Report
from .rivals import RIVALS

_ROOT = Path(__file__).resolve().parents[1]
_MIB = 1 << 20
_LARGE = 64 * _MIB
_N_COUNTS = 1000
_N_OPENS = 9


@dataclass(frozen=True)
class _Run:
    """What a finished process reported, and what it used."""

    result: dict[str, float]
    cpu_seconds: float
    peak_bytes: int


def main() -> None:
    """Measures and prints."""
    parser = arguments(__doc__)
    parser.set_defaults(rounds=3)
    parser.add_argument("--rivals", action="store_true", help="build theirs too: small corpora")
    parser.add_argument("--temp", type=Path, help="where to build (default: the system's)")
    args = parser.parse_args()
    pinned = pin(args)
    corpus = corpus_path(args).resolve()
    n_bytes = corpus.stat().st_size
    report = Report("Building", f"{n_bytes:,} bytes of {corpus.name}, {pinned}")
    _read(corpus)
    with tempfile.TemporaryDirectory(dir=args.temp) as temp:
        folder = Path(temp)
        _build(corpus, folder, report, args.rounds)
        if args.rivals:
            _build_rivals(corpus, folder, report)
        _open(corpus, folder / "corpus.infgram", report)
    report.emit(args)


def _build(corpus: Path, folder: Path, report: Report, rounds: int) -> None:
    """Sort and build in turn; leaves the last index in `folder`."""
    sort, build = Timing(), Timing()
    sort_peak = build_peak = 0
    index = folder / "corpus.infgram"
    for _ in range(rounds):
        run = _job("sort", corpus)
        sort.wall.append(run.result["seconds"])
        sort_peak = max(sort_peak, run.peak_bytes)
        if index.exists():
            shutil.rmtree(index)
        run = _job("build", corpus, index)
        build.wall.append(run.result["seconds"])
        build.cpu.append(run.cpu_seconds)
        build_peak = max(build_peak, run.peak_bytes)
    contenders = [
        Contender("infgram.build", str, timing=build),
        Contender("pydivsufsort's sort alone", str, timing=sort),
    ]
    report.timings("build (CPU: the whole process)", contenders)
    n_bytes = corpus.stat().st_size
    disk = _bytes_in(index)
    nothing_peak = _job("nothing").peak_bytes
    report.table(
        "bytes per byte of the corpus",
        ["", "peak memory", "of that, importing infgram", "on disk"],
        [
            [
                "infgram.build",
                f"{build_peak / n_bytes:.2f}",
                f"{nothing_peak / n_bytes:.2f}",
                f"{disk / n_bytes:.2f}",
            ],
            ["pydivsufsort's sort alone", f"{sort_peak / n_bytes:.2f}", "", ""],
        ],
    )
    report.at_most("build, to the sort alone", build.seconds / sort.seconds, 2.5, "x")
    if n_bytes >= _LARGE:
        report.at_most("peak memory of a build", build_peak / n_bytes, 12, "bytes a byte")
    else:
        report.note(
            "peak memory has no bar below 64 MiB, where the interpreter outweighs the corpus"
        )
    report.at_most("size on disk", disk / n_bytes, 8, "bytes a byte")


def _build_rivals(corpus: Path, folder: Path, report: Report) -> None:
    """Each rival's build, once."""
    rows = []
    n_bytes = corpus.stat().st_size
    for rival in RIVALS:
        home = folder / rival.name
        home.mkdir()
        run = _job("rival", rival.name, corpus, home)
        if "seconds" not in run.result:
            report.note(f"{rival.name}: {run.result['absent']}")
            continue
        rows.append(
            [
                rival.name,
                f"{run.result['seconds']:.2f} s",
                f"{run.cpu_seconds:.2f} s",
                f"{run.peak_bytes / n_bytes:.2f}",
                f"{_bytes_in(home) / n_bytes:.2f}",
            ]
        )
        shutil.rmtree(home)
    if rows:
        report.table(
            "rivals' builds, imports included",
            ["", "wall", "CPU of the process", "peak bytes a byte", "disk bytes a byte"],
            rows,
        )


def _open(corpus: Path, index: Path, report: Report) -> None:
    """Opening in fresh processes, and how memory grows with use."""
    ngrams = ",".join(ngram.hex() for ngram in _ngrams(corpus))
    runs = [_job("use", index, ngrams) for _ in range(_N_OPENS)]
    timing = Timing([run.result["seconds"] for run in runs])
    report.timings("open", [Contender("infgram.open", str, timing=timing)])
    last, n_bytes = runs[-1].result, _bytes_in(index)
    report.table(
        "growth of resident memory",
        ["", "its own", "mapped pages of the index", "share of the index"],
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
    report.at_most("open", timing.seconds * 1e3, 50, "ms")


def _job(job: str, *arguments: str | Path) -> _Run:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.jobs", job, *map(str, arguments)],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    with process.stdout as stdout:
        out = stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the job {job} failed")
    return _Run(
        json.loads(out.splitlines()[-1]), usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
    )


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


def _read(corpus: Path) -> None:
    with open(corpus, "rb") as file:
        while file.read(_MIB):
            pass


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
