"""What the documentation says is so: its code runs, and importing the package stays light."""

from __future__ import annotations

import doctest
import importlib
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import infgram_bench
import numpy as np
import pytest

import infgram
import infgram.draft
import infgram.refine

ROOT = Path(__file__).parents[1]
MODULES = [f"infgram.{m.name}" for m in pkgutil.iter_modules(infgram.__path__)]
MODULES += ["infgram_cli.output"]
DRAFT_WITH_TORCH = ["huggingface", "profile", "speed", "verify_torch"]  # in their own tests
DRAFT = [m.name for m in pkgutil.iter_modules(infgram.draft.__path__)]
MODULES += [f"infgram.draft.{name}" for name in DRAFT if name not in DRAFT_WITH_TORCH]
REFINE_WITH_TORCH = ["checkpoint", "device", "evidence", "model", "muon", "rewrite", "score"]
REFINE_WITH_TORCH += ["train"]
REFINE = [m.name for m in pkgutil.iter_modules(infgram.refine.__path__)]
MODULES += [f"infgram.refine.{name}" for name in REFINE if name not in REFINE_WITH_TORCH]
NEED_TORCH = ["drafting_loops", "gpt", "refining_judges", "refining_measure", "training"]
BENCH = [m.name for m in pkgutil.iter_modules(infgram_bench.__path__) if m.name not in NEED_TORCH]
MODULES += [f"infgram_bench.{name}" for name in BENCH]
WITHOUT_EXAMPLES = ["infgram.build", "infgram.errors", "infgram.storage", "infgram.draft.session"]
WITHOUT_EXAMPLES += [f"infgram.refine.{name}" for name in ("asked", "masks", "strategies", "texts")]
WITH_EXAMPLES = ["animation", "findings", "growth"]  # of the benchmarks
WITHOUT_EXAMPLES += [f"infgram_bench.{name}" for name in BENCH if name not in WITH_EXAMPLES]
DEMO = b"to be or not to be\nbe"


@pytest.fixture
def demo_index(tmp_path: Path) -> Path:
    (tmp_path / "demo.txt").write_bytes(DEMO)
    return infgram.build(tmp_path / "demo.txt", tmp_path / "demo.infgram", two_sided=True).path


@pytest.mark.parametrize("name", [m for m in MODULES if not m.endswith("_core")])
def test_docstring_examples_run(name: str, demo_index: Path) -> None:
    module = importlib.import_module(name)
    names = {"demo_index": demo_index, "np": np, "infgram": infgram}
    result = doctest.testmod(module, extraglobs=names)
    assert result.failed == 0
    assert result.attempted > 0 or name in WITHOUT_EXAMPLES


def test_every_public_name_is_explained() -> None:
    for name in infgram.__all__:
        assert getattr(infgram, name).__doc__, name


def code_blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / "README.md").read_text(), re.S | re.M)


def test_the_readmes_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("corpus.txt").write_bytes(b"First Citizen:\nto be or not to be\nROMEO: to be\n" * 50)
    blocks = code_blocks("python")
    assert blocks
    namespace: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), namespace)


def test_the_readmes_commands_run(tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_bytes(
        b"First Citizen:\nto be or not to be\nROMEO: to be\n" * 50
    )
    blocks = [b for b in code_blocks("console") if "infgram" in b]
    assert blocks
    commands = [
        line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ infgram")
    ]
    assert len(commands) >= 5
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command in commands:
        if "demo" in command:
            continue  # it has tests of its own
        subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, check=True, env={**os.environ, "PATH": path}
        )


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
