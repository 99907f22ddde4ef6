"""Draws the pictures of gallery.md before Sphinx reads it, by the commands that stand there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

_SHARE_SEEN = 0.9


def draw(page: Path, folder: Path) -> None:
    """Runs each `<!-- picture: ... -->` of a page, the picture below it being what it writes."""
    text = " ".join(topics.values())
    cut = int(_SHARE_SEEN * len(text))
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        Path(work, "seen.txt").write_text(text[:cut], encoding="utf-8")
        Path(work, "unseen.txt").write_text(text[cut:], encoding="utf-8")

        def infgram(*arguments: str) -> None:
            subprocess.run([sys.executable, "-m", "infgram_cli", *arguments], cwd=work, check=True)

        infgram("build", "seen.txt", "-q")
        for command, name in re.findall(
            r"<!-- picture: (.*?) -->\n!\[.*?\]\(_gallery/(.*?)\)", page.read_text("utf-8")
        ):
            if not (folder / name).exists():
                infgram(*shlex.split(command), "-o", str(folder / name))


def setup(app: Any) -> dict[str, bool]:
    here = Path(__file__).parent
    app.connect("builder-inited", lambda _: draw(here / "gallery.md", here / "_gallery"))
    return {"parallel_read_safe": True}
