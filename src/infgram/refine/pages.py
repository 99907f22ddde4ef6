"""What web pages of texts have in common: one file, nothing fetched, light and dark."""

from __future__ import annotations

import html
import json
from string import Template


def page(*, title: str, style: str, body: str, data: object = None, script: str = "") -> str:
    """A page. `title` and `data` may hold anything; `style`, `body` and `script` are markup.

    The script finds `data` parsed.

    >>> "<title>a &lt;b&gt;</title>" in page(title="a <b>", style="", body="")
    True
    """
    return _PAGE.substitute(
        title=html.escape(title),
        style=style,
        body=body,
        data=f'<script type="application/json" id="data">{_in_script(data)}</script>\n'
        f'<script>\n"use strict";\n{_READ}{script}</script>\n'
        if script
        else "",
    )


def _in_script(data: object) -> str:
    """JSON that no text can end early or turn into markup."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    # what Unicode has for ends of lines, and half a pair, is not for a file in UTF-8
    text = text.encode("utf-8", "backslashreplace").decode()
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


_READ = 'const data = JSON.parse(document.getElementById("data").textContent);\n'

_PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
:root {
  --page: #f4f6f8; --paper: #fff; --rule: #d5dbe1; --ink: #1f2328; --quiet: #59636e;
  --blue: #0072b2; --red: #c04e00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0d1117; --paper: #151b23; --rule: #30363d; --ink: #e6edf3; --quiet: #9aa4af;
    --blue: #56b4e9; --red: #f0883e;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.2rem; max-width: 52rem; background: var(--page); color: var(--ink);
  font: 15px/1.4 "DejaVu Sans", Verdana, Helvetica, Arial, sans-serif;
}
h1 { margin: 0; font-size: clamp(1.1rem, 3vw, 1.5rem); line-height: 1.25; }
p { margin: .5rem 0; }
.quiet { color: var(--quiet); font-size: .85rem; }
pre {
  margin: .8rem 0; padding: .7rem .8rem; background: var(--paper); border: 1px solid var(--rule);
  font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace; line-height: 1.4;
}
$style</style>
</head>
<body>
$body
$data</body>
</html>
""")
