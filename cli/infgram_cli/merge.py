"""infgram merge: an index that has grown, in fewer pieces."""

from __future__ import annotations

import time
from pathlib import Path

import click

from .inputs import jobs_option
from .option import option
from .options import index_option, json_option, open_index, quiet_option


@click.command(epilog="Example: infgram merge -i corpus.infgram --purge")
@index_option
@option(
    "--purge",
    is_flag=True,
    help="Make one piece of all, as a build would; what was removed leaves the disk.",
)
@jobs_option
@quiet_option
@json_option
def merge(path: Path | None, purge: bool, jobs: int, quiet: bool, as_json: bool) -> None:
    """Merge the segments of an index that has grown.

    Joins small segments, the last ones first, until each is at least four times as large as all
    behind it; counts and documents stay what they are. It may run beside readers and `infgram add`.
    With --purge all becomes one piece, which can do whatever a built index can.
    """
    import infgram

    from .output import print_json, progress, si, stderr, stdout

    opened = open_index(path)
    started = time.perf_counter()
    with progress(stderr(), quiet=quiet or as_json) as report:
        merged = infgram.merge(opened, purge=purge, jobs=jobs, progress=report)
    seconds = time.perf_counter() - started
    if as_json:
        print_json(
            {
                "path": str(merged.path),
                "n_segments": merged.n_segments,
                "n_bytes": merged.n_bytes,
                "seconds": round(seconds, 3),
            }
        )
    elif not quiet:
        stdout().print(
            f"{merged.path.name}: segments: {merged.n_segments} of {opened.n_segments}, "
            f"{si(merged.n_bytes, 'B')}, in {seconds:.2f} s"
        )
