"""Replays of what a model wrote: what they count, what they promise, what they read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from command_line import run
from conftest import make_index

import infgram
from infgram.draft import Drafter, TextDrafter, Trace, simulate
from infgram.draft.profile import Cost
from infgram.draft.simulation import read_prompts, read_traces
from infgram.errors import InvalidParameter, MalformedRecord, TokenError, TokenOutOfRange
from infgram.text import tokens

PROSE = b"The quick brown fox jumps over the lazy dog, and the lazy dog lets it. " * 8


@pytest.fixture(scope="module")
def index(memory_folder: Path) -> infgram.Index:
    return make_index(memory_folder / "simulation.infgram", [list(PROSE)])


def test_steps_and_tokens_are_those_of_the_drafts(index: infgram.Index) -> None:
    """Counted again by hand, with a drafter that learns the same."""
    output = list(PROSE[4:60])
    found = simulate(Drafter(index, max_tokens=3), [Trace(list(PROSE[:4]), output)])
    drafter = Drafter(index, max_tokens=3)
    drafter.start("a", list(PROSE[:4]))
    at = steps = accepted = 0
    while at < len(output):
        draft = drafter.propose("a", min(3, len(output) - at - 1))
        n = len(draft.accepted(output[at:]))
        drafter.accept("a", output[at : at + n + 1])
        at, steps, accepted = at + n + 1, steps + 1, accepted + n
    assert (found.steps, found.accepted, found.written) == (steps, accepted, 56)
    assert found.tokens_per_step == 56 / steps > 2.0
    assert found.speed_up is None
    assert found.draft_seconds > 0


def test_the_speed_up_is_of_the_costs_seconds(index: infgram.Index) -> None:
    """Steps so slow that the drafter's own time is nothing."""
    trace = [Trace(list(PROSE[:4]), list(PROSE[4:60]))]
    flat = simulate(Drafter(index, max_tokens=4), trace, seconds=[1000.0] * 5)
    assert flat.speed_up == pytest.approx(flat.tokens_per_step, rel=1e-3)
    steep = simulate(Drafter(index, max_tokens=4), trace, seconds=[1e3 * 9**k for k in range(5)])
    assert steep.speed_up is not None and steep.speed_up < 1.0
    cost = [1e3 * 9**k for k in range(5)]
    wary = simulate(Drafter(index, max_tokens=4, cost=cost), trace, seconds=cost)
    assert wary.speed_up == pytest.approx(1.0, rel=1e-3)  # it drafts nothing
    with pytest.raises(InvalidParameter, match="5 numbers, expected 9"):
        simulate(Drafter(index, max_tokens=8), trace, seconds=cost)


def test_nothing_to_replay_is_refused(index: infgram.Index) -> None:
    for traces in ([], [Trace([1], [])]):
        with pytest.raises(InvalidParameter, match="found none"):
            simulate(Drafter(index), traces)
    with pytest.raises(TokenOutOfRange):
        simulate(Drafter(index), [Trace([1], [256])])


@pytest.mark.parametrize(
    "trace", [Trace([1], [256]), Trace([1], [-1]), Trace([256], [1]), Trace([1], "text"), 5]
)
def test_a_trace_that_is_refused_leaves_no_request(index: infgram.Index, trace: Any) -> None:
    for drafter in (Drafter(index), TextDrafter(index, tokenizer="bytes")):
        with pytest.raises((TokenError, InvalidParameter)):
            simulate(drafter, [Trace([1], [2]), trace])
        assert len(drafter) == 0


def test_a_replay_that_is_interrupted_leaves_no_request(index: infgram.Index) -> None:
    drafter = Drafter(index)
    with (
        patch.object(Drafter, "propose", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        simulate(drafter, [Trace([1], [2, 3])])
    assert len(drafter) == 0


@pytest.mark.parametrize(
    "options",
    [
        *({"max_tokens": found} for found in (-1, 4097, 1.5, "x", True)),
        *({"traces": found} for found in (None, 5, "text")),
        *({"drafter": found} for found in (None, "x", Drafter)),
        *({"trace": found} for found in (5, None, ([1], [2]))),
    ],
)
def test_what_cannot_be_replayed_is_refused(index: infgram.Index, options: dict[str, Any]) -> None:
    ((name, found),) = options.items()
    given = {"drafter": Drafter(index), "traces": [Trace([1], [2] * 5000)]}
    given |= {"traces": [found]} if name == "trace" else options
    with pytest.raises(InvalidParameter, match=f"{name} is .*, expected"):
        simulate(**given)


def test_a_drafter_of_any_tokenizer_is_replayed(index: infgram.Index) -> None:
    text = [ord(c) for c in PROSE[:60].decode()]
    found = simulate(TextDrafter(index, tokenizer="chars"), [Trace(text[:4], text[4:])])
    assert found.written == 56
    assert found.tokens_per_step > 2.0


def written(tmp_path: Path, *records: Any) -> Path:
    path = tmp_path / "traces.jsonl"
    path.write_text("\n".join(json.dumps(record) for record in records) + "\n\n")
    return path


def test_traces_are_text_or_token_ids(tmp_path: Path) -> None:
    path = written(
        tmp_path, {"prompt": "a", "output": "bc"}, {"output_ids": [3, 4]}, {"output": "ü", "n": 1}
    )
    found = [
        (list(trace.prompt_ids), list(trace.output_ids))
        for trace in read_traces(path, tokens.load("bytes"), 256)
    ]
    assert found == [([97], [98, 99]), ([], [3, 4]), ([], [195, 188])]
    path = written(tmp_path, {"prompt": "ab"}, {"prompt_ids": [1]})
    assert [list(ids) for ids in read_prompts(path, tokens.load("bytes"), 256)] == [[97, 98], [1]]


@pytest.mark.parametrize(
    ("record", "complaint"),
    [
        ([], "list, expected an object"),
        ({}, "expected output_ids or output"),
        ({"output": 5}, "output is int"),
        ({"output": "a", "prompt": None}, "prompt is NoneType"),
        ({"output_ids": [1, 256]}, "token id 256"),
        ({"output_ids": "text"}, "got text"),
    ],
)
def test_a_malformed_trace_names_its_line(tmp_path: Path, record: Any, complaint: str) -> None:
    path = written(tmp_path, {"output": "fine"}, record)
    with pytest.raises(MalformedRecord, match=complaint):
        list(read_traces(path, tokens.load("bytes"), 256))
    path.write_text("[" * 100_000)
    with pytest.raises(MalformedRecord, match=r"line 1.* nested too deeply, expected an object"):
        list(read_traces(path, tokens.load("bytes"), 256))
    path.write_text("{")
    with pytest.raises(MalformedRecord, match="line 1"):
        list(read_prompts(path, tokens.load("bytes"), 256))
    with pytest.raises(MalformedRecord, match="prompt"):
        list(read_prompts(written(tmp_path, {"prompt": ""}), tokens.load("bytes"), 256))


# The command --------------------------------------------------------------------------------------


def test_the_command_replays_a_trace(index: infgram.Index, tmp_path: Path) -> None:
    path = written(tmp_path, {"prompt": "The quick", "output": PROSE[9:80].decode()})
    lines = run("draft", "simulate", path, "-i", index.path).stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["4", "8", "16", "32"]
    rows = json.loads(run("draft", "simulate", path, "-i", index.path, "-n", 8, "--json").stdout)
    (row,) = rows
    again = simulate(Drafter(index, max_tokens=8), read_traces(path, index.tokenizer, 256))
    assert (row["steps"], row["written"]) == (again.steps, 71)
    assert row["max_tokens"] == 8 and row["speed_up"] is None


def test_the_command_takes_a_measured_cost(index: infgram.Index, tmp_path: Path) -> None:
    path = written(tmp_path, {"prompt": "The quick", "output": PROSE[9:80].decode()})
    cost = tmp_path / "cost.json"
    Cost((100.0,) * 9, context_tokens=1, model="", machine="", date="").save(cost)
    rows = json.loads(
        run("draft", "simulate", path, "-i", index.path, "--cost", cost, "--json").stdout
    )
    assert [row["max_tokens"] for row in rows] == [4, 8]  # the curve ends there
    assert all(row["speed_up"] > 2 for row in rows)
    cost.write_text("{}")
    failed = run("draft", "simulate", path, "-i", index.path, "--cost", cost, exit_code=2)
    assert "measure it again" in failed.stderr


def test_the_command_says_which_sizes_have_no_cost(index: infgram.Index, tmp_path: Path) -> None:
    path = written(tmp_path, {"prompt": "The quick", "output": PROSE[9:80].decode()})
    cost = tmp_path / "cost.json"
    arguments = ("draft", "simulate", path, "-i", index.path, "--cost", cost, "--json")
    for longest, left_out in ((33, ""), (32, ""), (31, "32"), (11, "16, 32"), (4, "8, 16, 32")):
        seconds = (100.0,) * (longest + 1)
        Cost(seconds, context_tokens=1, model="", machine="", date="").save(cost)
        ended = run(*arguments)
        said = f"ends at drafts of {longest} tokens: those of {left_out} are left out"
        assert said in ended.stderr if left_out else not ended.stderr
    for longest in (0, 1, 3):
        seconds = (100.0,) * (longest + 1)
        Cost(seconds, context_tokens=1, model="", machine="", date="").save(cost)
        failed = run(*arguments, exit_code=2)
        assert f"ends at drafts of {longest} tokens, expected 4 or more" in failed.stderr
        assert failed.stdout == ""
        (row,) = json.loads(run(*arguments, "-n", longest).stdout)
        assert row["max_tokens"] == longest


def test_the_command_says_what_is_nested_too_deeply(index: infgram.Index, tmp_path: Path) -> None:
    deep = tmp_path / "deep.json"
    deep.write_text("[" * 100_000)
    failed = run("draft", "simulate", deep, "-i", index.path, exit_code=2)
    assert "line 1: found JSON that is nested too deeply" in failed.stderr
    path = written(tmp_path, {"output": "a"})
    failed = run("draft", "simulate", path, "-i", index.path, "--cost", deep, exit_code=2)
    assert "measure it again" in failed.stderr


def test_the_command_serves_other_tokenizers(index: infgram.Index, tmp_path: Path) -> None:
    path = written(tmp_path, {"prompt": "The quick", "output": PROSE[9:80].decode()})
    arguments = (
        "simulate",
        path,
        "-i",
        index.path,
        "--draft-tokens",
        4,
        "--tokenizer",
        "chars",
        "--json",
    )
    (row,) = json.loads(run("draft", *arguments).stdout)
    assert row["written"] == 71
    failed = run("draft", *arguments[:-2], "nonsense", exit_code=2)
    assert "no tokenizer 'nonsense'" in failed.stderr


def test_a_curve_is_read_back(tmp_path: Path) -> None:
    cost = Cost((0.5, 0.75), context_tokens=3, model="m", machine="n", date="2026-01-01")
    cost.save(tmp_path / "cost.json")
    assert Cost.load(tmp_path / "cost.json") == cost
    assert np.array_equal(cost.curve, [0.5, 0.75])
