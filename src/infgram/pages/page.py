"""A web page from its files: NAME.html in the frame of page.html, with NAME.css and NAME.js.

One file, nothing fetched.
Markup and styles are templates (`string.Template`); a script finds its data parsed in `data`, and
what player.js has.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import groupby
from string import Template
from typing import Any

_OWN = files(__name__.rpartition(".")[0])


def page(
    name: str,
    *,
    title: str,
    values: Mapping[str, object],
    data: Any = None,
    folder: Traversable = _OWN,
) -> str:
    """The page. `title` and `data` may hold anything; `values` are markup and fill in the files.

    `folder`: where the files of the page are.

    >>> "<title>a &lt;b&gt;</title>" in page("heat", title="a <b>", values=dict.fromkeys(
    ...     ["name", "legend", "text", "rows"], ""))
    True
    """
    script = _text(folder, f"{name}.js")
    if script:
        script = Template(_text(_OWN, "script.html")).substitute(
            data=_in_script(data), player=_text(_OWN, "player.js"), own=script
        )
    return Template(_text(_OWN, "page.html")).substitute(
        title=html.escape(title),
        style=_text(_OWN, "page.css") + _filled(folder, f"{name}.css", values),
        body=_filled(folder, f"{name}.html", values),
        script=script,
    )


def part(name: str, values: Mapping[str, object], *, folder: Traversable = _OWN) -> str:
    """A part of a page, NAME.html with its values, which are markup.

    >>> "<h2>a.txt</h2>" in part("attribution_text", {"name": "a.txt", "told": "", "text": ""})
    True
    """
    return _filled(folder, f"{name}.html", values)


def shaded(parts: Iterable[tuple[str, int]]) -> str:
    """Markup of text in parts, each with the number of its shade, of which 0 is none.

    >>> shaded([("<b", 4), (">", 4), ("!", 0)])
    "<b class='h4'>&lt;b&gt;</b>!"
    """
    runs = groupby(parts, lambda part: part[1])
    return "".join(_run("".join(text for text, _ in run), shade) for shade, run in runs)


def _run(text: str, shade: int) -> str:
    shown = html.escape("".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text))
    return f"<b class='h{shade}'>{shown}</b>" if shade else shown


def _filled(folder: Traversable, name: str, values: Mapping[str, object]) -> str:
    return Template(_text(folder, name)).substitute(values)


def _text(folder: Traversable, name: str) -> str:
    """What a file holds; nothing if there is none."""
    file = folder / name
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def _in_script(data: object) -> str:
    """JSON that no text can end early or turn into markup."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    # what Unicode has for ends of lines, and half a pair, is not for a file in UTF-8
    text = text.encode("utf-8", "backslashreplace").decode()
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")
