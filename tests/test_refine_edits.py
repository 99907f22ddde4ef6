"""A trace holds all that makes the edited text of the draft, or is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from infgram.errors import InvalidParameter, MalformedRecord, StorageError
from infgram.refine import Edit, Trace

DRAFT = np.array(list(b"to be or not"), np.uint32)
EDITS = (
    Edit(3, 5, tuple(b"be"), tuple(b"do"), 1.25, "sbis", None),
    Edit(9, 12, tuple(b"not"), tuple(b"die"), 0.1 + 0.2, "lexicon", 17),
    Edit(3, 5, tuple(b"do"), tuple(b"go"), -3.0, "fill", 0, round=1),
)
TRACE = Trace(DRAFT, EDITS, {"seed": 3, "protect": ["^x"]})


def test_edits_are_made_in_their_order() -> None:
    assert bytes(TRACE.replay().tolist()) == b"to go or die"
    assert bytes(DRAFT.tolist()) == b"to be or not"


def test_a_trace_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    TRACE.save(path)
    read = Trace.load(path)
    assert read.token_ids.tolist() == DRAFT.tolist()
    assert read.token_ids.dtype == np.uint32
    assert (read.edits, read.settings) == (EDITS, TRACE.settings)
    Trace(DRAFT[:0], ()).save(path)
    assert Trace.load(path).replay().tolist() == []


@pytest.mark.parametrize(
    "edit",
    [
        Edit(3, 5, tuple(b"xx"), tuple(b"do"), 1.0, "sbis", None),
        Edit(11, 13, tuple(b"tt"), tuple(b"do"), 1.0, "sbis", None),
        Edit(3, 5, tuple(b"be"), tuple(b"doe"), 1.0, "sbis", None),
        Edit(-1, 1, (), tuple(b"do"), 1.0, "sbis", None),
    ],
)
def test_edits_of_another_text_are_refused(tmp_path: Path, edit: Edit) -> None:
    with pytest.raises(InvalidParameter):
        Trace(DRAFT, (edit,)).replay()


def test_a_torn_or_changed_trace_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    TRACE.save(path)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    damaged = [b"".join(lines[:i] + lines[i + 1 :]) for i in range(len(lines))]
    damaged += [whole[:n] for n in range(0, len(whole) - 2, 7)]
    damaged += [whole.replace(b"1.25, ", b""), whole.replace(b"infgram-trace/1", b"other")]
    damaged += [whole.replace(b"103", b"104"), b"[]\n[]\n", b"{}\n{}\n", b"\xff\n", b"1\n2\n"]
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(MalformedRecord, match="no whole trace"):
            Trace.load(path)


def test_where_nothing_can_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        TRACE.save(tmp_path / "missing" / "trace.jsonl")
