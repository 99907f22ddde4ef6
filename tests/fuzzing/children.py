"""A forked child that works through a batch of cases, its limits, and how it ended.

It says through a pipe what it begins, what it asks and what came of it, so that a crash or a hang
is known by its case. On the way to its end it writes where it is: Python's fault handler for a
signal, a sanitizer for what it has found.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .report import Finding

SANITIZED = "asan" in os.environ.get("LD_PRELOAD", "")
_SLOWER = 15 if SANITIZED else 1
CPU_SECONDS = 20 * _SLOWER
SECONDS = 20 * _SLOWER
_MEMORY = 384 << 20
"""Bytes of data that a child may have more than its parent."""

Say = Callable[[dict[str, Any]], None]
Work = Callable[[int, Path, Say], dict[str, Any]]
"""Makes a case in a folder that does not exist yet, and tells what came of it."""


class Child:
    """A process that works through cases.

    - `running`: the case that was begun and has not ended; `left`: that one and those behind it.
    - `asking`: what it was asked last.
    - `outcomes`: what came of the others.
    - `seconds`: of silence, after which it hangs.
    """

    def __init__(
        self, work: Work, numbers: Sequence[int], scratch: Path, *, seconds: float = SECONDS
    ) -> None:
        self.left = list(numbers)
        self.running: int | None = None
        self.outcomes: list[dict[str, Any]] = []
        self.place = Path(tempfile.mkdtemp(dir=scratch))
        self.seconds = seconds
        self._what: tuple[str, ...] = ()
        self.asking = ""
        self._said = b""
        self._since = time.monotonic()
        self._status: int | None = None
        self._is_late = False
        self._errors = ""
        self.pipe, writing = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other threads, of which a child needs none
            self._pid = os.fork()
        if not self._pid:
            os.close(self.pipe)
            _run(work, numbers, self.place, writing)
        os.close(writing)

    def read(self) -> bool:
        """Takes what the child has said; whether it has ended. Ends one that is late."""
        if self.is_late():
            self._is_late = True
            os.kill(self._pid, signal.SIGUSR1)  # which makes it write where it is
            time.sleep(0.5)
            os.kill(self._pid, signal.SIGKILL)
        elif not select.select([self.pipe], [], [], 0)[0]:
            return False
        said = os.read(self.pipe, 1 << 20)
        *lines, self._said = (self._said + said).split(b"\n")
        for line in lines:
            self._take(json.loads(line))
        if said and not self._is_late:
            return False
        self._end()
        return True

    def is_late(self) -> bool:
        """Whether it has said nothing for so long that it hangs, or the machine does."""
        return self._status is None and time.monotonic() - self._since > self.seconds

    def kill(self) -> None:
        """Ends it."""
        if self._status is None:
            os.kill(self._pid, signal.SIGKILL)
            self._end()

    @property
    def crashed(self) -> bool:
        """Whether it ended otherwise than by using all of its time."""
        return not self._is_late and os.WTERMSIG(self._status or 0) != signal.SIGXCPU

    @property
    def errors(self) -> str:
        """What it wrote on standard error."""
        return self._errors

    def finding(self, more: str = "") -> Finding:
        """What it ended of."""
        assert self.running is not None
        kind = "crash" if self.crashed else "hang"
        cause = _cause(self._errors, self._status or 0) + more
        return Finding(self.running, kind, self.asking, cause, self._errors, self._what)

    def _take(self, told: dict[str, Any]) -> None:
        self._since = time.monotonic()
        if "begin" in told:
            self.running, self._what, self.asking = told["begin"], (), "making the case"
        elif "what" in told:
            self._what = tuple(told["what"])
        elif "asking" in told:
            self.asking = told["asking"]
        else:
            self.outcomes.append(told)
            self.left.pop(0)
            self.running = None

    def _end(self) -> None:
        _, self._status = os.waitpid(self._pid, 0)
        os.close(self.pipe)
        errors = self.place / "errors"
        self._errors = errors.read_text(errors="replace") if errors.exists() else ""
        shutil.rmtree(self.place, ignore_errors=True)


def _cause(errors: str, status: int) -> str:
    """The signal, and the place that the sanitizer or Python's fault handler names."""
    number = os.WTERMSIG(status)
    name = signal.Signals(number).name if number else f"exit code {os.WEXITSTATUS(status)}"
    lines = errors.splitlines()
    for line in lines:
        if "runtime error:" in line or line.startswith("SUMMARY:"):
            return f"{name}: {line[-160:]}"
    for line in lines:
        if line.lstrip().startswith("File ") and "/infgram/" in line:
            return f"{name} in {line.rpartition('/infgram/')[2][:160]}"
    return f"{name}: {lines[-1][-160:] if lines else 'it wrote nothing'}"


# In the child -------------------------------------------------------------------------------------


def _run(work: Work, numbers: Sequence[int], place: Path, pipe: int) -> None:
    """Works through the cases and never returns."""
    code = 1

    def say(what: dict[str, Any]) -> None:
        said = json.dumps(what).encode() + b"\n"
        while said:
            said = said[os.write(pipe, said) :]

    try:
        errors = os.open(place / "errors", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(errors, 2)
        sys.stderr = open(2, "w", closefd=False)  # which may have been somebody's own
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        warnings.simplefilter("ignore")
        _limit()
        for number in numbers:
            os.ftruncate(errors, 0)
            say({"begin": number})
            _limit_time()
            outcome = work(number, place / "case", say)
            shutil.rmtree(place / "case", ignore_errors=True)
            say(outcome)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _limit() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    faulthandler.register(signal.SIGXCPU, all_threads=True, chain=True)
    if not SANITIZED:  # whose own report is better, and whose shadow is large
        faulthandler.enable()
        pages = int(Path("/proc/self/statm").read_text().split()[5])
        most = pages * resource.getpagesize() + _MEMORY
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _limit_time() -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    seconds = int(used.ru_utime + used.ru_stime) + 1 + CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, hard))
