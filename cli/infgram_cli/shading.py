"""Generated text in a terminal, each token shaded by how long a run of the corpus ends with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    import infgram

# From this many tokens on: cool is invented, warm is a quotation.
_SHADES = {0: "dim blue", 8: "cyan", 16: "green", 32: "yellow", 64: "bold red"}
_TAIL_TOKENS = 16
_MAX_TOKENS_OF_A_CHARACTER = 4


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
    from rich.text import Text

    from .output import stderr

    legend = Text("run of the corpus that ends with a token: ")
    for least, style in _SHADES.items():
        colour = style.split()[-1]
        legend.append(f"{colour} {least}+" if least else f"{colour} shorter", style)
        legend.append("  ")
    stderr().print(legend)


def print_shaded(
    console: Console,
    indexes: Sequence[infgram.Index],
    prompt: str | list[int],
    token_ids: NDArray[np.uint32],
) -> None:
    """Prints tokens that were generated after a prompt, without a newline at the end.

    In several indexes the longest run counts.
    """
    import numpy as np
    from rich.text import Text

    from .output import harmless

    before = indexes[0].ids(prompt)
    read = np.concatenate([before, token_ids])
    lengths = np.max([index.match_lengths(read) for index in indexes], axis=0)[len(before) :]
    shaded = Text()
    for piece, length in zip(_pieces(indexes[0], token_ids), lengths.tolist(), strict=True):
        shaded.append(harmless(piece), _shade(length))
    console.print(shaded, end="")


def _shade(length: int) -> str:
    return [style for least, style in _SHADES.items() if least <= length][-1]


def _pieces(index: infgram.Index, token_ids: NDArray[np.uint32]) -> Iterator[str]:
    """What each token adds to the text; a character of several tokens comes with its last one."""
    begin = shown = 0
    for i in range(len(token_ids)):
        text = index.decode(token_ids[begin : i + 1])
        waiting = len(text) - len(text.rstrip("\ufffd"))
        if i + 1 == len(token_ids) or waiting >= _MAX_TOKENS_OF_A_CHARACTER:
            waiting = 0
        yield text[shown : len(text) - waiting]
        shown = max(shown, len(text) - waiting)
        if not waiting and i - begin >= _TAIL_TOKENS:
            begin, shown = i, len(index.decode(token_ids[i : i + 1]))
