"""An open folder: what is opened, replaced or removed in it goes by its descriptor, not its path.

So one reader never mixes two folders that stood at one path one after the other, no link leads out
of a folder, and what is no file (a pipe, a device) is refused instead of waited for. Alone in
locking files and in knowing what a process that was killed leaves behind.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from ..errors import CorruptIndex, StorageError

_WRITING = ".writing"


class Directory:
    """A folder that is open. `path` is for messages; nothing is looked up by it again."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator[Directory]:
        """The folder that stands at `path` now; links to it are followed. Raises OSError."""
        with _closing(os.open(path, os.O_RDONLY | os.O_DIRECTORY)) as descriptor:
            yield cls(path, descriptor)

    @contextmanager
    def folder(self, name: str) -> Iterator[Directory]:
        """A folder in this one. Raises FileNotFoundError, CorruptIndex for anything else."""
        with _closing(self._open(name, os.O_DIRECTORY, "a folder")) as descriptor:
            yield Directory(self.path / name, descriptor)

    @contextmanager
    def file(self, name: str) -> Iterator[int]:
        """A descriptor of a file in this folder, to read from.

        Raises FileNotFoundError; CorruptIndex for a link, a pipe, a device or a folder.
        """
        # not blocking: to open a pipe would wait for somebody to write into it
        with _closing(self._open(name, os.O_NONBLOCK, "a file")) as descriptor:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise CorruptIndex(
                    f"{self.path / name} is no file: remove it, or build the index again"
                )
            yield descriptor

    def _open(self, name: str, flags: int, kind: str) -> int:
        path = self.path / name
        try:
            return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | flags, dir_fd=self.descriptor)
        except FileNotFoundError:
            raise
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                raise StorageError(
                    f"{path} cannot be opened: {error.strerror}; raise the limit of open files "
                    "(ulimit -n), or build with larger shards"
                ) from error
            what = "a symbolic link" if error.errno == errno.ELOOP else f"not {kind} ({error})"
            raise CorruptIndex(
                f"{path} is {what}, expected {kind} of the index's own: copy the index with its "
                "links resolved (cp -rL), or build it again"
            ) from error

    def read(self, name: str, *, most: int) -> bytes:
        """All of a file of at most `most` bytes. Raises as `file` does, CorruptIndex if longer."""
        with self.file(name) as descriptor:
            size = os.fstat(descriptor).st_size
            if size > most:
                raise CorruptIndex(
                    f"{self.path / name} has {size:,} bytes, expected at most {most:,}: it was not "
                    "written by infgram"
                )
            return os.pread(descriptor, size, 0)

    @contextmanager
    def replacing(self, name: str) -> Iterator[IO[bytes]]:
        """A file that takes the place of `name` if the block ends well, and is removed otherwise.

        What processes left that were killed while they replaced this file is removed first. Raises
        OSError.
        """
        self._remove_abandoned(name)
        while True:
            temporary = f".{name}.{secrets.token_hex(4)}{_WRITING}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            descriptor = os.open(temporary, flags, 0o666, dir_fd=self.descriptor)
            with os.fdopen(descriptor, "wb") as file:
                if not (_lock(descriptor) and self._has(temporary, descriptor)):
                    continue  # somebody has just removed it: it was not locked yet
                try:
                    yield file
                    sync(file)
                    at = self.descriptor
                    os.replace(temporary, name, src_dir_fd=at, dst_dir_fd=at)
                except BaseException:
                    with suppress(FileNotFoundError):
                        os.unlink(temporary, dir_fd=self.descriptor)
                    raise
                return

    def sync(self) -> None:
        """Waits until the folder's names are on the disk."""
        os.fsync(self.descriptor)

    def _remove_abandoned(self, name: str) -> None:
        pattern = re.compile(rf"\.{re.escape(name)}\.[0-9a-f]{{8}}{re.escape(_WRITING)}")
        for entry in filter(pattern.fullmatch, os.listdir(self.descriptor)):
            with suppress(OSError, StorageError), self.file(entry) as descriptor:
                if _lock(descriptor):
                    os.unlink(entry, dir_fd=self.descriptor)

    def _has(self, name: str, descriptor: int) -> bool:
        """Whether the file that is open is the one that stands there."""
        try:
            found = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(found, os.fstat(descriptor))


@contextmanager
def _closing(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` if the block ends well, and is removed otherwise.

    Raises StorageError.
    """
    target = Path(path)
    try:
        with Directory.open(target.parent) as folder, folder.replacing(target.name) as file:
            yield file
    except OSError as error:
        raise StorageError(
            f"{target} cannot be written: {error.strerror or error}. Nothing is changed."
        ) from error


_LOCK = "lock"


@contextmanager
def scratch(parent: Path, name: str) -> Iterator[Path]:
    """A new folder in `parent` that is this process's own until the block ends.

    It is called `.NAME.<random>.building`, and holds a file `lock` that is locked while its process
    lives. Then it is removed, if it is still there.
    """
    while True:
        folder = parent / f".{name}.{secrets.token_hex(4)}{_BUILDING}"
        folder.mkdir()
        try:
            lock = open(folder / _LOCK, "xb")
        except FileNotFoundError:
            continue  # somebody has just removed it: it was empty
        with lock:
            if not (_lock(lock.fileno()) and (folder / _LOCK).exists()):
                continue
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            return


_BUILDING = ".building"


def remove_abandoned(parent: Path, name: str) -> None:
    """Removes folders that `scratch` made, for the same name, whose process is gone."""
    pattern = re.compile(rf"\.{re.escape(name)}\.[0-9a-f]{{8}}{re.escape(_BUILDING)}", re.DOTALL)
    for entry in filter(pattern.fullmatch, os.listdir(parent)):
        folder = parent / entry
        try:
            with open(folder / _LOCK, "rb") as lock:
                if _lock(lock.fileno()):
                    shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            with suppress(OSError):
                folder.rmdir()  # its process died, or is about to look for it: it is empty


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Waits until no other process holds the folder's lock, and holds it. Raises OSError."""
    with open(folder / _LOCK, "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def sync(file: IO[Any]) -> None:
    """Waits until what was written is on the disk."""
    file.flush()
    os.fsync(file.fileno())


def _lock(descriptor: int) -> bool:
    """Locks a file until it is closed; False if another process has."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
