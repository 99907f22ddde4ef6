"""A question that a benchmark answers, and what it has to work with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infgram.errors import InfgramError

from .findings import Findings
from .processes import JobFailed
from .settings import Settings

# (what is being done, how much of it is done, how much there is; 0 where that is not known)
Progress = Callable[[str, float, float], None]


class CannotMeasure(InfgramError):
    """A question cannot be answered here; the message says why and what would help."""


@contextmanager
def instrument(name: str) -> Iterator[None]:
    """A job that makes what is measured with: neither infgram's nor a rival's.

    Raises CannotMeasure where it fails.
    """
    try:
        yield
    except JobFailed as failed:
        raise CannotMeasure(f"{name} failed: {failed}") from failed


@dataclass(frozen=True)
class Bench:
    """What a question gets.

    - `folder`: empty, and gone afterwards.
    - `texts`: a folder that stays, for texts that are long in the making.
    - `earlier`: findings of other questions, by name, of this run or kept from the last.
    """

    settings: Settings
    findings: Findings
    folder: Path
    texts: Path
    earlier: dict[str, Findings]
    progress: Progress


@dataclass(frozen=True)
class Question:
    """`minutes`: about how long it takes on two cores, for the plan that is shown beforehand."""

    name: str
    title: str
    answer: Callable[[Bench], None]
    minutes: Callable[[Settings], float]
    in_quick: bool
