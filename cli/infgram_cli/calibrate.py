"""infgram calibrate: Kneser-Ney's discounts, fitted to an index."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import index_argument, index_option, json_option, open_index, quiet_option

if TYPE_CHECKING:
    import infgram


@click.command(epilog="Example: infgram calibrate corpus.infgram")
@index_argument
@index_option
@quiet_option
@json_option
def calibrate(index: Path | None, path: Path | None, quiet: bool, as_json: bool) -> None:
    """Fit Kneser-Ney to an index.

    Finds the discounts that make parts of the corpus most probable, each predicted as if it and its
    surroundings were not in the index. Stores them in the index and prints how well they predict.
    The first command that needs them does this too.
    """
    import infgram

    from .output import print_json, progress, stderr, stdout, table

    opened = open_index(path, index)
    started = time.perf_counter()
    with progress(stderr(), quiet=quiet or as_json) as report:
        if report:
            report("calibrate", 0, 1)
        static, adapting = infgram.calibrate(opened)
        if opened.is_two_sided:
            infgram.calibrate(opened.backwards)
    seconds = time.perf_counter() - started
    fits = {"static": static, "adapting": adapting}
    if as_json:
        print_json(
            {
                "path": str(opened.path),
                "n_tokens": static.n_tokens,
                **{name: _as_json(fit) for name, fit in fits.items()},
                "seconds": round(seconds, 3),
            }
        )
        return
    if quiet:
        return
    console = stdout()
    if not static.n_tokens:
        console.print(f"{opened.path.name}: too small to fit; textbook discounts are stored")
        return
    console.print(f"{opened.path.name}: {static.n_tokens:,} tokens predicted in {seconds:.2f} s")
    rows = table(console, "", "nats per token", "perplexity")
    for name, fit in fits.items():
        rows.add_row(name, f"{fit.nats:.4f}", f"{math.exp(fit.nats):.4f}")
    console.print(rows)


def _as_json(fit: infgram.Calibration) -> dict[str, float] | None:
    if not fit.n_tokens:
        return None
    return {"nats_per_token": fit.nats, "perplexity": math.exp(fit.nats)}
