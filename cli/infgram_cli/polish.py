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
    help="Make an edit only if it makes the text more probable by more than this.",
)
def polish(**asked: Any) -> None:
    """Edit TEXT word by word, without a network.

    TEXT is a file, or - for standard input. The index must be two-sided and of bytes or characters.
    A word is replaced by one of the same length, or by what SBIS writes there, if the index finds
    that more probable by a margin; everything else stays as it is. The edited text is printed.
    """
    from infgram import refine

    edit_and_tell(refine.polish, **asked)
