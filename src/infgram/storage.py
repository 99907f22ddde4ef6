"""The on-disk format: write it, check it, map it. Alone in knowing bytes on disk.

An index is a folder: a manifest, and columns as raw little-endian arrays, each a file of its own
padded with zeros. docs/format.md specifies it. This module knows names, sizes and checksums of
files, and nothing of what the numbers in them mean.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import mmap
import operator
import os
import secrets
import shutil
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from glob import escape as glob_escape
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from .errors import (
    CorruptIndex,
    IndexExists,
    NotAnIndex,
    StorageError,
    UnsupportedFormat,
)

FORMAT = "infgram"
VERSION = 1
MANIFEST = "manifest.json"
VERIFIED = "verified.json"
BACKWARDS = "backwards"  # the folder of a two-sided index's other side
PADDING = 64  # every file ends in at least this many zero bytes, at a multiple of it
DTYPES = {
    name: np.dtype(name).newbyteorder("<") for name in ("uint8", "uint16", "uint32", "uint64")
}

_CHUNK = 1 << 22
_BUILDING, _REPLACED, _LOCK = ".building", ".replaced", "lock"
# A map keeps a descriptor of its file open unless it is told not to, which Python 3.13 can do.
_NO_DESCRIPTOR: dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}
_Column = NDArray[Any]
Progress = Callable[[str, int, int], None]


# Writing ------------------------------------------------------------------------------------------


class IndexWriter:
    """Writes the files of one index into `folder` and remembers their lengths and checksums."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, dict[str, object]] = {}

    def write(self, name: str, column: _Column) -> None:
        """Writes a 1-D unsigned column under `name` ("shard-00000/sa") and syncs it."""
        column = np.ascontiguousarray(column, dtype=DTYPES[column.dtype.name])
        data = column.data.cast("B") if column.size else memoryview(b"")
        n_bytes = padded(len(data))
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as file:
            checksum = 0
            for start in range(0, len(data), _CHUNK):
                chunk = data[start : start + _CHUNK]
                checksum = zlib.crc32(chunk, checksum)
                file.write(chunk)
            padding = bytes(n_bytes - len(data))
            checksum = zlib.crc32(padding, checksum)
            file.write(padding)
            _sync(file)
        self.files[name] = {
            "dtype": column.dtype.name,
            "length": int(column.size),
            "n_bytes": n_bytes,
            "crc32": checksum,
        }

    def copy(self, name: str, other: IndexWriter) -> None:
        """Writes a file as another writer has written it."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(other.folder / name, "rb") as source, open(path, "wb") as file:
            shutil.copyfileobj(source, file, _CHUNK)
            _sync(file)
        self.files[name] = other.files[name]

    def write_strings(self, name: str, lengths: NDArray[np.uint64], blob: _Column) -> None:
        """Writes strings, given one after another with their lengths, as two columns."""
        offsets = np.zeros(len(lengths) + 1, np.uint64)
        np.cumsum(lengths, out=offsets[1:])
        self.write(name, blob)
        self.write(f"{name}_offsets", offsets)

    def finish(self, manifest: Mapping[str, object]) -> str:
        """Writes the manifest, the last file: without it the folder is not an index.

        Returns the index's identity.
        """
        fields = {
            "format": FORMAT,
            "version": VERSION,
            "byte_order": "little",
            **manifest,
            "files": self.files,
        }
        identity = _checksum(fields)
        text = json.dumps({**fields, "checksum": identity}, indent=1)
        with open(self.folder / MANIFEST, "w", encoding="utf-8") as file:
            file.write(text)
            _sync(file)
        _stamp(self.folder, _times(self.folder, self.files))
        return identity


@contextmanager
def building(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """A folder to build in, beside `target`, that takes its place when the block ends well.

    Whatever else happens, error or interrupt, the folder is removed and `target` is untouched.
    What a killed process left behind is put right by the next build of the same target.
    """
    target = Path(os.path.realpath(target))
    _check_target(target, overwrite=overwrite)
    with ExitStack() as cleanup:
        try:
            _recover(target)
            folder = target.parent / f".{target.name}.{secrets.token_hex(4)}{_BUILDING}"
            cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
            folder.mkdir()
            lock = cleanup.enter_context(open(folder / _LOCK, "w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
            _sync_folder(folder)
            _move_into_place(folder, target, overwrite=overwrite)
        except OSError as error:
            raise StorageError(
                f"writing the index {target} failed: {error.strerror or error}. Nothing is changed."
                + (" Free some space or build elsewhere." if error.errno == errno.ENOSPC else "")
            ) from error


def _check_target(target: Path, *, overwrite: bool) -> None:
    if not target.parent.is_dir():
        raise StorageError(
            f"the folder {target.parent} does not exist: create it, or build elsewhere"
        )
    if not (target.exists() or target.is_symlink()):
        return
    if target.is_dir() and not any(target.iterdir()):
        return
    if not overwrite:
        raise IndexExists(
            f"{target} already exists: choose another path, or replace it with overwrite=True "
            "(--overwrite)"
        )
    if not (target / MANIFEST).is_file():
        raise NotAnIndex(
            f"{target} is not an infgram index, so it is not overwritten: remove it first"
        )


def _move_into_place(folder: Path, target: Path, *, overwrite: bool) -> None:
    """Renames the folder to the target. The lock is held until there is nothing left to recover."""
    _check_target(target, overwrite=overwrite)
    aside = folder.with_suffix(_REPLACED)
    if target.exists():
        os.rename(target, aside)
    try:
        os.rename(folder, target)
    except BaseException as error:
        if aside.exists():
            os.rename(aside, target)
        if isinstance(error, OSError) and error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise IndexExists(f"{target} was built by another process meanwhile") from error
        raise
    shutil.rmtree(aside, ignore_errors=True)
    (target / _LOCK).unlink()
    _sync_folder(target.parent)


def _recover(target: Path) -> None:
    """Puts right what builds left whose process is gone: nobody holds their lock.

    An index that was renamed away to be replaced comes back if the new one did not take its place.
    """
    for building in target.parent.glob(f".{glob_escape(target.name)}.*{_BUILDING}"):
        if _is_abandoned(building):
            shutil.rmtree(building, ignore_errors=True)
    for aside in target.parent.glob(f".{glob_escape(target.name)}.*{_REPLACED}"):
        if aside.with_suffix(_BUILDING).exists():
            continue
        if target.exists():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            os.rename(aside, target)


def _is_abandoned(building: Path) -> bool:
    try:
        with open(building / _LOCK) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except OSError:
        return False


# Reading ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StoredIndex:
    """An index whose manifest and file sizes have been checked."""

    folder: Path
    manifest: Mapping[str, Any]
    identity: str
    """The manifest's checksum: another build has another one."""

    @property
    def n_bytes(self) -> int:
        """Bytes on disk, all files together."""
        return sum(int(file["n_bytes"]) for file in self.manifest["files"].values())

    def map(self, name: str, *, with_padding: bool = False) -> _Column:
        """The column as a read-only memory map, 1-D. Costs no memory until it is read."""
        entry = self.manifest["files"].get(name)
        if entry is None:
            raise CorruptIndex(f"{self.folder}: the manifest has no file {name!r}; build it again")
        try:
            with open(self.folder / name, "rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ, **_NO_DESCRIPTOR)
        except OSError as error:
            advice = (
                "raise the limit of open files (ulimit -n), or build with larger shards"
                if error.errno == errno.EMFILE
                else "is it still there, and readable?"
            )
            raise StorageError(
                f"{self.folder / name} cannot be mapped: {error.strerror}; {advice}"
            ) from error
        column = np.frombuffer(mapped, DTYPES[entry["dtype"]])
        return column if with_padding else column[: entry["length"]]

    def strings(self, name: str) -> Strings:
        """Strings written by `write_strings`."""
        return Strings(self.map(name), self.map(f"{name}_offsets"))


@dataclass(frozen=True)
class Strings:
    """Byte strings, stored one after another."""

    blob: NDArray[np.uint8]
    offsets: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, i: int) -> bytes:
        begin, end = map(int, self.offsets[i : i + 2]) if 0 <= i < len(self) else (1, 0)
        if not begin <= end <= len(self.blob):
            raise CorruptIndex("stored strings are out of order: build the index again")
        return self.blob[begin:end].tobytes()


def open_folder(path: str | os.PathLike[str], *, verify: bool | None = None) -> StoredIndex:
    """Opens an index after checking its manifest and the size of every file.

    `verify`: True checks every checksum; False none; None checks them unless the files are the very
    ones that the build or an earlier check has seen (same size and times of change).
    """
    folder = Path(path)
    stored = StoredIndex(folder, *_read_manifest(folder))
    for name, entry in stored.manifest["files"].items():
        _check_size(folder / name, int(entry["n_bytes"]))
    if verify or (verify is None and not _is_stamped(folder, stored.manifest["files"])):
        check_sums(stored)
    return stored


def check_sums(stored: StoredIndex, progress: Progress | None = None) -> None:
    """Compares every file with its checksum; raises CorruptIndex at the first that differs."""
    times = _times(stored.folder, stored.manifest["files"])
    done = 0
    for name, entry in stored.manifest["files"].items():
        checksum = 0
        try:
            with open(stored.folder / name, "rb", buffering=0) as file:
                while chunk := file.read(_CHUNK):
                    checksum = zlib.crc32(chunk, checksum)
                    done += len(chunk)
                    if progress:
                        progress("checksums", done, stored.n_bytes)
        except OSError as error:
            raise CorruptIndex(
                f"{stored.folder / name} cannot be read: {error.strerror}"
            ) from error
        if checksum != entry["crc32"]:
            raise CorruptIndex(
                f"{stored.folder / name} was changed after the build: its checksum is "
                f"{checksum:08x}, the manifest says {entry['crc32']:08x}. Build the index again."
            )
    _stamp(stored.folder, times)


def _read_manifest(folder: Path) -> tuple[dict[str, Any], str]:
    """The manifest without its checksum, and the checksum."""
    path = folder / MANIFEST
    if not folder.exists():
        raise NotAnIndex(
            f"{folder} does not exist: build it with `infgram build CORPUS -o {folder}`"
        )
    if not folder.is_dir():
        raise NotAnIndex(
            f"{folder} is a file, not an index folder: build one from it with `infgram build`"
        )
    if not path.is_file():
        raise NotAnIndex(
            f"{folder} has no {MANIFEST}: it is not an infgram index, or its build did not end"
        )
    try:
        manifest = json.loads(path.read_bytes())
    except OSError as error:
        raise NotAnIndex(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise CorruptIndex(
            f"{path} is not JSON ({error}): it was changed after the build"
        ) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise NotAnIndex(f"{path} is not the manifest of an infgram index")
    if manifest.get("version") != VERSION:
        raise UnsupportedFormat(
            f"{folder} has format version {manifest.get('version')!r}, this infgram reads version "
            f"{VERSION}: build the index again, or use the infgram that made it"
        )
    if manifest.get("byte_order") != "little" or sys.byteorder != "little":
        raise UnsupportedFormat(
            f"{folder} has byte order {manifest.get('byte_order')!r} and this machine "
            f"{sys.byteorder!r}: infgram reads little-endian indexes on little-endian machines"
        )
    found = manifest.pop("checksum", None)
    expected = _checksum(manifest)
    if found != expected:
        raise CorruptIndex(f"{path} was changed after the build: its checksum does not fit")
    _check_files(path, manifest.get("files"))
    return manifest, expected


def _check_files(path: Path, files: object) -> None:
    """Whether the manifest's list of files makes sense in itself."""
    try:
        sound = isinstance(files, dict) and all(
            entry["n_bytes"]
            == padded(operator.index(entry["length"]) * DTYPES[entry["dtype"]].itemsize)
            for entry in files.values()
        )
    except (LookupError, TypeError) as error:
        raise CorruptIndex(
            f"{path}: its list of files is damaged ({error}); build again"
        ) from error
    if not sound:
        raise CorruptIndex(f"{path}: its list of files is damaged; build the index again")


def _check_size(path: Path, n_bytes: int) -> None:
    try:
        found = path.stat().st_size
    except OSError as error:
        raise CorruptIndex(f"{path} is missing or unreadable: {error.strerror}") from error
    if found != n_bytes:
        raise CorruptIndex(f"{path} has {found} bytes, expected {n_bytes}: build the index again")


# Files that are no index, and what is kept beside one -------------------------------------------


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` if the block ends well, and is removed otherwise.

    Raises StorageError.
    """
    target = Path(path)
    written = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        try:
            with open(written, "xb") as file:
                yield file
                _sync(file)
            os.replace(written, target)
        finally:
            with suppress(FileNotFoundError):
                written.unlink()
    except OSError as error:
        raise StorageError(
            f"{target} cannot be written: {error.strerror or error}. Nothing is changed."
        ) from error


def write_extra(folder: Path, name: str, identity: str, arrays: Mapping[str, _Column]) -> None:
    """Writes arrays that can be computed anew, for the build of this identity. All or nothing."""
    named: dict[str, Any] = {"identity": np.array(identity), **arrays}
    with replacing(folder / name) as file:
        np.savez_compressed(file, **named)


def read_extra(folder: Path, name: str, identity: str) -> dict[str, _Column] | None:
    """What `write_extra` wrote, or None if there is nothing, or it belongs to another build."""
    path = folder / name
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise CorruptIndex(f"{path} is damaged ({error}): remove it and write it again") from error
    return arrays if str(arrays.pop("identity", "")) == identity else None


# Which files have been checked already ------------------------------------------------------------


_Times = dict[str, list[int]]


def _times(folder: Path, files: Mapping[str, object]) -> _Times:
    try:
        stats = {name: (folder / name).stat() for name in files}
    except OSError as error:
        raise CorruptIndex(f"{error.filename} cannot be read: {error.strerror}") from error
    return {name: [s.st_size, s.st_mtime_ns, s.st_ctime_ns] for name, s in stats.items()}


def _stamp(folder: Path, times: _Times) -> None:
    """Notes sizes and times of checked files; a folder that cannot be written is checked anew.

    A new file takes the place of the old one, whatever that is: nothing is written through links.
    """
    with (
        suppress(OSError),
        tempfile.NamedTemporaryFile("w", dir=folder, prefix=VERIFIED, delete=False) as file,
    ):
        try:
            json.dump(times, file)
            file.close()
            os.chmod(file.name, 0o644)
            os.replace(file.name, folder / VERIFIED)
        except OSError:
            os.unlink(file.name)


def _is_stamped(folder: Path, files: Mapping[str, object]) -> bool:
    try:
        return bool(json.loads((folder / VERIFIED).read_bytes()) == _times(folder, files))
    except (OSError, ValueError, RecursionError, StorageError):
        return False


# Small helpers ------------------------------------------------------------------------------------


def padded(n_bytes: int) -> int:
    """Size of the file that holds `n_bytes` bytes of a column."""
    return (-(-n_bytes // PADDING) + 1) * PADDING


def _checksum(fields: Mapping[str, object]) -> str:
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _sync(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
