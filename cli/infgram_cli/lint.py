"""infgram lint: what of a text looks out of place to a refiner."""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from .options import open_index
from .refiners import open_refiner, refiner_options

if TYPE_CHECKING:
    from infgram.refine.linting import Lint, Word

# One a level of suspicion.
_SHADES: list[dict[str, Any]] = [
    {},
    {"fg": "yellow"},
    {"fg": "black", "bg": "yellow"},
    {"fg": "red", "bold": True},
    {"fg": "white", "bg": "red", "bold": True},
]
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
@click.argument("text", metavar="FILE")
@refiner_options
@click.option(
    "-i",
    "--index",
    "path",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Show what was drawn from n-grams of this index; by default none is used.",
)
@click.option(
    "--worst",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"List the N most suspicious words; by default {_WORST} if no heat map can be shown.",
)
@click.option(
    "--format",
    "as_format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Output format; json gives a suspicion for each character and word, on one line.",
)
@click.option(
    "--html",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Write the heat map as a single-file web page; an existing file is replaced.",
)
def lint(
    text: str,
    refiner: Path,
    device: str,
    path: Path | None,
    worst: int | None,
    as_format: Literal["text", "json"],
    html: Path | None,
) -> None:
    """Shade each character of a text by how out of place it looks.

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
    if as_format == "json":
        _print_json(found)
    elif worst is not None or not html:
        _print(found, worst)


def _write(found: Lint, path: Path, name: str) -> None:
    from infgram.pages.heat import heat_page
    from infgram.store.directory import replacing

    from .output import si, stderr

    page = heat_page(found, name=name).encode()
    with replacing(path) as file:
        file.write(page)
    stderr().print(f"{path}: {si(len(page), 'B')}")


def _print_json(found: Lint) -> None:
    from .output import json_able, print_json

    rounded = [round(each, 4) for each in found.suspicion.tolist()]
    print_json({**json_able(found), "suspicion": rounded})


def _print(found: Lint, worst: int | None) -> None:
    from .output import stdout

    console = stdout()
    if console.is_terminal and not console.no_color and worst is None:
        _print_legend()
        click.echo(_shaded(found), nl=not found.text.endswith("\n"))
        return
    _print_words(found.worst(_WORST if worst is None else worst))


def _print_legend() -> None:
    from infgram.refine.linting import level_names

    names = [
        click.style(f" {name} ", **shade)
        for name, shade in zip(level_names(), _SHADES, strict=True)
    ]
    click.echo(f"does not belong there: {' '.join(names)}", err=True)


def _shaded(found: Lint) -> str:
    from infgram.refine.linting import level

    from .output import harmless

    cells = zip(found.text, map(level, found.suspicion.tolist()), strict=True)
    return "".join(
        click.style(harmless("".join(character for character, _ in run)), **_SHADES[shade])
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
