"""Which build of an index is the current one, and how the next one takes its place.

    corpus.infgram/
    ├── CURRENT                        one line: infgram 2 generation-0123456789abcdef
    ├── lock                           locked while CURRENT changes
    └── generation-0123456789abcdef/   the files of one build; columns never change

One rename replaces CURRENT, so whoever opens the index sees one build or the other. docs/format.md
tells the protocol. An index of format 1 has its files in the folder itself; it becomes one of
format 2 when it is replaced.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from ..errors import CorruptIndex, IndexExists, NotAnIndex, StorageError
from . import system
from .directory import Directory, locked, remove_abandoned, scratch, sync

T = TypeVar("T")

FORMAT = "infgram"
MANIFEST = "manifest.json"
CURRENT = "CURRENT"

_LINE = re.compile(rb"infgram 2 (generation-[0-9a-f]{16})\n")
_GENERATION = re.compile(r"generation-[0-9a-f]{16}")
_OUR_MANIFEST = re.compile(rb'\s*\{\s*"format"\s*:\s*"infgram"')


# Reading ------------------------------------------------------------------------------------------


def enter(root: Path, cleanup: ExitStack) -> Directory:
    """The folder of the index's current build, open until `cleanup` closes it.

    Raises NotAnIndex, UnsupportedFormat, CorruptIndex.
    """
    missing = None
    while True:
        try:
            folder = cleanup.enter_context(Directory.open(root))
        except FileNotFoundError as error:
            raise NotAnIndex(
                f"{root} does not exist: build it with `infgram build CORPUS -o {root}`"
            ) from error
        except NotADirectoryError as error:
            raise NotAnIndex(
                f"{root} is a file, not an index folder: build one from it with `infgram build`"
            ) from error
        except OSError as error:
            raise StorageError(f"{root} cannot be opened: {error.strerror}") from error
        name = _current(folder)
        if name is None:
            return folder
        try:
            return cleanup.enter_context(folder.folder(name))
        except FileNotFoundError as error:
            if name == missing:
                raise CorruptIndex(
                    f"{root / name} is missing, and {CURRENT} says that it is the index: build it "
                    "again"
                ) from error
            missing = name  # replaced since CURRENT was read? Then it names another one by now


def has_moved_on(root: Path, generation: Directory) -> bool:
    """Whether another build has taken the place of an open one."""
    with ExitStack() as cleanup, suppress(StorageError):
        now = enter(root, cleanup)
        return not now.is_same(generation)
    return False


def _current(folder: Directory) -> str | None:
    """The name of the current generation; None where there is no CURRENT."""
    try:
        line = folder.read(CURRENT, most=1000)
    except FileNotFoundError:
        return None
    found = _LINE.fullmatch(line)
    if found is None:
        what = repr(line[:40])
        if line.startswith(b"infgram "):
            raise CorruptIndex(
                f"{folder.path / CURRENT} is damaged or of a later infgram: found {what}, expected "
                "'infgram 2 generation-...'; build the index again"
            )
        raise NotAnIndex(f"{folder.path / CURRENT} is not of an infgram index: found {what}")
    return found[1].decode()


# Writing ------------------------------------------------------------------------------------------


class Building:
    """The files of a build, in `folder`, until they are published."""

    def __init__(self, work: Path, target: Path, *, overwrite: bool) -> None:
        self._name = f"generation-{secrets.token_hex(8)}"
        self._work = work
        self._target = target
        self._overwrite = overwrite
        self.folder = work / self._name
        self.folder.mkdir()

    def publish(self, bind: Callable[[Directory], T]) -> T:
        """Makes a finished build the target's current one, and opens what was built.

        bind: opens the files, in a folder that no other build can have replaced yet.
        """
        with open(self._work / CURRENT, "xb") as file:
            file.write(f"infgram 2 {self._name}\n".encode())
            sync(file)
        for folder in (self.folder, self._work):
            _sync_folder(folder)
        target, final = self._target, self._target / self._name

        def bound(folder: Path) -> T:
            with Directory.open(folder) as generation:
                return bind(generation)

        result = bound(self.folder) if system.MOVES_OPEN_FILES else None
        while True:
            _check(target, overwrite=self._overwrite)
            try:
                if not target.exists():
                    if result is not None:
                        os.rename(self._work, target)
                        _sync_folder(target.parent)
                        return result
                    target.mkdir()
                with locked(target):
                    _check(target, overwrite=self._overwrite)
                    system.replace(self.folder, final)
                    _sync_folder(target)
                    if result is None:
                        result = bound(final)
                    system.replace(self._work / CURRENT, target / CURRENT)
                    _sync_folder(target)
                    with suppress(OSError):  # the new one stands; the next build tries again
                        _remove_replaced(target, self._name)
                    return result
            except OSError as error:
                # another build came first, or somebody removed the target just now: look again
                came_first = error.errno in (errno.ENOTEMPTY, errno.EEXIST)
                if not self._work.exists() or (target.exists() and not came_first):
                    raise


@contextmanager
def building(target: Path, *, overwrite: bool) -> Iterator[Building]:
    """A build of an index at `target`, which is its current one once it is published.

    Whatever else happens, error or interrupt, its files are removed and `target` is untouched.
    What a killed process left behind is put right by the next build of the same target. What
    infgram has not written is neither replaced nor removed.

    Raises IndexExists, NotAnIndex, StorageError.
    """
    target = Path(os.path.realpath(target))
    _check(target, overwrite=overwrite)
    try:
        _recover(target)
        # inside the target where there is one: it may be a disk of its own
        parent = target if target.is_dir() else target.parent
        with scratch(parent, target.name) as work:
            yield Building(work, target, overwrite=overwrite)
    except OSError as error:
        raise StorageError(
            f"writing the index {target} failed: {error.strerror or error}. Nothing is changed."
            + (" Free some space or build elsewhere." if error.errno == errno.ENOSPC else "")
        ) from error


def _check(target: Path, *, overwrite: bool) -> None:
    """Whether an index may be written there."""
    if not target.parent.is_dir():
        raise StorageError(
            f"the folder {target.parent} does not exist: create it, or build elsewhere"
        )
    if not target.exists() or _is_free(target):
        return
    if not overwrite:
        raise IndexExists(
            f"{target} already exists: choose another path, or replace it with overwrite=True "
            "(--overwrite)"
        )
    if not _is_ours(target):
        raise NotAnIndex(
            f"{target} is not an infgram index, so it is not overwritten: remove it first, or "
            "build elsewhere"
        )


def _is_free(target: Path) -> bool:
    """Whether nothing is there but what builds need."""
    ours = re.compile(rf"lock|\.{re.escape(target.name)}\.[0-9a-f]{{8}}\.building", re.DOTALL)
    return target.is_dir() and all(map(ours.fullmatch, os.listdir(target)))


def _is_ours(target: Path) -> bool:
    """Whether infgram has written this folder, of which files may be torn or missing."""
    if not target.is_dir():
        return False
    with Directory.open(target) as folder, suppress(FileNotFoundError, StorageError):
        if folder.read(CURRENT, most=1000).startswith(b"infgram "):
            return True
    generations = filter(_GENERATION.fullmatch, os.listdir(target))
    return any(map(_has_our_manifest, (target, *(target / name for name in generations))))


def _has_our_manifest(path: Path) -> bool:
    with suppress(OSError, StorageError), ExitStack() as cleanup:
        folder = cleanup.enter_context(Directory.open(path))
        with folder.file(MANIFEST) as descriptor:
            return _OUR_MANIFEST.match(system.read_at(descriptor, 1000, 0)) is not None
    return False


def _recover(target: Path) -> None:
    """Puts right what builds left whose process is gone."""
    remove_abandoned(target.parent, target.name)
    if target.is_dir():
        remove_abandoned(target, target.name)
    # infgram 0.1 moved an index aside before the new one took its place
    name = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{8}}\.replaced", re.DOTALL)
    for aside in map(target.parent.joinpath, filter(name.fullmatch, os.listdir(target.parent))):
        if not target.exists():
            if not aside.with_suffix(".building").exists():
                os.rename(aside, target)
        elif _has_our_manifest(aside):
            _remove_first_format(aside)
            with suppress(OSError):
                aside.rmdir()


def _remove_replaced(target: Path, current: str) -> None:
    """Removes all builds but the current one, whoever left them. The lock is held."""
    for name in filter(_GENERATION.fullmatch, os.listdir(target)):
        if name != current and not (target / name).is_symlink():
            _remove(target / name)
    if _has_our_manifest(target):
        _remove_first_format(target)


def _remove(generation: Path) -> None:
    """Removes a build's folder, into which somebody may be writing a side file just now.

    Where open files cannot be removed, what readers have mapped stays until a later build.
    """
    for _ in range(100):
        shutil.rmtree(generation, ignore_errors=True)
        if not (system.MOVES_OPEN_FILES and generation.exists()):
            break


_FIRST_FORMAT_FILES = re.compile(
    r"token_ids|tokenizer\.json|sources(_offsets)?"
    r"|verified\.json[a-z0-9_]*|(calibration|continuations|mixture(-adapting)?)\.npz"
    r"|\.calibration\.npz\.[0-9a-f]{8}"
)
_FIRST_FORMAT_COLUMNS = re.compile(
    r"codes|sa|next|same|buckets|rank_(blocks|supers)|psi"
    r"|documents|document_(sources|lines)|metadata(_offsets)?"
)


def _remove_first_format(folder: Path) -> None:
    """Removes the files of an index of format 1 and nothing else, the manifest last."""
    for name in os.listdir(folder):
        path = folder / name
        if path.is_symlink():
            continue
        if re.fullmatch(r"shard-\d{5,}", name):
            for column in filter(_FIRST_FORMAT_COLUMNS.fullmatch, os.listdir(path)):
                (path / column).unlink()
            with suppress(OSError):
                path.rmdir()
        elif name == "backwards":
            _remove_first_format(path)
            with suppress(OSError):
                path.rmdir()
        elif _FIRST_FORMAT_FILES.fullmatch(name):
            path.unlink()
    (folder / MANIFEST).unlink(missing_ok=True)


def _sync_folder(path: Path) -> None:
    with Directory.open(path) as folder:
        folder.sync()
