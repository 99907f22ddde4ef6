"""What a notebook shows: markup.html has its parts, markup.css their style.

No script, nothing fetched. Shades are transparent colours over the notebook's own, so that they
suit light and dark. Whatever is filled in is escaped, unless it was filled in already.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.resources import files
from string import Template

MOST_ROWS = 20
MOST_RUNS = 1_000
MOST_CHARACTERS = 10_000
MOST_IN_A_CELL = 300

_OWN = files(__name__.rpartition(".")[0])
# Controls, what turns the direction of writing, and halves of pairs: no text of a page.
_HARMFUL = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def filled(part: str, /, **values: object) -> Markup:
    """A part of markup.html with its values, escaped unless they are `Markup`.

    >>> filled("note", text="a < b")
    '<p>a &lt; b</p>'
    """
    return Markup(
        _parts()[part].substitute({name: _escaped(each) for name, each in values.items()})
    )


def joined(parts: Iterable[Markup]) -> Markup:
    """Parts, one after another."""
    return Markup("".join(parts))


def output(*parts: Markup | None) -> str:
    """What `_repr_html_` gives: parts, and their style."""
    style = Markup((_OWN / "markup.css").read_text(encoding="utf-8"))
    return str(filled("output", style=style, body=joined(part for part in parts if part)))


def note(text: str) -> Markup:
    """A line about what is shown."""
    return filled("note", text=text)


def left_out(n: int, what: str) -> Markup | None:
    """The note of how many more there are; None for none."""
    return note(f"… {n:,} more {what}") if n > 0 else None


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """A table. Numbers stand to the right; a cell may be markup, such as a `bar`."""
    cells = [list(row) for row in rows]
    numbers = [isinstance(cell, int | float) for cell in cells[0]] if cells else [False] * len(head)
    return filled(
        "table",
        head=joined(
            filled("number_head" if is_number else "head", text=name)
            for name, is_number in zip(head, numbers, strict=True)
        ),
        rows=joined(filled("row", cells=joined(map(_cell, row))) for row in cells),
    )


def percent(share: float) -> Markup:
    """A cell with a share as a number of percent."""
    return filled("number", text=f"{share:.1%}")


def bar(share: float) -> Markup:
    """A cell with a bar, 0 <= share <= 1."""
    return filled("bar", percent=f"{100 * share:.4g}")


def marked(before: str, text: str, after: str) -> Markup:
    """A cell with a text whose middle is marked."""
    if len(text) > MOST_IN_A_CELL:
        text = f"{text[:MOST_IN_A_CELL]}…"
    before, after = before[-MOST_IN_A_CELL:], after[:MOST_IN_A_CELL]
    return filled("marked", before=before, text=text, after=after)


def passage(runs: Iterable[tuple[str, int, str]]) -> Markup:
    """A text in runs of (text, shade from 0 to 4, what is told of it), as far as it is shown."""
    return filled("passage", runs=joined(_runs(runs)))


def _runs(runs: Iterable[tuple[str, int, str]]) -> Iterator[Markup]:
    left = MOST_CHARACTERS
    for text, shade, title in runs:
        if shade or title:
            yield filled("run", text=text[:left], shade=shade, title=title)
        else:
            yield _plain(text[:left])
        left -= len(text)
        if left < 0:
            yield _plain("…")
            return


def plain(text: str) -> Markup:
    """A text without shades, and how much of it is left out."""
    shown = passage([(text[:MOST_CHARACTERS], 0, "")])
    more = left_out(len(text) - MOST_CHARACTERS, "characters")
    return joined([shown, *([more] if more else [])])


def _cell(value: object) -> Markup:
    if isinstance(value, Markup):
        return value
    if isinstance(value, float):
        return filled("number", text=f"{value:.6g}")
    if isinstance(value, int) and not isinstance(value, bool):
        return filled("number", text=f"{value:,}")
    text = str(value)
    return filled("text", text=text if len(text) <= MOST_IN_A_CELL else f"{text[:MOST_IN_A_CELL]}…")


def _escaped(value: object) -> str:
    return value if isinstance(value, Markup) else _plain(str(value))


def _plain(text: str) -> Markup:
    return Markup(html.escape(_HARMFUL.sub("\ufffd", text)))


@cache
def _parts() -> dict[str, Template]:
    _, *found = re.split(r"<!-- (\w+) -->\n", (_OWN / "markup.html").read_text(encoding="utf-8"))
    return {
        name: Template(text.removesuffix("\n"))
        for name, text in zip(found[::2], found[1::2], strict=True)
    }
