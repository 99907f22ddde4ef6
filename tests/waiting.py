"""Waiting for other processes: for what they do, by no clock that a busy machine does not keep."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from infgram_bench import processes

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


class Hours:
    """The clock of whoever runs jobs of benchmarks: while `fly`, an hour passes between looks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fly = False
        self._flown = 0.0
        monkeypatch.setattr(processes, "time", SimpleNamespace(monotonic=self._monotonic))

    def _monotonic(self) -> float:
        self._flown += (HOUR + 1) * self.fly
        return time.monotonic() + self._flown
