"""What an index of a size would take: shards, disk, memory, hours, and what a question costs.

Every figure is a constant of measured.py times a size; the formulas are the properties of `Plan`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2
from typing import Literal

from .checks import one_of, whole
from .create import Layout
from .errors import InvalidParameter
from .measured import (
    COLD_GROWTH,
    COLD_TOKENS,
    COSTS,
    PROCESS_BYTES,
    SECONDS_A_READ,
    Cost,
)
from .store.building import MAX_SHARD_TOKENS
from .store.layout import LAYOUTS
from .values.value import Value

_HOUR = 3600


@dataclass(frozen=True, eq=False, repr=False)
class Plan(Value):
    """What an index in parts takes; its properties are the formulas."""

    n_tokens: int
    layout: Layout
    code_bits: int
    """8 for bytes, 16 or 32 for token ids."""
    n_parts: int
    query_tokens: int
    """Of the n-gram that is counted."""

    @property
    def cost(self) -> Cost:
        """The constants."""
        return COSTS[self.code_bits, self.layout]

    @property
    def tokens_in_part(self) -> int:
        return -(-self.n_tokens // self.n_parts)

    @property
    def n_shards(self) -> int:
        return self.n_parts * -(-self.tokens_in_part // MAX_SHARD_TOKENS)

    @property
    def disk_bytes(self) -> int:
        """Of the index. Parts that are linked into it take nothing more."""
        return round(self.cost.disk_bytes * self.n_tokens)

    @property
    def memory_bytes(self) -> int:
        """To build a part: what sorting one shard takes."""
        in_shard = min(self.tokens_in_part, MAX_SHARD_TOKENS)
        return round(PROCESS_BYTES + self.cost.memory_bytes * in_shard)

    @property
    def build_hours(self) -> float:
        """Of one core that builds all parts, one after another."""
        return self.cost.build_seconds * self.n_tokens / _HOUR

    @property
    def part_hours(self) -> float:
        """Where each part has a core of its own."""
        return self.build_hours / self.n_parts

    @property
    def cold_growth(self) -> float:
        """How many times as many reads a shard takes as one of `COLD_TOKENS`."""
        in_shard = self.n_tokens / self.n_shards
        return 1 + COLD_GROWTH * max(0.0, log2(in_shard / COLD_TOKENS))

    @property
    def cold_reads(self) -> int:
        """How often a count waits for the disk where nothing of the index is in memory."""
        a_token = self.cost.cold_reads * self.cold_growth
        return ceil(self.n_shards * self.query_tokens * a_token)

    @property
    def cold_seconds(self) -> float:
        """Of that count. Pages that are read with the one that is needed are more, too."""
        return self.cold_reads * SECONDS_A_READ * self.cold_growth + self.warm_seconds

    @property
    def warm_seconds(self) -> float:
        """Of a count in memory."""
        return self.n_shards * self.query_tokens * self.cost.warm_seconds


def plan(
    tokens: float,
    *,
    layout: Layout = "fast",
    vocabulary: int | Literal["bytes"] = "bytes",
    parts: int | None = None,
    query_tokens: int = 10,
) -> Plan:
    """What an index of so many tokens will take, from what parts took that were measured.

    - `tokens`: of the corpus; with bytes as tokens, its size in bytes.
    - `layout`: as `build` takes it.
    - `vocabulary`: "bytes", or how many token ids there are.
    - `parts`: how many; as few as there are shards, if None. More parts take less memory each.
    - `query_tokens`: the length of the n-gram whose count is priced.

    Text was measured that is mixed, one document a file: repetitive text takes less disk in the
    compact layout, each document takes 12 bytes more, and other machines are faster or slower.
    Raises InvalidParameter.

    >>> import infgram
    >>> found = infgram.plan(1e12, layout="compact")
    >>> found.n_parts, found.n_shards, 0.3 < found.disk_bytes / 1e12 < 0.8
    (466, 466, True)
    """
    one_of(LAYOUTS, layout=layout)
    n_tokens = round(tokens) if isinstance(tokens, (int, float)) and abs(tokens) < 1e18 else 0
    if n_tokens < 1:
        raise InvalidParameter(f"tokens is {tokens!r}, expected a number of them, such as 1e12")
    whole(1, query_tokens=query_tokens)
    if vocabulary != "bytes":
        whole(1, 2**32 - 1, vocabulary=vocabulary)
    code_bits = 8 if vocabulary == "bytes" else 16 if vocabulary < 1 << 16 else 32
    if parts is not None:
        whole(1, n_tokens, parts=parts)
    return Plan(
        n_tokens, layout, code_bits, parts or -(-n_tokens // MAX_SHARD_TOKENS), query_tokens
    )
