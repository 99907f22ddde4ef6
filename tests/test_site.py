"""The site of docs/: what its pages say can be pasted runs, and its reference is whole."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from pasting import blocks, commands, shell

import infgram
import infgram.draft
import infgram.refine

DOCS = Path(__file__).parents[1] / "docs"
NAMED = ("tutorial", "how-it-works", "command-line", "python")
PAGES = [*(DOCS / f"{name}.md" for name in NAMED), *sorted(DOCS.glob("howto/*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_can_be_pasted_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: Path
) -> None:
    """Into an empty folder, where nothing was defined."""
    monkeypatch.chdir(tmp_path)
    run = shell(tmp_path)
    namespace: dict[str, object] = {}
    n_run = 0
    for language, block in blocks(page):
        if language == "python":
            exec(compile(block, page.name, "exec"), namespace)
            n_run += 1
        elif language == "console":
            for command in commands(block):
                run(command)
                n_run += 1
    assert n_run >= 3


@pytest.mark.parametrize("package", [infgram, infgram.draft, infgram.refine])
def test_the_reference_has_every_public_name_once(package: object) -> None:
    name = package.__name__  # type: ignore[attr-defined]
    pages = "".join(page.read_text("utf-8") for page in DOCS.glob("api/*.md"))
    shown = re.findall(rf"auto(?:class|function):: {re.escape(name)}\.(\w+)$", pages, re.M)
    public = set(importlib.import_module(name).__all__) - {"InfgramError", "__version__"}
    assert sorted(shown) == sorted(public)


def test_every_page_is_in_a_table_of_contents() -> None:
    listed = set()
    for page in DOCS.rglob("*.md"):
        for block in re.findall(
            r"^```\{toctree\}\n(.*?)^```", page.read_text("utf-8"), re.S | re.M
        ):
            names = [line for line in block.splitlines() if line and not line.startswith(":")]
            listed |= {(page.parent / f"{name}.md").resolve() for name in names}
    assert {page.resolve() for page in DOCS.rglob("*.md")} - listed == {DOCS.resolve() / "index.md"}
