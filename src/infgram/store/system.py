"""What operating systems do differently with files; what stands above is written once for all.

Windows holds no folder open, so what is in one is looked up by its path each time; and it refuses
to rename or remove a file that is open, and a folder that has one. Nothing here knows of an index.
"""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import stat
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import numpy as np

MOVES_OPEN_FILES = sys.platform != "win32"
"""Whether files that are open, and folders that have such, can be renamed and removed."""
# Seconds: far more than from a file's creation to its lock, or from its close to its new name.
_FORGOTTEN = 60.0


def cache_folder() -> Path | None:
    """Where the user's programs keep what they can make again; None without a home folder."""
    if found := os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME"):
        cache = Path(found)
    else:
        home = Path(os.path.expanduser("~"))
        cache = home / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return cache / "infgram" if cache.is_absolute() else None


def is_forgotten(folder: Path) -> bool:
    """Whether it is a folder, and it and all that is in it were last changed long ago.

    Raises OSError where what is in it comes and goes.
    """
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode):
        return False
    newest = found.st_mtime
    for inside, folders, files in os.walk(folder):
        for name in (*folders, *files):
            newest = max(newest, os.lstat(os.path.join(inside, name)).st_mtime)
    return time.time() - newest > _FORGOTTEN


def _remove_all(folder: Path, last: str) -> None:
    """Removes what is in a folder, then the file `last`, then the folder; a link stays.

    `last` stays too where anything else does: what tells that the folder is abandoned is there as
    long as there is something to remove, whenever this is killed.
    """
    with suppress(OSError):
        if not stat.S_ISDIR(os.lstat(folder).st_mode):
            return
        for name in os.listdir(folder):
            path = folder / name
            if name == last:
                continue
            if stat.S_ISDIR(os.lstat(path).st_mode):
                shutil.rmtree(path, ignore_errors=True)
            else:
                with suppress(OSError):
                    path.unlink()
        if set(os.listdir(folder)) <= {last}:
            shutil.rmtree(folder, ignore_errors=True)


# A place is a path, or a name in the folder that is open as the descriptor `within`.


if sys.platform == "win32":
    import msvcrt

    _FLAGS = os.O_BINARY | os.O_NOINHERIT
    _BYTE = 1 << 30  # that is locked: others cannot read it then, so it is beyond all that is read
    _PATIENCE = 5.0  # seconds, for readers that have a file open for a moment

    def lock(descriptor: int, *, wait: bool = False) -> bool:
        """Locks a file until it is closed. False, unless it waits, if another process has."""
        while True:
            at = os.lseek(descriptor, 0, os.SEEK_CUR)
            os.lseek(descriptor, _BYTE, os.SEEK_SET)
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            except OSError:
                if not wait:
                    return False
            else:
                return True
            finally:
                os.lseek(descriptor, at, os.SEEK_SET)
            time.sleep(0.01)

    def map_file(descriptor: int, n_bytes: int) -> mmap.mmap:
        """Maps the first bytes of a file, at least one, to read. Raises OSError."""
        return mmap.mmap(descriptor, n_bytes, access=mmap.ACCESS_READ)

    def read_at(descriptor: int, n_bytes: int, at: int) -> bytes:
        """So many bytes of a file from a place on, or those that it has."""
        os.lseek(descriptor, at, os.SEEK_SET)
        return os.read(descriptor, n_bytes)

    def open_folder(path: str | Path, within: int | None = None, *, follow: bool) -> int | None:
        """None: a folder cannot be open. Raises OSError unless one is there."""
        found = os.stat(path) if follow else _stat_no_link(path)
        if not stat.S_ISDIR(found.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
        return None

    def open_file(path: str | Path, within: int | None = None) -> int:
        """A descriptor to read from. Raises OSError; ELOOP for a link, which is not followed."""
        _stat_no_link(path)
        return os.open(path, os.O_RDONLY | _FLAGS)

    def create_file(path: str | Path, within: int | None = None) -> int:
        """A descriptor of a new file, to write to. Raises OSError."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o666)

    def replace(old: str | Path, new: str | Path, within: int | None = None) -> None:
        """Renames a file, which takes the place of another, or a folder. Raises OSError."""
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                os.replace(old, new)
            except PermissionError:  # somebody has it open, or looks for viruses
                if time.monotonic() > until:
                    raise
                time.sleep(0.01)
            else:
                return

    def remove_folder(path: Path, last: str) -> None:
        """Removes a folder and all that is in it, the file `last` last, as far as possible."""
        until = time.monotonic() + _PATIENCE
        while path.exists() and time.monotonic() < until:  # others look whether it is abandoned
            _remove_all(path, last)
            time.sleep(0.01)

    def sync_folder(descriptor: int | None) -> None:
        """Nothing: the file system keeps a journal of names."""

    def remove_abandoned(
        locked: Callable[[], AbstractContextManager[int]], remove: Callable[[], None]
    ) -> None:
        """Removes what a process has left, if it is gone: nobody else has its file locked."""
        with locked() as descriptor:
            age = time.time() - os.fstat(descriptor).st_mtime
            gone = lock(descriptor) and age > _FORGOTTEN
        if gone:
            remove()

    def _stat_no_link(path: str | Path) -> os.stat_result:
        found = os.lstat(path)
        is_junction = found.st_reparse_tag == stat.IO_REPARSE_TAG_MOUNT_POINT
        if stat.S_ISLNK(found.st_mode) or is_junction:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        return found

else:
    import ctypes
    import fcntl

    _MAP_FIXED = 0x10  # of Linux, macOS and the BSDs
    _mmap = ctypes.CDLL(None, use_errno=True).mmap
    _mmap.restype = ctypes.c_void_p
    _mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_longlong]

    def map_file(descriptor: int, n_bytes: int) -> mmap.mmap:
        """Maps the first bytes of a file, at least one, to read. Raises OSError.

        No descriptor stays open, however many files are mapped. Python before 3.13 keeps one a map:
        so there the file takes the place of memory that was mapped without one.
        """
        if sys.version_info >= (3, 13):
            return mmap.mmap(descriptor, n_bytes, access=mmap.ACCESS_READ, trackfd=False)
        found = mmap.mmap(-1, n_bytes, access=mmap.ACCESS_READ)
        at = np.frombuffer(found, np.uint8).__array_interface__["data"][0]
        flags = mmap.MAP_SHARED | _MAP_FIXED
        if _mmap(at, n_bytes, mmap.PROT_READ, flags, descriptor, 0) != at:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return found

    def lock(descriptor: int, *, wait: bool = False) -> bool:
        """Locks a file until it is closed. False, unless it waits, if another process has."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        return True

    def read_at(descriptor: int, n_bytes: int, at: int) -> bytes:
        """So many bytes of a file from a place on, or those that it has."""
        return os.pread(descriptor, n_bytes, at)

    def open_folder(path: str | Path, within: int | None = None, *, follow: bool) -> int | None:
        """A descriptor. Raises OSError; ELOOP or ENOTDIR for a link that is not to be followed."""
        flags = os.O_RDONLY | os.O_DIRECTORY | (0 if follow else os.O_NOFOLLOW)
        return os.open(path, flags, dir_fd=within)

    def open_file(path: str | Path, within: int | None = None) -> int:
        """A descriptor to read from. Raises OSError; ELOOP for a link, which is not followed."""
        # not blocking: to open a pipe would wait for somebody to write into it
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=within)

    def create_file(path: str | Path, within: int | None = None) -> int:
        """A descriptor of a new file, to write to. Raises OSError."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=within)

    def replace(old: str | Path, new: str | Path, within: int | None = None) -> None:
        """Renames a file, which takes the place of another, or a folder. Raises OSError."""
        os.replace(old, new, src_dir_fd=within, dst_dir_fd=within)

    def remove_folder(path: Path, last: str) -> None:
        """Removes a folder and all that is in it, the file `last` last, as far as possible."""
        _remove_all(path, last)

    def sync_folder(descriptor: int | None) -> None:
        """Waits until an open folder's names are on the disk."""
        assert descriptor is not None
        os.fsync(descriptor)

    def remove_abandoned(
        locked: Callable[[], AbstractContextManager[int]], remove: Callable[[], None]
    ) -> None:
        """Removes what a process has left, if it is gone: nobody else has its file locked.

        Under the lock: whoever has just made the file looks, once it is locked, whether it is
        still there.
        """
        with locked() as descriptor:
            if lock(descriptor):
                remove()
