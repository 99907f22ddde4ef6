"""What wants a GPU, tried without one: all of it happens, with models of a moment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_bench_refining import CORPUS

pytestmark = pytest.mark.torch
pytest.importorskip("torch", reason="needs torch, the extra `neural`")
pytest.importorskip("transformers", reason="needs transformers, the extra `neural`")

from infgram_bench import gpu, training
from infgram_bench.answers import read
from infgram_bench.session import Session
from infgram_bench.settings import Settings


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """In processes of their own, too."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def test_all_of_it_happens_in_quick_and_is_kept_as_answers_are(
    no_gpu: None, tmp_path: Path
) -> None:
    session = Session(tmp_path, Settings(CORPUS, quick=True))
    stages: list[str] = []
    session.ask(gpu.QUESTION, lambda stage, done, total: stages.append(stage))
    assert {"nanoGPT", "refiner, nano", "refiner, base", "edits by both"} <= set(stages)
    found = read(tmp_path / "results.json")["gpu"].findings
    trained, writing, refiners, edits = found.tables
    assert trained.rows[0][0].endswith("20 of 20 steps")
    assert 0 < found.figures["nanoGPT: loss"] < 10
    assert len(writing.rows) == 3
    assert [row[0] for row in refiners.rows] == ["nano", "base"]
    assert all(0 <= found.figures[f"refiner {size}: AUROC"] <= 1 for size in gpu.SIZES)
    assert [row[0] for row in edits.rows] == [
        f"SBIS k={k}, {name}" for k in (3, -1) for name in ("draft", "nano", "base")
    ]
    assert edits.header[0] == "nats, nanoGPT"


def test_without_a_gpu_it_says_what_would_help(no_gpu: None, tmp_path: Path) -> None:
    answer = Session(tmp_path, Settings(CORPUS)).ask(gpu.QUESTION, lambda *_: None)
    (note,) = answer.findings.notes
    assert note.startswith("not measured: torch finds no GPU here") and "--quick" in note
    assert not answer.findings.tables


def test_a_training_cut_short_has_no_loss_and_judges_nothing(tmp_path: Path) -> None:
    found = gpu.Findings()
    gpu._nanogpt(
        {
            **{"step": 7, "max_iters": 20, "seconds": 1.0, "loss": None, "loss_apart": 3.0},
            **{"published": 1.4697, "parameters": 10_650_000, "peak_bytes": 10**9},
            "writing": {"key-value cache": [0.001]},
        },
        found,
    )
    assert "nanoGPT: loss" not in found.figures
    assert any("7 of 20 steps" in note for note in found.notes)
    rows = [
        {"name": name, "start": 3, "values": {"known words": 0.9}, "differences": differences}
        for name, differences in [("draft", {}), ("nano", {"known words": [0.1, 0.0, 0.2]})]
    ]
    gpu._edits({"rows": rows, "n": 2, "n_prompt": 32, "n_judged": 33}, found)
    assert found.tables[-1].header == ["known words"]
    assert found.tables[-1].rows[1][1] == "0.900 (+0.100, +0.000 to +0.200)"


@pytest.mark.skipif(sys.platform == "win32", reason="a script of sh")
@pytest.mark.parametrize("folder", [[], ["results"]])
def test_the_script_asks_the_question_with_the_python_that_it_is_given(
    folder: list[str], tmp_path: Path
) -> None:
    script = Path(__file__).parent.parent / "bench" / "gpu.sh"
    done = subprocess.run(
        ["sh", script, *folder, "--list"],
        env={**os.environ, "PYTHON": sys.executable},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == "gpu" and gpu.QUESTION.title in done.stdout


def test_a_device_is_named() -> None:
    assert training.device_name("cpu")
