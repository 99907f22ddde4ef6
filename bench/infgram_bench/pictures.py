"""Pictures of findings, where matplotlib is there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .findings import Picture


def draw(pictures: Iterable[Picture], folder: Path) -> list[Path]:
    """One SVG each; none without matplotlib."""
    from infgram.errors import MissingExtra
    from infgram.plot import check, curves, save

    written = []
    for picture in pictures:
        path = folder / f"{picture.name}.svg"
        try:
            check(path)
        except MissingExtra:
            return []
        figure = curves(
            picture.title,
            {curve.name: (curve.x, curve.y) for curve in picture.curves},
            x_label=picture.x_label,
            y_label=picture.y_label,
            log_x=picture.log_x,
            log_y=picture.log_y,
        )
        save(figure, path)
        written.append(path)
    return written
