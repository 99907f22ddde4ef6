"""What parts of an index took when they were measured: the constants of `infgram plan`.

`python -m infgram_bench.planning TEXT --mib 96` printed them; `HOW` says where and when.

>>> COSTS[8, "compact"].disk_bytes < COSTS[8, "fast"].disk_bytes
True
"""

from __future__ import annotations

from dataclasses import dataclass

from .values.value import Value


@dataclass(frozen=True, eq=False, repr=False)
class Cost(Value):
    """Of one token in one shard; questions: of each token of an n-gram that is counted, a shard."""

    disk_bytes: float
    memory_bytes: float
    """Resident while its shard is sorted, with what is mapped of files."""
    build_seconds: float
    """Of a core, from the text to the finished part."""
    warm_seconds: float
    cold_reads: float
    """How often it waits for the disk, in a shard of COLD_TOKENS."""


HOW = (
    "28 November 2026, two cores of an AMD EPYC under load, CPU time; "
    "python -m infgram_bench.planning TEXT --mib 96, mixed text; ids of a BPE of 50,000"
)

# The middle of two runs, and of bytes in the compact layout of three: its warm counts took 0.32,
# 0.53 and 0.64 us a token, as whatever else ran left the caches.
COSTS = {
    (8, "fast"): Cost(7.516, 11.04, 107e-9, 0.40e-6, 1.14),
    (8, "compact"): Cost(0.521, 6.19, 89e-9, 0.43e-6, 0.655),
    (16, "fast"): Cost(13.01, 22.13, 216e-9, 0.56e-6, 0.605),
    (16, "compact"): Cost(1.231, 22.12, 230e-9, 0.90e-6, 0.735),
    (32, "fast"): Cost(17.02, 24.14, 238e-9, 0.51e-6, 0.61),
    (32, "compact"): Cost(1.261, 24.14, 226e-9, 1.14e-6, 0.725),
}

PROCESS_BYTES = 44e6
"""Of a process that has not read anything yet."""

SECONDS_A_READ = 2.3e-3
"""Of a page that is not in memory, with the 8 MiB around it that the system there reads as well."""

COLD_TOKENS = 1e8
COLD_GROWTH = 0.3
"""By so much more reads, and longer ones, each time that a shard is twice as large: 0.55 reads of
2.3 ms a token in a compact one of 100 million bytes, 0.96 of 3.4 ms in one of 500 million."""
