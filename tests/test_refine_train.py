"""Training a refiner: what it learns, that a kill changes nothing, what is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import ended, run, start
from refiner import runs, train_tiny

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs torch, the extra `refine`")
pytest.importorskip("safetensors", reason="needs safetensors, the extra `refine`")

from infgram.errors import EmptyCorpus, InvalidParameter, NotARefiner, StorageError
from infgram.extras import how_to_install
from infgram.refine.network import checkpoint, training
from infgram.refine.network.corrupt import Noise
from infgram.refine.network.training import area_under_roc, read_text


class Killed(BaseException):
    pass


def killing(stage: str, step: int) -> Any:
    """A progress that kills the training after a step."""

    def progress(found: str, done: int, _total: int) -> None:
        if (found, done) == (stage, step):
            raise Killed

    return progress


def test_a_refiner_learns_to_fill_and_to_find(tmp_path: Path) -> None:
    wild = Noise(temperatures=(4.0, 4.0), lengths=(1, 2), gaps=(4, 12))  # a letter within a run
    found = train_tiny(runs(20_000), tmp_path / "x.safetensors", steps=160, noise=wild)
    assert found.losses[0] > 2 > 1.6 > found.val_loss["0.15"]
    assert found.val_loss["0.15"] < found.val_loss["0.5"]
    assert found.auroc > 0.6
    assert np.mean(found.evidence_losses[-20:]) < np.mean(found.evidence_losses[:20])
    assert found.detector_losses[-1] < found.detector_losses[0]
    assert (found.steps, found.detector_steps) == (160, 40)
    assert found.n_tokens_seen == 160 * 16 * 32


def test_a_killed_training_goes_on_to_the_same_losses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = runs(6000)
    whole = train_tiny(text, tmp_path / "whole.safetensors", steps=20)
    monkeypatch.setattr(training, "_SAVE_SECONDS", 0.0)
    path = tmp_path / "killed.safetensors"
    for stage, step in (("trunk", 7), ("trunk", 20), ("detector", 2), ("evidence", 2)):
        with pytest.raises(Killed):
            train_tiny(text, path, steps=20, progress=killing(stage, step))
        assert not path.exists()
    again = train_tiny(text, path, steps=20)
    assert again.losses == whole.losses
    assert again.detector_losses == whole.detector_losses
    assert again.evidence_losses == whole.evidence_losses
    assert (again.val_loss, again.auroc) == (whole.val_loss, whole.auroc)
    assert again.auroc_with_index == whole.auroc_with_index
    assert whole.path.read_bytes() == again.path.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["killed.safetensors", "whole.safetensors"]


def test_seeds_differ(tmp_path: Path) -> None:
    text = runs(3000)
    first, second = (
        train_tiny(text, tmp_path / f"{seed}", steps=2, seed=seed).losses for seed in (1, 2)
    )
    assert first != second


def test_minutes_become_steps_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "_SAVE_SECONDS", 0.0)
    monkeypatch.setattr(training, "_can_compile", lambda: False)
    path = tmp_path / "x.safetensors"
    planned = []

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "trunk" and done > 20:
            planned.append(total)
            raise Killed

    for _ in range(2):
        with pytest.raises(Killed):
            train_tiny(runs(3000), path, steps=None, minutes=0.1, progress=progress)
    assert planned[0] == planned[1] > 20


def test_another_trainings_rest_is_not_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "_SAVE_SECONDS", 0.0)
    path = tmp_path / "x.safetensors"
    with pytest.raises(Killed):
        train_tiny(runs(3000), path, progress=killing("trunk", 2))
    with pytest.raises(NotARefiner, match="another training"):
        train_tiny(runs(3000, seed=1), path)
    with pytest.raises(NotARefiner, match="another training"):
        train_tiny(runs(3000), path, seed=1)


def test_a_checkpoint_says_what_it_was_trained_on(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    found = train_tiny(runs(3000), path, steps=3)
    _, metadata = checkpoint.read(path)
    assert metadata["val_loss"] == found.val_loss
    assert metadata["auroc"] == found.auroc
    assert metadata["auroc_with_index"] == found.auroc_with_index
    assert metadata["n_corpus_tokens"] == 3000 and metadata["n_training_tokens"] == 2700
    assert metadata["tokenizer"] == "bytes"
    assert bytes(metadata["token_ids"]) == bytes(sorted(set(runs(3000).tolist())))
    assert metadata["noise"]["folds"] == 4
    assert {"torch", "infgram"} <= set(metadata["versions"])


@pytest.mark.parametrize(
    ("n", "options", "error", "message"),
    [
        (0, {}, EmptyCorpus, "no tokens"),
        (40, {}, InvalidParameter, "expected 32 at least"),
        (3000, {"held_out": 0.001}, InvalidParameter, "expected 32 at least"),
        (3000, {"held_out": 1.0}, InvalidParameter, "held_out is 1.0"),
        (3000, {"minutes": 1.0}, InvalidParameter, "give one of them"),
        (3000, {"steps": 0}, InvalidParameter, "steps is 0"),
        (3000, {"device": "abacus"}, InvalidParameter, "abacus"),
        (3000, {"threads": 0}, InvalidParameter, "threads is 0"),
        (3000, {"tokenizer": "tiktoken:gpt2"}, InvalidParameter, "bytes or characters"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    tmp_path: Path, n: int, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        train_tiny(runs(n), tmp_path / "x.safetensors", **options)
    assert not any(tmp_path.iterdir())


def test_a_folder_is_not_written_over(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="is a folder"):
        train_tiny(runs(3000), tmp_path)
    with pytest.raises(StorageError, match="does not exist"):
        train_tiny(runs(3000), tmp_path / "nowhere" / "x.safetensors")


def test_files_that_are_no_refiners_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    train_tiny(runs(3000), path, steps=2)
    whole = path.read_bytes()
    checkpoint.write(tmp_path / "foreign", {"a": torch.zeros(2)}, {}, kind="something/1")
    (tmp_path / "torn").write_bytes(whole[:-100])
    (tmp_path / "short").write_bytes(whole[:5])
    (tmp_path / "text").write_text("To be, or not to be")
    (tmp_path / "empty").write_bytes(b"")
    for name in ("foreign", "torn", "short", "text", "empty", "missing", "."):
        with pytest.raises(NotARefiner, match=r"infgram refine train"):
            checkpoint.read(tmp_path / name)


@pytest.mark.parametrize("n", [1, 2, 30])
def test_the_area_is_the_share_of_pairs_in_order(n: int) -> None:
    rng = np.random.default_rng(n)
    scores = rng.integers(0, 5, n + 1)
    labels = np.append(rng.random(n) < 0.5, True)
    labels[0] = False
    pairs = [(p > q) + 0.5 * (p == q) for p in scores[labels] for q in scores[~labels]]
    assert area_under_roc(scores, labels) == pytest.approx(np.mean(pairs))


def test_a_corpus_is_read_as_one_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("né")
    (tmp_path / "b.txt").write_text("b")
    assert read_text([tmp_path], "chars").tolist() == [110, 233, 98]
    assert bytes(read_text([tmp_path / "a.txt"])) == "né".encode()


def test_the_command_trains_and_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(training.RECIPES, "nano", training.Recipe(evidence_steps=5))
    Path("corpus.txt").write_bytes(runs(4000).tobytes())
    arguments = ["refine", "train", "corpus.txt", "-o", "x.safetensors", "--steps", "1"]
    told = json.loads(run(*arguments, "--threads", "1", "--json").stdout)
    assert told["steps"] == 1 and told["path"] == "x.safetensors"
    assert {"auroc", "auroc_with_index"} <= set(told)
    result = run(*arguments, "--threads", "1")
    assert f"AUROC {told['auroc']:.3f} on held-out text, " in result.stdout
    assert f"{told['auroc_with_index']:.3f} with an index" in result.stdout
    run(*arguments, "--minutes", "1", exit_code=2)
    Path("empty.txt").write_bytes(b"")
    result = run("refine", "train", "empty.txt", "-o", "y.safetensors", exit_code=2)
    assert "nothing to train on" in result.stderr


def test_without_torch_the_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('no torch')")
    (tmp_path / "corpus.txt").write_bytes(runs(400).tobytes())
    output = tmp_path / "x.safetensors"
    code, _, stderr = ended(
        start(
            *("refine", "train", str(tmp_path / "corpus.txt"), "-o", str(output)),
            environment={"PYTHONPATH": f"{tmp_path}:{':'.join(sys.path)}"},
        )
    )
    assert code == 2 and how_to_install("refine").encode() in stderr
