"""How time is taken: warm-up, contenders in turn, medians with their spread.

Contenders run A B A B ..., so that a machine that slows down slows all of them, and a batch of each
lasts long enough for the clock. Wall time decides; CPU time (of all threads) stands beside it, and
the two drift apart where something else used the core. A rival that fails leaves the others their
turns.
"""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from .failures import Trial


@dataclass
class Timing:
    """Seconds an operation took, once a round. `cpu` is empty where it cannot be told."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Median wall time."""
        return float(np.median(self.wall))

    @property
    def cpu_seconds(self) -> float | None:
        """Median CPU time."""
        return float(np.median(self.cpu)) if self.cpu else None

    @property
    def quartiles(self) -> tuple[float, float]:
        """Of the wall time."""
        q1, q3 = np.percentile(self.wall, [25, 75])
        return float(q1), float(q3)


@dataclass
class Contender:
    """Something to measure. `run` does `operations` operations.

    A `run` that takes its own time, such as another program, returns seconds for the whole run and
    is not repeated within a round; the others return anything but a float. `rival`: whose it is,
    "" for infgram's own.
    """

    name: str
    run: Callable[[], object]
    operations: int = 1
    timing: Timing = field(default_factory=Timing)
    rival: str = ""


def interleave(
    contenders: Sequence[Contender],
    *,
    rounds: int,
    seconds: float,
    trial: Trial | None = None,
    doing: str = "",
) -> None:
    """Fills in every contender's timing: a warm-up, then `rounds` batches of about `seconds`.

    In a `trial` a rival that fails (at `doing`) is out, and the others go on.
    """
    failed = trial.failed if trial else {}
    repeats: list[tuple[Contender, int]] = []
    for contender in contenders:
        if contender.rival not in failed:
            with _turn(contender, trial, doing):
                repeats.append((contender, _repeats(contender, seconds)))
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        for _ in range(rounds):
            for contender, repeat in repeats:
                if contender.rival not in failed:
                    with _turn(contender, trial, doing):
                        _measure(contender, repeat, contender.timing)
            gc.collect()
    finally:
        if was_enabled:
            gc.enable()


def _turn(
    contender: Contender, trial: Trial | None, doing: str
) -> contextlib.AbstractContextManager[None]:
    return trial.of(contender.rival, doing) if trial else contextlib.nullcontext()


def _repeats(contender: Contender, seconds: float) -> int:
    """Runs that last about `seconds`. Finding it out is the warm-up, longer for what is short."""
    first = Timing()
    _measure(contender, 1, first)
    if not first.cpu or first.wall[0] * contender.operations >= seconds:
        return 1
    first = Timing()
    _measure(contender, 1, first)
    return max(1, round(seconds / (first.wall[0] * contender.operations)))


def _measure(contender: Contender, repeat: int, timing: Timing) -> None:
    run = contender.run
    result: object = None
    if repeat > 1:
        run()  # what ran before left the caches full of its own
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(repeat):
        result = run()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    if isinstance(result, float):
        timing.wall.append(result / contender.operations)
    else:
        timing.wall.append(wall / (repeat * contender.operations))
        timing.cpu.append(cpu / (repeat * contender.operations))
