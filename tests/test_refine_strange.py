"""What the corpus cannot judge is left as it is: other scripts, emoji, bytes that are no text."""

from __future__ import annotations

import pytest
from conftest import examples
from fuzzing import editing

import infgram
from infgram.refine import polish


@pytest.fixture(scope="module")
def index() -> infgram.Index:
    return editing.indexes()["bytes"]


def test_texts_in_ten_scripts_keep_what_the_corpus_does_not_have() -> None:
    assert list(editing.findings(examples(15), seed=1)) == []


def test_the_check_itself_finds_what_must_not_be() -> None:
    known = set("the cat sat on. ")
    assert editing.broken("the cta 😀.", "the cat 😀.", known) == ""
    assert "no letters" in editing.broken("the cat 😀.", "the cat on.", known)
    assert "come or gone" in editing.broken("the cat", "thecat ", known)
    assert "does not have all" in editing.broken("été", "the", known)
    assert "which the corpus" in editing.broken("the", "tho", known - {"o"})


def test_some_of_those_texts_are_edited_at_all(index: infgram.Index) -> None:
    made = polish(index, "the cta sat on the mta and “the dgo sat on the log", margin=0.5, seed=0)
    assert made.text.startswith("the cat sat on the mat and “the")
    assert made.n_unjudged == 0


def test_a_word_next_to_what_is_unknown_is_left_alone_and_counted(index: infgram.Index) -> None:
    draft = "the cta😀 sat on the mta, cta☃ cta\u0301 é the mta"
    made = polish(index, draft, margin=0.5, seed=0)
    (edit,) = made.edits
    assert edit.start == draft.encode().index(b"mta,")
    assert made.n_unjudged == len("cta😀" + "cta☃" + "cta\u0301" + "é")


def test_bytes_that_are_no_text_stay(index: infgram.Index) -> None:
    draft = b"the cta\xe9 sat on the mta \xff\xfe and "
    made = polish(index, draft, margin=0.5, seed=0)
    assert bytes(made.token_ids.tolist()) == draft.replace(b"mta", b"mat")


def test_what_is_unknown_is_looked_for_in_characters_not_in_bytes() -> None:
    """The corpus has the bytes of è, in é and ꀨ, and not the letter."""
    index = infgram.build(["été ů é ů " * 9, "ꀨ "], two_sided=True)
    assert {0xC3, 0xA8} <= set(index.alphabet.tolist())
    draft = "étè ů é "
    made = polish(index, draft, margin=0.0, seed=0)
    assert made.text == draft
    assert made.n_unjudged == 3
