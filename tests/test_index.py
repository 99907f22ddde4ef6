"""The index as its users meet it: queries of every type, results, errors, threads, processes."""

from __future__ import annotations

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import make_index

import infgram
from infgram.errors import ContextNotFound, InvalidParameter, TokenError, TokenOutOfRange

TEXT = b"to be or not to be, that is the question: whether 'tis nobler in the mind to suffer"


@pytest.fixture(scope="module")
def index(memory_folder: Path) -> infgram.Index:
    documents = [np.frombuffer(TEXT, np.uint8), np.frombuffer(b"to be is to do", np.uint8)]
    return make_index(memory_folder / "hamlet.infgram", documents)


@pytest.mark.parametrize(
    "query",
    [
        "to be",
        b"to be",
        list(b"to be"),
        tuple(b"to be"),
        np.frombuffer(b"to be", np.uint8),
        np.array(list(b"to be"), np.int64),
        np.array(list(b"to be"), np.uint16),
        np.array(list(b"t_o_ _b_e_"), np.uint32)[::2],
        np.array(list(b"to be"), ">u4"),
    ],
    ids=lambda q: type(q).__name__ + str(getattr(q, "dtype", "")),
)
def test_every_kind_of_query_means_the_same(index: infgram.Index, query) -> None:
    assert index.count(query) == 3
    assert index.count_batch([query, "or"]).tolist() == [3, 1]
    assert index.ntd(query).prompt_cnt == 3
    assert index.levels(query)[0] == (5, 3)
    assert len(index.find(query)) == 3
    assert index.cursor(query).levels() == index.levels(query)
    assert infgram.generate(index, query, max_tokens=5, seed=0).text


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ([256], TokenOutOfRange),
        ([-1], TokenOutOfRange),
        ([2**40], TokenOutOfRange),
        (np.array([97, 300]), TokenOutOfRange),
        (np.array([1.5]), TokenError),
        (np.zeros((2, 2), np.int64), TokenError),
        ([True], TokenError),
        (["a"], TokenError),
        (5, TokenError),
        (None, TokenError),
        ({116}, TokenError),
    ],
    ids=str,
)
def test_a_query_that_is_no_tokens_is_refused_never_wrapped(index, query, error) -> None:
    for ask in (
        index.count,
        index.ntd,
        index.levels,
        index.find,
        index.cursor,
        index.match_lengths,
    ):
        with pytest.raises(error):
            ask(query)
    with pytest.raises(error):
        index.count_batch([query])


def test_batches_take_flat_tokens_and_offsets(index: infgram.Index) -> None:
    ngrams = [b"to be", b"", b"zebra", b"t"]
    offsets = np.cumsum([0, *map(len, ngrams)])
    flat = np.frombuffer(b"".join(ngrams), np.uint8)
    expected = [3, len(TEXT) + 14, 0, (TEXT + b"to be is to do").count(b"t")]
    assert index.count_batch(ngrams).tolist() == expected
    assert index.count_batch(flat, offsets).tolist() == expected
    assert index.count_batch(flat.astype(np.int32), offsets.astype(np.int32)).tolist() == expected
    assert index.count_batch([]).tolist() == []
    assert index.count_batch(iter(["to be"])).dtype == np.int64
    for wrong in ([0, 99], [5, 3], [-1, 2], [0, 1.5], [[0, 1]], [0, 2**63]):
        with pytest.raises(InvalidParameter, match="offset"):
            index.count_batch(flat, np.array(wrong))
    for text in ("to be", b"to be"):
        with pytest.raises(InvalidParameter, match="list"):
            index.count_batch(text)


def test_probabilities_sum_to_one_and_carry_their_counts(index: infgram.Index) -> None:
    ntd = index.ntd("to ")
    assert ntd.most_common() == [("be", 3)] or ntd.most_common(2) == [("b", 3), ("d", 1)]
    assert ntd.prompt_cnt == 5
    assert ntd.prob.sum() == pytest.approx(1.0)
    assert len(ntd) == 3
    assert "prompt_cnt=5" in repr(ntd)
    assert index.prob("to ", "b") == (5, 3, 0.6, 3)
    assert index.prob("to ", ord("b")).prob == 0.6
    assert index.prob("to ", "z").cont_cnt == 0


def test_the_end_of_a_document_is_a_next_token_and_the_corpus_end_is_not(index) -> None:
    assert index.end_of_text == 256
    ntd = index.ntd("to suffer")
    assert ntd.token_ids.tolist() == [256]
    assert ntd.most_common() == [("", 1)]
    assert index.prob("suffer", 256).prob == 1.0
    assert index.count("to do") == 1
    assert index.ntd("to do").prompt_cnt == 0


def test_an_unseen_prompt_has_no_probability_but_backs_off(index: infgram.Index) -> None:
    assert len(index.ntd("xyz")) == 0
    assert index.ntd("xyz").prob.tolist() == []
    with pytest.raises(ContextNotFound, match="infgram_prob"):
        index.prob("xyz", "a")
    backed_off = index.infgram_ntd("xyz to ")
    assert (backed_off.suffix_len, backed_off.prompt_cnt) == (4, 3)
    assert index.infgram_prob("xyz to ", "b").prob == 1 / 3
    nothing = index.infgram_ntd("\x00")
    assert (nothing.suffix_len, nothing.prompt_cnt) == (0, len(TEXT) + 14 + 1)


def test_lengths_are_counted_in_tokens_not_characters(memory_folder: Path) -> None:
    index = make_index(memory_folder / "accents.infgram", [list("né né".encode())])
    assert index.ntd("né").suffix_len == index.ntd("né".encode()).suffix_len == 3
    assert index.infgram_ntd("né").suffix_len == 3


def test_a_token_is_exactly_one(index: infgram.Index) -> None:
    with pytest.raises(InvalidParameter, match="exactly one"):
        index.prob("to ", "be")
    with pytest.raises(TokenOutOfRange):
        index.prob("to ", 257)
    with pytest.raises(TokenError):
        index.prob("to ", True)
    with pytest.raises(InvalidParameter):
        index.ntd("to ").most_common(-1)


def test_finding_draws_without_replacement_and_repeats_with_its_seed(index) -> None:
    every = index.find("t", limit=1000)
    assert len(every) == index.count("t")
    assert [(m.document, m.offset) for m in every] == sorted(
        {(m.document, m.offset) for m in every}
    )
    some = index.find("t", limit=4, seed=7)
    assert some == index.find("t", limit=4, seed=7)
    assert len({(m.document, m.offset) for m in some}) == 4
    assert {(m.document, m.offset) for m in some} <= {(m.document, m.offset) for m in every}
    assert index.find("zebra") == []
    assert index.find("t", limit=0) == []
    match = index.find("or not", context=3)[0]
    assert (match.before, match.match, match.after) == ("be ", "or not", " to")
    for wrong in ({"limit": -1}, {"context": -1}, {"seed": -1}, {"seed": "x"}):
        with pytest.raises(InvalidParameter):
            index.find("t", **wrong)
    with pytest.raises(InvalidParameter, match="empty"):
        index.find("")


def test_documents_are_given_back_whole(index: infgram.Index) -> None:
    document = index.document(1)
    assert (document.document, document.text, document.line) == (1, "to be is to do", 1)
    for wrong in (-1, 2, 0.5, None):
        with pytest.raises(InvalidParameter, match="the index has 2"):
            index.document(wrong)


def test_a_cursor_crosses_into_a_new_document_without_its_past(index: infgram.Index) -> None:
    cursor = index.cursor("to suffer")
    cursor.advance(index.end_of_text)
    assert cursor.levels() == index.start_of_document().levels()
    assert cursor.ntd().most_common() == [("t", 2)]
    with pytest.raises(InvalidParameter, match="level"):
        cursor.ntd(level=5)
    for window in (0, -1, 2**32, 1.5):
        for begin in (
            lambda w: index.cursor("to", window=w),
            lambda w: index.start_of_document(window=w),
        ):
            with pytest.raises(InvalidParameter, match="window"):
                begin(window)
    with pytest.raises(TokenError):
        cursor.advance(True)


def test_an_index_opens_again_in_another_process_from_its_pickle(index: infgram.Index) -> None:
    script = """
import pickle, sys
index, cursor = pickle.load(sys.stdin.buffer)
print(index.count("to be"), cursor.levels())
"""
    said = subprocess.run(
        [sys.executable, "-c", script],
        input=pickle.dumps((index, index.cursor("to be"))),
        capture_output=True,
        check=True,
    ).stdout.decode()
    assert said.splitlines()[-1] == f"3 {index.levels('to be')}"


def test_threads_may_share_a_cursor(prose_index: infgram.Index) -> None:
    """They take turns; each token is read once, and nothing deadlocks or crashes."""
    cursor = prose_index.cursor(window=50)

    def read(_: int) -> object:
        cursor.advance("e" * 300)
        return cursor.levels(), cursor.copy().ntd().counts, pickle.dumps(cursor)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(read, range(40)))
    assert cursor.levels() == prose_index.cursor("e" * 50, window=50).levels()


def test_threads_share_one_index(prose_index: infgram.Index) -> None:
    def ask(i: int) -> object:
        text = infgram.generate(prose_index, "KING ", max_tokens=2000, seed=i).text
        return text, prose_index.count(text[:3]), prose_index.levels(text[:200])

    alone = [ask(i) for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == alone


def test_a_result_outlives_its_index(memory_folder: Path) -> None:
    cursor = make_index(memory_folder / "gone.infgram", [list(b"abcabc")]).cursor("ab")
    native = cursor.native
    del cursor
    assert native.levels() == [(2, 2)]


def test_the_representation_tells_what_it_is(index: infgram.Index) -> None:
    assert repr(index) == (
        "<infgram.Index 'hamlet.infgram': 97 tokens (bytes), 2 documents, 1 shards>"
    )
