"""What the code says of itself is true: who imports what, which layers there are, which files."""

from __future__ import annotations

import ast
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import infgram_bench
import infgram_cli
import pytest

import infgram
from infgram import _moved

ROOT = Path(__file__).parents[1]
PACKAGES = {"infgram": "src", "infgram_cli": "cli", "infgram_bench": "bench"}
HEADERS = sorted((ROOT / "csrc").rglob("*.hpp"))


@cache
def modules() -> dict[str, Path]:
    """The files of the three packages, by the names of their modules."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in (ROOT / folder / package).rglob("*.py"):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            found[".".join(parts).removesuffix(".__init__")] = path
    return found


@cache
def imported(name: str) -> tuple[str, ...]:
    """All that a module imports, at its top or later, but for types alone."""
    return tuple(imports(name))


def imports(name: str) -> Iterator[str]:
    path = modules()[name]
    package = name if path.stem == "__init__" else name.rpartition(".")[0]
    for node in nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            base = parents[: len(parents) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                full = f"{source}.{alias.name}"
                yield full if full in modules() or alias.name == "_core" else source


def nodes(tree: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from nodes(child)


def test_no_name_is_a_module_and_something_else() -> None:
    for package in (infgram, infgram_cli, infgram_bench):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            parent, _, name = found.name.rpartition(".")
            if parent in sys.modules and name in vars(sys.modules[parent]):
                assert vars(sys.modules[parent])[name] is sys.modules.get(found.name), found.name


def test_only_public_names_are_listed() -> None:
    assert dir(infgram) == sorted(infgram.__all__)
    assert all(hasattr(infgram, name) for name in infgram.__all__)


def test_every_module_can_be_reloaded() -> None:
    """In a process of its own: what is reloaded is another class than it was."""
    script = """
import importlib, sys
for name in sys.argv[1:]:
    try:
        module = importlib.import_module(name)
    except ImportError:  # an extra that is not there
        continue
    assert importlib.reload(module) is module, name
"""
    names = [name for name in modules() if not name.endswith("__main__")]
    subprocess.run([sys.executable, "-c", script, *names], check=True)


def test_one_file_alone_imports_the_native_core() -> None:
    found = {name for name in modules() if "infgram._core" in imported(name)}
    assert found == {"infgram.native"}


def test_no_files_import_each_other_in_a_circle() -> None:
    graph = {
        name: {target for target in imported(name) if target in modules() and target != name}
        for name in modules()
    }
    # A package's own file is imported before any file in it; it may import them.
    finished: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in finished:
            for target in graph[name]:
                visit(target, (*path, name))
            finished.add(name)

    for name in graph:
        visit(name, ())


def claims() -> list[tuple[str, str]]:
    """(module, package) wherever a module says that it is alone in importing one."""
    found = []
    for name, path in modules().items():
        opening = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        for words in re.findall(r"[Aa]lone (?:\w+ \w+ )?in importing ([^.;:]+)", opening):
            found += [(name, package) for package in re.findall(r"\w+", words)]
    return found


IMPORT_NAMES = {"pillow": "PIL", "pytorch": "torch"}


@pytest.mark.parametrize(("name", "package"), claims())
def test_who_says_to_be_alone_in_importing_something_is(name: str, package: str) -> None:
    package = IMPORT_NAMES.get(package.lower(), package)
    others = {
        other
        for other in modules()
        if any(target.split(".")[0] == package for target in imported(other))
    }
    room = modules()[name].stem == "__init__" and f"{name}."
    mine = {other for other in others if other == name or (room and other.startswith(room))}
    assert mine
    assert {other for other in others - mine if other.split(".")[0] == name.split(".")[0]} == set()


NAMED = re.compile(
    r"(?<![\w/.*-])(?:[\w-]+/)*[\w-]+\.(?:py|hpp|cpp|md|toml|css|js|html)\b(?![\w(])"
)
# Of others, or made while it runs.
ELSEWHERE = {
    "model.py",
    "manifest.py",
    "report.md",
    "out.html",
    "made.html",
    "refined.html",
    "NAME.html",
}
ELSEWHERE |= {"NAME.css", "NAME.js", "sample.py", "llama.cpp", "out/report.md"}
ELSEWHERE |= {"config/train_shakespeare_char.py", "ngram-cache.cpp"}
ELSEWHERE |= {"tests/fixtures/chat-history.md"}  # of aider-chat


@cache
def files() -> frozenset[str]:
    folders = [
        ROOT / name
        for name in ("src", "cli", "bench", "csrc", "docs", "playground", "tests", "tools")
    ]
    found = [*ROOT.glob("*.*"), *(path for folder in folders for path in folder.rglob("*.*"))]
    return frozenset(str(path.relative_to(ROOT)) for path in found)


def texts() -> Iterator[Path]:
    yield from modules().values()
    yield from HEADERS
    for pattern in ("csrc/**/*.cpp", "docs/*.md", "*.md", "bench/*.md", "tests/*.py"):
        yield from ROOT.glob(pattern)


def comments(path: Path) -> str:
    """What a file says: docstrings and comments of code, all of a document."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        strings = (
            ast.get_docstring(node) or ""
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        )
        return "\n".join([*strings, *re.findall(r"#.*", text)])
    return text if path.suffix == ".md" else "\n".join(re.findall(r"//.*", text))


@pytest.mark.parametrize("path", [p for p in texts() if p.name != "CHANGELOG.md"], ids=str)
def test_files_that_are_named_are_there(path: Path) -> None:
    for name in set(NAMED.findall(comments(path))) - ELSEWHERE:
        near = path.parent / name
        assert near.exists() or any(
            file == name or file.endswith(f"/{name}") for file in files()
        ), f"{path.relative_to(ROOT)} names {name}"


@pytest.mark.parametrize("header", HEADERS, ids=lambda path: path.name)
def test_every_header_says_what_threads_may_do(header: Path) -> None:
    assert re.search(r"^// .*[Tt]hread", header.read_text(), re.MULTILINE), header


CORE = ["rows", "contexts", "tracing", "models", "draft", "refine"]
APART = {"tracing", "draft", "refine"}  # they do not meet, and nothing else includes them


def test_the_rooms_of_the_core_include_only_what_stands_below_them() -> None:
    folder = ROOT / "csrc" / "infgram"
    graph = {
        str(header.relative_to(folder)): re.findall(r'#include "infgram/(.*)"', header.read_text())
        for header in HEADERS
        if header.is_relative_to(folder)
    }
    assert {name.partition("/")[0] for name in graph} == set(CORE)
    for name, included in graph.items():
        room = name.partition("/")[0]
        below = {other for other in CORE[: CORE.index(room)] if other not in APART}
        assert {other.partition("/")[0] for other in included} <= {room, *below}, name

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path, name])
        for other in graph[name]:
            visit(other, (*path, name))

    for name in graph:
        visit(name, ())


def drawn(contract: dict[str, object]) -> list[str]:
    """The layers of a contract, lowest first."""
    assert isinstance(contract["layers"], list)
    rows = [
        ", ".join(name.rpartition(".")[2] for name in layer.split(" : "))
        for layer in contract["layers"]
    ]
    return rows[::-1]


def test_the_layers_in_the_documentation_are_those_that_are_checked() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    design = (ROOT / "docs" / "design.md").read_text()
    layered = [contract for contract in contracts if contract["type"] == "layers"]
    assert len(layered) >= 3
    for contract in layered:
        at = 0
        for row in drawn(contract):
            found = re.search(rf"^ *{re.escape(row)}(?=  |$)", design[at:], re.MULTILINE)
            assert found, f"{row} is not drawn, or not above what it stands on"
            at += found.end()


def test_modules_that_moved_are_found_by_their_old_names_with_a_warning() -> None:
    """In a process of its own: who has found one once is not warned again."""
    assert all(now in modules() and name not in modules() for name, now in _moved.NOW.items())
    script = """
import importlib, warnings
from infgram import _moved
for name, now in _moved.NOW.items():
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        try:
            exec(f"import {name} as old")
        except ImportError as error:  # an extra that is not there
            assert "pip install" in str(error), error
            continue
    new = importlib.import_module(now)
    assert old is new and new.__spec__.name == now
    assert [f"{name} is {now} now" in str(each.message) for each in found] == [True], found
    assert found[0].filename == "<string>" and found[0].category is DeprecationWarning
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_every_room_says_what_lives_there() -> None:
    for name, path in modules().items():
        if path.stem == "__init__" and name not in ("infgram_cli", "infgram_bench"):
            said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            assert len(said.split(". ")) >= 2, name
