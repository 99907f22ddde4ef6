"""infgram count: how often n-grams occur."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from .exits import end_unless
from .given import ReadFile, TypedOrRead, escape_option, prompt_file_option, read_lines, text_of
from .option import option, was_given
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
  infgram count --ignore-case --whole-words the
  infgram count --all Romeo --any love --any death --within 50
"""
)
@click.argument("ngrams", nargs=-1, type=TypedOrRead(), metavar="[NGRAM]...")
@index_option
@option(
    "-f",
    "--file",
    type=ReadFile(),
    metavar="PATH",
    help="Also count each line of a file; - is standard input.",
)
@prompt_file_option("NGRAM")
@option(
    "--all",
    "every",
    multiple=True,
    type=TypedOrRead(),
    metavar="NGRAM",
    help="Count where this stands near all others given so; may be repeated.",
)
@option(
    "--any",
    "some",
    multiple=True,
    type=TypedOrRead(),
    metavar="NGRAM",
    help="And near one of those given so; may be repeated.",
)
@option(
    "--within",
    type=click.IntRange(min=0),
    metavar="N",
    default=100,
    help="How far apart they may begin, in tokens, for --all and --any.",
)
@option("--ignore-case", is_flag=True, help="Count all spellings, in capitals or not.")
@option(
    "--whole-words",
    is_flag=True,
    help="Keep to whole words: count only where no word goes on at either end.",
)
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
    every: tuple[str, ...],
    some: tuple[str, ...],
    within: int,
    ignore_case: bool,
    whole_words: bool,
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

    With --all and --any, the count is of the rarest of them, where the others are near it in its
    document (of --any alone, of all of them). It is what infini-gram counts for such a formula:
    only the nearest others are looked at, so that what has a nearer one in another document is
    left out.
    """
    from .cuts import explain
    from .output import escaped, print_json

    if prompt_file is not None:
        ngrams = (*ngrams, text_of(prompt_file))
    if not all((*every, *some)):
        raise click.UsageError("--all and --any need an n-gram, found an empty one")
    if every or some:
        if ngrams or file is not None or as_text or ignore_case or whole_words:
            raise click.UsageError("--all and --any count one formula: give nothing else to count")
        _count_formula(open_index(path), every, some, within, ids=ids, as_json=as_json)
        return
    if was_given("within"):
        raise click.UsageError("--within is of --all and --any: give one of them")
    if not ngrams and file is None:
        raise click.UsageError(
            "there is no n-gram: type one, give - to read it from standard input, or name a file "
            "of n-grams with --file"
        )
    if as_text and ids:
        raise click.UsageError("--text counts characters, and --ids are none: give one of them")
    if (ignore_case or whole_words) and (as_text or ids):
        raise click.UsageError(
            "--ignore-case and --whole-words count spellings of a text: give neither --text nor "
            "--ids with them"
        )
    index = open_index(path)
    n_found = 0
    for batch in _batches(chain(ngrams, read_lines(file))):
        if ignore_case or whole_words:
            for text in batch:
                n_found += _count_variants(index, text, ignore_case, whole_words, as_json) > 0
            continue
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


def _count_variants(
    index: infgram.Index, text: str, ignore_case: bool, whole_words: bool, as_json: bool
) -> int:
    import infgram

    from .output import escaped, print_json

    found = infgram.variants(index, text, ignore_case=ignore_case, whole_words=whole_words)
    n = sum(found.values())
    if as_json:
        print_json({"ngram": text, "count": n, "variants": found})
    else:
        print(f"{n}\t{escaped(text)}")
    return n


def _count_formula(
    index: infgram.Index,
    every: tuple[str, ...],
    some: tuple[str, ...],
    within: int,
    *,
    ids: bool,
    as_json: bool,
) -> None:
    import infgram

    from .output import escaped, print_json

    clauses = [[text] for text in every] + ([list(some)] if some else [])
    cnf = [[read_query(index, text, ids=ids) for text in clause] for clause in clauses]
    n = infgram.count_cnf(index, cnf, max_diff_tokens=within)
    if as_json:
        print_json({"cnf": clauses, "max_diff_tokens": within, "count": n})
    else:
        formula = " AND ".join(
            f"({' OR '.join(map(escaped, clause))})" if len(clause) > 1 else escaped(clause[0])
            for clause in clauses
        )
        print(f"{n}\t{formula}")
    end_unless(n > 0)


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
