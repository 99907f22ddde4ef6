"""infgram convert: an index in another layout."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal

import click

from .option import option
from .options import AnyPath, json_option, open_index, quiet_option


@click.command(epilog="Example: infgram convert corpus.infgram small.infgram --layout compact")
@click.argument("index", type=AnyPath())
@click.argument("output", type=AnyPath())
@option(
    "--layout",
    type=click.Choice(["fast", "compact"]),
    required=True,
    help="Compact is many times smaller, slower, and generates with SBIS alone.",
)
@option("--overwrite", is_flag=True, help="Replace an existing index once the new one is complete.")
@quiet_option
@json_option
def convert(
    index: Path,
    output: Path,
    layout: Literal["fast", "compact"],
    overwrite: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Write an index in another layout.

    The fast layout does all, and takes 7 to 8 bytes a byte of text. The compact one takes about
    half a byte and answers the same counts, next tokens, levels, occurrences and traces, more
    slowly; of the models it has SBIS. OUTPUT is what a build would have made. What was fitted to
    INDEX is not taken along.
    """
    import infgram

    from .output import print_json, progress, si, stderr, stdout

    opened = open_index(None, index)
    started = time.perf_counter()
    with progress(stderr(), quiet=quiet or as_json) as report:
        made = infgram.convert(opened, output, layout=layout, overwrite=overwrite, progress=report)
    seconds = time.perf_counter() - started
    if as_json:
        print_json(
            {
                "path": str(made.path),
                "layout": made.layout,
                "n_bytes": made.n_bytes,
                "seconds": round(seconds, 3),
            }
        )
    elif not quiet:
        stdout().print(
            f"{output}: {made.layout} layout, {si(made.n_bytes, 'B')}, "
            f"{made.n_bytes / made.n_tokens:.2f} bytes a token, in {seconds:.2f} s"
        )
