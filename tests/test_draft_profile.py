"""What a step costs is kept as a file, and read again, without a model or torch.

That a model is measured rightly is told by test_draft_huggingface.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infgram.draft import profile
from infgram.draft.profile import Cost, measure_steps
from infgram.errors import InvalidParameter

COST = Cost((0.1, 0.2), context_tokens=5, model="a", machine="b", date="2026-01-01")


def test_sizes_that_are_not_measured_lie_between() -> None:
    assert profile._sizes(6) == [0, 1, 2, 4, 6]
    assert profile._sizes(0) == [0]
    assert profile._between([0, 1, 2, 4], [1.0, 3.0, 2.0, 5.0]) == (1.0, 3.0, 3.0, 4.0, 5.0)


def test_a_step_of_each_measured_size_is_taken_as_often_as_asked() -> None:
    taken: list[int] = []
    assert len(measure_steps(taken.append, max_tokens=5, rounds=3)) == 6
    assert taken == [0, 1, 2, 4, 5] * 4  # the first time does not count


@pytest.mark.parametrize(
    "options",
    [
        *({"max_tokens": found} for found in (-1, -5, 1.5, "x", True, None)),
        *({"rounds": found} for found in (0, -1, 1.5, "x", True)),
    ],
)
def test_no_step_is_taken_of_what_cannot_be_measured(options: dict[str, Any]) -> None:
    taken: list[int] = []
    with pytest.raises(InvalidParameter, match=f"{next(iter(options))} is .*, expected"):
        measure_steps(taken.append, **options)
    assert taken == []


def test_what_was_measured_comes_back_from_its_file(tmp_path: Path) -> None:
    COST.save(tmp_path / "cost.json")
    assert Cost.load(tmp_path / "cost.json") == COST


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "x"}, "something else"),
        ({"version": 2}, "version 2"),
        ({"seconds": []}, "seconds"),
        ({"seconds": [1.0, 0.5]}, "seconds"),
        ({"seconds": [0.0]}, "seconds"),
        ({"seconds": ["a"]}, "seconds"),
        ({"seconds": [float("nan")]}, "seconds"),
        ({"seconds": None}, "seconds"),
        ({"seconds": [10**400]}, "seconds"),
        ({"seconds": [True]}, "seconds"),
        ({"context_tokens": True}, "context_tokens"),
        ({"machine": None}, "machine"),
    ],
)
def test_a_file_of_something_else_is_an_error(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    path = tmp_path / "cost.json"
    COST.save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InvalidParameter, match=said):
        Cost.load(path)


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_torn_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cost.json").write_bytes(content)
    with pytest.raises(InvalidParameter, match="measure it again"):
        Cost.load(tmp_path / "cost.json")
