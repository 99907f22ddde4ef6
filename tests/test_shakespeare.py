"""On Tiny Shakespeare the index gives the published program's numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import make_index

import infgram

# Levels that the published program (nathan-barry/tiny-infini-gram) finds for 110 contexts in the
# first 90 % of the text; its window is 200 bytes.
PUBLISHED = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "published_levels.jsonl").read_text().splitlines()
]


@pytest.fixture(scope="module")
def training_index(shakespeare: bytes, memory_folder: Path) -> infgram.Index:
    training = np.frombuffer(shakespeare, np.uint8)[: len(shakespeare) * 9 // 10]
    return make_index(memory_folder / "training.infgram", [training])


def test_counts_are_those_of_the_text(shakespeare: bytes, shakespeare_index: infgram.Index) -> None:
    assert shakespeare_index.count("the") == 10_495
    assert shakespeare_index.count("th") == 22_739
    assert shakespeare_index.count(shakespeare) == 1
    assert shakespeare_index.count(shakespeare[1:] + b"\n") == 0


def test_levels_equal_the_published_programs(training_index: infgram.Index) -> None:
    for case in PUBLISHED:
        context = case["context"].encode("latin-1")[-200:]
        assert training_index.levels(context) == [tuple(level) for level in case["levels"]]


def test_levels_of_an_advancing_cursor_equal_the_published_programs(training_index) -> None:
    for case in PUBLISHED[::5]:
        cursor = training_index.cursor(window=200)
        for token in case["context"].encode("latin-1"):
            cursor.advance(token)
        assert cursor.levels() == [tuple(level) for level in case["levels"]]
