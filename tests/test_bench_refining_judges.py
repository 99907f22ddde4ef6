"""Judges see no future, and refining is measured from end to end, with networks of a moment."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from refiner import train_tiny
from test_bench_refining import CORPUS, real_in

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs torch, the extra `neural`")
pytest.importorskip("transformers", reason="needs transformers, the extra `neural`")

from infgram_bench import (
    gpt,
    jobs,
    refining,
    refining_detection,
    refining_judges,
    refining_measure,
    refining_systems,
    training,
)
from infgram_bench.findings import Findings
from infgram_bench.processes import Run
from infgram_bench.question import Bench
from infgram_bench.refining_bars import ASKED
from infgram_bench.refining_drafts import N_PROMPT, Setting, offsets, windows
from infgram_bench.refining_systems import Material, System
from infgram_bench.rivals import Absent
from infgram_bench.settings import Settings

SMALL: dict[str, Any] = {
    **{"n_layer": 1, "n_head": 2, "n_embd": 16, "batch_size": 4, "block_size": 32},
    **{"max_iters": 30, "lr_decay_iters": 30, "eval_interval": 10, "eval_iters": 2},
    **{"learning_rate": 1e-2, "warmup_iters": 3},
}
JUDGES = {
    name: replace(recipe, name=f"small-{name}", **SMALL)
    for name, recipe in refining_judges.JUDGES.items()
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with gpt.use_threads(1):
        yield


# Judges -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", JUDGES)
def test_a_judge_gives_each_byte_the_nats_it_has_given_all_before(name: str) -> None:
    torch.manual_seed(1)
    model = JUDGES[name].build(7)
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    texts = np.random.default_rng(0).integers(0, 7, (40, 12)).astype(np.uint8)
    found = refining_judges.nats(model, texts, 4)
    assert found.shape == (40, 8) and found.std() > 0.1
    for text, each in zip(texts[[0, 39]], found[[0, 39]], strict=True):
        ids = torch.tensor(text, dtype=torch.long)[None]
        with torch.inference_mode():
            expected = [
                -model(ids[:, :at]).logits[0, -1].log_softmax(-1)[ids[0, at]].item()
                for at in range(4, 12)
            ]
        assert each == pytest.approx(expected, abs=1e-4)


def test_the_judges_differ_from_each_other_and_from_the_other_recipes() -> None:
    recipes = [*refining_judges.JUDGES.values(), gpt.JUDGE, gpt.CPU_RECIPE, gpt.SHAKESPEARE_CHAR]
    assert len({recipe.seed for recipe in recipes[:3]}) == 3
    assert len({(r.n_layer, r.n_embd, r.block_size) for r in recipes}) == len(recipes)


def test_the_text_of_judges_is_bytes_whatever_they_mean() -> None:
    text = refining_judges.text_of(b"\xff\x00a\xff", b"a\xfe")
    assert text.characters == "\x00a\xfe\xff" and text.training.tolist() == [3, 0, 1, 3]
    assert text.validation.tolist() == [1, 2]


class Killed(Exception):
    pass


@pytest.mark.parametrize("name", JUDGES)
def test_a_killed_judge_becomes_what_it_would_have_been(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "_SAVE_SECONDS", 0.0)
    text = refining_judges.text_of(CORPUS.training, CORPUS.validation)
    whole = training.train(JUDGES[name], text, folder=tmp_path / "whole")
    assert whole.validation_loss < 0.9 * math.log(len(text.characters))

    def kill(progress: training.Progress) -> None:
        if progress.step == 17:
            raise Killed

    with pytest.raises(Killed):
        training.train(JUDGES[name], text, folder=tmp_path / "killed", on_progress=kill)
    again = training.train(JUDGES[name], text, folder=tmp_path / "killed")
    assert again.validation_loss == whole.validation_loss
    assert [p[1:] for p in again.curve] == [p[1:] for p in whole.curve]
    theirs = whole.model.state_dict()
    assert all(torch.equal(w, theirs[key]) for key, w in again.model.state_dict().items())


# Detection ----------------------------------------------------------------------------------------


def test_damage_is_done_behind_prompts_and_is_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = real_in(tmp_path)
    material = Material(real.index, real.training, tmp_path)
    texts = windows(real.held_out, offsets(len(real.held_out), "tuning", 3))
    damaged, wrong = refining_detection.corrupted(real.index, texts, seed=0)
    assert (damaged.token_ids[:, :N_PROMPT] == texts.token_ids[:, :N_PROMPT]).all()
    assert (wrong == (damaged.written != texts.written)).all() and 0 < wrong.mean() < 0.4
    train_tiny(np.frombuffer(real.training, np.uint8), tmp_path / "refiner", steps=1)
    for path in (tmp_path / "refiner", tmp_path / "none"):
        monkeypatch.setattr(refining_systems, "refiner_path", lambda training, at=path: at)
        for detector in refining_detection.DETECTORS:
            if path.exists() or "refiner" not in detector.name:
                suspicion = detector.make(material)(damaged.token_ids, damaged.prompt_lengths)
                assert suspicion.shape == damaged.token_ids.shape
            else:
                with pytest.raises(Absent):
                    detector.make(material)


# The question -------------------------------------------------------------------------------------


def absent(material: Material) -> refining_systems.Refine:
    raise Absent("not installed")


def comma(material: Material) -> refining_systems.Refine:
    """Every byte after the prompt becomes a comma."""

    def refine(ids: np.ndarray, lengths: np.ndarray, seed: int) -> np.ndarray:
        ids[np.arange(ids.shape[1]) >= lengths[:, None]] = ord(",")
        return ids

    return refine


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Judges of a moment in a cache of their own, few prompts, jobs that run in this process."""
    monkeypatch.setattr(refining_judges, "JUDGES", JUDGES)
    (tmp_path / "cache").mkdir()
    monkeypatch.setattr(training, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(refining_measure, "N_PROMPTS", 3)
    monkeypatch.setattr(refining_measure, "_N_AT_ONCE", 3)
    monkeypatch.setattr(refining_measure, "_ROUNDS", 1)

    def run_here(
        job: str, *arguments: object, on_line: Callable[..., None] | None = None, **_: object
    ) -> Run:
        is_refiner = job == "refining_refiner"  # which takes 18 minutes
        result = {} if is_refiner else jobs._JOBS[job](*map(str, arguments))
        return Run(json.loads(json.dumps(result)), 0.0, 1_000_000)

    monkeypatch.setattr(refining, "run_job", run_here)


def ask(folder: Path) -> Findings:
    for name in ("working", "texts"):
        (folder / name).mkdir(exist_ok=True)
    bench = Bench(
        Settings(CORPUS),
        Findings(),
        folder / "working",
        folder / "texts",
        {},
        lambda stage, done, total: None,
    )
    refining.QUESTION.answer(bench)
    return bench.findings


@pytest.mark.usefixtures("small")
def test_the_question_sets_refined_text_beside_raw_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_tiny(
        np.frombuffer(CORPUS.training, np.uint8),
        refining_systems.refiner_path(CORPUS.training),
        steps=1,
    )
    systems = (
        *refining_systems.SYSTEMS,
        System("commas", comma, (3, -1)),
        System("nobody", absent),
    )
    monkeypatch.setattr(refining_measure, "SYSTEMS", systems)
    findings = ask(tmp_path)
    raw, *by_start, _ = findings.tables
    names = [row[0] for row in raw.rows]
    assert "real text, held out" in names and len(names) == len(set(names))
    assert len(names) == 2 + len(refining_measure.SWEEP) + 3
    refined_from_3 = [each.name for each in systems if 3 in each.starts and each.name != "nobody"]
    assert [row[0] for row in by_start[2].rows] == [Setting(3).name, *refined_from_3]
    for table in findings.tables:
        assert all(len(row) == len(table.header) + 1 for row in table.rows)
    (row,) = (row for row in by_start[2].rows if row[0] == "commas")
    commas = dict(zip(by_start[2].header, row[1:], strict=True))
    assert commas["copied 20-grams, %"] == "0.0" and commas["distinct 6-grams"] == "0.001"
    assert "nobody: not installed" in findings.notes
    (verdict,) = [note for note in findings.notes if note.startswith("Does refined text beat")]
    assert "editor from k=3" in verdict and "random words" not in verdict
    assert len(findings.bars) == len(ASKED) + 2  # and the detector's, and the throughput
    by_name = {bar.what: bar for bar in findings.bars}
    assert by_name["editor, k=-1: distinct bigrams"].found != 1
    assert by_name["polish, k=-1: a byte"].found > 0
    assert any("bytes a second on" in name for name in by_name)
    assert findings.figures["commas, k=3: changed"] > 0.9


@pytest.mark.usefixtures("small")
def test_without_a_refiner_it_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systems = [each for each in refining_systems.SYSTEMS if each.name in ("random words", "editor")]
    monkeypatch.setattr(refining_measure, "SYSTEMS", systems)
    findings = ask(tmp_path)
    assert any(note.endswith("Nothing refines yet.") for note in findings.notes)
    assert "editor: the refiner was not trained" in findings.notes
    assert findings.bars == []
