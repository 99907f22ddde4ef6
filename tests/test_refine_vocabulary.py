"""Which tokens a refiner knows, and which indexes it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import make_index
from hypothesis import given
from hypothesis import strategies as st

from infgram.errors import InvalidParameter, RefinerMismatch
from infgram.refine.vocabulary import Vocabulary


@given(st.lists(st.integers(0, 300), min_size=1), st.lists(st.integers(0, 300)))
def test_codes_are_places_among_the_tokens_that_occur(text: list[int], other: list[int]) -> None:
    vocabulary = Vocabulary.of_text("chars", np.array(text))
    known = sorted(set(text))
    expected = [known.index(t) if t in known else len(known) for t in other]
    assert vocabulary.codes(other).tolist() == expected
    assert vocabulary.ids(vocabulary.codes(text)).tolist() == text
    assert vocabulary.mask == len(known)


def test_the_hash_tells_vocabularies_apart() -> None:
    made = [
        Vocabulary("bytes", (1, 2)),
        Vocabulary("bytes", (1, 3)),
        Vocabulary("chars", (1, 2)),
        Vocabulary("bytes", (12,)),
    ]
    assert len({each.sha256 for each in made}) == len(made)
    assert Vocabulary("bytes", (1, 2)).sha256 == made[0].sha256


def test_an_index_with_other_tokens_is_refused(memory_folder: Path) -> None:
    index = make_index(memory_folder / "vocabulary.infgram", [list(b"abc")])
    Vocabulary.of(index).check(index)
    Vocabulary("bytes", tuple(b"abcd")).check(index)
    with pytest.raises(RefinerMismatch, match="token id 99"):
        Vocabulary("bytes", tuple(b"ab")).check(index)
    with pytest.raises(RefinerMismatch, match="'chars'"):
        Vocabulary("chars", tuple(b"abc")).check(index)


def test_tokens_of_a_tokenizer_are_refused() -> None:
    with pytest.raises(InvalidParameter, match="tiktoken"):
        Vocabulary("tiktoken:gpt2", (1, 2))


@pytest.mark.parametrize("ids", [(), tuple(range(8193))])
def test_too_few_or_too_many_tokens_are_refused(ids: tuple[int, ...]) -> None:
    with pytest.raises(InvalidParameter, match="1 to 8192"):
        Vocabulary("chars", ids)
