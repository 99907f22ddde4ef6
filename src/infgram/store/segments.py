"""What an index consists of: one build, or several as it grew, and which documents were removed.

A *segment* is a build like any other. An index that has grown is a list of segments, in the order
of their documents. Documents that were removed stay in their segment, where the list tells their
numbers; a segment of *removals* holds them once more, and what it counts is taken away. So every
sum over segments is exact, and nothing that is on the disk ever changes.

Codes are those of the segment written last: each one's `token_ids` begin with those of the segment
before. docs/format.md tells the file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import native
from ..errors import CorruptIndex, InfgramError
from . import generations
from .directory import Directory
from .generations import FORMAT
from .layout import COMPACT, FAST, Fields
from .mirror import Mirror
from .mirror import current as mirrored
from .objects import Objects
from .shards import Shard
from .storage import StoredIndex, bind, checksum, read_json, unseal
from .urls import url_of

VERSION = 3
_NONE: NDArray[np.int64] = np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class Segment:
    """A build, and which of its documents were removed: their numbers in it, rising."""

    stored: StoredIndex
    removed: NDArray[np.int64] = field(default_factory=lambda: _NONE)

    @property
    def name(self) -> str:
        """Of its folder."""
        return self.stored.folder.name

    @property
    def n_documents(self) -> int:
        """Without those that were removed."""
        return self.stored.layout.n_documents - len(self.removed)

    @cached_property
    def left(self) -> NDArray[np.int64]:
        """Numbers of the documents that were not removed, rising."""
        return np.delete(np.arange(self.stored.layout.n_documents), self.removed)


@dataclass(frozen=True, eq=False)
class Segments:
    """An open index: all of it is of one state, whatever happens to its folder from now on."""

    root: Path
    name: str | None
    """What was current: see `generations.enter`."""
    segments: tuple[Segment, ...]
    removals: tuple[StoredIndex, ...] = ()
    stop: tuple[int, int] | None = None
    """The last document of the corpus ends in this shard, counted through all segments, and at
    this row; None: at the end of the last one."""

    @cached_property
    def identity(self) -> str:
        """Another state has another one."""
        return self.segments[0].stored.identity if self.is_one else checksum(self._fields())

    @property
    def is_one(self) -> bool:
        """Whether it is a build, and nothing was added or removed since."""
        return not generations.is_list(self.name)

    @property
    def is_fetched(self) -> bool:
        """Whether its files come from an address, as they are asked for."""
        return url_of(self.root) is not None

    @cached_property
    def newest(self) -> StoredIndex:
        """The one whose codes are those of the index."""
        every = [segment.stored for segment in self.segments] + list(self.removals)
        return max(every, key=lambda stored: len(stored.column("token_ids")))

    @property
    def layout(self) -> str:
        """Compact if one segment is."""
        kinds = {segment.stored.layout.kind for segment in self.segments}
        return COMPACT if COMPACT in kinds else FAST

    @property
    def n_documents(self) -> int:
        """Without those that were removed."""
        return sum(segment.n_documents for segment in self.segments)

    @property
    def n_bytes(self) -> int:
        """Bytes on disk."""
        return sum(stored.n_bytes for stored in self.all_stored())

    def names(self) -> set[str]:
        """Of the folders of which it consists."""
        return {stored.folder.name for stored in self.all_stored()}

    def all_stored(self) -> list[StoredIndex]:
        """The builds of which it consists, those of removals behind."""
        return [*(segment.stored for segment in self.segments), *self.removals]

    @property
    def n_tokens(self) -> int:
        """Without those of documents that were removed."""
        held = sum(segment.stored.layout.n_tokens for segment in self.segments)
        return held - sum(stored.layout.n_tokens for stored in self.removals)

    def shards(self) -> list[Shard]:
        """Of all segments, in the order of documents; without removals."""
        found: list[Shard] = []
        first = 0
        for segment in self.segments:
            inside = 0
            for layout in segment.stored.layout.shards:
                mine = segment.removed - inside
                removed = mine[(mine >= 0) & (mine < layout.n_documents)]
                found.append(Shard(segment.stored, layout, first, removed))
                first += found[-1].n_documents
                inside += layout.n_documents
        return found

    def columns(self) -> list[dict[str, object]]:
        """What the native core borrows: shards, and behind them those of removals."""
        columns = []
        last = self.segments[-1].stored.layout.shards[-1]
        for segment in self.segments:
            for layout in segment.stored.layout.shards:
                is_end = layout is segment.stored.layout.shards[-1]
                is_followed = is_end and (layout is not last or self.stop is not None)
                columns.append({**_columns(segment.stored, layout), "is_followed": is_followed})
        if self.stop is not None:
            columns[self.stop[0]]["stop"] = self.stop[1]
        for stored in self.removals:
            for layout in stored.layout.shards:
                is_followed = layout is stored.layout.shards[-1]
                own = {"is_followed": is_followed, "is_removed": True}
                columns.append({**_columns(stored, layout), **own})
        return columns

    def listed(self) -> bytes:
        """The list as a file."""
        fields = self._fields()
        return json.dumps({**fields, "checksum": checksum(fields)}, indent=1).encode()

    def _fields(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "version": VERSION,
            "segments": [
                {
                    "name": segment.name,
                    "identity": segment.stored.identity,
                    "removed": _runs(segment.removed),
                }
                for segment in self.segments
            ],
            "removals": [
                {"name": stored.folder.name, "identity": stored.identity}
                for stored in self.removals
            ],
            **({} if self.stop is None else {"stop": list(self.stop)}),
        }


def _columns(stored: StoredIndex, layout: Any) -> dict[str, object]:
    return Shard(stored, layout, 0).columns(stored.layout.block_rows)


def open_segments(path: str | os.PathLike[str], *, verify: bool | None = None) -> Segments:
    """Opens the current state of an index: checks its manifests and file sizes, maps its files.

    `verify` as `storage.bind` takes it. Of an index at an address, files are fetched and mapped
    when they are first asked for.

    Raises NotAnIndex, UnsupportedFormat, CorruptIndex, StorageError.
    """
    root = Path(path)
    if url := url_of(path):
        mirror = Mirror(url, verify=verify)
        return Segments(root, mirror.name, (Segment(mirror.stored),))
    while True:
        with ExitStack() as cleanup:
            folder, name = generations.enter(root, cleanup)
            try:
                return _bound(folder, name, verify)
            except InfgramError:
                if not generations.has_moved_on(root, folder, name):
                    raise


def is_current(opened: Segments) -> bool:
    """Whether the index still is in the state that is open. Raises NotAnIndex, StorageError."""
    if url := url_of(opened.root):
        return mirrored(Objects(url)) == opened.name
    with ExitStack() as cleanup:
        _, name = generations.enter(opened.root, cleanup)
        if name is None:
            return open_segments(opened.root).identity == opened.identity
        return name == opened.name


def of_one(stored: StoredIndex, root: Path) -> Segments:
    """An index of one build, which is open already."""
    name = stored.folder.name if stored.folder.name.startswith("generation-") else None
    return Segments(root, name, (Segment(stored),))


def _bound(root: Directory, name: str | None, verify: bool | None) -> Segments:
    if name is None:
        return of_one(bind(root, verify=verify), root.path)
    if not generations.is_list(name):
        with generations.generation(root, name) as folder:
            return of_one(bind(folder, verify=verify), root.path)
    return _bound_list(root, name, verify)


def _bound_list(root: Directory, name: str, verify: bool | None) -> Segments:
    path = root.path / name
    fields = _read_list(root, name)
    segments = []
    for entry in fields.list("segments"):
        stored = _bound_entry(root, Fields(entry, path), verify)
        removed = _numbers(Fields(entry, path), stored.layout.n_documents)
        segments.append(Segment(stored, removed))
    removals = [_bound_entry(root, Fields(each, path), verify) for each in fields.list("removals")]
    if not segments:
        raise fields.error("segments", "at least one")
    found = Segments(root.path, name, tuple(segments), tuple(removals), _stop(fields))
    _check(found, path)
    return found


def _read_list(root: Directory, name: str) -> Fields:
    path = root.path / name
    try:
        fields = read_json(root, name)
    except FileNotFoundError as error:
        raise CorruptIndex(
            f"{path} is missing, and {generations.CURRENT} says that it is the index: build it "
            "again"
        ) from error
    except OSError as error:
        raise CorruptIndex(f"{path} cannot be read ({error}): build the index again") from error
    found = Fields(fields, path)
    unseal(fields, path)
    if fields.get("format") != FORMAT or fields.get("version") != VERSION:
        raise CorruptIndex(f"{path} is no list of segments: build the index again")
    return found


def _bound_entry(root: Directory, entry: Fields, verify: bool | None) -> StoredIndex:
    name = entry.text("name")
    with generations.generation(root, name) as folder:
        stored = bind(folder, verify=verify)
    if stored.identity != entry.text("identity"):
        raise CorruptIndex(f"{root.path / name} is of another build than the list says")
    return stored


def _stop(fields: Fields) -> tuple[int, int] | None:
    if not fields.has("stop"):
        return None
    found = fields.list("stop")
    if [type(each) for each in found] != [int, int] or min(found) < 0:
        raise fields.error("stop", "a shard and a row")
    return found[0], found[1]


def _check(found: Segments, path: Path) -> None:
    """Whether the segments fit together."""
    stored = found.all_stored()
    if len(found.names()) < len(stored):
        raise CorruptIndex(f"{path} names a generation twice: build the index again")
    ids = found.newest.column("token_ids")
    for each in stored:
        own = each.column("token_ids")
        if (
            each.layout.tokenizer != stored[0].layout.tokenizer
            or each.layout.code_bits != stored[0].layout.code_bits
            or not np.array_equal(own, ids[: len(own)])
            or each.other_side is not None
        ):
            raise CorruptIndex(f"{path}: {each.folder.name} does not fit the other segments")
    shards = found.shards()
    gone = sum(stored.layout.n_documents for stored in found.removals)
    if gone != sum(len(segment.removed) for segment in found.segments) or found.n_tokens < 1:
        raise CorruptIndex(f"{path}: it lists other documents as removed than it holds removals")
    shard, row = found.stop or (0, 0)
    is_inside = shard < len(shards) and row < shards[shard].layout.n_rows
    if not is_inside or found.n_documents < 1:
        raise CorruptIndex(f"{path}: the last document lies in no shard")


def end_of(segments: Sequence[Segment]) -> tuple[int, int] | None:
    """Where the last document ends that was not removed, as `Segments.stop` tells it."""
    last = max(i for i, segment in enumerate(segments) if segment.n_documents)
    stored = segments[last].stored
    number = int(segments[last].left[-1])
    if last == len(segments) - 1 and number == stored.layout.n_documents - 1:
        return None
    shard = sum(len(segment.stored.layout.shards) for segment in segments[:last])
    for layout in stored.layout.shards:
        if number < layout.n_documents:
            of = Shard(stored, layout, 0)
            core = native.Index(
                stored.layout.code_bits,
                stored.column("token_ids"),
                int(stored.layout.tokenizer["vocab_size"]),
                [{**of.columns(stored.layout.block_rows), "is_followed": True}],
                has_grown=True,
            )
            return shard, core.end_of_document(0, *of.documents.bounds(number))
        number -= layout.n_documents
        shard += 1
    raise AssertionError("the shards have all documents")  # layout_of has added them up


def _runs(numbers: NDArray[np.int64]) -> Any:
    """Rising numbers as [begin, end) of those that follow each other.

    >>> _runs(np.array([3, 4, 5, 9]))
    [[3, 6], [9, 10]]
    """
    if not len(numbers):
        return []
    ends = np.flatnonzero(np.diff(numbers) != 1)
    begins = numbers[np.append(0, ends + 1)]
    return np.stack([begins, numbers[np.append(ends, len(numbers) - 1)] + 1], axis=1).tolist()


def _numbers(entry: Fields, n_documents: int) -> NDArray[np.int64]:
    """The numbers in such runs."""
    runs = entry.list("removed")
    flat = [number for run in runs if type(run) is list and len(run) == 2 for number in run]
    sound = len(flat) == 2 * len(runs) and {type(number) for number in flat} <= {int}
    if not sound or any(a >= b for a, b in pairwise([-1, *flat, n_documents + 1])):
        raise entry.error("removed", f"rising ranges of numbers below {n_documents}")
    ranges = [np.arange(begin, end) for begin, end in runs]
    return np.concatenate([_NONE, *ranges])
