"""An animation as a file: a GIF, an MP4 or a web page, by its suffix."""

from __future__ import annotations

import os
from pathlib import Path

from infgram.errors import InvalidParameter

from . import animate_gif, race_page
from .animation import OnProgress, Race, Show


def check(path: Path) -> None:
    """Raises at once what `write` would after all the work that comes before it.

    InvalidParameter for a suffix other than .gif, .mp4 and .html, FileNotFoundError without ffmpeg
    or without the folder.

    >>> check(Path("race.avi"))
    Traceback (most recent call last):
    infgram.errors.InvalidParameter: expected .gif, .mp4 or .html, found .avi: race.avi
    """
    suffix = path.suffix.lower()
    if suffix not in (".gif", ".mp4", ".html"):
        raise InvalidParameter(
            f"expected .gif, .mp4 or .html, found {suffix or 'no suffix'}: {path}"
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} to write {path.name} to")
    if suffix == ".mp4":
        animate_gif.ffmpeg()


def write(race: Race, path: Path, *, on_progress: OnProgress | None = None) -> None:
    """Writes the animation as what the path's suffix says: .gif, .mp4 or .html.

    Raises what `check` does, ValueError where excerpts are missing, OSError where ffmpeg fails. The
    file is there whole or not at all.
    """
    check(path)
    writers = {
        ".gif": animate_gif.write_gif,
        ".mp4": animate_gif.write_mp4,
        ".html": race_page.write_html,
    }
    suffix = path.suffix.lower()
    partial = path.with_name(f".{path.stem}-{os.getpid()}{suffix}")
    try:
        writers[suffix](Show(race), partial, on_progress or (lambda done, total: None))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
