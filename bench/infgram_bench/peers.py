"""Infgram beside every other n-gram system, at several sizes of one text.

Builds run one at a time in processes of their own; then one process opens all indexes and asks them
in turn. All answers are compared with a scan of the text, and who gives a wrong one is not asked
again.
"""

from __future__ import annotations

import math
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from . import truth
from .failures import FAILED, Trial
from .findings import Findings, duration, per_second
from .generation import PUBLISHED, published_program
from .large import PIECE, held_out_pieces, large_text
from .processes import Run, bytes_in, run_beside, run_job
from .question import Bench, Question
from .rivals import SYSTEMS, System, build_apart, rival_of
from .settings import Settings
from .timing import Contender, interleave

_MIB = 1 << 20
_N_NGRAMS = 200
_N_CONTEXTS = 10
_N_WRITTEN = {"infgram": 50_000, "tokengrams": 10_000}  # bytes a call; others 200
_ROUNDS = 5
_KENLM_ORDER = 6
_TINY_LIMIT = 120.0
_HEADER = [
    *("build", "peak bytes a byte", "disk bytes a byte", "count", "next-token distribution"),
    *("longest suffix", "characters a second", "perplexity"),
]
_NONE = "none"  # the system does not offer it
_QUESTIONS = ("count", "ntd", "longest")
_COLUMNS = (*_QUESTIONS, "write", "perplexity")


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
    folder, limit = bench.folder / f"{mib}", bench.settings.patience
    folder.mkdir()
    trial = Trial()
    builds: dict[str, Run | str] = {}
    for system in SYSTEMS:
        bench.progress(f"{mib} MiB: {system.name} builds", len(builds), len(SYSTEMS) + 3)
        home = folder / system.name
        builds[system.name] = build_apart(system, corpus, home, trial, limit=limit)
    bench.progress(f"{mib} MiB: questions", len(SYSTEMS), len(SYSTEMS) + 3)
    rounds = str(min(_ROUNDS, bench.settings.rounds))
    asked = run_beside("peer_ask", corpus, folder, held_out, rounds, trial=trial, limit=limit)
    rows = []
    for name, built in builds.items():
        if isinstance(built, str):
            rows.append(_not_measured(name, built, mib, bench))
            continue
        seconds = asked.result["seconds"].get(name, {})
        perplexity = asked.result["perplexities"].get(name)
        cells = {
            **{q: duration(seconds[q]) for q in _QUESTIONS if q in seconds},
            **({"write": per_second(seconds["write"])} if "write" in seconds else {}),
            **({"perplexity": f"{perplexity:.3f}"} if perplexity else {}),
        }
        if failed := trial.failed.get(name):
            cells[failed.doing] = failed.cell
            bench.findings.note(f"{mib} MiB, {name}: {failed.doing} {failed.cell}")
        rows.append(
            [
                name,
                *_build_cells(built, corpus, folder / name),
                *(cells.get(column, "" if failed else _NONE) for column in _COLUMNS),
            ]
        )
        _keep_figures(bench.findings, name, mib, built, seconds)
        shutil.rmtree(folder / name)
    bench.progress(f"{mib} MiB: KenLM", len(SYSTEMS) + 1, len(SYSTEMS) + 3)
    rows.append(_kenlm_row(corpus, held_out, folder, mib, trial, bench))
    bench.progress(f"{mib} MiB: the published program", len(SYSTEMS) + 2, len(SYSTEMS) + 3)
    rows.append(_tiny_row(corpus, folder, mib, trial, bench))
    bench.findings.table(f"{mib} MiB", _HEADER, rows)


def _build_cells(run: Run, corpus: Path, home: Path) -> list[str]:
    n_bytes = corpus.stat().st_size
    return [
        duration(run.result["seconds"]),
        f"{run.peak_bytes / n_bytes:.1f}",
        f"{bytes_in(home) / n_bytes:.2f}",
    ]


def _not_measured(name: str, reason: str, mib: int, bench: Bench) -> list[str]:
    """A row that says so; why it is not there is a note, why it failed stands in the row too."""
    bench.findings.note(f"{mib} MiB, {name}: {reason}")
    cell = reason if reason.startswith(FAILED) else "not measured"
    return [name, cell, *[""] * (len(_HEADER) - 1)]


def _keep_figures(
    findings: Findings, name: str, mib: int, run: Run, seconds: dict[str, float]
) -> None:
    for what, value in {**seconds, "build": run.result["seconds"]}.items():
        findings.figures[f"{name}, {what}, {mib} MiB"] = value


def _kenlm_row(
    corpus: Path, held_out: Path, folder: Path, mib: int, trial: Trial, bench: Bench
) -> list[str]:
    """KenLM predicts; it tells neither counts nor what comes next."""
    name = f"KenLM, order {_KENLM_ORDER}"
    if mib > 16:
        return _not_measured(name, "bytes as words take it very long", mib, bench)
    if bench.settings.quick:
        return _not_measured(name, "not by --quick", mib, bench)
    home = folder / "kenlm"
    home.mkdir()
    how = (str(bench.settings.kenlm or ""), corpus, home, held_out, str(_KENLM_ORDER))
    with trial.of(name, "build"):
        run = run_job("kenlm", *how, limit=bench.settings.patience)
        if absent := run.result.get("absent"):
            return _not_measured(name, str(absent), mib, bench)
        cells = _build_cells(run, corpus, home)
        shutil.rmtree(home)
        return [name, *cells, *[_NONE] * 4, f"{run.result['perplexity']:.3f}"]
    return _not_measured(name, trial.failed[name].cell, mib, bench)


def _tiny_row(corpus: Path, folder: Path, mib: int, trial: Trial, bench: Bench) -> list[str]:
    """The published program keeps nothing: it indexes, generates and ends."""
    program = bench.settings.tiny
    if program is None:
        return _not_measured(PUBLISHED, "--tiny does not name it", mib, bench)
    shutil.copyfile(corpus, folder / "data.txt")
    with trial.of(PUBLISHED, "write"):
        seconds = published_program(program, folder, limit=_TINY_LIMIT).run()
        assert isinstance(seconds, float)
        return [PUBLISHED, "at every start", "", "0", *[_NONE] * 3, per_second(seconds), _NONE]
    return _not_measured(PUBLISHED, trial.failed[PUBLISHED].cell, mib, bench)


# In a process of its own --------------------------------------------------------------------------


def ask(corpus: Path, folder: Path, held_out: bytes, rounds: int, trial: Trial) -> dict[str, Any]:
    """Median seconds by system and question, and perplexities."""
    data = corpus.read_bytes()
    pieces = [held_out[i : i + PIECE] for i in range(0, len(held_out), PIECE)]
    systems: list[System] = []
    for kind in SYSTEMS:
        if (folder / kind.name).is_dir() and kind.name not in trial.failed:
            with trial.of(rival_of(kind), "count"):
                systems.append(kind(folder / kind.name))
    seconds: dict[str, dict[str, float]] = {system.name: {} for system in systems}
    perplexities: dict[str, float] = {}

    def measure(doing: str, contenders: list[Contender]) -> None:
        interleave(contenders, rounds=rounds, seconds=0.02, trial=trial, doing=doing)
        for contender in contenders:
            if contender.rival not in trial.failed:
                seconds[contender.name][doing] = contender.timing.seconds

    for question, (ngrams, right) in _questions(data).items():
        contenders = []
        for system in systems:
            call = system.calls.get(question)
            if call and system.name not in trial.failed:
                with trial.of(rival_of(system), question):
                    queries = [system.query(ngram) for ngram in ngrams]
                    answers = [call.answer(call.ask(query)) for query in queries]
                    truth.check(f"{system.name}, {question}", answers, right)
                    contenders.append(_each(system, call.ask, queries))
        measure(question, contenders)
    measure("write", [_writer(s) for s in systems if s.write and s.name not in trial.failed])
    for system in systems if pieces else ():
        if system.log_probs and system.name not in trial.failed:
            with trial.of(rival_of(system), "perplexity"):
                log_prob, n = system.log_probs(pieces)
                perplexities[system.name] = math.exp(-log_prob / n)
    return {"seconds": seconds, "perplexities": perplexities}


def _questions(data: bytes) -> dict[str, tuple[list[bytes], list[Any]]]:
    """N-grams and right answers."""
    rng = random.Random(1)

    def slices(n: int, shortest: int, longest: int) -> list[bytes]:
        starts = [rng.randrange(len(data) - longest) for _ in range(n)]
        return [data[start : start + rng.randint(shortest, longest)] for start in starts]

    new = bytes(rng.choices(range(97, 123), k=190))
    contexts = [*slices(_N_CONTEXTS, 200, 200), *(new + end for end in slices(_N_CONTEXTS, 10, 10))]
    ngrams, short = slices(_N_NGRAMS, 3, 20), slices(_N_CONTEXTS, 4, 8)
    return {
        "count": (ngrams, [truth.count(data, ngram) for ngram in ngrams]),
        "ntd": (short, [truth.next_counts(data, context) for context in short]),
        "longest": (contexts, [truth.longest(data, context)[1] for context in contexts]),
    }


def _each(system: System, ask: Callable[[Any], Any], queries: Sequence[Any]) -> Contender:
    def run() -> None:
        for query in queries:
            ask(query)

    return Contender(system.name, run, len(queries), rival=rival_of(system))


def _writer(system: System) -> Contender:
    n_bytes = _N_WRITTEN.get(system.name, 200)
    write = system.write
    assert write

    def run() -> None:
        if (n := write(n_bytes)) != n_bytes:
            raise truth.WrongAnswers(f"{system.name} wrote {n} bytes instead of {n_bytes}")

    return Contender(system.name, run, n_bytes, rival=rival_of(system))
