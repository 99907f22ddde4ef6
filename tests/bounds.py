"""What pyproject asks of what infgram stands on, a line each, as pip reads it.

    python tests/bounds.py oldest 'infgram[test]' infgram-bench    # numpy==1.26 ...
    python tests/bounds.py newest 'infgram[test]' infgram-bench    # numpy>=1.26 ...

For the Makefile's environments of the oldest and the newest versions, so that no version is written
down twice. Needs nothing but Python. A bound names a release: pip must find that very version.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

_BOUND = re.compile(r"([A-Za-z0-9._-]+)>=([0-9]+(?:\.[0-9]+)*)")
_OURS = re.compile(r"([A-Za-z0-9._-]+)(?:\[([a-z,]+)\])?(?:==.*)?")


def projects() -> dict[str, dict[str, Any]]:
    """The distributions of this repository, by name."""
    files = [ROOT / "pyproject.toml", ROOT / "bench" / "pyproject.toml"]
    found = [tomllib.loads(file.read_text())["project"] for file in files]
    return {project["name"]: project for project in found}


def bounds(projects: Mapping[str, dict[str, Any]], asked: Iterable[str]) -> dict[str, str]:
    """The least version of each distribution that stands behind these of ours, as name[extras].

    Raises ValueError for a requirement that is more than a least version: an upper bound would hide
    what the newest release breaks, and from a marker the oldest one cannot be read.
    """
    found: dict[str, str] = {}
    for requirement in _spelled_out(projects, asked):
        match = _BOUND.fullmatch(requirement)
        if match is None:
            raise ValueError(
                f"found {requirement!r}, expected a name and its least version: a>=1.2"
            )
        name, version = match.groups()
        found[name] = max(version, found.get(name, "0"), key=_order)
    return dict(sorted(found.items()))


def _spelled_out(
    projects: Mapping[str, dict[str, Any]], requirements: Iterable[str]
) -> Iterator[str]:
    """Requirements, with what ours require in place of their names."""
    for requirement in requirements:
        match = _OURS.fullmatch(requirement)
        if match is None or match[1] not in projects:
            yield requirement
            continue
        project = projects[match[1]]
        yield from _spelled_out(projects, project["dependencies"])
        for extra in match[2].split(",") if match[2] else ():
            yield from _spelled_out(projects, project["optional-dependencies"][extra])


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


def main(kind: str, *asked: str) -> None:
    """Prints the requirements. kind: "oldest" or "newest"."""
    known = projects()
    if kind == "oldest":
        check_python(known["infgram"], sys.version_info[:2])
    sign = {"oldest": "==", "newest": ">="}[kind]
    for name, version in bounds(known, asked).items():
        print(f"{name}{sign}{version}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except ValueError as error:
        sys.exit(f"{sys.argv[0]}: {error}")
