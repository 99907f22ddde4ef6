"""infgram infill: what may stand in the holes of a text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .given import text_argument
from .options import index_option, json_option, limit_option, open_index, seed_option
from .refiners import open_refiner, refiner_options

if TYPE_CHECKING:
    from rich.text import Text

    from infgram.refine.infilling import Infilled


@click.command(
    epilog="""\b
Examples:
  infgram infill 'To be, {8..14} that is' --refiner corpus.safetensors
  infgram infill 'my {} is {4}.' --refiner corpus.safetensors --limit 3 --seed 1 --json
"""
)
@text_argument("pattern")
@index_option
@refiner_options
@limit_option("the best first", 5, "-n")
@seed_option
@json_option
def infill(
    pattern: str,
    path: Path | None,
    refiner: Path,
    device: str,
    limit: int,
    seed: int | None,
    as_json: bool,
) -> None:
    """Fill the holes in PATTERN.

    PATTERN is text with escapes, or - for all of standard input. {8} is a hole of 8 tokens, {8..14}
    of 8 to 14, and {} of 1 to 12; {{ and }} are literal braces. The index and the refiner propose
    what may fill a hole, and the refiner judges. Each result has a score in nats: the higher, the
    likelier, whatever its length.
    """
    from infgram.refine.infilling import infill as fill
    from infgram.refine.pattern import parse

    from .output import json_able, print_json

    parse(pattern)  # what is wrong with it is said at once
    index = open_index(path)
    found = fill(pattern, index, open_refiner(refiner, device), n=limit, seed=seed)
    if as_json:
        for each in found:
            print_json(json_able(each))
    else:
        _print(found)


def _print(found: list[Infilled]) -> None:
    from .output import stdout, table

    console = stdout()
    rows = table(console, "nats", "by", "text", left=2)
    for each in found:
        by = ", ".join(hole.proposer for hole in each.holes)
        rows.add_row(f"{each.score:+.1f}", by, _shown(each))
    console.print(rows)


def _shown(each: Infilled) -> Text:
    from .output import escaped, styled

    parts, at = [], 0
    for hole in each.holes:
        parts += [(escaped(each.text[at : hole.begin]), ""), (escaped(hole.text), "bold green")]
        at = hole.end
    return styled([*parts, (escaped(each.text[at:]), "")])
