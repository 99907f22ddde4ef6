"""infgram push: an index to an address."""

from __future__ import annotations

import time
from pathlib import Path

import click

from .option import option
from .options import IndexPath, json_option, open_index, quiet_option


@click.command(epilog="Example: infgram push corpus.infgram s3://bucket/corpus.infgram")
@click.argument("index", type=IndexPath())
@click.argument("url")
@option("--overwrite", is_flag=True, help="Replace an existing index once the new one is complete.")
@quiet_option
@json_option
def push(index: Path, url: str, overwrite: bool, quiet: bool, as_json: bool) -> None:
    """Copy an index to an address.

    That is an object store, a web server or the Hugging Face Hub: URL begins with s3://, gs://,
    az://, http://, https:// or hf://, and keys are those of the environment. Nobody sees the index
    before all of it is there. Name it with -i URL, or copy it with `infgram pull`.
    """
    import infgram

    from .output import print_json, progress, si, stderr, stdout

    opened = open_index(None, index)
    started = time.perf_counter()
    with progress(stderr(), quiet=quiet or as_json) as report:
        infgram.push(opened, url, overwrite=overwrite, progress=report)
    seconds = time.perf_counter() - started
    if as_json:
        told = {"url": url, "n_bytes": opened.n_bytes, "seconds": round(seconds, 3)}
        print_json({**told, "identity": opened.identity})
    elif not quiet:
        stdout().print(f"{url}: {si(opened.n_bytes, 'B')} in {seconds:.2f} s")
