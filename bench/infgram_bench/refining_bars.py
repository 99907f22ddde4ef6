"""What the refiner must hold, in figures, for the systems that there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .findings import Findings

EDITOR, CAPPED, POLISH = "editor", "editor, max_copy 20", "polish"
ONE_ROUND = "editor, 1 round"
DETECTOR = "refiner"


@dataclass(frozen=True)
class Asked:
    """Of a system from the drafts of one k: a figure of its row, at least or at most so much."""

    system: str
    k: int
    what: str
    figure: Callable[[dict[str, Any]], float]
    asked: float
    unit: str
    at_least: bool = False


def _nats(row: dict[str, Any]) -> float:
    """The difference to the draft by the judge who likes the text less."""
    found: float = max(
        difference[0]
        for name, difference in row["differences"].items()
        if name.startswith("nats, ")
    )
    return found


def _value(name: str, times: float = 1.0) -> Callable[[dict[str, Any]], float]:
    return lambda row: times * float(row["values"][name])


_NATS = "nats to the draft, by the stricter judge"
ASKED: tuple[Asked, ...] = (
    Asked(EDITOR, -1, _NATS, _nats, -0.20, "nats"),
    Asked(EDITOR, -1, "known words", _value("known words", 100), 97.0, "%", True),
    Asked(EDITOR, -1, "distinct bigrams", _value("distinct word bigrams"), 0.84, "", True),
    Asked(EDITOR, 3, _NATS, _nats, -0.05, "nats"),
    Asked(
        *(EDITOR, 3, "copied 20-grams, to the draft's"),
        *(lambda row: 100 * float(row["differences"]["copied grams"][0]), 0.0, "points"),
    ),
    Asked(CAPPED, 2, _NATS, _nats, 0.12, "nats"),
    Asked(CAPPED, 2, "longest copy", lambda row: float(row["longest"]), 20, "bytes"),
    Asked(POLISH, -1, _NATS, _nats, -0.09, "nats"),
    Asked(POLISH, -1, "a byte", lambda row: 1e6 * float(row["seconds"]), 50, "µs"),
    Asked(ONE_ROUND, 3, "a draft alone", lambda row: float(row["one_seconds"]), 0.15, "s"),
)
_LEAST_AUROC = 0.80
_LEAST_RATE = 2000.0


def add_bars(found: dict[str, Any], findings: Findings) -> None:
    """`found` is what refining_measure.py measured; who is not there has no bars."""
    rows = {(row["name"], row["start"]): row for row in found["rows"]}
    for each in ASKED:
        row = rows.get((each.system, each.k))
        if row is not None:
            bar = findings.at_least if each.at_least else findings.at_most
            bar(f"{each.system}, k={each.k}: {each.what}", each.figure(row), each.asked, each.unit)
    if DETECTOR in found["detection"]:
        what = "the refiner finds what SBIS wrote, AUROC"
        findings.at_least(what, found["detection"][DETECTOR], _LEAST_AUROC, "")
    if throughput := found["throughput"]:
        what = f"{ONE_ROUND}, k=3: bytes a second on {throughput['threads']:.0f} threads"
        findings.at_least(what, throughput["rate"], _LEAST_RATE, "")
