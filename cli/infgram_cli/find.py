"""infgram find: where an n-gram occurs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .exits import end_unless
from .given import text_argument
from .option import option
from .options import (
    ids_option,
    index_option,
    json_option,
    limit_option,
    open_index,
    read_query,
    seed_option,
)

if TYPE_CHECKING:
    from rich.text import Text

    import infgram


@click.command(
    epilog="""\b
Examples:
  infgram find 'to be' --limit 3 --seed 1
  infgram find 'be,\\nor' | cut -d: -f1,2
"""
)
@text_argument("ngram")
@index_option
@limit_option("occurrences, drawn at random from all", 10, "-n")
@option(
    "--context",
    type=click.IntRange(min=0),
    metavar="N",
    default=60,
    help="Tokens to show before and after.",
)
@seed_option
@ids_option
@json_option
def find(
    ngram: str,
    path: Path | None,
    limit: int,
    context: int,
    seed: int | None,
    ids: bool,
    as_json: bool,
) -> None:
    """Show where an n-gram occurs.

    Prints one line per occurrence, as grep does: file:line:column: and the text around it, its line
    ends as \\n. Of records, such as JSON lines, the line is the record's; where a file has no
    lines, it says which token of which document it is. How many occurrences there are goes
    to standard error. NGRAM is text with escapes, or - for all of standard input. The exit code is
    1 if it does not occur.
    """
    from dataclasses import asdict

    from .cuts import explain
    from .output import note, print_json, stdout

    index = open_index(path)
    query = read_query(index, ngram, ids=ids)
    matches = index.find(query, limit=limit, seed=seed, context=context)
    if not matches:
        explain(index, query, 0)
        note("nothing was found")
        end_unless(False)
    if as_json:
        for match in matches:
            print_json(asdict(match))
        return
    console = stdout()
    n = index.count(query)
    if len(matches) < n:
        note(f"{len(matches):,} of {n:,} occurrences; --limit shows more")
    for match in matches:
        console.print(rendered(match, joint=" " if index.tokenizer.name == "ids" else ""))


def rendered(match: infgram.Match, *, joint: str) -> Text:
    """A match on one line, its place first. joint: what stands between its parts."""
    from .output import escaped, one_line, place_of, styled

    known = "; ".join(f"{name}: {value}" for name, value in match.metadata.items())
    return styled(
        [
            (f"{place_of(match)}:", "cyan"),
            (f" {escaped(match.before)}{joint if match.before else ''}", ""),
            (escaped(match.match), "bold red"),
            (f"{joint if match.after else ''}{escaped(match.after)}", ""),
            (f"  [{one_line(known)}]" if known else "", "dim"),
        ]
    )
