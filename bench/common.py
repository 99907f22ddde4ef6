"""How time is taken: one core, warm-up, contenders in turn, medians with their spread.

Contenders run A B A B ..., so that a machine that slows down slows all of them, and a batch of each
lasts long enough for the clock. Wall time decides; CPU time (of all threads) stands beside it, and
the two drift apart where something else used the core.
"""

from __future__ import annotations

import argparse
import gc
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

SHAKESPEARE = Path(__file__).resolve().parents[2] / "shared" / "data" / "tinyshakespeare.txt"


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
    def spread(self) -> tuple[float, float, float]:
        """Minimum and quartiles of the wall time."""
        q1, q3 = np.percentile(self.wall, [25, 75])
        return min(self.wall), float(q1), float(q3)


@dataclass
class Contender:
    """Something to measure. `run` does `operations` operations.

    A `run` that takes its own time, such as another program, returns seconds for the whole run and
    is not repeated within a round; the others return anything but a float.
    """

    name: str
    run: Callable[[], object]
    operations: int = 1
    timing: Timing = field(default_factory=Timing)


def interleave(contenders: Sequence[Contender], *, rounds: int, seconds: float) -> None:
    """Fills in every contender's timing: a warm-up, then `rounds` batches of about `seconds`."""
    repeats = [_repeats(contender, seconds) for contender in contenders]
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        for _ in range(rounds):
            for contender, repeat in zip(contenders, repeats, strict=True):
                _measure(contender, repeat, contender.timing)
            gc.collect()
    finally:
        if was_enabled:
            gc.enable()


def _repeats(contender: Contender, seconds: float) -> int:
    """Runs that last about `seconds`. Finding it out is the warm-up."""
    contender.run()
    first = Timing()
    _measure(contender, 1, first)
    if not first.cpu:
        return 1
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


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, help="text to index (default: Tiny Shakespeare)")
    parser.add_argument("--rounds", type=int, default=15, help="batches of each contender")
    parser.add_argument("--core", type=int, help="core to run on (default: the last one)")
    parser.add_argument("--no-pin", action="store_true", help="leave it to the system")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to FILE")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    return parser


def pin(args: argparse.Namespace) -> str:
    """Pins this process and its children to one core; says what it did."""
    if args.no_pin:
        return "not pinned"
    if not hasattr(os, "sched_setaffinity"):
        raise SystemExit(
            "this system cannot pin a process to a core (Linux can): --no-pin measures anyway"
        )
    allowed = os.sched_getaffinity(0)
    core = max(allowed) if args.core is None else args.core
    if core not in allowed:
        raise SystemExit(f"there is no core {core} to pin to: choose of {sorted(allowed)}")
    os.sched_setaffinity(0, {core})
    return f"pinned to core {core}"


def corpus_path(args: argparse.Namespace) -> Path:
    """The file to index."""
    path: Path = args.corpus or SHAKESPEARE
    if not path.is_file():
        raise SystemExit(f"there is no corpus at {path}: name a text file with --corpus")
    return path
