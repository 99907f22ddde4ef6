"""Text whose flaws are known: where they are, and from which text they come."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
from conftest import make_index
from numpy.typing import NDArray

from infgram.errors import InvalidParameter
from infgram.refine.network.corrupt import Noise, corrupt, cross_fitted
from infgram.tracing.copying import run_lengths


def prose(seed: int, n_words: int, words: str = "to be or not that is the question") -> bytes:
    random = Random(seed)
    return " ".join(random.choice(words.split()) for _ in range(n_words)).encode()


def ids(text: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(text, np.uint8)


def test_the_same_seed_writes_the_same() -> None:
    text = ids(prose(0, 400))
    made = [
        cross_fitted(text, "bytes", np.random.default_rng(seed)).token_ids for seed in (1, 1, 2)
    ]
    assert np.array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])


def test_about_a_fifth_of_a_text_is_written_anew_and_gaps_are_not() -> None:
    text = ids(prose(0, 3000))
    noise = Noise(lengths=(5, 5), gaps=(20, 20))
    written = cross_fitted(text, "bytes", np.random.default_rng(0), noise).token_ids
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
    written = cross_fitted(text, "bytes", np.random.default_rng(0), Noise(folds=2)).token_ids
    changed = written != text
    assert set(written[:n][changed[:n]].tolist()) <= set(b"cd ")
    assert set(written[n:][changed[n:]].tolist()) <= set(b"ab ")


def naive_run(corpus: list[bytes], text: bytes, end: int) -> int:
    """Of what ends there, at most 64 bytes."""
    fits = (n for n in range(min(end, 64), 0, -1) if any(text[end - n : end] in c for c in corpus))
    return next(fits, 0)


def test_runs_are_those_of_the_other_folds_alone() -> None:
    text = prose(0, 120)
    n_half = len(text) // 2
    folds = [(0, n_half, text[n_half:]), (n_half, len(text), text[:n_half])]
    found = cross_fitted(ids(text), "bytes", np.random.default_rng(0), Noise(folds=2))
    written = found.token_ids.astype(np.uint8).tobytes()
    for start, end, other in folds:
        for at in range(start, end):
            expected = naive_run([other], written[start:end], at + 1 - start)
            assert found.run_lengths[at] == expected


def test_runs_are_counted_up_to_64_tokens(memory_folder: Path) -> None:
    text = prose(0, 60)
    index = make_index(memory_folder / "whole.infgram", [list(text)])
    found = run_lengths(index, ids(text)).tolist()
    assert found == [min(at + 1, 64) for at in range(len(text))]


def test_a_document_that_ends_leaves_the_rest_of_its_span(memory_folder: Path) -> None:
    index = make_index(memory_folder / "short.infgram", [list(b"xy")])
    text = ids(b"abcabcabc" * 20)
    written = corrupt(text, index, np.random.default_rng(0))
    assert len(written.token_ids) == len(written.run_lengths) == len(text)


def test_texts_too_short_for_their_folds_are_refused() -> None:
    with pytest.raises(InvalidParameter, match="7 tokens"):
        cross_fitted(ids(b"to be o"), "bytes", np.random.default_rng(0))
    with pytest.raises(InvalidParameter, match="folds is 1"):
        Noise(folds=1)
