"""infgram generate: new text."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, Literal

import click

from .options import index_option, json_option, open_index, query_options, read_query, seed_option

# What a corpus holds should not command a terminal; in a pipe or a file it stays as it is.
_NO_CONTROL = {c: "\ufffd" for c in [*range(32), *range(127, 160)] if chr(c) not in "\n\t\r"}


@click.command(epilog="Example: infgram generate 'ROMEO:' -n 300 -k 3 --seed 1")
@click.argument("prompt", default="")
@index_option
@click.option(
    "-n",
    "--max-tokens",
    type=click.IntRange(min=0),
    metavar="N",
    default=500,
    show_default=True,
    help="Tokens to make; fewer where a document ends.",
)
@click.option(
    "-k",
    type=click.IntRange(-1, 2**31 - 1),
    metavar="N",
    default=2,
    show_default=True,
    help="Back-off levels to mix; -1 for all. More invents more.",
)
@click.option(
    "--decay", default=0.1, show_default=True, help="How much less each further level counts."
)
@click.option(
    "--weighting",
    type=click.Choice(["counts", "distributions"]),
    default="counts",
    show_default=True,
    help="Mix the levels' raw counts, or their probabilities.",
)
@click.option(
    "--window",
    type=click.IntRange(min=1),
    metavar="N",
    default=200,
    show_default=True,
    help="Tokens of context seen.",
)
@click.option(
    "-T",
    "--temperature",
    default=0.8,
    show_default=True,
    help="Below 1 prefers what is frequent; 0 always takes the most frequent.",
)
@seed_option
@click.option("--no-prompt", is_flag=True, help="Print only what is new.")
@query_options
@json_option
def generate(
    prompt: str,
    path: Path | None,
    max_tokens: int,
    k: int,
    decay: float,
    weighting: Literal["counts", "distributions"],
    window: int,
    temperature: float,
    seed: int | None,
    no_prompt: bool,
    escapes: bool,
    ids: bool,
    as_json: bool,
) -> None:
    """Generate text after PROMPT, or from the beginning of a document.

    By Selective Back-off Interpolation Sampling. The text is printed as it is made.
    """
    import infgram

    from .output import print_json

    index = open_index(path)
    query = read_query(index, prompt, escapes=escapes, ids=ids)
    options: dict[str, Any] = {
        "max_tokens": max_tokens,
        "k": k,
        "decay": decay,
        "weighting": weighting,
        "window": window,
        "temperature": temperature,
        "seed": seed,
    }
    if as_json:
        started = time.perf_counter()
        made = infgram.generate(index, query, **options)
        print_json(
            {
                "text": made.text,
                "n_tokens": len(made.token_ids),
                "finish_reason": made.finish_reason,
                "seconds": round(time.perf_counter() - started, 6),
            }
        )
        return
    pieces = infgram.stream(index, query, **options)
    shown = query if isinstance(query, str) else index.decode(query)
    if not no_prompt and shown:
        joint = " " if index.tokenizer.name == "ids" else ""
        click.secho(shown + joint, bold=True, nl=False)
    last = ""
    on_terminal = sys.stdout.isatty()
    for piece in pieces:
        sys.stdout.write(piece if not on_terminal else piece.translate(_NO_CONTROL))
        sys.stdout.flush()
        last = piece[-1:] or last
    if last != "\n":
        sys.stdout.write("\n")
