"""Generated text as a web page, each token shaded by how long a run of the corpus ends with it."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from .page import page, shaded

# A token has the shade of the greatest of these that the length of its run reaches.
LEAST = (0, 8, 16, 32, 64)


def shades_page(
    texts: Iterable[Sequence[tuple[str, int]]], *, prompt: str = "", name: str = "A text"
) -> str:
    """The page. `texts`: (text, tokens of the run of the corpus that ends with it) of each token.

    `prompt` stands before each text; `name` is what is generated from.

    >>> "<b class='h2'>&lt;b&gt;</b>" in shades_page([[("<b>", 20), ("!", 3)]])
    True
    """
    ends = (*(f" to {least - 1}" for least in LEAST[1:]), " and more")
    names = [f"{least}{end}" for least, end in zip(LEAST, ends, strict=True)]
    return page(
        "shades",
        title=f"{name}: generated text",
        values={
            "name": html.escape(name),
            "legend": "".join(f'<span class="h{i}">{text}</span>' for i, text in enumerate(names)),
            "texts": "\n".join(
                f"<pre><strong>{shaded([(prompt, 0)])}</strong>"
                f"{shaded((part, _shade(length)) for part, length in text)}</pre>"
                for text in texts
            ),
        },
    )


def _shade(length: int) -> int:
    return sum(length >= least for least in LEAST) - 1
