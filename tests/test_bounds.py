"""The oldest and the newest releases to test with are read from pyproject."""

from __future__ import annotations

import subprocess
import sys
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
OTHER: dict[str, Any] = {
    "name": "mine-too",
    "dependencies": ["mine[more]==1.0", "g>=2"],
    "optional-dependencies": {"extra": ["b-c>=2.1"]},
}
PROJECTS = {"mine": PROJECT, "mine-too": OTHER}


def test_the_bounds_are_of_the_project_and_its_extras_together() -> None:
    assert bounds.bounds(PROJECTS, ["mine[some]"]) == {
        **{"a": "1.10", "b-c": "2", "d": "0.1.2", "e": "7"},
    }
    assert bounds.bounds(PROJECTS, ["mine[more,other]"]).keys() == {"a", "b-c", "d", "e", "f"}
    assert bounds.bounds(PROJECTS, ["mine-too[extra]"]) == {
        **{"a": "1.9", "b-c": "2.1", "d": "0.1", "e": "7", "g": "2"},
    }


@pytest.mark.parametrize("extra", ["capped", "marked", "bare"])
def test_what_is_not_a_least_version_alone_is_refused(extra: str) -> None:
    with pytest.raises(ValueError, match=r"found .f.*, expected a name and its least version"):
        bounds.bounds(PROJECTS, [f"mine[{extra}]"])


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
    known = bounds.bounds(bounds.projects(), ["infgram[test]", "infgram-bench[neural]"])
    assert {"numpy", "torch", "transformers", "pyarrow", "pytest", "pillow"} <= known.keys()
    printed_bounds = printed("newest", "infgram[test]", "infgram-bench[neural]")
    assert printed_bounds == [f"{name}>={n}" for name, n in known.items()]
    if sys.version_info[:2] == (3, 11):
        assert f"numpy=={known['numpy']}" in printed("oldest", "infgram[test]")


def test_the_distributions_have_one_version() -> None:
    infgram, bench = bounds.projects().values()
    assert infgram["version"] == bench["version"]
    own = [each for each in bench["dependencies"] if each.startswith("infgram")]
    own += [each for extra in bench["optional-dependencies"].values() for each in extra]
    assert {each.partition("==")[2] for each in own} == {infgram["version"]}


def test_the_extra_called_all_has_every_one_for_users() -> None:
    extras = bounds.projects()["infgram"]["optional-dependencies"]
    (own,) = extras["all"]
    assert set(own[len("infgram[") : -1].split(",")) == extras.keys() - {"all", "test", "dev"}
