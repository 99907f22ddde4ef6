"""infgram overlap: which texts of a test set stand in a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .exits import end_unless
from .option import option
from .options import index_option, json_option, limit_option, open_index, seed_option_with
from .texts import Texts, text_arguments

if TYPE_CHECKING:
    import infgram

_SHOWN = 60


@click.command(
    epilog="""\b
Examples:
  infgram overlap test.jsonl --run 50
  infgram overlap questions.csv --text-field question --json > overlap.jsonl
"""
)
@text_arguments
@index_option
@option(
    "--run",
    type=click.IntRange(min=1),
    metavar="N",
    default=50,
    help="Shortest run to report, in tokens.",
)
@limit_option("places of each run, drawn at random", 1)
@seed_option_with(0)
@json_option
def overlap(
    given: Texts, path: Path | None, run: int, limit: int, seed: int, as_json: bool
) -> None:
    """Find what of a test set stands in the corpus.

    TEXT is a file of any kind that `infgram build` takes, or - for standard input; each record or
    document is judged on its own. Prints a line for each that has a run of the corpus, with --json
    one for every: the share of its tokens in such runs, the longest, and where it stands. A summary
    goes to standard error. The exit code is 1 if nothing was found.
    """
    import infgram

    from .output import json_able, note, print_json, stdout

    index = open_index(path)
    console = stdout()
    n = n_found = n_tokens = n_in_runs = 0
    for document in given.read_documents():
        n += 1
        found = infgram.overlap(index, document.content, run=run, sources=limit, seed=seed)
        n_tokens += found.n_tokens
        n_in_runs += found.n_found
        n_found += bool(found.runs)
        if as_json:
            place: dict[str, Any] = {"source": document.source, "line": document.line}
            print_json({**place, "share": found.share, **json_able(found)})
        elif found.runs:
            line = f":{document.line}" if document.line else ""
            console.print(f"{document.source}{line}: {_told(found)}")
    share = n_in_runs / n_tokens if n_tokens else 0.0
    note(
        f"{n_found:,} of {n:,} texts have a run of {run:,} tokens or more; {share:.2%} of all "
        f"{n_tokens:,} tokens are in one"
    )
    end_unless(n_found > 0)


def _told(found: infgram.Overlap) -> str:
    from .output import place_of, quoted

    longest = max(found.runs, key=lambda run: run.end - run.begin)
    more = "..." if len(longest.text) > _SHOWN else ""
    where = f", at {', '.join(map(place_of, longest.sources))}" if longest.sources else ""
    return (
        f"{found.share:.1%} in {len(found.runs):,} {'run' if len(found.runs) == 1 else 'runs'}, "
        f"the longest {longest.end - longest.begin:,} tokens{where}: "
        f"{quoted(longest.text[:_SHOWN])}{more}"
    )
