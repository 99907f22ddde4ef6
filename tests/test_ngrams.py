"""n-grams listed: against counting each by hand."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path

import pytest
from conftest import examples, make_index
from hypothesis import given, settings
from hypothesis import strategies as st

import infgram
from infgram.errors import InvalidParameter
from infgram.tracing.ngrams import Ngram, ngrams

Documents = list[list[int]]
Gram = tuple[int, ...]

documents_of_few = st.lists(st.lists(st.integers(0, 2), max_size=30), min_size=1, max_size=5)


def counted(documents: Documents, n: int) -> tuple[Counter[Gram], Counter[Gram]]:
    """How often each n-gram occurs, and in how many documents."""
    grams = [
        [tuple(document[i : i + n]) for i in range(len(document) - n + 1)] for document in documents
    ]
    return Counter(g for own in grams for g in own), Counter(g for own in grams for g in set(own))


@settings(max_examples=examples(150))
@given(
    documents=documents_of_few.filter(any),
    n=st.integers(1, 8),
    min_count=st.integers(1, 4),
    shard_tokens=st.sampled_from([32, 2**31 - 2]),
    code_bits=st.sampled_from([8, 16, 32]),
)
def test_they_are_those_that_counting_gives(
    memory_folder: Path,
    documents: Documents,
    n: int,
    min_count: int,
    shard_tokens: int,
    code_bits: int,
) -> None:
    index = make_index(
        memory_folder / "ngrams.infgram",
        documents,
        shard_tokens=shard_tokens,
        code_bits=code_bits,
    )
    counts, in_documents = counted(documents, n)
    expected = [
        (gram, count, in_documents[gram])
        for gram, count in sorted(counts.items())
        if count >= min_count
    ]
    listed = list(ngrams(index, n, min_count=min_count, documents=True))
    assert [(each.token_ids, each.count, each.documents) for each in listed] == expected
    by_count = sorted(expected, key=lambda each: -each[1])  # stable
    for limit in (0, 1, 3, len(expected), len(expected) + 1):
        most = list(ngrams(index, n, limit=limit, min_count=min_count, documents=True))
        assert [(e.token_ids, e.count, e.documents) for e in most] == by_count[:limit]


def test_more_than_a_batch_comes_in_order() -> None:
    text = "".join(
        chr(97 + i % 26) + chr(97 + i // 26 % 26) + chr(97 + i // 676) for i in range(9000)
    )
    found = list(ngrams(infgram.build([text]), 4))
    assert [each.token_ids for each in found] == sorted({each.token_ids for each in found})
    assert sum(each.count for each in found) == len(text) - 3 and len(found) > 4_096


def test_text_is_what_the_tokenizer_says() -> None:
    index = infgram.build(["né né"], tokenizer="chars")
    assert [str(each) for each in ngrams(index, 2, min_count=2)] == ["né"]
    (half,) = ngrams(infgram.build(["né né"]), 1, limit=1)
    assert half == Ngram((110,), "n", 2)


def test_values() -> None:
    index = infgram.build(["to be or not to be"])
    first, again = next(ngrams(index, 2)), next(ngrams(index, 2))
    assert first == again and hash(first) == hash(again)
    assert first.documents is None
    assert pickle.loads(pickle.dumps(first)) == first


def test_longer_than_every_document() -> None:
    index = infgram.build(["abc", "de"])
    assert [e.text for e in ngrams(index, 3)] == ["abc"]
    assert list(ngrams(index, 4)) == []
    assert list(ngrams(index, 2**32 - 1)) == []


@pytest.mark.parametrize(
    "wrong", [{"n": 0}, {"n": 2**32}, {"min_count": 0}, {"limit": -1}, {"n": 1.5}]
)
def test_nonsense_is_refused_at_once(wrong: dict[str, int]) -> None:
    with pytest.raises(InvalidParameter, match=next(iter(wrong))):
        ngrams(infgram.build(["abc"]), **{"n": 2, **wrong})
