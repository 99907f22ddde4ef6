"""What pyproject asks of what infgram stands on, a line each, as pip reads it.

    python tests/bounds.py oldest test bench    # numpy==1.26 ...
    python tests/bounds.py newest test bench    # numpy>=1.26 ...

For the Makefile's environments of the oldest and the newest versions, so that no version is written
down twice. Needs nothing but Python. A bound names a release: pip must find that very version.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"

_BOUND = re.compile(r"([A-Za-z0-9._-]+)>=([0-9]+(?:\.[0-9]+)*)")
_EXTRAS = re.compile(r"([A-Za-z0-9._-]+)\[([a-z,]+)\]")


def bounds(project: dict[str, Any], extras: Sequence[str]) -> dict[str, str]:
    """The least version of each distribution, of the project and its extras together.

    Raises ValueError for a requirement that is more than a least version: an upper bound would hide
    what the newest release breaks, and from a marker the oldest one cannot be read.
    """
    found: dict[str, str] = {}
    own = f"{project['name']}[{','.join(extras)}]"
    for requirement in _spelled_out(project, [*project["dependencies"], own]):
        match = _BOUND.fullmatch(requirement)
        if match is None:
            raise ValueError(
                f"found {requirement!r}, expected a name and its least version: a>=1.2"
            )
        name, version = match.groups()
        found[name] = max(version, found.get(name, "0"), key=_order)
    return dict(sorted(found.items()))


def _spelled_out(project: dict[str, Any], requirements: Iterable[str]) -> Iterator[str]:
    """Requirements, with those of the project's extras in place of the extras' names."""
    for requirement in requirements:
        match = _EXTRAS.fullmatch(requirement)
        if match is None or match[1] != project["name"]:
            yield requirement
            continue
        for extra in match[2].split(","):
            yield from _spelled_out(project, project["optional-dependencies"][extra])


def check_python(project: dict[str, Any], running: tuple[int, int]) -> None:
    """Raises ValueError unless this is the oldest Python: for later ones old releases have no
    wheels."""
    oldest = project["requires-python"].removeprefix(">=")
    if running != _order(oldest):
        raise ValueError(
            f"this is Python {running[0]}.{running[1]}, expected {oldest}, the oldest that is "
            f"supported: make test-oldest PYTHON=python{oldest}"
        )


def _order(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def main(kind: str, *extras: str) -> None:
    """Prints the requirements. kind: "oldest" or "newest"."""
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    if kind == "oldest":
        check_python(project, sys.version_info[:2])
    sign = {"oldest": "==", "newest": ">="}[kind]
    for name, version in bounds(project, extras).items():
        print(f"{name}{sign}{version}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except ValueError as error:
        sys.exit(f"{sys.argv[0]}: {error}")
