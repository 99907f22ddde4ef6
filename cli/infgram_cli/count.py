"""infgram count: how often n-grams occur."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from .exits import end_unless
from .given import TypedOrRead, escape_option, prompt_file_option, read_lines, text_of
from .option import option
from .options import ids_option, index_option, json_option, open_index, read_query

if TYPE_CHECKING:
    import infgram

_BATCH = 10_000


@click.command(
    epilog="""\b
Examples:
  infgram count 'to be' 'or not' 'a line\\nand the next'
  infgram count --file words.txt
  infgram count - < passage.txt
"""
)
@click.argument("ngrams", nargs=-1, type=TypedOrRead(), metavar="[NGRAM]...")
@index_option
@option(
    "-f",
    "--file",
    type=click.File("rb"),
    metavar="PATH",
    help="Also count each line of a file; - is standard input.",
)
@prompt_file_option("NGRAM")
@option(
    "--text",
    "as_text",
    is_flag=True,
    help="Count the places where the characters stand, however they are cut into tokens.",
)
@escape_option
@ids_option
@json_option
def count(
    ngrams: tuple[str, ...],
    path: Path | None,
    file: BinaryIO | None,
    prompt_file: BinaryIO | None,
    as_text: bool,
    ids: bool,
    as_json: bool,
) -> None:
    """Count n-grams of any length.

    Prints one line for each: the count, a tab, and the n-gram. NGRAM is text with escapes, or - for
    all of standard input. The exit code is 1 if no n-gram occurs.

    Where tokens are neither bytes nor characters, an n-gram is the tokens that it would have at the
    beginning of a text; if its characters stand elsewhere, too, standard error says so, and --text
    counts them.
    """
    from .cuts import explain
    from .output import escaped, print_json

    if prompt_file is not None:
        ngrams = (*ngrams, text_of(prompt_file))
    if not ngrams and file is None:
        raise click.UsageError(
            "there is no n-gram: type one, give - to read it from standard input, or name a file "
            "of n-grams with --file"
        )
    if as_text and ids:
        raise click.UsageError("--text counts characters, and --ids are none: give one of them")
    index = open_index(path)
    n_found = 0
    for batch in _batches(chain(ngrams, read_lines(file))):
        queries = [read_query(index, text, ids=ids) for text in batch]
        for text, query, n in zip(batch, queries, _counts(index, queries, as_text), strict=True):
            if as_json:
                print_json({"ngram": text, "count": n})
            else:
                print(f"{n}\t{escaped(text)}")
            n_found += n > 0
            if not (file or as_text):
                explain(index, query, n)
    end_unless(n_found > 0)


def _counts(index: infgram.Index, queries: list[str | list[int]], as_text: bool) -> list[int]:
    if not as_text:
        counts: list[int] = index.count_batch(queries).tolist()
        return counts
    if index.tokenizer.name == "ids":
        raise click.UsageError("--text counts characters, and this index has only token ids")
    return [index.count_text(query) for query in queries if isinstance(query, str)]


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(texts)
    while batch := list(islice(iterator, _BATCH)):
        yield batch
