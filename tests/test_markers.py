"""Tests carry the marker `torch` exactly where they ask for PyTorch: it alone chooses them.

What a test asks for is read from its source: it, its module, or a fixture or helper of its module
imports torch or transformers, or is skipped without.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

import pytest

MODULES = sorted(Path(__file__).parent.glob("test_*.py"))
HEAVY = {"torch", "transformers"}
MARK = "pytest.mark.torch"
Function = ast.FunctionDef


def asks(nodes: Iterable[ast.AST]) -> bool:
    return any(HEAVY & set(imported(node)) for top in nodes for node in ast.walk(top))


def imported(node: ast.AST) -> list[str]:
    """The packages that this imports, or cannot do without."""
    match node:
        case ast.Import():
            names = [alias.name for alias in node.names]
        case ast.ImportFrom(module=str(name)):
            names = [name]
        case ast.Call(func=ast.Attribute(attr="importorskip"), args=[ast.Constant(str(name)), *_]):
            names = [name]
        case _:
            names = []
    return [name.split(".")[0] for name in names]


def names_in(function: Function) -> set[str]:
    """Of the fixtures that it takes, the functions that it calls, and all else."""
    names = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    return names | {argument.arg for argument in function.args.args}


def that_ask(module: ast.Module) -> set[str]:
    """Functions that ask for torch: themselves, by a fixture or a helper, or as their module."""
    functions = [node for node in module.body if isinstance(node, Function)]
    if asks(node for node in module.body if not isinstance(node, Function)):
        return {function.name for function in functions}
    found = {function.name for function in functions if asks([function])}
    while more := {f.name for f in functions if names_in(f) & found} - found:
        found |= more
    return found


def that_are_marked(module: ast.Module) -> set[str]:
    functions = [node for node in module.body if isinstance(node, Function)]
    if any(
        isinstance(node, ast.Assign) and ast.unparse(node) == f"pytestmark = {MARK}"
        for node in module.body
    ):
        return {function.name for function in functions}
    return {f.name for f in functions if MARK in map(ast.unparse, f.decorator_list)}


def only_tests(names: set[str]) -> list[str]:
    return sorted(name for name in names if name.startswith("test_"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_who_asks_for_torch_is_marked_and_nobody_else(path: Path) -> None:
    module = ast.parse(path.read_text(encoding="utf-8"))
    assert only_tests(that_ask(module)) == only_tests(that_are_marked(module))


SOURCE = """
import pytest
{at_the_top}
@pytest.fixture
def model():
    import {package}.nn
@pytest.fixture
def trained(model): ...
def helper():
    import {package}
def test_a(trained): ...
def test_b(tmp_path): ...
def test_c():
    helper()
"""
ALL = ["test_a", "test_b", "test_c"]


@pytest.mark.parametrize(
    ("at_the_top", "package", "expected"),
    [
        ("", "torch", ["test_a", "test_c"]),
        ("", "numpy", []),
        ('torch = pytest.importorskip("torch", reason="x")', "numpy", ALL),
        ("from transformers import GPT2Config", "numpy", ALL),
    ],
)
def test_what_asks_for_torch_is_found(at_the_top: str, package: str, expected: list[str]) -> None:
    module = ast.parse(SOURCE.format(at_the_top=at_the_top, package=package))
    assert only_tests(that_ask(module)) == expected
    assert that_are_marked(module) == set()
