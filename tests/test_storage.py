"""An index is whole or refused: damage of any file is an error, never a crash or a wrong count."""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import examples, generation, make_index

import infgram
from infgram.errors import (
    CorruptIndex,
    IndexExists,
    NotAnIndex,
    StorageError,
    TokenError,
    UnsupportedFormat,
)
from infgram.store import storage

TEXT = b"the cat sat on the mat; the dog sat on the log.\n" * 20
QUERIES = [b"the", b"sat on the ", b"dog", b"zebra", b"t", TEXT[5:100]]


@pytest.fixture(scope="module")
def sound(memory_folder: Path) -> Path:
    """A sound index of several documents and shards."""
    documents = [np.frombuffer(TEXT[i:], np.uint8) for i in (0, 7, 300)]
    return make_index(memory_folder / "sound.infgram", documents, shard_tokens=2000).path


@pytest.fixture
def damaged(sound: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(sound, tmp_path / "damaged.infgram"))


def answers(path: Path) -> list[object]:
    """What an index says, or raises InfgramError."""
    index = infgram.open(path)
    found: list[object] = [index.count(query) for query in QUERIES]
    found += [index.ntd(query).counts.tolist() for query in QUERIES]
    found += [index.levels(query) for query in QUERIES]
    found += [(m.document, m.offset, m.before, m.after) for m in index.find("sat", limit=5, seed=1)]
    found += [infgram.generate(index, "the", max_tokens=50, seed=0).text]
    found += [index.document(d).text for d in range(index.n_documents)]
    return found


def files_of(path: Path) -> list[Path]:
    unread = (storage.VERIFIED, "lock")
    return sorted(p for p in path.rglob("*") if p.is_file() and p.name not in unread)


def test_any_truncation_of_any_file_is_refused_at_open(damaged: Path) -> None:
    rng = random.Random(0)
    for file in files_of(damaged):
        whole = file.read_bytes()
        for size in {0, len(whole) - 1, len(whole) // 2, rng.randrange(len(whole))}:
            file.write_bytes(whole[:size])
            with pytest.raises((CorruptIndex, NotAnIndex), match=file.name):
                infgram.open(damaged)
        file.unlink()
        with pytest.raises((CorruptIndex, NotAnIndex), match=file.name):
            infgram.open(damaged)
        file.write_bytes(whole)
    assert answers(damaged)


def test_a_flipped_bit_anywhere_is_refused_or_harmless(sound: Path, damaged: Path) -> None:
    truth = answers(sound)
    rng = random.Random(1)
    refused = 0
    for _ in range(examples(300)):
        file = rng.choice(files_of(damaged))
        whole = file.read_bytes()
        at, bit = rng.randrange(len(whole)), rng.randrange(8)
        flipped = bytearray(whole)
        flipped[at] ^= 1 << bit
        file.write_bytes(flipped)
        try:
            assert answers(damaged) == truth
        except (StorageError, TokenError):
            refused += 1
        file.write_bytes(whole)
    assert refused > 0.8 * examples(300)


def test_damage_that_nobody_checked_never_crashes(damaged: Path) -> None:
    """Without any check, answers may be wrong, but the process lives and memory stays in bounds."""
    rng = random.Random(2)
    columns = [f for f in files_of(damaged) if f.suffix != ".json"]
    for _ in range(examples(300)):
        file = rng.choice(columns)
        whole = file.read_bytes()
        broken = bytearray(whole)
        for _ in range(rng.choice([1, 5, 100])):
            broken[rng.randrange(len(whole))] = rng.randrange(256)
        file.write_bytes(broken)
        try:
            index = infgram.open(damaged, verify=False)
            for query in QUERIES:
                index.count(query), index.levels(query), index.ntd(query)
                index.match_lengths(query)
            index.find("the", limit=20, seed=0)
            infgram.generate(index, "the", max_tokens=100, k=-1, seed=0)
            index.document(1)
        except (StorageError, TokenError, ValueError):
            pass
        file.write_bytes(whole)


def test_verify_finds_a_flip_that_kept_the_times(sound: Path, damaged: Path) -> None:
    assert answers(damaged) == answers(sound)  # checks the copy once and notes its times
    file = generation(damaged) / "shard-00000" / "next"
    stamp = json.loads((generation(damaged) / storage.VERIFIED).read_text())
    content = bytearray(file.read_bytes())
    content[10] ^= 1
    file.write_bytes(content)
    stat = file.stat()
    stamp["files"]["shard-00000/next"] = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
    (generation(damaged) / storage.VERIFIED).write_text(json.dumps(stamp))
    index = infgram.open(damaged)
    with pytest.raises(CorruptIndex, match="next"):
        index.verify()
    with pytest.raises(CorruptIndex, match="next"):
        infgram.open(damaged, verify=True)


def test_verify_finds_rows_out_of_order_behind_right_checksums(damaged: Path) -> None:
    stored = infgram.open(damaged).stored
    name = "shard-00000/sa"
    column = stored.column(name).copy()
    column[[3, 4]] = column[[4, 3]]
    writer = storage.IndexWriter(generation(damaged))
    writer.files = dict(stored.manifest["files"])
    writer.write(name, column)
    writer.finish({k: v for k, v in stored.manifest.items() if k != "files"})
    index = infgram.open(damaged)
    with pytest.raises(CorruptIndex, match="not sorted"):
        index.verify()


def edit_manifest(path: Path, **fields: object) -> None:
    """Changes fields and makes the manifest's own checksum fit again."""
    file = generation(path) / storage.MANIFEST
    manifest = json.loads(file.read_text())
    manifest.pop("checksum")
    manifest.update(fields)
    manifest["checksum"] = storage.checksum(manifest)
    file.write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"version": 3}, UnsupportedFormat),
        ({"version": "2"}, UnsupportedFormat),
        ({"version": True}, UnsupportedFormat),
        ({"byte_order": "big"}, UnsupportedFormat),
        ({"format": "other"}, NotAnIndex),
        ({"shards": None}, CorruptIndex),
        ({"shards": []}, CorruptIndex),
        ({"files": {}}, CorruptIndex),
        ({"files": None}, CorruptIndex),
        ({"files": {"token_ids": {"dtype": "uint32", "length": 4, "n_bytes": "x"}}}, CorruptIndex),
        ({"n_tokens": "x"}, CorruptIndex),
        ({"n_documents": 10**6}, CorruptIndex),
        ({"code_bits": 64}, CorruptIndex),
        ({"code_bits": 16}, CorruptIndex),
        ({"block_rows": 3}, (CorruptIndex, ValueError)),
        ({"tokenizer": {"name": "chars", "vocab_size": 3, "sha256": "x"}}, TokenError),
        ({"tokenizer": {"name": "unheard of", "vocab_size": 9}}, TokenError),
        ({"tokenizer": {"name": "unheard of"}}, CorruptIndex),
    ],
    ids=str,
)
def test_a_manifest_of_another_kind_is_refused_with_its_reason(damaged, fields, error) -> None:
    edit_manifest(damaged, **fields)
    with pytest.raises(error):
        infgram.open(damaged)


def test_a_number_that_the_core_cannot_hold_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "wide.txt"
    text.write_text("".join(map(chr, range(0x4E00, 0x4E00 + 400))))
    path = infgram.build(text, tmp_path / "wide.infgram", tokenizer="chars").path
    edit_manifest(path, block_rows=1 << 32)
    with pytest.raises(CorruptIndex, match="block_rows"):
        infgram.open(path)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"format": "infgram"}', b"[" * 100_000]
)
def test_a_manifest_of_nonsense_is_refused(damaged: Path, content: bytes) -> None:
    (generation(damaged) / storage.MANIFEST).write_bytes(content)
    with pytest.raises(StorageError):
        infgram.open(damaged)


def test_what_is_no_index_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotAnIndex, match="does not exist"):
        infgram.open(tmp_path / "nothing")
    with pytest.raises(NotAnIndex, match="manifest"):
        infgram.open(tmp_path)
    file = tmp_path / "corpus.txt"
    file.write_text("text")
    with pytest.raises(NotAnIndex, match="infgram build"):
        infgram.open(file)


def test_a_swapped_column_of_the_same_size_is_refused(damaged: Path) -> None:
    shard = generation(damaged) / "shard-00000"
    shutil.copy(shard / "next", shard / "codes")
    with pytest.raises(CorruptIndex, match="codes"):
        infgram.open(damaged)


def test_an_existing_index_survives_unless_overwritten(tmp_path: Path) -> None:
    corpus = tmp_path / "a.txt"
    corpus.write_bytes(b"first")
    path = tmp_path / "a.infgram"
    first = infgram.build(corpus, path)
    corpus.write_bytes(b"second")
    with pytest.raises(IndexExists, match="overwrite"):
        infgram.build(corpus, path)
    assert infgram.open(path).count("first") == 1
    assert infgram.build(corpus, path, overwrite=True).count("second") == 1
    assert first.count("first") == 1  # who has it open keeps the old one
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.infgram", "a.txt"]


def test_overwriting_never_deletes_what_is_no_index(tmp_path: Path) -> None:
    corpus = tmp_path / "a.txt"
    corpus.write_bytes(b"text")
    precious = tmp_path / "home"
    precious.mkdir()
    (precious / "letter").write_text("dear")
    with pytest.raises(NotAnIndex, match="not overwritten"):
        infgram.build(corpus, precious, overwrite=True)
    with pytest.raises(NotAnIndex, match="not overwritten"):
        infgram.build(corpus, corpus, overwrite=True)
    assert (precious / "letter").read_text() == "dear"


def test_a_failing_build_leaves_nothing_and_keeps_the_old_index(tmp_path: Path) -> None:
    corpus = tmp_path / "a.txt"
    corpus.write_bytes(b"old")
    path = tmp_path / "a.infgram"
    infgram.build(corpus, path)

    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "sort":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        infgram.build(corpus, path, overwrite=True, progress=interrupt)
    assert infgram.open(path).count("old") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.infgram", "a.txt"]


BUILD_AND_DIE = """
import os, sys, infgram
def progress(stage, done, total):
    if stage == "sort":
        os.kill(os.getpid(), 9)
infgram.build(sys.argv[1], sys.argv[2], progress=progress)
"""


def test_a_killed_build_leaves_nothing_that_opens_and_the_next_one_cleans_up(tmp_path) -> None:
    corpus = tmp_path / "a.txt"
    corpus.write_bytes(TEXT)
    path = tmp_path / "a.infgram"
    subprocess.run([sys.executable, "-c", BUILD_AND_DIE, corpus, path], check=False)
    left = [p for p in tmp_path.iterdir() if p.name.startswith(".a.infgram")]
    assert len(left) == 1
    assert not path.exists()
    with pytest.raises(NotAnIndex):
        infgram.open(left[0])
    infgram.build(corpus, path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.infgram", "a.txt"]


def test_overwriting_through_a_link_replaces_what_it_points_to(tmp_path: Path) -> None:
    corpus = tmp_path / "a.txt"
    corpus.write_bytes(b"old")
    infgram.build(corpus, tmp_path / "real.infgram")
    (tmp_path / "link.infgram").symlink_to("real.infgram")
    corpus.write_bytes(b"new")
    infgram.build(corpus, tmp_path / "link.infgram", overwrite=True)
    assert infgram.open(tmp_path / "real.infgram").count("new") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.txt", "link.infgram", "real.infgram"]


def test_opening_writes_nothing_through_a_link(damaged: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("dear")
    (generation(damaged) / storage.VERIFIED).unlink(missing_ok=True)
    (generation(damaged) / storage.VERIFIED).symlink_to(precious)
    infgram.open(damaged)
    assert precious.read_text() == "dear"


def test_damage_during_a_check_is_not_noted_as_sound(damaged: Path) -> None:
    index = infgram.open(damaged)
    files = list(index.manifest["files"])
    first = generation(damaged) / files[0]

    def damage(stage: str, done: int, total: int) -> None:
        if done == total:
            content = bytearray(first.read_bytes())
            content[0] ^= 1
            first.write_bytes(content)

    storage.check_sums(index.stored, damage)
    with pytest.raises(CorruptIndex, match=files[0]):
        infgram.open(damaged)


def test_a_pickle_does_not_answer_from_another_build(tmp_path: Path) -> None:
    corpus = tmp_path / "a.txt"
    corpus.write_bytes(b"to be or not")
    index = infgram.build(corpus, tmp_path / "a.infgram")
    pickles = [pickle.dumps(index), pickle.dumps(index.cursor("to"))]
    assert [pickle.loads(p) for p in pickles]
    corpus.write_bytes(b"not to be or")
    infgram.build(corpus, tmp_path / "a.infgram", overwrite=True)
    for old in pickles:
        with pytest.raises(StorageError, match="built anew"):
            pickle.loads(old)


def test_an_index_of_fifty_shards_needs_no_more_open_files_than_one(tmp_path: Path) -> None:
    path = tmp_path / "a.infgram"
    texts = [f"{i} to be or not to be" for i in range(50)]
    assert infgram.build(texts, path, shard_tokens=30).n_shards == 50
    script = """
import resource, sys, infgram
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), 256))
try:
    index = infgram.open(sys.argv[1], verify=True)
    print(index.count("to be"), index.find("49")[0].document)
except infgram.InfgramError as error:
    print(type(error).__name__, error)
"""

    def said(most: int) -> str:
        run = [sys.executable, "-c", script, path, str(most)]
        return subprocess.run(run, capture_output=True, text=True, check=True).stdout

    assert said(24) == said(256) == "100 49\n"
    assert "StorageError" in said(4)
    assert "ulimit -n" in said(4)


def test_two_builds_into_one_folder_end_with_one_whole_index(tmp_path: Path) -> None:
    corpus = tmp_path / "a.txt"
    corpus.write_bytes(TEXT * 50)
    script = "import sys, infgram; infgram.build(sys.argv[1], sys.argv[2])"
    path = tmp_path / "a.infgram"
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", script, corpus, path], stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    errors = [worker.communicate()[1] for worker in workers]
    codes = [worker.returncode for worker in workers]
    assert 0 in codes
    for code, error in zip(codes, errors, strict=True):
        assert code == 0 or "IndexExists" in error
    infgram.open(path, verify=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.infgram", "a.txt"]


def can_mount() -> bool:
    return os.geteuid() == 0 and shutil.which("mount") is not None


def test_a_full_disk_is_a_storage_error_and_leaves_nothing(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = (
        can_mount()
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", small],
            capture_output=True,
            check=False,
        ).returncode
    )
    if not mounted:
        pytest.skip("mounting a small file system needs root")
    try:
        corpus = tmp_path / "a.txt"
        corpus.write_bytes(TEXT * 200)
        with pytest.raises(StorageError, match="No space left"):
            infgram.build(corpus, small / "a.infgram")
        assert list(small.iterdir()) == []
        corpus.write_bytes(TEXT)
        infgram.build(corpus, small / "a.infgram")
    finally:
        subprocess.run(["umount", small], check=True)


@pytest.mark.parametrize(
    "name", ["sp ace", "tokenized", "日本", "per%cent", "new\nline", "-dash", "é'\"$;"]
)
def test_odd_characters_in_a_path_do_no_harm(tmp_path: Path, name: str) -> None:
    corpus = tmp_path / f"{name}.txt"
    corpus.write_bytes(TEXT)
    index = infgram.build(corpus, tmp_path / f"{name}.infgram")
    assert index.count("the") == TEXT.count(b"the")
    assert index.find("cat", limit=1)[0].source == str(corpus)


def test_a_folder_that_cannot_hold_an_index_is_named(tmp_path: Path) -> None:
    corpus = tmp_path / "a.txt"
    corpus.write_bytes(TEXT)
    with pytest.raises(StorageError, match="does not exist"):
        infgram.build(corpus, tmp_path / "no" / "where.infgram")


def test_a_copied_index_is_checked_once(sound: Path, damaged: Path, monkeypatch) -> None:
    checked = []
    check = storage.check_sums
    monkeypatch.setattr(storage, "check_sums", lambda s, *a: (checked.append(1), check(s, *a)))
    infgram.open(sound)
    assert checked == []
    infgram.open(damaged)
    infgram.open(damaged)
    assert checked == [1]


def test_strings_that_lost_their_offsets_are_refused() -> None:
    lost = storage.Strings(np.zeros(3, np.uint8), np.zeros(0, np.uint64))
    assert len(lost) == 0
    with pytest.raises(CorruptIndex, match="out of order"):
        lost[0]


def test_what_was_let_go_is_read_again(tmp_path: Path) -> None:
    index = infgram.build(["to be or not to be"] * 500, tmp_path / "a.infgram")
    found = index.count("to be"), index.ntd("to ")
    index.stored.let_go()
    assert (index.count("to be"), index.ntd("to ")) == found == (1000, index.ntd("to "))
