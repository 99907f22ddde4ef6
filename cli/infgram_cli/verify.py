"""infgram verify: is an index whole?"""

from __future__ import annotations

import time
from pathlib import Path

import click

from .options import index_argument, index_option, index_path, json_option, quiet_option


@click.command(epilog="Example: infgram verify corpus.infgram")
@index_argument
@index_option
@quiet_option
@json_option
def verify(index: Path | None, path: Path | None, quiet: bool, as_json: bool) -> None:
    """Check that an index is whole.

    Reads every checksum, and proves every column from the text. The exit code is 2 if anything is
    wrong.
    """
    import infgram

    from .output import print_json, progress, si, stderr, stdout

    path = index_path(path, index)
    started = time.perf_counter()
    try:
        with progress(stderr(), quiet=quiet or as_json) as report:
            opened = infgram.open(path, verify=False)
            opened.verify(report)
    except infgram.InfgramError as error:
        if as_json:
            print_json({"path": str(path), "ok": False, "error": str(error)})
        raise
    seconds = time.perf_counter() - started
    if as_json:
        found = {"n_bytes": opened.n_bytes, "seconds": round(seconds, 3)}
        print_json({"path": str(path), "ok": True, **found})
    elif not quiet:
        size = si(opened.n_bytes, "B")
        stdout().print(f"{path}: sound ({size} checked in {seconds:.2f} s)")
