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
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from infgram.errors import InfgramError

from . import machine
from .failures import Failure, Trial, in_few_words

_SECONDS_TO_SAVE = 20.0
_TICK = 0.5  # seconds between two looks at the clock: each one disturbs what is measured

Line = dict[str, Any]


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
    on_line: Callable[[Line], None] | None = None,
) -> Run:
    """Runs `jobs.py JOB ...`, for at most `limit` seconds.

    `on_line` gets what the job says on its way; then `limit` is of silence. Raises JobFailed. When
    interrupted, interrupts the job and lets it save what it has.
    """
    since = time.monotonic()

    def hear(line: Line) -> None:
        nonlocal since
        since = time.monotonic()
        if on_line:
            on_line(line)

    return _run([job, *arguments], hear, lambda: since + limit, limit, all_cores)


def run_beside(
    job: str,
    *arguments: str | Path,
    trial: Trial,
    limit: float,
    all_cores: bool = False,
    on_line: Callable[[Line], None] = lambda line: None,
) -> Run:
    """Runs a job in which rivals are measured; its last argument is the trial, as JSON.

    A rival that takes the process down, or needs more than `limit` seconds for one thing, is out,
    and the job is run again without it. `result["failed"]` is the job's own trial in the end, which
    joins this one. Raises JobFailed where nobody but infgram was at work.
    """
    while True:
        work = _Work(limit, on_line)
        try:
            run = _run(
                [job, *arguments, trial.to_json()], work.hear, work.deadline, limit, all_cores
            )
        except JobFailed as error:
            if not work.rival:
                raise
            trial.failed[work.rival] = Failure(work.doing, in_few_words(error))
        else:
            trial.failed.update(Trial.from_json(run.result["failed"]).failed)
            return run


class _Work:
    """Who is at work in a job, with what, and until when it may be."""

    def __init__(self, limit: float, on_line: Callable[[Line], None]) -> None:
        self.rival = self.doing = ""
        self._since = 0.0
        self._limit = limit
        self._on_line = on_line

    def hear(self, line: Line) -> None:
        if "rival" in line:
            self.rival, self.doing = line["rival"], line["doing"]
            self._since = time.monotonic()
        else:
            self._on_line(line)

    def deadline(self) -> float | None:
        return self._since + self._limit if self.rival else None


def _run(
    arguments: list[str | Path],
    on_line: Callable[[Line], None],
    deadline: Callable[[], float | None],
    limit: float,
    all_cores: bool,
) -> Run:
    """`deadline`: when the job is stopped, by the monotonic clock, as things stand now."""
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        with machine.unpinned() if all_cores else contextlib.nullcontext():
            process = subprocess.Popen(
                [sys.executable, "-m", "infgram_bench.jobs", *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                errors="replace",
                start_new_session=True,  # so that children of the job can be stopped with it
            )
        try:
            last = _listen(process, on_line, deadline)
        except BaseException as stopped:
            _stop(process)
            if isinstance(stopped, TimeoutError):
                raise JobFailed(f"stopped after {limit:,.0f} s") from None
            raise
        errors.seek(0)
        if process.returncode:
            raise JobFailed(_last_words(errors.read(), process.returncode))
    try:
        return Run(**json.loads(last))
    except (TypeError, ValueError):
        raise JobFailed("ended without a result that can be read") from None


def run_program(program: Path, folder: Path, *arguments: str, limit: float = 3600.0) -> str:
    """What a program of the user prints when it is run in a folder. Raises JobFailed."""
    try:
        done = subprocess.run(
            [program.resolve(), *arguments],
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
    """The last line that a process wrote, and how it ended."""
    end = f"exit code {exit_code}"
    if exit_code < 0:
        end = f"killed by {signal.Signals(-exit_code).name}"
    lines = errors.strip().splitlines()
    return f"{lines[-1]} ({end})" if lines else end


def _listen(
    process: subprocess.Popen[str],
    on_line: Callable[[Line], None],
    deadline: Callable[[], float | None],
) -> str:
    """Hears a process until it ends; its last line. Raises TimeoutError."""
    lines: SimpleQueue[str | None] = SimpleQueue()
    threading.Thread(target=_pass_on, args=[process, lines], daemon=True).start()
    last, is_open = "", True
    while True:
        line = None
        with contextlib.suppress(Empty):
            line = lines.get(timeout=_TICK if is_open else 0.01)
            is_open = line is not None
        if line is not None:
            last = line
            with contextlib.suppress(json.JSONDecodeError):  # what a library printed
                found = json.loads(line)
                if isinstance(found, dict) and ("step" in found or "rival" in found):
                    on_line(found)
        elif process.poll() is not None and lines.empty():
            return last  # even where a child of it keeps the pipe open
        until = deadline()
        if until is not None and time.monotonic() > until:
            raise TimeoutError


def _pass_on(process: subprocess.Popen[str], lines: SimpleQueue[str | None]) -> None:
    """Lines that are not empty, and None for their end."""
    assert process.stdout
    with process.stdout:
        for line in process.stdout:
            if line.strip():
                lines.put(line)
    lines.put(None)


def _stop(process: subprocess.Popen[str]) -> None:
    for sign in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_SECONDS_TO_SAVE)
            return


def bytes_in(folder: Path) -> int:
    """Of all files in it."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
