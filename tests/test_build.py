"""From files to an index: kinds of input, tokenizers, documents, shards, and what is refused."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

import infgram
from infgram.errors import (
    BadRecordSkipped,
    EmptyCorpus,
    InputError,
    InvalidParameter,
    MalformedRecord,
    TokenError,
    TokenOutOfRange,
    UndecodableText,
)

JAPANESE = "吾輩は猫である。名前はまだ無い。\nどこで生れたかとんと見当がつかぬ。\n"


def write(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_json_lines_keep_their_other_fields_as_metadata(tmp_path: Path) -> None:
    records = [{"text": "to be", "act": 3}, {"text": "or not to be", "act": 4, "who": "Hamlet"}]
    corpus = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, records)))
    index = infgram.build(corpus, tmp_path / "a.infgram")
    assert index.n_documents == 2
    assert index.count("to be") == 2
    assert index.count("beor") == 0
    last = index.find("to be", limit=5)[1]
    assert (last.document, last.offset, last.line) == (1, 7, 2)
    assert last.metadata == {"act": 4, "who": "Hamlet"}
    assert (last.before, last.match, last.after) == ("or not ", "to be", "")
    assert index.document(0).text == "to be"


def test_numbers_that_no_json_holds_are_kept_as_text(tmp_path: Path) -> None:
    corpus = write(tmp_path / "a.jsonl", '{"text": "a", "x": 1e999, "y": NaN, "z": 1.5}')
    index = infgram.build(corpus, tmp_path / "a.infgram")
    assert index.document(0).metadata == {"x": "1e999", "y": "NaN", "z": 1.5}


def test_compressed_files_and_folders_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "a.txt.gz").write_bytes(gzip.compress(b"one fish"))
    write(folder / "b.txt", "two fish")
    write(folder / "c.md", "red fish")
    index = infgram.build(folder, tmp_path / "a.infgram")
    assert index.count("fish") == 3
    index = infgram.build(folder, tmp_path / "b.infgram", glob="*.md")
    assert index.count("fish") == 1


@pytest.mark.parametrize(("documents", "n"), [("file", 1), ("line", 2), ("paragraph", 1)])
def test_plain_text_is_split_as_asked(tmp_path: Path, documents, n: int) -> None:
    corpus = write(tmp_path / "a.txt", "one\ntwo\n")
    index = infgram.build(corpus, tmp_path / "a.infgram", documents=documents)
    assert index.n_documents == n
    assert index.count("e\nt") == (0 if documents == "line" else 1)


def test_characters_are_counted_as_characters(tmp_path: Path) -> None:
    corpus = write(tmp_path / "a.txt", JAPANESE)
    index = infgram.build(corpus, tmp_path / "a.infgram", tokenizer="chars")
    assert index.n_tokens == len(JAPANESE)
    assert index.count("は") == 2
    assert index.count("がつ") == 1
    assert index.ntd("名").most_common() == [("前", 1)]
    assert index.ntd("名").token_ids.tolist() == [ord("前")]
    assert index.levels("吾輩は") == [(3, 1), (1, 2)]
    text = infgram.generate(index, "吾輩", max_tokens=20, seed=0).text
    assert set(text) <= set(JAPANESE)
    assert "".join(infgram.stream(index, "吾輩", max_tokens=20, seed=0)) == text


def test_bytes_take_anything_and_characters_refuse_what_is_not_text(tmp_path: Path) -> None:
    corpus = write(tmp_path / "a.bin", bytes(range(256)) * 2 + b"\xff\xfe")
    index = infgram.build(corpus, tmp_path / "a.infgram", format="bytes")
    assert index.count(b"\xff\x00") == 1
    assert index.count(bytes(range(256))) == 2
    with pytest.raises(UndecodableText, match=r"a\.bin.*byte 0x80 at byte offset 128"):
        infgram.build(corpus, tmp_path / "b.infgram", tokenizer="chars", format="bytes")
    good = write(tmp_path / "good.txt", "text")
    with pytest.warns(BadRecordSkipped, match=r"a\.bin"):
        index = infgram.build(
            [corpus, good], tmp_path / "b.infgram", tokenizer="chars", format="bytes", skip_bad=True
        )
    assert index.count("text") == 1


def test_a_tokenizers_vocabulary_travels_with_the_index(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    trained = tokenizers.Tokenizer(tokenizers.models.BPE())
    trained.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    text = "the cat sat on the mat. " * 20
    trained.train_from_iterator([text], trainer)
    trained.save(str(tmp_path / "tokenizer.json"))
    corpus = write(tmp_path / "a.txt", text)
    built = infgram.build(corpus, tmp_path / "a.infgram", tokenizer=tmp_path / "tokenizer.json")
    (tmp_path / "tokenizer.json").unlink()
    index = infgram.open(built.path)
    ids = trained.encode(text).ids
    assert index.n_tokens == len(ids) < len(text)
    assert index.count(" cat") == 20
    assert index.count(trained.encode(" cat sat").ids) == 20
    assert "".join(infgram.stream(index, "the", max_tokens=90, seed=1)) == (
        infgram.generate(index, "the", max_tokens=90, seed=1).text
    )


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.int64])
def test_token_arrays_are_taken_as_they_are(tmp_path: Path, dtype) -> None:
    ids = np.array([5, 500, 5, 500, 9], dtype)
    np.save(tmp_path / "a.npy", ids)
    index = infgram.build(
        tmp_path / "a.npy", tmp_path / "a.infgram", tokenizer="ids", vocab_size=501
    )
    assert index.count([5, 500]) == 2
    assert index.count(ids[1:]) == 1
    assert index.ntd([5, 500]).token_ids.tolist() == [5, 9]
    assert infgram.generate(index, [500], max_tokens=3, k=1, seed=0).token_ids.max() <= 500
    with pytest.raises(TokenOutOfRange, match="501"):
        index.count([501])
    with pytest.raises(TokenError, match="token ids"):
        index.count("text")


def test_raw_token_files_are_read_by_their_width(tmp_path: Path) -> None:
    np.array([1, 2, 1, 2], "<u2").tofile(tmp_path / "a.u16")
    np.array([1, 2, 1, 2], "<u4").tofile(tmp_path / "a.bin")
    for i, (name, dtype) in enumerate([("a.u16", None), ("a.bin", "uint32")]):
        index = infgram.build(
            tmp_path / name,
            tmp_path / f"{i}.infgram",
            tokenizer="ids",
            vocab_size=3,
            token_dtype=dtype,
        )
        assert index.count([1, 2]) == 2


@pytest.mark.parametrize("ids", [[1, 300], [-1, 5], [2**32]])
def test_token_ids_outside_the_vocabulary_are_refused_at_build(tmp_path: Path, ids) -> None:
    np.save(tmp_path / "a.npy", np.array(ids))
    with pytest.raises(TokenOutOfRange, match=r"a\.npy.*place"):
        infgram.build(tmp_path / "a.npy", tmp_path / "a.infgram", tokenizer="ids", vocab_size=300)
    assert [p.name for p in tmp_path.iterdir()] == ["a.npy"]


def test_nothing_to_index_is_said_so(tmp_path: Path) -> None:
    empty = write(tmp_path / "empty.txt", "")
    with pytest.raises(EmptyCorpus, match="no tokens"):
        infgram.build(empty, tmp_path / "a.infgram")
    with pytest.raises(InputError, match="missing"):
        infgram.build(tmp_path / "missing", tmp_path / "a.infgram")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="folder"):
        infgram.build(tmp_path / "folder", tmp_path / "a.infgram")
    with pytest.raises(InputError):
        infgram.build([], tmp_path / "a.infgram")
    assert not (tmp_path / "a.infgram").exists()


def test_a_malformed_line_is_named_or_counted_and_passed_over(tmp_path: Path) -> None:
    corpus = write(tmp_path / "a.jsonl", '{"text": "good"}\n{"text": \n{"text": "fine"}\n')
    with pytest.raises(MalformedRecord, match=r"a\.jsonl:2"):
        infgram.build(corpus, tmp_path / "a.infgram")
    assert not (tmp_path / "a.infgram").exists()
    with pytest.warns(BadRecordSkipped, match=r"a\.jsonl:2"):
        index = infgram.build(corpus, tmp_path / "a.infgram", skip_bad=True)
    assert index.n_documents == 2


def test_a_document_that_fits_no_shard_is_refused_not_cut(tmp_path: Path) -> None:
    corpus = write(tmp_path / "a.txt", "x" * 100)
    with pytest.raises(InputError, match="does not fit a shard"):
        infgram.build(corpus, tmp_path / "a.infgram", shard_tokens=101)
    assert infgram.build(corpus, tmp_path / "a.infgram", shard_tokens=102).n_shards == 1
    for wrong in (1, 2**31):
        with pytest.raises(InvalidParameter, match="shard_tokens"):
            infgram.build(corpus, tmp_path / "b.infgram", shard_tokens=wrong)
    with pytest.raises(InvalidParameter, match="jobs"):
        infgram.build(corpus, tmp_path / "b.infgram", jobs=0)


def test_processes_build_the_same_shards_as_one(tmp_path: Path) -> None:
    corpus = write(tmp_path / "a.txt", "".join(f"line {i * i}\n" for i in range(500)))
    alone, many = (
        infgram.build(
            corpus, tmp_path / f"{jobs}.infgram", documents="line", shard_tokens=1500, jobs=jobs
        )
        for jobs in (1, 3)
    )
    assert alone.n_shards == many.n_shards > 3
    for name, entry in alone.manifest["files"].items():
        assert many.manifest["files"][name] == entry
    assert many.count("line 1") == alone.count("line 1")


def test_processes_import_nothing_from_the_current_folder(tmp_path, monkeypatch) -> None:
    corpus = write(tmp_path / "a.txt", "".join(f"line {i * i}\n" for i in range(500)))
    write(tmp_path / "numpy.py", "raise SystemExit('hijacked')")
    monkeypatch.chdir(tmp_path)
    index = infgram.build(
        corpus, tmp_path / "a.infgram", documents="line", shard_tokens=1500, jobs=2
    )
    assert index.count("line") == 500


def test_a_full_disk_in_a_process_is_a_storage_error(tmp_path: Path) -> None:
    """A limit on the size of files fails a worker as a full disk does: with an errno of its own."""
    corpus = write(tmp_path / "a.txt", "".join(f"line {i * i}\n" for i in range(3000)))
    script = """
import resource, signal, sys, infgram
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
try:
    infgram.build(sys.argv[1], sys.argv[2], documents="line", shard_tokens=20_000, jobs=2)
except infgram.InfgramError as error:
    print(type(error).__name__, error)
"""
    said = subprocess.run(
        [sys.executable, "-c", script, corpus, tmp_path / "a.infgram"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "StorageError" in said
    assert "File too large" in said
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_failing_process_is_an_error_and_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    corpus = write(tmp_path / "a.txt", "".join(f"line {i * i}\n" for i in range(500)))
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(infgram.InfgramError, match="sorting shard-0000"):
        infgram.build(corpus, tmp_path / "a.infgram", documents="line", shard_tokens=1500, jobs=2)
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


DOCUMENT = np.random.default_rng(0).integers(97, 123, 100_000).astype(np.uint8).tobytes()


@pytest.mark.parametrize(
    "text",
    [b"a" * 300_000, b"ab" * 150_000, DOCUMENT + b"\n" + DOCUMENT],
    ids=["one letter", "two letters", "a document twice"],
)
@pytest.mark.parametrize("tokenizer", ["bytes", "chars"])
def test_no_repetition_makes_a_build_or_a_query_quadratic(tmp_path, text, tokenizer) -> None:
    """A quadratic step over 300 kB would take minutes; the bound is two orders above the usual."""
    corpus = write(tmp_path / "a.txt", text)
    started = time.process_time()
    index = infgram.build(corpus, tmp_path / "a.infgram", tokenizer=tokenizer)
    assert index.count(text) == 1
    assert index.count(text[: len(text) // 3]) >= 1
    assert index.levels(text[-200:])[0].m >= 1
    assert index.match_lengths(text[:30_000], window=200)[-1] == 200
    assert infgram.copied_share(index, text[:100_000], run=50) == 1.0
    assert len(infgram.generate(index, text[:1000], max_tokens=10_000, seed=0).token_ids) > 0
    assert time.process_time() - started < 30


def test_progress_covers_every_stage_to_its_end(tmp_path: Path) -> None:
    corpus = write(tmp_path / "a.txt", "text " * 100)
    seen: dict[str, list[tuple[int, int]]] = {}
    infgram.build(
        corpus,
        tmp_path / "a.infgram",
        calibrate=True,
        progress=lambda stage, done, total: seen.setdefault(stage, []).append((done, total)),
    )
    assert set(seen) == {"read", "sort", "calibrate"}
    for steps in seen.values():
        assert steps == sorted(steps)
        assert steps[-1][0] == steps[-1][1]


def test_an_index_without_skipped_records_warns_of_nothing(tmp_path: Path) -> None:
    corpus = write(tmp_path / "a.txt", "text")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        infgram.build(corpus, tmp_path / "a.infgram", skip_bad=True)
