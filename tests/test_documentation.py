"""What the documentation says is so: its code runs, and importing the package stays light."""

from __future__ import annotations

import doctest
import importlib
import os
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import infgram_bench
import numpy as np
import pytest
from infgram_bench import corpora

import infgram

ROOT = Path(__file__).parents[1]
# The one list of who imports PyTorch, which is not here: their examples are in their own tests.
NEED_TORCH = {
    pair.partition(" -> ")[0]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    for pair in contract.get("ignore_imports", ())
    if pair.endswith((" -> torch", " -> transformers"))
} | {"infgram.refine.rewrite", "infgram_bench.refining_measure"}  # their examples need it
MODULES = ["infgram_cli.output"] + [
    module.name
    for package in (infgram, infgram_bench)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if module.name not in NEED_TORCH and not module.name.endswith("_core")
]
# Nobody calls them but infgram itself, or they are packages that say what is in them.
WITHOUT_EXAMPLES = {
    *(
        f"infgram.{room}"
        for room in ("models", "pages", "store", "text", "text.tokenizing", "tracing", "native")
    ),
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
DEMO = b"to be or not to be\nbe"


@pytest.fixture
def demo_index(tmp_path: Path) -> Path:
    (tmp_path / "demo.txt").write_bytes(DEMO)
    return infgram.build(tmp_path / "demo.txt", tmp_path / "demo.infgram", two_sided=True).path


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_run(name: str, demo_index: Path) -> None:
    module = importlib.import_module(name)
    names = {"demo_index": demo_index, "np": np, "infgram": infgram}
    result = doctest.testmod(module, extraglobs=names)
    assert result.failed == 0
    assert result.attempted > 0 or name in WITHOUT_EXAMPLES


def test_every_public_name_is_explained() -> None:
    for name in infgram.__all__:
        assert getattr(infgram, name).__doc__, name


def blocks() -> list[tuple[str, str]]:
    """Language and content of each block of code in the README, in order."""
    readme = (ROOT / "README.md").read_text()
    return re.findall(r"^```(\w+)\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)


def commands(block: str) -> list[str]:
    return [line[2:] for line in block.splitlines() if line.startswith("$ ")]


FETCH, PRINT = "curl ", "python3 "  # how the commands begin that make corpus.txt
PLAY = b"First Citizen:\nto be or not to be\nROMEO: to be\n" * 50


def shell(folder: Path, *first: Path) -> Callable[[str], None]:
    """Runs commands in a folder, as a shell that finds infgram and, before all, what is in `first`.

    A command that fails fails the test.
    """
    places = [*map(str, first), str(Path(sys.executable).parent), os.environ["PATH"]]
    environment = {**os.environ, "PATH": os.pathsep.join(places)}

    def run(command: str) -> None:
        subprocess.run(
            ["bash", "-o", "pipefail", "-c", command], cwd=folder, check=True, env=environment
        )

    return run


@pytest.mark.parametrize("text", [FETCH, PRINT])
def test_the_readme_can_be_pasted_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """Into an empty folder, but for `make`, with either text; little of it, so that it is quick."""
    (tmp_path / "bin").mkdir()
    curl = tmp_path / "bin" / "curl"
    curl.write_text('#!/bin/sh\n[ "$1" = -fsSo ] && cp ../play "$2" && echo "$3" > ../address\n')
    curl.chmod(0o755)
    (tmp_path / "play").write_bytes(PLAY)
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    run = shell(folder, tmp_path / "bin")
    namespace: dict[str, object] = {}
    n_run = 0
    for language, block in blocks():
        if language == "python":
            exec(compile(block, "README.md", "exec"), namespace)
            continue
        for command in commands(block):
            if command.startswith(("make ", {FETCH: PRINT, PRINT: FETCH}[text])):
                continue
            run(command)
            n_run += 1
            if command.startswith(text):
                corpus = Path("corpus.txt").read_bytes()
                Path("corpus.txt").write_bytes(corpus[:20_000])
    assert n_run > 10
    if text == FETCH:
        assert corpus == PLAY
        assert (tmp_path / "address").read_text().strip() == corpora._SHAKESPEARE_URL
    else:
        assert len(corpus) > 100_000 and corpus.count(b" the ") > 1_000  # English


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


def test_the_readmes_figures_are_those_of_the_results() -> None:
    """Nothing is typed in: `make figures` writes them."""
    from infgram_bench import answers, summary

    readme = (ROOT / "README.md").read_text()
    results = answers.read(ROOT / "bench" / "results" / "results.json")
    assert summary.replace(readme, summary.summary(results)) == readme
