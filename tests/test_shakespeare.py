"""On Tiny Shakespeare the index gives the published program's numbers."""

from __future__ import annotations

import json
from pathlib import Path

import infgram

# Levels that the published program (nathan-barry/tiny-infini-gram) finds for 110 contexts in the
# first 90 % of the text; its window is 200 bytes.
PUBLISHED = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "published_levels.jsonl").read_text().splitlines()
]


def test_counts_are_those_of_the_text(shakespeare: bytes, shakespeare_index: infgram.Index) -> None:
    assert shakespeare_index.count("the") == 10_495
    assert shakespeare_index.count("th") == 22_739
    assert shakespeare_index.count(shakespeare) == 1
    assert shakespeare_index.count(shakespeare[1:] + b"\n") == 0


def test_levels_equal_the_published_programs(training: infgram.Index) -> None:
    for case in PUBLISHED:
        context = case["context"].encode("latin-1")[-200:]
        assert training.levels(context) == [tuple(level) for level in case["levels"]]


def test_levels_of_an_advancing_cursor_equal_the_published_programs(training) -> None:
    for case in PUBLISHED[::5]:
        cursor = training.cursor(window=200)
        for token in case["context"].encode("latin-1"):
            cursor.advance(token)
        assert cursor.levels() == [tuple(level) for level in case["levels"]]
