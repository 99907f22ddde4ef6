"""Installing shows that it goes on, and no more: `tools/install.py` before a pip that is played."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

INSTALL = Path(__file__).parents[1] / "tools" / "install.py"
SAID = """\
Looking in indexes: https://packages.example/simple
Collecting numpy>=1.26 (from infgram==0.1.0)
  Downloading https://packages.example/numpy-2.0-cp311.whl (16.6 MB)
Requirement already satisfied: pip in ./lib
Collecting click
  Using cached click-8.1.whl (98 kB)
  [1/12] Building CXX object a.cpp.o
  [ 66%] Building CXX object b.cpp.o
Installing collected packages: numpy, click
"""


@pytest.fixture
def pip(tmp_path: Path) -> Path:
    """Says what it is made for, then its arguments, and ends as it is told to."""
    (tmp_path / "pip").mkdir()
    (tmp_path / "pip" / "__init__.py").touch()
    (tmp_path / "pip" / "__main__.py").write_text(
        "import os, sys\n"
        f"print({SAID!r}, end='')\n"
        "print('arguments:', sys.argv[1:], repr(sys.stdin.read()))\n"
        "sys.exit(int(os.environ['CODE']))\n"
    )
    return tmp_path


def install(pip: Path, code: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, INSTALL, "-e", "nothing"],
        env={**os.environ, "PYTHONPATH": str(pip), "CODE": str(code), "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_packages_are_named_and_steps_are_counted_without_where_they_come_from(pip: Path) -> None:
    done = install(pip, 0)
    assert done.returncode == 0, done
    first, *lines, last = done.stdout.splitlines()
    assert first.startswith("Installing into ")
    assert lines == [
        "  fetching: numpy (16.6 MB) click",
        "  compiling: 1/12 66%",
        "  installing: 2 packages",
    ]
    assert last.startswith("  done in ")
    assert done.stderr == ""


def test_a_pip_that_fails_is_heard_out_and_its_exit_code_passed_on(pip: Path) -> None:
    done = install(pip, 23)
    assert done.returncode == 23
    assert SAID in done.stdout
    assert "'install', '--verbose', '-e', 'nothing'] ''" in done.stdout
    assert "exit code 23" in done.stdout.splitlines()[-1]


def test_many_packages_are_shown_in_lines_that_fit(pip: Path) -> None:
    script = pip / "pip" / "__main__.py"
    names = [f"package-{i}" for i in range(100)]
    said = "".join(f"Collecting {name}\n" for name in names)
    script.write_text(script.read_text().replace(repr(SAID), repr(said)))
    lines = install(pip, 0).stdout.splitlines()[1:-1]
    assert " ".join(" ".join(lines).split()) == "fetching: " + " ".join(names)
    assert max(map(len, lines)) <= 80
