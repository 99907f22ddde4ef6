"""infgram join: parts of a build to one index."""

from __future__ import annotations

import time
from pathlib import Path

import click

from .inputs import jobs_option
from .option import option
from .options import IndexPath, json_option, output_option, quiet_option


@click.command(epilog="Example: infgram join part-*.infgram -o corpus.infgram")
@click.argument("parts", nargs=-1, type=IndexPath(), required=True, metavar="PART...")
@output_option("the index.", required=True)
@option(
    "--one-piece",
    is_flag=True,
    help="Sort all anew, into what a build of all makes: that can do whatever an index can.",
)
@jobs_option
@option("--overwrite", is_flag=True, help="Replace an existing index once the new one is complete.")
@quiet_option
@json_option
def join(
    parts: tuple[Path, ...],
    output: Path,
    one_piece: bool,
    jobs: int,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Join the parts of a build.

    PART is an index that `infgram build --part I/N` made, on any machine; all N are needed, in any
    order. Their files are linked, or copied to another file system, so the parts can be removed.
    Counts, next tokens and what SBIS writes are those of one build; what the index can do only in
    one piece needs --one-piece, or later `infgram merge --purge`.
    """
    import infgram

    from .output import print_json, progress, si, stderr, stdout

    started = time.perf_counter()
    with progress(stderr(), quiet=quiet or as_json) as report:
        joined = infgram.join(
            parts, output, one_piece=one_piece, jobs=jobs, overwrite=overwrite, progress=report
        )
    seconds = time.perf_counter() - started
    if as_json:
        print_json(
            {
                "path": str(joined.path),
                "n_parts": len(parts),
                "n_segments": joined.n_segments,
                "n_tokens": joined.n_tokens,
                "n_documents": joined.n_documents,
                "n_bytes": joined.n_bytes,
                "seconds": round(seconds, 3),
            }
        )
    elif not quiet:
        stdout().print(
            f"{joined.path.name}: {joined.n_tokens:,} tokens of {len(parts):,} parts, "
            f"{si(joined.n_bytes, 'B')}, in {seconds:.2f} s"
        )
