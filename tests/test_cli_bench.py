"""`infgram bench`: what it prints where, what it keeps, how it ends."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import (
    ENVIRONMENT,
    drawn,
    interrupted,
    invoke,
    read_terminal,
    run,
    start,
)
from infgram_bench import corpora, generation, machine, questions
from infgram_bench.processes import JobFailed
from infgram_bench.question import Bench, CannotMeasure, Question
from infgram_bench.settings import Settings
from waiting import TIMEOUT, wait_until

_WORDS = ["the", "cat", "and", "that", "dog", "then", "saw", "this", "man", "with", "both", "hats"]
TEXT = "".join(
    " ".join(_WORDS[(i * i + 5 * j * i) % len(_WORDS)] for j in range(7)) + "\n" for i in range(300)
)
TINY = [*("--quick", "--corpus", "small.txt"), *("-o", "out")]


@pytest.fixture(autouse=True)
def in_a_folder_with_a_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Settings, "rounds", 1)  # figures mean nothing here
    Path("small.txt").write_text(TEXT)
    before = os.sched_getaffinity(0) if machine.ALL_CORES else None
    yield
    if before:
        assert os.sched_getaffinity(0) == before


Ask = Callable[[Bench], None]


class Fakes:
    """Questions that take no time: `quick`, `other` (of --quick too) and `slow` (which is not)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.do: dict[str, Ask] = {}
        made = tuple(
            Question(
                name,
                f"About {name}",
                self._answer(name),
                lambda settings, minutes=minutes: minutes,  # type: ignore[misc]
                in_quick=name != "slow",
            )
            for name, minutes in [("quick", 0.5), ("other", 1.0), ("slow", 7.0)]
        )
        monkeypatch.setattr(questions, "QUESTIONS", made)

    def _answer(self, name: str) -> Ask:
        def answer(bench: Bench) -> None:
            self.asked.append(name)
            bench.progress("half of it", 1, 2)
            bench.findings.table("who", ["how [b]many[/b]"], [[name, f"{len(self.asked)}"]])
            bench.findings.at_least("speed", 1.0, 2.0)
            bench.findings.note(f"noted by {name}")
            self.do.get(name, lambda bench: None)(bench)

        return answer


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> Fakes:
    return Fakes(monkeypatch)


def kept() -> list[str]:
    return [
        each["question"] for each in json.loads(Path("out/results.json").read_text())["answers"]
    ]


# Help, lists, wrong usage -------------------------------------------------------------------------


def test_help_tells_of_the_quick_run_first() -> None:
    text = run("bench", "--help").stdout
    assert "--quick" in text
    assert "Under two minutes" in text
    assert "infgram bench --quick" in text


def test_the_list_has_every_question_with_its_time() -> None:
    lines = run("bench", "--list", "--corpus", "small.txt").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [q.name for q in questions.QUESTIONS]
    for line, question in zip(lines, questions.QUESTIONS, strict=True):
        assert re.search(r"about \d+ (s|minutes)", line)
        assert line.endswith(question.title)
    assert not Path("infgram-bench").exists()


def test_the_list_of_quick_has_the_questions_of_quick() -> None:
    lines = run("bench", "--list", *TINY).stdout.splitlines()
    expected = [question.name for question in questions.QUESTIONS if question.in_quick]
    assert [line.split()[0] for line in lines] == expected


def test_the_list_needs_no_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(corpora, "shakespeare", lambda: asked.append("shakespeare"))
    monkeypatch.setattr(
        corpora, "standard_library", lambda n: corpora.Corpus("library", b"import this")
    )
    result = run("bench", "--list")
    assert result.stdout
    assert asked == []
    assert result.stderr == ""


def test_an_unknown_question_is_refused_with_the_choices() -> None:
    result = run("bench", "queries", "speed", *TINY, exit_code=2)
    assert "'speed'" in result.stderr
    for question in questions.QUESTIONS:
        assert question.name in result.stderr
    assert result.stdout == ""
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--corpus", "gone.txt"], "gone.txt"),
        (["--corpus", "."], "'.'"),
        (["--also", "gone.txt"], "gone.txt"),
        (["--large", "gone.txt"], "gone.txt"),
        (["--tiny", "gone"], "gone"),
        (["--tiny-perplexity", "gone"], "gone"),
        (["--kenlm", "small.txt"], "small.txt"),
        (["--nanogpt", "gone"], "gone"),
        (["-o", "small.txt"], "small.txt"),
        (["--large-size", "0"], "0"),
        (["--train-minutes", "-1"], "-1"),
        (["--core", "-1"], "-1"),
    ],
)
def test_what_is_missing_or_out_of_range_is_wrong_usage(
    fakes: Fakes, arguments: list[str], named: str
) -> None:
    result = run("bench", *TINY, *arguments, exit_code=2)
    assert named in result.stderr.splitlines()[-1]
    assert result.stdout == ""
    assert fakes.asked == []


@pytest.mark.skipif(not machine.ALL_CORES, reason="needs a system that pins processes")
def test_a_core_that_is_not_there_is_refused_with_those_that_are(fakes: Fakes) -> None:
    result = run("bench", *TINY, "--core", "999", exit_code=2)
    assert "no core 999" in result.stderr
    assert str(sorted(machine.ALL_CORES)) in result.stderr
    assert fakes.asked == []


def test_a_torn_results_file_is_an_error_of_one_line(fakes: Fakes) -> None:
    Path("out").mkdir()
    Path("out/results.json").write_text('{"format": 1, "answers": [{"question": "qu')
    result = run("bench", *TINY, exit_code=2)
    (line,) = result.stderr.splitlines()
    assert line.startswith("infgram: error: out/results.json ")
    assert fakes.asked == []
    assert Path("out/results.json").read_text().endswith('"qu')


def test_an_animation_of_an_unknown_format_is_refused_in_one_line(fakes: Fakes) -> None:
    result = invoke("bench", "--animate", "out.png", *TINY)
    assert isinstance(result.exception, SystemExit)
    assert result.exit_code in (1, 2)
    assert ".gif, .mp4 or .html" in result.stderr.splitlines()[-1]
    assert fakes.asked == []


def test_an_animation_into_a_folder_that_is_not_there_is_refused(fakes: Fakes) -> None:
    result = run("bench", "quick", "--animate", "gone/race.html", *TINY, exit_code=2)
    (line,) = result.stderr.splitlines()
    assert line.startswith("infgram: error: ") and "gone" in line
    assert fakes.asked == []


def test_an_animation_that_cannot_be_made_says_what_it_lacks(
    fakes: Fakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    from infgram_bench import race

    monkeypatch.setattr(race, "missing", lambda: "torch not installed: install it first")
    result = run("bench", "--animate", "race.html", *TINY, exit_code=2)
    assert "torch not installed: install it first" in result.stderr.splitlines()[-1]
    assert fakes.asked == []  # alone, where no question is named
    assert not Path("race.html").exists()


# A run --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("rivals_absent")
def test_generation_is_measured_without_rivals_and_kept() -> None:
    result = run("bench", "generation", *TINY)
    text = result.stdout
    assert text.startswith("## Characters a second\n")
    assert re.search(r"^\| infgram +\| [\d.,e+]+ +\|", text, re.MULTILINE)
    assert "- tokengrams: not measured: tokengrams is not for this test" in text
    assert "- the published program: not measured, since --tiny does not name it" in text
    assert "1/1 generation" in result.stderr
    assert result.stderr.splitlines()[-1] == "In out: results.json, report.md"
    assert text.strip() in Path("out/report.md").read_text()
    assert kept() == ["generation"]
    assert sorted(path.name for path in Path("out").iterdir()) == [
        *("report.md", "results.json", "texts")
    ]
    again = run("bench", "generation", *TINY)
    assert "1 kept from an earlier run" in again.stderr
    assert "generation" not in again.stderr
    assert again.stdout == text


def test_results_go_to_stdout_and_progress_to_stderr(fakes: Fakes) -> None:
    result = run("bench", *TINY)
    assert [line for line in result.stdout.splitlines() if line.startswith("#")] == [
        *("## About quick", "## About other")
    ]
    assert "| who   | how [b]many[/b] |" in result.stdout
    assert "- noted by other" in result.stdout
    assert "NOT reached" in result.stdout
    first, *rest = result.stderr.splitlines()
    assert first.startswith("2 questions, about 2 minutes")
    assert rest == ["1/2 quick", "2/2 other", "In out: results.json, report.md"]


def test_a_quick_run_asks_the_questions_of_quick_and_a_full_one_all(fakes: Fakes) -> None:
    run("bench", *TINY)
    assert fakes.asked == ["quick", "other"]
    fakes.asked.clear()
    run("bench", "--corpus", "small.txt", "-o", "out")
    assert fakes.asked == ["quick", "other", "slow"]
    run("bench", "slow", *TINY)
    assert fakes.asked[3:] == ["slow"]  # who names a question gets it


def test_questions_are_asked_once_each_in_their_order(fakes: Fakes) -> None:
    run("bench", "slow", "quick", "slow", *TINY)
    assert fakes.asked == ["quick", "slow"]


def test_a_second_run_keeps_what_was_measured_and_asks_the_rest(fakes: Fakes) -> None:
    first = run("bench", "quick", *TINY)
    second = run("bench", *TINY)
    assert fakes.asked == ["quick", "other"]
    assert "1 questions" in second.stderr and "1 kept from an earlier run" in second.stderr
    assert second.stdout.startswith(first.stdout.rstrip())
    third = run("bench", *TINY)
    assert fakes.asked == ["quick", "other"]
    assert "2 kept from an earlier run" in third.stderr
    assert third.stdout == second.stdout


def test_again_measures_what_was_measured(fakes: Fakes) -> None:
    run("bench", *TINY)
    result = run("bench", "quick", "--again", *TINY)
    assert fakes.asked == ["quick", "other", "quick"]
    assert "kept" not in result.stderr
    assert re.search(r"\| quick +\| 3 ", result.stdout)
    assert kept() == ["quick", "other"]


def test_other_settings_are_measured_anew(fakes: Fakes) -> None:
    run("bench", "quick", *TINY)
    Path("small.txt").write_text(TEXT + "more")
    run("bench", "quick", *TINY)
    assert fakes.asked == ["quick", "quick"]


def test_a_quiet_run_prints_results_alone(fakes: Fakes) -> None:
    loud = run("bench", *TINY)
    quiet = run("bench", *TINY, "--quiet", "--again")
    assert quiet.stderr == ""
    assert quiet.stdout.count("## ") == loud.stdout.count("## ") == 2


def test_what_cannot_be_measured_here_is_said_and_the_next_question_asked(fakes: Fakes) -> None:
    def give_up(bench: Bench) -> None:
        raise CannotMeasure("there is no torch")

    fakes.do["quick"] = give_up
    result = run("bench", *TINY)
    assert "- not measured: there is no torch" in result.stdout
    assert fakes.asked == ["quick", "other"]


def test_a_question_that_fails_is_an_error_of_one_line_and_asked_again_later(fakes: Fakes) -> None:
    def fail(bench: Bench) -> None:
        raise JobFailed("out of memory")

    fakes.do["other"] = fail
    result = run("bench", *TINY, exit_code=2)
    assert result.stderr.splitlines()[-1] == "infgram: error: out of memory"
    assert "## About quick" in result.stdout
    assert kept() == ["quick"]
    del fakes.do["other"]
    run("bench", *TINY)
    assert fakes.asked == ["quick", "other", "other"]


@pytest.mark.skipif(not machine.ALL_CORES, reason="needs a system that pins processes")
def test_a_run_is_pinned_to_the_last_core_or_the_one_named_or_none(fakes: Fakes) -> None:
    seen = []
    fakes.do["quick"] = lambda bench: seen.append(os.sched_getaffinity(0))
    first, last = min(machine.ALL_CORES), max(machine.ALL_CORES)
    for arguments in ([], ["--core", str(first)], ["--no-pin"]):
        run("bench", "quick", *TINY, "--again", *arguments)
    assert seen == [{last}, {first}, os.sched_getaffinity(0)]


def test_settings_reach_the_questions_as_they_were_chosen(fakes: Fakes) -> None:
    seen: list[Bench] = []
    fakes.do["slow"] = seen.append
    Path("more.txt").write_text("more")
    Path("tools").mkdir()
    run(
        *("bench", "slow", "--corpus", "small.txt", "--also", "more.txt", "--large", "more.txt"),
        *(
            "--large-size",
            "8",
            "--large-size",
            "2",
            "--large-size",
            "8",
            "--kenlm",
            "tools",
            "--nanogpt",
            "tools",
        ),
        *("--tiny", "more.txt", "--tiny-perplexity", "more.txt", "--train-minutes", "0.5"),
    )
    found = seen[0].settings
    here = Path.cwd().resolve()
    assert found.corpus == corpora.Corpus("small", TEXT.encode())
    assert found.others == (corpora.Corpus("more", b"more"),)
    assert found.sizes == (2, 8)
    assert found.large == found.tiny == here / "more.txt"
    assert found.tiny_perplexity == (here / "more.txt",)
    assert found.kenlm == found.nanogpt == here / "tools"
    assert (found.train_minutes, found.quick) == (0.5, False)
    assert Path("infgram-bench/results.json").is_file()
    assert seen[0].folder.is_absolute() and seen[0].texts.is_absolute()  # rivals change folders


def test_without_shakespeare_the_library_is_measured_on_and_named(
    fakes: Fakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Bench] = []
    fakes.do["quick"] = seen.append
    monkeypatch.setattr(corpora, "shakespeare", lambda: None)
    monkeypatch.setattr(
        corpora, "standard_library", lambda n: corpora.Corpus("library", b"import this")
    )
    result = run("bench", "quick", "--quick", "-o", "out")
    assert "--corpus" in result.stderr.splitlines()[0]
    assert seen[0].settings.corpus.name == "library"


def test_an_empty_corpus_is_an_error_of_one_line() -> None:
    Path("empty.txt").touch()
    result = run("bench", "generation", *TINY, "--corpus", "empty.txt", exit_code=2)
    assert result.stderr.splitlines()[-1].startswith("infgram: error: the corpus has no tokens")


def test_a_corpus_that_is_too_short_is_no_traceback() -> None:
    Path("short.txt").write_text("to be or not to be\n" * 5)
    result = invoke("bench", "queries", *TINY, "--corpus", "short.txt")
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_a_corpus_whose_name_is_not_utf_8_is_reported(fakes: Fakes) -> None:
    def name_it(bench: Bench) -> None:
        bench.findings.setting["text"] = bench.settings.corpus.name

    fakes.do["quick"] = name_it
    name = os.fsdecode(b"a\xff.txt")
    Path(name).write_text(TEXT)
    run("bench", "quick", *TINY, "--corpus", name)
    assert "## About quick" in Path("out/report.md").read_text(errors="replace")


# Interrupted --------------------------------------------------------------------------------------


def test_an_interrupted_run_goes_on_with_the_question_it_was_at(
    rivals_absent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (
        Question(name, name, generation.QUESTION.answer, lambda settings: 1.0, in_quick=True)
        for name in ("queries", "generation")
    )
    monkeypatch.setattr(questions, "QUESTIONS", (first, second))
    run("bench", "queries", *TINY)
    names = ["queries", "generation"]
    process = start("bench", *names, *TINY, environment={"PYTHONPATH": rivals_absent})
    wait_until(lambda: list(Path("out").glob(".working-*/*")))
    code, stdout, stderr = interrupted(process)
    assert code == 130, stderr
    assert b"Traceback" not in stderr
    assert b"1 kept from an earlier run" in stderr
    assert stdout.startswith(b"## queries\n")
    assert b"## Characters a second" not in stdout
    assert kept() == ["queries"]
    assert not list(Path("out").glob(".working-*"))
    result = run("bench", *names, *TINY)
    assert "1 kept from an earlier run" in result.stderr
    assert kept() == names


def test_an_interrupt_within_the_process_exits_with_130(fakes: Fakes) -> None:
    def interrupt(bench: Bench) -> None:
        raise KeyboardInterrupt

    fakes.do["other"] = interrupt
    result = run("bench", *TINY, exit_code=130)
    assert "## About quick" in result.stdout
    assert "## About other" not in result.stdout
    assert kept() == ["quick"]


# In a terminal ------------------------------------------------------------------------------------


@pytest.fixture
def measured(rivals_absent: str) -> None:
    """`generation` is answered: other processes show it without measuring."""
    run("bench", "generation", *TINY)


@pytest.mark.usefixtures("measured")
def test_tables_are_drawn_in_a_terminal() -> None:
    seen, stderr = drawn("bench", "generation", *TINY)
    plain = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", seen)
    assert "Characters a second ───" in plain
    assert "\n────" in plain
    assert re.search(r"^infgram +[\d.,e+]+ ", plain, re.MULTILINE)
    assert "- tokengrams: not measured" in plain
    assert "generate, the goal: " in plain
    assert "|" not in plain and "##" not in plain
    assert max(map(len, plain.splitlines())) <= 100
    assert "1 kept from an earlier run" in stderr


def shown_by_one_terminal(*arguments: str) -> str:
    """What a command writes where both of its streams are the same terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "infgram_cli", *arguments],
        env={**ENVIRONMENT, "TERM": "xterm", "COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = read_terminal(ours)
    assert process.wait(TIMEOUT) == 0, seen
    return seen.decode()


@pytest.mark.usefixtures("measured")
def test_results_begin_on_a_line_of_their_own_below_the_progress() -> None:
    seen = shown_by_one_terminal("bench", "generation", *TINY)
    line = seen[: seen.index("Characters a second")].rpartition("\n")[2]
    left = line.rpartition("\x1b[2K")[2]  # what was erased is gone
    assert re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", left).strip() == ""


def test_progress_is_drawn_where_stderr_is_a_terminal_and_results_stay_clean() -> None:
    bars, stdout = drawn("bench", "growth", *TINY, stream="stderr")
    assert "1/1 growth" in bars
    assert "\x1b[" in bars
    assert stdout.startswith("## How costs grow\n")
    assert "\x1b" not in stdout
