"""What wide contexts pass on: kept beside a large index, used by all, never believed blindly."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import lines, run
from conftest import generation, make_index
from test_calibrate import prose

import infgram
from infgram import KneserNey, Model
from infgram.errors import CorruptIndex
from infgram.models import continuations
from infgram.models.calibration import kneser_ney_of
from infgram.store import system

FILE = "continuations.npz"
ESTIMATORS = [KneserNey(), KneserNey(max_order=4)]


@pytest.fixture
def index(memory_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> infgram.Index:
    """An index that counts as large, of two shards, fitted by nobody."""
    monkeypatch.setattr(continuations, "_LARGE", 1000)
    monkeypatch.setattr(continuations, "_LEAST_ROWS", 8)
    documents = [prose(700, seed) for seed in range(5)]
    return make_index(memory_folder / f"{tmp_path.name}.infgram", documents, shard_tokens=2000)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
@pytest.mark.parametrize("adapt", [False, True])
def test_a_large_index_predicts_as_its_estimator_is_defined(
    index: infgram.Index, estimator: KneserNey, adapt: bool
) -> None:
    text = prose(60, 3).tobytes()
    kneser_ney_of(index, adapt=adapt)
    assert (generation(index.path) / FILE).is_file()
    for opened in (index, infgram.open(index.path)):
        model = Model(opened, estimator, adapt=adapt)
        for end in (0, 1, 2, 3, 30, 60):
            found, expected = model.distribution(text[:end]), model.defined_distribution(text[:end])
            np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_tables_are_looked_up_and_not_counted_again(
    index: infgram.Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Model(index, KneserNey()).generate(max_tokens=200, seed=1).text
    monkeypatch.setattr(continuations, "count_wide_tables", None)
    assert (
        Model(infgram.open(index.path), KneserNey()).generate(max_tokens=200, seed=1).text == first
    )


def test_a_small_index_keeps_none(index: infgram.Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(continuations, "_LARGE", 10**6)
    infgram.calibrate(index)
    assert continuations.wide_tables_of(index, 0.2) is None
    assert not (generation(index.path) / FILE).exists()


def test_a_calibration_that_is_not_saved_leaves_none(index: infgram.Index) -> None:
    infgram.calibrate(index, save=False)
    assert not (generation(index.path) / FILE).exists()


def test_of_another_exponent_they_are_counted_anew(index: infgram.Index) -> None:
    infgram.calibrate(index)
    arrays = continuations.wide_tables_of(infgram.open(index.path), 0.5).arrays()  # type: ignore[union-attr]
    expected = continuations.count_wide_tables(index, 0.5).arrays()
    assert all(map(np.array_equal, arrays, expected))


def test_those_of_another_build_are_not_used(index: infgram.Index, memory_folder: Path) -> None:
    infgram.calibrate(index)
    other = make_index(memory_folder / "other.infgram", [prose(3000, 7)])
    expected = Model(other, KneserNey()).distribution(b"a")
    shutil.copy(generation(index.path) / FILE, generation(other.path) / FILE)
    found = Model(infgram.open(other.path), KneserNey()).distribution(b"a")
    assert np.array_equal(found, expected)


def test_where_the_index_cannot_be_written_the_users_cache_keeps_them(
    index: infgram.Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "cache"))
    create = system.create_file

    def refuse(path: str | Path, within: int | None = None) -> int:
        if os.path.basename(path).startswith((f".{FILE}.", ".calibration.npz.")):
            raise PermissionError(13, "Permission denied")
        return create(path, within)

    monkeypatch.setattr(system, "create_file", refuse)
    expected = Model(index, KneserNey()).distribution(b"a")
    names = {file.name for file in (tmp_path / "cache" / "infgram" / "calibrations").iterdir()}
    assert names == {f"{index.identity}.npz", f"{index.identity}-{FILE}"}
    monkeypatch.setattr(continuations, "count_wide_tables", None)
    found = Model(infgram.open(index.path), KneserNey()).distribution(b"a")
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    "change",
    [
        {"depths": None},
        {"exponent": None},
        {"exponent": np.array([0.2, 0.2])},
        {"exponent": np.array("0.2")},
        {"exponent": np.array(np.nan)},
        {"exponent": np.array(1j)},
        {"tokens": np.zeros(5, np.uint16)},
        {"shards": np.zeros(3, np.uint64)},
        {"shards": np.array([0, 10**6], np.uint64)},
        {"ranges": np.zeros(4, np.uint32)},
        {"offsets": np.zeros((2, 2), np.uint64)},
        {"tokens": np.zeros(0, np.uint8)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_damaged_ones_are_named_and_calibrate_mends_them(index: infgram.Index, change) -> None:
    infgram.calibrate(index)
    expected = Model(index, KneserNey()).distribution(b"a")
    path = generation(index.path) / FILE
    with np.load(path) as file:
        arrays = {**file, **change}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(CorruptIndex, match=f"{FILE}.*infgram calibrate"):
        Model(infgram.open(index.path), KneserNey()).distribution(b"a")
    mended = infgram.open(index.path)
    infgram.calibrate(mended)
    assert np.array_equal(Model(mended, KneserNey()).distribution(b"a"), expected)


def test_info_names_damaged_ones_and_calibrate_mends_them(index: infgram.Index) -> None:
    infgram.calibrate(index)
    path = generation(index.path) / FILE
    path.write_bytes(path.read_bytes()[:-100])
    (told,) = lines(run("info", "--json", index.path))[0]["damaged"]
    assert (told["file"], told["run"]) == (FILE, "infgram calibrate")
    run("calibrate", index.path)
    assert not lines(run("info", "--json", index.path))[0]["damaged"]


def test_tables_of_another_number_of_shards_are_refused(
    index: infgram.Index, memory_folder: Path
) -> None:
    infgram.calibrate(index)
    path = generation(index.path) / FILE
    with np.load(path) as file:
        arrays = dict(file)
    arrays["shards"] = arrays["shards"][[0, -1]]
    np.savez(path, **arrays)
    with pytest.raises(CorruptIndex, match=FILE):
        Model(infgram.open(index.path), KneserNey()).distribution(b"a")


def test_of_a_file_that_is_cut_short_no_more_is_believed(index: infgram.Index) -> None:
    infgram.calibrate(index)
    path = generation(index.path) / FILE
    raw = path.read_bytes()
    for size in (0, 10, len(raw) // 2, len(raw) - 1):
        path.write_bytes(raw[:size])
        with pytest.raises(CorruptIndex, match=FILE):
            Model(infgram.open(index.path), KneserNey()).distribution(b"a")
