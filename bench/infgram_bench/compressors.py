"""Compressors that a user has built, as language models. Alone in knowing how each is called.

A compressor predicts each byte after all that stand before it, and pays for it in bits. So the
archive of a whole text, less the archive of its first part, is the loss of the rest: that of a
model that has read the first part, and adapts.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from .processes import JobFailed, run_program

_TEXT, _ARCHIVE = "text", "archive.7z"  # 7-Zip adds .7z to a name that has no end


@dataclass(frozen=True)
class Compressor:
    """A program's name in tables, and how it is called in the folder of a text."""

    name: str
    arguments: tuple[str, ...]


_SEVEN_ZIP = Compressor(
    "PPMd (7-Zip), order 6", ("a", "-t7z", "-m0=PPMd:o=6:mem=256m", _ARCHIVE, _TEXT)
)
_BY_PROGRAM = {
    **dict.fromkeys(("7z", "7za", "7zz"), _SEVEN_ZIP),
    "cmix": Compressor("cmix", ("-c", _TEXT, _ARCHIVE)),
    "paq8px": Compressor("paq8px -7", ("-7", _TEXT, _ARCHIVE)),
}
PROGRAMS = tuple(_BY_PROGRAM)
"""File names of the programs that are known."""


def name_of(program: Path) -> str | None:
    """What tables call a program, or None if nobody here knows it.

    >>> name_of(Path("build/paq8px")), name_of(Path("/usr/bin/gzip"))
    ('paq8px -7', None)
    """
    known = _BY_PROGRAM.get(program.name)
    return None if known is None else known.name


def perplexity(program: Path, training: bytes, validation: bytes, *, limit: float) -> float:
    """Of a byte of `validation` after `training`, by one of `PROGRAMS`.

    `limit`: seconds for each of the two archives. Raises JobFailed.
    """
    sizes = [_size(program, text, limit) for text in (training, training + validation)]
    return float(2 ** (8 * (sizes[1] - sizes[0]) / len(validation)))


def _size(program: Path, text: bytes, limit: float) -> int:
    """Bytes of a text's archive, whatever the program calls that."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / _TEXT).write_bytes(text)
        run_program(program, folder, *_BY_PROGRAM[program.name].arguments, limit=limit)
        sizes = [file.stat().st_size for file in folder.iterdir() if file.name != _TEXT]
    if not sum(sizes):
        raise JobFailed(f"{program.name} wrote no archive")
    return sum(sizes)
