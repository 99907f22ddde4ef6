"""What commands share that work with a refiner: its options, and how it is opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .option import Decorated, option
from .options import AnyPath

if TYPE_CHECKING:
    from infgram.refine.network.score import Scorer


REFINER_SUFFIX = ".safetensors"

device_option = option(
    "--device",
    type=click.Choice(["auto", "cuda", "mps", "cpu"]),
    default="auto",
    help="Device that the refiner runs on.",
)


def refiner_option(
    *, required: bool = True, old: Sequence[str] = ()
) -> Callable[[Decorated], Decorated]:
    """Adds `refiner`. old: its names of before."""
    return option(
        "--refiner",
        type=AnyPath(),
        required=required,
        metavar="PATH",
        old=old,
        help="A refiner that `infgram refine train` wrote.",
    )


def refiner_options(command: Decorated) -> Decorated:
    """Adds `refiner` and `device`: what `open_refiner` takes."""
    return refiner_option()(device_option(command))


def open_refiner(path: Path, device: str) -> Scorer:
    """Raises MissingExtra, NotARefiner."""
    from infgram.refine.network.score import Scorer

    return Scorer(path, device=device)
