"""infgram lint: what of a text looks out of place to a refiner."""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .option import option
from .options import IndexPath, InputPath, html_option, open_index
from .refiners import open_refiner, refiner_options

if TYPE_CHECKING:
    from infgram.refine.linting import Lint, Word

# One a level of suspicion.
_SHADES = ("", "yellow", "black on yellow", "bold red", "bold white on red")
_WORST = 10


@click.command(
    epilog="""\b
Examples:
  infgram lint draft.txt --refiner corpus.safetensors
  infgram generate -n 2000 | infgram lint - --refiner corpus.safetensors --worst 5
  infgram lint draft.txt --refiner corpus.safetensors --html draft.html
  infgram lint essay.txt --refiner corpus.safetensors -i corpus.infgram
"""
)
@click.argument("text", type=InputPath(), metavar="FILE")
@refiner_options
@option(
    "-i",
    "--index",
    "path",
    type=IndexPath(),
    metavar="PATH",
    show_default="none",
    help="The index: show what was drawn from its n-grams.",
)
@option(
    "--worst",
    type=click.IntRange(min=0),
    metavar="N",
    show_default=f"{_WORST}, if no heat map can be shown",
    help="List the N most suspicious words.",
)
@option(
    "--json",
    "as_json",
    is_flag=True,
    old=("--format",),
    old_values={"json": True, "text": False},
    help="Print JSON, for scripts: a suspicion for each character and word, on one line.",
)
@html_option("the heat map")
def lint(
    text: str,
    refiner: Path,
    device: str,
    path: Path | None,
    worst: int | None,
    as_json: bool,
    html: Path | None,
) -> None:
    """Shade what of a text looks out of place.

    FILE is the text, or - for standard input. The refiner must be trained on text of the same kind.
    It knows spelling and rhythm, not sense.

    Without an index, lint shows what looks out of place to the network alone. With one, it shows
    what was drawn from n-grams of that index and does not belong, such as a sampled passage, and
    finds far more. Long verbatim runs of the corpus count as evidence, so real quotations look
    suspicious too.
    """
    from infgram.refine.linting import lint as find

    is_stdin = text == "-"
    read = sys.stdin.buffer.read() if is_stdin else Path(text).read_bytes()
    index = open_index(path) if path else None
    found = find(read, open_refiner(refiner, device), index)
    if html:
        _write(found, html, "Standard input" if is_stdin else Path(text).name)
    if as_json:
        _print_json(found)
    elif (worst is not None or not html) and html != Path("-"):
        _print(found, worst)


def _write(found: Lint, path: Path, name: str) -> None:
    from infgram.pages.heat import heat_page

    from .output import write_page

    write_page(heat_page(found, name=name), path)


def _print_json(found: Lint) -> None:
    from .output import json_able, print_json

    rounded = [round(each, 4) for each in found.suspicion.tolist()]
    print_json({**json_able(found), "suspicion": rounded})


def _print(found: Lint, worst: int | None) -> None:
    from .output import in_colors

    if in_colors(sys.stdout) and worst is None:
        _print_legend()
        print(_shaded(found), end="" if found.text.endswith("\n") else "\n")
        return
    _print_words(found.worst(_WORST if worst is None else worst))


def _print_legend() -> None:
    from infgram.refine.linting import level_names

    from .output import painted

    names = [
        painted(f" {name} ", shade) for name, shade in zip(level_names(), _SHADES, strict=True)
    ]
    print("does not belong there:", *names, file=sys.stderr, flush=True)


def _shaded(found: Lint) -> str:
    from infgram.refine.linting import level

    from .output import harmless, painted

    cells = zip(found.text, map(level, found.suspicion.tolist()), strict=True)
    return "".join(
        painted(harmless("".join(character for character, _ in run)), _SHADES[shade])
        for shade, run in groupby(cells, lambda cell: cell[1])
    )


def _print_words(words: list[Word]) -> None:
    from .output import escaped, stdout, table

    console = stdout()
    rows = table(console, "line:column", "suspicion", "word")
    rows.columns[2].justify = "left"
    for word in words:
        rows.add_row(f"{word.line}:{word.column}", f"{word.suspicion:.0%}", escaped(word.text))
    console.print(rows)
