"""A certificate says of every run of a text whether the corpus has it."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import examples, make_index
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import Reference

import infgram
from infgram.errors import InvalidParameter
from infgram.refine import certify


@given(
    st.lists(st.text("ab", max_size=15), min_size=1, max_size=3).filter(any),
    st.text("abc", max_size=15),
    st.integers(1, 4),
)
@settings(max_examples=examples(100))
def test_runs_are_those_that_the_corpus_has(
    memory_folder: Path, documents: list[str], text: str, max_copy: int
) -> None:
    index = make_index(memory_folder / "runs.infgram", [list(d.encode()) for d in documents])
    oracle = Reference([d.encode() for d in documents], 256)
    found = [
        (begin, end)
        for begin in range(len(text))
        for end in range(begin + 1, len(text) + 1)
        if oracle.count(text[begin:end].encode())
    ]
    longer = [run for run in found if run[1] - run[0] > max_copy]
    widest = [
        (begin, end)
        for begin, end in longer
        if not any(b <= begin and end <= e and (b, e) != (begin, end) for b, e in longer)
    ]
    certificate = certify(index, text, max_copy=max_copy)
    assert list(certificate.runs) == widest
    assert certificate.holds == (not longer)
    assert certificate.longest_run == max((end - begin for begin, end in found), default=0)


@pytest.mark.parametrize("max_copy", [0, -1, None, 1.5])
def test_a_limit_that_is_none_is_refused(memory_folder: Path, max_copy) -> None:
    index: infgram.Index = make_index(memory_folder / "limit.infgram", [list(b"ab")])
    with pytest.raises(InvalidParameter, match="max_copy"):
        certify(index, "ab", max_copy=max_copy)
