"""Judging text by a corpus: against counting by hand, with real words in real encodings."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import examples, make_index
from hypothesis import given, settings
from hypothesis import strategies as st

import infgram
from infgram.errors import InvalidParameter
from infgram.text.tokens import load
from infgram.tracing.copying import Novelty, copied_share, novelty

small_texts = st.text("abc", max_size=40).map(str.encode)
# letters of one, two, three and four bytes, apostrophes, and what is none of them
WORDS = "aé語𝒜'’ .1\n"
RAW = [c.encode() for c in WORDS] + [b"\xc3", b"\xa9", b"\xe8\xaa", b"\xff"]


def words_of(text: str) -> list[str]:
    """Maximal runs of letters and apostrophes that have a letter."""
    runs = groupby(text, lambda c: c.isalpha() or c in "'’")
    words = ["".join(run) for in_word, run in runs if in_word]
    return [word for word in words if any(c.isalpha() for c in word)]


def occurs(corpus: list[bytes], ngram: bytes) -> bool:
    return any(ngram in document for document in corpus)


@settings(max_examples=examples(150))
@given(
    corpus=st.lists(small_texts, min_size=1, max_size=3).filter(any),
    texts=st.lists(small_texts, max_size=3),
    gram=st.integers(1, 6),
)
def test_novelty_is_what_comparing_every_ngram_gives(
    memory_folder: Path, corpus: list[bytes], texts: list[bytes], gram: int
) -> None:
    index = make_index(memory_folder / "novelty.infgram", [list(text) for text in corpus])
    found = novelty(index, *texts, gram=gram)
    lengths = [
        max(n for n in range(end + 1) if occurs(corpus, text[end - n : end]))
        for text in texts
        for end in range(1, len(text) + 1)
    ]
    assert found.n_tokens == len(lengths)
    assert found.mean_match == pytest.approx(sum(lengths) / max(len(lengths), 1))
    assert found.longest_run == max(lengths, default=0)
    run = b"".join(texts)[found.longest_run_begin :][: found.longest_run]
    assert len(run) == found.longest_run and occurs(corpus, run)
    for n, share in enumerate(found.distinct, 1):
        grams = ngrams(texts, n)
        assert share == pytest.approx(len(set(grams)) / max(len(grams), 1))
    grams = ngrams(texts, gram)
    known = sum(occurs(corpus, each) for each in grams)
    assert found.found_grams == pytest.approx(known / max(len(grams), 1))


def ngrams(texts: list[bytes], n: int) -> list[bytes]:
    return [text[i : i + n] for text in texts for i in range(len(text) - n + 1)]


@settings(max_examples=examples(200))
@given(
    documents=st.lists(
        st.lists(st.sampled_from(RAW), min_size=1, max_size=12).map(b"".join),
        min_size=1,
        max_size=4,
    ),
    text=st.lists(st.sampled_from(RAW), max_size=20).map(b"".join),
    chars=st.booleans(),
    one_shard=st.booleans(),
)
def test_a_word_is_known_exactly_if_the_corpus_has_it_whole(
    memory_folder: Path, documents: list[bytes], text: bytes, chars: bool, one_shard: bool
) -> None:
    """By characters, and by bytes that need not be any."""
    tokenizer = load("chars" if chars else "bytes")
    if chars:
        documents = [document.decode(errors="replace").encode() for document in documents]
        text = text.decode(errors="replace").encode()
    ids = [tokenizer.encode(document) for document in documents]
    index = make_index(
        memory_folder / "words.infgram",
        ids,
        tokenizer=tokenizer,
        shard_tokens=10**6 if one_shard else max(map(len, ids)) + 2,
    )
    vocabulary = {
        word for document in documents for word in words_of(document.decode(errors="replace"))
    }
    words = words_of(text.decode(errors="replace"))
    found = novelty(index, text)
    assert found.n_words == len(words)
    expected = sum(word in vocabulary for word in words) / max(len(words), 1)
    assert found.known_words == pytest.approx(expected)


def test_a_part_of_a_word_is_no_word(memory_folder: Path) -> None:
    index = make_index(memory_folder / "parts.infgram", [list("don't overeat\nété".encode())])
    for word in ("don't", "overeat", "été"):
        assert novelty(index, word).known_words == 1
    for part in ("don", "t", "eat", "over", "ét", "té", "t'overeat"):
        assert novelty(index, part).known_words == 0
    assert novelty(index, "12 -- ' ''").n_words == 0


def test_words_are_unknown_where_tokens_are_no_characters(memory_folder: Path) -> None:
    index = make_index(
        memory_folder / "ids.infgram", [[3, 1, 4]], tokenizer=load("ids", vocab_size=5)
    )
    found = novelty(index, [3, 1, 3], gram=2)
    assert (found.n_words, found.known_words) == (0, None)
    assert (found.found_grams, found.distinct[0]) == (0.5, 2 / 3)


@pytest.mark.parametrize("texts", [(), ("",)])
def test_a_text_without_tokens_shares_nothing(
    prose_index: infgram.Index, texts: tuple[Any, ...]
) -> None:
    expected = Novelty(
        n_tokens=0,
        mean_match=0.0,
        longest_run=0,
        longest_run_begin=0,
        copied=0.0,
        gram=20,
        found_grams=0.0,
        distinct=(0.0, 0.0, 0.0, 0.0),
        n_words=0,
        known_words=0.0,
    )
    assert novelty(prose_index, *texts) == expected


def test_a_piece_of_the_corpus_is_all_copied(prose_index: infgram.Index) -> None:
    piece = prose_index.document(0).token_ids[1000:31_000]
    found = novelty(prose_index, piece)
    assert (found.longest_run, found.longest_run_begin) == (30_000, 0)
    assert found.copied == found.found_grams == 1.0
    assert found.known_words and found.known_words > 0.999  # its ends may be cut


def test_runs_do_not_reach_across_texts(prose_index: infgram.Index) -> None:
    piece = prose_index.document(0).token_ids[1000:1100]
    apart = novelty(prose_index, piece[:40], piece[40:])
    assert (apart.longest_run, apart.longest_run_begin) == (60, 40)
    assert apart.copied == 0.6
    assert apart.found_grams == 1.0


@pytest.mark.parametrize(
    "measure",
    [
        lambda index, n: novelty(index, "a", gram=n),
        lambda index, n: copied_share(index, "a", run=n),
    ],
)
def test_ngrams_have_a_token_at_least(
    prose_index: infgram.Index, measure: Callable[[infgram.Index, int], object]
) -> None:
    with pytest.raises(InvalidParameter, match="expected a whole number of at least 1"):
        measure(prose_index, 0)


@settings(max_examples=examples(100))
@given(corpus=small_texts.filter(bool), text=small_texts, run=st.integers(1, 8))
def test_copied_tokens_are_those_in_long_runs(
    memory_folder: Path, corpus: bytes, text: bytes, run: int
) -> None:
    index = make_index(memory_folder / "copied.infgram", [list(corpus)])
    copied = np.zeros(len(text), bool)
    for begin in range(len(text) - run + 1):
        if text[begin : begin + run] in corpus:
            copied[begin : begin + run] = True
    expected = copied.mean() if len(text) else 0.0
    assert copied_share(index, text, run=run) == pytest.approx(expected)
