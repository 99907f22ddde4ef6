"""A rival that fails, however it does, is a row: the run goes on, and infgram's figures stand."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from command_line import drawn, executable, run
from infgram_bench import building, growth, large, models, peers, pictures, processes
from infgram_bench.answers import Answer
from infgram_bench.corpora import Corpus
from infgram_bench.failures import Failure, Trial, in_few_words
from infgram_bench.findings import Curve, Findings, Picture
from infgram_bench.processes import JobFailed, Run, run_beside
from infgram_bench.question import Bench, CannotMeasure, instrument
from infgram_bench.rivals import Infgram, Tokengrams
from infgram_bench.settings import Settings
from infgram_bench.timing import Contender, interleave
from waiting import HOUR, Hours, is_running

from infgram import InfgramError

_WORDS = ["the", "cat", "and", "that", "dog", "then", "saw", "this", "man", "with", "both", "hats"]
TEXT = "".join(
    " ".join(_WORDS[(i * i + 5 * j * i) % len(_WORDS)] for j in range(7)) + "\n" for i in range(300)
)
FAILED = Failure("writing", "RuntimeError: All weights are zero in distribution")


class Panic(BaseException):
    """As Rust's become in Python: no Exception."""


# Where it happens ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("All weights are zero\nin 'it'"), "RuntimeError: All weights are zero"),
        (Panic("called `unwrap()` on a `None`"), "Panic: called `unwrap()` on a `None`"),
        (SystemExit(3), "SystemExit: 3"),
        (MemoryError(), "MemoryError"),
        (JobFailed("stopped after 5 s"), "stopped after 5 s"),
        (ValueError("x" * 200), "ValueError: " + "x" * 65 + "..."),
    ],
)
def test_whatever_a_rival_raises_is_its_failure_and_not_the_end(
    error: BaseException, reason: str
) -> None:
    trial = Trial()
    with trial.of("rival", "writing"):
        raise error
    assert trial.failed == {"rival": Failure("writing", reason)}
    assert trial.failed["rival"].cell == f"failed: {reason}"
    assert Trial.from_json(trial.to_json()).failed == trial.failed


@pytest.mark.parametrize("error", [RuntimeError, InfgramError, SystemExit, KeyboardInterrupt])
def test_whatever_infgram_raises_is_an_error(error: type[BaseException]) -> None:
    trial = Trial()
    with pytest.raises(error), trial.of("", "writing"):
        raise error
    assert trial.failed == {}


def test_an_interrupt_while_a_rival_is_at_work_is_an_interrupt() -> None:
    trial = Trial()
    with pytest.raises(KeyboardInterrupt), trial.of("rival", "writing"):
        raise KeyboardInterrupt
    assert trial.failed == {}


def test_a_trial_says_who_is_at_work_and_when_it_no_longer_is() -> None:
    said: list[Mapping[str, str]] = []
    trial = Trial(say=said.append)
    for error in (None, ValueError):
        with trial.of("", "build"), trial.of("rival", "writing"):
            if error:
                raise error
    assert said == [{"rival": "rival", "doing": "writing"}, {"rival": "", "doing": ""}] * 2


# In turn ------------------------------------------------------------------------------------------


def failing_after(n: int, error: BaseException) -> Callable[[], None]:
    times = iter(range(n))

    def work() -> None:
        if next(times, None) is None:
            raise error

    return work


@pytest.mark.parametrize("n", [0, 1, 3])
def test_a_rival_that_fails_leaves_the_others_their_turns(n: int) -> None:
    trial = Trial()
    contenders = [
        Contender("infgram", lambda: None),
        Contender("bad, one way", failing_after(n, Panic("no")), rival="bad"),
        Contender("bad, another way", lambda: None, rival="bad"),
        Contender("good", lambda: None, rival="good"),
    ]
    interleave(contenders, rounds=4, seconds=0, trial=trial, doing="writing")
    assert trial.failed == {"bad": Failure("writing", "Panic: no")}
    assert [len(each.timing.wall) for each in (contenders[0], contenders[3])] == [4, 4]
    findings = Findings()
    trial.failed["absent from it"] = FAILED
    findings.timing_table("in turn", contenders, failed=trial.failed)
    rows = {row[0]: row[1:] for row in findings.tables[0].rows}
    for name in ("bad, one way", "bad, another way"):
        assert rows[name] == ["failed: Panic: no", "", "", ""]
    assert rows["absent from it"] == [FAILED.cell, "", "", ""]
    assert all("failed" not in cell and cell for cell in rows["infgram"] + rows["good"])
    assert [timing["name"] for timing in findings.timings] == ["infgram", "good"]


def test_infgram_that_fails_in_its_turn_is_an_error() -> None:
    contenders = [
        Contender("good", lambda: None, rival="good"),
        Contender("infgram", failing_after(2, ZeroDivisionError())),
    ]
    with pytest.raises(ZeroDivisionError):
        interleave(contenders, rounds=4, seconds=0, trial=Trial())


# In a process of its own --------------------------------------------------------------------------

JOB = """
import json, os, signal, sys, time
from infgram_bench import jobs

def act(failed):
    trial, done = jobs._trial(failed), []
    for name in ("first", "", "bad", "last"):
        if name not in trial.failed:
            with trial.of(name, f"{name}'s part"):
                if name == WHO:
                    WAY
                done.append(name)
    return {"done": done, "failed": trial.to_json()}

jobs._JOBS["act"] = act
jobs.main(sys.argv[3:])
"""
WAYS = {
    "raise RuntimeError('zero')": "RuntimeError: zero",
    "sys.exit(3)": "SystemExit: 3",
    "os._exit(3)": "exit code 3",
    "print('panicked', file=sys.stderr, flush=True); os.abort()": "panicked (killed by SIGABRT)",
    "os.kill(os.getpid(), signal.SIGSEGV)": "killed by SIGSEGV",
    "os.kill(os.getpid(), signal.SIGKILL)": "killed by SIGKILL",
    "os._exit(0)": "ended without a result that can be read",
    "time.sleep(9999)": "stopped after 3,600 s",
    "os.close(1)": "OSError: [Errno 9] Bad file descriptor (exit code 1)",
}


@pytest.fixture
def act(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Makes the job in which somebody does something."""

    def make(who: str, way: str) -> None:
        path = tmp_path / "python"
        script = JOB.replace("WHO", repr(who)).replace("WAY", way)
        path.write_text(executable(script))
        path.chmod(0o755)
        monkeypatch.setattr(processes, "sys", SimpleNamespace(executable=str(path)))

    return make


Act = Callable[[str, str], None]


def hours_fly_over(rival: str, doing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """For whoever runs a job, while this rival does this in it."""
    hours, hear = Hours(monkeypatch), processes._Work.hear

    def heard(work: processes._Work, line: dict[str, Any]) -> None:
        hear(work, line)
        hours.fly = (work.rival, work.doing) == (rival, doing)

    monkeypatch.setattr(processes._Work, "hear", heard)


@pytest.mark.parametrize("way", WAYS)
def test_a_rival_that_takes_the_process_down_is_out_and_the_others_are_measured(
    act: Act, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    act("bad", way)
    if "sleep" in way:
        hours_fly_over("bad", "bad's part", monkeypatch)
    trial = Trial({"early": FAILED})
    found = run_beside("act", trial=trial, limit=HOUR)
    assert found.result["done"] == ["first", "", "last"]
    assert trial.failed == {"early": FAILED, "bad": Failure("bad's part", WAYS[way])}


def test_a_rival_that_prints_rubbish_is_not_in_the_way(act: Act) -> None:
    act("bad", "print('{\"rival\": 3, ', end='', flush=True); os.write(1, b'\\xff[]')")
    trial = Trial()
    assert len(run_beside("act", trial=trial, limit=HOUR).result["done"]) == 4
    assert trial.failed == {}


def test_a_child_that_outlives_a_job_does_not_hold_it_up(act: Act, tmp_path: Path) -> None:
    act(
        "bad",
        "import subprocess; child = subprocess.Popen(['sleep', '60'], start_new_session=True); "
        "open(__file__ + '.child', 'w').write(str(child.pid))",
    )
    trial = Trial()
    assert len(run_beside("act", trial=trial, limit=HOUR).result["done"]) == 4
    assert trial.failed == {}
    child = int((tmp_path / "python.child").read_text())
    assert is_running(child)
    os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize(
    ("way", "why"),
    [
        ("raise RuntimeError('zero')", "RuntimeError: zero"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("os._exit(0)", "without a result"),
    ],
)
def test_infgram_that_takes_the_process_down_is_an_error(act: Act, way: str, why: str) -> None:
    act("", way)
    trial = Trial()
    with pytest.raises(JobFailed, match=why):
        run_beside("act", trial=trial, limit=HOUR)
    assert trial.failed == {}


# From end to end ----------------------------------------------------------------------------------

RIVAL = """
import os, signal, sys, time

at, how = os.environ["FAILS"].split(":", 1)


class Panic(BaseException):
    pass


def work(what):
    if what == at:
        exec(how)


def wrong(what):
    return what == at and how == "pass"


work("import")


class MemmapIndex:
    def __init__(self, tokens, table, vocab):
        work("open")
        with open(tokens, "rb") as file:
            self.data = file.read()[::2]

    @staticmethod
    def build(tokens, table, vocab, verbose):
        work("build")

    def count(self, ids):
        work("count")
        ngram = bytes(ids)
        n, at = 0, self.data.find(ngram)
        while at >= 0:
            n, at = n + 1, self.data.find(ngram, at + 1)
        return n + wrong("count")

    def count_next(self, ids):
        work("ntd")
        found = [0] * 256
        ngram = bytes(ids)
        at = self.data.find(ngram)
        while at >= 0:
            for following in self.data[at + len(ngram) : at + len(ngram) + 1]:
                found[following] += 1
            at = self.data.find(ngram, at + 1)
        found[0] += wrong("ntd")
        return found

    def sample_unsmoothed(self, prompt, n, k, num_samples):
        work("write")
        return [list(prompt) + [97] * (k - wrong("write"))]
"""
ZERO = "raise RuntimeError('All weights are zero in distribution')"
KILL = "os.kill(os.getpid(), signal.SIGSEGV)"
LIBRARY = "raise ImportError('libtorch.so: cannot open shared object file')"
FIGURE = r"[\d.,e+]+"
OPTIONS = ("--quick", "--corpus", "small.txt", "--large", "large.txt", "-o", "out", "--no-pin")
IMPORT = "ImportError: libtorch.so: cannot open shared object file (exit code 1)"


@pytest.fixture
def rival(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a tokengrams where jobs find it that fails as it is told to; the others are absent."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "tokengrams.py").write_text(RIVAL)
    for name in ("infini_gram", "fastgram", "infinigram", "kenlm"):
        (folder / f"{name}.py").write_text("raise ModuleNotFoundError('not here')")
    others = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *([others] if others else [])]))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.txt").write_text(TEXT[:3000])
    (tmp_path / "large.txt").write_text(TEXT[:9000])
    for name in ("_MIB", "_BEHIND"):
        monkeypatch.setattr(large, name, 3000)
    monkeypatch.setattr(Settings, "rounds", 1)  # figures mean nothing here
    monkeypatch.setattr(peers, "SYSTEMS", (Infgram, Tokengrams))
    return lambda fails: monkeypatch.setenv("FAILS", fails)


@pytest.mark.parametrize(
    ("question", "fails", "reason"),
    [
        ("generation", f"write:{ZERO}", "RuntimeError: All weights are zero in distribution"),
        ("generation", "write:pass", "19999 tokens instead of 20000"),
        ("generation", f"write:{KILL}", "killed by SIGSEGV"),
        ("generation", f"import:{LIBRARY}", IMPORT),
        ("queries", "ntd:pass", "ntd: 1 of 1 answers are WRONG"),
        ("queries", "open:raise Panic('unwrap on None')", "Panic: unwrap on None"),
        ("queries", "build:os._exit(0)", "ended without a result that can be read"),
        ("queries", "count:time.sleep(9999)", "stopped after 3,600 s"),
        ("peers", "write:sys.exit('gave up')", "SystemExit: gave up"),
        ("peers", f"ntd:{KILL}", "killed by SIGSEGV"),
        ("peers", f"build:{ZERO}", "RuntimeError: All weights are zero in distribution"),
    ],
)
def test_a_rival_that_fails_has_a_row_that_says_so_and_the_run_goes_on(
    rival: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    question: str,
    fails: str,
    reason: str,
) -> None:
    rival(fails)
    if "sleep" in fails:
        monkeypatch.setattr(Settings, "patience", HOUR)
        hours_fly_over("tokengrams", "count", monkeypatch)
    shown = run("bench", question, *OPTIONS).stdout
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in shown.splitlines()
        if line.startswith("| ")
    ]
    theirs = [row for row in rows if row[0].startswith("tokengrams")]
    cells = [cell for row in theirs for cell in row if cell.startswith("failed: ")]
    assert cells and all(reason in cell for cell in cells)
    ours = [row for row in rows if row[0].startswith("infgram")]
    assert ours and not any("failed" in cell for row in ours for cell in row)
    assert reason in Path("out/report.md").read_text()
    (answer,) = json.loads(Path("out/results.json").read_text())["answers"]
    figures = answer["findings"]["figures"]
    needed = {
        "generation": {"seconds a character"},
        "queries": {"count seconds", "ntd seconds", "levels seconds, inside the text"},
        "peers": {f"infgram, {q}, 1 MiB" for q in ("count", "ntd", "longest", "write", "build")},
    }
    assert needed[question] <= figures.keys()


def test_a_rival_that_comes_through_has_figures(rival: Callable[[str], None]) -> None:
    rival("nothing:pass")
    shown = run("bench", "generation", "queries", "peers", *OPTIONS).stdout
    assert "failed" not in shown
    assert len(re.findall(r"^\| tokengrams[^|]*\| +[\d.,]+ ", shown, re.MULTILINE)) >= 5


def test_a_failure_in_a_terminal_squeezes_no_figures(rival: Callable[[str], None]) -> None:
    rival(f"write:{ZERO}")
    arguments = ("bench", "generation", *OPTIONS)
    run(*arguments)
    seen, _ = drawn(*arguments, environment={"COLUMNS": "100"})  # room for a fast machine's figures
    plain = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", seen)
    lines = plain.splitlines()
    name = "tokengrams, sample_unsmoothed(n=8)"
    assert f"{name} failed: RuntimeError: All weights are zero in distribution" in lines
    assert re.search(r"^inf\S* +N +N to N +N +1\.00".replace("N", FIGURE), plain, re.MULTILINE)
    assert re.search(r"^\S.* failed *$", plain, re.MULTILINE)


# Other questions ----------------------------------------------------------------------------------


def bench_in(folder: Path, **settings: Any) -> Bench:
    for name in ("working", "texts"):
        (folder / name).mkdir()
    chosen = Settings(Corpus("words", TEXT.encode()), **settings)
    places = (folder / "working", folder / "texts")
    return Bench(chosen, Findings(), *places, {}, lambda stage, done, total: None)


def rows_of(findings: Findings) -> list[dict[str, list[str]]]:
    return [{row[0]: row[1:] for row in table.rows} for table in findings.tables]


Job = Callable[..., Run]


def jobs_where(fails: str, **results: Mapping[str, Any]) -> Job:
    """Jobs that find what they are told to, but for one."""

    def run_job(job: str, *arguments: object, **_: object) -> Run:
        if job == fails:
            raise JobFailed("std::bad_alloc (killed by SIGABRT)")
        if job in ("build", "build_compact"):
            Path(str(arguments[1])).mkdir()
        return Run(dict(results[job]), 1.0, 1000)

    return run_job


def test_kenlm_that_fails_has_a_row_below_infgrams_and_the_compressors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "run_job", jobs_where("kenlm"))
    compressor = tmp_path / "paq8px"
    compressor.write_text('#!/bin/sh\ncp "$2" "$3"\n')
    compressor.chmod(0o755)
    bench = bench_in(tmp_path, compressors=(compressor,))
    models._perplexities(models._split(bench.settings.corpus, bench.folder), bench)
    (rows,) = rows_of(bench.findings)
    failed = ["failed: std::bad_alloc (killed by SIGABRT)", "", "", ""]
    for order in (6, 8, 10):
        assert rows[f"KenLM, modified Kneser-Ney, order {order}"] == failed
    assert float(rows["Kneser-Ney"][0]) > 1
    assert rows["paq8px -7, adapting"][0] == "256.0000"
    assert list(rows)[-1].startswith("KenLM")


@pytest.mark.parametrize(
    ("script", "cells"),
    [
        ("echo hello", ["failed: printed no line 'Validation Perplexity (k=K): P (took S s)'", ""]),
        ("kill -SEGV $$", ["failed: tiny: killed by SIGSEGV", ""]),
        ("echo 'Validation Perplexity (k=3): 18.2353 (took 2.5s)'", ["18.2353", "2.5 s"]),
    ],
)
def test_the_published_program_has_a_row_whatever_it_prints(
    tmp_path: Path, script: str, cells: list[str]
) -> None:
    program = tmp_path / "tiny"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    bench = bench_in(tmp_path)
    split = models.Split(bench.settings.corpus, None)  # type: ignore[arg-type]
    models._tiny(program, split, {"SBIS k=2": 100.0}, bench)
    (rows,) = rows_of(bench.findings)
    (row,) = rows.values()
    assert row == cells
    assert bench.findings.bars == []


def test_building_is_measured_where_the_sort_alone_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = tmp_path / "text"
    text.write_bytes(b"x" * 100)
    known = {"build": {"seconds": 2.0}, "build_compact": {"seconds": 2.0}, "nothing": {}}
    monkeypatch.setattr(building, "run_job", jobs_where("sort", **known))
    bench = bench_in(tmp_path)
    building._build(text, bench)
    timings, memory = rows_of(bench.findings)
    for rows in (timings, memory):
        assert rows["pydivsufsort's sort alone"][0].startswith("failed: std::bad_alloc")
        assert "failed" not in rows["infgram.build"][0]
    assert bench.findings.figures["build seconds"] == 2.0
    assert "sort seconds" not in bench.findings.figures
    assert [bar.what for bar in bench.findings.bars] == ["size on disk"]
    monkeypatch.setattr(building, "run_job", jobs_where("build", sort={"seconds": 1.0}))
    with pytest.raises(JobFailed):
        building._build(text, bench)


def test_growth_is_measured_where_the_sort_alone_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs = {"count, hot": {"1": 1e-6, "2": 2e-6}, "cursor, hot": {"1": 1e-6, "2": 1e-6}}
    known = {"build": {"seconds": 1.0}, "growth": costs}
    monkeypatch.setattr(growth, "run_job", jobs_where("sort", **known))
    monkeypatch.setattr(growth, "large_text", lambda bench, mib: tmp_path / "text")
    bench = bench_in(tmp_path, sizes=(1, 2))
    growth.QUESTION.answer(bench)
    (rows,) = rows_of(bench.findings)
    assert rows["its suffix sort alone"][0].startswith("failed: std::bad_alloc")
    assert {len(row) for row in rows.values()} == {3}
    assert rows["count, hot"][-1] == "1.000"
    (picture,) = bench.findings.pictures
    drawn = [curve.name.partition(" (")[0] for curve in picture.curves]
    assert drawn == ["build", "count, hot", "cursor, hot"]


def test_without_an_instrument_a_question_cannot_be_answered() -> None:
    with (
        pytest.raises(CannotMeasure, match="the judge failed: out of memory"),
        instrument("the judge"),
    ):
        raise JobFailed("out of memory")


# Pictures -----------------------------------------------------------------------------------------


def test_pictures_leave_out_what_is_not_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from infgram import plot

    drawn: list[Any] = []
    curves = plot.curves
    monkeypatch.setattr(
        plot,
        "curves",
        lambda title, points, **how: drawn.append(points) or curves(title, points, **how),
    )
    nan, inf = float("nan"), float("inf")
    made = Findings(
        pictures=[
            Picture(
                "p",
                "t",
                "x",
                "y",
                [
                    Curve("line", [1.0, 2.0, 3.0], [1.0, nan, 3.0]),
                    Curve("point", [1.0, 2.0], [inf, 5.0]),
                    Curve("nothing", [1.0], [nan]),
                ],
                log_y=True,
            ),
            Picture("q", "t", "x", "y", []),
        ]
    )
    read = Findings.from_json(json.loads(json.dumps(made.to_json())))
    for found in (made, read):
        drawn.clear()
        assert len(pictures.draw([Answer("a", "t", "f", "d", 1.0, {}, found)], tmp_path)) == 2
        assert drawn == [{"line": ([1.0, 3.0], [1.0, 3.0]), "point": ([2.0], [5.0])}, {}]


def test_no_reason_is_longer_than_a_cell() -> None:
    assert len(in_few_words(ValueError("word " * 100))) <= 80
