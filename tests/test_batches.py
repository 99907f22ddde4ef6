"""Many queries at once are answered as one by one, and an error says which of them it is of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import examples, make_index
from hypothesis import given, settings
from reference import Reference
from test_exact import cases

import infgram
from infgram.errors import ContextNotFound, InvalidParameter, TokenOutOfRange
from infgram.seeds import spawn
from infgram.text.tokens import load


@settings(max_examples=examples(60))
@given(case=cases())
def test_batches_answer_as_single_questions_do(
    case: tuple[int, list[list[int]], int, list[list[int]]], memory_folder: Path
) -> None:
    code_bits, documents, shard_tokens, queries = case
    tokenizer = load("ids", vocab_size=2**32 - 2) if code_bits != 8 else load("bytes")
    index = make_index(
        memory_folder / "batches.infgram",
        documents,
        tokenizer=tokenizer,
        shard_tokens=shard_tokens,
        code_bits=code_bits,
    )
    reference = Reference(documents, index.end_of_text)
    assert index.count_batch(queries).tolist() == [index.count(query) for query in queries]
    found = index.ntd_batch(queries)
    assert [dict(ntd) for ntd in found] == [dict(reference.ntd(query)) for query in queries]
    for ntd, query in zip(found, queries, strict=True):
        single = index.ntd(query)
        assert ntd == single and repr(ntd) == repr(single)
        assert (ntd.prompt_cnt, ntd.suffix_len) == (single.prompt_cnt, len(query))
    flat = np.array([token for query in queries for token in query], np.uint32)
    assert index.ntd_batch(flat, np.cumsum([0, *map(len, queries)])) == found
    asked = [query for query in queries if query]
    matches = index.find_batch(asked, limit=3, seed=7, context=2)
    for own, query, rng in zip(matches, asked, spawn(7, len(asked)), strict=True):
        assert own == index.find(query, limit=3, seed=rng, context=2)
        assert len(own) == min(3, reference.count(query))
    seen = next(document[0] for document in documents if document)
    pairs = [
        (query, token)
        for query, ntd in zip(queries, found, strict=True)
        for token in {*ntd, seen}
        if ntd
    ]
    probs = index.prob_batch([query for query, _ in pairs], [token for _, token in pairs])
    assert probs == [index.prob(query, token) for query, token in pairs]
    assert [prob.cont_cnt for prob in probs] == [reference.ntd(q)[token] for q, token in pairs]


@pytest.fixture(scope="module")
def index() -> infgram.Index:
    return infgram.build(["to be or not to be", "né"])


def test_texts_and_ids_may_be_mixed(index: infgram.Index) -> None:
    queries: list[Any] = ["to be", b"or", [110, 111], np.array([116], np.uint8), "né", "", "\udce9"]
    assert index.count_batch(queries).tolist() == [index.count(each) for each in queries]
    assert index.ntd_batch(queries) == [index.ntd(each) for each in queries]
    assert index.ntd_batch(iter(queries)) == index.ntd_batch(queries)
    assert index.prob_batch(["t", [116]], ["o", ord("o")]) == [index.prob("t", "o")] * 2


def test_no_query_has_no_answer(index: infgram.Index) -> None:
    assert index.count_batch([]).tolist() == index.ntd_batch([]) == index.find_batch([]) == []
    assert index.prob_batch([], []) == []


def test_tokenizers_of_words_are_asked_in_batches(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    words = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({"[UNK]": 0, "to": 1, "be": 2, "or": 3}, unk_token="[UNK]")
    )
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.save(str(tmp_path / "words.json"))
    index = infgram.build(["to be or to be"], tokenizer=tmp_path / "words.json")
    queries = ["to be", "nothing", " ", ""]
    assert index.count_batch(queries).tolist() == [2, 0, 0, 5]
    assert index.ntd_batch(queries) == [index.ntd(each) for each in queries]


Ask = Callable[[infgram.Index, list[Any]], object]
ASKED: dict[str, Ask] = {
    "count_batch": infgram.Index.count_batch,
    "ntd_batch": infgram.Index.ntd_batch,
    "find_batch": infgram.Index.find_batch,
    "prob_batch": lambda index, queries: index.prob_batch(
        queries, [32] * len(queries) if isinstance(queries, list) else [32]
    ),
}


@pytest.mark.parametrize("name", ASKED)
def test_an_error_says_which_query_it_is_of(index: infgram.Index, name: str) -> None:
    with pytest.raises(TokenOutOfRange, match=r"^query 1, from 0: token id 999"):
        ASKED[name](index, ["to", [1, 999], "be"])


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("text", ["to be", b"to be", 5, None])
def test_one_text_is_no_batch(index: infgram.Index, name: str, text: Any) -> None:
    with pytest.raises(InvalidParameter, match=f"{name} takes several"):
        ASKED[name](index, text)


def test_errors_of_one_answer_say_which_it_is(index: infgram.Index) -> None:
    with pytest.raises(ContextNotFound, match=r"^query 1, from 0: nothing follows 'zzz'"):
        index.prob_batch(["t", "zzz"], ["o", "o"])
    with pytest.raises(InvalidParameter, match=r"^query 0, from 0: 'oo' is 2 tokens"):
        index.prob_batch(["t"], ["oo"])
    with pytest.raises(InvalidParameter, match=r"^query 1, from 0: cannot find the empty n-gram"):
        index.find_batch(["to", ""])
    with pytest.raises(InvalidParameter, match=r"next_tokens are 1, expected as many"):
        index.prob_batch(["t", "b"], ["o"])
    with pytest.raises(InvalidParameter, match=r"^limit is -1"):
        index.find_batch(["to"], limit=-1)


@pytest.mark.parametrize("offsets", [[0, 2, 1], [-1, 1], [0, 9]])
@pytest.mark.parametrize("name", ["count_batch", "ntd_batch"])
def test_offsets_outside_the_tokens_are_refused(
    index: infgram.Index, name: str, offsets: list[int]
) -> None:
    with pytest.raises(InvalidParameter, match="offset"):
        getattr(index, name)([1, 2, 3], np.array(offsets))
