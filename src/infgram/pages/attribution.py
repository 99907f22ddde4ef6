"""Texts as a web page: what of them stands in a corpus, and in which documents."""

from __future__ import annotations

import html
from collections.abc import Sequence
from itertools import pairwise

from ..results import Match
from ..tracing.attribution import Attribution, Span, shade_of, told_of
from .page import page, part, shaded
from .shades import LEAST


def attribution_page(
    texts: Sequence[tuple[str, Attribution]], *, name: str = "A text", corpus: str = "the corpus"
) -> str:
    """The page. `texts`: the name of each, and where its parts stand; `name`: of all of them.

    >>> import infgram
    >>> found = infgram.attribute(infgram.build(["to <b>e or not"]), "to <b>e", min_length=3)
    >>> "<b class='h1'>to &lt;b&gt;e</b>" in attribution_page([("a.txt", found)])
    True
    """
    least = LEAST[2:]  # what is shorter has the first shade, too
    ends = (f"{n} to {m - 1}" for n, m in pairwise(least))
    names = [f"fewer than {least[0]}", *ends, f"{least[-1]} and more"]
    return page(
        "attribution",
        title=f"{name}: what stands in {corpus}",
        values={
            "name": html.escape(name),
            "corpus": html.escape(corpus),
            "legend": "".join(
                f'<span class="h{i}">{text}</span>' for i, text in enumerate(names, 1)
            ),
            "texts": "\n".join(_section(*text) for text in texts),
        },
        data=[_data(found) for _, found in texts],
    )


def _section(name: str, found: Attribution) -> str:
    n = len(found.spans)
    return part(
        "attribution_text",
        {
            "name": html.escape(name),
            "told": f"{n:,} span{'s' * (n != 1)}, {found.covered:.1%} of the text",
            "text": shaded(
                (text, 0 if i is None else shade_of(found.spans[i])) for text, i in found.runs()
            ),
        },
    )


def _data(found: Attribution) -> dict[str, object]:
    return {
        "runs": [[text, -1 if i is None else i] for text, i in found.runs()],
        "spans": [_told(span) for span in found.spans],
    }


def _told(span: Span) -> list[object]:
    left = span.count - len(span.documents)
    return [
        shade_of(span),
        told_of(span),
        " ".join(span.text.split()),
        [_document(match) for match in span.documents],
        f"{left:,} more" if left else "",
    ]


def _document(match: Match) -> list[str]:
    known = "; ".join(f"{name}: {value}" for name, value in match.metadata.items())
    return [match.place, match.before, match.match, match.after, known]
