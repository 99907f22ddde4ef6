"""A two-sided index tells what stood before a text; it is whole, or refused, on both sides."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from command_line import interrupted, lines, run, start
from conftest import examples, generation
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import Reference
from waiting import wait_until

import infgram
from infgram.errors import CorruptIndex, NotTwoSided
from infgram.store.building import build_index
from infgram.text.corpus import Document
from infgram.text.tokens import load

END = 256
TEXTS = [b"to be or not to be", b"", b"be that as it may", b"to"]


def make(path: Path, documents, **options) -> infgram.Index:
    contents = [
        Document(np.asarray(list(document), np.uint32), "memory", i, {"i": i})
        for i, document in enumerate(documents)
    ]
    options = {"tokenizer": load("bytes"), "two_sided": True, "overwrite": True, **options}
    build_index(contents, path, **options)
    return infgram.open(path)


@pytest.fixture(scope="module")
def sound(memory_folder: Path) -> Path:
    return make(memory_folder / "two_sided.infgram", TEXTS * 20, shard_tokens=300).path


@pytest.fixture
def damaged(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "damaged.infgram"))


@given(
    st.lists(st.lists(st.integers(0, 2), max_size=12), min_size=1, max_size=5).filter(any),
    st.lists(st.integers(0, 2), min_size=1, max_size=4),
    st.sampled_from([15, 10**6]),
)
@settings(max_examples=examples(60))
def test_the_other_side_counts_what_stood_before(
    memory_folder: Path, documents: list[list[int]], after: list[int], shard_tokens: int
) -> None:
    index = make(memory_folder / "random.infgram", documents, shard_tokens=shard_tokens)
    oracle = Reference(documents, END)
    expected: Counter[int] = Counter()
    for d, offset in oracle.occurrences(after):
        if offset:
            expected[documents[d][offset - 1]] += 1
        elif d < len(documents) - 1:  # the last document's end is no end of text
            expected[END] += 1
    ntd = index.backwards.ntd(after[::-1])
    assert dict(zip(ntd.token_ids.tolist(), ntd.counts.tolist(), strict=True)) == expected
    assert index.count(after) == index.backwards.count(after[::-1])
    index.verify()


def test_documents_keep_their_numbers_and_what_is_known_of_them(sound: Path) -> None:
    index = infgram.open(sound)
    assert index.n_shards > 1
    for d in range(index.n_documents):
        one, other = index.document(d), index.backwards.document(d)
        assert one.token_ids.tolist() == other.token_ids.tolist()[::-1]
        assert (one.line, one.metadata) == (other.line, other.metadata)


@pytest.mark.parametrize("tokenizer", ["chars", "ids"])
def test_wider_codes_have_two_sides_too(tmp_path: Path, tokenizer: str) -> None:
    vocabulary = load(tokenizer, vocab_size=5000 if tokenizer == "ids" else None)
    documents = [np.arange(40, 1000), np.arange(400, 40, -1)]
    index = make(tmp_path / "a.infgram", documents, tokenizer=vocabulary)
    index.verify()
    ntd = index.backwards.ntd([400])
    assert (ntd.token_ids.tolist(), ntd.counts.tolist()) == ([399], [1])  # nothing before the last


def test_shards_of_both_sides_are_sorted_by_several_processes(tmp_path: Path) -> None:
    one = make(tmp_path / "one.infgram", TEXTS * 20, shard_tokens=300)
    two = make(tmp_path / "two.infgram", TEXTS * 20, shard_tokens=300, jobs=2)
    two.verify()
    for query in TEXTS:
        assert one.backwards.ntd(query[::-1]).counts.tolist() == (
            two.backwards.ntd(query[::-1]).counts.tolist()
        )


def test_an_index_with_one_side_says_how_to_build_the_other(tmp_path: Path) -> None:
    index = make(tmp_path / "a.infgram", TEXTS, two_sided=False)
    assert not index.is_two_sided
    assert not (generation(index.path) / "backwards").exists()
    with pytest.raises(NotTwoSided, match="--two-sided"):
        index.backwards


def test_the_size_on_disk_is_that_of_both_sides(sound: Path) -> None:
    unmapped = (".json", ".npz")
    files = [p for p in generation(sound).rglob("*") if p.is_file() and p.suffix not in unmapped]
    assert infgram.open(sound).n_bytes == sum(p.stat().st_size for p in files)


def test_an_other_side_that_is_lost_is_missed_where_it_is_asked_for(damaged: Path) -> None:
    shutil.rmtree(generation(damaged) / "backwards")
    index = infgram.open(damaged)
    assert index.count("to be") == 40
    with pytest.raises(CorruptIndex, match="other side"):
        index.backwards


def test_another_builds_other_side_is_refused(damaged: Path, tmp_path: Path) -> None:
    other = make(tmp_path / "other.infgram", [b"what else"])
    shutil.rmtree(generation(damaged) / "backwards")
    shutil.copytree(generation(other.path) / "backwards", generation(damaged) / "backwards")
    with pytest.raises(CorruptIndex, match="another build"):
        infgram.open(damaged).backwards


def test_damage_of_the_other_side_is_found(damaged: Path) -> None:
    for path in sorted((generation(damaged) / "backwards").rglob("*")):
        if not path.is_file() or path.name == "verified.json":
            continue
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(CorruptIndex):
            infgram.open(damaged, verify=False).verify()
        path.write_bytes(content)
    infgram.open(damaged).verify()


def test_verify_finds_another_text_on_the_other_side(damaged: Path, tmp_path: Path) -> None:
    """Both sides are whole, and the outer manifest names the inner one; they do not fit."""
    from infgram.store import storage

    changed = [TEXTS[0].replace(b"not", b"ton"), *TEXTS[1:]] + TEXTS * 19
    other = make(tmp_path / "other.infgram", changed, shard_tokens=300)
    shutil.rmtree(generation(damaged) / "backwards")
    shutil.copytree(generation(other.path) / "backwards", generation(damaged) / "backwards")
    manifest = json.loads((generation(damaged) / "manifest.json").read_text())
    manifest["backwards"] = other.backwards.identity
    del manifest["checksum"]
    manifest["checksum"] = storage.checksum(manifest)
    (generation(damaged) / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CorruptIndex, match="does not hold the text backwards"):
        infgram.open(damaged).verify()


def test_both_sides_can_be_pickled(sound: Path) -> None:
    index = infgram.open(sound)
    assert pickle.loads(pickle.dumps(index.backwards)).count("eb") == index.count("be")


def test_tokens_are_located_by_how_many_stand_before_them(sound: Path) -> None:
    index = infgram.open(sound)
    documents = [index.document(d).token_ids.tolist() for d in range(index.n_documents)]
    expected = [(d, i) for d, document in enumerate(documents) for i in range(len(document))]
    assert [index.locate(i) for i in range(index.n_tokens)] == expected
    for s, shard in enumerate(index._shards):
        positions = np.concatenate(
            [
                np.arange(*shard.documents.bounds(d), dtype=np.uint32)
                for d in range(len(shard.documents))
            ]
        )
        first = sum(each.layout.n_tokens for each in index._shards[:s])
        found = index.source_offsets(np.full(len(positions), s), positions)
        assert found.tolist() == list(range(first, first + shard.layout.n_tokens))
    for wrong in (-1, index.n_tokens, "x"):
        with pytest.raises(ValueError, match="there is no token"):
            index.locate(wrong)


# Commands -----------------------------------------------------------------------------------------


def test_the_command_builds_both_sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("corpus.txt").write_bytes(b"to be or not to be\n" * 200)
    (built,) = lines(run("build", "corpus.txt", "--two-sided", "--calibrate", "--json"))
    (found,) = lines(run("info", "--json"))
    assert built["two_sided"] is found["two_sided"] is True
    assert built["n_bytes"] == found["n_bytes"]
    index = infgram.open("corpus.infgram")
    assert infgram.stored_calibration(index.backwards) is not None
    (index.backwards.path / "calibration.npz").unlink()
    run("calibrate")
    assert infgram.stored_calibration(index.backwards) is not None
    assert "sound" in run("verify").stdout
    run("build", "corpus.txt", "--overwrite")
    assert lines(run("info", "--json"))[0]["two_sided"] is False
    assert not list(Path("corpus.infgram").glob("**/backwards"))


def test_an_interrupted_build_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    process = start("build", "-", "-o", "x.infgram", "--two-sided", stdin=subprocess.PIPE)
    assert process.stdin
    process.stdin.write(b"to be")
    process.stdin.flush()
    wait_until(lambda: len(list(Path().glob("*/*"))) == 2)  # a lock, a spool
    assert interrupted(process)[0] == 130
    assert list(Path().iterdir()) == []
