"""English that every Python has: its manual, and what its modules say of themselves.

Only prose is taken, whole paragraphs of it, each once and on one line: a text whose lines were
broken by hand teaches an index to break lines.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path

_SENTENCES = re.compile(r"[A-Z][^=<>\[\]{}|\\]*[.:?!]")
_MIN_WORDS = 8
_MIN_LETTERS = 0.85
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def write(folder: Path, modules: Iterable[Path]) -> int:
    """Writes a file a chapter of the manual, and a file a module; returns how many bytes."""
    seen: set[str] = set()
    n_bytes = 0
    for name, text in _texts(modules):
        new = [each for each in _prose(text) if each not in seen]
        seen.update(new)
        if new:
            path = folder / f"{name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            n_bytes += path.write_bytes("".join(f"{each}\n\n" for each in new).encode())
    return n_bytes


def _texts(modules: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """Names below the folder, and texts."""
    for topic, text in sorted(_manual().items()):
        yield f"manual/{topic}", text
    for module in modules:
        yield f"docstrings/{module.stem}", "\n\n".join(_docstrings(module.read_bytes()))


def _manual() -> dict[str, str]:
    """Chapters by topic; none where a distribution leaves them out."""
    try:
        topics: dict[str, str] = import_module("pydoc_data.topics").topics
    except ImportError:
        return {}
    return topics


def _docstrings(source: bytes) -> Iterator[str]:
    """Of a module, its classes and its functions, outermost first."""
    nodes: list[ast.AST] = [ast.parse(source)]
    while nodes:
        node = nodes.pop(0)
        if isinstance(node, _DOCUMENTED):
            yield ast.get_docstring(node) or ""
            nodes += node.body


def _prose(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", text):
        line = " ".join(paragraph.split())
        if line.count(" ") >= _MIN_WORDS - 1 and _SENTENCES.fullmatch(line):
            n_letters = sum(character.isalpha() or character == " " for character in line)
            if n_letters > _MIN_LETTERS * len(line):
                yield line
