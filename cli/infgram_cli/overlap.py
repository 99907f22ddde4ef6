"""infgram overlap: which texts of a test set stand in a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .exits import end_unless
from .options import (
    index_option,
    json_option,
    limit_option,
    min_length_option,
    open_index,
    quiet_option,
    seed_option,
)
from .texts import Texts, name_of, text_arguments

if TYPE_CHECKING:
    import infgram

_SHOWN = 60


@click.command(
    epilog="""\b
Examples:
  infgram overlap test.jsonl --min-length 50
  infgram overlap questions.csv --text-field question --json > overlap.jsonl
"""
)
@text_arguments
@index_option
@min_length_option("of a run", 50)
@limit_option("places of each run, drawn at random", 1)
@seed_option
@json_option
@quiet_option
def overlap(
    given: Texts,
    path: Path | None,
    min_length: int,
    limit: int,
    seed: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Find what of a test set stands in the corpus.

    TEXT is a file of any kind that `infgram build` takes, or - for standard input; each record or
    document is judged on its own. Prints a line for each that has a run of the corpus, with --json
    one for every: the share of its tokens in such runs, the longest, and where it stands. A summary
    goes to standard error. The exit code is 1 if nothing was found.
    """
    import infgram

    from .output import json_able, note, one_line, print_json, stdout

    index = open_index(path)
    console = stdout()
    n = n_found = n_tokens = n_in_runs = 0
    for document in given.read_documents():
        n += 1
        found = infgram.overlap(
            index, document.content, min_length=min_length, sources=limit, seed=seed
        )
        n_tokens += found.n_tokens
        n_in_runs += found.n_found
        n_found += bool(found.runs)
        if as_json:
            place: dict[str, Any] = {"source": document.source, "line": document.line}
            print_json({**place, "share": found.share, **json_able(found)})
        elif found.runs:
            console.print(f"{one_line(name_of(document))}: {_told(found)}")
    if not quiet:
        share = n_in_runs / n_tokens if n_tokens else 0.0
        note(
            f"{n_found:,} of {n:,} texts have a run of {min_length:,} tokens or more; {share:.2%} "
            f"of all {n_tokens:,} tokens are in one"
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
