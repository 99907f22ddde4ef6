"""Code blocks of Markdown, as a reader pastes them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and content of each block of code, in order."""
    text = page.read_text("utf-8")
    return re.findall(r"^```(\w+)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def commands(block: str) -> list[str]:
    """What stands behind a prompt; the rest is what was printed."""
    return [line[2:] for line in block.splitlines() if line.startswith("$ ")]


def shell(folder: Path, *first: Path) -> Callable[[str], str]:
    """Runs commands in a folder, as a shell that finds infgram and, before all, what is in `first`.

    A command that fails fails the test; what it prints is returned.
    """
    places = [*map(str, first), str(Path(sys.executable).parent), os.environ["PATH"]]
    environment = {**os.environ, "PATH": os.pathsep.join(places)}

    def run(command: str) -> str:
        return subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=folder,
            check=True,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout

    return run
