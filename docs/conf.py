"""How Sphinx makes the site of docs/. `make docs` calls it; what it makes is not committed."""

from __future__ import annotations

import os
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE))

project = "infgram"
project_copyright = "2026 the infgram authors"
version = release = metadata.version("infgram")
extensions = [
    "gallery",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"infgram {release}"
html_copy_source = False

# Headings are anchors, so that [text](page.md#heading) is checked.
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]
# A prompt is not copied with the command behind it.
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True

autodoc_mock_imports = ["torch", "safetensors", "transformers"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "inherited-members": False, "show-inheritance": False}
python_use_unqualified_type_names = True

nitpicky = False
linkcheck_anchors = False


# What lies elsewhere in the repository and has a page here: by its path, with the page.
_PAGES = {
    "README.md": "install",
    "CHANGELOG.md": "changelog",
    "bench/README.md": "benches",
    "bench/results/report.md": "results",
}
_WHOLE = {page: ROOT / path for path, page in _PAGES.items() if page != "install"}


def read(app: Any, page: str, source: list[str]) -> None:
    """Shows files of the repository as pages; links between files become links between pages."""
    path = _WHOLE.get(page, HERE / f"{page}.md")
    here = (HERE / page).parent

    def linked(found: re.Match[str]) -> str:
        target, anchor = found[1], found[2] or ""
        whole = (path.parent / target).resolve()
        if "://" in target or not whole.exists():
            return found[0]
        named = _PAGES.get(whole.relative_to(ROOT).as_posix())
        if named:
            whole, anchor = HERE / f"{named}.md", "" if named == "install" else anchor
        return f"]({os.path.relpath(whole, here)}{anchor})"

    text = path.read_text("utf-8") if page in _WHOLE else source[0]
    source[0] = re.sub(r"\]\(([^)#\s]+)(#[^)\s]*)?\)", linked, text)


def literals(app: Any, what: str, name: str, found: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are plain text: `names` are code in them, and not roles of Sphinx."""
    for i, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            lines[i] = re.sub(r"(?<![`:\w])`([^`\n]+)`(?!`)", r"``\1``", line)


def setup(app: Any) -> None:
    app.connect("source-read", read)
    app.connect("autodoc-process-docstring", literals)
