"""What the documentation says is so: its code runs, and importing the package stays light."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import pydoc
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import infgram_bench
import pytest
from infgram_bench import corpora
from pasting import blocks, commands, shell

import infgram
import infgram.draft
import infgram.refine

ROOT = Path(__file__).parents[1]
# The one list of who imports PyTorch, which is not here: their examples are in their own tests.
NEED_TORCH = {
    pair.partition(" -> ")[0].removesuffix(".*")
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    for pair in contract.get("ignore_imports", ())
    if pair.endswith((" -> torch", " -> transformers"))
} | {
    "infgram.refine.rewrite",
    "infgram_bench.refining_measure",
    "infgram_bench.gpu_measure",
}  # their examples need it
MODULES = ["infgram_cli.output", "infgram_cli.given", "infgram_cli.plan"] + [
    module.name
    for package in (infgram, infgram_bench)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not f"{module.name}.".startswith(tuple(f"{name}." for name in NEED_TORCH))
    if not module.name.endswith("_core")
]
# Nobody calls them but infgram itself, or they are packages that say what is in them.
WITHOUT_EXAMPLES = {
    *(f"infgram.{room}" for room in ("models", "pages", "store", "text", "tracing", "values")),
    *("infgram.native", "infgram.models.mix", "infgram.text.tokenizing"),
    *(
        "infgram._moved",
        "infgram.errors",
        "infgram.text.tokenizing.tiktoken",  # its encodings come from the network
        "infgram.draft.session",
        "infgram.draft.turns",
        "infgram.draft.engines",
    ),
    *(f"infgram.refine.{name}" for name in ("editing", "network", "strategies", "working_text")),
    "infgram.refine.network.masks",
    "infgram.serve",
    *(f"infgram.cluster{n}" for n in ("", ".engine", ".holder")),
    *("infgram.remote", "infgram.remote.text"),
    *(f"infgram.serve.{n}" for n in ("attributing", "completions", "explore", "pages", "run")),
    *(f"infgram.serve.{n}" for n in ("streams", "tokenizing")),
}
BENCH_WITH_EXAMPLES = {
    f"infgram_bench.{n}" for n in ("animation", "failures", "findings", "growth")
}
WITHOUT_EXAMPLES |= {
    name
    for name in MODULES
    if name.startswith(("infgram.store.", "infgram.refine.strategies."))
    or (name.startswith("infgram_bench.") and name not in BENCH_WITH_EXAMPLES)
}


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # some write files, and some read one
    Path("README.md").write_text("to be")
    module = importlib.import_module(name)
    result = doctest.testmod(module)
    assert result.failed == 0
    assert result.attempted > 0 or name in WITHOUT_EXAMPLES


PUBLIC = [infgram, infgram.draft, infgram.refine]
# Their examples are of a refiner that somebody has trained: tests/test_refine_rewrite.py runs them.
OF_A_REFINER = {"infgram.refine.refine", "infgram.refine.refine_many"}
NAMES = [
    (package, name)
    for package in PUBLIC
    for name in package.__all__
    if f"{package.__name__}.{name}" not in {"infgram.refine.Scorer", "infgram.refine.train"}
]


def test_every_public_name_is_explained() -> None:
    for package, name in NAMES:
        assert getattr(package, name).__doc__, name


def members(thing: Any) -> Iterator[tuple[str, Any]]:
    """What is public of a class, with what it inherits from infgram's own."""
    for kind in thing.__mro__ if isinstance(thing, type) else ():
        if kind.__module__.startswith("infgram"):
            for name, member in vars(kind).items():
                if not name.startswith("_"):
                    yield name, getattr(member, "func", member)  # what a cached_property is of


def examples(name: str, docstring: str | None, line: int = 0) -> doctest.DocTest:
    return doctest.DocTestParser().get_doctest(docstring or "", {}, name, name, line)


@pytest.mark.parametrize(("package", "name"), NAMES, ids=[name for _, name in NAMES])
def test_examples_of_public_names_can_be_pasted_into_a_shell(
    package: ModuleType, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each docstring's by itself, where nothing is defined and nothing was imported."""
    monkeypatch.chdir(tmp_path)
    thing = getattr(package, name)
    full = f"{package.__name__}.{name}"
    found = [(full, thing), *((f"{full}.{each}", member) for each, member in members(thing))]
    for each, documented in found:
        if each not in OF_A_REFINER and isinstance(documented.__doc__, str):
            runner = doctest.DocTestRunner()
            runner.run(examples(each, documented.__doc__))
            assert runner.failures == 0, each


@pytest.mark.parametrize("package", PUBLIC, ids=lambda package: package.__name__)
def test_examples_of_packages_can_be_pasted_into_a_shell(package: ModuleType) -> None:
    runner = doctest.DocTestRunner()
    runner.run(examples(package.__name__, package.__doc__))
    assert runner.failures == 0
    assert runner.tries or package is infgram


def test_help_names_the_attributes_of_what_users_hold() -> None:
    index = infgram.build(["to be or not to be"])
    drafter = infgram.draft.Drafter(index)
    held = [
        index,
        index.cursor("to"),
        infgram.Model(index),
        infgram.KneserNey(),
        infgram.SBIS(),
        index.ntd("to"),
        index.find("to")[0],
        infgram.generate(index, max_tokens=3),
        drafter,
        infgram.draft.TextDrafter(index, tokenizer="chars"),
        infgram.refine.Proposer(index),
    ]
    for each in held:
        shown = pydoc.plain(pydoc.render_doc(type(each)))
        slots = [name for kind in type(each).__mro__ for name in getattr(kind, "__slots__", ())]
        for name in [*getattr(each, "__dict__", ()), *slots]:
            if not name.startswith("_"):
                assert f"`{name}`" in shown or re.search(rf"\|  {name}\b", shown), name


def test_the_readme_can_be_pasted_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Into an empty folder, but for what installs; with little text, so that it is quick."""
    monkeypatch.chdir(tmp_path)
    run = shell(tmp_path)
    namespace: dict[str, object] = {}
    n_run = 0
    for language, block in blocks(ROOT / "README.md"):
        if language == "python":
            exec(compile(block, "README.md", "exec"), namespace)
            continue
        for command in commands(block):
            # A release's README installs by name; the demo has a test of its own.
            if command.startswith(("make ", "pip ", "infgram demo")):
                continue
            run(command)
            n_run += 1
            if command.startswith("python3 "):
                corpus = Path("corpus.txt").read_bytes()
                Path("corpus.txt").write_bytes(corpus[:20_000])
    assert n_run == 3
    assert len(corpus) > 100_000 and corpus.count(b" the ") > 1_000  # English


def test_the_readme_says_where_tiny_shakespeare_is() -> None:
    (address,) = re.findall(r"`curl -fsSo \S+ (\S+)`", (ROOT / "README.md").read_text())
    assert address == corpora._SHAKESPEARE_URL


def test_links_have_words_also_where_no_site_adds_them() -> None:
    for page in [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "bench").glob("*.md"),
    ]:
        assert "[](" not in page.read_text(encoding="utf-8"), page


def test_importing_pulls_in_numpy_and_nothing_optional() -> None:
    optional = ["click", "rich", "pydivsufsort", "torch", "pyarrow", "tokenizers", "tiktoken"]
    script = f"""
import sys, infgram
print([name for name in {[*optional, "zstandard", "transformers"]} if name in sys.modules])
"""
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert found[-1] == "[]"


def test_the_types_are_shipped() -> None:
    assert (Path(infgram.__file__).parent / "py.typed").is_file()


@pytest.mark.parametrize(("page", "n"), [("README.md", 7), ("bench/README.md", 40)])
def test_figures_are_those_of_the_results_and_fit_a_terminal(page: str, n: int) -> None:
    """Nothing is typed in: `make figures` writes them."""
    from infgram_bench import answers, summary

    text = (ROOT / page).read_text()
    results = answers.read(ROOT / "bench" / "results" / "results.json")
    assert summary.replace(text, results) == text
    shown = text.partition("written by `make figures` -->")[2].partition("<!-- end of")[0]
    rows = [line for line in shown.splitlines() if line.startswith("| ")]
    assert len(rows) >= n
    assert max(map(len, rows)) <= 80
