"""infgram export: a model in a form that other programs read."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .option import option
from .options import index_argument, index_option, open_index, output_option, quiet_option


@click.command(epilog="Example: infgram export --arpa --order 5 -o corpus.arpa")
@index_argument
@index_option
@option("--arpa", is_flag=True, help="An ARPA back-off file, as KenLM reads it.")
@option(
    "--order",
    type=click.IntRange(2, 253),
    metavar="N",
    required=True,
    help="The longest n-grams listed.",
)
@output_option("the file.", shown="standard output")
@quiet_option
def export(
    index: Path | None, path: Path | None, arpa: bool, order: int, output: Path | None, quiet: bool
) -> None:
    """Write a model for other programs.

    The model is Kneser-Ney cut at an order: `infgram perplexity --max-order N` gives the same
    scores. Blanks and what does not print are escaped, as in \\x20. <unk> has what one token has
    that the corpus never had.
    """
    import infgram

    from .output import progress, stderr

    if not arpa:
        raise click.UsageError("say in which form: --arpa is the only one so far")
    model = infgram.Model(open_index(path, index), infgram.KneserNey(max_order=order))
    console = stderr()
    with progress(console, quiet=quiet) as report:
        counts = infgram.export_arpa(model, output or sys.stdout.buffer, progress=report)
    if output and not quiet:
        listed = ", ".join(f"{n:,} of order {i}" for i, n in enumerate(counts, 1))
        console.print(f"{output}: {sum(counts):,} n-grams, {listed}")
