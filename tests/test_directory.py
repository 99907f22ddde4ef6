"""Files that take the place of others: whole or not at all, and never that of what is no file."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

import infgram
from infgram.errors import StorageError
from infgram.store.directory import remove_abandoned, replacing, scratch

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


def left_behind(parent: Path, *, age: float, lock: bool = False) -> Path:
    """The folder of a build whose process is gone, last changed so many seconds ago."""
    folder = parent / ".x.infgram.0123abcd.building"
    (folder / "generation-0").mkdir(parents=True)
    files = [folder / "generation-0" / "sa", *([folder / "lock"] if lock else [])]
    for file in files:
        file.write_bytes(b"half")
    for path in (*files, folder / "generation-0", folder):
        os.utime(path, (time.time() - age,) * 2)
    return folder


def build(folder: Path) -> None:
    infgram.build(["to be or not to be"], folder / "x.infgram", overwrite=True)


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("file/x", "file is a file, and no folder: write x elsewhere"),
        ("file/gone/x", "file is a file, and no folder: write x elsewhere"),
        ("gone/x", "gone does not exist: create it, or write x elsewhere"),
    ],
)
def test_what_stands_where_a_folder_should_be_is_told(
    tmp_path: Path, target: str, says: str
) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match=f"/{says}"):
        infgram.build(["to be or not to be"], tmp_path / target)


@pytest.mark.parametrize("lock", [False, True])
def test_the_next_build_removes_what_a_killed_one_left(tmp_path: Path, lock: bool) -> None:
    for parent in (tmp_path, tmp_path / "x.infgram"):  # beside the index, and then inside
        left = left_behind(parent, age=100, lock=lock)
        build(tmp_path)
        assert not left.exists()


def test_a_young_folder_without_a_lock_may_be_about_to_be_locked(tmp_path: Path) -> None:
    left = left_behind(tmp_path, age=100)
    (left / "generation-0" / "sa").write_bytes(b"still written")
    build(tmp_path)
    assert (left / "generation-0" / "sa").exists()


@posix
def test_what_a_link_of_such_a_name_leads_to_stays(tmp_path: Path) -> None:
    for lock in (False, True):
        (parent := tmp_path / str(lock)).mkdir()
        other = left_behind(tmp_path, age=100, lock=lock).rename(parent / "other")
        (parent / ".x.infgram.0123abcd.building").symlink_to(other)
        build(parent)
        assert (other / "generation-0" / "sa").exists()


@posix
@pytest.mark.parametrize("killed_at", range(6))
def test_wherever_a_clean_up_is_killed_the_next_one_ends_it(tmp_path: Path, killed_at: int) -> None:
    left = iter(range(killed_at))

    def until_killed(remove: Callable[..., None]) -> Callable[..., None]:
        def removing(*args: Any, **options: Any) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt
            remove(*args, **options)

        return removing

    with ExitStack() as cleanup:
        work = cleanup.enter_context(scratch(tmp_path, "x.infgram"))
        (work / "generation-0").mkdir()
        for name in ("CURRENT", "generation-0/sa", "zzz"):
            (work / name).write_bytes(b"whole")
        with (
            patch("os.unlink", until_killed(os.unlink)),
            patch("os.rmdir", until_killed(os.rmdir)),
            pytest.raises(KeyboardInterrupt),
        ):
            cleanup.close()
    assert list(tmp_path.iterdir())
    remove_abandoned(tmp_path, "x.infgram")
    assert not list(tmp_path.iterdir())
