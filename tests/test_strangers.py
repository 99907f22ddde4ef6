"""An index from a stranger, sealed with checksums that fit, is answered from or refused.

What the fuzzer in `fuzzing` makes of such indexes, and that it notices what must not be.
"""

from __future__ import annotations

import math
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import examples
from fuzzing import children, questions
from fuzzing.folders import Folder, contents
from fuzzing.run import PLAUSIBLE, REFUSED, RIGHT, Fuzzer

import infgram
from infgram.errors import CorruptIndex

BASES = ["letters", "shards", "wide", "first_format", "grown"]


@pytest.fixture(scope="module")
def fuzzer(memory_folder: Path) -> Iterator[Fuzzer]:
    scratch = memory_folder / "fuzzing"
    scratch.mkdir()
    yield Fuzzer(scratch, only=BASES)
    shutil.rmtree(scratch)


def test_mutated_indexes_are_answered_from_or_refused(fuzzer: Fuzzer) -> None:
    report = fuzzer.run(range(examples(30)))
    assert not report.findings, report.text()
    assert all(report.answers[kind] for kind in (RIGHT, PLAUSIBLE, REFUSED)), report.text()
    assert {came for _, came in report.cases} >= {"refused", "right"}, report.text()


def test_a_case_is_the_same_each_time(fuzzer: Fuzzer, tmp_path: Path) -> None:
    for number in range(10):
        made = [fuzzer.make(number, tmp_path / f"{number}-{i}") for i in range(2)]
        assert made[0].what == made[1].what
        assert contents(made[0].path) == contents(made[1].path)


def test_what_is_sealed_anew_is_a_sound_index(fuzzer: Fuzzer, tmp_path: Path) -> None:
    for base in fuzzer.bases:
        folder = Folder.copied(contents(base.path), tmp_path / base.name)
        for unit in folder.units:
            for name in unit.names:
                unit.write(name, unit.read(name))
            unit.manifest["created"] = "today"  # another identity
            unit.is_manifest_changed = True
            unit.recalibrate()
        folder.seal()
        folder.finish()
        index, sound = infgram.open(folder.path), infgram.open(base.path)
        index.verify()
        assert index.identity != sound.identity
        if index.segments.is_one:
            assert (infgram.stored_calibration(index) is None) == (
                infgram.stored_calibration(sound) is None
            )


def test_what_is_not_sealed_is_refused(fuzzer: Fuzzer, tmp_path: Path) -> None:
    folder = Folder.copied(contents(fuzzer.bases[0].path), tmp_path / "a")
    unit = folder.outer
    unit.write("token_ids", unit.read("token_ids") + np.uint32(1))
    folder.finish()
    with pytest.raises(CorruptIndex, match="token_ids"):
        infgram.open(folder.path)


def crash(index: infgram.Index, asked: questions.Asked) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def hang(index: infgram.Index, asked: questions.Asked) -> None:
    while True:
        pass


def untyped(index: infgram.Index, asked: questions.Asked) -> None:
    index.manifest["no such field"]


def impossible(index: infgram.Index, asked: questions.Asked) -> None:
    questions._check_distribution(np.array([0.5, 0.6]))


def grow(index: infgram.Index, asked: questions.Asked) -> int:
    return len(bytearray(1 << 30))


@pytest.mark.parametrize(
    ("question", "kind", "cause"),
    [
        (crash, "crash", "SIGSEGV"),
        (hang, "hang", "SIGXCPU"),
        (untyped, "exception", "KeyError"),
        (impossible, "impossible", "a sum of"),
        pytest.param(
            grow,
            "exception",
            "MemoryError",
            marks=pytest.mark.skipif(
                "asan" in os.environ.get("LD_PRELOAD", ""), reason="its shadow has no limit"
            ),
        ),
    ],
)
def test_what_must_not_be_is_found(
    fuzzer: Fuzzer,
    monkeypatch: pytest.MonkeyPatch,
    question: Callable[..., Any],
    kind: str,
    cause: str,
) -> None:
    monkeypatch.setattr(questions, "QUESTIONS", {"bad": question})
    monkeypatch.setattr(questions, "BACKWARDS", [])
    monkeypatch.setattr(children, "CPU_SECONDS", 0)  # and one more
    opened = next(number for number in range(100) if is_opened(fuzzer, number))
    report = fuzzer.run([opened])
    (finding,) = report.findings
    assert (finding.kind, finding.question, finding.number) == (kind, "bad", opened)
    assert cause in finding.cause
    assert finding.what
    assert f"--seed 0 --case {opened}" in report.text()
    assert report.n_cases == 1


def test_who_waits_for_ever_is_ended_and_told(tmp_path: Path) -> None:
    def work(number: int, place: Path, say: children.Say) -> dict[str, Any]:
        say({"asking": "a pipe"})
        os.read(os.pipe()[0], 1)
        raise AssertionError

    child = children.Child(work, [3, 4], tmp_path, seconds=math.inf)
    while child.asking != "a pipe":
        child.read()
    child.seconds = 0.0
    while not child.read():
        pass
    finding = child.finding()
    assert (finding.kind, finding.number, finding.question) == ("hang", 3, "a pipe")
    assert "in work" in finding.details
    assert child.left == [3, 4]


def is_opened(fuzzer: Fuzzer, number: int) -> bool:
    place = fuzzer.scratch / "tried"
    try:
        infgram.open(fuzzer.make(number, place).path)
    except infgram.InfgramError:
        return False
    else:
        return True
    finally:
        shutil.rmtree(place)
