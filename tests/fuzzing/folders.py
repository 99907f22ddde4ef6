"""An index on disk as it is mutated, and seals that fit what it became.

Written from docs/format.md alone, and not with infgram's own writer: a stranger has none either.
The unit is the folder of a manifest: its columns, the side files beside it, the manifest itself.
"""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MANIFEST, CALIBRATION, VERIFIED, CURRENT = (
    "manifest.json",
    "calibration.npz",
    "verified.json",
    "CURRENT",
)
_PADDING = 64
_Column = NDArray[Any]


class Folder:
    """An index; of what a reader must not touch, a folder `outside`."""

    def __init__(self, path: Path, outside: Path) -> None:
        self.path = path
        self.outside = outside
        found = sorted(path.rglob(MANIFEST), key=lambda path: (len(path.parts), path))
        self.units = [Unit(manifest.parent) for manifest in found]
        lists = sorted(path.glob("segments-*.json"))
        self.listed = Listed(lists[0]) if lists else None
        """The list of segments, where the index has grown."""
        self.n_outside = 0
        current = path / CURRENT
        self.line = current.read_bytes() if current.exists() else None
        """What the file says that names the generation, where the format has one."""

    @classmethod
    def copied(cls, files: dict[str, bytes], place: Path) -> Folder:
        """A fresh copy of a sound index, and beside it a folder that is none of its business."""
        path, outside = place / "index.infgram", place / "outside"
        outside.mkdir(parents=True)
        for name, content in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
        return cls(path, outside)

    @classmethod
    def at(cls, path: Path) -> Folder:
        """An index where it stands."""
        return cls(path, path.parent)

    @property
    def outer(self) -> Unit:
        return self.units[0]

    def put_outside(self, content: bytes) -> Path:
        """A file that the index must not read."""
        self.n_outside += 1
        path = self.outside / f"file-{self.n_outside}"
        path.write_bytes(content)
        return path

    def seal(self) -> None:
        """Makes all checksums fit: those inside first, as the ones outside name them."""
        inside: dict[str, str] = {}
        before = {unit.path.name: unit.identity for unit in self.units}
        for unit in reversed(self.units):
            name = unit.path.name
            for key, identity in inside.items():
                if isinstance(unit.manifest, dict) and isinstance(unit.manifest.get(key), str):
                    unit.manifest[key] = identity
            inside = {name: unit.seal()}
        if self.listed is not None:
            now = {before[unit.path.name]: unit.identity for unit in self.units}
            self.listed.seal(now)

    def finish(self) -> None:
        """Writes what can only be written when nothing changes any more."""
        for unit in self.units:
            unit.finish()
        if self.listed is not None:
            self.listed.finish()


def sealed(fields: Any) -> str | None:
    """The checksum of a manifest or a list; None where it has none."""
    try:
        canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()
    except (ValueError, RecursionError):
        return None


class Listed:
    """A list of segments: `fields` without the checksum, to be changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fields: Any = json.loads(path.read_text())
        self.checksum: str = self.fields.pop("checksum")
        self.is_changed = False

    def seal(self, identities: dict[str, str]) -> None:
        """Brings the checksum up to date, and those of segments, given by what they were."""
        if not isinstance(self.fields, dict):
            return
        for name in ("segments", "removals"):
            entries = self.fields.get(name)
            for entry in entries if isinstance(entries, list) else []:
                known = entry.get("identity") if isinstance(entry, dict) else None
                if isinstance(known, str) and identities.get(known, known) != known:
                    entry["identity"] = identities[known]
                    self.is_changed = True
        self.checksum = sealed(self.fields) or self.checksum

    def finish(self) -> None:
        """Writes it, if anything has changed."""
        if not self.is_changed:
            return
        fields = self.fields
        if isinstance(fields, dict):
            fields = {**fields, "checksum": self.checksum}
        self.path.write_text(json.dumps(fields), encoding="utf-8", errors="surrogatepass")


@dataclass
class Unit:
    """A manifest, its columns and its side files."""

    path: Path

    def __post_init__(self) -> None:
        self.original = (self.path / MANIFEST).read_text()
        self.manifest: Any = json.loads(self.original)
        self.identity: str = self.manifest.pop("checksum")
        self.raw: dict[str, str] = {}
        """JSON text by the string that stands for it: what json.dumps cannot write."""
        self.late: list[Callable[[str], None]] = []
        self.is_manifest_changed = False
        self._entries: dict[str, dict[str, Any]] = {}
        path = self.path / CALIBRATION
        self._calibration = path.read_bytes() if path.exists() else None

    @cached_property
    def names(self) -> list[str]:
        """Of columns, as they were."""
        return sorted(self.manifest["files"])

    @cached_property
    def n_codes(self) -> int:
        return int(self.manifest["files"]["token_ids"]["length"]) + 1

    @cached_property
    def numbers(self) -> list[int]:
        """Every number of the sound manifest that a column's values may be measured by."""
        shards = self.manifest["shards"]
        own = [v for shard in shards for v in shard.values() if isinstance(v, int)]
        return sorted({*own, self.n_codes, self.manifest["block_rows"], self.manifest["n_tokens"]})

    def read(self, name: str) -> _Column:
        entry = self.manifest["files"][name]
        raw = (self.path / name).read_bytes()
        return np.frombuffer(raw, entry["dtype"])[: entry["length"]].copy()

    def write(self, name: str, column: _Column, *, padding: bytes = b"") -> None:
        """Writes the file; the manifest learns of it when it is sealed."""
        raw = np.ascontiguousarray(column).tobytes()
        n_bytes = (-(-len(raw) // _PADDING) + 1) * _PADDING
        filled = bytes(n_bytes - len(raw))
        if padding:
            filled = (padding * len(filled))[: len(filled)]
        (self.path / name).write_bytes(raw + filled)
        self._entries[name] = {
            "dtype": column.dtype.name,
            "length": len(column),
            "n_bytes": n_bytes,
            "crc32": zlib.crc32(raw + filled),
        }

    def add(self, name: str, column: _Column) -> None:
        """Lists one more column, as one that a reader need not know."""
        (self.path / name).parent.mkdir(exist_ok=True)
        self.write(name, column)
        self.manifest["files"][name] = {}
        self.manifest.setdefault("optional", []).append(name)

    def rename(self, name: str, other: str) -> None:
        """Lists a column under another name, which may be no good one."""
        files = self.manifest["files"]
        if name in files:
            files[other] = {**files.pop(name), **self._entries.pop(name, {})}

    def seal(self) -> str:
        """Brings the list of files and the checksum up to date; returns the checksum."""
        files = self.manifest.get("files") if isinstance(self.manifest, dict) else None
        for name, entry in self._entries.items():
            if isinstance(files, dict) and isinstance(files.get(name), dict):
                files[name].update(entry)
        self._entries.clear()
        text = self.text()
        with suppress(ValueError, RecursionError):
            fields = json.loads(text)
            if isinstance(fields, dict):
                fields.pop("checksum", None)
            self.identity = sealed(fields) or self.identity
        self._write_manifest(text)
        return self.identity

    def text(self) -> str:
        """The manifest as JSON, without its checksum."""
        text = json.dumps(self.manifest, indent=1)
        for name, raw in self.raw.items():
            text = text.replace(f'"{name}"', raw)
        return text

    def finish(self) -> None:
        if self.is_manifest_changed:
            self._write_manifest(self.text())  # with the checksum that it had, if not sealed
        for write in self.late:
            write(self.identity)

    def _write_manifest(self, text: str) -> None:
        path = self.path / MANIFEST
        if path.is_symlink() or not path.is_file():
            return  # something else stands there on purpose
        end = text.rstrip()
        if isinstance(self.manifest, dict) and end.endswith("}"):
            comma = "," if self.manifest else ""
            text = f'{end[:-1]}{comma} "checksum": "{self.identity}"}}'
        path.write_text(text, encoding="utf-8", errors="surrogatepass")

    # Side files -----------------------------------------------------------------------------------

    @cached_property
    def calibration(self) -> dict[str, _Column] | None:
        """The arrays that calibration.npz had, where there was one."""
        if self._calibration is None:
            return None
        with np.load(io.BytesIO(self._calibration)) as archive:
            return {name: archive[name] for name in archive.files}

    def recalibrate(self) -> None:
        """Gives the calibration the identity of the mutated index."""
        arrays = self.calibration
        path = self.path / CALIBRATION
        if arrays is not None and path.is_file() and not path.is_symlink() and not self.late:
            self.late.append(lambda identity: self._write_calibration(arrays, identity))

    def _write_calibration(self, arrays: dict[str, _Column], identity: str) -> None:
        (self.path / CALIBRATION).write_bytes(archive({**arrays, "identity": np.array(identity)}))


def archive(arrays: dict[str, Any]) -> bytes:
    """A .npz, not compressed: that costs time."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def contents(path: Path) -> dict[str, bytes]:
    """Every file of a folder by its name."""
    return {str(file.relative_to(path)): file.read_bytes() for file in _files(path)}


def _files(path: Path) -> Iterator[Path]:
    return (file for file in sorted(path.rglob("*")) if file.is_file())
