"""infgram polish: a text, edited word by word."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import index_option, json_option, open_index, quiet_option, read_text, seed_option
from .texts import read_texts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    import infgram
    from infgram.refine import Refined


@click.command(
    epilog="""\b
Examples:
  infgram build corpus.txt --two-sided
  infgram generate 'ROMEO:' -k -1 | infgram polish --prompt 'ROMEO:' --seed 1
  infgram polish draft.txt --protect '^[A-Z ]+:$' --max-copy 20 --edits > better.txt
"""
)
@click.argument("text", default="-", metavar="[TEXT]")
@index_option
@click.option(
    "--prompt", default="", metavar="TEXT", help="What the text begins with: never edited."
)
@click.option(
    "--rounds",
    type=click.IntRange(min=0),
    metavar="N",
    default=2,
    show_default=True,
    help="Look at the least probable words so often; 0 only keeps to --max-copy.",
)
@click.option(
    "--margin",
    type=click.FloatRange(min=0),
    metavar="NATS",
    default=4.0,
    show_default=True,
    help="Edit where that makes the text more probable by more.",
)
@click.option(
    "--max-copy",
    type=click.IntRange(min=1),
    metavar="N",
    help="Edit until no more than N tokens in a row stand in the corpus.",
)
@click.option(
    "--protect",
    multiple=True,
    metavar="REGEX",
    help="Never edit what matches; ^ and $ are the ends of a line. May be repeated.",
)
@seed_option
@click.option("--edits", "show_edits", is_flag=True, help="List the edits on standard error.")
@click.option(
    "--trace", type=click.Path(path_type=Path), metavar="FILE", help="Keep draft and edits in FILE."
)
@click.option("-e", "--escape", "escapes", is_flag=True, help=r"Read \n, \t, \r, \xHH in --prompt.")
@quiet_option
@json_option
def polish(
    text: str,
    path: Path | None,
    prompt: str,
    rounds: int,
    margin: float,
    max_copy: int | None,
    protect: tuple[str, ...],
    seed: int | None,
    show_edits: bool,
    trace: Path | None,
    escapes: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Edit TEXT word by word, so that an index finds it more probable from both sides.

    TEXT is a file, or - for standard input. The index must be two-sided and of bytes or characters.
    A word gives way to one of its length, or to what SBIS writes there, where that is better by a
    margin; everything else stays as it is. What is edited is printed.
    """
    from infgram import refine

    index = open_index(path)
    whole = _read(index, text)
    before = index.ids(read_text(prompt, escapes=escapes))
    if whole[: len(before)].tolist() != before.tolist():
        raise click.UsageError(f"the text does not begin with the prompt {prompt!r}")
    started = time.perf_counter()
    refined = refine.polish(
        index,
        whole[len(before) :],
        prompt=before,
        rounds=rounds,
        margin=margin,
        max_copy=max_copy,
        protect=protect,
        seed=seed,
    )
    seconds = time.perf_counter() - started
    if trace:
        refined.trace.save(trace)
    if as_json:
        _print_json(refined, seconds)
    else:
        raw = index.tokenizer.decode(before) + index.tokenizer.decode(refined.token_ids)
        sys.stdout.flush()
        sys.stdout.buffer.write(raw)
        sys.stdout.buffer.flush()
    if show_edits and not as_json:
        _print_edits(index, refined, seconds)
    if not quiet and not as_json:
        _warn(refined, max_copy)


def _read(index: infgram.Index, text: str) -> NDArray[np.integer]:
    """All of a file's tokens."""
    import numpy as np

    contents = [index.ids(content) for content in read_texts((text,))]
    return np.concatenate([index.ids(""), *contents])


def _print_json(refined: Refined, seconds: float) -> None:
    from .output import json_able, print_json

    print_json(
        {
            "text": refined.text,
            "n_tokens": len(refined.token_ids),
            "n_edited": refined.n_edited,
            "n_rounds": refined.n_rounds,
            "longest_run": refined.longest_run,
            "runs": json_able(refined.runs),
            "edits": json_able(refined.edits),
            "seconds": round(seconds, 6),
        }
    )


def _print_edits(index: infgram.Index, refined: Refined, seconds: float) -> None:
    from .output import quoted, stderr, table

    console = stderr()
    rows = table(console, "token", "round", "gain", "proposer", "before", "after", "from", left=4)
    for edit in refined.edits:
        source = edit.source_offset
        place = "" if source is None else "{}:{}".format(*index.locate(source))
        rows.add_row(
            f"{edit.start:,}",
            str(edit.round),
            f"{edit.gain:+.1f}",
            edit.proposer,
            *(quoted(index.decode(ids)) for ids in (edit.old, edit.new)),
            place,
        )
    console.print(rows)
    share = refined.n_edited / max(len(refined.token_ids), 1)
    console.print(
        f"{len(refined.edits):,} edits in {refined.n_rounds} rounds, {share:.1%} of "
        f"{len(refined.token_ids):,} tokens, {seconds:.2f} s"
    )


def _warn(refined: Refined, max_copy: int | None) -> None:
    from .output import stderr

    if refined.runs:
        runs = ", ".join(f"{begin:,} to {end:,}" for begin, end in refined.runs[:5])
        more = ", ..." if len(refined.runs) > 5 else ""
        stderr().print(
            f"infgram: {len(refined.runs):,} runs of more than {max_copy} tokens still stand in "
            f"the corpus: tokens {runs}{more}"
        )
