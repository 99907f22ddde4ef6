"""Files that take the place of others: whole or not at all, and never that of what is no file."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from infgram.errors import StorageError
from infgram.store.directory import replacing

posix = pytest.mark.skipif(os.name != "posix", reason="needs links and pipes")


def test_a_file_is_replaced_when_the_block_has_ended_well(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    with replacing(target) as file:
        file.write(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"
    with pytest.raises(KeyError):
        fail(target)
    assert target.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [target]


def fail(target: Path) -> None:
    with replacing(target) as file:
        file.write(b"half")
        raise KeyError


@posix
def test_what_a_link_leads_to_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "file", tmp_path / "link"
    link.symlink_to(target)
    for content in (b"first", b"second"):  # the link leads to nothing at first
        with replacing(link) as file:
            file.write(content)
        assert link.is_symlink()
        assert target.read_bytes() == content
    assert [each.name for each in (tmp_path / "elsewhere").iterdir()] == ["file"]


@posix
def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    with replacing(pipe) as file:
        file.write(b"text")
    reader.join()
    assert read == [b"text"]
    assert pipe.is_fifo()


@pytest.mark.parametrize("target", ["", "gone/file"])
def test_a_folder_and_a_missing_one_are_errors(tmp_path: Path, target: str) -> None:
    with pytest.raises(StorageError, match="cannot be written"), replacing(tmp_path / target):
        pass
    assert not list(tmp_path.iterdir())
