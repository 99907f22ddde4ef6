"""Draws the pictures of gallery.md before Sphinx reads it, by the code that stands there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def draw(page: Path, folder: Path) -> None:
    """Runs a page from top to bottom, and keeps the pictures that it shows and were not there."""
    text = page.read_text("utf-8")
    shown = [folder / name for name in re.findall(r"\]\(_gallery/(.*?)\)", text)]
    if all(picture.exists() for picture in shown):
        return
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        for language, block in re.findall(r"^```(\w+)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            if language == "console":
                block = block.replace("$ infgram ", f"{sys.executable} -m infgram_cli ")
            program = ["sh", "-ec"] if language == "console" else [sys.executable, "-c"]
            subprocess.run([*program, block], cwd=work, check=True)
        for picture in shown:
            shutil.copy(Path(work, picture.name), picture)


def setup(app: Any) -> dict[str, bool]:
    here = Path(__file__).parent
    app.connect("builder-inited", lambda _: draw(here / "gallery.md", here / "_gallery"))
    return {"parallel_read_safe": True}
