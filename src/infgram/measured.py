"""What parts of an index took when they were measured: the constants of `infgram plan`.

`python -m infgram_bench.planning TEXT --mib 96` printed them; `HOW` says where and when.

>>> COSTS[8, "compact"].disk_bytes < COSTS[8, "fast"].disk_bytes
True
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """Of one token in one shard."""

    disk_bytes: float
    memory_bytes: float
    """While its shard is sorted."""
    build_seconds: float
    """Of a core, from the text to the finished part."""
    warm_seconds: float
    """Of each token of an n-gram that is counted."""
    cold_reads: float
    """Reads from the disk for each token of an n-gram."""


HOW = "TODO"
COSTS: dict[tuple[int, str], Cost] = {}
PROCESS_BYTES = 44e6
SECONDS_A_READ = 1e-4
