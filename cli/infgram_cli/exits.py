"""How commands end: grep's codes. Alone in knowing them."""

from __future__ import annotations

import sys

import click

NOT_FOUND = 1
FAILED = 2  # click's own for wrong usage, too
INTERRUPTED = 130

MEANINGS = {
    0: "all is well; what was asked for was found",
    NOT_FOUND: "nothing was found (count, next, find, trace, ngrams, overlap, dedup)",
    FAILED: "an error, or wrong usage",
    INTERRUPTED: "interrupted",
}


def end_unless(found: bool) -> None:
    """Ends the command with its own code where nothing was found."""
    if not found:
        sys.stdout.flush()
        raise click.exceptions.Exit(NOT_FOUND)
