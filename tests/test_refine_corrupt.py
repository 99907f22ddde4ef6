"""Text whose flaws are known: where they are, and from which text they come."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
from conftest import make_index
from numpy.typing import NDArray

from infgram.errors import InvalidParameter
from infgram.refine.corrupt import Noise, corrupt, cross_fitted


def prose(seed: int, n_words: int, words: str = "to be or not that is the question") -> bytes:
    random = Random(seed)
    return " ".join(random.choice(words.split()) for _ in range(n_words)).encode()


def ids(text: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(text, np.uint8)


def test_the_same_seed_writes_the_same() -> None:
    text = ids(prose(0, 400))
    made = [cross_fitted(text, "bytes", np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert np.array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])


def test_about_a_fifth_of_a_text_is_written_anew_and_gaps_are_not() -> None:
    text = ids(prose(0, 3000))
    noise = Noise(lengths=(5, 5), gaps=(20, 20))
    written = cross_fitted(text, "bytes", np.random.default_rng(0), noise)
    changed = written != text
    assert len(written) == len(text)
    assert 0.05 < changed.mean() < 0.2
    n_runs = int((np.diff(changed.astype(int)) == 1).sum())
    assert n_runs > 0.5 * len(text) / 25
    begins = np.flatnonzero(np.diff(changed.astype(int)) == 1)
    # of 25 tokens in a row, those of one span at most differ
    quarter = changed[: len(text) // 4]
    assert max(quarter[at : at + 20].sum() for at in begins if at + 20 < len(quarter)) <= 10


def test_a_folds_flaws_come_from_the_other_folds() -> None:
    # each half has letters of its own: what is written into it can only be the other's
    halves = [prose(1, 300, "ab ba aab"), prose(2, 300, "cd dc ccd")]
    n = min(map(len, halves))
    text = ids(halves[0][:n] + halves[1][:n])
    written = cross_fitted(text, "bytes", np.random.default_rng(0), Noise(folds=2))
    changed = written != text
    assert set(written[:n][changed[:n]].tolist()) <= set(b"cd ")
    assert set(written[n:][changed[n:]].tolist()) <= set(b"ab ")


def test_a_document_that_ends_leaves_the_rest_of_its_span(memory_folder: Path) -> None:
    index = make_index(memory_folder / "short.infgram", [list(b"xy")])
    text = ids(b"abcabcabc" * 20)
    written = corrupt(text, index, np.random.default_rng(0))
    assert len(written) == len(text)


def test_texts_too_short_for_their_folds_are_refused() -> None:
    with pytest.raises(InvalidParameter, match="7 tokens"):
        cross_fitted(ids(b"to be o"), "bytes", np.random.default_rng(0))
    with pytest.raises(InvalidParameter, match="folds is 1"):
        Noise(folds=1)
