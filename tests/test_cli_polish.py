"""`infgram polish`: text in, text out, and what was done to it for whoever asks."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import lines, run

import infgram
from infgram.refine import Trace, polish

TEXT = b"KING: the cat sat on the mat.\nQUEEN: a dog sat on the log.\n" * 20 + b"zax\n"
DRAFT = b"KING: the cxt sat on the mat.\nQUEEN: a dog szt on the log.\n"


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> infgram.Index:
    monkeypatch.chdir(tmp_path)
    Path("draft.txt").write_bytes(DRAFT)
    Path("corpus.txt").write_bytes(TEXT)
    return infgram.build("corpus.txt", "corpus.infgram", two_sided=True)


def test_the_text_is_printed_as_it_was_edited(index: infgram.Index) -> None:
    expected = polish(index, DRAFT, seed=3).text
    assert "cxt" not in expected
    assert run("polish", "draft.txt", "--seed", "3").stdout == expected
    assert run("polish", "--seed", "3", stdin=DRAFT).stdout == expected
    assert run("polish", "-", "-i", "corpus.infgram", "--seed", "3", stdin=DRAFT).stdout == expected


def test_bytes_that_are_no_text_come_out_as_they_went_in() -> None:
    assert run("polish", "-", stdin=b"\xff\x00 \x01\n").stdout_bytes == b"\xff\x00 \x01\n"


def test_the_prompt_and_what_is_protected_stay() -> None:
    found = run("polish", "draft.txt", "--prompt", r"KING: the cxt\x20", "-e").stdout
    assert found.startswith("KING: the cxt sat")
    assert "szt" not in found
    assert run("polish", "draft.txt", "--protect", "c.t", "--protect", "s.t").stdout_bytes == DRAFT
    assert "does not begin" in run("polish", "draft.txt", "--prompt", "x", exit_code=2).stderr


def test_edits_are_listed_and_kept(index: infgram.Index) -> None:
    result = run("polish", "draft.txt", "--seed", "3", "--edits", "--trace", "trace.jsonl")
    assert "'cxt'" in result.stderr
    assert "'cat'" in result.stderr
    trace = Trace.load("trace.jsonl")
    assert bytes(trace.replay().tolist()) == result.stdout_bytes
    assert trace.settings["seed"] == 3
    (found,) = lines(run("polish", "draft.txt", "--seed", "3", "--json"))
    assert found["text"].encode() == result.stdout_bytes
    assert found["n_edited"] > 0
    edit = found["edits"][0]
    assert edit["end"] - edit["start"] == len(edit["new"]) == len(edit["old"])
    if edit["source_offset"] is not None:
        d, offset = index.locate(edit["source_offset"])
        ids = index.document(d).token_ids[offset : offset + len(edit["new"])]
        assert ids.tolist() == edit["new"]


def test_copies_that_are_left_are_told_of() -> None:
    result = run("polish", "corpus.txt", "--max-copy", "9", "--rounds", "0", "--protect", "(?s).*")
    assert result.stdout_bytes == TEXT
    assert "1 runs of more than 9 tokens" in result.stderr
    quiet = run("polish", "corpus.txt", "--max-copy", "9", "--protect", "(?s).*", "-q")
    assert quiet.stderr == ""
    (found,) = lines(run("polish", "draft.txt", "--max-copy", "9", "--json"))
    assert found["longest_run"] >= max((e - b for b, e in found["runs"]), default=0)


def test_an_index_with_one_side_is_refused() -> None:
    infgram.build("corpus.txt", "one.infgram")
    result = run("polish", "draft.txt", "-i", "one.infgram", exit_code=2)
    assert "--two-sided" in result.stderr
