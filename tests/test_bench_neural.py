"""The questions about neural rivals and the animation, from end to end, with models of a moment."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs torch, the extra `neural`")
pytest.importorskip("transformers", reason="needs transformers, the extra `neural`")

from infgram_bench import gpt, jobs, judge, neural, race, training
from infgram_bench.animation import Race
from infgram_bench.corpora import Corpus
from infgram_bench.failures import Failure, Trial
from infgram_bench.findings import Findings, Table
from infgram_bench.neural import System
from infgram_bench.processes import JobFailed, Run
from infgram_bench.question import Bench, CannotMeasure
from infgram_bench.settings import Settings

import infgram

pytestmark = pytest.mark.torch

_WORDS = ["the", "cat", "and", "that", "dog", "then", "saw", "this", "man", "with", "both", "hats"]
TEXT = "".join(
    " ".join(_WORDS[(i * i + 3 * j * i) % len(_WORDS)] for j in range(7)) + "\n" for i in range(400)
)
SETTINGS = Settings(Corpus("words", TEXT.encode()))
_SMALL: dict[str, Any] = {
    **{"n_layer": 1, "n_head": 2, "block_size": 16, "batch_size": 4},
    **{"max_iters": 30, "lr_decay_iters": 30, "eval_interval": 10, "eval_iters": 2},
    **{"learning_rate": 1e-2, "warmup_iters": 3},
}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Small models in a cache of their own, short texts, and jobs that run in this process."""
    for name, width in [("CPU_RECIPE", 16), ("SHAKESPEARE_CHAR", 32), ("JUDGE", 16)]:
        recipe = replace(getattr(gpt, name), name=f"small-{name}", n_embd=width, **_SMALL)
        monkeypatch.setattr(gpt, name, recipe)
    (tmp_path / "cache").mkdir()
    monkeypatch.setattr(training, "cache_folder", lambda: tmp_path / "cache")

    def run_here(
        job: str, *arguments: object, on_line: Callable[..., None] | None = None, **_: object
    ) -> Run:
        result = jobs._JOBS[job](*map(str, arguments))
        return Run(json.loads(json.dumps(result)), 0.0, 1_000_000)

    def beside_here(job: str, *arguments: object, trial: Trial, **_: object) -> Run:
        run = run_here(job, *arguments, trial.to_json())
        trial.failed.update(Trial.from_json(run.result["failed"]).failed)
        return run

    for module in (neural, judge, race):
        monkeypatch.setattr(module, "run_job", run_here)
    for module in (neural, judge):
        monkeypatch.setattr(module, "run_beside", beside_here)
    monkeypatch.setattr(neural, "_N_WRITTEN", 20)
    monkeypatch.setattr(neural, "_ROUNDS", 1)
    monkeypatch.setattr(judge, "_N_TEXTS", 3)
    monkeypatch.setattr(judge, "_N_CHARACTERS", 200)
    for name, n in [("_N_TIMED", 2000), ("_N_SHOWN", 300), ("_N_TIMED_NANOGPT", 20)]:
        monkeypatch.setattr(race, name, n)


def ask(answer: Callable[[Bench], None], folder: Path, **settings: Any) -> Findings:
    for name in ("working", "texts"):
        (folder / name).mkdir(exist_ok=True)
    bench = Bench(
        replace(SETTINGS, **settings),
        Findings(),
        folder / "working",
        folder / "texts",
        {},
        lambda stage, done, total: None,
    )
    answer(bench)
    return bench.findings


def training_index(folder: Path) -> infgram.Index:
    (folder / "training.txt").write_bytes(SETTINGS.corpus.training)
    return infgram.build(folder / "training.txt", folder / "training.infgram")


def columns(table: Table, name: str) -> dict[str, str]:
    """A column of a table, by row."""
    at = table.header.index(name) + 1
    return {row[0]: row[at] for row in table.rows}


def test_training_and_no_training_end_up_in_one_table(tmp_path: Path) -> None:
    found = ask(neural.QUESTION.answer, tmp_path)
    readiness, writing = found.tables
    names = [row[0] for row in readiness.rows]
    own = [f"infgram, {name}" for name in neural._SCORING]
    trained = names[len(own) :]
    assert names[: len(own)] == own
    assert [name.rpartition(", ")[2] for name in trained] == ["30 of 30 steps"] * 2
    losses = {name: float(loss) for name, loss in columns(readiness, "held-out loss, nats").items()}
    assert found.figures["CPU_RECIPE loss"] == pytest.approx(losses[trained[0]], abs=1e-4)
    index = training_index(tmp_path)
    held_out = TEXT[int(0.9 * len(TEXT)) :]
    expected = infgram.Model(index, infgram.SBIS.published(2, window=100, floor=1e-10)).score(
        held_out
    )
    assert losses["infgram, SBIS k=2"] == pytest.approx(-expected.log_prob.mean(), abs=1e-3)
    rates = columns(readiness, "characters a second")
    ways = columns(writing, "a second")
    assert rates["infgram, SBIS k=2"] == ways["infgram, SBIS k=2, one thread"]
    best = [ways[f"CPU recipe, {way}, one thread"] for way in ("no cache", "key-value cache")]
    assert rates[trained[0]] in best
    assert sum(", all threads" in name for name in ways) == 6
    bars = {bar.what: bar for bar in found.bars}
    (ready,) = [bar for what, bar in bars.items() if "ready sooner" in what]
    assert ready.asked == 100
    assert [bar.asked for what, bar in bars.items() if "writes" in what] == [300_000, 15_000]
    (picture,) = found.pictures
    assert {len(curve.x) == len(curve.y) >= 2 for curve in picture.curves} == {True}


def test_a_model_that_is_not_trained_to_the_end_is_there_for_its_speed_alone(
    tmp_path: Path,
) -> None:
    found = ask(neural.QUESTION.answer, tmp_path, train_minutes=0.0)
    assert found.figures["CPU_RECIPE step"] == 30  # small enough to be trained in any case
    assert found.figures["SHAKESPEARE_CHAR step"] < 30
    (note,) = [note for note in found.notes if "--train-minutes" in note]
    (name,) = [row[0] for row in found.tables[0].rows if "speed alone" in row[0]]
    assert note.startswith(f"{name}: ")
    assert columns(found.tables[0], "ready in")[name] == ""
    assert columns(found.tables[0], "held-out loss, nats")[name] == ""
    assert columns(found.tables[0], "characters a second")[name] != ""
    assert "SHAKESPEARE_CHAR loss" not in found.figures
    assert not any(curve.name == name for picture in found.pictures for curve in picture.curves)


def test_the_quick_run_trains_nothing(tmp_path: Path) -> None:
    found = ask(neural.QUESTION.answer, tmp_path, quick=True)
    assert list((tmp_path / "cache").iterdir()) == []
    assert all(row[0].startswith("infgram") for row in found.tables[0].rows)
    assert found.figures["nanoGPT, no cache: seconds a character"] > 0


def test_a_model_that_cannot_be_trained_is_a_row_and_the_other_one_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_here = neural.run_job

    def run_job(job: str, *arguments: object, **options: Any) -> Run:
        if (job, arguments[0]) == ("neural_train", "SHAKESPEARE_CHAR"):
            raise JobFailed("killed by SIGKILL")
        return run_here(job, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(neural, "run_job", run_job)
    found = ask(neural.QUESTION.answer, tmp_path)
    ready = columns(found.tables[0], "ready in")
    assert ready["nanoGPT, 10.65 M"] == "failed: killed by SIGKILL"
    assert found.figures["CPU_RECIPE loss"] > 0
    assert "SHAKESPEARE_CHAR loss" not in found.figures
    assert any("ready sooner" in bar.what for bar in found.bars)
    assert len(found.pictures) == 1


@pytest.mark.parametrize("fails", ["load_nanogpt", "generate", "generate_batch"])
def test_ways_to_write_that_fail_are_rows_and_infgrams_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA error")

    monkeypatch.setattr(neural if fails == "load_nanogpt" else gpt, fails, fail)
    found = ask(neural.QUESTION.answer, tmp_path, quick=True)
    rates = columns(found.tables[1], "a second")
    assert "failed: RuntimeError: CUDA error" in rates.values()
    assert "failed" not in rates["infgram, SBIS k=2, one thread"]
    assert found.figures["infgram seconds a character"] > 0
    plain = "nanoGPT, no cache: seconds a character"
    assert (plain in found.figures) == (fails == "generate_batch")


def test_infgram_that_fails_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neural, "infgram_loss", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ask(neural.QUESTION.answer, tmp_path, quick=True)


def system(name: str, ready: float, loss: float, recipe: str = "") -> System:
    return System(name, ready, loss, 1, 1, None, None, recipe)


def test_who_is_ready_sooner_is_the_first_with_a_lower_loss() -> None:
    found = Findings()
    systems = [
        system("infgram, hasty", 0.1, 2.0),
        system("infgram, quick", 0.5, 1.8),
        system("infgram, slow", 9.0, 1.4),
        system("nanoGPT, of another size", 100.0, 1.9, "CPU_RECIPE"),
    ]
    trial = Trial({"nanoGPT, 10.65 M": Failure("training", "exit code 3")})
    neural._readiness(systems, {}, trial, found)
    assert found.tables[0].rows[-1] == ["nanoGPT, 10.65 M", "failed: exit code 3", *[""] * 8]
    (bar,) = found.bars
    assert bar.what.startswith("infgram, quick:")
    assert bar.found == pytest.approx(200)
    none = Findings()
    neural._readiness([systems[0], systems[3]], {}, Trial(), none)
    assert none.bars == []
    assert "nothing of infgram" in none.notes[0]


def test_overtaking_is_the_first_estimate_that_is_better() -> None:
    found = Findings()
    systems = [system("infgram, a", 0.1, 2.0), system("infgram, b", 1.0, 1.5)]
    neural._overtaking(systems, {"nanoGPT": [(5.0, 3.0), (10.0, 1.9), (20.0, 1.7)]}, found)
    assert found.notes == [
        "nanoGPT overtakes infgram, a: after 10 s",
        "nanoGPT overtakes infgram, b: not within its training here",
    ]
    assert found.pictures[0].curves[0].x == [0.1, 20.0]


def test_a_judge_reads_everybody(tmp_path: Path) -> None:
    untrained = ask(judge.QUESTION.answer, tmp_path)
    assert sum("not finished" in note for note in untrained.notes) == 4
    ask(neural.QUESTION.answer, tmp_path)
    for path in (tmp_path / "working").iterdir():
        if path.is_file():
            path.unlink()
    (tmp_path / "again").mkdir()
    found = ask(judge.QUESTION.answer, tmp_path / "again")
    (table,) = found.tables
    copied = columns(table, "copied 20-grams")
    assert len(copied) == 2 + len(judge._SBIS) + len(judge._NANOGPT)
    assert copied["real text, training"] == "1.000"
    nats = [float(row[1].split()[0]) for row in table.rows]
    assert nats == sorted(nats)
    by_name = {curve.name: curve for curve in found.pictures[0].curves}
    assert by_name["real text, training"].x == [1.0]


def test_a_writer_that_fails_is_a_row_below_what_was_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = judge.load_nanogpt

    def load_or_fail(recipe: str, text: Path, **options: Any) -> Any:
        if recipe == "CPU_RECIPE":
            raise EOFError("Ran out of input")
        return load(recipe, text, **options)

    monkeypatch.setattr(judge, "load_nanogpt", load_or_fail)
    found = ask(judge.QUESTION.answer, tmp_path)
    nats = columns(found.tables[0], "judge's nats a character")
    failed = [name for name, cell in nats.items() if cell == "failed: EOFError: Ran out of input"]
    assert failed == ["nanoGPT, CPU recipe", "nanoGPT, CPU recipe, temperature 1"]
    assert list(nats)[-2:] == failed
    assert len([name for name in nats if name.startswith("infgram")]) == len(judge._SBIS)


def test_without_a_judge_there_is_nothing_to_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> Run:
        raise JobFailed("out of memory")

    monkeypatch.setattr(judge, "run_job", fail)
    with pytest.raises(CannotMeasure, match="the judge failed: out of memory"):
        ask(judge.QUESTION.answer, tmp_path)


@pytest.mark.usefixtures("small")
def test_the_animation_shows_what_both_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Race] = []

    def write(made: Race, path: Path, **_: object) -> None:
        drawn.append(made)

    monkeypatch.setattr(race, "write", write)
    settings = replace(SETTINGS, train_minutes=0.0)
    race.animate(settings, tmp_path / "race.html", lambda stage, done, total: None)
    (made,) = drawn
    assert "its CPU recipe, loss " in made.right.detail and "10.65 M model: " in made.footer
    (tmp_path / "corpus.txt").write_bytes(SETTINGS.corpus.text)
    model, split = neural.load_nanogpt("CPU_RECIPE", tmp_path / "corpus.txt", unfinished=False)
    ids = gpt.generate(model, split.encode("\n"), 100, seed=1, use_cache=True)
    assert made.right.excerpts[0].text.startswith(split.decode(ids))
    index = training_index(tmp_path)
    first = made.left.excerpts[0]
    expected = infgram.generate(index, "\n", max_tokens=len(first.text), k=2, decay=0.1, seed=0)
    assert first.text == expected.text[: len(first.text)]
    for track in (made.left, made.right):
        assert track.seconds_per_character > 0
        for excerpt in track.excerpts:
            assert len(excerpt.text) == len(excerpt.match_lengths) > 0
    alone = index.match_lengths(made.right.excerpts[0].text).tolist()
    assert list(made.right.excerpts[0].match_lengths) == alone
