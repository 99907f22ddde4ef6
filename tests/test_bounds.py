"""The oldest and the newest releases to test with are read from pyproject."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import bounds
import pytest

PROJECT: dict[str, Any] = {
    "name": "mine",
    "requires-python": ">=3.11",
    "dependencies": ["a>=1.9", "b-c>=2"],
    "optional-dependencies": {
        "some": ["mine[more]", "a>=1.10", "d>=0.1.2"],
        "more": ["e>=7", "d>=0.1"],
        "other": ["f>=1"],
        "capped": ["f>=1,<2"],
        "marked": ["f>=1; python_version<'3.12'"],
        "bare": ["f"],
    },
}


def test_the_bounds_are_of_the_project_and_its_extras_together() -> None:
    assert bounds.bounds(PROJECT, ["some"]) == {
        **{"a": "1.10", "b-c": "2", "d": "0.1.2", "e": "7"},
    }
    assert bounds.bounds(PROJECT, ["more", "other"]).keys() == {"a", "b-c", "d", "e", "f"}


@pytest.mark.parametrize("extra", ["capped", "marked", "bare"])
def test_what_is_not_a_least_version_alone_is_refused(extra: str) -> None:
    with pytest.raises(ValueError, match=r"found .f.*, expected a name and its least version"):
        bounds.bounds(PROJECT, [extra])


def test_old_releases_are_for_the_oldest_python() -> None:
    bounds.check_python(PROJECT, (3, 11))
    with pytest.raises(ValueError, match=r"Python 3\.12, expected 3\.11, .* PYTHON=python3\.11"):
        bounds.check_python(PROJECT, (3, 12))


def printed(*arguments: str) -> list[str]:
    script = Path(bounds.__file__)
    return subprocess.run(
        [sys.executable, "-I", script, *arguments], capture_output=True, text=True, check=True
    ).stdout.splitlines()


def test_infgrams_own_bounds_can_be_read() -> None:
    project = tomllib.loads(bounds.PYPROJECT.read_text())["project"]
    known = bounds.bounds(project, ["test", "bench"])
    assert {"numpy", "torch", "transformers", "pyarrow", "pytest"} <= known.keys()
    assert printed("newest", "test", "bench") == [f"{name}>={n}" for name, n in known.items()]
    if sys.version_info[:2] == (3, 11):
        assert f"numpy=={known['numpy']}" in printed("oldest", "test")
