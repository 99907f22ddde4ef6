"""Generated text in a terminal, each token shaded by how long a run of the corpus ends with it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    import infgram

# From this many tokens on: cool is invented, warm is a quotation.
_SHADES: dict[int, dict[str, Any]] = {
    0: {"fg": "blue", "dim": True},
    8: {"fg": "cyan"},
    16: {"fg": "green"},
    32: {"fg": "yellow"},
    64: {"fg": "red", "bold": True},
}


def shades_show(console: Console) -> bool:
    """Whether shades can be seen there, and are wanted; says on stderr if there is no terminal."""
    from .output import stderr

    if console.no_color:
        return False
    if not console.is_terminal:
        stderr().print("infgram: --color needs a terminal; FORCE_COLOR=1 shades elsewhere too")
    return console.is_terminal


def print_legend() -> None:
    """What the shades mean, on stderr."""
    names = [
        click.style(f"{shade['fg']} {least}+" if least else f"{shade['fg']} fewer", **shade)
        for least, shade in _SHADES.items()
    ]
    legend = "  ".join(["verbatim from the corpus, in tokens:", *names])
    click.echo(legend, err=True)


def shaded(
    indexes: Sequence[infgram.Index], prompt: str | list[int], token_ids: NDArray[np.uint32]
) -> str:
    """Tokens that were generated after a prompt, for a terminal. In several indexes the longest
    run counts."""
    import numpy as np

    from infgram.text.pieces import Behind, blank_between

    from .output import harmless

    before = indexes[0].ids(prompt)
    read = np.concatenate([before, token_ids])
    lengths = np.max([index.match_lengths(read) for index in indexes], axis=0)[len(before) :]
    shades = map(_shade, lengths.tolist())
    tokenizer = indexes[0].tokenizer
    skip = blank_between(tokenizer, prompt, before) if isinstance(prompt, str) else ""
    texts = Behind(tokenizer, before, skip=skip).by_token(token_ids)
    pieces = zip(shades, texts, strict=True)
    return "".join(
        click.style(harmless("".join(text for _, text in run)), **_SHADES[least])
        for least, run in groupby(pieces, lambda piece: piece[0])
    )


def _shade(length: int) -> int:
    return max(least for least in _SHADES if least <= length)
