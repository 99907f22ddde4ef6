"""infgram count: how often n-grams occur."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

import click

from .options import index_option, json_option, open_index, query_options, read_query

_BATCH = 10_000


@click.command(epilog="Example: infgram count 'to be' 'or not'")
@click.argument("ngrams", nargs=-1, metavar="NGRAM...")
@index_option
@click.option(
    "-f",
    "--file",
    type=click.File("rb"),
    help="Also count each line of a file; - is standard input.",
)
@query_options
@json_option
def count(
    ngrams: tuple[str, ...],
    path: Path | None,
    file: BinaryIO | None,
    escapes: bool,
    ids: bool,
    as_json: bool,
) -> None:
    """Count n-grams of any length.

    Prints one line for each: the count, a tab, and the n-gram.
    """
    from .output import escaped, print_json

    if not ngrams and file is None:
        raise click.UsageError("give an n-gram, or a file of n-grams with --file")
    index = open_index(path)
    for batch in _batches(chain(ngrams, _lines(file))):
        queries = [read_query(index, text, escapes=escapes, ids=ids) for text in batch]
        for text, n in zip(batch, index.count_batch(queries).tolist(), strict=True):
            if as_json:
                print_json({"ngram": text, "count": n})
            else:
                print(f"{n}\t{escaped(text)}")


def _lines(file: BinaryIO | None) -> Iterator[str]:
    for line in file or ():
        text = line.removesuffix(b"\n").removesuffix(b"\r")
        yield text.decode("utf-8", "surrogateescape")


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(texts)
    while batch := list(islice(iterator, _BATCH)):
        yield batch
