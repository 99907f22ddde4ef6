"""Repeats: against comparing every window with all before it; and what is written without them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from conftest import examples, make_index
from hypothesis import given, settings
from hypothesis import strategies as st

import infgram
from infgram.errors import InvalidParameter, UndecodableText
from infgram.tracing.repeats import dedup, repeats

Documents = list[list[int]]
Window = tuple[int, ...]

documents_of_few = st.lists(st.lists(st.integers(0, 2), max_size=30), min_size=1, max_size=5)


def windows(documents: Documents, length: int) -> list[tuple[int, int, Window]]:
    return [
        (d, i, tuple(document[i : i + length]))
        for d, document in enumerate(documents)
        for i in range(len(document) - length + 1)
    ]


def naive(
    documents: Documents, length: int, before: Documents | None = None
) -> list[tuple[int, int, int, int, int]]:
    """(document, begin, end, where it first stands) of all tokens in a window seen before."""
    first: dict[Window, tuple[int, int]] = {}
    for d, i, window in windows(documents if before is None else before, length):
        first.setdefault(window, (d, i))
    spans: list[tuple[int, int, int, int, int]] = []
    for d, i, window in windows(documents, length):
        if (first.get(window, (d, i)) == (d, i) and before is None) or window not in first:
            continue
        if spans and spans[-1][0] == d and i <= spans[-1][2]:
            spans[-1] = (*spans[-1][:2], i + length, *spans[-1][3:])
        else:
            spans.append((d, i, i + length, *first[window]))
    return spans


@settings(max_examples=examples(200))
@given(
    documents=documents_of_few.filter(any),
    length=st.integers(1, 9),
    shard_tokens=st.sampled_from([32, 2**31 - 2]),
    code_bits=st.sampled_from([8, 16, 32]),
)
def test_they_are_those_that_comparing_finds(
    memory_folder: Path, documents: Documents, length: int, shard_tokens: int, code_bits: int
) -> None:
    index = make_index(
        memory_folder / "repeats.infgram",
        documents,
        shard_tokens=shard_tokens,
        code_bits=code_bits,
    )
    found = [
        (e.document, e.begin, e.end, e.first_document, e.first_begin)
        for e in repeats(index, length)
    ]
    assert found == naive(documents, length)


@settings(max_examples=examples(100))
@given(
    documents=documents_of_few.filter(any), others=documents_of_few.filter(any), n=st.integers(1, 9)
)
def test_against_another_corpus(
    memory_folder: Path, documents: Documents, others: Documents, n: int
) -> None:
    index = make_index(memory_folder / "one.infgram", documents)
    other = make_index(memory_folder / "other.infgram", others)
    found = [
        (e.document, e.begin, e.end, e.first_document, e.first_begin)
        for e in repeats(index, n, against=other)
    ]
    assert found == naive(documents, n, others)


@pytest.mark.parametrize("length", [253, 254, 255, 256, 257, 300, 999, 1000, 1001])
def test_long_ones(length: int) -> None:
    """The column `same` says at most 255."""
    rng = np.random.default_rng(length)
    own = rng.integers(0, 4, 1_000)
    other = rng.integers(0, 4, 300)
    documents = [
        own.tolist(),
        other.tolist() + own.tolist(),
        own[:700].tolist(),
        own[300:].tolist(),
    ]
    index = infgram.build(
        [np.array(d, np.uint32) for d in documents], tokenizer="ids", vocab_size=4
    )
    found = [
        (e.document, e.begin, e.end, e.first_document, e.first_begin)
        for e in repeats(index, length)
    ]
    assert found == naive(documents, length)


def kept(path: Path) -> list[str]:
    return [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines()]


def bytes_windows(texts: list[str], length: int) -> Counter[Window]:
    return Counter(w for _, _, w in windows([list(t.encode()) for t in texts], length))


pytestmark = pytest.mark.usefixtures("temporary_folders_in_memory")
words = st.text("ab é語", max_size=60)


@settings(max_examples=examples(60))
@given(texts=st.lists(words, min_size=1, max_size=5).filter(any), length=st.integers(7, 12))
def test_what_is_written_has_none(memory_folder: Path, texts: list[str], length: int) -> None:
    folder = memory_folder
    index = infgram.build(texts)
    report = dedup(index, folder / "a.jsonl", length)
    dedup(index, folder / "b.jsonl", length)
    assert (folder / "a.jsonl").read_bytes() == (folder / "b.jsonl").read_bytes()
    left = kept(folder / "a.jsonl")
    assert max(bytes_windows(left, length).values(), default=1) == 1
    assert report.n_left == 0
    assert report.n_tokens - report.n_removed == sum(len(t.encode()) for t in left)
    assert report.n_documents - report.n_emptied == len(left)
    if not report.n_removed:
        assert left == [text for text in texts if text]


def naive_dedup(texts: list[str], length: int) -> list[str]:
    while spans := naive([list(map(ord, text)) for text in texts], length):
        cut = [list(text) for text in texts]
        for d, begin, end, *_ in spans:
            cut[d][begin:end] = [""] * (end - begin)
        texts = ["".join(text) for text in cut]
    return [text for text in texts if text]


@settings(max_examples=examples(60))
@given(
    texts=st.lists(st.text("aé", max_size=30), min_size=1, max_size=4).filter(any),
    length=st.integers(1, 9),
)
def test_what_is_written_is_what_cutting_by_hand_leaves(
    memory_folder: Path, texts: list[str], length: int
) -> None:
    dedup(infgram.build(texts, tokenizer="chars"), memory_folder / "kept.jsonl", length)
    assert kept(memory_folder / "kept.jsonl") == naive_dedup(texts, length)


@settings(max_examples=examples(50))
@given(
    texts=st.lists(words, min_size=1, max_size=4).filter(any),
    others=st.lists(words, min_size=1, max_size=4).filter(any),
    length=st.integers(7, 10),
)
def test_nothing_of_another_corpus_is_left(
    memory_folder: Path, texts: list[str], others: list[str], length: int
) -> None:
    path = memory_folder / "kept.jsonl"
    dedup(infgram.build(texts), path, length, against=infgram.build(others))
    left = kept(path)
    assert not bytes_windows(left, length) & bytes_windows(others, length)
    assert max(bytes_windows(left, length).values(), default=1) == 1  # nor twice in its own


def test_half_a_surrogate_pair_in_metadata_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "to be", "x": "\\ud800"}\n')
    dedup(infgram.build(path), tmp_path / "out.jsonl", 8)
    (record,) = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert record == {"text": "to be", "x": "\ud800"}


def test_names_that_promise_what_is_not_written_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match=r"without \.gz"):
        dedup(infgram.build(["to be"]), tmp_path / "kept.jsonl.gz", 8)
    with pytest.raises(InvalidParameter, match="text_field is"):
        dedup(infgram.build(["to be"]), tmp_path / "kept.jsonl", 8, text_field=3)  # type: ignore[arg-type]


def test_cuts_that_make_a_new_repeat_are_searched_again(tmp_path: Path) -> None:
    # without "0123456" the second document reads "abcdefgh", which stands first
    index = infgram.build(["0123456", "abcdefgh.", "abcd0123456efgh"])
    report = dedup(index, tmp_path / "kept.jsonl", 7)
    assert kept(tmp_path / "kept.jsonl") == ["0123456", "abcdefgh."]
    assert report.n_emptied == 1 and report.n_passes == 3 and report.n_spans == 2


def test_characters_stay_whole(tmp_path: Path) -> None:
    # é is C3 A9 and © is C2 A9: the run begins inside of both
    index = infgram.build(["é1234567", "x©1234567"])
    dedup(index, tmp_path / "kept.jsonl", 8)
    assert kept(tmp_path / "kept.jsonl") == ["é1234567", "x©"]


def test_metadata_is_kept(tmp_path: Path) -> None:
    index = infgram.build([{"text": "hello world", "id": 1}, {"text": "hello world!", "id": 2}])
    dedup(index, tmp_path / "kept.jsonl", 11)
    records = [json.loads(line) for line in (tmp_path / "kept.jsonl").read_text().splitlines()]
    assert records == [{"text": "hello world", "id": 1}, {"text": "!", "id": 2}]
    again = infgram.build(tmp_path / "kept.jsonl")
    assert again.document(1).metadata == {"id": 2}
    with pytest.raises(InvalidParameter, match="metadata of that name"):
        dedup(index, tmp_path / "other.jsonl", 11, text_field="id")
    assert not (tmp_path / "other.jsonl").exists()


def test_token_ids(tmp_path: Path) -> None:
    documents = [np.array(d, np.uint32) for d in ([1, 2, 3, 4], [0, 1, 2, 3, 4, 5], [1, 2, 3])]
    index = infgram.build(documents, tokenizer="ids", vocab_size=9)
    with pytest.raises(InvalidParameter, match=r"\.npy"):
        dedup(index, tmp_path / "kept.jsonl", 3)
    report = dedup(index, tmp_path / "kept.npy", 3)
    assert np.load(tmp_path / "kept.npy").tolist() == [1, 2, 3, 4, 9, 0, 5]
    assert report.n_emptied == 1
    again = infgram.build(tmp_path / "kept.npy", tokenizer="ids", vocab_size=10, separator=9)
    assert [again.document(i).token_ids.tolist() for i in range(2)] == [[1, 2, 3, 4], [0, 5]]


def test_all_of_a_corpus_may_stand_in_another(tmp_path: Path) -> None:
    index = infgram.build(["the same text"])
    report = dedup(index, tmp_path / "kept.jsonl", 8, against=index)
    assert (tmp_path / "kept.jsonl").read_bytes() == b"" and report.n_emptied == 1
    dedup(index, tmp_path / "kept.npy", 8, against=index)
    assert np.load(tmp_path / "kept.npy").tolist() == []


def test_bytes_that_json_cannot_hold(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"caf\xe9 12345678 12345678")
    with pytest.warns(infgram.errors.NotUnicode):
        index = infgram.build(tmp_path / "a.txt")
    with pytest.raises(UndecodableText, match="not UTF-8"):
        dedup(index, tmp_path / "kept.jsonl", 8)
    dedup(index, tmp_path / "kept.npy", 8)
    assert bytes(np.load(tmp_path / "kept.npy").tolist()) == b"caf\xe9 12345678"


def test_nonsense_is_refused(tmp_path: Path) -> None:
    index = infgram.build(["hello"])
    with pytest.raises(InvalidParameter, match="length is 0"):
        repeats(index, 0)
    with pytest.raises(InvalidParameter, match="at least 7"):
        dedup(index, tmp_path / "a.jsonl", 6)
    with pytest.raises(InvalidParameter, match="one tokenizer"):
        repeats(index, 5, against=infgram.build(["hello"], tokenizer="chars"))
    assert not list(tmp_path.iterdir())
