"""How this very infgram is typed in the shell that started it, and how paths are."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path


def program() -> str:
    """`infgram` by its name where the shell finds it, else by its path, or as a module."""
    script = Path(sys.argv[0])
    if script.name != "infgram" or not script.is_file():
        return f"{_runnable(Path(sys.executable))} -m infgram_cli"
    found = shutil.which("infgram")
    return "infgram" if found and os.path.samefile(found, script) else _runnable(script)


def path(where: Path) -> str:
    """Relative to this folder or to ~ where that is shorter, and quoted where it has to be."""
    full = Path(os.path.abspath(where))  # not resolved: .venv/bin/python is a link
    if full.is_relative_to(Path.cwd()):
        return quoted(str(full.relative_to(Path.cwd())))
    home = os.path.expanduser("~")
    if full != Path(home) and full.is_relative_to(home):
        return f"~/{quoted(str(full.relative_to(home)))}"
    return quoted(str(full))


def quoted(word: str) -> str:
    r"""A word as a shell reads it, quoted where it has to be; what does not print as escapes.

    >>> print(quoted("a.txt"), quoted("it's"), quoted("caf\udce9\n"))
    a.txt 'it'"'"'s' $'caf\xe9\n'
    """
    if word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(map(_escaped, word)) + "'"


def _escaped(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character.isprintable():
        return character
    if character in _SHORT:
        return _SHORT[character]
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))


_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def _runnable(script: Path) -> str:
    """A shell looks for a name without a slash elsewhere."""
    typed = path(script)
    return typed if "/" in typed else f"./{typed}"
