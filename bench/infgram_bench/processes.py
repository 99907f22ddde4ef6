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
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infgram.errors import InfgramError

from . import machine

_SECONDS_TO_SAVE = 20.0


class JobFailed(InfgramError):
    """A job crashed, said why it could not be done, or was stopped for taking too long."""


@dataclass(frozen=True)
class Run:
    """What a job reported, and what its process and those it waited for used."""

    result: dict[str, Any]
    cpu_seconds: float
    peak_bytes: int


def run_job(
    job: str,
    *arguments: str | Path,
    limit: float = 3600.0,
    all_cores: bool = False,
    on_line: Callable[[dict[str, Any]], None] | None = None,
) -> Run:
    """Runs `jobs.py JOB ...`, for at most `limit` seconds, or as long as it takes with `on_line`.

    `on_line` gets what the job says on its way. Raises JobFailed. When interrupted, interrupts the
    job and lets it save what it has.
    """
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        with machine.unpinned() if all_cores else contextlib.nullcontext():
            process = subprocess.Popen(
                [sys.executable, "-m", "infgram_bench.jobs", job, *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                errors="replace",
                start_new_session=True,  # so that children of the job can be stopped with it
            )
        try:
            if on_line:
                out = _listen(process, on_line)
            else:
                out, _ = process.communicate(timeout=limit)
        except BaseException as stopped:
            _stop(process)
            if isinstance(stopped, subprocess.TimeoutExpired):
                raise JobFailed(f"stopped after {limit:,.0f} s") from None
            raise
        if process.returncode:
            errors.seek(0)
            raise JobFailed(_last_words(errors.read(), process.returncode))
    return Run(**json.loads(out.splitlines()[-1]))


def run_program(program: Path, folder: Path, *, limit: float = 3600.0) -> str:
    """What a program of the user prints when it is run in a folder. Raises JobFailed."""
    try:
        done = subprocess.run(
            [program.resolve()],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        raise JobFailed(f"{program.name}: stopped after {limit:,.0f} s") from None
    except OSError as error:
        raise JobFailed(f"{program.name} cannot be run: {error}") from error
    if done.returncode:
        raise JobFailed(f"{program.name}: {_last_words(done.stderr, done.returncode)}")
    return done.stdout


def _last_words(errors: str, exit_code: int) -> str:
    lines = errors.strip().splitlines()
    return f"ended with exit code {exit_code}" + (f": {lines[-1]}" if lines else "")


def _listen(process: subprocess.Popen[str], on_line: Callable[[dict[str, Any]], None]) -> str:
    last = ""
    assert process.stdout
    with process.stdout as lines:
        for line in lines:
            if line.strip():
                last = line
                with contextlib.suppress(json.JSONDecodeError):  # what a library printed
                    found = json.loads(line)
                    if isinstance(found, dict) and "step" in found:
                        on_line(found)
    process.wait()
    return last


def _stop(process: subprocess.Popen[str]) -> None:
    for sign in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=_SECONDS_TO_SAVE)
            return


def bytes_in(folder: Path) -> int:
    """Of all files in it."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
