"""infgram find: where an n-gram occurs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import index_option, json_option, open_index, query_options, read_query, seed_option

if TYPE_CHECKING:
    from rich.text import Text

    import infgram


@click.command(epilog="Example: infgram find 'to be' -n 3 --seed 1")
@click.argument("ngram")
@index_option
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    default=10,
    show_default=True,
    help="Occurrences to show, drawn at random from all.",
)
@click.option(
    "--context",
    type=click.IntRange(min=0),
    metavar="N",
    default=60,
    show_default=True,
    help="Tokens to show before and after.",
)
@seed_option
@query_options
@json_option
def find(
    ngram: str,
    path: Path | None,
    limit: int,
    context: int,
    seed: int | None,
    escapes: bool,
    ids: bool,
    as_json: bool,
) -> None:
    """Show occurrences of an n-gram, with their documents.

    Each shows source:line:column, where it begins in a text, or source:line of its record, and the
    token of its document at which it begins.
    """
    from dataclasses import asdict

    from .cuts import explain
    from .output import print_json, stdout

    index = open_index(path)
    query = read_query(index, ngram, escapes=escapes, ids=ids)
    matches = index.find(query, limit=limit, seed=seed, context=context)
    if not matches and limit:
        explain(index, query, 0)
    if as_json:
        for match in matches:
            print_json(asdict(match))
        return
    console = stdout()
    console.print(f"{len(matches):,} of {index.count(query):,} occurrences")
    for match in matches:
        console.print(_rendered(match, joint=" " if index.tokenizer.name == "ids" else ""))


def _rendered(match: infgram.Match, *, joint: str) -> Text:
    from rich.text import Text

    from .output import escaped

    place = match.source + "".join(f":{n}" for n in (match.line, match.column) if n)
    metadata = "".join(
        f"\n  {escaped(name)}: {escaped(str(value))}" for name, value in match.metadata.items()
    )
    return Text.assemble(
        "\n",
        (escaped(place), "bold cyan"),
        (f"  document {match.document}, token {match.offset}", "dim"),
        "\n  ",
        escaped(match.before) + joint,
        (escaped(match.match), "bold red"),
        joint + escaped(match.after),
        (metadata, "dim"),
    )
