"""infgram dedup: what stands in a corpus more than once, and the corpus without it."""

from __future__ import annotations

from pathlib import Path

import click

from .exits import end_unless
from .option import option
from .options import (
    IndexPath,
    index_option,
    json_option,
    limit_option,
    min_length_option,
    open_index,
    output_option,
    quiet_option,
)

_SHOWN = 60


@click.command(
    epilog="""\b
Examples:
  infgram dedup --min-length 100
  infgram dedup --min-length 100 -o kept.jsonl
  infgram dedup -i train.infgram --against test.infgram -o clean.jsonl
"""
)
@index_option
@min_length_option("of a repeat", 50)
@option(
    "--against",
    type=IndexPath(),
    metavar="PATH",
    help="Another index: cut all that stands in it, too, the first occurrence included.",
)
@output_option(
    "the documents without their repeats, as JSON lines; or as token ids, to a name in .npy. A "
    "file that exists is replaced once the new one is whole.",
    shown="nowhere, only show them",
)
@option(
    "--text-field",
    metavar="NAME",
    default="text",
    help="Field that holds the text: of the JSON lines that are written.",
)
@limit_option("repeats, in the order of the corpus", 20)
@json_option
@quiet_option
def dedup(
    path: Path | None,
    min_length: int,
    against: Path | None,
    output: Path | None,
    text_field: str,
    limit: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Find and cut what stands in the corpus more than once.

    Prints a line a repeat: where it stands, how long it is and where it stood first. With -o, the
    documents are written without them; no run of so many tokens is in them twice, not even
    one that a cut made. Without -o the exit code is 1 if nothing repeats.
    """
    import infgram

    from .output import json_able, note, place_of, print_json, progress, quoted, stderr, stdout

    if output == Path("-"):
        raise click.UsageError("-o needs the name of a file, found -: /dev/stdout is one")
    index = open_index(path)
    other = infgram.open(against) if against else None
    if output is not None:
        console = stderr()
        with progress(console, quiet=quiet) as report:
            done = infgram.dedup(
                index, output, min_length, against=other, text_field=text_field, progress=report
            )
        if as_json:
            print_json(json_able(done))
        elif not quiet:
            share = done.n_removed / done.n_tokens
            repeats = "1 repeat" if done.n_spans == 1 else f"{done.n_spans:,} repeats"
            note(
                f"{output}: cut {repeats}, {done.n_removed:,} of {done.n_tokens:,} tokens "
                f"({share:.2%}); {done.n_emptied:,} of {done.n_documents:,} documents are empty "
                "and left out"
            )
        return
    n = 0
    found = infgram.repeats(index, min_length, against=other)
    for each in found:
        if n == limit:
            if not quiet:
                note(f"these are the first {n:,}; --limit shows more, -o cuts all")
            break
        n += 1
        if as_json:
            print_json(json_able(each))
            continue
        size = each.end - each.begin
        own = index.match(each.document, each.begin, size, context=0)
        first = (other or index).match(each.first_document, each.first_begin, min_length, context=0)
        more = "..." if len(each.text) > _SHOWN else ""
        stdout().print(
            f"{place_of(own)}: {size:,} tokens, first at {place_of(first)}: "
            f"{quoted(each.text[:_SHOWN])}{more}"
        )
    end_unless(n > 0)
