"""The machine: what it is, which core is measured on, what energy it says it used."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = (
    "infgram",
    "numpy",
    "pydivsufsort",
    "tokengrams",
    "infini-gram",
    "fast-gram",
    "py-infinigram",
    "kenlm",
    "arctic-inference",
    "torch",
    "transformers",
    "tokenizers",
)
_POWER = Path("/sys/class/powercap")


def today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


@cache
def description() -> dict[str, str]:
    """Processor, memory, system, and the versions of infgram and of every rival that is here."""
    found = {
        "CPU": _processor(),
        "cores": str(len(ALL_CORES) or os.cpu_count()),
        "memory": _memory(),
        "system": platform.platform(terse=True),
        "Python": platform.python_version(),
    }
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@cache
def core_hash() -> str:
    """Of the native core: another build of it is measured anew."""
    from infgram import native

    return hashlib.sha256(Path(native.LIBRARY).read_bytes()).hexdigest()[:16]


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory() -> str:
    try:
        n_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return "unknown"
    return f"{n_bytes / (1 << 30):.0f} GiB"


# Cores --------------------------------------------------------------------------------------------

ALL_CORES = frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()


@contextmanager
def pinned(core: int | None) -> Iterator[str]:
    """Runs on one core, children and threads too; gives back the words for it. None: anywhere.

    A system that cannot pin a process is measured as it is, and says so.
    """
    if core is None or not ALL_CORES:
        yield "not pinned" if ALL_CORES else "not pinned, for this system cannot"
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield f"pinned to core {core}"
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def unpinned() -> Iterator[None]:
    """Runs on every core that this process had when it started, and so do its children."""
    if not ALL_CORES:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, ALL_CORES)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


# Energy -------------------------------------------------------------------------------------------


@dataclass
class Energy:
    """`joules` of the processor packages while it was measured; None where nobody tells."""

    joules: float | None = None


@contextmanager
def energy() -> Iterator[Energy]:
    """Reads the counters of Linux's powercap before and after: of the whole machine, so idle it."""
    found = Energy()
    before = _counters()
    yield found
    after = _counters()
    if before and before.keys() == after.keys():
        used = [after[name] - before[name] for name in before]
        if min(used) >= 0:  # no counter began anew
            found.joules = sum(used) / 1e6


def _counters() -> dict[str, int]:
    counters = {}
    for zone in sorted(_POWER.glob("intel-rapl:?")):
        try:
            counters[zone.name] = int((zone / "energy_uj").read_text())
        except (OSError, ValueError):
            continue
    return counters
