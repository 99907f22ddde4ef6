"""Where nothing that is open can be renamed or removed, an index is built, replaced and read.

Tests of folders run again as on Windows (windows.py). What is told there of dead processes only
after a minute is left out, and pipes, which no folder of Windows holds.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = {
    "test_generations.py": "open_index_keeps or computed_from_an_old "
    "or takes_an_index or not_replaced or torn or survives or still_opens or own_are_read "
    "or lead_out or moved_aside",
    "test_storage.py": "truncation or existing or overwriting or failing or odd or copied "
    "or pickle",
    "test_build.py": "process or jobs",
}


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc, which tells of files")
@pytest.mark.parametrize("file", TESTS)
def test_as_on_windows(tmp_path: Path, file: str) -> None:
    here = Path(__file__).parent
    alone = ["-n", "0", "-q", "-p", "no:cacheprovider", "--basetemp", str(tmp_path / "theirs")]
    which = [str(here / file), "-k", f"({TESTS[file]}) and not pipe"]
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "windows", *alone, *which],
        cwd=here.parent,
        env={**os.environ, "PYTHONPATH": str(here)},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-2000:]
