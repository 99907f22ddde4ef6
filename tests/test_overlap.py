"""Texts that stand in a corpus: planted ones are found, and nothing else."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from conftest import examples
from hypothesis import given, settings
from hypothesis import strategies as st

import infgram
from infgram.errors import InvalidParameter
from infgram.tracing.contamination import overlap

small = st.text("ab", max_size=20)

pytestmark = pytest.mark.usefixtures("temporary_folders_in_memory")


@settings(max_examples=examples(100))
@given(
    corpus=st.lists(small, min_size=1, max_size=3).filter(any),
    text=small,
    least=st.integers(1, 6),
)
def test_runs_are_those_that_trying_every_part_finds(
    corpus: list[str], text: str, least: int
) -> None:
    parts = [
        (b, e)
        for b in range(len(text))
        for e in range(b + least, len(text) + 1)
        if any(text[b:e] in document for document in corpus)
    ]
    maximal = [
        (b, e)
        for b, e in parts
        if not any((c, f) != (b, e) and c <= b and e <= f for c, f in parts)
    ]
    found = overlap(infgram.build(corpus), text, min_length=least, sources=100)
    assert [(run.begin, run.end) for run in found.runs] == maximal
    assert found.n_found == len({i for b, e in parts for i in range(b, e)})
    assert found.longest_run == max(
        (n for n in range(len(text) + 1) for b in range(len(text) - n + 1)
         if any(text[b : b + n] in document for document in corpus)),
        default=0,
    )  # fmt: skip
    for run in found.runs:
        own = text[run.begin : run.end]
        assert run.text == own
        places = [
            (d, i)
            for d, document in enumerate(corpus)
            for i in range(len(document))
            if document.startswith(own, i)
        ]
        assert [(each.document, each.offset) for each in run.sources] == places[:100]
        assert run.count == len(places)


def test_planted_contamination_is_found_and_nothing_else() -> None:
    draw = random.Random(1)

    def letters(alphabet: str, n: int) -> str:
        return "".join(draw.choice(alphabet) for _ in range(n))

    corpus = [letters("abcdefgh", 2_000) for _ in range(20)]
    index = infgram.build(corpus)
    for i in range(200):
        test = letters("ABCDEFGH", 300)  # no letter of the corpus
        if i % 2:
            assert overlap(index, test, min_length=30).runs == ()
            continue
        d, begin, n, at = draw.randrange(20), draw.randrange(1_900), draw.randrange(30, 90), 100
        planted = corpus[d][begin : begin + n]
        found = overlap(index, test[:at] + planted + test[at:], min_length=30)
        (run,) = found.runs
        assert (run.begin, run.end, run.text) == (at, at + n, planted)
        assert (run.sources[0].document, run.sources[0].offset) == (d, begin)
        assert found.share == n / (300 + n)


def test_token_ids_and_an_empty_text() -> None:
    index = infgram.build([np.arange(20, dtype=np.uint32)], tokenizer="ids", vocab_size=99)
    found = overlap(index, [50, 3, 4, 5, 6, 60], min_length=4)
    assert [(run.begin, run.end) for run in found.runs] == [(1, 5)]
    assert overlap(index, [], min_length=4).share == 0.0


def test_the_same_seed_gives_the_same_sources() -> None:
    index = infgram.build(["x" * 100])
    assert overlap(index, "xxx", min_length=3, seed=3) == overlap(
        index, "xxx", min_length=3, seed=3
    )
    assert overlap(index, "xxx", min_length=3, sources=0).runs[0].sources == ()


def test_nonsense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match="min_length is 0"):
        overlap(infgram.build(["x"]), "x", min_length=0)
