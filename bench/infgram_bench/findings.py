"""What a question found: tables, timings, curves, bars reached or not, notes. Knows JSON, no looks.

Everything here survives a round trip through JSON, which is how a run goes on where an earlier one
ended, and how tables, README and pictures are made from figures alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from .failures import Failure
from .timing import Contender


@dataclass(frozen=True)
class Table:
    """Cells as they are shown; `title` heads the first column."""

    title: str
    header: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Bar:
    """What the project asked of itself: at least (or at most) `asked`."""

    what: str
    found: float
    asked: float
    unit: str
    at_least: bool

    @property
    def reached(self) -> bool:
        return self.found >= self.asked if self.at_least else self.found <= self.asked


@dataclass(frozen=True)
class Curve:
    """Points of a picture; each x has one y."""

    name: str
    x: list[float]
    y: list[float]


@dataclass(frozen=True)
class Picture:
    """Curves that share axes; those of one point are labelled with their names."""

    name: str
    title: str
    x_label: str
    y_label: str
    curves: list[Curve]
    log_x: bool = False
    log_y: bool = False


@dataclass
class Findings:
    """Filled in by a question, in the order in which it finds out.

    `figures` holds plain numbers by name for whoever wants a few of them: the README's table, the
    animation, another question.
    """

    setting: dict[str, str] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    timings: list[dict[str, Any]] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)

    def timing_table(
        self,
        title: str,
        contenders: Sequence[Contender],
        *,
        rate: bool = False,
        failed: Mapping[str, Failure] | None = None,
    ) -> None:
        """Contenders with medians and quartiles; ratios are to the first. rate: a second.

        Rivals that failed have rows that say so, whether or not they came to be contenders.
        """
        failed = failed or {}
        base = contenders[0].timing.seconds
        show = per_second if rate else duration
        rows = []
        for contender in contenders:
            if contender.rival in failed:
                rows.append([contender.name, failed[contender.rival].cell, "", "", ""])
                continue
            timing = contender.timing
            low, high = reversed(timing.quartiles) if rate else timing.quartiles
            cpu = timing.cpu_seconds
            rows.append(
                [
                    contender.name,
                    show(timing.seconds),
                    f"{show(low)} to {show(high)}",
                    "" if cpu is None else show(cpu),
                    f"{timing.seconds / base:,.2f}",
                ]
            )
            self.timings.append(
                {
                    "table": title,
                    "name": contender.name,
                    "wall_seconds": timing.wall,
                    "cpu_seconds": timing.cpu,
                }
            )
        shown = {contender.rival for contender in contenders}
        rows += [[n, each.cell, "", "", ""] for n, each in failed.items() if n not in shown]
        unit = "a second" if rate else "median"
        header = [unit, "quartiles", "by CPU time" if rate else "CPU time", "x the first's time"]
        self.table(title, header, rows)

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """`header` names the columns after the first, which the title heads."""
        self.tables.append(Table(title, list(header), [list(row) for row in rows]))

    def at_least(self, what: str, found: float, asked: float, unit: str = "x") -> None:
        """A bar that is reached from below."""
        self.bars.append(Bar(what, found, asked, unit, at_least=True))

    def at_most(self, what: str, found: float, asked: float, unit: str) -> None:
        """A bar not to exceed."""
        self.bars.append(Bar(what, found, asked, unit, at_least=False))

    def note(self, text: str) -> None:
        """Something the reader must know: a wrong answer, a rival that is not there."""
        self.notes.append(text)

    def take(self, found: Findings) -> None:
        """All that another one has found, behind what is here."""
        for name, value in vars(self).items():
            if isinstance(value, dict):
                value.update(getattr(found, name))
            else:
                value.extend(getattr(found, name))

    def to_json(self) -> dict[str, Any]:
        """Numbers that are not finite become null: they have no place in JSON."""
        return {name: _json_able(value) for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Findings:
        return cls(
            setting=dict(found["setting"]),
            tables=[Table(**table) for table in found["tables"]],
            bars=[_bar(bar) for bar in found["bars"]],
            notes=list(found["notes"]),
            pictures=[
                Picture(**{**picture, "curves": [Curve(**curve) for curve in picture["curves"]]})
                for picture in found["pictures"]
            ],
            timings=list(found["timings"]),
            figures=dict(found["figures"]),
        )


def duration(seconds: float) -> str:
    """Three digits and a unit.

    >>> duration(0.00123)
    '1.23 ms'
    """
    for unit, scale in [("s", 1.0), ("ms", 1e3), ("µs", 1e6)]:
        if seconds * scale >= _ONE:
            return f"{_digits(seconds * scale)} {unit}"
    return f"{_digits(seconds * 1e9)} ns"


def per_second(seconds: float) -> str:
    """How many of something that takes so many seconds fit in one.

    >>> per_second(4e-7), per_second(0.0808)
    ('2,500,000', '12.4')
    """
    return _digits(1 / seconds)


def size(n_bytes: float) -> str:
    """Three digits and a decimal prefix.

    >>> size(8_770_000)
    '8.77 MB'
    """
    for unit, scale in [("GB", 1e9), ("MB", 1e6), ("kB", 1e3)]:
        if n_bytes / scale >= _ONE:
            return f"{_digits(n_bytes / scale)} {unit}"
    return f"{n_bytes:.0f} B"


_ONE = 0.9995  # what three digits show as 1


def _digits(number: float) -> str:
    """Three, or all before the point."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _bar(found: Mapping[str, Any]) -> Bar:
    """A figure that JSON has no number for was not a number."""
    return Bar(**{**found, "found": math.nan if found["found"] is None else found["found"]})


def _json_able(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _json_able(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_json_able(each) for each in value]
    return value
