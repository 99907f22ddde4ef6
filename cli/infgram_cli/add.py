"""infgram add: more documents for an index."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

import click

from .inputs import Notes, reading_options, sorting_options
from .option import option
from .options import InputPath, index_option, json_option, open_index, quiet_option


@click.command(
    epilog="""\b
Examples:
  infgram add today.txt -i corpus.infgram
  infgram add news/ -i corpus.infgram --glob '**/*.jsonl'
"""
)
@click.argument("inputs", nargs=-1, type=InputPath(), required=True, metavar="INPUT...")
@index_option
@reading_options
@sorting_options
@option("--skip-bad", is_flag=True, help="Skip broken records, and report them.")
@quiet_option
@json_option
def add(
    inputs: tuple[str, ...],
    path: Path | None,
    reading: dict[str, Any],
    shard_tokens: int,
    jobs: int,
    skip_bad: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Add documents to an index.

    INPUT is what `infgram build` takes; the tokenizer and the layout are the index's. It takes as
    long as a build of INPUT alone, however large the index is. Who has the index open keeps what it
    has. Counts stay exact; what the index can do only in one piece waits for `infgram merge
    --purge`.
    """
    import infgram

    from .output import print_json, progress, si, stderr, stdout

    opened = open_index(path)
    started = time.perf_counter()
    with warnings.catch_warnings(), progress(stderr(), quiet=quiet) as report:
        skipped = Notes()
        grown = infgram.add(
            opened,
            [each if each == "-" else Path(each) for each in inputs],
            shard_tokens=shard_tokens,
            jobs=jobs,
            skip_bad=skip_bad,
            progress=report,
            **reading,
        )
    seconds = time.perf_counter() - started
    skipped.sum_up()
    if as_json:
        print_json(
            {
                "path": str(grown.path),
                "n_tokens": grown.n_tokens,
                "n_documents": grown.n_documents,
                "n_segments": grown.n_segments,
                "n_skipped": skipped.n_records,
                "n_files_skipped": skipped.n_files,
                "seconds": round(seconds, 3),
            }
        )
    elif not quiet:
        n_new = grown.n_tokens - opened.n_tokens
        stdout().print(
            f"{grown.path.name}: {si(n_new)} tokens more in {seconds:.2f} s, "
            f"{grown.n_tokens:,} in all; segments: {grown.n_segments}"
        )
