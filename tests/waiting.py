"""Waiting for other processes: for what they do, by no clock that a busy machine does not keep."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

TIMEOUT = 300  # seconds; it only ends a hang
HOUR = 3600.0


def wait_until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not happened():
        assert time.monotonic() < deadline, f"it did not happen within {TIMEOUT} s"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """False of a process that ended, whether or not its new parent has noticed."""
    if Path("/proc/self/stat").exists():  # `ps` is not everywhere
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
        except (FileNotFoundError, ProcessLookupError):
            return False
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return done.stdout.strip()[:1] not in ("", "Z")


def hour_is_over_with(sleeping: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the clock of whoever runs the jobs of benchmarks, an hour passes when a file appears."""
    from infgram_bench import processes

    def monotonic() -> float:
        return time.monotonic() + (HOUR + 1) * sleeping.exists()

    monkeypatch.setattr(processes, "time", SimpleNamespace(monotonic=monotonic))
