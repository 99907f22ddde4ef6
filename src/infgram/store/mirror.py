"""An index that lies at an address: its manifest, and its files as they are asked for.

Files come whole, when they are first touched, into a folder of the user's cache that bears the
identity of the build. A file counts as what the manifest says of it, or it does not count: its
checksum is compared when it comes, and again where its size or its times are not those that were
noted then.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from threading import RLock
from typing import Any

from numpy.typing import NDArray

from ..errors import (
    CorruptIndex,
    IndexReplaced,
    InfgramError,
    NotAnIndex,
    StorageError,
    UnsupportedFormat,
)
from . import generations, system
from .directory import Directory
from .generations import CURRENT, MANIFEST
from .layout import layout_of
from .objects import Objects
from .storage import (
    BACKWARDS,
    CALIBRATION,
    MOST_MANIFEST,
    Progress,
    StoredIndex,
    Times,
    check_sums,
    manifest_of,
    map_files,
    note_verified,
    noted,
    read_side_file,
)

_FOLDER = "remote"


class Mirror:
    """What is current at an address.

    - `name`: of the generation.
    - `stored`: its files, which are fetched when they are first touched.

    Raises NotAnIndex, UnsupportedFormat, CorruptIndex, RemoteFailure, StorageError.
    """

    def __init__(self, url: str, *, verify: bool | None = None) -> None:
        self.objects = Objects(url)
        while True:
            self.name = current(self.objects)
            try:
                self.stored = self._bind(f"{self.name}/")
                break
            except FileNotFoundError as error:
                if current(self.objects) == self.name:
                    raise CorruptIndex(
                        f"{url} names {self.name} as its index, which is not there: push it again"
                    ) from error
        if verify:
            check_sums(self.stored)

    def _bind(self, prefix: str) -> StoredIndex:
        place = f"{self.objects.url}/{prefix}{MANIFEST}"
        content = self.objects.read(f"{prefix}{MANIFEST}", most=MOST_MANIFEST)
        manifest, identity = manifest_of(content, place)
        layout = layout_of(manifest, place)
        folder = _cached(identity)
        other_side: StoredIndex | InfgramError | None = None
        if BACKWARDS in manifest:
            try:
                other_side = self._bind(f"{prefix}{BACKWARDS}/")
                if other_side.identity != manifest[BACKWARDS]:
                    other_side = CorruptIndex(f"{place} is of another build than its other side")
            except FileNotFoundError:
                other_side = CorruptIndex(f"{place} has lost its other side: push it again")
            except InfgramError as error:
                other_side = error
        try:
            with Directory.open(folder) as held:
                if not _holds(held, content):
                    with held.replacing(MANIFEST) as file:
                        file.write(content)
                extra = read_side_file(held, CALIBRATION)
        except OSError as error:
            raise _unwritable(folder, error) from error
        columns = _Columns(self, prefix, folder, manifest["files"], layout.files, identity)
        return StoredIndex(
            folder, manifest, layout, identity, columns, columns.times, extra, other_side
        )

    def fetch(self, name: str, entry: Mapping[str, Any], path: Path) -> None:
        """Brings a file of the generation to a path. Raises CorruptIndex, RemoteFailure."""
        with Directory.open(path.parent) as folder, folder.replacing(path.name) as file:
            for chunk in self.chunks(name, entry):
                file.write(chunk)

    def chunks(self, name: str, entry: Mapping[str, Any]) -> Iterator[bytes]:
        """A file of the index in pieces, which are good for nothing unless the last one comes."""
        where = f"{self.objects.url}/{name}"
        try:
            (version,) = self.objects.look_up([name])
        except FileNotFoundError as error:
            raise self.has_moved_on() or CorruptIndex(
                f"{where} is missing: push the index again"
            ) from error
        if version.n_bytes != entry["n_bytes"]:
            raise self.has_moved_on() or CorruptIndex(
                f"{where} has {version.n_bytes:,} bytes, expected {entry['n_bytes']:,}: push the "
                "index again"
            )
        crc32 = 0
        for chunk in self.objects.stream(name):
            crc32 = zlib.crc32(chunk, crc32)
            yield chunk
        if crc32 != entry["crc32"]:
            raise self.has_moved_on() or CorruptIndex(
                f"{where} is not what was pushed: its checksum is {crc32:08x}, the manifest says "
                f"{entry['crc32']:08x}; push the index again"
            )

    def has_moved_on(self) -> StorageError | None:
        """The error where another build is current by now; None where this one is."""
        if current(self.objects) == self.name:
            return None
        return IndexReplaced(
            f"{self.objects.url} was replaced by another build since it was opened: open it again"
        )


def current(objects: Objects) -> str:
    """The name of the generation that is current at an address."""
    place = f"{objects.url}/{CURRENT}"
    try:
        name = generations.named(objects.read(CURRENT, most=1000), place)
    except FileNotFoundError as error:
        raise NotAnIndex(
            f"there is no {place}: no index was pushed there (`infgram push INDEX {objects.url}`)"
        ) from error
    if generations.is_list(name):
        raise UnsupportedFormat(
            f"{objects.url} has grown and is in segments, and at an address an index is in one "
            "piece: `infgram merge --purge` makes it so where it was built; push it from there"
        )
    return name


class _Columns(Mapping[str, NDArray[Any]]):
    """Columns by name, each fetched, checked and mapped when it is first asked for."""

    def __init__(
        self,
        mirror: Mirror,
        prefix: str,
        folder: Path,
        files: Mapping[str, Mapping[str, Any]],
        names: tuple[str, ...],
        identity: str,
    ) -> None:
        self._mirror = mirror
        self._prefix = prefix
        self._folder = folder
        self._files = {name: files[name] for name in names}
        self._identity = identity
        self._mapped: dict[str, NDArray[Any]] = {}
        self._lock = RLock()
        self.times: Times = {}

    def __contains__(self, name: object) -> bool:
        return name in self._files

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, name: str) -> NDArray[Any]:
        with self._lock:
            if name not in self._mapped:
                self._mapped[name] = self._checked(name, self._files[name])
            return self._mapped[name]

    def _checked(self, name: str, entry: Mapping[str, Any]) -> NDArray[Any]:
        path = self._folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with Directory.open(self._folder) as folder:
                with suppress(CorruptIndex):  # not there, or torn
                    columns, times = map_files(folder, {name: entry})
                    known = noted(folder, self._identity).get(name) == times[name]
                    if known or _sum_of(columns[name]) == entry["crc32"]:
                        return self._keep(folder, name, columns, times, is_new=not known)
                self._mirror.fetch(f"{self._prefix}{name}", entry, path)
                columns, times = map_files(folder, {name: entry})
                return self._keep(folder, name, columns, times, is_new=True)
        except OSError as error:
            raise _unwritable(self._folder, error) from error

    def _keep(
        self,
        folder: Directory,
        name: str,
        columns: Mapping[str, NDArray[Any]],
        times: Times,
        *,
        is_new: bool,
    ) -> NDArray[Any]:
        self.times.update(times)
        if is_new:
            note_verified(folder, self._identity, {**noted(folder, self._identity), **self.times})
        return columns[name]


def download(mirror: Mirror, folder: Path, progress: Progress | None) -> None:
    """Writes all files of an index into an empty folder, the manifest last."""
    todo = list(_sides(mirror.stored, f"{mirror.name}/", folder))
    total = sum(stored.n_bytes for stored, _, _ in todo)
    done = 0
    for stored, prefix, target in reversed(todo):  # the outer side's manifest last
        for name in stored.layout.files:
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            mirror.fetch(f"{prefix}{name}", stored.manifest["files"][name], path)
            done += stored.manifest["files"][name]["n_bytes"]
            if progress:
                progress("pull", done, total)
        with Directory.open(stored.folder) as held, Directory.open(target) as made:
            content = held.read(MANIFEST, most=MOST_MANIFEST)
            with made.replacing(MANIFEST) as file:
                file.write(content)


def _sides(
    stored: StoredIndex, prefix: str, folder: Path
) -> Iterator[tuple[StoredIndex, str, Path]]:
    """Each side of an index, where it lies, and the folder that it comes into."""
    yield stored, prefix, folder
    if isinstance(stored.other_side, InfgramError):
        raise stored.other_side
    if stored.other_side is not None:
        yield from _sides(stored.other_side, f"{prefix}{BACKWARDS}/", folder / BACKWARDS)


def _sum_of(column: NDArray[Any]) -> int:
    return zlib.crc32(column.data.cast("B") if column.size else b"")


def _holds(folder: Directory, content: bytes) -> bool:
    try:
        return folder.read(MANIFEST, most=MOST_MANIFEST) == content
    except FileNotFoundError:
        return False


def _cached(identity: str) -> Path:
    cache = system.cache_folder()
    if cache is None:
        raise StorageError(
            "there is no folder for what is fetched: set XDG_CACHE_HOME to one, or HOME"
        )
    folder = cache / _FOLDER / identity
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return folder


def _unwritable(folder: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{folder}, where fetched files are kept, cannot be written: {error.strerror or error}. "
        "Free some space, or set XDG_CACHE_HOME to another folder"
    )
