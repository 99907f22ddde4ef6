"""What commands share that work with a refiner: its options, and how it is opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import Decorated

if TYPE_CHECKING:
    from infgram.refine.network.score import Scorer


device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cuda", "mps", "cpu"]),
    default="auto",
    show_default=True,
    help="Device that the refiner runs on.",
)


def refiner_options(command: Decorated) -> Decorated:
    """Adds `refiner` and `device`: what `open_refiner` takes."""
    command = device_option(command)
    return click.option(
        "--refiner",
        type=click.Path(path_type=Path),
        required=True,
        metavar="PATH",
        help="A refiner that `infgram refine train` wrote.",
    )(command)


def open_refiner(path: Path, device: str) -> Scorer:
    """Raises MissingExtra, NotARefiner."""
    from infgram.refine.network.score import Scorer

    return Scorer(path, device=device)
