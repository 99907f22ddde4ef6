"""infgram pull: an index from an address."""

from __future__ import annotations

import time
from pathlib import Path

import click

from .option import option
from .options import AnyPath, json_option, quiet_option


@click.command(epilog="Example: infgram pull s3://bucket/corpus.infgram corpus.infgram")
@click.argument("url")
@click.argument("output", type=AnyPath())
@option("--overwrite", is_flag=True, help="Replace an existing index once the new one is complete.")
@quiet_option
@json_option
def pull(url: str, output: Path, overwrite: bool, quiet: bool, as_json: bool) -> None:
    """Copy an index from an address into a folder.

    OUTPUT appears when all files are there and their checksums are right, or not at all. Where you
    need only some of an index, name the address itself: commands with -i URL fetch what they touch.
    """
    import infgram

    from .output import print_json, progress, si, stderr, stdout

    started = time.perf_counter()
    with progress(stderr(), quiet=quiet or as_json) as report:
        made = infgram.pull(url, output, overwrite=overwrite, progress=report)
    seconds = time.perf_counter() - started
    if as_json:
        told = {"path": str(made.path), "n_bytes": made.n_bytes, "seconds": round(seconds, 3)}
        print_json({**told, "identity": made.identity})
    elif not quiet:
        stdout().print(f"{output}: {si(made.n_bytes, 'B')} in {seconds:.2f} s")
