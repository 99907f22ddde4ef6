"""Generated text, each token shaded by how long a run of the corpus ends with it: in a terminal,
and as a web page."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from .output import harmless, painted, write_page

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    import infgram

# From this many tokens on: cool is invented, warm is a quotation.
_SHADES = {0: "dim blue", 8: "cyan", 16: "green", 32: "yellow", 64: "bold red"}


def print_legend() -> None:
    """What the shades mean, on stderr."""
    names = [
        painted(f"{shade.split()[-1]} {least}+" if least else f"{shade.split()[-1]} fewer", shade)
        for least, shade in _SHADES.items()
    ]
    print("verbatim from the corpus, in tokens:", *names, sep="  ", file=sys.stderr)


def shaded(
    indexes: Sequence[infgram.Index], prompt: str | list[int], token_ids: NDArray[np.uint32]
) -> str:
    """Tokens that were generated after a prompt, for a terminal."""
    tokens = ((text, shade(n)) for text, n in _with_runs(indexes, prompt, token_ids))
    return "".join(
        painted(harmless("".join(text for text, _ in run)), shade)
        for shade, run in groupby(tokens, lambda token: token[1])
    )


def write_shades(
    path: Path,
    indexes: Sequence[infgram.Index],
    prompt: str | list[int],
    made: Sequence[infgram.Generation],
    shown: str,
) -> None:
    """Texts that were generated after a prompt, as a web page; `shown` is what it shows of that."""
    from infgram.pages.shades import shades_page

    texts = [_with_runs(indexes, prompt, each.token_ids) for each in made]
    name = ", ".join(index.path.name for index in indexes)
    write_page(shades_page(texts, prompt=shown, name=name), path)


def _with_runs(
    indexes: Sequence[infgram.Index], prompt: str | list[int], token_ids: NDArray[np.uint32]
) -> list[tuple[str, int]]:
    """Texts of tokens, and how long a run of the corpus each ends: of several, the longest."""
    import numpy as np

    from infgram.text.pieces import Behind, blank_between

    before = indexes[0].ids(prompt)
    read = np.concatenate([before, token_ids])
    lengths = np.max([index.match_lengths(read) for index in indexes], axis=0)[len(before) :]
    tokenizer = indexes[0].tokenizer
    skip = blank_between(tokenizer, prompt, before) if isinstance(prompt, str) else ""
    texts = Behind(tokenizer, before, skip=skip).by_token(token_ids)
    return list(zip(texts, lengths.tolist(), strict=True))


def shade(length: int) -> str:
    """The style of a run of so many tokens."""
    return _SHADES[max(least for least in _SHADES if least <= length)]
