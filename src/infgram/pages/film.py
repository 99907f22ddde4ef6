"""A trace as a web page that plays it: what changes from frame to frame, and a little JavaScript.

Without JavaScript the page shows the text after all edits.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, pairwise

import numpy as np

from ..checks import number
from ..errors import InvalidParameter
from ..refine.animate import Frame, Grid, State, frames
from ..refine.edits import Edit, Trace, tokenizer_of
from ..refine.orders import Order, left_to_right
from ..text.characters import characters
from .page import page

MAX_BYTES = 300_000
_LEGEND = {
    State.SUSPECTED: "suspected",
    State.HOLE: "hidden",
    State.FILLED: "filled in",
    State.EDITED: "kept",
}


def film_page(
    trace: Trace, *, order: Order = left_to_right, seed: int = 0, speed: float = 1.0
) -> str:
    """The page, less than 300 kB; `speed` 2 plays twice as fast.

    Of a long text the cells that an order lights are left out. Raises InvalidParameter, for a
    trace that does not fit into a page too.

    >>> edit = Edit(3, 6, tuple(b"bee"), tuple(b"die"), 1.5, "lexicon", None)
    >>> "to die" in film_page(Trace(np.array(list(b"to bee"), np.uint32), (edit,)))
    True
    """
    number(0, above=True, speed=speed)
    grid, played = frames(trace, order=order, seed=seed)
    film = list(played)
    made = _page(trace, grid, film, speed)
    if len(made.encode()) >= MAX_BYTES and any(frame.lit is not None for frame in film):
        made = _page(trace, grid, [replace(frame, lit=None) for frame in film], speed)
    n_bytes = len(made.encode())
    if n_bytes >= MAX_BYTES:
        raise InvalidParameter(
            f"the page of {len(trace.token_ids):,} tokens and {len(trace.edits):,} edits would "
            f"have {n_bytes:,} bytes, expected fewer than {MAX_BYTES:,}: play it in a terminal, "
            "or refine a part of the text"
        )
    return made


def _page(trace: Trace, grid: Grid, film: Sequence[Frame], speed: float) -> str:
    end = film[-1]
    legend = "".join(f'<span class="s{state:d}">{name}</span> ' for state, name in _LEGEND.items())
    return page(
        "film",
        title="A text, refined",
        values={
            "columns": grid.n_columns,
            "legend": legend,
            "caption": html.escape(end.caption),
            "text": html.escape(_lines(grid, end)),
        },
        data=_data(trace, grid, film, speed),
    )


def _lines(grid: Grid, frame: Frame) -> str:
    rows = groupby(zip(grid.rows.tolist(), frame.pieces, strict=True), lambda each: each[0])
    return "\n".join("".join(piece for _, piece in row) for _, row in rows)


def _data(trace: Trace, grid: Grid, film: Sequence[Frame], speed: float) -> dict[str, object]:
    scenes = {edits: i for i, edits in enumerate(dict.fromkeys(frame.edits for frame in film))}
    tokenizer = tokenizer_of(trace)
    return {
        "columns": grid.n_columns,
        "rows": np.bincount(grid.rows, minlength=grid.n_rows).tolist(),  # tokens of each
        "pieces": _packed(film[0].pieces),
        "scenes": [[_told(edit, tokenizer) for edit in scene] for scene in scenes],
        "frames": [
            [
                frame.caption,
                round(frame.seconds / speed, 4),
                scenes[frame.edits],
                _changes(before, frame),
                0 if frame.lit is None else np.packbits(frame.lit).tobytes().hex(),
            ]
            for before, frame in pairwise([film[0], *film])
        ],
    }


def _told(edit: Edit, tokenizer: str) -> list[object]:
    old, new = (characters(tokenizer, ids)[0] for ids in (edit.old, edit.new))
    return [old, new, f"{edit.gain:+.1f} nats", edit.proposer]


def _changes(before: Frame, frame: Frame) -> list[list[object]]:
    """Runs of tokens that are other than they were: begin, state, n, and pieces, if they are."""
    is_other = before.states != frame.states
    is_text = np.array(
        [old != new for old, new in zip(before.pieces, frame.pieces, strict=True)], bool
    )
    places = np.flatnonzero(is_other | is_text).tolist()
    # of a run, the places follow each other, and have one state
    keys = {place: (place - i, int(frame.states[place])) for i, place in enumerate(places)}
    changes: list[list[object]] = []
    for (_, state), run in groupby(places, keys.__getitem__):
        those = list(run)
        begin, end = those[0], those[-1] + 1
        text = _packed(frame.pieces[begin:end]) if is_text[begin:end].any() else 0
        changes.append([begin, state, end - begin, text])
    return changes


def _packed(pieces: Sequence[str]) -> str | list[str]:
    """As one string where JavaScript finds each piece in it by its number."""
    is_plain = all(len(piece) == 1 and piece < "\U00010000" for piece in pieces)
    return "".join(pieces) if is_plain else list(pieces)
