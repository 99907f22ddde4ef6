"""Spellings of a text: against comparing every part of the corpus."""

from __future__ import annotations

from collections import Counter

import pytest
from conftest import examples
from hypothesis import given, settings
from hypothesis import strategies as st

import infgram
from infgram.errors import InvalidParameter
from infgram.text.words import is_of_word
from infgram.tracing.variants import variants

# letters whose case changes their length, number or bytes, and what is no letter
LETTERS = "aAéÉßsSıIiİΣσς語 ;'"

pytestmark = pytest.mark.usefixtures("temporary_folders_in_memory")


def goes_on(document: str, at: int) -> bool:
    """Whether a word does, from before a place to behind it."""
    around = document[max(0, at - 1) : at + 1] if at else ""
    return len(around) == 2 and all(map(is_of_word, around))


def naive(corpus: list[str], text: str, ignore_case: bool, whole_words: bool) -> Counter[str]:
    found: Counter[str] = Counter()
    for document in corpus:
        for begin in range(len(document)):
            for end in range(begin + 1, len(document) + 1):
                part = document[begin:end]
                same = part.casefold() == text.casefold() if ignore_case else part == text
                cut = whole_words and (goes_on(document, begin) or goes_on(document, end))
                found[part] += same and not cut
    return +found


@settings(max_examples=examples(100))
@given(
    corpus=st.lists(st.text(LETTERS, max_size=12), min_size=1, max_size=3).filter(any),
    text=st.text(LETTERS, min_size=1, max_size=4),
    ignore_case=st.booleans(),
    whole_words=st.booleans(),
    tokenizer=st.sampled_from(["bytes", "chars"]),
)
def test_they_are_those_that_comparing_finds(
    corpus: list[str], text: str, ignore_case: bool, whole_words: bool, tokenizer: str
) -> None:
    index = infgram.build(corpus, tokenizer=tokenizer)
    found = variants(index, text, ignore_case=ignore_case, whole_words=whole_words)
    assert found == naive(corpus, text, ignore_case, whole_words)
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_nonsense_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="no text"):
        variants(infgram.build(["x"]), "")
    with pytest.raises(InvalidParameter, match="text is 3"):
        variants(infgram.build(["x"]), 3)  # type: ignore[arg-type]
    with pytest.raises(InvalidParameter, match="'ids'"):
        variants(infgram.build([[1, 2]], tokenizer="ids", vocab_size=3), "x")


def test_only_words_that_go_on_are_left_out() -> None:
    index = infgram.build(["to be, tomb; 2to to_x"])
    assert variants(index, "to ", whole_words=True) == {"to ": 2}
    assert variants(index, ", to", whole_words=True) == {}
    assert variants(index, "to", whole_words=True) == {"to": 3}
