"""Calibration: the same fit every time, kept beside the index whole or not at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from conftest import generation, make_index

import infgram
from infgram import SBIS, KneserNey, Model, native
from infgram.errors import CorruptIndex, StorageError
from infgram.models import calibration
from infgram.models.mix import fitting
from infgram.store import system

FILE = "calibration.npz"


def prose(n: int, seed: int = 0) -> np.ndarray:
    """Bytes that repeat themselves as text does."""
    rng = np.random.default_rng(seed)
    words = [rng.integers(97, 105, rng.integers(1, 7)) for _ in range(60)]
    ranks = np.minimum(rng.zipf(1.3, n), len(words)) - 1
    return np.concatenate([[32, *words[rank]] for rank in ranks])[:n].astype(np.uint8)


def same(one: infgram.Calibration, other: infgram.Calibration) -> bool:
    numbers = [(c.exponent, c.n_tokens, c.nats) for c in (one, other)]
    if (one.live is None) != (other.live is None) or numbers[0] != numbers[1]:
        return False
    pairs = [(one.corpus, other.corpus)] + ([] if one.live is None else [(one.live, other.live)])
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.fixture
def index(memory_folder: Path, tmp_path: Path) -> infgram.Index:
    """An index that nobody else has fitted."""
    return make_index(memory_folder / f"{tmp_path.name}.infgram", [prose(8000), prose(2000, 1)])


def reopened(index: infgram.Index) -> tuple[infgram.Calibration, infgram.Calibration]:
    index = infgram.open(index.path)
    return calibration.calibration_of(index, adapt=False), calibration.calibration_of(
        index, adapt=True
    )


def test_two_fits_are_equal(index: infgram.Index) -> None:
    first = infgram.calibrate(index, save=False)
    assert not (generation(index.path) / FILE).exists()
    assert all(map(same, first, infgram.calibrate(infgram.open(index.path), save=False)))


def test_a_fit_is_stored_and_read_back_as_it_was(index: infgram.Index) -> None:
    fitted = infgram.calibrate(index)
    assert fitted[0].n_tokens > 0
    assert fitted[0].live is None
    assert fitted[1].live is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "_fit", None)  # it is not fitted again
        assert all(map(same, fitted, reopened(index)))
    assert sorted(p.name for p in generation(index.path).iterdir() if FILE in p.name) == [FILE]
    infgram.open(index.path, verify=True).verify()


def test_discounts_are_never_more_than_a_count_has(index: infgram.Index) -> None:
    rng = np.random.default_rng(0)
    for live, fitted in zip((False, True), infgram.calibrate(index, save=False), strict=True):
        for _ in range(300):
            n, n_shorter, *rest = (int(x) for x in rng.integers(0, 300, 7))
            names = ("n_types", "n_types_shorter", "m", "n_corpus", "n_live")
            shape = dict(zip(names, rest, strict=True))
            n, n_shorter = max(n, n_shorter), min(n, n_shorter)
            d = fitted.discount(live=live, n=n, n_shorter=n_shorter, single=False, **shape)
            assert all(0 < x < most for x, most in zip(d, (1, 2, 3), strict=True))


def test_an_index_without_calibration_is_fitted_when_asked_and_never_again(
    index: infgram.Index, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "infgram")
    fitted = infgram.calibrate(infgram.open(index.path), save=False)
    assert not (generation(index.path) / FILE).exists()
    assert Model(index, KneserNey()).distribution(b" ab").sum() == pytest.approx(1, abs=1e-9)
    assert (generation(index.path) / FILE).is_file()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "_fit", None)
        assert all(map(same, fitted, reopened(index)))
    (said,) = caplog.messages
    assert said == f"fitting Kneser-Ney to {index.path}, which is kept for next time"


def test_build_fits_only_if_told_to(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(prose(4000).tobytes())
    index = infgram.build(tmp_path / "a.txt", tmp_path / "a.infgram")
    assert not (generation(index.path) / FILE).exists()
    index = infgram.build(tmp_path / "a.txt", tmp_path / "b.infgram", calibrate=True)
    assert (generation(index.path) / FILE).is_file()
    assert all(map(same, reopened(index), infgram.calibrate(index, save=False)))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache, and no index can be written."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    create = system.create_file

    def refuse(path: str | Path, within: int | None = None) -> int:
        if f".{FILE}." in str(path):
            raise PermissionError(13, "Permission denied")
        return create(path, within)

    monkeypatch.setattr(system, "create_file", refuse)
    return tmp_path / "cache" / "infgram" / "calibrations"


def test_where_the_index_cannot_be_written_the_users_cache_keeps_the_fit(
    index: infgram.Index, cache: Path
) -> None:
    fitted = infgram.calibrate(index, save=False)
    assert infgram.stored_calibration(index) is None
    assert all(map(same, fitted, reopened(index)))
    assert not (generation(index.path) / FILE).exists()
    (file,) = cache.iterdir()
    assert file.name == f"{index.identity}.npz"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "_fit", None)
        assert all(map(same, fitted, reopened(index)))


@pytest.mark.parametrize("damage", ["half", "nothing", "of another", "a folder"])
def test_a_cached_fit_that_is_of_no_use_is_made_again(
    index: infgram.Index, cache: Path, memory_folder: Path, damage: str
) -> None:
    fitted = reopened(index)
    (file,) = cache.iterdir()
    if damage == "of another":
        reopened(make_index(memory_folder / "cached.infgram", [prose(9000, 5)]))
        (other,) = (each for each in cache.iterdir() if each != file)
        shutil.copy(other, file)
    elif damage == "a folder":
        file.unlink()
        file.mkdir()
    else:
        file.write_bytes(file.read_bytes()[:500] if damage == "half" else b"")
    assert infgram.stored_calibration(infgram.open(index.path)) is None
    assert all(map(same, fitted, reopened(index)))
    kept = infgram.stored_calibration(infgram.open(index.path))
    assert (kept is None) == (damage == "a folder")


def test_without_any_place_to_keep_it_a_fit_lives_as_long_as_the_index(
    index: infgram.Index, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.parent.parent.write_text("no folder")
    fitted = calibration.calibration_of(index, adapt=False)
    monkeypatch.setattr(calibration, "_fit", None)
    assert calibration.calibration_of(index, adapt=False) is fitted


ASK = """
import logging, sys, infgram
logging.basicConfig(level=logging.INFO)
index = infgram.open(sys.argv[1])
print("open", flush=True)
sys.stdin.readline()
print(infgram.Model(index, infgram.KneserNey()).score("abc").log_prob.sum())
"""


def test_of_several_processes_and_threads_one_fits_and_the_others_wait(
    index: infgram.Index,
) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ASK, str(index.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=120) for process in processes]
    assert len({out for out, _ in said}) == 1
    assert sum("fitting Kneser-Ney" in err for _, err in said) == 1


def test_of_several_threads_one_fits_and_the_others_wait(
    index: infgram.Index, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "infgram")
    handles = [infgram.open(index.path) for _ in range(3)] + [index] * 3
    with ThreadPoolExecutor(len(handles)) as pool:
        scores = list(
            pool.map(lambda i: Model(i, KneserNey()).score(b"abc").log_prob.sum(), handles)
        )
    assert len(set(scores)) == 1
    assert len(caplog.messages) == 1


def test_a_model_of_a_build_that_was_replaced_is_fitted_and_not_kept(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(prose(4000).tobytes())
    (tmp_path / "b.txt").write_bytes(prose(4000, 1).tobytes())
    old = infgram.build(tmp_path / "a.txt", tmp_path / "i.infgram")
    new = infgram.build(tmp_path / "b.txt", tmp_path / "i.infgram", overwrite=True)
    expected = infgram.calibrate(old, save=False)
    assert same(calibration.calibration_of(old, adapt=False), expected[0])
    assert infgram.stored_calibration(infgram.open(new.path)) is None


@pytest.mark.parametrize("learn", [infgram.calibrate, infgram.fit])
def test_whether_it_can_be_kept_is_known_before_it_is_learnt(
    index: infgram.Index, learn: Callable[[infgram.Index], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(generation(index.path).iterdir())

    def refuse(path: object, within: object = None) -> int:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(system, "create_file", refuse)
        for module in (calibration, fitting):
            patched.setattr(module, "_fitted", lambda *_: pytest.fail("learnt for nothing"))
        with pytest.raises(StorageError, match=r"\.npz cannot be written: Permission denied"):
            learn(index)
    assert sorted(generation(index.path).iterdir()) == before
    learn(index)
    assert len(list(generation(index.path).iterdir())) > len(before)


DAMAGES = {
    "empty": lambda raw: b"",
    "half": lambda raw: raw[: len(raw) // 2],
    "no archive": lambda raw: b"nothing like it" * 10,
    "beginning": lambda raw: b"\0\0\0\0" + raw[4:],
    "middle": lambda raw: raw[:1000] + bytes(b ^ 255 for b in raw[1000:1100]) + raw[1100:],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_calibration_is_named(index: infgram.Index, damage: str) -> None:
    infgram.calibrate(index)
    path = generation(index.path) / FILE
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(CorruptIndex, match=FILE):
        Model(infgram.open(index.path), KneserNey()).distribution()
    assert infgram.open(index.path).count(b"a") > 0  # all else works
    infgram.calibrate(infgram.open(index.path))
    assert reopened(index)[0].n_tokens > 0


@pytest.mark.parametrize(
    "change",
    [
        {"static_corpus": np.zeros(5)},
        {"static_corpus": np.full(native.n_discounts, np.nan)},
        {"static_corpus": np.zeros((native.n_discounts, 2))},
        {"static_corpus": np.array("text")},
        {"adapting_live": np.zeros(5)},
        {"adapting_live": None},
        {"static_fit": np.zeros(1)},
        {"static_live": np.zeros(5)},
        {"static_live": np.zeros(native.n_discounts, complex)},
        {"static_fit": np.zeros(3, [("f0", "<f4"), ("f1", "<i4")])},
        {"static_fit": None},
        {"static_fit": np.ones(3, complex)},
        {"static_fit": np.array(["a", "b", "c"])},
        {"static_corpus": np.full(native.n_discounts, 1e300)},
        {"adapting_corpus": None},
        {"static_fit": np.full(3, np.nan)},
        {"static_fit": np.array([-1.0, 1, 1])},
        {"static_fit": np.array([7.0, 1, 1])},
    ],
    ids=lambda change: f"{next(iter(change))}={np.shape(next(iter(change.values())))}",
)
def test_a_calibration_of_wrong_contents_is_named(index: infgram.Index, change) -> None:
    infgram.calibrate(index)
    path = generation(index.path) / FILE
    with np.load(path) as file:
        arrays = {**file, **change}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(CorruptIndex, match=FILE):
        Model(infgram.open(index.path), KneserNey(), adapt=True).distribution(b"a")
    # by the definition of an estimator that needs none of it, either refused or answered from
    model = Model(infgram.open(index.path), SBIS())
    with suppress(CorruptIndex):
        assert model.defined_distribution(b"a").sum() == pytest.approx(1)


def test_the_calibration_of_another_build_is_not_used(index, memory_folder: Path) -> None:
    other = make_index(memory_folder / "other.infgram", [prose(9000, 5)])
    infgram.calibrate(other)
    fitted = infgram.calibrate(index, save=False)
    shutil.copy(generation(other.path) / FILE, generation(index.path) / FILE)
    assert all(map(same, fitted, reopened(index)))


def test_a_folder_that_cannot_be_written_is_an_error_only_where_it_is_asked_to(index) -> None:
    def refuse(*_args: object, **_options: object) -> None:
        raise PermissionError(13, "Permission denied")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        with pytest.raises(StorageError, match=FILE):
            infgram.calibrate(index)
        assert len(infgram.calibrate(index, save=False)) == 2
        assert Model(index, KneserNey()).distribution().sum() == pytest.approx(1)
    left = [p.name for p in generation(index.path).iterdir() if FILE in p.name]
    assert not left  # nothing half-written


@pytest.mark.parametrize("n", [1, 2, 10, 999, 1500])
def test_a_tiny_corpus_has_usable_discounts(memory_folder: Path, n: int) -> None:
    index = make_index(memory_folder / "tiny.infgram", [prose(n)])
    for fitted in infgram.calibrate(index, save=False):
        assert (fitted.n_tokens == 0) == (n < 1000)
        assert np.isfinite(fitted.nats)
        assert np.isfinite(fitted.corpus).all()
    for adapt in (False, True):
        model = Model(index, KneserNey(), adapt=adapt)
        for context in (b"", b" ", prose(n).tobytes(), b"\x00"):
            assert model.distribution(context).sum() == pytest.approx(1, abs=1e-9)


def test_an_index_of_several_shards_is_fitted_too(memory_folder: Path) -> None:
    documents = [prose(700, seed) for seed in range(12)]
    index = make_index(memory_folder / "shards.infgram", documents, shard_tokens=2000)
    assert index.n_shards > 3
    static, adapting = infgram.calibrate(index, save=False)
    assert static.n_tokens > 0
    assert static.nats > 0
    assert adapting.nats > 0
    many = [prose(12, seed) for seed in range(200)]
    index = make_index(memory_folder / "many.infgram", many, shard_tokens=30)
    assert infgram.calibrate(index, save=False)[0].n_tokens > 0


def test_a_fit_makes_unseen_text_more_probable(memory_folder: Path) -> None:
    """Than textbook discounts do, which stand where nothing was fitted."""
    text = prose(23_000)
    index, unseen = make_index(memory_folder / "seen.infgram", [text[:20_000]]), text[20_000:]
    fitted = Model(index, KneserNey()).score(unseen.tobytes()).log_prob.mean()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "_MIN_TOKENS", 10**9)
        (generation(index.path) / FILE).unlink()
        textbook = infgram.open(index.path)
        assert calibration.calibration_of(textbook, adapt=False).n_tokens == 0
        plain = Model(textbook, KneserNey()).score(unseen.tobytes()).log_prob.mean()
    assert fitted > plain
