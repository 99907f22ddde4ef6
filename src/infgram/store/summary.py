"""A sample of the rows of an index, small enough to be read over a network, made when it is pushed.

Of every 64th row it has the beginning of its context, read backwards, and its position; of those
the first of every 32 once more, and so on. So whoever looks for a context reads one node of 32 rows
after the other, each of which leaves one row in 32, and at the end 64 rows. It is a side file
of each shard: the columns stay what they are. docs/format.md tells its bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CorruptIndex
from .layout import Layout, ShardLayout
from .storage import StoredIndex

SUMMARY = "summary"
LEAF = 64
"""Rows between those of the widest tier."""
_FANOUT = 32
_KEY = 16  # bytes
_RECORD = _KEY + 4
_MAGIC = b"infgram summary 1\n".ljust(28, b"\0")
HEAD = 64
"""Bytes before the first tier."""
_MOST_TOP = 1024  # records of the first tier, of all shards together
_ROWS_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Tier:
    """Records of every `step`-th row of a shard, `n` of them, from byte `begin` of the file."""

    step: int
    n: int
    begin: int

    @property
    def end(self) -> int:
        """The byte behind it."""
        return self.begin + self.n * _RECORD

    def place(self, first: int, last: int) -> tuple[int, int]:
        """The bytes of records [first, last)."""
        return self.begin + first * _RECORD, self.begin + last * _RECORD


@dataclass(frozen=True)
class Records:
    """Keys: codes of shape (n, tokens of a key); positions: of shape (n,)."""

    keys: NDArray[Any]
    positions: NDArray[np.int64]

    def __getitem__(self, rows: slice) -> Records:
        return Records(self.keys[rows], self.positions[rows])


def tiers_of(layout: Layout, shard: ShardLayout) -> list[Tier]:
    """The tiers of a shard's summary, the smallest first, as they stand in the file."""
    steps = [LEAF]
    most = max(_FANOUT, _MOST_TOP // len(layout.shards))
    while -(-shard.n_rows // steps[-1]) > most:
        steps.append(steps[-1] * _FANOUT)
    tiers: list[Tier] = []
    begin = HEAD
    for step in reversed(steps):
        tiers.append(Tier(step, -(-shard.n_rows // step), begin))
        begin = tiers[-1].end
    return tiers


def size_of(layout: Layout, shard: ShardLayout) -> int:
    """Bytes of a shard's summary."""
    return tiers_of(layout, shard)[-1].end


def records_of(content: bytes, code_bits: int) -> Records:
    """What the bytes of records say."""
    raw = np.frombuffer(content, np.uint8).reshape(-1, _RECORD)
    keys = np.ascontiguousarray(raw[:, :_KEY]).view(f"<u{code_bits // 8}")
    positions = np.ascontiguousarray(raw[:, _KEY:]).view("<u4")[:, 0]
    return Records(keys, positions.astype(np.int64))


def top_of(content: bytes, layout: Layout, identity: str, place: str) -> Records:
    """The first tier, from the beginning of a summary. Raises CorruptIndex."""
    if content[:28] != _MAGIC or content[32:HEAD] != bytes.fromhex(identity):
        raise CorruptIndex(f"{place} is of another index: push the index again")
    if content[28:32] != zlib.crc32(content[HEAD:]).to_bytes(4, "little"):
        raise CorruptIndex(f"{place} is damaged: push the index again")
    return records_of(content[HEAD:], layout.code_bits)


def summary(stored: StoredIndex, shard: ShardLayout) -> Iterator[bytes]:
    """The bytes of a shard's summary. Takes 0.33 bytes a row, and memory for a million rows."""
    first, *others = tiers_of(stored.layout, shard)
    top = b"".join(_records(stored, shard, first))
    crc32 = zlib.crc32(top).to_bytes(4, "little")
    yield _MAGIC + crc32 + bytes.fromhex(stored.identity) + top
    for tier in others:
        yield from _records(stored, shard, tier)


def _records(stored: StoredIndex, shard: ShardLayout, tier: Tier) -> Iterator[bytes]:
    codes = stored.column(f"{shard.name}/codes")
    sa = stored.column(f"{shard.name}/sa")
    back = 1 + np.arange(_KEY // codes.dtype.itemsize)
    for begin in range(0, tier.n, _ROWS_AT_ONCE):
        end = min(begin + _ROWS_AT_ONCE, tier.n)
        positions = sa[begin * tier.step : end * tier.step : tier.step][: end - begin]
        places = positions.astype(np.int64)[:, None] - back
        keys = np.where(places >= 0, codes[np.maximum(places, 0)], 0).astype(codes.dtype)
        out = np.empty((len(positions), _RECORD), np.uint8)
        out[:, :_KEY] = keys.view(np.uint8)
        out[:, _KEY:] = positions.astype("<u4")[:, None].view(np.uint8)
        yield out.tobytes()
