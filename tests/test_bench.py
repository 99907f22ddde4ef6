"""The benchmarks: what was found is kept as it was, answers are judged, nothing is left behind."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import gc
import hashlib
import json
import math
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import infgram_bench
import numpy as np
import pytest
from command_line import executable
from conftest import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from infgram_bench import (
    answers,
    corpora,
    generation,
    growth,
    jobs,
    large,
    machine,
    models,
    peers,
    processes,
    queries,
    rivals,
    summary,
    timing,
    truth,
)
from infgram_bench.answers import Answer, ForeignResults
from infgram_bench.corpora import Corpus, NotShakespeare
from infgram_bench.failures import Failure, Trial
from infgram_bench.findings import Bar, Curve, Findings, Picture, duration, per_second, size
from infgram_bench.processes import JobFailed, run_job
from infgram_bench.question import Bench, CannotMeasure, Question
from infgram_bench.questions import QUESTIONS
from infgram_bench.render import report, section, table
from infgram_bench.rivals import Call, Infgram, System
from infgram_bench.session import Session
from infgram_bench.settings import Settings
from infgram_bench.timing import Contender, Timing, interleave
from reference import Reference
from waiting import HOUR, Hours, is_running, wait_until

_WORDS = b"the cat and that dog then saw this other man with both their hats".split()
TEXT = b"".join(
    b" ".join(_WORDS[(i * i + 3 * j * i) % len(_WORDS)] for j in range(7)) + b"\n"
    for i in range(300)
)
SETTINGS = Settings(Corpus("small", TEXT))
CAN_PIN = pytest.mark.skipif(not machine.ALL_CORES, reason="needs a system that pins processes")


@pytest.fixture(autouse=True)
def cores_are_given_back() -> Iterator[None]:
    before = os.sched_getaffinity(0) if machine.ALL_CORES else None
    yield
    if before:
        assert os.sched_getaffinity(0) == before


def quiet(stage: str, done: float, total: float) -> None:
    """Progress that nobody sees."""


def bench_in(folder: Path, settings: Settings) -> Bench:
    for name in ("working", "texts"):
        (folder / name).mkdir()
    return Bench(settings, Findings(), folder / "working", folder / "texts", {}, quiet)


# Findings -----------------------------------------------------------------------------------------


def full_findings() -> Findings:
    """One of everything, with Unicode of every width."""
    found = Findings(setting={"text": "caf\u00e9 \u6587 \U0001f600 \u2028 | \\ \"'"})
    contenders = [
        Contender("\u00b5", str, timing=Timing([1.0, 2.0, 3.0], [0.5, 0.6, 0.7])),
        Contender("program", str, timing=Timing([4.0])),
    ]
    found.timing_table("in turn", contenders)
    found.timing_table("a second", contenders, rate=True)
    found.table("title", ["a", "b"], [["x", "1", "2"], ["y", "", "\u00b1"]])
    found.at_least("ratio", 2.5, 2)
    found.at_most("size", 8.25, 8, "bytes a byte")
    found.note("\u201enote\u201c")
    found.pictures.append(
        Picture("p", "t", "x", "y", [Curve("c", [1.0, 2.0], [3.0, 0.1 + 0.2])], log_x=True)
    )
    found.figures.update({"third": 1 / 3, "tiny": 5e-324, "whole": 7})
    return found


def through_json(found: Findings) -> Findings:
    return Findings.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False)))


def test_findings_of_every_kind_survive_json() -> None:
    found = full_findings()
    assert through_json(found) == found
    for field in dataclasses.fields(Findings):
        assert getattr(found, field.name), f"{field.name} was not tried"


@given(
    st.builds(
        Findings,
        timings=st.just([]),
        figures=st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False)),
        bars=st.lists(
            st.builds(
                Bar,
                found=st.floats(allow_nan=False, allow_infinity=False),
                asked=st.floats(allow_nan=False, allow_infinity=False),
            )
        ),
        pictures=st.just([]),
    )
)
@settings(max_examples=examples(30))
def test_findings_survive_json_whatever_they_say(found: Findings) -> None:
    assert through_json(found) == found


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_become_null_and_everything_else_stays(number: float) -> None:
    found = full_findings()
    found.figures["odd"] = number
    found.timings.append({"name": "odd", "wall_seconds": [1.0, number]})
    found.pictures[0].curves[0].y[0] = number
    again = through_json(found)
    assert again.figures.pop("odd") is None
    assert again.timings.pop()["wall_seconds"] == [1.0, None]
    assert again.pictures[0].curves[0].y == [None, 0.1 + 0.2]
    del found.figures["odd"], found.timings[-1]
    found.pictures[0].curves[0].y[0] = again.pictures[0].curves[0].y[0] = 0.0
    assert again == found


def test_a_bar_without_a_figure_is_shown_as_not_reached_after_a_round_trip() -> None:
    found = Findings()
    found.at_least("scoring", math.nan, 300)
    again = through_json(found)
    assert not again.bars[0].reached
    assert "NOT reached" in section(answer(findings=again))


@pytest.mark.parametrize(
    ("found", "at_least", "at_most"), [(1.9, False, True), (2.0, True, True), (2.1, True, False)]
)
def test_a_bar_is_reached_from_its_own_side_and_by_equality(
    found: float, at_least: bool, at_most: bool
) -> None:
    findings = Findings()
    findings.at_least("a", found, 2.0)
    findings.at_most("b", found, 2.0, "s")
    assert [bar.reached for bar in findings.bars] == [at_least, at_most]


def test_findings_of_another_process_stand_behind_those_that_are_here() -> None:
    here, more = full_findings(), full_findings()
    more.setting, more.figures = {"more": "yes"}, {"third": 3.0}
    here.take(through_json(more))
    assert here.notes == more.notes * 2
    assert here.setting.keys() == {"text", "more"}
    assert here.figures["third"] == 3.0 and here.figures["whole"] == 7
    for name in ("tables", "bars", "pictures", "timings"):
        assert getattr(here, name) == getattr(full_findings(), name) * 2


def test_a_timing_table_shows_medians_quartiles_and_ratios_to_the_first() -> None:
    found = full_findings()
    plain, rates, _ = found.tables
    assert plain.rows == [
        ["\u00b5", "2 s", "1.5 s to 2.5 s", "600 ms", "1.00"],
        ["program", "4 s", "4 s to 4 s", "", "2.00"],
    ]
    assert rates.rows[0] == ["\u00b5", "0.5", "0.4 to 0.667", "1.67", "1.00"]
    assert [len(t.header) + 1 for t in found.tables] == [len(t.rows[0]) for t in found.tables]
    assert [t["wall_seconds"] for t in found.timings] == [[1.0, 2.0, 3.0], [4.0]] * 2


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0, "0 ns"),
        (1.5e-10, "0.15 ns"),
        (1e-9, "1 ns"),
        (1e-6, "1 \u00b5s"),
        (0.5e-6, "500 ns"),
        (0.001, "1 ms"),
        (0.9994, "999 ms"),
        (1.0, "1 s"),
        (99.96, "100 s"),
        (100.0, "100 s"),
        (12_345.6, "12,346 s"),
    ],
)
def test_a_duration_has_three_digits_and_a_unit(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.01, "100"), (0.010004, "100"), (2.0, "0.5"), (1e-9, "1,000,000,000"), (0.3, "3.33")],
)
def test_a_rate_has_three_digits_or_is_whole(seconds: float, shown: str) -> None:
    assert per_second(seconds) == shown


@pytest.mark.parametrize(
    ("n_bytes", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (999_400, "999 kB"), (1e6, "1 MB"), (2e9, "2 GB")],
)
def test_a_size_has_three_digits_and_a_prefix(n_bytes: float, shown: str) -> None:
    assert size(n_bytes) == shown


@pytest.mark.parametrize(
    "shown",
    [duration(0.99951), duration(0.9996e-3), duration(0.9996e-6), size(999_600), size(999_600_000)],
)
def test_no_unit_is_shown_in_scientific_notation(shown: str) -> None:
    assert "e+" not in shown


# Answers ------------------------------------------------------------------------------------------


def answer(question: str = "queries", **changes: Any) -> Answer:
    date, machine_of_test = "2026-01-02 03:04 UTC", {"CPU": "x"}
    plain = Answer(question, "T\u00eftle", "00ff", date, 1.5, machine_of_test, Findings())
    return dataclasses.replace(plain, **changes)


def test_answers_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    given = [answer("a", findings=full_findings()), answer("b", machine={"CPU": "\u6587"})]
    answers.write(given, path)
    assert answers.read(path) == {"a": given[0], "b": given[1]}
    assert [p.name for p in tmp_path.iterdir()] == ["results.json"]


FOREIGN = {
    "empty": b"",
    "not JSON": b"hello",
    "not text": b"\xff\xfe\x00{",
    "a list": b"[]",
    "null": b"null",
    "a number": b"3",
    "a string": b'"results"',
    "of something else": b'{"name": "x"}',
    "of another format": b'{"format": 2, "answers": []}',
    "without answers": b'{"format": 1}',
    "answers that are none": b'{"format": 1, "answers": [{"question": "queries"}]}',
    "answers of another kind": b'{"format": 1, "answers": ["queries"]}',
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN.keys())
def test_what_is_not_our_results_is_refused_by_its_path(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "results.json"
    path.write_bytes(content)
    with pytest.raises(ForeignResults, match=re.escape(str(path))):
        answers.read(path)
    assert path.read_bytes() == content


def test_results_that_lack_or_add_a_field_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    answers.write([answer(findings=full_findings())], path)
    whole = path.read_text()
    record = json.loads(whole)["answers"][0]
    places = [("answers", 0, name) for name in record]
    places += [("answers", 0, "findings", name) for name in record["findings"]]
    for *way, name in places:
        changed = json.loads(whole)
        place: Any = changed
        for step in way:
            place = place[step]
        del place[name]
        path.write_text(json.dumps(changed))
        with pytest.raises(ForeignResults):
            answers.read(path)
    changed = json.loads(whole)
    changed["answers"][0]["mood"] = "good"
    path.write_text(json.dumps(changed))
    with pytest.raises(ForeignResults):
        answers.read(path)


def test_a_torn_file_is_refused_wherever_it_is_torn(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    answers.write([answer(findings=full_findings())], path)
    whole = path.read_bytes()
    for n in range(0, len(whole) - 2, len(whole) // 40):
        path.write_bytes(whole[:n])
        with pytest.raises(ForeignResults, match=re.escape(str(path))):
            answers.read(path)


def _broken_answers() -> Iterator[Answer]:
    yield answer("new")
    raise KeyboardInterrupt


@pytest.mark.parametrize("way", ["interrupted", "not JSON", "disk full", "not replaced"])
def test_a_write_that_fails_leaves_the_old_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    path = tmp_path / "results.json"
    answers.write([answer("old")], path)
    new: Iterator[Answer] | list[Answer] = [answer("new")]

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def write_half(self: Path, text: str) -> None:
        self.write_bytes(text[: len(text) // 2].encode())
        refuse()

    if way == "interrupted":
        new = _broken_answers()
    elif way == "not JSON":
        new = [answer("new", findings=Findings(figures={"x": object()}))]  # type: ignore[dict-item]
    with monkeypatch.context() as patch:
        if way == "disk full":
            patch.setattr(Path, "write_text", write_half)
        elif way == "not replaced":
            patch.setattr(answers.os, "replace", refuse)
        with pytest.raises((KeyboardInterrupt, TypeError, OSError)):
            answers.write(new, path)
    assert list(answers.read(path)) == ["old"]


# Text ---------------------------------------------------------------------------------------------


def test_a_table_lines_up_and_keeps_bars_out_of_its_cells() -> None:
    lines = table(["a|b", "long header"], [["x", ""], ["much longer", "\u00b1"]]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[0].startswith("| a\\|b ")
    assert set(lines[1]) == set("|- ")
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    assert [len(row) for row in cells] == [2] * 4


def test_a_section_tells_setting_tables_bars_and_notes() -> None:
    findings = full_findings()
    findings.at_most("time", 3.0, 1.0, "s")
    text = section(answer(findings=findings))
    assert text.startswith("## T\u00eftle\n\ntext: caf\u00e9")
    assert "date: 2026-01-02 03:04 UTC" in text
    assert re.search(r"\| ratio +\| 2.5 x +\| at least 2 x +\| reached +\|", text)
    assert re.search(r"\| time +\| 3 s +\| at most 1 s +\| NOT reached +\|", text)
    assert "| in turn |" in text
    assert text.endswith("\n- \u201enote\u201c\n")


def test_a_report_names_a_machine_once_until_another_one_answers() -> None:
    one, other = {"CPU": "slow one"}, {"CPU": "fast one"}
    text = report([answer("a", machine=m, title=m["CPU"].upper()) for m in (one, one, other)])
    assert text.count("CPU: slow one") == text.count("CPU: fast one") == 1
    assert text.index("CPU: slow one") < text.index("## SLOW ONE") < text.index("CPU: fast one")


# Session ------------------------------------------------------------------------------------------


def question(
    name: str = "fake", do: Callable[[Bench], None] = lambda bench: None, *, in_quick: bool = True
) -> Question:
    return Question(name, name.title(), do, lambda settings: 1.0, in_quick)


def say(note: str) -> Callable[[Bench], None]:
    return lambda bench: bench.findings.note(note)


def test_an_answer_is_kept_for_a_session_with_equal_settings(tmp_path: Path) -> None:
    asked = Session(tmp_path, SETTINGS).ask(question(do=say("found")), quiet)
    again = Session(tmp_path, Settings(Corpus("small", TEXT)))
    assert again.is_answered(question())
    assert not again.is_answered(question("other"))
    assert again.answers == {"fake": asked}
    assert asked.findings.notes == ["found"]
    assert asked.machine == machine.description()


@pytest.mark.parametrize(
    "changes",
    [
        {"corpus": Corpus("small", TEXT + b".")},
        {"others": (Corpus("more", b"more"),)},
        {"large": Path("/large.txt")},
        {"sizes": (1, 16)},
        {"tiny": Path("/tiny")},
        {"tiny_perplexity": (Path("/tiny"),)},
        {"kenlm": Path("/kenlm")},
        {"nanogpt": Path("/nanoGPT")},
        {"compressors": (Path("/paq8px"),)},
        {"train_minutes": 31.0},
        {"quick": True},
        {"core": 0},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_an_answer_is_not_kept_for_other_settings(tmp_path: Path, changes: dict[str, Any]) -> None:
    Session(tmp_path, SETTINGS).ask(question(), quiet)
    other = Session(tmp_path, dataclasses.replace(SETTINGS, **changes))
    assert "fake" in other.answers
    assert not other.is_answered(question())


@pytest.mark.parametrize("what", ["description", "core_hash"])
def test_an_answer_is_not_kept_for_another_version_or_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    Session(tmp_path, SETTINGS).ask(question(), quiet)
    other = {"description": {"infgram": "9.9"}, "core_hash": "0"}[what]
    monkeypatch.setattr(machine, what, lambda: other)
    assert not Session(tmp_path, Settings(SETTINGS.corpus)).is_answered(question())


@pytest.mark.parametrize("error", [KeyboardInterrupt, JobFailed, ZeroDivisionError])
def test_a_question_that_ends_early_leaves_earlier_answers_and_no_working_folder(
    tmp_path: Path, error: type[BaseException]
) -> None:
    def stop(bench: Bench) -> None:
        (bench.folder / "half").write_bytes(b"x" * 1000)
        (bench.texts / "long in the making.txt").write_bytes(b"kept")
        bench.findings.note("half of it")
        raise error

    session = Session(tmp_path, SETTINGS)
    first = session.ask(question("first"), quiet)
    with pytest.raises(error):
        session.ask(question("second", stop), quiet)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["results.json", "texts"]
    assert (tmp_path / "texts" / "long in the making.txt").read_bytes() == b"kept"
    again = Session(tmp_path, SETTINGS)
    assert again.answers == {"first": first}
    assert not again.is_answered(question("second"))
    again.ask(question("second"), quiet)
    assert list(answers.read(tmp_path / "results.json")) == ["first", "second"]


def test_what_cannot_be_measured_is_an_answer_with_a_note(tmp_path: Path) -> None:
    def give_up(bench: Bench) -> None:
        bench.findings.figures["before"] = 1.0
        raise CannotMeasure("no torch here")

    session = Session(tmp_path, SETTINGS)
    found = session.ask(question(do=give_up), quiet).findings
    assert found.notes == ["not measured: no torch here"]
    assert found.figures == {"before": 1.0}
    assert session.is_answered(question())


@CAN_PIN
@pytest.mark.parametrize("error", [None, CannotMeasure, KeyboardInterrupt])
def test_a_question_is_asked_on_one_core_and_then_all_are_given_back(
    tmp_path: Path, error: type[BaseException] | None
) -> None:
    core, before = max(machine.ALL_CORES), os.sched_getaffinity(0)
    seen = []

    def look(bench: Bench) -> None:
        seen.append((os.sched_getaffinity(0), bench.findings.setting["cores"]))
        if error:
            raise error

    session = Session(tmp_path, dataclasses.replace(SETTINGS, core=core))
    try:
        session.ask(question(do=look), quiet)
    except KeyboardInterrupt:
        assert error is KeyboardInterrupt
    assert seen == [({core}, f"pinned to core {core}")]
    assert os.sched_getaffinity(0) == before


def test_a_question_is_given_what_others_found_with_the_same_settings(tmp_path: Path) -> None:
    seen: list[dict[str, Findings]] = []
    Session(tmp_path, SETTINGS).ask(question("first", say("first found")), quiet)
    quick = dataclasses.replace(SETTINGS, quick=True)
    Session(tmp_path, quick).ask(question("other", say("of other settings")), quiet)
    session = Session(tmp_path, SETTINGS)
    session.ask(question("second", lambda bench: seen.append(bench.earlier)), quiet)
    assert {name: found.notes for name, found in seen[0].items()} == {"first": ["first found"]}


def test_a_question_gets_an_empty_folder_its_settings_and_the_progress(tmp_path: Path) -> None:
    folders, heard = [], []

    def work(bench: Bench) -> None:
        assert bench.settings is SETTINGS
        assert list(bench.folder.iterdir()) == []
        assert bench.texts.is_dir()
        bench.progress("working", 1, 2)
        folders.append(bench.folder)

    session = Session(tmp_path / "new" / "folder", SETTINGS)
    for name in ("one", "two"):
        session.ask(question(name, work), lambda *said: heard.append(said))
    assert heard == [("working", 1, 2)] * 2
    assert not any(folder.exists() for folder in folders)


def test_an_answer_asked_again_replaces_the_old_one(tmp_path: Path) -> None:
    session = Session(tmp_path, SETTINGS)
    for name in ("a", "b"):
        session.ask(question(name, say("old")), quiet)
    session.ask(question("a", say("new")), quiet)
    notes = {n: a.findings.notes for n, a in answers.read(tmp_path / "results.json").items()}
    assert notes == {"a": ["new"], "b": ["old"]}


def test_foreign_results_end_a_session_and_stay(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("torn")
    with pytest.raises(ForeignResults):
        Session(tmp_path, SETTINGS)
    assert (tmp_path / "results.json").read_text() == "torn"


def draw_a_picture(bench: Bench) -> None:
    curves = [Curve("line", [1.0, 2.0, 4.0], [1.0, 4.0, 16.0]), Curve("point", [3.0], [9.0])]
    bench.findings.pictures.append(Picture("growth", "t", "bytes", "seconds", curves, True, True))


def test_the_report_and_the_pictures_are_of_all_that_is_answered(tmp_path: Path) -> None:
    Session(tmp_path, dataclasses.replace(SETTINGS, quick=True)).ask(
        question("third", say("quick")), quiet
    )
    session = Session(tmp_path, SETTINGS)
    questions = [question("first", draw_a_picture), question("second", say("a note"))]
    for each in reversed(questions):
        session.ask(each, quiet)
    written = session.write_report([*questions, question("third"), question("fourth")])
    assert [p.name for p in written] == ["results.json", "report.md", "growth.svg"]
    text = (tmp_path / "report.md").read_text()
    assert text.index("## First") < text.index("## Second") < text.index("- a note")
    assert "Third" not in text
    assert machine.description()["Python"] in text
    assert (tmp_path / "growth.svg").read_bytes().startswith(b"<?xml")


# Questions ----------------------------------------------------------------------------------------


def test_questions_are_told_apart_and_say_how_long_they_take() -> None:
    assert len({question.name for question in QUESTIONS}) == len(QUESTIONS)
    for each in QUESTIONS:
        quick = dataclasses.replace(SETTINGS, quick=True, sizes=(1,))
        assert each.minutes(SETTINGS) > 0
        assert 0 < each.minutes(quick) <= each.minutes(SETTINGS), each.name


def test_the_questions_of_quick_take_less_than_two_minutes() -> None:
    quick = dataclasses.replace(SETTINGS, quick=True, sizes=(1,))
    asked = [question for question in QUESTIONS if question.in_quick]
    assert sum(question.minutes(quick) for question in asked) <= 2.5
    assert len(asked) < len(QUESTIONS)


# Timing -------------------------------------------------------------------------------------------


class Clock:
    """A clock that only contenders move. CPU time passes at half the speed."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.order: list[str] = []

    def perf_counter(self) -> float:
        return self.now

    def process_time(self) -> float:
        return self.now / 2

    def runs(self, name: str, *seconds: float, result: object = None) -> Callable[[], object]:
        """A run that takes these seconds in turn, then the last of them for ever."""
        left = list(seconds)

        def run() -> object:
            self.order.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]
            return result

        return run


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(timing, "time", made)
    return made


def test_contenders_take_turns_after_one_warm_up_each(clock: Clock) -> None:
    contenders = [Contender(name, clock.runs(name, 1.0)) for name in "ABC"]
    interleave(contenders, rounds=3, seconds=0)
    assert "".join(clock.order) == "ABC" + "ABC" * 3
    assert [len(c.timing.wall) for c in contenders] == [3, 3, 3]


def test_medians_and_quartiles_leave_the_warm_up_out(clock: Clock) -> None:
    slow_start = Contender("a", clock.runs("a", 99.0, 1.0, 2.0, 3.0, 4.0, 500.0))
    interleave([slow_start], rounds=5, seconds=0)
    found = slow_start.timing
    assert found.wall == pytest.approx([1.0, 2.0, 3.0, 4.0, 500.0])
    assert found.seconds == pytest.approx(3.0)
    assert found.quartiles == pytest.approx((2.0, 4.0))
    assert found.cpu_seconds == pytest.approx(1.5)


def test_seconds_are_those_of_one_operation(clock: Clock) -> None:
    batch = Contender("a", clock.runs("a", 10.0), operations=4)
    interleave([batch], rounds=2, seconds=0)
    assert batch.timing.wall == pytest.approx([2.5, 2.5])
    assert batch.timing.cpu == pytest.approx([1.25, 1.25])


def test_what_is_short_is_warmed_up_twice_and_repeated_after_one_run_more(clock: Clock) -> None:
    short, long = Contender("s", clock.runs("s", 0.5, 0.25)), Contender("L", clock.runs("L", 1.0))
    interleave([short, long], rounds=2, seconds=1.0)
    # the second warm-up tells that four runs last a second; before each batch one is not counted
    assert "".join(clock.order) == "ss" + "L" + ("s" + "ssss" + "L") * 2
    assert short.timing.wall == pytest.approx([0.25, 0.25])


def test_operations_count_when_repeats_are_chosen(clock: Clock) -> None:
    batch = Contender("b", clock.runs("b", 0.25), operations=1000)
    interleave([batch], rounds=1, seconds=0.5)
    assert clock.order == ["b"] * (2 + 1 + 2)
    assert batch.timing.wall == pytest.approx([0.25e-3])


def test_a_contender_that_takes_its_own_time_is_believed_and_not_repeated(clock: Clock) -> None:
    own = Contender("p", clock.runs("p", 0.001, result=6.0), operations=3)
    interleave([own], rounds=2, seconds=1.0)
    assert clock.order == ["p"] * 3
    assert own.timing.wall == [2.0, 2.0]
    assert own.timing.cpu == []
    assert own.timing.cpu_seconds is None


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("fails_at", [None, 0, 2])
def test_garbage_is_not_collected_within_a_batch_and_then_as_before(
    enabled: bool, fails_at: int | None
) -> None:
    seen: list[bool] = []

    def run() -> None:
        if len(seen) == fails_at:
            raise KeyboardInterrupt
        seen.append(gc.isenabled())

    was_enabled = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        try:
            interleave([Contender("a", run)], rounds=3, seconds=0)
        except KeyboardInterrupt:
            assert fails_at is not None
        assert gc.isenabled() == enabled
        assert not any(seen[1:])  # the first is the warm-up
    finally:
        (gc.enable if was_enabled else gc.disable)()


def test_nobody_to_measure_is_no_error() -> None:
    interleave([], rounds=2, seconds=0.1)


# Processes ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def idle_run() -> processes.Run:
    return run_job("nothing")


def test_a_job_reports_its_result_and_what_it_used(idle_run: processes.Run) -> None:
    import infgram

    assert idle_run.result == {"names": len(infgram.__all__)}
    assert idle_run.cpu_seconds > 0
    assert idle_run.peak_bytes > 10 << 20  # Python and numpy


def test_the_peak_of_a_job_leaves_out_the_memory_of_its_parent() -> None:
    ballast = np.ones(100 << 20, np.uint8)
    assert run_job("nothing").peak_bytes < len(ballast)


def test_the_peak_of_a_job_has_what_the_job_needs(tmp_path: Path) -> None:
    peaks = []
    for n_bytes in (4, 4 << 20):
        np.random.default_rng(1).integers(0, 256, n_bytes, np.uint8).tofile(tmp_path / "corpus")
        run = run_job("sort", tmp_path / "corpus")
        assert run.result.keys() == {"seconds"}
        peaks.append(run.peak_bytes)
    assert peaks[1] - peaks[0] > 4 * n_bytes  # positions of 32 bits


def test_a_job_builds_an_index_that_answers(tmp_path: Path) -> None:
    import infgram

    (tmp_path / "text").write_bytes(TEXT)
    run = run_job("build", tmp_path / "text", tmp_path / "x.infgram")
    assert run.result["seconds"] > 0
    assert infgram.open(tmp_path / "x.infgram").count(b"cat") == truth.count(TEXT, b"cat") > 0
    files = [p for p in tmp_path.glob("x.infgram/**/*") if p.is_file()]
    assert processes.bytes_in(tmp_path / "x.infgram") == sum(len(p.read_bytes()) for p in files)


def test_a_job_that_fails_says_why_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(JobFailed) as failed:
        run_job("use", tmp_path / "gone", "00")
    (line,) = str(failed.value).splitlines()
    assert "NotAnIndex" in line
    assert str(tmp_path / "gone") in line


def test_an_unknown_job_fails_by_name() -> None:
    with pytest.raises(JobFailed, match="dance"):
        run_job("dance")


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes every job this script, whose `argv` begins with the name of the job."""

    def make(script: str, options: str = "-S") -> None:
        path = tmp_path / "python"
        path.write_text(
            executable(
                "import json, os, signal, subprocess, sys\n"
                "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
                f"here, argv = {str(tmp_path)!r}, sys.argv[3:]\n"
                "def done(result):\n"
                "    rest = {'cpu_seconds': 0, 'peak_bytes': 0}\n"
                "    print(json.dumps({'result': result, **rest}))\n" + script,
                options,
            )
        )
        path.chmod(0o755)
        monkeypatch.setattr(processes, "sys", SimpleNamespace(executable=str(path)))

    return make


Play = Callable[..., None]


def test_a_job_is_given_its_arguments_and_nothing_to_read(play: Play) -> None:
    play("done({'argv': argv, 'stdin': sys.stdin.read()})")
    found = run_job("job", "a b", Path("/c"), "").result
    assert found == {"argv": ["job", "a b", "/c", ""], "stdin": ""}


def test_what_a_job_prints_before_its_result_is_not_in_the_way(play: Play) -> None:
    play("print('loading', '{', chr(0x2028)); sys.stdout.buffer.write(b'\\xff\\n'); done([1])")
    assert run_job("job").result == [1]


def test_what_a_job_says_on_its_way_is_heard_line_by_line(play: Play) -> None:
    play("for i in range(3): print(json.dumps({'step': i}), flush=True)\nprint()\ndone([1])")
    heard: list[dict[str, Any]] = []
    assert run_job("job", on_line=heard.append).result == [1]
    assert heard == [{"step": 0}, {"step": 1}, {"step": 2}]


def test_what_a_job_prints_between_is_not_in_the_way_of_who_listens(play: Play) -> None:
    play("print('downloading weights', flush=True); print(json.dumps({'step': 1})); done([1])")
    heard: list[dict[str, Any]] = []
    assert run_job("job", on_line=heard.append).result == [1]
    assert heard == [{"step": 1}]


@pytest.mark.parametrize("listens", [False, True])
def test_a_job_that_fails_without_a_word_is_named_by_its_exit_code(
    play: Play, listens: bool
) -> None:
    play("sys.exit(7)")
    with pytest.raises(JobFailed, match="exit code 7"):
        run_job("job", on_line=(lambda line: None) if listens else None)


SLEEP = """
child = subprocess.Popen(["sleep", "600"])
try:
    with open(here + "/pids", "w") as pids:
        pids.write(f"{os.getpid()} {child.pid}")
    print(json.dumps({"step": 1}), flush=True)
    child.wait()
except KeyboardInterrupt:
    with open(here + "/saved", "w") as file:
        file.write("all of it")
    child.wait()
    raise
"""


def wait_for_the_end(folder: Path) -> None:
    """Of a job that sleeps, and of its child."""
    pids = [int(pid) for pid in (folder / "pids").read_text().split()]
    assert len(pids) == 2
    wait_until(lambda: not any(map(is_running, pids)))


def test_a_job_that_takes_too_long_is_stopped_with_its_children(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(SLEEP)
    hours = Hours(monkeypatch)
    with pytest.raises(JobFailed, match="stopped after 3,600 s"):
        run_job("job", limit=HOUR, on_line=lambda line: setattr(hours, "fly", True))
    wait_for_the_end(tmp_path)
    assert (tmp_path / "saved").read_text() == "all of it"


def test_a_job_is_stopped_when_its_limit_is_over(play: Play) -> None:
    play("import time; time.sleep(600)")
    with pytest.raises(JobFailed, match="stopped after 0 s"):
        run_job("job", limit=0.01)


def test_an_interrupt_lets_the_job_save_what_it_has(play: Play, tmp_path: Path) -> None:
    play(SLEEP)

    def interrupt(line: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_job("job", on_line=interrupt)
    wait_for_the_end(tmp_path)
    assert (tmp_path / "saved").read_text() == "all of it"


def test_a_job_that_does_not_listen_is_killed(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play("signal.signal(signal.SIGINT, signal.SIG_IGN)" + SLEEP)
    monkeypatch.setattr(processes, "_SECONDS_TO_SAVE", 0.3)
    hours = Hours(monkeypatch)
    with pytest.raises(JobFailed, match="stopped after"):
        run_job("job", limit=HOUR, on_line=lambda line: setattr(hours, "fly", True))
    wait_for_the_end(tmp_path)
    assert not (tmp_path / "saved").exists()


def test_a_job_ends_with_the_process_that_started_it(play: Play, tmp_path: Path) -> None:
    """However that one ended: a training would go on for hours."""
    play(
        "from infgram_bench import jobs\n"
        "def rest():\n"
        "    with open(here + '/pid.partial', 'w') as pid: pid.write(str(os.getpid()))\n"
        "    os.rename(here + '/pid.partial', here + '/pid')\n"
        "    import time\n"
        "    time.sleep(600)\n"
        "jobs._JOBS['rest'] = rest\n"
        "jobs.main(argv)\n",
        options="",
    )
    code = (
        "import sys; from types import SimpleNamespace; from infgram_bench import processes\n"
        f"processes.sys = SimpleNamespace(executable={str(tmp_path / 'python')!r})\n"
        "processes.run_job('rest')"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    wait_until((tmp_path / "pid").exists)
    parent.kill()
    parent.wait()
    job = int((tmp_path / "pid").read_text())
    try:
        wait_until(lambda: not is_running(job))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(job, signal.SIGKILL)


# Machine ------------------------------------------------------------------------------------------


@CAN_PIN
@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_what_is_pinned_runs_on_one_core_with_its_children(
    error: type[BaseException] | None,
) -> None:
    core, before = min(machine.ALL_CORES), os.sched_getaffinity(0)
    code = "import os; print(os.sched_getaffinity(0))"
    try:
        with machine.pinned(core) as words:
            assert words == f"pinned to core {core}"
            assert os.sched_getaffinity(0) == {core}
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
            assert done.stdout.strip() == str({core})
            if error:
                raise error
    except KeyboardInterrupt:
        assert error
    assert os.sched_getaffinity(0) == before


@CAN_PIN
def test_what_is_not_pinned_says_so_and_keeps_its_cores() -> None:
    before = os.sched_getaffinity(0)
    with machine.pinned(None) as words:
        assert words == "not pinned"
        assert os.sched_getaffinity(0) == before


def test_a_system_that_cannot_pin_is_measured_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "ALL_CORES", frozenset())
    for core in (None, 0):
        with machine.pinned(core) as words:
            assert words == "not pinned, for this system cannot"
    with machine.unpinned():
        pass


@CAN_PIN
def test_within_a_pin_every_core_can_be_had_for_a_while() -> None:
    before, core = os.sched_getaffinity(0), min(machine.ALL_CORES)
    with machine.pinned(core):
        with machine.unpinned():
            assert os.sched_getaffinity(0) == machine.ALL_CORES
        assert os.sched_getaffinity(0) == {core}
    assert os.sched_getaffinity(0) == before


@pytest.mark.skipif(len(machine.ALL_CORES) < 2, reason="needs two cores")
def test_a_job_for_all_cores_has_them_though_its_session_is_pinned(play: Play) -> None:
    play(
        "from infgram_bench import jobs, machine\n"
        "def cores(): return [sorted(os.sched_getaffinity(0)), sorted(machine.ALL_CORES)]\n"
        "jobs._JOBS['cores'] = cores\n"
        "jobs.main(argv)\n",
        options="",
    )
    with machine.pinned(min(machine.ALL_CORES)):
        found = run_job("cores", all_cores=True).result
    assert found == [sorted(machine.ALL_CORES)] * 2


def test_a_description_tells_processor_python_and_versions() -> None:
    from importlib.metadata import version

    found = machine.description()
    assert found["CPU"]
    assert found["Python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["infgram"] == version("infgram")
    assert found["numpy"] == np.__version__
    assert all(isinstance(value, str) and value for value in found.values())


def test_the_hash_of_the_core_is_of_the_core_in_use() -> None:
    import hashlib

    from infgram import native

    whole = hashlib.sha256(Path(native.LIBRARY).read_bytes()).hexdigest()
    assert machine.core_hash() in whole


class Power:
    """A folder as Linux's powercap has it, in microjoules."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def set(self, zone: str, text: object) -> None:
        (self.folder / zone).mkdir(exist_ok=True)
        (self.folder / zone / "energy_uj").write_text(f"{text}\n")


@pytest.fixture
def power(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Power:
    monkeypatch.setattr(machine, "_POWER", tmp_path)
    return Power(tmp_path)


def test_energy_is_that_of_all_packages_without_their_parts(power: Power) -> None:
    for zone in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"):
        power.set(zone, 5_000_000)
    with machine.energy() as energy:
        power.set("intel-rapl:0", 7_500_000)
        power.set("intel-rapl:0:0", 7_000_000)  # a part of the package before
        power.set("intel-rapl:1", 6_000_000)
    assert energy.joules == pytest.approx(3.5)


def test_energy_is_unknown_where_a_counter_began_anew(power: Power) -> None:
    power.set("intel-rapl:0", 5_000_000)
    with machine.energy() as energy:
        power.set("intel-rapl:0", 1000)
    assert energy.joules is None


def test_energy_is_unknown_where_one_of_two_counters_began_anew(power: Power) -> None:
    for zone in ("intel-rapl:0", "intel-rapl:1"):
        power.set(zone, 5_000_000)
    with machine.energy() as energy:
        power.set("intel-rapl:0", 1_000_000)
        power.set("intel-rapl:1", 90_000_000)
    assert energy.joules is None


def test_energy_is_unknown_where_nobody_tells(power: Power) -> None:
    with machine.energy() as energy:
        pass
    assert energy.joules is None
    power.set("intel-rapl:0", "not a number")
    with machine.energy() as energy:
        power.set("intel-rapl:0", 1_000_000)
    assert energy.joules is None


# Corpora ------------------------------------------------------------------------------------------


def test_a_corpus_is_split_after_nine_tenths() -> None:
    whole = Corpus("ten", b"0123456789")
    assert (whole.training, whole.validation) == (b"012345678", b"9")
    for n in (0, 1, 11, 19):
        odd = Corpus("odd", bytes(range(n)))
        assert odd.training + odd.validation == odd.text
        assert len(odd.training) == int(0.9 * n)


def test_only_tiny_shakespeare_is_tiny_shakespeare(shakespeare: bytes) -> None:
    assert Corpus("any name", shakespeare).is_shakespeare
    assert not Corpus("tinyshakespeare", shakespeare[:-1]).is_shakespeare


def test_the_library_is_as_long_as_asked_and_everybody_has_it() -> None:
    found = corpora.standard_library(300_000)
    assert len(found.text) == 300_000
    assert b"import" in found.text


def test_the_library_is_its_modules_by_name_without_tests_and_packages(disk: Path) -> None:
    for name in ("b.py", "a/z.py", "a/b.py", "b/c.py", "a/tests/t.py", "site-packages/p.py"):
        path = disk / "stdlib" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(f"<{name}>".encode())
    (disk / "stdlib" / "data.txt").write_bytes(b"no module")
    whole = b"<a/b.py><a/z.py><b.py><b/c.py>"
    assert sorted(corpora.standard_library().text.split(b"<")) == sorted(whole.split(b"<"))
    assert corpora.standard_library().text.index(b"<a/b.py><a/z.py>") >= 0
    assert corpora.standard_library(5).text == corpora.standard_library().text[:5]


def test_whole_modules_of_the_library_are_held_out(disk: Path) -> None:
    for i in range(40):
        (disk / "stdlib" / f"m{i:02}.py").write_bytes(b"%d," % i * 9)
    found = corpora.standard_library(300)
    assert found.held_out == ("m05.py", "m15.py")
    assert found.validation == b"5," * 9 + b"15," * 4 and len(found.training) == 270
    assert b"5,5," not in found.training


def fetching(
    error: Exception | None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> list[dict[str, Any]]:
    """What pooch is asked for, which it then has in the folder unless there is an error."""
    asked: list[dict[str, Any]] = []

    def retrieve(url: str, **options: Any) -> str:
        asked.append({"url": url, **options})
        if error:
            raise error
        (folder / "fetched").write_bytes(b"ROMEO:")
        return str(folder / "fetched")

    logger = SimpleNamespace(setLevel=lambda level: None)
    fake = SimpleNamespace(retrieve=retrieve, get_logger=lambda: logger)
    monkeypatch.setitem(sys.modules, "pooch", fake)  # type: ignore[arg-type]
    return asked


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No Shakespeare in the environment, no cache but this one, no network."""
    monkeypatch.delenv(corpora.VARIABLE, raising=False)
    fake = SimpleNamespace(user_cache_path=lambda name: tmp_path / "cache")
    monkeypatch.setitem(sys.modules, "platformdirs", fake)  # type: ignore[arg-type]
    fetching(OSError("no network"), tmp_path, monkeypatch)
    return tmp_path


def test_shakespeare_is_where_the_environment_says(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert corpora.shakespeare() is None
    monkeypatch.setenv(corpora.VARIABLE, "")
    assert corpora.shakespeare() is None
    path, text = nowhere / "any name", b"ROMEO:"
    path.write_bytes(text)
    monkeypatch.setenv(corpora.VARIABLE, str(path))
    monkeypatch.setattr(corpora, "_SHAKESPEARE_SHA256", hashlib.sha256(text).hexdigest())
    assert corpora.shakespeare() == Corpus("tinyshakespeare", text)


@pytest.mark.parametrize("text", [None, b"", b"ROMEO:"])
def test_an_environment_that_names_something_else_is_told_what_it_names(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, text: bytes | None
) -> None:
    path = nowhere / "text"
    if text is not None:
        path.write_bytes(text)
    monkeypatch.setenv(corpora.VARIABLE, str(path))
    with pytest.raises(NotShakespeare) as error:
        corpora.shakespeare()
    assert all(part in str(error.value) for part in (corpora.VARIABLE, str(path), "unset it"))
    if text is not None:
        assert hashlib.sha256(text).hexdigest() in str(error.value)


@pytest.mark.parametrize("error", [None, OSError("no network"), ValueError("another hash")])
def test_shakespeare_is_fetched_by_its_hash_or_is_not_there(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    asked = fetching(error, nowhere, monkeypatch)
    found = corpora.shakespeare()
    assert found == (None if error else Corpus("tinyshakespeare", b"ROMEO:"))
    assert asked[0]["known_hash"] == f"sha256:{corpora._SHAKESPEARE_SHA256}"
    assert asked[0]["path"] == nowhere / "cache" / "bench"


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All that `gather` sees of this machine: folders `stdlib`, `purelib`, `prefix` and `usr`."""
    root = tmp_path / "disk"
    paths = {"stdlib": root / "stdlib", "purelib": root / "stdlib" / "site-packages"}
    for folder in [*paths.values(), root / "prefix", root / "usr"]:
        folder.mkdir(parents=True)
    get_path = SimpleNamespace(get_path=lambda name: str(paths[name]))
    monkeypatch.setattr(corpora, "sysconfig", get_path)
    monkeypatch.setattr(corpora, "sys", SimpleNamespace(prefix=str(root / "prefix")))
    monkeypatch.setattr(corpora, "_SYSTEM_ROOTS", (str(root / "usr"), str(root / "gone")))
    return root


def gathered(folder: Path, n_bytes: int = 1_000_000) -> bytes:
    out = folder / "gathered"
    n = corpora.gather(n_bytes, out)
    text = out.read_bytes()
    assert len(text) == n
    out.unlink()
    return text


def test_what_is_gathered_is_each_text_once_and_the_same_on_every_run(
    disk: Path, tmp_path: Path
) -> None:
    for name, text in {
        "usr/z.txt": b"<usr z>",
        "usr/a.md": b"<usr a>",
        "usr/sub/b.c": b"<usr sub b>",
        "usr/sub/same.h": b"<usr a>",
        "stdlib/m.py": b"<stdlib m>",
        "stdlib/site-packages/p.py": b"<purelib p>",
        "prefix/x.json": b"<prefix x>",
    }.items():
        (disk / name).parent.mkdir(exist_ok=True)
        (disk / name).write_bytes(text)
    found = gathered(tmp_path)
    expected = b"<stdlib m><purelib p><prefix x><usr a><usr z><usr sub b>"
    assert found == expected
    assert gathered(tmp_path) == found


def test_what_is_gathered_has_the_size_asked_for_to_the_byte(disk: Path, tmp_path: Path) -> None:
    for i in range(5):
        (disk / "usr" / f"{i}.txt").write_bytes(bytes([97 + i]) * 10)
    whole = gathered(tmp_path)
    assert len(whole) == 50
    for n in (0, 1, 10, 25, 30, 49, 50, 51):
        assert gathered(tmp_path, n) == whole[:n]


def test_what_is_no_text_is_not_gathered(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usr = disk / "usr"
    for name, content in {
        "good.txt": b"caf\xc3\xa9",
        "binary.txt": b"\x7fELF\0\0",
        "latin.txt": b"caf\xe9",
        "empty.txt": b"",
        "program": b"no suffix",
        "library.so": b"a suffix of none",
        "huge.txt": b"x" * 21,
        "denied.txt": b"not for you",
    }.items():
        (usr / name).write_bytes(content)
    (usr / "broken.txt").symlink_to(usr / "gone.txt")
    (usr / "loop.txt").symlink_to(usr / "loop.txt")
    (usr / "again.txt").symlink_to(usr / "latin.txt")
    (usr / "circle").symlink_to(usr)
    (usr / "folder.txt").mkdir()
    os.mkfifo(usr / "pipe.txt")
    read_bytes = Path.read_bytes

    def refuse(self: Path) -> bytes:
        if self.name == "denied.txt":
            raise PermissionError(errno.EACCES, "Permission denied")
        return read_bytes(self)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    monkeypatch.setattr(corpora, "_LARGEST_FILE", 20)
    assert gathered(tmp_path) == "caf\u00e9".encode()


# Large texts --------------------------------------------------------------------------------------

MIB = 40_000


@pytest.fixture
def small_mib(monkeypatch: pytest.MonkeyPatch) -> None:
    """A MiB of 40,000 bytes."""
    monkeypatch.setattr(large, "_MIB", MIB)
    monkeypatch.setattr(large, "_BEHIND", MIB)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Three of those; every four bytes say where they are."""
    path = tmp_path / "source.txt"
    np.arange(3 * MIB // 4, dtype=">u4").tofile(path)
    return path


@pytest.mark.usefixtures("small_mib")
def test_beginnings_of_a_large_text_are_as_long_as_asked(tmp_path: Path, source: Path) -> None:
    bench = bench_in(tmp_path, dataclasses.replace(SETTINGS, large=source, sizes=(1, 2)))
    for mib in (1, 2):
        part = large.large_text(bench, mib)
        assert part.parent == bench.folder
        assert part.read_bytes() == source.read_bytes()[: mib * MIB]
        assert large.large_text(bench, mib) == part


@pytest.mark.usefixtures("small_mib")
def test_what_is_held_out_stands_behind_the_largest_beginning(tmp_path: Path, source: Path) -> None:
    bench = bench_in(tmp_path, dataclasses.replace(SETTINGS, large=source, sizes=(1, 2)))
    pieces = large.held_out_pieces(bench)
    assert [len(piece) for piece in pieces] == [1000] * 20
    starts = [4 * int.from_bytes(piece[:4], "big") for piece in pieces]
    assert starts == list(range(2 * MIB, 3 * MIB, MIB // 20))


@pytest.mark.usefixtures("small_mib")
def test_a_text_that_is_too_small_is_refused_with_what_would_help(
    tmp_path: Path, source: Path
) -> None:
    bench = bench_in(tmp_path, dataclasses.replace(SETTINGS, large=source, sizes=(1, 4)))
    for ask in (lambda: large.large_text(bench, 1), lambda: large.held_out_pieces(bench)):
        with pytest.raises(CannotMeasure, match=r"3\.0 MiB, expected 5\.0.*--large.*--large-size"):
            ask()


@pytest.mark.usefixtures("small_mib")
def test_files_are_gathered_once_and_anew_where_that_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = bench_in(tmp_path, dataclasses.replace(SETTINGS, sizes=(1,)))
    asked: list[int] = []

    def gather(n_bytes: int, path: Path) -> int:
        asked.append(n_bytes)
        path.write_bytes(b"x" * n_bytes)
        if len(asked) == 1:
            raise KeyboardInterrupt
        return n_bytes

    monkeypatch.setattr(large, "gather", gather)
    with pytest.raises(KeyboardInterrupt):
        large.large_text(bench, 1)
    for _ in range(2):
        large.large_text(bench, 1)
        large.held_out_pieces(bench)
    assert asked == [2 * MIB] * 2
    assert [path.name for path in bench.texts.iterdir()] == [f"text-files-{2 * MIB}.txt"]


@pytest.mark.usefixtures("small_mib")
def test_a_machine_with_little_text_cannot_measure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large, "gather", lambda n_bytes, path: path.write_bytes(b"little"))
    bench = bench_in(tmp_path, dataclasses.replace(SETTINGS, sizes=(1,)))
    for _ in range(2):
        with pytest.raises(CannotMeasure, match="--large"):
            large.large_text(bench, 1)


# The right answers --------------------------------------------------------------------------------

few_letters = st.lists(st.sampled_from(b"ab\0"), max_size=30).map(bytes)
some_letters = st.lists(st.sampled_from(b"ab\0"), min_size=1, max_size=8).map(bytes)


@given(few_letters, some_letters)
@settings(max_examples=examples(80))
def test_the_truth_counts_as_the_reference(data: bytes, ngram: bytes) -> None:
    assert truth.count(data, ngram) == Reference([data], 256).count(ngram)


@given(few_letters, some_letters)
@settings(max_examples=examples(80))
def test_the_truth_tells_what_follows_as_the_reference(data: bytes, context: bytes) -> None:
    assert truth.next_counts(data, context) == Reference([data], 256).ntd(context)


@given(few_letters, few_letters)
@settings(max_examples=examples(80))
def test_the_truth_finds_the_levels_of_the_reference(data: bytes, context: bytes) -> None:
    assert truth.levels(data, context) == Reference([data], 256).levels(context)


@given(few_letters, few_letters)
@settings(max_examples=examples(80))
def test_the_truth_finds_the_longest_suffix_of_the_reference(data: bytes, context: bytes) -> None:
    reference = Reference([data], 256)
    levels = reference.levels(context)
    n = levels[0][0] if levels else 0
    expected = reference.ntd(context[len(context) - n :]) if n else {}
    assert truth.longest(data, context) == (n, expected)


def test_the_truth_of_long_repeats_and_edges_is_known_by_hand() -> None:
    data = b"a" * 2000
    assert truth.count(data, b"aaa") == 1998
    assert truth.next_counts(data, b"aaa") == {97: 1997}
    assert truth.levels(data, b"a" * 50)[0] == (50, 1950)
    assert truth.levels(data, b"a" * 50)[-1] == (1, 1999)
    assert truth.longest(b"abc", b"xbc") == (0, {})  # at the very end nothing follows
    assert truth.next_counts(b"", b"a") == {}
    assert truth.next_counts(b"a\xff\0", b"\xff") == {0: 1}


# Growth -------------------------------------------------------------------------------------------


@given(
    st.floats(-3, 3),
    st.floats(1e-9, 1e3),
    st.lists(st.integers(10, 36), min_size=2, max_size=8, unique=True),
)
@settings(max_examples=examples(50))
def test_the_exponent_of_a_power_is_its_exponent(
    slope: float, first: float, powers: list[int]
) -> None:
    sizes = [2.0**power for power in powers]
    costs = [first * size**slope for size in sizes]
    assert growth.exponent(sizes, costs) == pytest.approx(slope, abs=1e-6)


def test_the_exponent_of_a_single_size_is_not_made_up(tmp_path: Path) -> None:
    bench = bench_in(tmp_path, dataclasses.replace(SETTINGS, sizes=(1,)))
    with pytest.raises(CannotMeasure, match="--large-size"):
        growth.QUESTION.answer(bench)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((1,), [1]),
        ((1, 3), [1, 2]),
        ((16, 1, 128), [1, 2, 4, 8, 16, 32, 64, 128]),
        ((9,), [1, 2, 4, 8]),
    ],
)
def test_growth_doubles_up_to_the_largest_size(sizes: tuple[int, ...], expected: list[int]) -> None:
    assert growth._sizes(dataclasses.replace(SETTINGS, sizes=sizes)) == expected


# Answers are judged -------------------------------------------------------------------------------


class Scan(System):
    """A rival that knows the truth, and writes nothing."""

    name: ClassVar[str] = "scan"

    def __init__(self, folder: Path) -> None:
        data = (folder / "copy").read_bytes()
        self.calls = {
            "count": Call(lambda ngram: truth.count(data, bytes(ngram)), int),
            "ntd": Call(lambda context: truth.next_counts(data, bytes(context)), dict),
            "longest": Call(lambda context: truth.longest(data, bytes(context))[1], dict),
        }

    @staticmethod
    def build(corpus: Path, folder: Path) -> None:
        (folder / "copy").write_bytes(corpus.read_bytes())


class Liar(Scan):
    """Counts one too many, and forgets what comes next."""

    name: ClassVar[str] = "liar"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.calls = {
            "count": Call(self.calls["count"].ask, lambda found: found + 1),
            "ntd": Call(self.calls["ntd"].ask, lambda found: dict(list(found.items())[1:])),
            "longest": Call(self.calls["longest"].ask, lambda found: {}),
        }


class Tokengrams(Liar):
    """A liar by the name of a rival with bars of its own."""

    name: ClassVar[str] = "tokengrams"


def once(contenders: Sequence[Contender], **options: Any) -> None:
    """As `interleave`, for who does not care about time."""
    interleave(contenders, **{**options, "rounds": 1, "seconds": 0})


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (generation, peers, queries):
        monkeypatch.setattr(module, "interleave", once)
    monkeypatch.setattr(queries, "_N_NGRAMS", 100)
    monkeypatch.setattr(queries, "_N_CONTEXTS", 8)


def ask_peers(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *systems: type[System]
) -> tuple[dict[str, Any], dict[str, Failure]]:
    """What was found, and who failed."""
    corpus, trial = folder / "corpus.txt", Trial()
    corpus.write_bytes(TEXT)
    monkeypatch.setattr(peers, "SYSTEMS", systems)
    for system in systems:
        (folder / system.name).mkdir()
        system.build(corpus, folder / system.name)
    return peers.ask(corpus, folder, TEXT[-2000:], 1, trial), trial.failed


@pytest.mark.usefixtures("hasty")
def test_peers_find_nothing_wrong_with_infgram_and_a_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, failed = ask_peers(tmp_path, monkeypatch, Infgram, Scan)
    assert failed == {}
    assert asked["seconds"]["infgram"].keys() == {"count", "ntd", "longest", "write"}
    assert asked["seconds"]["scan"].keys() == {"count", "ntd", "longest"}
    assert asked["perplexities"].keys() == {"infgram"}
    assert 1 < asked["perplexities"]["infgram"] < 256


@pytest.mark.usefixtures("hasty")
def test_peers_ask_a_liar_once_and_tell_how_many_answers_were_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, failed = ask_peers(tmp_path, monkeypatch, Infgram, Liar)
    assert failed == {"liar": Failure("count", "liar, count: 200 of 200 answers are WRONG")}
    assert asked["seconds"]["liar"] == {}
    assert len(asked["seconds"]["infgram"]) == 4


@pytest.mark.usefixtures("hasty")
def test_peers_leave_out_who_has_no_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_bytes(TEXT)
    monkeypatch.setattr(peers, "SYSTEMS", (Liar,))
    asked = peers.ask(corpus, tmp_path, TEXT[:1000], 1, Trial())
    assert asked == {"seconds": {}, "perplexities": {}}


@pytest.mark.usefixtures("small_mib", "rivals_absent")
def test_peers_compare_who_is_there_and_name_who_is_not(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "SYSTEMS", (Infgram, rivals.Tokengrams))
    source.write_bytes((TEXT * 20)[: 3 * MIB])
    chosen = dataclasses.replace(SETTINGS, large=source, sizes=(1,), quick=True)
    bench = bench_in(tmp_path, chosen)
    peers.QUESTION.answer(bench)
    found = bench.findings
    (only,) = found.tables
    rows = {row[0]: row[1:] for row in only.rows}
    assert list(rows) == ["infgram", "tokengrams", "KenLM, order 6", "the published program"]
    assert {len(row) for row in rows.values()} == {len(only.header)}
    assert all(rows.pop("infgram"))
    for name, row in rows.items():
        assert row[0] == "not measured"
        assert any(note.startswith(f"1 MiB, {name}: ") for note in found.notes)
    assert "1 MiB, tokengrams: not measured: tokengrams is not for this test" in found.notes
    assert "perplexities: in the full run" in found.notes
    assert len(found.notes) == 4
    asked = ("count", "ntd", "longest", "write", "build")
    assert found.figures.keys() == {f"infgram, {what}, 1 MiB" for what in asked}
    assert not (bench.folder / "1" / "infgram").exists()


QUICK = dataclasses.replace(SETTINGS, quick=True, sizes=(1,))


@pytest.mark.usefixtures("hasty", "rivals_absent")
def test_the_question_of_queries_is_answered_without_rivals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "RIVALS", rivals.RIVALS[1:])
    bench = bench_in(tmp_path, QUICK)
    queries.QUESTION.answer(bench)
    found = bench.findings
    assert [t.title.partition(",")[0] for t in found.tables] == [
        "count",
        "count",
        "next-token counts of 'th'",
        "levels of a 200 byte context",
        "levels of a 200 byte context",
    ]
    for made in found.tables:
        assert all(row[0].startswith("infgram") for row in made.rows)
        assert {len(row) for row in made.rows} == {len(made.header) + 1}
    assert found.notes == [
        "infini-gram: not measured: infini_gram is not for this test",
        "fast-gram: not measured: fastgram is not for this test",
        "py-infinigram: not measured: infinigram is not for this test",
    ]
    assert found.figures["ntd matches"] == sum(truth.next_counts(TEXT, b"th").values()) > 0
    assert found.bars == []


@pytest.fixture
def jobs_run_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, where tests have rivals of their own."""

    def build(job: str, name: str, corpus: Path, home: Path, *, limit: float) -> processes.Run:
        assert job == "peer_build"
        (rival,) = [rival for rival in queries.RIVALS if rival.name == name]
        rival.build(corpus, home)
        return processes.Run({"seconds": 1.0}, 1.0, 1)

    def beside(
        job: str, *arguments: object, trial: Trial, limit: float, **_: object
    ) -> processes.Run:
        result = jobs._JOBS[job](*map(str, arguments), trial.to_json())
        trial.failed.update(Trial.from_json(result["failed"]).failed)
        return processes.Run(json.loads(json.dumps(result)), 1.0, 1)

    monkeypatch.setattr(rivals, "run_job", build)
    monkeypatch.setattr(queries, "run_beside", beside)


@pytest.mark.usefixtures("hasty", "jobs_run_here")
def test_the_question_of_queries_has_a_row_for_a_liar_and_figures_for_everybody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "RIVALS", (Scan, Tokengrams))
    bench = bench_in(tmp_path, QUICK)
    queries.QUESTION.answer(bench)
    found = bench.findings
    failed = "failed: count: 100 of 100 answers are WRONG"
    for made in found.tables:
        rows = {row[0]: row[1:] for row in made.rows}
        assert rows.pop("tokengrams") == [failed, "", "", ""]
        assert all(row[0] and "failed" not in row[0] for row in rows.values())
        assert made.title.endswith("in a batch") or any(name.startswith("scan") for name in rows)
    assert found.figures["ntd, scan"] > 0
    assert not any("tokengrams" in name for name in found.figures)
    assert found.bars == []


@pytest.mark.usefixtures("hasty", "jobs_run_here")
def test_the_question_of_queries_reads_bytes_that_are_no_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "RIVALS", (Scan,))
    raw = np.random.default_rng(1).integers(0, 256, 3000, np.uint8).tobytes()
    bench = bench_in(tmp_path, dataclasses.replace(QUICK, corpus=Corpus("raw", raw)))
    queries.QUESTION.answer(bench)
    assert bench.findings.notes == []
    assert not any("str" in row[0] for row in bench.findings.tables[0].rows)
    assert not any("failed" in cell for t in bench.findings.tables for r in t.rows for cell in r)


@pytest.mark.usefixtures("hasty", "jobs_run_here")
def test_wrong_answers_of_infgram_end_the_questions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lying = type("Lying", (Liar,), {"name": "infgram", "is_rival": False})
    with pytest.raises(truth.WrongAnswers, match="infgram, count: 200 of 200"):
        ask_peers(tmp_path, monkeypatch, lying, Scan)
    monkeypatch.setattr(queries, "RIVALS", (Scan,))
    monkeypatch.setattr(truth, "next_counts", lambda data, context: {0: 1})
    (tmp_path / "questions").mkdir()
    bench = bench_in(tmp_path / "questions", QUICK)
    with pytest.raises(truth.WrongAnswers, match="infgram ntd: 1 of 1"):
        queries.QUESTION.answer(bench)


# Programs of the user -----------------------------------------------------------------------------


def program(folder: Path, script: str) -> Path:
    path = folder / "tiny"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_the_published_programs_last_word_on_its_time_is_believed(tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_bytes(b"the data")
    lie, word = "Generated 5 chars in 1.0s", "Generated 1014 chars in 2.5s"
    tiny = program(tmp_path, f"cat data.txt; echo; echo '{lie}'; echo '{word}'")
    assert generation.published_program(tiny, tmp_path).run() == pytest.approx(2.5 / 1000)


@pytest.mark.parametrize(
    ("script", "limit", "why"),
    [
        ("echo hello", 600, "Generated N chars"),
        ("exec sleep 600", 0.1, "stopped after"),
        ("echo out of memory >&2; exit 3", 600, "3"),
    ],
)
def test_a_published_program_that_fails_says_so(
    tmp_path: Path, script: str, limit: float, why: str
) -> None:
    contender = generation.published_program(program(tmp_path, script), tmp_path, limit=limit)
    with pytest.raises(JobFailed, match=why):
        contender.run()


def test_two_corpora_of_one_name_are_both_measured(tmp_path: Path) -> None:
    one, other = (models._split(Corpus("same", text), tmp_path) for text in (TEXT, TEXT[::-1]))
    for split in (one, other):
        assert split.index.count(b"cat") == truth.count(split.corpus.training, b"cat")


# Figures for the README ---------------------------------------------------------------------------

BEGIN, END = "<!-- figures: written by `make figures` -->", "<!-- end of figures -->"
HEADLINE = BEGIN.replace("figures:", "headline:"), END.replace("figures", "headline")


def test_replacing_figures_keeps_the_rest_of_the_file() -> None:
    text = f"# Title\n\nbefore \u00b5\n{BEGIN}\nold\n{END}\n\nafter {BEGIN}\n"
    new = summary.summary(complete())
    once = summary.replace(text, complete())
    assert once == f"# Title\n\nbefore \u00b5\n{BEGIN}\n\n{new}\n\n{END}\n\nafter {BEGIN}\n"
    assert summary.replace(once, complete()) == once
    both = f"{HEADLINE[0]}{HEADLINE[1]}{text}"
    headline = summary.headline(complete())
    assert (
        summary.replace(both, complete()) == f"{HEADLINE[0]}\n\n{headline}\n\n{HEADLINE[1]}{once}"
    )


@pytest.mark.parametrize(
    "text", ["", "no marks", BEGIN, END, f"{END} {BEGIN}", BEGIN + HEADLINE[1]]
)
def test_a_text_without_both_marks_in_order_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="figures"):
        summary.replace(text, complete())


def test_the_headline_has_a_row_for_each_rivalry_and_names_the_best() -> None:
    some = complete()
    some["queries"].findings.figures |= {"ntd, tokengrams": 3.0, "ntd, infini-gram": 1.5}
    rows = [cells(line) for line in summary.headline(some).partition("\n\n")[0].splitlines()[2:]]
    assert {tuple(row[3:]) for row in rows if row[0].startswith("next bytes")} == {
        ("infini-gram", "1.50")
    }
    assert len(rows) >= 7 and len({row[0] for row in rows}) == len(rows)
    assert all(all(row) for row in rows)


class Noting(dict[str, float]):
    """Every figure is 2; notes what is asked for, and what a line can do without."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()
        self.optional: set[str] = set()

    def __missing__(self, name: str) -> float:
        self.asked.add(name)
        return 2.0

    def __contains__(self, name: object) -> bool:
        self.asked.add(str(name))
        self.optional.add(str(name))
        return True

    def get(self, name: str, default: object = None) -> float:  # type: ignore[override]
        self.optional.add(name)
        return self[name]


def figures_asked_for() -> dict[str, list[set[str]]]:
    """By question, the figures that each of its lines needs or can do with."""
    asked: dict[str, list[set[str]]] = {}
    for name, line in summary._LINES:
        noting = Noting()
        line(noting)
        assert noting.optional <= noting.asked
        asked.setdefault(name, []).append(noting.asked)
    return asked


def figures_of_rivals() -> list[tuple[str, str]]:
    """(question, figure) that a line can do without."""
    found = []
    for name, line in summary._LINES:
        noting = Noting()
        line(noting)
        found += [(name, figure) for figure in sorted(noting.optional)]
    return found


def complete() -> dict[str, Answer]:
    made = {}
    for name, lines in figures_asked_for().items():
        figures = dict.fromkeys(set().union(*lines), 2.0)
        made[name] = answer(name, findings=Findings(setting={"cores": "core 1"}, figures=figures))
    return made


def lines_of(text: str) -> list[str]:
    return text.partition("\n\n")[0].splitlines()[2:]


def test_a_summary_has_every_line_and_says_when_and_where() -> None:
    text = summary.summary(complete())
    groups = [cells(line)[0] for line in lines_of(text) if cells(line)[0]]
    assert len(groups) == len(set(groups)) >= len(summary._LINES)
    assert text.endswith("\n\nMeasured on 2026-01-02, core 1. CPU: x.")


def test_a_summary_has_one_number_a_cell_and_fits_a_terminal() -> None:
    results = answers.read(Path(__file__).parents[1] / "bench" / "results" / "results.json")
    for line in lines_of(summary.summary(results)):
        assert len(line) <= 80
        _, who, figure, ratio = cells(line)
        assert who and re.fullmatch(r"[\d,.]+( (ns|µs|ms|s|bytes))?", figure)
        assert re.fullmatch(r"([\d,.]+ x)?", ratio)


def test_a_summary_leaves_out_the_lines_of_questions_that_were_not_asked() -> None:
    whole = lines_of(summary.summary(complete()))
    for name in figures_asked_for():
        some = complete()
        figures = some.pop(name).findings.figures
        rows = sum(len(line(figures)) for question, line in summary._LINES if question == name)
        assert len(lines_of(summary.summary(some))) == len(whole) - rows


def test_a_summary_leaves_out_rivals_that_have_no_figure_and_keeps_infgrams() -> None:
    whole = lines_of(summary.summary(complete()))
    of_rivals = figures_of_rivals()
    assert len(of_rivals) >= 15
    for question, figure in of_rivals:
        for without in (lambda f, n: f.pop(n), lambda f, n: f.update({n: None})):
            some = complete()
            without(some[question].findings.figures, figure)
            rows = list(map(cells, lines_of(summary.summary(some))))
            assert len(rows) < len(whole), figure
            rest = iter(cells(line)[1:] for line in whole)
            assert all(row[1:] in rest for row in rows), figure  # the others, in their order
    some = complete()
    for question, figure in of_rivals:
        del some[question].findings.figures[figure]
    lines = lines_of(summary.summary(some))
    groups = [cells(line)[0] for line in lines if cells(line)[0]]
    assert groups == [cells(line)[0] for line in whole if cells(line)[0]]
    assert all(cells(line)[3] == "" for line in lines)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_a_summary_of_several_days_and_machines_names_them_all() -> None:
    some = complete()
    some["growth"] = dataclasses.replace(
        some["growth"], date="2026-03-04 00:00 UTC", machine={"CPU": "y"}
    )
    text = summary.summary(some)
    assert text.endswith("Measured on 2026-01-02 to 2026-03-04, core 1. CPU: x. CPU: y.")


def test_the_summary_is_written_into_files_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    results, good, bad = (tmp_path / name for name in ("results.json", "good.md", "bad.md"))
    answers.write(complete().values(), results)
    good.write_text(f"a\n{BEGIN}\n{END}\nb\n")
    bad.write_text("no marks")
    with pytest.raises(ValueError):
        summary.main(str(results), str(good), str(bad))
    assert summary.summary(complete()) in good.read_text()
    assert good.read_text().startswith("a\n") and good.read_text().endswith("\nb\n")
    assert bad.read_text() == "no marks"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.md", "good.md", "results.json"]


@pytest.mark.usefixtures("hasty", "jobs_run_here")
def test_the_figures_of_the_summary_have_the_names_that_questions_give_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what can be asked here in a moment; a name that is mistyped leaves its line out."""
    bench = bench_in(tmp_path, QUICK)
    names = ("tokengrams", "infini-gram", "fast-gram", "py-infinigram")
    scans = tuple(type("Rival", (Scan,), {"name": name}) for name in names)
    monkeypatch.setattr(queries, "RIVALS", scans)
    queries.QUESTION.answer(bench)
    for needed in figures_asked_for()["queries"]:
        assert needed <= set(bench.findings.figures)


# Importing ----------------------------------------------------------------------------------------


def test_the_questions_are_known_without_torch_or_a_rival() -> None:
    code = (
        "import sys; import infgram_bench.questions\n"
        "heavy = {'torch', 'transformers', 'matplotlib', 'PIL', 'pooch', 'tokengrams'}\n"
        "print(heavy & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1:] == ["set()"], done.stderr
    assert infgram_bench.__doc__
