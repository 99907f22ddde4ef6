"""The site of docs/: what its pages say can be pasted runs, and its reference is whole."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path

import pytest
from pasting import blocks, commands, shell
from served import server

import infgram
import infgram.draft
import infgram.refine

DOCS = Path(__file__).parents[1] / "docs"
NAMED = ("tutorial", "how-it-works", "command-line", "python", "gallery")
# Those that need servers are pasted where those run.
HOWTO = [page for page in sorted(DOCS.glob("howto/*.md")) if page.stem not in ("cluster", "remote")]
PAGES = [*(DOCS / f"{name}.md" for name in NAMED), *HOWTO]


@pytest.mark.pages
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


@pytest.mark.pages
def test_the_page_on_engines_can_be_pasted_where_no_engine_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What needs one is run by the tests of engines; here it must at least be Python."""
    tokenizers = pytest.importorskip("tokenizers", reason="needs the extra `tokenizers`")
    monkeypatch.chdir(tmp_path)
    tokenizer = tokenizers.ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(["to be or not to be"], vocab_size=270)
    Path("path/to").mkdir(parents=True)
    tokenizer.save("path/to/tokenizer.json")
    Path("corpus.jsonl").write_text('{"text": "to be or not to be"}\n' * 3)
    run = shell(tmp_path)
    namespace: dict[str, object] = {}
    n_run = 0
    for language, block in blocks(DOCS / "drafting-engines.md"):
        if language == "python":
            code = compile(block, "drafting-engines.md", "exec")
            if not re.search(r"\b(LLM|Llama)\(", block):
                exec(code, namespace)
                n_run += 1
            continue
        for command in commands(block):
            if command.startswith("infgram "):
                run(command)
                n_run += 1
    assert n_run == 3
    assert all(Path(f"corpus.{name}").stat().st_size for name in ("lcs", "lcd"))


@pytest.mark.pages
def test_the_page_on_serving_can_be_pasted(tmp_path: Path) -> None:
    """But for clients that others wrote, which tests/test_serve_clients.py runs."""
    pytest.importorskip("uvicorn", reason="needs the extra `serve`")
    infgram.build(["to be or not to be"], tmp_path / "corpus.infgram")
    page = [commands(block) for _, block in blocks(DOCS / "serving.md")]
    (serve,), (curl,), *_ = [of for of in page if of]
    assert serve == "infgram serve corpus.infgram"
    with server(str(tmp_path / "corpus.infgram")) as running:
        asked = curl.replace("http://127.0.0.1:8000", running.address)
        assert asked != curl
        assert json.loads(shell(tmp_path)(asked))["count"] == 2


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
