"""infgram fit: the mixture, fitted to an index."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Literal

import click

from .models import mix_size_option
from .options import index_argument, index_option, json_option, open_index, quiet_option


@click.command(epilog="Example: infgram fit corpus.infgram")
@index_argument
@index_option
@mix_size_option
@click.option(
    "--adapt",
    is_flag=True,
    help="Also count the text that has been read: fit the mixture that does, which takes three "
    "times as long.",
)
@quiet_option
@json_option
def fit(
    index: Path | None,
    path: Path | None,
    mix_size: Literal["lean", "full"] | None,
    adapt: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Fit the mixture of --estimator mix to an index.

    Learns the weights of a logistic mixture in one pass over the corpus, each part predicted as if
    it and its surroundings were not in the index: half a minute for 1 MB, on one core. Of a large
    corpus it learns from an even sample. Stores what is learnt in the index, some 30 bytes for each
    byte of the corpus. The first command that needs it does this too.
    """
    import infgram

    from .output import print_json, progress, stderr, stdout

    opened = open_index(path, index)
    started = time.perf_counter()
    with progress(stderr(), quiet=quiet or as_json) as report:
        fitted = infgram.fit(
            opened,
            size=mix_size or "lean",
            adapt=adapt,
            progress=None if report is None else lambda *done: report("fit", *done),
        )
    seconds = time.perf_counter() - started
    if as_json:
        print_json(
            {
                "path": str(opened.path),
                "size": fitted.size,
                "n_tokens": fitted.n_tokens,
                "n_counted": fitted.n_counted,
                "nats_per_token": fitted.nats,
                "perplexity": math.exp(fitted.nats),
                "seconds": round(seconds, 3),
            }
        )
    elif not quiet:
        of_all = opened.n_rows - 1  # but for the boundary before the text
        sample = f", of a sample of {fitted.n_counted:,} of {of_all:,}"
        stdout().print(
            f"{opened.path.name}: {fitted.n_tokens:,} tokens predicted in {seconds:.2f} s"
            f"{sample if fitted.n_counted < of_all else ''}, "
            f"perplexity {math.exp(fitted.nats):.4f}"
        )
