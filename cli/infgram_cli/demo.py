"""infgram demo: the main commands, on text that every Python has: its standard library."""

from __future__ import annotations

import os
import shlex
import sysconfig
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    import infgram

_SKIPPED_FOLDERS = {
    "__pycache__",
    "dist-packages",  # not of the library
    "site-packages",
    "test",
    "tests",
    "idlelib",
    "lib2to3",
    "encodings",  # tables, which are copied well and read badly
    "pydoc_data",
}
_PROMPT = "def "
_MAX_TOKENS = 600
_K = 2
_WINDOW = 20
_RUN = 50
_KN_TOKENS = 300
_KN_TEMPERATURE = 0.6


@click.command(epilog="Example: infgram demo")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("stdlib.infgram"),
    show_default=True,
    help="The index to make; an older one is replaced.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    metavar="N",
    default=1,
    show_default=True,
    help="Another seed, other code.",
)
def demo(output: Path, seed: int) -> None:
    """Show what infgram does, on the standard library of this Python.

    Nothing is downloaded. Takes a few seconds.
    """
    from .output import stdout

    console = stdout()
    index = _build(console, output)
    _count(console, index)
    _next(console, index)
    _find(console, index, seed)
    _generate(console, index, seed)
    _suggest(console, output)


def _build(console: Console, output: Path) -> infgram.Index:
    import infgram

    from .output import Clock, progress, si, stderr

    library = Path(sysconfig.get_path("stdlib"))
    _heading(console, f"build {output}")
    files = sorted(_files(library))
    replaced = f", replacing the {output.name} that is here" if output.exists() else ""
    console.print(f"From the {len(files):,} modules of {library}, a document each{replaced}.")
    with progress(stderr()) as report:
        clock = Clock(report)
        index = infgram.build(files, output, overwrite=True, progress=clock)
    seconds, calibration_seconds = clock.stop()
    console.print(
        f"{si(index.n_tokens, 'B')} of code in {seconds:.1f} s, "
        f"{si(index.n_tokens / seconds, 'B')}/s, and {calibration_seconds:.1f} s to calibrate. "
        f"On disk {si(index.n_bytes, 'B')}, {index.n_bytes / index.n_tokens:.1f} times the text."
    )
    return index


def _files(library: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(library):
        folders[:] = [name for name in folders if name not in _SKIPPED_FOLDERS]
        yield from (Path(folder, name) for name in names if name.endswith(".py"))


def _count(console: Console, index: infgram.Index) -> None:
    from .output import table

    ngrams = ["import os", "return self.", "except OSError as e:", "except OSError as error:"]
    _heading(console, "count")
    rows = table(console, "n-gram", "count")
    for ngram, n in zip(ngrams, index.count_batch(ngrams).tolist(), strict=True):
        rows.add_row(ngram, f"{n:,}")
    console.print(rows)


def _next(console: Console, index: infgram.Index) -> None:
    from .output import quoted, table

    context = "def __"
    ntd = index.ntd(context)
    _heading(console, f"next '{context}'")
    console.print(f"{ntd.prompt_cnt:,} matches, {len(ntd)} different next characters")
    rows = table(console, "token", "count", "probability")
    for text, n in ntd.most_common(5):
        rows.add_row(quoted(text), f"{n:,}", f"{n / ntd.prompt_cnt:.4f}")
    console.print(rows)


def _find(console: Console, index: infgram.Index, seed: int) -> None:
    from rich.text import Text

    ngram = "raise ValueError("
    _heading(console, f"find '{ngram}'")
    for match in index.find(ngram, limit=1, seed=seed, context=200):
        before = match.before.partition("\n")[2] or match.before
        after = match.after.rpartition("\n")[0] or match.after
        place = f"one of {index.count(ngram):,}, in {match.source}, token {match.offset:,}"
        console.print(place, style="cyan")
        console.print(Text.assemble(before, (match.match, "bold red"), after))


def _generate(console: Console, index: infgram.Index, seed: int) -> None:
    import infgram

    from .output import si

    _heading(console, f"generate '{_PROMPT}' -n {_MAX_TOKENS} --window {_WINDOW} --seed {seed}")
    made = infgram.generate(index, _PROMPT, max_tokens=_MAX_TOKENS, k=_K, window=_WINDOW, seed=seed)
    text = _PROMPT + made.text
    _print_code(console, text)
    share = infgram.copied_share(index, text, run=_RUN)
    longest = int(index.match_lengths(text).max())
    console.print(
        f"New, but for {share:.0%} that was copied in runs of {_RUN} characters or more; "
        f"the longest is {longest}.",
        style="cyan",
    )
    console.print(f"Speed: {si(_generation_speed(index))} characters/s.", style="cyan")
    _heading(
        console,
        f"generate '{_PROMPT}' -n {_KN_TOKENS} --estimator kneser-ney -T {_KN_TEMPERATURE} "
        f"--seed {seed}",
    )
    model = infgram.Model(index, infgram.KneserNey())
    made = model.generate(_PROMPT, max_tokens=_KN_TOKENS, temperature=_KN_TEMPERATURE, seed=seed)
    _print_code(console, _PROMPT + made.text)


def _generation_speed(index: infgram.Index) -> float:
    """Characters a second, over enough documents to tell."""
    import infgram

    n_characters = 0
    started = time.perf_counter()
    for seed in count():
        made = infgram.generate(index, _PROMPT, max_tokens=100_000, k=_K, window=_WINDOW, seed=seed)
        n_characters += len(made.text)
        seconds = time.perf_counter() - started
        if seconds > 0.5:
            break
    return n_characters / seconds


def _print_code(console: Console, text: str) -> None:
    if not console.is_terminal:
        console.print(text)
        return
    from rich.syntax import Syntax

    console.print(Syntax("", "python", theme="ansi_dark").highlight(text))


def _suggest(console: Console, output: Path) -> None:
    _heading(console, "now try")
    index = f"-i {shlex.quote(str(output))}"
    for command in (
        f"infgram next {index} 'import ' --levels",
        f"infgram find {index} 'yield from' -n 3",
        f"infgram generate {index} 'class ' -n 2000",
        "infgram build YOUR-TEXT.txt && infgram generate -i YOUR-TEXT.infgram",
    ):
        console.print(f"  {command}")


def _heading(console: Console, text: str) -> None:
    from .output import heading

    console.print()
    heading(console, text)
