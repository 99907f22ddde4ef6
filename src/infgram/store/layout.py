"""What a manifest must say, and which columns an index has, of which type and length.

The tables of docs/format.md as checks. Nothing behind this module meets a manifest's field that is
missing, of another type or out of range. What the columns hold is not looked at here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..checks import one_of
from ..errors import CorruptIndex, UnsupportedFormat

MAX_ROWS = 2**31 - 2
"""Of a shard."""
MAX_VOCAB_SIZE = 2**32 - 1
_SUPER_ROWS = 1 << 16
FAST, COMPACT = "fast", "compact"
LAYOUTS = (FAST, COMPACT)


@dataclass(frozen=True)
class ShardLayout:
    """A shard as the manifest lists it."""

    name: str
    n_rows: int
    n_tokens: int
    n_documents: int
    end_row: int


@dataclass(frozen=True)
class Layout:
    """An index as its manifest describes it."""

    tokenizer: Mapping[str, Any]
    code_bits: int
    block_rows: int
    n_tokens: int
    n_documents: int
    shards: tuple[ShardLayout, ...]
    created: str
    infgram: str
    build: Mapping[str, Any]
    files: tuple[str, ...]
    """The files that are read. Others may be there, which a later version knows."""
    kind: str
    """How its rows are kept: "fast" or "compact"."""


def check_layout(layout: object) -> None:
    """Raises InvalidParameter unless there is such a layout."""
    one_of(LAYOUTS, layout=layout)


def layout_of(manifest: Mapping[str, Any], path: Path | str) -> Layout:
    """Checks a manifest; `path` is for messages. Raises CorruptIndex, UnsupportedFormat."""
    fields = Fields(manifest, path)
    tokenizer = fields.object("tokenizer")
    Fields(tokenizer, path).integer("vocab_size", 1, MAX_VOCAB_SIZE)
    code_bits = fields.integer("code_bits", 8, 32)
    if not fields.list("shards"):
        raise fields.error("shards", "at least one")
    shards = []
    for i, entry in enumerate(fields.list("shards")):
        shard = Fields(entry, path)
        name = f"shard-{i:05d}"
        if shard.text("name") != name:
            raise shard.error("name", f"{name!r}")
        n_rows = shard.integer("n_rows", 1, MAX_ROWS)
        n_documents = shard.integer("n_documents", 0, n_rows)
        shards.append(
            ShardLayout(
                name,
                n_rows,
                shard.integer("n_tokens", 0, n_rows),
                n_documents,
                shard.integer("end_row", 0, n_rows - 1),
            )
        )
    files = fields.object("files")
    found = Layout(
        tokenizer,
        code_bits,
        fields.integer("block_rows", 32, 2048 if code_bits == 8 else 1 << 31),
        fields.integer("n_tokens", 0, MAX_ROWS * len(shards)),
        fields.integer("n_documents", 1, MAX_ROWS * len(shards)),
        tuple(shards),
        fields.text("created"),
        fields.text("infgram"),
        fields.object("build"),
        (),
        fields.text("layout") if fields.has("layout") else FAST,
    )
    if found.kind not in LAYOUTS:
        raise UnsupportedFormat(
            f"{path} has the layout {found.kind!r:.80}, this infgram knows "
            f"{' and '.join(LAYOUTS)}: use the infgram that built it, or a newer one"
        )
    _check_sums(found, fields)
    return replace(found, files=tuple(_known_files(found, fields, files)))


def _check_sums(found: Layout, fields: Fields) -> None:
    if found.code_bits not in (8, 16, 32):
        raise fields.error("code_bits", "8, 16 or 32")
    if found.block_rows & (found.block_rows - 1):
        raise fields.error("block_rows", "a power of two")
    for name in ("n_tokens", "n_documents"):
        total = sum(getattr(shard, name) for shard in found.shards)
        if getattr(found, name) != total:
            raise fields.error(name, f"{total}, what the shards have together")
    for shard in found.shards:
        last = shard is found.shards[-1]
        n_rows = shard.n_tokens + shard.n_documents + (0 if last else 1)
        if shard.n_rows != n_rows:
            raise CorruptIndex(
                f"{fields.path}: {shard.name} has {shard.n_rows} rows, expected {n_rows} for its "
                "tokens and boundaries; build the index again"
            )


def _known_files(found: Layout, fields: Fields, files: Mapping[str, Any]) -> list[str]:
    optional = fields.list("optional") if fields.has("optional") else []
    known = []
    for name, dtype, length, needed in _columns(found, files):
        if name not in files:
            if needed:
                raise CorruptIndex(f"{fields.path} names no file {name!r}: build the index again")
            continue
        known.append(name)
        entry = files[name]
        if entry["dtype"] != dtype or (length is not None and entry["length"] != length):
            raise CorruptIndex(
                f"{fields.path}: {name} holds {entry['length']} values of {entry['dtype']}, "
                f"expected {'some' if length is None else length} of {dtype}; build the index again"
            )
    for name in files.keys() - set(known):
        if name not in optional:
            raise UnsupportedFormat(
                f"{fields.path} has a file {name!r} that this infgram does not know and that is "
                "not optional: use the infgram that built it, or a newer one"
            )
    return known


def _columns(
    found: Layout, files: Mapping[str, Any]
) -> Iterator[tuple[str, str, int | None, bool]]:
    """(name, dtype, length where it is known, whether it must be there) of each file."""
    n_codes = 1 + (files["token_ids"]["length"] if "token_ids" in files else 0)
    code = f"uint{found.code_bits}"
    yield "token_ids", "uint32", None, True
    yield "tokenizer.json", "uint8", None, False
    yield "sources", "uint8", None, True
    yield "sources_offsets", "uint64", None, True
    yield "source_kinds", "uint8", None, False
    for shard in found.shards:
        n, n_documents = shard.n_rows, shard.n_documents
        rows = _compact if found.kind == COMPACT else _fast
        for name, dtype, length in (
            ("buckets", "uint32", n_codes + 1),
            *rows(n, n_codes, code, found.block_rows),
            ("documents", "uint32", n_documents + 1),
            ("document_sources", "uint32", n_documents),
            ("document_lines", "uint32", n_documents),
        ):
            yield f"{shard.name}/{name}", dtype, length, True
        has_metadata = f"{shard.name}/metadata" in files
        yield f"{shard.name}/metadata", "uint8", None, False
        yield f"{shard.name}/metadata_offsets", "uint64", n_documents + 1, has_metadata


def _fast(n: int, n_codes: int, code: str, block_rows: int) -> list[tuple[str, str, int | None]]:
    """(name, dtype, length) of what a shard of n rows has in the fast layout."""
    columns: list[tuple[str, str, int | None]] = [
        ("codes", code, n),
        ("sa", "uint32", n),
        ("next", code, n),
        ("same", "uint8", n),
    ]
    if code != "uint8":
        return [*columns, ("psi", "uint32", n)]
    blocks, supers = n // block_rows + 1, n // _SUPER_ROWS + 1
    return [
        *columns,
        ("rank_blocks", "uint16", blocks * n_codes),
        ("rank_supers", "uint32", supers * n_codes),
    ]


def _compact(n: int, n_codes: int, _code: str, _rows: int) -> list[tuple[str, str, int | None]]:
    """The same in the compact layout."""
    n_bytes = max(1, ((n_codes - 1).bit_length() + 7) // 8)  # of a code
    width = (n_codes - 1 >> 8 * (n_bytes - 1)) + 1 + 256 * (n_bytes - 1)  # of all sequences
    return [
        ("next_supers", "uint32", 3 * width * (n // _SUPER_ROWS + 2)),
        ("next_starts", "uint32", n_bytes * (-(-n // 2048) + 1)),
        ("next_entries", "uint8", None),
        ("next_blocks", "uint8", None),
        ("sa_starts", "uint32", n // 256 + 2),
        ("sa_marks", "uint8", n // 48),
        ("sa_samples", "uint32", n // 48),
        ("text_rows", "uint32", n // 256 + 1),
    ]


class Fields:
    """A JSON object of a manifest, whose fields come as what they must be."""

    def __init__(self, found: object, path: Path | str) -> None:
        self.path = path
        if not isinstance(found, Mapping):
            raise CorruptIndex(f"{path} holds {found!r:.80}, expected an object; build it again")
        self._found = found

    def error(self, name: str, expected: str) -> CorruptIndex:
        return CorruptIndex(
            f"{self.path}: its {name} is {self._found.get(name)!r:.80}, expected {expected}; "
            "build the index again"
        )

    def has(self, name: str) -> bool:
        return name in self._found

    def integer(self, name: str, least: int, most: int) -> int:
        value = self._found.get(name)
        if type(value) is not int or not least <= value <= most:
            raise self.error(name, f"a number from {least} to {most}")
        return value

    def text(self, name: str) -> str:
        value = self._found.get(name)
        if not isinstance(value, str):
            raise self.error(name, "a text")
        return value

    def list(self, name: str) -> list[Any]:
        value = self._found.get(name)
        if not isinstance(value, list):
            raise self.error(name, "a list")
        return value

    def object(self, name: str) -> Mapping[str, Any]:
        value = self._found.get(name)
        if not isinstance(value, Mapping):
            raise self.error(name, "an object")
        return value
