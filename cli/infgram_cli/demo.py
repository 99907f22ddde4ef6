"""infgram demo: a tour of the commands, each one typed and run, on text that every Python has.

The folder of a demo belongs to it: each run makes it anew, and it is gone where a run is not whole.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import english, typed
from .exits import NOT_FOUND
from .options import output_option, seed_option_with

if TYPE_CHECKING:
    from rich.console import Console

_LEARNT = "[a-s]*.py"  # of the library; an index of these has not seen
_UNSEEN = "textwrap.py"
_N_PROMPT = 1_500  # characters of it that a neural model is given
_N_TEXTS = 2_000
_TAG = (  # programs that make backups leave a folder with such a file out
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# Made by `infgram demo`. Remove it at will; the next demo here replaces it.\n"
)


@click.command(
    epilog="""\b
Examples:
  infgram demo
  infgram demo -o try --seed 2
"""
)
@output_option(
    "a folder for texts and indexes, 40 MB in all; an older demo there is replaced.",
    shown="infgram/demo in your cache",
)
@seed_option_with(1)
def demo(output: Path | None, seed: int) -> None:
    """Show what infgram does, on Python's own manual.

    The demo prints each command as you would type it, then runs it. It downloads nothing, writes
    only to its own folder, and takes less than a minute.
    """
    from .output import stdout

    library = Path(sysconfig.get_path("stdlib"))
    if not (library / _UNSEEN).is_file():
        raise click.ClickException(
            f"there is no {library / _UNSEEN}: the demo reads the sources of the library, "
            "so run it with a Python that has them"
        )
    with _own_folder(output or _cache() / "demo") as folder:
        _show(stdout(), folder, library, seed)


# The folder ---------------------------------------------------------------------------------------


def _cache() -> Path:
    from infgram.store.system import cache_folder

    cache = cache_folder()
    if cache is None:
        raise click.ClickException("you have no home folder: name a folder with -o")
    return cache


@contextlib.contextmanager
def _own_folder(folder: Path) -> Iterator[Path]:
    """An empty folder; neither it nor parents that had to be made stay if the demo ends early."""
    tag = folder / "CACHEDIR.TAG"
    if folder.is_dir() and any(folder.iterdir()):
        if not tag.is_file() or tag.read_text() != _TAG:
            raise click.ClickException(
                f"{folder} holds files that no demo has made: name a new folder with -o"
            )
        shutil.rmtree(folder)
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tag.write_text(_TAG)
        except OSError as error:
            raise click.ClickException(
                f"{folder} cannot be made ({error.strerror}): name another folder with -o"
            ) from error
        yield folder
    except BaseException:
        shutil.rmtree(missing[-1] if missing else folder, ignore_errors=True)
        raise


# The tour -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Modules:
    """Those of the library that are learnt from, which a shell finds by a pattern."""

    library: Path

    def paths(self) -> list[str]:
        return sorted(map(str, self.library.glob(_LEARNT)))


_Argument = str | Path | _Modules


def _show(console: Console, folder: Path, library: Path, seed: int) -> None:
    """New text first, then how it comes about."""
    prose, written, answers = (folder / n for n in ("english", "written.txt", "answers.jsonl"))
    of_prose, of_code = folder / "english.infgram", folder / "library.infgram"
    run = partial(_run, console)
    same = ("--seed", str(seed))

    english.write(prose, sorted(library.glob("*.py")))
    _part(console, "New text, each character drawn from counts in Python's manual")
    run("build", prose, "-o", of_prose, "--overwrite", "-q")
    run("generate", "-i", of_prose, "The ", *same)

    _part(console, f"{_N_TEXTS:,} more on one core, and how much of them is copied")
    many = ("--samples", str(_N_TEXTS), "--threads", "1")
    seconds = run("generate", "-i", of_prose, "The ", *many, *same, into=written)
    console.print(f"{written.stat().st_size:,} bytes in {seconds:.1f} s")
    run("novelty", "-i", of_prose, written)

    _part(
        console, "How it works: what followed the longest context that occurs, and each shorter one"
    )
    run("next", "-i", of_prose, "the value of the ", "--levels")

    _part(console, "New code, from the library's modules from a to s")
    run("build", _Modules(library), "-o", of_code, "--overwrite")
    run("generate", "-i", of_code, "def __", "-k", "3", *same)
    run("generate", "-i", of_code, "class ", "--estimator", "kneser-ney", "-T", "0.6", *same)

    _part(console, "Exact counts of n-grams of any length, and where they occur")
    run("count", "-i", of_code, "import os", "return self.", "except OSError as error:")
    run("next", "-i", of_code, "def __", "--limit", "5")
    run("find", "-i", of_code, "raise ValueError(", "--limit", "2", *same)

    _part(console, f"Predicting {_UNSEEN}, which the index has not seen")
    run("perplexity", "-i", of_code, library / _UNSEEN, "--adapt")

    _part(console, f"Drafts for a neural model that writes {_UNSEEN}: several tokens per step")
    unseen = (library / _UNSEEN).read_text(encoding="utf-8")
    answer = {"prompt": unseen[:_N_PROMPT], "output": unseen[_N_PROMPT:]}
    answers.write_text(json.dumps(answer) + "\n")
    run("draft", "simulate", answers, "-i", of_code, "--draft-tokens", "8")

    _part(console, "Your turn")
    for command in (
        _typed("generate", "-i", of_prose, "Return ", "--max-copy", "20"),
        _typed("next", "-i", of_code, "import ", "--levels"),
        _typed("find", "-i", of_code, "yield from", "--limit", "3"),
        _typed("build", "--help"),
    ):
        console.print(f"$ {command}")
    size = sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())
    console.print(
        f"\nEverything is in {typed.path(folder)}: {size / 1e6:.0f} MB. Remove it any time."
    )


def _run(console: Console, *arguments: _Argument, into: Path | None = None) -> float:
    """Types a command and runs it; the seconds that it took. into: where its output goes."""
    from .output import colors

    given = ["--color", colors()]
    for each in arguments:
        given += each.paths() if isinstance(each, _Modules) else [str(each)]
    console.print()
    console.print(
        f"$ {_typed(*arguments)}" + (f" > {typed.path(into)}" if into else ""), style="bold"
    )
    started = time.perf_counter()
    with contextlib.ExitStack() as stack:
        if into:
            file = stack.enter_context(open(into, "w", encoding="utf-8"))
            stack.enter_context(contextlib.redirect_stdout(file))
        infgram = click.get_current_context().find_root().command
        code = infgram.main(given, prog_name="infgram", standalone_mode=False)
    if code not in (None, NOT_FOUND):  # interrupted, or nobody reads on
        raise click.exceptions.Exit(code)
    return time.perf_counter() - started


def _typed(*arguments: _Argument) -> str:
    words = [typed.program()]
    for each in arguments:
        if isinstance(each, _Modules):
            words.append(f"{typed.path(each.library)}/{_LEARNT}")
        else:
            words.append(typed.path(each) if isinstance(each, Path) else typed.quoted(each))
    return " ".join(words)


def _part(console: Console, title: str) -> None:
    from .output import heading

    console.print()
    heading(console, title)
