"""Infgram beside every other n-gram system, at several sizes of one text.

Builds run one at a time in processes of their own; then one process opens all indexes and asks them
in turn. All answers are compared with a scan of the text.
"""

from __future__ import annotations

import math
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import truth
from .findings import Findings, duration, per_second
from .generation import published_program
from .large import PIECE, held_out_pieces, large_text
from .processes import JobFailed, Run, bytes_in, run_job
from .question import Bench, Question
from .rivals import SYSTEMS, System
from .settings import Settings
from .timing import Contender, interleave

_MIB = 1 << 20
_N_NGRAMS = 200
_N_CONTEXTS = 10
_N_WRITTEN = {"infgram": 50_000, "tokengrams": 10_000}  # bytes a call; others 200
_ROUNDS = 5
_KENLM_ORDER = 6
_LIMIT = 1200.0  # seconds for one build, or for all questions of a size
_TINY_LIMIT = 120.0
_HEADER = [
    *("build", "peak bytes a byte", "disk bytes a byte", "count", "next-token distribution"),
    *("longest suffix", "characters a second", "perplexity"),
]
_NONE = "none"  # the system does not offer it


def _answer(bench: Bench) -> None:
    settings = bench.settings
    held_out = bench.folder / "held-out.txt"
    pieces = [] if settings.quick else held_out_pieces(bench)  # tens of seconds
    held_out.write_bytes(b"".join(pieces))
    bench.findings.setting["text"] = (
        f"beginnings of {settings.large.name if settings.large else 'text files of this machine'}"
        + (f", perplexity of {len(pieces)} kilobytes behind the largest" if pieces else "")
    )
    if not pieces:
        bench.findings.note("perplexities: in the full run")
    for mib in settings.sizes:
        _compare(mib, large_text(bench, mib), held_out, bench)


def _minutes(settings: Settings) -> float:
    """Rivals' builds grow a little faster than the text."""
    rivals = sum(0.5 + 0.06 * mib for mib in settings.sizes)
    return 0.4 if settings.quick else rivals + (1.5 if settings.kenlm else 0)


QUESTION = Question("peers", "Beside the peers", _answer, _minutes, in_quick=True)


def _compare(mib: int, corpus: Path, held_out: Path, bench: Bench) -> None:
    folder = bench.folder / f"{mib}"
    folder.mkdir()
    builds: dict[str, Run | str] = {}
    for system in SYSTEMS:
        bench.progress(f"{mib} MiB: {system.name} builds", len(builds), len(SYSTEMS) + 3)
        builds[system.name] = _build(system.name, corpus, folder / system.name)
    bench.progress(f"{mib} MiB: questions", len(SYSTEMS), len(SYSTEMS) + 3)
    try:
        rounds = str(min(_ROUNDS, bench.settings.rounds))
        asked = run_job("peer_ask", corpus, folder, held_out, rounds, limit=_LIMIT).result
    except JobFailed as failed:
        bench.findings.note(f"{mib} MiB: no questions were asked: {failed}")
        asked = {"seconds": {}, "perplexities": {}, "notes": []}
    bench.findings.notes += [f"{mib} MiB: {note}" for note in asked["notes"]]
    rows = []
    for system in SYSTEMS:
        built = builds[system.name]
        if isinstance(built, str):
            rows.append(_not_measured(system.name, built, mib, bench))
            continue
        seconds = asked["seconds"].get(system.name, {})
        perplexity = asked["perplexities"].get(system.name)
        rows.append(
            [
                system.name,
                *_build_cells(built, corpus, folder / system.name),
                *(duration(seconds[q]) if q in seconds else _NONE for q in _QUESTIONS),
                per_second(seconds["write"]) if "write" in seconds else _NONE,
                f"{perplexity:.3f}" if perplexity else _NONE,
            ]
        )
        _keep_figures(bench.findings, system.name, mib, built, seconds)
        shutil.rmtree(folder / system.name)
    bench.progress(f"{mib} MiB: KenLM", len(SYSTEMS) + 1, len(SYSTEMS) + 3)
    rows.append(_kenlm_row(corpus, held_out, folder, mib, bench))
    bench.progress(f"{mib} MiB: the published program", len(SYSTEMS) + 2, len(SYSTEMS) + 3)
    rows.append(_tiny_row(corpus, folder, mib, bench))
    bench.findings.table(f"{mib} MiB", _HEADER, rows)


_QUESTIONS = ("count", "ntd", "longest")


def _build(name: str, corpus: Path, home: Path) -> Run | str:
    """The run, or why there is none."""
    home.mkdir()
    try:
        run = run_job("peer_build", name, corpus, home, limit=_LIMIT)
    except JobFailed as failed:
        shutil.rmtree(home)
        return f"failed: {failed}"
    if absent := run.result.get("absent"):
        shutil.rmtree(home)
        return str(absent)
    return run


def _build_cells(run: Run, corpus: Path, home: Path) -> list[str]:
    n_bytes = corpus.stat().st_size
    return [
        duration(run.result["seconds"]),
        f"{run.peak_bytes / n_bytes:.1f}",
        f"{bytes_in(home) / n_bytes:.2f}",
    ]


def _not_measured(name: str, reason: str, mib: int, bench: Bench) -> list[str]:
    """A row that says so; the reason is a note."""
    bench.findings.note(f"{mib} MiB, {name}: {reason}")
    return [name, "not measured", *[""] * (len(_HEADER) - 1)]


def _keep_figures(
    findings: Findings, name: str, mib: int, run: Run, seconds: dict[str, float]
) -> None:
    for what, value in {**seconds, "build": run.result["seconds"]}.items():
        findings.figures[f"{name}, {what}, {mib} MiB"] = value


def _kenlm_row(corpus: Path, held_out: Path, folder: Path, mib: int, bench: Bench) -> list[str]:
    """KenLM predicts; it tells neither counts nor what comes next."""
    name = f"KenLM, order {_KENLM_ORDER}"
    if mib > 16:
        return _not_measured(name, "bytes as words take it very long", mib, bench)
    if bench.settings.quick:
        return _not_measured(name, "not by --quick", mib, bench)
    home = folder / "kenlm"
    home.mkdir()
    lmplz = str(bench.settings.kenlm or "")
    try:
        run = run_job("kenlm", lmplz, corpus, home, held_out, str(_KENLM_ORDER), limit=_LIMIT)
    except JobFailed as failed:
        return _not_measured(name, f"failed: {failed}", mib, bench)
    if absent := run.result.get("absent"):
        return _not_measured(name, str(absent), mib, bench)
    cells = _build_cells(run, corpus, home)
    shutil.rmtree(home)
    return [name, *cells, *[_NONE] * 4, f"{run.result['perplexity']:.3f}"]


def _tiny_row(corpus: Path, folder: Path, mib: int, bench: Bench) -> list[str]:
    """The published program keeps nothing: it indexes, generates and ends."""
    name = "the published program"
    program = bench.settings.tiny
    if program is None:
        return _not_measured(name, "--tiny does not name it", mib, bench)
    shutil.copyfile(corpus, folder / "data.txt")
    try:
        seconds = published_program(program, folder, limit=_TINY_LIMIT).run()
    except JobFailed as failed:
        return _not_measured(name, str(failed), mib, bench)
    assert isinstance(seconds, float)
    return [name, "at every start", "", "0", *[_NONE] * 3, per_second(seconds), _NONE]


# In a process of its own --------------------------------------------------------------------------


def ask(corpus: Path, folder: Path, held_out: bytes, rounds: int) -> dict[str, Any]:
    """Median seconds by system and question, perplexities, and notes on wrong answers."""
    data = corpus.read_bytes()
    pieces = [held_out[i : i + PIECE] for i in range(0, len(held_out), PIECE)]
    findings = Findings()
    systems = [
        system(folder / system.name) for system in SYSTEMS if (folder / system.name).is_dir()
    ]
    rng = random.Random(1)

    def slices(n: int, shortest: int, longest: int) -> list[bytes]:
        starts = [rng.randrange(len(data) - longest) for _ in range(n)]
        return [data[start : start + rng.randint(shortest, longest)] for start in starts]

    new = bytes(rng.choices(range(97, 123), k=190))
    contexts = [*slices(_N_CONTEXTS, 200, 200), *(new + end for end in slices(_N_CONTEXTS, 10, 10))]
    questions = {
        "count": slices(_N_NGRAMS, 3, 20),
        "ntd": slices(_N_CONTEXTS, 4, 8),
        "longest": contexts,
    }
    right: dict[str, list[Any]] = {
        "count": [truth.count(data, ngram) for ngram in questions["count"]],
        "ntd": [truth.next_counts(data, context) for context in questions["ntd"]],
        "longest": [truth.longest(data, context)[1] for context in contexts],
    }
    seconds: dict[str, dict[str, float]] = {system.name: {} for system in systems}
    for question, ngrams in questions.items():
        contenders = []
        for system in systems:
            if call := system.calls.get(question):
                queries = [system.query(ngram) for ngram in ngrams]
                answers = [call.answer(call.ask(query)) for query in queries]
                findings.compare(f"{system.name}, {question}", answers, right[question])
                contenders.append(_each(system.name, call.ask, queries))
        interleave(contenders, rounds=rounds, seconds=0.02)
        for contender in contenders:
            seconds[contender.name][question] = contender.timing.seconds
    writers = [_writer(system) for system in systems if system.write]
    interleave(writers, rounds=rounds, seconds=0.02)
    for contender in writers:
        seconds[contender.name]["write"] = contender.timing.seconds
    perplexities = {}
    for system in systems:
        if system.log_probs and pieces:
            log_prob, n = system.log_probs(pieces)
            perplexities[system.name] = math.exp(-log_prob / n)
    return {"seconds": seconds, "perplexities": perplexities, "notes": findings.notes}


def _each(name: str, function: Any, queries: Sequence[Any]) -> Contender:
    def run() -> None:
        for query in queries:
            function(query)

    return Contender(name, run, len(queries))


def _writer(system: System) -> Contender:
    n_bytes = _N_WRITTEN.get(system.name, 200)
    write = system.write
    assert write

    def run() -> None:
        if write(n_bytes) != n_bytes:
            raise SystemExit(f"{system.name} did not write {n_bytes} bytes")

    return Contender(system.name, run, n_bytes)
