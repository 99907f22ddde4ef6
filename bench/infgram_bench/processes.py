"""Work in processes of their own: what it found, what it took, what went wrong with it.

A fresh process has only the memory that its job needs; one that a rival crashes takes nothing else
with it, and what a rival prints is not seen.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class JobFailed(Exception):
    """A job crashed, said why it could not be done, or was stopped for taking too long."""


@dataclass(frozen=True)
class Run:
    """What a job reported, and what its process and those it waited for used."""

    result: dict[str, Any]
    cpu_seconds: float
    peak_bytes: int


def run_job(
    job: str, *arguments: str | Path, limit: float = 3600.0, all_cores: bool = False
) -> Run:
    """Runs `jobs.py JOB ...`. Raises JobFailed, after `limit` seconds too."""
    process = subprocess.Popen(
        [
            *[sys.executable, "-m", "infgram_bench.jobs"],
            *(["--all-cores"] if all_cores else []),
            *[job, *map(str, arguments)],
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,  # so that children of the job can be stopped with it
    )
    try:
        out, errors = process.communicate(timeout=limit)
    except BaseException as stopped:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(stopped, subprocess.TimeoutExpired):
            raise JobFailed(f"stopped after {limit:,.0f} s") from None
        raise
    if process.returncode:
        lines = errors.strip().splitlines()
        raise JobFailed(lines[-1] if lines else f"ended with exit code {process.returncode}")
    return Run(**json.loads(out.splitlines()[-1]))


def bytes_in(folder: Path) -> int:
    """Of all files in it."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
