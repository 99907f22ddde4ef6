"""The on-disk format: write it, check it, map it. Alone in knowing bytes on disk.

The files of a build are a manifest, and columns as raw little-endian arrays, each a file of its own
padded with zeros. docs/format.md specifies them. This module knows names, sizes and checksums of
files, and nothing of what the numbers in them mean.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import mmap
import operator
import os
import re
import shutil
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
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
from .archives import check_archive, read_arrays
from .directory import Directory, sync
from .generations import FORMAT, MANIFEST
from .layout import Layout, layout_of

VERSION = 2
READABLE = (1, 2)
VERIFIED = "verified.json"
CALIBRATION = "calibration.npz"
CONTINUATIONS = "continuations.npz"
MIXTURE = "mixture.npz"
ADAPTING_MIXTURE = "mixture-adapting.npz"
FULL_MIXTURE = "mixture-full.npz"
FULL_ADAPTING_MIXTURE = "mixture-full-adapting.npz"
BACKWARDS = "backwards"  # the folder of a two-sided index's other side
PADDING = 64  # every file ends in at least this many zero bytes, at a multiple of it
DTYPES = {
    name: np.dtype(name).newbyteorder("<") for name in ("uint8", "uint16", "uint32", "uint64")
}

_CHUNK = 1 << 22
MOST_MANIFEST = 1 << 25
MOST_EXTRA = {
    CALIBRATION: 1 << 20,
    CONTINUATIONS: 1 << 40,
    MIXTURE: 1 << 30,
    ADAPTING_MIXTURE: 1 << 28,
    FULL_MIXTURE: 1 << 30,
    FULL_ADAPTING_MIXTURE: 1 << 28,
}
MADE_BY = {
    CALIBRATION: "infgram calibrate",
    CONTINUATIONS: "infgram calibrate",
    MIXTURE: "infgram fit",
    ADAPTING_MIXTURE: "infgram fit --adapt",
    FULL_MIXTURE: "infgram fit --mix-size full",
    FULL_ADAPTING_MIXTURE: "infgram fit --mix-size full --adapt",
}
"""What writes each of the files that are kept beside an index."""
# Of those files, arrays that are too large to be read before anybody asks for what is in them.
_LARGE_ARRAYS = {"contexts", "tokens"}
_NAME = re.compile(r"(shard-\d{5,}/)?[a-z_]+(\.json)?")
_Column = NDArray[Any]
Times = dict[str, list[int]]
Progress = Callable[[str, int, int], None]


# Writing ------------------------------------------------------------------------------------------


class IndexWriter:
    """Writes the files of one index into `folder` and remembers their lengths and checksums."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, dict[str, object]] = {}
        self.optional: list[str] = []
        """Of the files, those that a reader need not know."""

    def write(self, name: str, column: _Column) -> None:
        """Writes a 1-D unsigned column under `name` ("shard-00000/sa") and syncs it."""
        column = np.ascontiguousarray(column, dtype=DTYPES[column.dtype.name])
        data = column.data.cast("B") if column.size else memoryview(b"")
        n_bytes = padded(len(data))
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as file:
            crc32 = 0
            for start in range(0, len(data), _CHUNK):
                chunk = data[start : start + _CHUNK]
                crc32 = zlib.crc32(chunk, crc32)
                file.write(chunk)
            padding = bytes(n_bytes - len(data))
            crc32 = zlib.crc32(padding, crc32)
            file.write(padding)
            sync(file)
        self.files[name] = {
            "dtype": column.dtype.name,
            "length": int(column.size),
            "n_bytes": n_bytes,
            "crc32": crc32,
        }

    def write_mapped(self, name: str, column: _Column) -> _Column:
        """Writes a column; returns its read-only map, which is the system's memory."""
        self.write(name, column)
        length = column.size
        with open(self.folder / name, "rb") as file:
            content = system.map_file(file.fileno(), padded(column.nbytes))
        return np.frombuffer(content, DTYPES[column.dtype.name], length)

    def copy(self, name: str, other: IndexWriter) -> None:
        """Writes a file as another writer has written it."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(other.folder / name, "rb") as source, open(path, "wb") as file:
            shutil.copyfileobj(source, file, _CHUNK)
            sync(file)
        self.files[name] = other.files[name]
        if name in other.optional:
            self.optional.append(name)

    def write_strings(
        self, name: str, lengths: NDArray[np.uint64], blob: _Column, *, optional: bool = False
    ) -> None:
        """Writes strings, given one after another with their lengths, as two columns."""
        offsets = np.zeros(len(lengths) + 1, np.uint64)
        np.cumsum(lengths, out=offsets[1:])
        self.write(name, blob)
        self.write(f"{name}_offsets", offsets)
        if optional:
            self.optional += [name, f"{name}_offsets"]

    def finish(self, manifest: Mapping[str, object]) -> str:
        """Writes the manifest, the last file: without it the folder is not an index.

        Returns the index's identity.
        """
        fields = {
            "format": FORMAT,
            "version": VERSION,
            "byte_order": "little",
            **manifest,
            "optional": self.optional,
            "files": self.files,
        }
        identity = checksum(fields)
        text = json.dumps({**fields, "checksum": identity}, indent=1)
        with open(self.folder / MANIFEST, "w", encoding="utf-8") as file:
            file.write(text)
            sync(file)
        with suppress(OSError), Directory.open(self.folder) as folder:
            times = {name: _times(os.stat(self.folder / name)) for name in self.files}
            note_verified(folder, identity, times)
        return identity


# Reading ------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class StoredIndex:
    """An index whose manifest and file sizes have been checked, and whose files are mapped.

    All of it belongs to one build, whatever happens to its folder from now on.
    """

    folder: Path
    """Where the files of this build lie."""
    manifest: Mapping[str, Any]
    layout: Layout
    """The manifest, checked field by field."""
    identity: str
    """The manifest's checksum: another build has another one."""
    columns: Mapping[str, _Column]
    """Every file as a read-only map with its padding, 1-D. Costs no memory until it is read."""
    times: Times
    """Sizes and times of change of the files that are mapped."""
    extra: bytes | mmap.mmap | StorageError | None
    """What was computed from the index and kept beside it, or why that cannot be read."""
    other_side: StoredIndex | InfgramError | None
    """The text read backwards, where there is one, or why it cannot be read."""

    @property
    def n_bytes(self) -> int:
        """Bytes on disk, all files together."""
        return sum(self.manifest["files"][name]["n_bytes"] for name in self.layout.files)

    def column(self, name: str, *, with_padding: bool = False) -> _Column:
        """A column, 1-D. Raises CorruptIndex where there is no such file."""
        try:
            column = self.columns[name]
        except KeyError:
            raise CorruptIndex(
                f"{self.folder}: the manifest has no file {name!r}; build the index again"
            ) from None
        return column if with_padding else column[: self.manifest["files"][name]["length"]]

    def let_go(self) -> None:
        """Leaves to the system what is mapped of the files; what is read again comes back.

        For whoever reads all of an index once: otherwise the whole of it counts as this process's
        memory, until the system needs it for others. Does nothing where there is no such call.
        """
        if hasattr(mmap, "MADV_DONTNEED"):
            for name in list(self.times):
                mapped = self.columns[name].base
                if isinstance(mapped, memoryview):
                    mapped = mapped.obj
                if isinstance(mapped, mmap.mmap):
                    mapped.madvise(mmap.MADV_DONTNEED)

    def strings(self, name: str) -> Strings:
        """Strings written by `write_strings`."""
        return Strings(self.column(name), self.column(f"{name}_offsets"))

    def read_extra(self, name: str = CALIBRATION) -> dict[str, _Column] | None:
        """What `write_extra` wrote for this build, now or before it was opened; None if nothing.

        Raises CorruptIndex.
        """
        content = self.extra if name == CALIBRATION else None
        if content is None:
            with suppress(OSError), Directory.open(self.folder) as folder:
                content = read_side_file(folder, name)
        if isinstance(content, StorageError):
            raise content
        if content is None:
            return None
        try:
            arrays = arrays_of(content, name)
        except ValueError as error:
            raise self.damaged(name, error) from error
        return arrays if str(arrays.pop("identity", "")) == self.identity else None

    def write_extra(self, arrays: Mapping[str, _Column], name: str = CALIBRATION) -> None:
        """Keeps arrays that can be computed anew beside the files. All or nothing.

        Raises IndexReplaced, StorageError.
        """
        content = packed(self.identity, arrays, name)
        with self._writing(name) as folder, folder.replacing(name) as file:
            file.write(content)

    def need_writable(self, name: str) -> None:
        """For whoever computes for long what is to be kept under that name.

        Raises IndexReplaced, StorageError where it could not be.
        """
        with self._writing(name) as folder:
            folder.check_writable(name)

    def damaged(self, name: str, error: Exception) -> CorruptIndex:
        """What to raise for a file that is kept beside the index and holds what it cannot hold."""
        return CorruptIndex(
            f"{self.folder / name} is damaged or of another infgram ({error}): run "
            f"`{MADE_BY[name]}`"
        )

    @contextmanager
    def _writing(self, name: str) -> Iterator[Directory]:
        """The folder, in which a file of that name is written."""
        try:
            with Directory.open(self.folder) as folder:
                self._check_identity(folder)
                yield folder
        except FileNotFoundError as error:
            raise self._replaced() from error
        except OSError as error:
            raise StorageError(
                f"{self.folder / name} cannot be written: {error.strerror or error}. "
                "Nothing is changed."
            ) from error

    def _check_identity(self, folder: Directory) -> None:
        """Whether the folder still holds this build. One of format 1 can hold another by now."""
        try:
            same = _read_manifest(folder)[1] == self.identity
        except (NotAnIndex, UnsupportedFormat, CorruptIndex):
            same = False
        if not same:
            raise self._replaced()

    def _replaced(self) -> IndexReplaced:
        return IndexReplaced(
            f"{self.folder} was replaced by another build since it was opened: open the index again"
        )


@dataclass(frozen=True)
class Strings:
    """Byte strings, stored one after another."""

    blob: NDArray[np.uint8]
    offsets: NDArray[np.uint64]

    def __len__(self) -> int:
        return max(len(self.offsets) - 1, 0)  # the offsets may come from a stranger

    def __getitem__(self, i: int) -> bytes:
        begin, end = map(int, self.offsets[i : i + 2]) if 0 <= i < len(self) else (1, 0)
        if not begin <= end <= len(self.blob):
            raise CorruptIndex("stored strings are out of order: build the index again")
        return self.blob[begin:end].tobytes()


def bind(folder: Directory, *, verify: bool | None = None, path: Path | None = None) -> StoredIndex:
    """All of the build whose files lie in this folder, which stands at `path` from now on.

    `verify`: True checks every checksum; False none; None checks them unless the files are the very
    ones that the build or an earlier check has seen (same size and times of change).

    Raises NotAnIndex, UnsupportedFormat, CorruptIndex, StorageError.
    """
    manifest, identity = _read_manifest(folder)
    path = path or folder.path
    layout = layout_of(manifest, path / MANIFEST)
    columns, times = map_files(folder, {name: manifest["files"][name] for name in layout.files})
    other_side: StoredIndex | InfgramError | None = None
    if BACKWARDS in manifest:
        try:
            other_side = _bind_other_side(folder, manifest[BACKWARDS], verify, path / BACKWARDS)
        except InfgramError as error:
            other_side = error
    stored = StoredIndex(
        path,
        manifest,
        layout,
        identity,
        columns,
        times,
        read_side_file(folder, CALIBRATION),
        other_side,
    )
    if verify or (verify is None and not _is_noted(folder, identity, times)):
        check_sums(stored)
    return stored


def _bind_other_side(
    folder: Directory, identity: object, verify: bool | None, path: Path
) -> StoredIndex:
    try:
        with folder.folder(BACKWARDS) as inside:
            stored = bind(inside, verify=verify, path=path)
    except (FileNotFoundError, NotAnIndex) as error:
        raise CorruptIndex(
            f"{folder.path} has lost its other side ({error}); build the index again"
        ) from error
    if stored.identity != identity:
        raise CorruptIndex(
            f"{stored.folder} is of another build than {folder.path}; build the index again"
        )
    return stored


def map_files(
    folder: Directory, files: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, _Column], Times]:
    """Files of a manifest, mapped, their sizes and times. Raises CorruptIndex, StorageError.

    No more than two descriptors are open at once, however many files there are.
    """
    columns: dict[str, _Column] = {}
    times: Times = {}
    for inside, names in groupby(sorted(files), lambda name: name.rpartition("/")[0]):
        with _missing(folder.path / inside), ExitStack() as cleanup:
            within = cleanup.enter_context(folder.folder(inside)) if inside else folder
            for name in names:
                with _missing(folder.path / name):
                    columns[name], times[name] = _mapped(within, Path(name).name, files[name])
    return columns, times


@contextmanager
def _missing(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise CorruptIndex(f"{path} is missing: build the index again") from error


def _mapped(folder: Directory, name: str, entry: Mapping[str, Any]) -> tuple[_Column, list[int]]:
    path = folder.path / name
    with folder.file(name) as descriptor:
        found = os.fstat(descriptor)
        if found.st_size != entry["n_bytes"]:
            raise CorruptIndex(
                f"{path} has {found.st_size} bytes, expected {entry['n_bytes']}: build the index "
                "again"
            )
        try:
            content = system.map_file(descriptor, found.st_size)
        except OSError as error:
            advice = (
                "raise the limit of this process's memory (ulimit -v)"
                if error.errno == errno.ENOMEM
                else "is the disk sound?"
            )
            raise StorageError(f"{path} cannot be mapped: {error.strerror}; {advice}") from error
    return np.frombuffer(content, DTYPES[entry["dtype"]]), _times(found)


def check_sums(stored: StoredIndex, progress: Progress | None = None) -> None:
    """Compares every file with its checksum; raises CorruptIndex at the first that differs.

    Reads the files where they still stand, and otherwise what is mapped of them.
    """
    done = 0
    for name in stored.layout.files:
        entry = stored.manifest["files"][name]
        crc32 = 0
        try:
            for chunk in _chunks(stored, name):
                crc32 = zlib.crc32(chunk, crc32)
                done += len(chunk)
                if progress:
                    progress("checksums", done, stored.n_bytes)
        except OSError as error:
            raise CorruptIndex(
                f"{stored.folder / name} cannot be read: {error.strerror}"
            ) from error
        if crc32 != entry["crc32"]:
            raise CorruptIndex(
                f"{stored.folder / name} was changed after the build: its checksum is "
                f"{crc32:08x}, the manifest says {entry['crc32']:08x}. Build the index again."
            )
    with suppress(OSError, StorageError), Directory.open(stored.folder) as folder:
        stored._check_identity(folder)
        note_verified(folder, stored.identity, stored.times)


def check_kept(stored: StoredIndex, progress: Progress | None = None) -> None:
    """Compares all checksums of what is kept beside the files. Raises CorruptIndex."""
    with ExitStack() as cleanup:
        try:
            folder = cleanup.enter_context(Directory.open(stored.folder))
        except OSError:  # another build has taken its place
            return
        for name, most in MOST_EXTRA.items():
            try:
                with folder.file(name) as descriptor, open(descriptor, "rb", closefd=False) as file:
                    done, size = 0, os.fstat(descriptor).st_size
                    for n_bytes in check_archive(file, most=most):
                        done += n_bytes
                        if progress:
                            progress("kept", done, max(done, size))
            except FileNotFoundError:
                continue
            except ValueError as error:
                raise stored.damaged(name, error) from error
            except OSError as error:
                raise CorruptIndex(
                    f"{stored.folder / name} cannot be read: {error.strerror or error}"
                ) from error


def note_links(stored: StoredIndex) -> None:
    """Notes files that were checked once as checked still, though their times of change differ.

    A link that was made to a file, or removed, changes that time and no byte.
    """
    times = {}
    with suppress(OSError, StorageError), Directory.open(stored.folder) as folder:
        stored._check_identity(folder)
        for name in stored.layout.files:
            times[name] = _times(os.stat(stored.folder / name))
            if times[name][:2] != stored.times[name][:2]:
                return
        note_verified(folder, stored.identity, times)


def _chunks(stored: StoredIndex, name: str) -> Iterator[bytes | memoryview]:
    """The bytes of a file. Read and not taken from the map: a disk that fails is an error then."""
    whole = stored.columns[name].data.cast("B")
    with ExitStack() as cleanup:
        try:
            path = (stored.folder / name).parent
            folder = cleanup.enter_context(Directory.open(path))
            descriptor = cleanup.enter_context(folder.file(name.rpartition("/")[2]))
            found = _times(os.fstat(descriptor))
        except (FileNotFoundError, NotADirectoryError, CorruptIndex):
            found = []
        if found == stored.times[name]:
            at = 0
            while chunk := system.read_at(descriptor, _CHUNK, at):
                at += len(chunk)
                yield chunk
            return
    for start in range(0, len(whole), _CHUNK):
        yield whole[start : start + _CHUNK]


def _read_manifest(folder: Directory) -> tuple[dict[str, Any], str]:
    """The manifest without its checksum, and the checksum."""
    path = folder.path / MANIFEST
    try:
        content = folder.read(MANIFEST, most=MOST_MANIFEST)
    except FileNotFoundError as error:
        raise NotAnIndex(
            f"{folder.path} has no {MANIFEST}, nor a file {generations.CURRENT} that names the "
            "folder it is in: it is not an infgram index, or its build did not end"
        ) from error
    except OSError as error:
        raise NotAnIndex(f"{path} cannot be read: {error.strerror}") from error
    return manifest_of(content, path)


def manifest_of(content: bytes, path: Path | str) -> tuple[dict[str, Any], str]:
    """The manifest in a file's content, without its checksum, and the checksum.

    path: for messages. Raises NotAnIndex, UnsupportedFormat, CorruptIndex.
    """
    manifest = _parsed(content, path)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise NotAnIndex(f"{path} is not the manifest of an infgram index")
    if type(manifest.get("version")) is not int or manifest["version"] not in READABLE:
        raise UnsupportedFormat(
            f"{path} has format version {manifest.get('version')!r}, this infgram reads "
            f"versions {READABLE[0]} to {READABLE[-1]}: build the index again, or use the infgram "
            "that made it"
        )
    if manifest.get("byte_order") != "little" or sys.byteorder != "little":
        raise UnsupportedFormat(
            f"{path} has byte order {manifest.get('byte_order')!r} and this machine "
            f"{sys.byteorder!r}: infgram reads little-endian indexes on little-endian machines"
        )
    identity = unseal(manifest, path)
    _check_files(path, manifest.get("files"))
    return manifest, identity


def read_json(folder: Directory, name: str) -> Any:
    """What a manifest or a list holds. Raises FileNotFoundError, OSError, CorruptIndex."""
    return _parsed(folder.read(name, most=MOST_MANIFEST), folder.path / name)


def _parsed(content: bytes, path: Path | str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise CorruptIndex(
            f"{path} is not JSON ({error}): it was changed since it was written; "
            "build the index again"
        ) from error


def unseal(fields: dict[str, Any], path: Path | str) -> str:
    """Takes the checksum out of what was read from `path`. Raises CorruptIndex if it is wrong."""
    found = fields.pop("checksum", None)
    try:
        expected = checksum(fields)
    except RecursionError as error:
        raise CorruptIndex(f"{path} is nested too deep: it was not written by infgram") from error
    if found != expected:
        raise CorruptIndex(
            f"{path} was changed since it was written: its checksum does not fit; build the index "
            "again"
        )
    return expected


def _check_files(path: Path | str, files: object) -> None:
    """Whether the manifest's list of files makes sense in itself."""
    if not isinstance(files, dict):
        raise CorruptIndex(f"{path}: its list of files is damaged; build the index again")
    for name, entry in files.items():
        if not _NAME.fullmatch(name):
            raise CorruptIndex(
                f"{path} names the file {name[:200]!r}, expected one of the index's own: it was "
                "not written by infgram"
            )
        try:
            length, n_bytes, crc32 = (
                operator.index(entry[field]) for field in ("length", "n_bytes", "crc32")
            )
            sound = (
                0 <= length < 1 << 48
                and n_bytes == padded(length * DTYPES[entry["dtype"]].itemsize)
                and 0 <= crc32 < 1 << 32
            )
        except (LookupError, TypeError):
            sound = False
        if not sound:
            raise CorruptIndex(f"{path}: its entry of {name} is damaged; build the index again")


# What is kept beside the files --------------------------------------------------------------------


def packed(identity: str, arrays: Mapping[str, _Column], name: str = CALIBRATION) -> bytes:
    """Arrays that belong to the build of this identity, as the content of the file of that name."""
    content = io.BytesIO()
    named: dict[str, Any] = {"identity": np.array(identity), **arrays}
    # the others' arrays are large, and hardly shrink
    (np.savez_compressed if name == CALIBRATION else np.savez)(content, **named)
    return content.getvalue()


def arrays_of(content: bytes | mmap.mmap, name: str = CALIBRATION) -> dict[str, _Column]:
    """What was packed, `identity` among it. Raises ValueError."""
    return read_arrays(content, most=MOST_EXTRA[name], unread=_LARGE_ARRAYS)


def content_of(folder: Directory, file: str, name: str) -> bytes | mmap.mmap:
    """What is kept in a file under the name: read, or mapped where it is large."""
    return (folder.read if name == CALIBRATION else folder.map)(file, most=MOST_EXTRA[name])


def read_side_file(folder: Directory, name: str) -> bytes | mmap.mmap | StorageError | None:
    """What is kept in a folder under the name, if anything, or why it cannot be read."""
    try:
        return content_of(folder, name, name)
    except FileNotFoundError:
        return None
    except StorageError as error:
        return error
    except OSError as error:
        return CorruptIndex(f"{folder.path / name} cannot be read: {error.strerror}")


def _times(found: os.stat_result) -> list[int]:
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def note_verified(folder: Directory, identity: str, times: Times) -> None:
    """Notes sizes and times of checked files; where it cannot, they are checked anew next time."""
    with suppress(OSError), folder.replacing(VERIFIED) as file:
        file.write(json.dumps({"identity": identity, "files": times}).encode())


def _is_noted(folder: Directory, identity: str, times: Times) -> bool:
    """Whether these very files were checked already. Format 1 noted the times alone."""
    return _noted(folder) in ({"identity": identity, "files": times}, times)


def noted(folder: Directory, identity: str) -> Times:
    """Sizes and times of those files of a build that were checked already."""
    found = _noted(folder)
    if isinstance(found, dict) and found.get("identity") == identity:
        files = found.get("files")
        return files if isinstance(files, dict) else {}
    return {}


def _noted(folder: Directory) -> object:
    try:
        return json.loads(folder.read(VERIFIED, most=MOST_MANIFEST))
    except (OSError, ValueError, RecursionError, StorageError):
        return None


# Small helpers ------------------------------------------------------------------------------------


def padded(n_bytes: int) -> int:
    """Size of the file that holds `n_bytes` bytes of a column."""
    return (-(-n_bytes // PADDING) + 1) * PADDING


def checksum(fields: Mapping[str, object]) -> str:
    """Of a manifest without its own, as JSON."""
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
