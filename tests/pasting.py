"""Code blocks of Markdown, as a reader pastes them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and content of each block of code, in order."""
    text = page.read_text("utf-8")
    found = re.findall(r"^( *)```(\w+)\n(.*?)^\1```", text, re.DOTALL | re.MULTILINE)
    return [(language, textwrap.dedent(block)) for _, language, block in found]


def commands(block: str) -> list[str]:
    """What stands behind a prompt, with the lines that it goes on in; the rest was printed."""
    lines = block.replace("\\\n", " ").splitlines()
    return [line[2:] for line in lines if line.startswith("$ ")]


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
