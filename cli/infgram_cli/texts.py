"""How the command line reads the text that it is to judge: as `infgram build` reads a corpus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import click

from .options import Decorated

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def text_arguments(command: Decorated) -> Decorated:
    """Adds `inputs` and `documents`: what `read_texts` takes."""
    command = click.option(
        "--documents",
        type=click.Choice(["file", "line", "paragraph"]),
        default="file",
        show_default=True,
        help="How to split TEXT; each part is judged on its own.",
    )(command)
    return click.argument("inputs", nargs=-1, required=True, metavar="TEXT...")(command)


def read_texts(
    inputs: tuple[str, ...], documents: Literal["file", "line", "paragraph"] = "file"
) -> list[bytes | NDArray[np.integer[Any]]]:
    """The texts in files of any kind that infgram reads; "-" is standard input."""
    from infgram.text.corpus import plan

    return [text.content for text in plan(inputs, documents=documents).documents()]
