"""infgram polish: a text, edited word by word."""

from __future__ import annotations

from typing import Any

import click

from .editing import edit_and_tell, editing_options
from .option import option


@click.command(
    epilog="""\b
Examples:
  infgram build corpus.txt --two-sided
  infgram generate 'ROMEO:' -k -1 | infgram polish --prompt 'ROMEO:' --seed 1
  infgram polish draft.txt --protect '^[A-Z ]+:$' --max-copy 20 --edits > better.txt
"""
)
@editing_options(rounds=2)
@option(
    "--margin",
    type=click.FloatRange(min=0),
    metavar="NATS",
    default=4.0,
    help="What an edit must gain; twice as much for a word that the corpus has.",
)
@option(
    "--judged-by",
    "judge",
    type=click.Choice(["kneser-ney", "mix"]),
    default="kneser-ney",
    help="What finds words probable: mix reads better, after a fit, and takes longer.",
)
def polish(**asked: Any) -> None:
    """Edit TEXT word by word, without a network.

    TEXT is a file, or - for standard input. The index must be two-sided and of bytes or characters.
    A word that does not fit between its neighbours is replaced by a word of the corpus of the same
    length, if that fits and the index finds it more probable by a margin. Everything else stays as
    it is, and so do characters that the corpus does not have. The edited text is printed.
    """
    from infgram import refine

    edit_and_tell(refine.polish, **asked)
