"""What Windows would refuse is refused: a plugin of pytest, for tests of folders and files.

    python -m pytest -p windows -n 0 tests/test_storage.py

It takes away what Windows does not have (folders that are open, `fcntl`, `resource`), puts a
`msvcrt` there, imports infgram as Windows does, and lets nobody rename or remove what is open, in
whatever process. Not a Windows: paths, encodings and its system calls stay those of this machine.
"""

from __future__ import annotations

import concurrent.futures  # noqa: F401 - what is imported before asks for the true system
import ctypes  # noqa: F401
import errno
import fcntl
import importlib
import os
import pkgutil
import shutil
import stat
import subprocess  # noqa: F401
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from typing import Any

import click  # noqa: F401
import numpy as np  # noqa: F401
import rich.console  # noqa: F401

_true = {
    name: getattr(os, name)
    for name in (
        "open",
        "stat",
        "lstat",
        "fsync",
        "listdir",
        "unlink",
        "rmdir",
        "rename",
        "replace",
    )
}


_TEMPORARY = os.path.realpath(tempfile.gettempdir())


def _refuse(path: object) -> None:
    raise PermissionError(errno.EACCES, "open elsewhere", str(path))


def _open_paths() -> Iterator[str]:
    """Every file that a process of this user has open or mapped."""
    for process in filter(str.isdigit, _true["listdir"]("/proc")):
        try:
            for descriptor in _true["listdir"](f"/proc/{process}/fd"):
                yield os.readlink(f"/proc/{process}/fd/{descriptor}")
            with open(f"/proc/{process}/maps") as maps:
                for line in maps:
                    if len(words := line.split(maxsplit=5)) == 6:
                        yield words[5].strip()
        except OSError:  # it has ended, or is not ours
            continue


def _free(path: Any) -> None:
    """Raises PermissionError if a file, or one in a folder, is open."""
    whole = os.path.realpath(os.path.dirname(os.fspath(path)) or ".")
    if whole == _TEMPORARY:  # what tempfile removes once it is open
        return
    whole = os.path.join(whole, os.path.basename(os.fspath(path)))
    if any(each == whole or each.startswith(whole + os.sep) for each in _open_paths()):
        _refuse(path)


def _no_folders(dir_fd: int | None) -> None:
    if dir_fd is not None:
        raise NotImplementedError("dir_fd unavailable on this platform")


class _Stat:
    """A stat_result with what Windows tells as well."""

    def __init__(self, found: os.stat_result) -> None:
        self._found = found
        self.st_reparse_tag = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._found, name)


def _open(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
    _no_folders(dir_fd)
    if os.path.isdir(path):
        _refuse(path)
    return _true["open"](path, flags, mode)


def _stat(path: Any, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> Any:
    _no_folders(dir_fd)
    return _true["stat"](path, follow_symlinks=follow_symlinks)


def _lstat(path: Any, *, dir_fd: int | None = None) -> Any:
    _no_folders(dir_fd)
    return _Stat(_true["lstat"](path))


def _fsync(descriptor: Any) -> None:
    number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
    if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    _true["fsync"](number)


def _listdir(path: Any = ".") -> list[Any]:
    if isinstance(path, int):
        raise TypeError("listdir: path should be string, bytes, os.PathLike or None, not int")
    return _true["listdir"](path)


def _removing(name: str) -> Callable[..., None]:
    def remove(path: Any, *, dir_fd: int | None = None) -> None:
        _no_folders(dir_fd)
        _free(path)
        _true[name](path)

    return remove


def _moving(name: str) -> Callable[..., None]:
    def move(
        old: Any, new: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None
    ) -> None:
        _no_folders(src_dir_fd)
        _no_folders(dst_dir_fd)
        _free(old)
        if os.path.lexists(new):
            if name == "rename":
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(new))
            _free(new)
        _true[name](old, new)

    return move


def _locking(descriptor: int, mode: int, n_bytes: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from error


def _pretend() -> None:
    msvcrt: Any = types.ModuleType("msvcrt")
    msvcrt.locking, msvcrt.LK_NBLCK = _locking, 2
    gone: Any = {"fcntl": None, "resource": None, "msvcrt": msvcrt}
    kept = {name: sys.modules.get(name) for name in gone}
    platform = sys.platform
    folders: Any = shutil
    folders._use_fd_functions = False
    system: Any = os
    for name in ("pread", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK"):
        delattr(system, name)
    constants: Any = stat
    constants.IO_REPARSE_TAG_MOUNT_POINT = 0xA0000003
    system.O_BINARY, system.O_NOINHERIT = 0, os.O_CLOEXEC
    system.open, system.stat, system.lstat = _open, _stat, _lstat
    system.fsync, system.listdir = _fsync, _listdir
    system.unlink = system.remove = _removing("unlink")
    system.rmdir = _removing("rmdir")
    system.rename, system.replace = _moving("rename"), _moving("replace")
    try:
        sys.modules.update(gone)
        sys.platform = "win32"
        package = importlib.import_module("infgram")
        for module in pkgutil.walk_packages(package.__path__, "infgram."):
            if module.name.startswith(("infgram.store", "infgram.text")):
                importlib.import_module(module.name)
    finally:
        sys.platform = platform
        for name, module in kept.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


_pretend()
