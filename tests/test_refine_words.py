"""Which tokens are words, and which of them may be edited."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from conftest import examples, make_index
from hypothesis import given, settings
from hypothesis import strategies as st

import infgram
from infgram.errors import InvalidParameter
from infgram.refine.words import (
    NO,
    PROMPT,
    YES,
    editable,
    known_characters,
    marks_of,
    n_unjudged,
    spans,
    words_to_edit,
)
from infgram.text.tokens import load

TEXT = "Don't go, Émile: 3 rats’ tails\n"


@pytest.fixture(scope="module", params=["bytes", "chars"])
def index(request: pytest.FixtureRequest, memory_folder: Path) -> infgram.Index:
    tokenizer = load(request.param)
    path = memory_folder / f"words-{request.param}.infgram"
    return make_index(path, [tokenizer.encode(TEXT)], tokenizer=tokenizer)


def test_words_are_letters_and_apostrophes(index: infgram.Index) -> None:
    ids = index.ids(TEXT)
    words = [index.decode(ids[begin:end]) for begin, end in spans(index, ids)]
    assert words == ["Don't", "go", "Émile", "rats’", "tails"]


@given(st.text("ab' \n", max_size=30))
@settings(max_examples=examples(50))
def test_words_are_those_of_a_pattern(memory_folder: Path, text: str) -> None:
    index = make_index(memory_folder / "pattern.infgram", [list(b"ab' \n")])
    expected = [list(match.span()) for match in re.finditer(r"'*[ab][ab']*", text)]
    assert spans(index, index.ids(text)).tolist() == expected


def test_what_the_corpus_cannot_judge_is_not_edited(memory_folder: Path) -> None:
    index = make_index(memory_folder / "few.infgram", [list(b"ab -")])
    ids = index.ids("abzab a1 a- 1 ab ba")
    assert spans(index, ids).tolist() == [[0, 5], [6, 7], [9, 10], [14, 16], [17, 19]]
    marks = "".join(".Y"[may] for may in editable(index, ids).tolist())
    assert marks == ".....Y..YYYY.YYYYYY"
    assert n_unjudged(index, ids) == 5 + 2 + 1
    assert n_unjudged(index, ids, n_prompt=3) == 2 + 2 + 1
    assert words_to_edit(index, ids, editable(index, ids)).tolist() == [[9, 10], [14, 16]]


def test_apostrophes_alone_are_no_word(index: infgram.Index) -> None:
    assert spans(index, index.ids("' ’’ go")).shape == (1, 2)


def test_known_characters_and_marks_are_those_of_the_corpus(index: infgram.Index) -> None:
    assert known_characters(index) == frozenset(TEXT)
    marks = "".join(sorted(c for c in set(TEXT) if not (c.isalpha() or c in "'’")))
    assert index.decode(marks_of(index)) == marks


def test_prompt_and_protected_patterns_are_marked(index: infgram.Index) -> None:
    text = "A: go\nB: go\nAB: no"
    ids = index.ids(text)
    may = editable(index, ids, n_prompt=4, protect=[r"^[A-Z]+:", "no$"])
    marks = "".join(".YP"[[NO, YES, PROMPT].index(m)] for m in may)
    assert marks == "PPPPYY..YYYY...Y.."


def test_patterns_are_of_characters_whatever_the_tokens_are(index: infgram.Index) -> None:
    ids = index.ids(TEXT)
    may = editable(index, ids, protect="Émile")
    assert index.decode(ids[may == NO]) == "Émile"


def test_a_pattern_that_is_none_is_refused(index: infgram.Index) -> None:
    with pytest.raises(InvalidParameter, match="no regular expression"):
        editable(index, index.ids("a"), protect="(")


def test_tokens_that_are_no_letters_are_refused(memory_folder: Path) -> None:
    index = make_index(memory_folder / "ids.infgram", [[1, 2]], tokenizer=load("ids", vocab_size=5))
    with pytest.raises(InvalidParameter, match="expected bytes or characters"):
        spans(index, np.array([1]))
