"""Line ends are counted right, and each block of a text once."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from conftest import examples, make_index
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import infgram
from infgram.errors import CorruptIndex
from infgram.store import lines
from infgram.store.lines import LineCounter
from infgram.text.tokens import load


class Text:
    """Counts by hand, and remembers what it was asked for."""

    def __init__(self, ends: list[int]) -> None:
        self.ends = ends
        self.asked: list[tuple[int, int]] = []

    def count(
        self, begins: NDArray[np.uint32], ends: NDArray[np.uint32]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        pairs = list(zip(begins.tolist(), ends.tolist(), strict=True))
        self.asked += pairs
        counts = [sum(self.ends[b:e]) for b, e in pairs]
        lasts = [max((i for i in range(b, e) if self.ends[i]), default=-1) for b, e in pairs]
        return np.array(counts, np.int64), np.array(lasts, np.int64)


@settings(max_examples=examples(300))
@given(
    ends=st.lists(st.sampled_from([0, 0, 0, 1, 2]), max_size=60),
    block=st.integers(1, 20),
    data=st.data(),
)
def test_stretches_are_counted_as_by_hand_and_no_block_twice(
    ends: list[int], block: int, data: st.DataObject
) -> None:
    text = Text(ends)
    with patch.object(lines, "_BLOCK", block):
        counter = LineCounter(text.count, len(ends))
        stretch = st.tuples(st.integers(0, len(ends)), st.integers(0, len(ends))).map(sorted)
        for _ in range(3):
            asked = np.array(data.draw(st.lists(stretch, max_size=5)), np.int64).reshape(-1, 2)
            counts, lasts = counter.between(asked[:, 0], asked[:, 1])
            begins, stops = asked.T.astype(np.uint32)
            expected = Text(ends).count(begins, stops)
            assert counts.tolist() == expected[0].tolist()
            assert lasts.tolist() == expected[1].tolist()
    if block > 1:
        whole = [(b, e) for b, e in text.asked if e - b == block and b % block == 0]
        assert len(set(whole)) == len(whole)
        assert all(e - b < 2 * block for b, e in text.asked)


@pytest.mark.parametrize("name", ["bytes", "chars"])
@pytest.mark.parametrize("line_end", ["\n", "\r", "\r\n"])
def test_matches_tell_lines_and_columns_of_long_texts(
    tmp_path: Path, name: str, line_end: str
) -> None:
    """Over more than a block, with characters of several bytes."""
    rng = np.random.default_rng(1)
    written = ["é" * int(n) + "here" + "x" * int(m) for n, m in rng.integers(0, 9, (9_000, 2))]
    path = tmp_path / "text.txt"
    path.write_bytes(line_end.join(written).encode())
    index = infgram.build(path, tmp_path / "i.infgram", tokenizer=name)
    assert index.n_tokens > 3 * lines._BLOCK
    for match in index.find("here", limit=300, seed=0):
        assert written[match.line - 1].index("here") + 1 == match.column


def test_codes_outside_the_alphabet_are_no_lines(memory_folder: Path) -> None:
    index = make_index(memory_folder / "lines.infgram", [list(b"ab\ncd")], tokenizer=load("bytes"))
    table = np.zeros(2, np.uint32)
    with pytest.raises(CorruptIndex, match="codes"):
        index.native.line_ends(0, table, np.array([0], np.uint32), np.array([5], np.uint32))
