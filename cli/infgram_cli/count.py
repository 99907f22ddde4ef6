"""infgram count: how often n-grams occur."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from .options import index_option, json_option, open_index, query_options, read_query

if TYPE_CHECKING:
    import infgram

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
@click.option(
    "--text",
    "as_text",
    is_flag=True,
    help="Count the places where the characters stand, however they are cut into tokens.",
)
@query_options
@json_option
def count(
    ngrams: tuple[str, ...],
    path: Path | None,
    file: BinaryIO | None,
    as_text: bool,
    escapes: bool,
    ids: bool,
    as_json: bool,
) -> None:
    """Count n-grams of any length.

    Prints one line for each: the count, a tab, and the n-gram. Where tokens are neither bytes nor
    characters, an n-gram is the tokens that it would have at the beginning of a text; if its
    characters stand elsewhere, too, standard error says so, and --text counts them.
    """
    from .cuts import explain
    from .output import escaped, print_json

    if not ngrams and file is None:
        raise click.UsageError("give an n-gram, or a file of n-grams with --file")
    if as_text and ids:
        raise click.UsageError("--text counts characters, and --ids are none: give one of them")
    index = open_index(path)
    for batch in _batches(chain(ngrams, _lines(file))):
        queries = [read_query(index, text, escapes=escapes, ids=ids) for text in batch]
        for text, query, n in zip(batch, queries, _counts(index, queries, as_text), strict=True):
            if as_json:
                print_json({"ngram": text, "count": n})
            else:
                print(f"{n}\t{escaped(text)}")
            if not (file or as_text):
                explain(index, query, n)


def _counts(index: infgram.Index, queries: list[str | list[int]], as_text: bool) -> list[int]:
    if not as_text:
        counts: list[int] = index.count_batch(queries).tolist()
        return counts
    if index.tokenizer.name == "ids":
        raise click.UsageError("--text counts characters, and this index has only token ids")
    return [index.count_text(query) for query in queries if isinstance(query, str)]


def _lines(file: BinaryIO | None) -> Iterator[str]:
    for line in file or ():
        text = line.removesuffix(b"\n").removesuffix(b"\r")
        yield text.decode("utf-8", "surrogateescape")


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(texts)
    while batch := list(islice(iterator, _BATCH)):
        yield batch
