"""A text's suspicion as a web page: a heat map with a legend, and the worst words."""

from __future__ import annotations

import html

from ..refine.linting import Lint, Word, level, level_names
from .page import page, shaded


def heat_page(found: Lint, *, name: str = "A text", n_worst: int = 20) -> str:
    """The page. `name`: of the text; `n_worst`: words that are listed.

    >>> import numpy as np
    >>> suspicion = np.array([0.9, 0.1, 0.1, 0.1], np.float32)
    >>> "<b class='h4'>&lt;</b>b&gt;!" in heat_page(Lint("<b>!", suspicion, ()))
    True
    """
    legend = "".join(f'<span class="h{i}">{text}</span>' for i, text in enumerate(level_names()))
    return page(
        "heat",
        title=f"{name}: what looks out of place",
        values={
            "name": html.escape(name),
            "legend": legend,
            "text": shaded(zip(found.text, map(level, found.suspicion.tolist()), strict=True)),
            "rows": "".join(map(_row, found.worst(n_worst))),
        },
    )


def _row(word: Word) -> str:
    return (
        f"<tr><td>{word.line}:{word.column}</td><td>{word.suspicion:.0%}</td>"
        f'<td><code class="h{level(word.suspicion)}">{html.escape(word.text)}</code></td></tr>\n'
    )
