"""infgram animate: how a text was refined, as moving pictures."""

from __future__ import annotations

import sys
import time
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .option import option
from .options import AnyPath, html_option, seed_option_with

if TYPE_CHECKING:
    from rich.console import Console

    from infgram.refine import Trace
    from infgram.refine.animate import Frame, Grid
    from infgram.refine.orders import Order

_MOST_COLUMNS = 80
_FEWEST_COLUMNS = 8
_MARGIN = 4  # lines of a terminal that do not show the text
_HOLE = "▒"
_LIT = " on bright_black"
_STYLES = ("", "black on yellow", "yellow", "bold black on cyan", "cyan")  # of a `State`


@click.command(
    epilog="""\b
Examples:
  infgram animate trace.jsonl
  infgram animate trace.jsonl --fill-order life --html refined.html
  infgram animate trace.jsonl --fill-order my_orders:spiral --speed 2
"""
)
@click.argument("trace", type=AnyPath())
@html_option("it plays the edits")
@option(
    "--fill-order",
    "order",
    old=("--order",),
    default="left-to-right",
    metavar="NAME",
    help="Order in which holes fill: left-to-right, confidence, random, life, or MODULE:FUNCTION.",
)
@option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    metavar="X",
    default=1.0,
    help="Playback speed; 2 plays twice as fast.",
)
@seed_option_with(0)
def animate(trace: Path, html: Path | None, order: str, speed: float, seed: int) -> None:
    """Play back how a text was refined.

    TRACE is a file that `infgram polish` or `infgram refine` wrote with --save-trace. Round by
    round, words are suspected, hidden, filled in again and kept. If the output is not a terminal,
    the refined text is printed instead.
    """
    from infgram.refine import Trace
    from infgram.refine.orders import order_named

    from .output import stdout

    if ":" in order:
        sys.path.insert(0, "")  # modules of this folder, as `python -m` finds them
    chosen = order_named(order)
    read = Trace.load(trace)
    if html:
        _write(read, html, chosen, speed=speed, seed=seed)
        return
    console = stdout()
    if console.is_terminal:
        _play(console, read, chosen, speed=speed, seed=seed)
    else:
        _print_end(read)


def _write(trace: Trace, path: Path, order: Order, *, speed: float, seed: int) -> None:
    from infgram.pages.film import film_page

    from .output import write_page

    write_page(film_page(trace, order=order, speed=speed, seed=seed), path)


def _print_end(trace: Trace) -> None:
    from infgram.refine.edits import tokenizer_of
    from infgram.text.tokens import load

    text = load(tokenizer_of(trace)).decode(trace.replay())
    sys.stdout.write(text.decode(errors="replace"))
    if not text.endswith(b"\n"):
        sys.stdout.write("\n")


def _play(console: Console, trace: Trace, order: Order, *, speed: float, seed: int) -> None:
    from infgram.refine.animate import frames

    from .output import screen, styled

    n_rows = max(console.height - _MARGIN, 1)
    grid, film = frames(
        trace,
        order=order,
        columns=max(min(console.width - 1, _MOST_COLUMNS), _FEWEST_COLUMNS),
        rows=n_rows,
        seed=seed,
    )
    with screen(console) as show:
        for frame in film:
            show(styled(_parts(grid, frame, n_rows)))
            time.sleep(frame.seconds / speed)
    console.print(styled(_parts(grid, frame, grid.n_rows)))


def _parts(grid: Grid, frame: Frame, n_rows: int) -> list[tuple[str, str]]:
    """What is seen of a frame: text and style by turns."""
    parts = [(f"{frame.caption}\n\n", "bold")]
    seen = slice(*grid.rows.searchsorted([frame.first_row, frame.first_row + n_rows]).tolist())
    columns = [column[seen].tolist() for column in (grid.rows, grid.columns, frame.states)]
    for row, cells in groupby(zip(*columns, frame.pieces[seen], strict=True), lambda cell: cell[0]):
        parts += _row(frame, row - frame.first_row, [cell[1:] for cell in cells])
        parts.append(("\n", ""))
    return parts


def _row(frame: Frame, row: int, cells: list[tuple[int, int, str]]) -> list[tuple[str, str]]:
    """Runs of one style of a row; where cells are lit, it is as wide as the grid."""
    lit = frame.lit[row].tolist() if frame.lit is not None else []
    shown = [
        (_HOLE if state == 2 and piece else piece, _STYLES[state], column)
        for column, state, piece in cells
    ]
    shown += [(" ", "", column) for column in range(cells[-1][0] + 1, len(lit))]
    runs = groupby(
        shown, lambda cell: (cell[1], bool(lit and lit[cell[2]] and " on " not in cell[1]))
    )
    return [
        ("".join(cell[0] for cell in run), (style + _LIT * is_lit).strip())
        for (style, is_lit), run in runs
    ]
