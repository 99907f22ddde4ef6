"""Which build of an index is the current one, and how the next one takes its place.

    corpus.infgram/
    ├── CURRENT                        one line: infgram 2 generation-0123456789abcdef
    ├── lock                           locked while CURRENT changes
    └── generation-0123456789abcdef/   the files of one build; columns never change

Of an index that has grown, CURRENT names a list of generations instead, a file beside them:
infgram 3 segments-0123456789abcdef.json. What is in it, segments.py knows.

One rename replaces CURRENT, so whoever opens the index sees one state or the other. docs/format.md
tells the protocol. An index of format 1 has its files in the folder itself; it becomes one of
format 2 when it is replaced.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from ..errors import CorruptIndex, IndexExists, NotAnIndex, StorageError
from . import system
from .directory import LOCK, Directory, locked, need_folder_of, remove_abandoned, scratch, sync
from .urls import url_of

T = TypeVar("T")

FORMAT = "infgram"
MANIFEST = "manifest.json"
CURRENT = "CURRENT"

_LINE = re.compile(rb"infgram (?:2 (generation-[0-9a-f]{16})|3 (segments-[0-9a-f]{16}\.json))\n")
_GENERATION = re.compile(r"generation-[0-9a-f]{16}")
_LIST = re.compile(r"segments-[0-9a-f]{16}\.json")
_OUR_MANIFEST = re.compile(rb'\s*\{\s*"format"\s*:\s*"infgram"')


# Reading ------------------------------------------------------------------------------------------


def enter(root: Path, cleanup: ExitStack) -> tuple[Directory, str | None]:
    """The index's folder, open until `cleanup` closes it, and what is current in it.

    That is a generation, a list of some, or the folder itself in format 1: None. It may be gone by
    now: `has_moved_on` tells.

    Raises NotAnIndex, UnsupportedFormat, CorruptIndex.
    """
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
    return folder, current(folder)


def has_moved_on(root: Path, folder: Directory, name: str | None) -> bool:
    """Whether something else has become current since this was."""
    with ExitStack() as cleanup, suppress(StorageError):
        now, current_name = enter(root, cleanup)
        return current_name != name or not now.is_same(folder)
    return False


def is_list(name: str | None) -> bool:
    """Whether what is current is a list of generations."""
    return name is not None and _LIST.fullmatch(name) is not None


@contextmanager
def generation(root: Directory, name: str) -> Iterator[Directory]:
    """The folder of a generation. Raises CorruptIndex."""
    if not _GENERATION.fullmatch(name):
        raise CorruptIndex(f"{root.path}: {name!r:.80} is no generation; build the index again")
    with ExitStack() as cleanup:
        try:
            folder = cleanup.enter_context(root.folder(name))
        except FileNotFoundError as error:
            raise CorruptIndex(
                f"{root.path / name} is missing, and {CURRENT} says that it is the index: build it "
                "again"
            ) from error
        yield folder


def current(folder: Directory) -> str | None:
    """The name of what is current; None where there is no CURRENT. Raises CorruptIndex."""
    try:
        line = folder.read(CURRENT, most=1000)
    except FileNotFoundError:
        return None
    return named(line, folder.path / CURRENT)


def named(line: bytes, path: Path | str) -> str:
    """What a file CURRENT with this line names. Raises CorruptIndex, NotAnIndex."""
    found = _LINE.fullmatch(line)
    if found is None:
        what = repr(line[:40])
        if line.startswith(b"infgram "):
            raise CorruptIndex(
                f"{path} is damaged or of a later infgram: found {what}, expected "
                "'infgram 2 generation-...' or 'infgram 3 segments-...'; build the index again"
            )
        raise NotAnIndex(f"{path} is not of an infgram index: found {what}")
    return (found[1] or found[2]).decode()


# Writing ------------------------------------------------------------------------------------------


class Building:
    """The files of a build, in `folder`, until they are published.

    `name`: of the generation that they become; drawn by chance, unless it is given. Other
    generations may be written beside it, for a list that names them all.
    """

    def __init__(self, work: Path, target: Path, *, overwrite: bool, name: str | None) -> None:
        self.name = name or f"generation-{secrets.token_hex(8)}"
        self._work = work
        self._target = target
        self._overwrite = overwrite
        self.folder = work / self.name
        self.folder.mkdir()

    def publish(
        self, bind: Callable[[Directory], T], *, listed: tuple[str, bytes] | None = None
    ) -> T:
        """Makes a finished build the target's current one, and opens what was built.

        bind: opens the files, in a folder that no other build can have replaced yet. listed: name
        and content of a list of the generations that were written, which becomes current instead.
        """
        self._sync_built()
        if listed is None:
            self._write_current(f"infgram 2 {self.name}")
        else:
            self._write_list(*listed)
            self._write_current(f"infgram 3 {listed[0]}")
        target, final = self._target, self._target / self.name
        built = [each for each in os.listdir(self._work) if each not in (CURRENT, LOCK)]

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
                    for each in built:
                        system.replace(self._work / each, target / each)
                    _sync_folder(target)
                    if result is None:
                        result = bound(final)
                    system.replace(self._work / CURRENT, target / CURRENT)
                    _sync_folder(target)
                    with suppress(OSError):  # the new one stands; the next build tries again
                        remove_others(target, set(built))
                    return result
            except OSError as error:
                # another build came first, or somebody removed the target just now: look again
                came_first = error.errno in (errno.ENOTEMPTY, errno.EEXIST) and not final.exists()
                if not self._work.exists() or (target.exists() and not came_first):
                    raise

    def succeed(
        self,
        base: str | None,
        bind: Callable[[Directory], T],
        *,
        listed: Callable[[T], tuple[bytes, Collection[str]]] | None = None,
    ) -> tuple[str, T] | None:
        """Makes a finished build current if `base` still is; None if something else is by now.

        bind: opens the build. listed: gives the content of a list of generations, which becomes
        current instead, and their names. Returns the name of what is current, and what was opened.
        """
        name = self.name if listed is None else f"segments-{secrets.token_hex(8)}.json"
        final = self._target / self.name
        self._sync_built()
        with locked(self._target):
            with Directory.open(self._target) as target:
                if current(target) != base:
                    return None
            system.replace(self.folder, final)
            with Directory.open(final) as folder:
                result = bind(folder)
            keep: set[str] = {name, self.name}
            if listed is not None:
                content, names = listed(result)
                keep.update(names)
                self._write_list(name, content)
                system.replace(self._work / name, self._target / name)
            self._write_current(f"infgram {2 if listed is None else 3} {name}")
            _sync_folder(self._target)
            system.replace(self._work / CURRENT, self._target / CURRENT)
            _sync_folder(self._target)
            with suppress(OSError):  # the new one stands; the next build tries again
                remove_others(self._target, keep)
        return name, result

    def _write_list(self, name: str, content: bytes) -> None:
        """Writes a list of generations beside the build."""
        with open(self._work / name, "xb") as file:
            file.write(content)
            sync(file)

    def _write_current(self, line: str) -> None:
        """Writes CURRENT beside the build."""
        with open(self._work / CURRENT, "xb") as file:
            file.write(f"{line}\n".encode())
            sync(file)
        _sync_folder(self._work)

    def _sync_built(self) -> None:
        """Waits until the names of all files that were written are on the disk."""
        for folder, _, _ in os.walk(self._work):
            _sync_folder(Path(folder))


@contextmanager
def building(target: Path, *, overwrite: bool, name: str | None = None) -> Iterator[Building]:
    """A build of an index at `target`, which is its current one once it is published.

    `name`: of its generation, where it shall not be drawn by chance.

    Whatever else happens, error or interrupt, its files are removed and `target` is untouched.
    What a killed process left behind is put right by the next build of the same target. What
    infgram has not written is neither replaced nor removed.

    Raises IndexExists, NotAnIndex, StorageError.
    """
    if url := url_of(target):
        raise StorageError(
            f"{url} is not on a disk, and only there an index is built and changed: build it or "
            f"pull it (infgram.pull), and push it (infgram.push)"
        )
    target = Path(os.path.realpath(target))
    _check(target, overwrite=overwrite)
    try:
        _recover(target)
        # inside the target where there is one: it may be a disk of its own
        parent = target if target.is_dir() else target.parent
        with scratch(parent, target.name) as work:
            yield Building(work, target, overwrite=overwrite, name=name)
    except OSError as error:
        raise StorageError(
            f"writing the index {target} failed: {error.strerror or error}. Nothing is changed."
            + (" Free some space or build elsewhere." if error.errno == errno.ENOSPC else "")
        ) from error


def _check(target: Path, *, overwrite: bool) -> None:
    """Whether an index may be written there."""
    need_folder_of(target)
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


def remove_others(target: Path, keep: Collection[str]) -> None:
    """Removes all builds and lists but those to keep, whoever left them. The lock is held."""
    for name in os.listdir(target):
        if name in keep or (target / name).is_symlink():
            continue
        if _GENERATION.fullmatch(name):
            _remove(target / name)
        elif _LIST.fullmatch(name):
            (target / name).unlink()
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
