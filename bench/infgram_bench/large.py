"""Beginnings of one large text, for the questions of growth."""

from __future__ import annotations

import shutil
from pathlib import Path

from .corpora import gather
from .question import Bench, CannotMeasure

_MIB = 1 << 20
_BEHIND = _MIB  # behind the largest beginning, which no index has
_N_PIECES = 20
PIECE = 1000


def large_name(bench: Bench) -> str:
    """What the large text is called."""
    return bench.settings.large.name if bench.settings.large else "text files of this system"


def large_text(bench: Bench, mib: int) -> Path:
    """The first so many MiB of the large text, as a file in `bench.folder`, in the page cache."""
    source = _source(bench)
    path = bench.folder / f"{mib}MiB-of-{source.stem}.txt"
    if not path.exists():
        with open(source, "rb") as whole, open(path, "wb") as part:
            part.write(whole.read(mib * _MIB))
    return path


def held_out_pieces(bench: Bench) -> list[bytes]:
    """Pieces of a kilobyte, spread over what comes after the largest beginning."""
    with open(_source(bench), "rb") as file:
        file.seek(max(bench.settings.sizes) * _MIB)
        behind = file.read(_BEHIND)
    starts = range(0, _BEHIND - PIECE, _BEHIND // _N_PIECES)
    return [behind[start : start + PIECE] for start in starts]


def _source(bench: Bench) -> Path:
    """The user's text, or text files of this machine, gathered once."""
    needed = max(bench.settings.sizes) * _MIB + _BEHIND
    path = bench.settings.large
    if path is None:
        path = bench.texts / f"text-files-{needed}.txt"
        if not path.exists():
            bench.progress("gathering text files of this machine", 0, 0)
            partial = path.with_suffix(".partial")
            gather(needed, partial)
            shutil.move(partial, path)
    if (found := path.stat().st_size) < needed:
        raise CannotMeasure(
            f"{path} has {found / _MIB:.1f} MiB, expected {needed / _MIB:.1f}: name a larger text "
            "with --large, or smaller sizes with --large-size"
        )
    return path
