"""From one layout of an index to the other: byte for byte what a build would make."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidParameter
from .deriving import compact_columns, fast_columns
from .generations import building
from .layout import COMPACT, FAST, ShardLayout, check_layout
from .memory import enough
from .storage import BACKWARDS, IndexWriter, Progress, StoredIndex, bind
from .verification import check_sorted, sorted_rows


def convert_index(
    stored: StoredIndex,
    path: str | os.PathLike[str],
    *,
    layout: str,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> StoredIndex:
    """Writes the index in another layout, and opens what it has written.

    Raises CorruptIndex, IndexExists, InvalidParameter, OutOfMemory, StorageError.
    """
    check_layout(layout)
    if stored.layout.kind == layout:
        raise InvalidParameter(
            f"{stored.folder.parent} has the {layout} layout already: give the other one"
        )
    other = stored.other_side
    if isinstance(other, Exception):
        raise other
    sides = [stored] if other is None else [stored, other]
    total, done = sum(shard.n_rows for side in sides for shard in side.layout.shards), 0
    with (
        enough("converting the index", "raise the limit"),
        building(Path(path), overwrite=overwrite) as new,
    ):
        fields: dict[str, Any] = {}
        for side in reversed(sides):  # the other side first, as in a build
            folder = new.folder if side is stored else new.folder / BACKWARDS
            writer = IndexWriter(folder)
            _copy(side, writer)
            for shard in side.layout.shards:
                _convert_shard(side, shard, writer, layout)
                done += shard.n_rows
                if progress:
                    progress("convert", done, total)
            identity = writer.finish({**_manifest(side, layout), **fields})
            fields = {BACKWARDS: identity}
        return new.publish(partial(bind, path=Path(path, new.folder.name)))


def _manifest(side: StoredIndex, layout: str) -> Mapping[str, Any]:
    kept = (
        "infgram",
        "created",
        "tokenizer",
        "code_bits",
        "block_rows",
        "n_tokens",
        "n_documents",
        "build",
    )
    shards = [asdict(shard) for shard in side.layout.shards]
    fields = {name: side.manifest[name] for name in kept}
    return {**fields, "shards": shards, **({} if layout == FAST else {"layout": layout})}


def _copy(side: StoredIndex, writer: IndexWriter) -> None:
    """The columns that all layouts have, but those of rows."""
    rows = {f"{shard.name}/{name}" for shard in side.layout.shards for name in _SHARED}
    for name in side.layout.files:
        if "/" not in name or name in rows:
            writer.write(name, side.column(name))
    optional = side.manifest.get("optional", ())
    writer.optional += [name for name in optional if name in writer.files]


_SHARED = (
    "documents",
    "document_sources",
    "document_lines",
    "metadata",
    "metadata_offsets",
)


def _convert_shard(side: StoredIndex, shard: ShardLayout, writer: IndexWriter, layout: str) -> None:
    def write(column: str, values: NDArray[Any]) -> NDArray[Any]:
        return writer.write_mapped(f"{shard.name}/{column}", values)

    rows = sorted_rows(side, shard)
    check_sorted(side, shard, rows)
    codes, sa, next_ = rows
    if layout == COMPACT:
        buckets: NDArray[np.uint32] = side.column(f"{shard.name}/buckets")
        compact_columns(write, next_, sa, buckets)
        return
    del rows, next_
    codes, sa = write("codes", codes), write("sa", sa)
    n_codes = len(side.column("token_ids")) + 1
    fast_columns(write, codes, sa, n_codes=n_codes, block_rows=side.layout.block_rows)
