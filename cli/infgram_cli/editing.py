"""What commands share that edit a text: what they are asked, and how they tell what they did."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .given import Typed, escape_option
from .option import Decorated, option
from .options import (
    AnyPath,
    InputPath,
    index_option,
    json_option,
    open_index,
    quiet_option,
    seed_option,
)
from .texts import read_texts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    import infgram
    from infgram.refine import Refined

    # What edits: from an index, a text and arguments of `polish` and `refine` alike.
    Edit = Callable[..., Refined]


def editing_options(rounds: int) -> Callable[[Decorated], Decorated]:
    """Adds what `edit_and_tell` takes. rounds: how many `edit` has by itself."""
    return lambda command: _with_options(command, rounds)


def _with_options(command: Decorated, rounds: int) -> Decorated:
    for add in reversed(
        [
            click.argument("text", type=InputPath(), default="-", metavar="[TEXT]"),
            index_option,
            option(
                "--prompt",
                type=Typed(),
                default="",
                show_default=False,
                metavar="TEXT",
                help="The beginning of the text, which is never edited.",
            ),
            option(
                "--rounds",
                type=click.IntRange(min=0),
                metavar="N",
                show_default=str(rounds),
                help="Times to look for weak words; 0 only enforces --max-copy.",
            ),
            option(
                "--max-copy",
                type=click.IntRange(min=1),
                metavar="N",
                help="Let no run of more than N tokens occur in the corpus.",
            ),
            option(
                "--protect",
                multiple=True,
                metavar="REGEX",
                help="Never edit what matches; ^ and $ are the ends of a line; may be repeated.",
            ),
            seed_option,
            option("--edits", "show_edits", is_flag=True, help="List the edits on standard error."),
            option(
                "--save-trace",
                "trace",
                type=AnyPath(),
                metavar="PATH",
                old=("--trace",),
                help="Write the draft and its edits to a file, for `infgram animate`.",
            ),
            escape_option,
            quiet_option,
            json_option,
        ]
    ):
        command = add(command)
    return command


def edit_and_tell(
    edit: Edit,
    *,
    text: str,
    path: Path | None,
    prompt: str,
    rounds: int | None,
    max_copy: int | None,
    show_edits: bool,
    trace: Path | None,
    quiet: bool,
    as_json: bool,
    **others: Any,
) -> None:
    """Reads a text, lets edit(index, text, prompt=..., ...) edit it, and prints what it has become.

    `others` are for `edit`, which has its own number of rounds where none is asked for.
    """
    index = open_index(path)
    whole = _read(index, text)
    before = index.ids(prompt)
    if whole[: len(before)].tolist() != before.tolist():
        raise click.UsageError(f"the text does not begin with the prompt {prompt!r}")
    if rounds is not None:
        others["rounds"] = rounds
    started = time.perf_counter()
    refined = edit(index, whole[len(before) :], prompt=before, max_copy=max_copy, **others)
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
        warn_of_runs(refined, max_copy)


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
            "n_unjudged": refined.n_unjudged,
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
    if refined.n_unjudged:
        console.print(
            f"{refined.n_unjudged:,} characters were left as they are: the corpus does not have "
            "them, or the words next to them cannot be judged"
        )


def warn_of_runs(refined: Refined, max_copy: int | None) -> None:
    """Tells of verbatim runs that could not be broken, if any."""
    from .output import note

    if refined.runs:
        runs = ", ".join(f"{begin:,} to {end:,}" for begin, end in refined.runs[:5])
        more = ", ..." if len(refined.runs) > 5 else ""
        note(
            f"{len(refined.runs):,} runs of more than {max_copy} tokens still occur in "
            f"the corpus: tokens {runs}{more}"
        )
