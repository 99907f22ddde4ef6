"""infgram novelty: how much of a text the corpus has."""

from __future__ import annotations

from pathlib import Path

import click

from .option import option
from .options import index_option, json_option, open_index
from .texts import Texts, text_arguments

_SHOWN_TOKENS = 200


@click.command(
    epilog="""\b
Examples:
  infgram novelty written.txt
  infgram generate -n 10000 | infgram novelty -
"""
)
@text_arguments
@index_option
@option(
    "--gram",
    type=click.IntRange(min=1),
    metavar="N",
    default=20,
    help="Length of the n-grams to look up.",
)
@json_option
def novelty(
    given: Texts,
    path: Path | None,
    gram: int,
    as_json: bool,
) -> None:
    """Measure how much of TEXT is copied.

    Also measures how varied it is. Text is copied if it occurs in the corpus of the index. TEXT is
    a file of any kind that `infgram build` takes, or - for standard input.
    """
    import numpy as np

    import infgram

    from .output import json_able, print_facts, print_json, quoted, stdout

    index = open_index(path)
    texts = given.read()
    found = infgram.novelty(index, *texts, gram=gram)
    begin = found.longest_run_begin
    ids = np.concatenate([np.zeros(0, np.uint32), *(index.ids(text) for text in texts)])
    run = ids[begin : begin + found.longest_run].astype(np.uint32)
    before = ids[:begin]
    if as_json:
        print_json({**json_able(found), "longest_run_text": index.decode(run, after=before)})
        return
    facts = {
        "tokens": f"{found.n_tokens:,}",
        f"{gram}-grams in the corpus": f"{found.found_grams:.2%}",
        "in copies of 50 or more": f"{found.copied:.2%} of the tokens",
        "mean match": f"{found.mean_match:,.1f} tokens",
        "longest run": f"{found.longest_run:,} tokens, from token {begin:,}",
        "different n-grams": ", ".join(f"{n}: {s:.2%}" for n, s in enumerate(found.distinct, 1)),
    }
    if found.known_words is not None:
        facts["words in the corpus"] = f"{found.known_words:.2%} of {found.n_words:,}"
    console = stdout()
    print_facts(console, facts)
    if len(run):
        more = " ..." if len(run) > _SHOWN_TOKENS else ""
        console.print(
            f"\nThe longest run: {quoted(index.decode(run[:_SHOWN_TOKENS], after=before))}{more}"
        )
