"""infgram polish: a text, edited word by word."""

from __future__ import annotations

from typing import Any

import click

from .editing import edit_and_tell, editing_options


@click.command(
    epilog="""\b
Examples:
  infgram build corpus.txt --two-sided
  infgram generate 'ROMEO:' -k -1 | infgram polish --prompt 'ROMEO:' --seed 1
  infgram polish draft.txt --protect '^[A-Z ]+:$' --max-copy 20 --edits > better.txt
"""
)
@editing_options
@click.option(
    "--margin",
    type=click.FloatRange(min=0),
    metavar="NATS",
    default=4.0,
    show_default=True,
    help="Edit where that makes the text more probable by more.",
)
def polish(**asked: Any) -> None:
    """Edit TEXT word by word, so that an index finds it more probable from both sides.

    TEXT is a file, or - for standard input. The index must be two-sided and of bytes or characters.
    A word gives way to one of its length, or to what SBIS writes there, where that is better by a
    margin; everything else stays as it is. What is edited is printed.
    """
    from infgram import refine

    edit_and_tell(refine.polish, **asked)
