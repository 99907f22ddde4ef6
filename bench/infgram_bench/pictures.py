"""Pictures of findings. What is not a number is left out of them."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from pathlib import Path

from . import answers
from .answers import Answer
from .findings import Curve

_ABOUT = ("text", "traces")  # of a setting: what was measured on


def draw(answered: Iterable[Answer], folder: Path) -> list[Path]:
    """One SVG for each of their pictures, which says what it was measured on."""
    from infgram.plot import curves, save

    written = []
    for answer, picture in ((a, p) for a in answered for p in a.findings.pictures):
        about = [answer.findings.setting[n] for n in _ABOUT if n in answer.findings.setting]
        path = folder / f"{picture.name}.svg"
        figure = curves(
            picture.title,
            {curve.name: points for curve in picture.curves if (points := _points(curve))},
            x_label=picture.x_label,
            y_label=picture.y_label,
            log_x=picture.log_x,
            log_y=picture.log_y,
            about="; ".join(about),
        )
        save(figure, path)
        written.append(path)
    return written


def _points(curve: Curve) -> tuple[list[float], list[float]] | None:
    """x and y; None without any. JSON has null for what is not finite."""
    points = zip(curve.x, curve.y, strict=True)
    known = [p for p in points if None not in p and all(map(math.isfinite, p))]
    return ([x for x, _ in known], [y for _, y in known]) if known else None


if __name__ == "__main__":
    results, target = map(Path, sys.argv[1:])
    target.mkdir(parents=True, exist_ok=True)
    for each in draw(answers.read(results).values(), target):
        print(each)
