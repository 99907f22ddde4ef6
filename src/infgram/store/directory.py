"""An open folder: what is opened, replaced or removed in it goes by its descriptor, not its path.

So one reader never mixes two folders that stood at one path one after the other, no link leads out
of a folder, and what is no file (a pipe, a device) is refused instead of waited for. Alone in
knowing what a process that was killed leaves behind. (Windows keeps no folder open; there it goes
by the path, and folders of the same name after each other are ruled out by names drawn at random.)
"""

from __future__ import annotations

import errno
import mmap
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

from ..errors import CorruptIndex, StorageError
from . import system

_WRITING = ".writing"


class Directory:
    """A folder that is open. `path` is for messages; where the system holds folders open, nothing
    is looked up by it again."""

    def __init__(self, path: Path, descriptor: int | None) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator[Directory]:
        """The folder that stands at `path` now; links to it are followed. Raises OSError."""
        with _closing(system.open_folder(path, follow=True)) as descriptor:
            yield cls(path, descriptor)

    @contextmanager
    def folder(self, name: str) -> Iterator[Directory]:
        """A folder in this one. Raises FileNotFoundError, CorruptIndex for anything else."""
        with self._refusing(name, "a folder"):
            descriptor = system.open_folder(*self._place(name), follow=False)
        with _closing(descriptor):
            yield Directory(self.path / name, descriptor)

    @contextmanager
    def file(self, name: str) -> Iterator[int]:
        """A descriptor of a file in this folder, to read from.

        Raises FileNotFoundError; CorruptIndex for a link, a pipe, a device or a folder.
        """
        with self._refusing(name, "a file"):
            descriptor = system.open_file(*self._place(name))
        with _closing(descriptor):
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise CorruptIndex(
                    f"{self.path / name} is no file: remove it, or build the index again"
                )
            yield descriptor

    def _place(self, name: str) -> tuple[str | Path, int | None]:
        """Where something in this folder is, as `system` takes it."""
        return (self.path / name, None) if self._descriptor is None else (name, self._descriptor)

    @contextmanager
    def _refusing(self, name: str, kind: str) -> Iterator[None]:
        """Says what stands where something of another kind was expected."""
        path = self.path / name
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                raise StorageError(
                    f"{path} cannot be opened: {error.strerror}; close some, or raise the limit "
                    "of open files (ulimit -n)"
                ) from error
            what = "a symbolic link" if error.errno == errno.ELOOP else f"not {kind} ({error})"
            raise CorruptIndex(
                f"{path} is {what}, expected {kind} of the index's own: copy the index with its "
                "links resolved (cp -rL), or build it again"
            ) from error

    def read(self, name: str, *, most: int) -> bytes:
        """All of a file of at most `most` bytes. Raises as `file` does, CorruptIndex if longer."""
        with self.file(name) as descriptor:
            return system.read_at(descriptor, self._size(name, descriptor, most), 0)

    def map(self, name: str, *, most: int) -> bytes | mmap.mmap:
        """The same, read as it is used where a file that is open can be replaced."""
        with self.file(name) as descriptor:
            size = self._size(name, descriptor, most)
            if size and system.MOVES_OPEN_FILES:
                return system.map_file(descriptor, size)
            return system.read_at(descriptor, size, 0)

    def _size(self, name: str, descriptor: int, most: int) -> int:
        size = os.fstat(descriptor).st_size
        if size > most:
            raise CorruptIndex(
                f"{self.path / name} has {size:,} bytes, expected at most {most:,}: it was not "
                "written by infgram"
            )
        return size

    @contextmanager
    def replacing(self, name: str) -> Iterator[IO[bytes]]:
        """A file that takes the place of `name` if the block ends well, and is removed otherwise.

        What processes left that were killed while they replaced this file is removed first. Raises
        OSError.
        """
        self._remove_abandoned(name)
        while True:
            temporary = _temporary(name)
            descriptor = system.create_file(*self._place(temporary))
            with ExitStack() as cleanup:
                file = cleanup.enter_context(os.fdopen(descriptor, "wb"))
                if not (system.lock(descriptor) and self._has(temporary, descriptor)):
                    continue  # somebody has just removed it: it was not locked yet
                try:
                    yield file
                    sync(file)
                    if not system.MOVES_OPEN_FILES:
                        cleanup.close()
                    place, within = self._place(temporary)
                    system.replace(place, self._place(name)[0], within)
                except BaseException:
                    if not system.MOVES_OPEN_FILES:
                        cleanup.close()
                    with suppress(FileNotFoundError):
                        self._unlink(temporary)
                    raise
                return

    def check_writable(self, name: str) -> None:
        """Raises OSError unless `replacing` can make its file."""
        temporary = _temporary(name)
        os.close(system.create_file(*self._place(temporary)))
        with suppress(FileNotFoundError):  # somebody took it for abandoned
            self._unlink(temporary)

    def sync(self) -> None:
        """Waits until the folder's names are on the disk."""
        system.sync_folder(self._descriptor)

    def is_same(self, other: Directory) -> bool:
        """Whether both are one folder."""
        return os.path.samestat(self._stat(), other._stat())

    def _stat(self) -> os.stat_result:
        return os.stat(self.path if self._descriptor is None else self._descriptor)

    def _unlink(self, name: str) -> None:
        place, within = self._place(name)
        os.unlink(place, dir_fd=within)

    def _remove_abandoned(self, name: str) -> None:
        pattern = re.compile(rf"\.{re.escape(name)}\.[0-9a-f]{{8}}{re.escape(_WRITING)}")
        names = os.listdir(self.path if self._descriptor is None else self._descriptor)
        for entry in filter(pattern.fullmatch, names):
            with suppress(OSError, StorageError):
                system.remove_abandoned(partial(self.file, entry), partial(self._unlink, entry))

    def _has(self, name: str, descriptor: int) -> bool:
        """Whether the file that is open is the one that stands there."""
        try:
            place, within = self._place(name)
            found = os.stat(place, dir_fd=within, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(found, os.fstat(descriptor))


def _temporary(name: str) -> str:
    """A new name for what is to take the place of a file."""
    return f".{name}.{secrets.token_hex(4)}{_WRITING}"


@contextmanager
def _closing(descriptor: int | None) -> Iterator[int | None]:
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` if the block ends well, and is removed otherwise.

    A link is followed: what it leads to is replaced. What is no file, as a pipe or /dev/null, stays
    what it is and is written to. Raises StorageError.
    """
    given, target = Path(path), Path(os.path.realpath(path))
    try:
        # as it was given: what /dev/stdout leads to may have no name
        if given.exists() and not (given.is_file() or given.is_dir()):
            with open(given, "wb") as file:
                yield file
            return
        with Directory.open(target.parent) as folder, folder.replacing(target.name) as file:
            yield file
    except OSError as error:
        raise StorageError(
            f"{target} cannot be written: {error.strerror or error}. Nothing is changed."
        ) from error


def need_folder_of(target: Path) -> None:
    """Raises StorageError unless there is a folder for what is to be written there."""
    if target.parent.is_dir():
        return
    above = next(above for above in target.absolute().parents if above.exists())
    if not above.is_dir():
        raise StorageError(f"{above} is a file, and no folder: write {target.name} elsewhere")
    raise StorageError(
        f"the folder {target.parent} does not exist: create it, or write {target.name} elsewhere"
    )


LOCK = "lock"


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
            lock = open(folder / LOCK, "xb")
        except FileNotFoundError:
            continue  # somebody has just removed it: it was empty
        with ExitStack() as cleanup:
            cleanup.enter_context(lock)
            if not (system.lock(lock.fileno()) and (folder / LOCK).exists()):
                continue
            try:
                yield folder
            finally:
                if not system.MOVES_OPEN_FILES:
                    cleanup.close()
                system.remove_folder(folder, LOCK)
            return


_BUILDING = ".building"


def remove_abandoned(parent: Path, name: str) -> None:
    """Removes folders that `scratch` made, for the same name, whose process is gone.

    One without a lock was half removed, as infgram once did it, or is about to be locked: it goes
    if it is empty, or old.
    """
    pattern = re.compile(rf"\.{re.escape(name)}\.[0-9a-f]{{8}}{re.escape(_BUILDING)}", re.DOTALL)
    for entry in filter(pattern.fullmatch, os.listdir(parent)):
        folder = parent / entry
        remove = partial(system.remove_folder, folder, LOCK)
        with suppress(OSError):
            try:
                system.remove_abandoned(partial(_opened, folder / LOCK), remove)
            except FileNotFoundError:
                if system.is_forgotten(folder):
                    remove()
                else:
                    folder.rmdir()  # its process died, or is about to look for it: it is empty


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Waits until no other process holds the folder's lock, and holds it. Raises OSError."""
    with open(folder / LOCK, "ab") as lock:
        system.lock(lock.fileno(), wait=True)
        yield


def sync(file: IO[Any]) -> None:
    """Waits until what was written is on the disk."""
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    with open(path, "rb") as file:
        yield file.fileno()
