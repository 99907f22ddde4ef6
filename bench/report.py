"""What a benchmark says: tables of timings, bars reached or not, the machine, as text or JSON."""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .common import Contender

_PACKAGES = ["infgram", "numpy", "pydivsufsort", "tokengrams", "infini-gram", "py-infinigram"]


class Report:
    """Collects results in the order they are made, then prints them."""

    def __init__(self, title: str, setting: str) -> None:
        self._title = title
        self._machine = {**_machine(), "setting": setting}
        self._tables: list[tuple[str, list[str], list[list[str]]]] = []
        self._groups: list[dict[str, object]] = []
        self._bars: list[dict[str, object]] = []
        self._notes: list[str] = []

    def timings(self, question: str, contenders: Sequence[Contender], *, rate: str = "") -> None:
        """A table of contenders; ratios are to the first. `rate` names what is done in a second."""
        header = ["", "median", "quartiles", "best", "CPU", "x infgram's time"]
        base = contenders[0].timing.seconds
        rows = []
        for contender in contenders:
            timing = contender.timing
            best, q1, q3 = timing.spread
            low, high = (q3, q1) if rate else (q1, q3)
            rows.append(
                [
                    contender.name,
                    _amount(timing.seconds, rate),
                    f"{_amount(low, rate)} to {_amount(high, rate)}",
                    _amount(best, rate),
                    "" if timing.cpu_seconds is None else _amount(timing.cpu_seconds, rate),
                    f"{timing.seconds / base:,.2f}",
                ]
            )
            self._groups.append(
                {
                    "question": question,
                    "name": contender.name,
                    "wall_seconds": timing.wall,
                    "cpu_seconds": timing.cpu,
                }
            )
        self._tables.append((question, header, rows))

    def table(self, question: str, header: list[str], rows: list[list[str]]) -> None:
        """Figures that are not times."""
        self._tables.append((question, header, rows))

    def at_least(self, what: str, found: float, bar: float, unit: str = "x") -> None:
        """A bar that is reached from below."""
        self._bar(what, found, f"at least {bar:,g} {unit}", found >= bar, unit)

    def at_most(self, what: str, found: float, bar: float, unit: str) -> None:
        """A bar not to exceed."""
        self._bar(what, found, f"at most {bar:,g} {unit}", found <= bar, unit)

    def _bar(self, what: str, found: float, bar: str, reached: bool, unit: str) -> None:
        self._bars.append(
            {"what": what, "found": found, "unit": unit, "bar": bar, "reached": reached}
        )

    def note(self, text: str) -> None:
        """Something the reader must know: a wrong answer, a rival that is not there."""
        self._notes.append(text)

    def emit(self, args: argparse.Namespace) -> None:
        """Prints everything; writes JSON where it was asked for."""
        heading, show = ("### {}", _markdown) if args.markdown else ("{}", _plain)
        print(heading.format(self._title) + "\n")
        print("; ".join(f"{key}: {value}" for key, value in self._machine.items()) + "\n")
        for question, header, rows in self._tables:
            print(show([question, *header[1:]], rows) + "\n")
        if self._bars:
            rows = [
                [
                    str(bar["what"]),
                    f"{bar['found']:,.2f} {bar['unit']}",
                    str(bar["bar"]),
                    "reached" if bar["reached"] else "NOT reached",
                ]
                for bar in self._bars
            ]
            print(show(["bar", "found", "asked", ""], rows) + "\n")
        for note in self._notes:
            print(f"- {note}")
        if args.json:
            args.json.write_text(
                json.dumps(
                    {
                        "title": self._title,
                        "machine": self._machine,
                        "timings": self._groups,
                        "tables": [
                            {"question": question, "header": header, "rows": rows}
                            for question, header, rows in self._tables
                        ],
                        "bars": self._bars,
                        "notes": self._notes,
                    },
                    indent=1,
                )
            )


def _machine() -> dict[str, str]:
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    found = {"CPU": model, "Python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return {**found, "date": datetime.now(UTC).isoformat(timespec="minutes")}


def _amount(seconds: float, rate: str) -> str:
    if rate:
        return f"{1 / seconds:,.0f} {rate}"
    for unit, scale in [("s", 1.0), ("ms", 1e3), ("µs", 1e6)]:
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}" if seconds < 100 else f"{seconds:,.0f} s"
    return f"{seconds * 1e9:.3g} ns"


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _plain(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [header, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
