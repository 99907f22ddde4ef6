"""infgram ngrams: the n-grams of a corpus, listed."""

from __future__ import annotations

from pathlib import Path

import click

from .exits import end_unless
from .option import option, was_given
from .options import index_option, json_option, limit_option, open_index


@click.command(
    epilog="""\b
Examples:
  infgram ngrams 3
  infgram ngrams 13 --every --min-count 100 --in-documents > frequent.tsv
"""
)
@click.argument("length", type=click.IntRange(1, 2**32 - 1))
@index_option
@limit_option("those that occur most often", 20)
@option("--every", is_flag=True, help="List all, in the order of their tokens, without a limit.")
@option(
    "--min-count",
    type=click.IntRange(min=1),
    metavar="N",
    default=1,
    help="Leave out what occurs less often.",
)
@option("--in-documents", is_flag=True, help="Also count in how many documents each occurs.")
@json_option
def ngrams(
    length: int,
    path: Path | None,
    limit: int,
    every: bool,
    min_count: int,
    in_documents: bool,
    as_json: bool,
) -> None:
    """List the n-grams of LENGTH tokens, with their counts.

    Prints a line for each: the count, a tab, with --in-documents the number of documents and a tab,
    and the n-gram, with escapes. The most frequent come first, equal ones, and with --every all, in
    the order of their tokens. No n-gram crosses documents. The exit code is 1 if there is none.
    """
    import infgram

    from .output import as_typed, escaped, json_able, print_json

    if every and was_given("limit"):
        raise click.UsageError("--every lists all, and --limit some: give one of them")
    index = open_index(path)
    found = infgram.ngrams(
        index,
        length,
        limit=None if every else limit,
        min_count=min_count,
        documents=in_documents,
    )
    n = 0
    for each in found:
        n += 1
        if as_json:
            print_json(json_able(each))
        else:
            documents = f"{each.documents}\t" if in_documents else ""
            print(f"{each.count}\t{documents}{escaped(as_typed(index, each))}")
    end_unless(n > 0)
