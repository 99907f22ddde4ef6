"""A trace as moving pictures: what stands in each place of a grid, and in which state, when.

Draws nothing: `film_page` and the command line do. A text stands on its grid as the draft was laid
out, however it is edited: an edit keeps its length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from ..checks import whole
from ..errors import InvalidParameter
from ..text.characters import REPLACEMENT, characters
from .edits import Edit, Trace, tokenizer_of
from .orders import Order, Scene, Step, left_to_right

COLUMNS = 48
_FEWEST_COLUMNS = 8
_MOST_STEPS = 400
_DRAFT, _SUSPECTED, _MASKED, _STEP, _KEPT, _END = 1.2, 1.2, 0.8, 0.12, 1.4, 3.0  # seconds


class State(IntEnum):
    """Of a place: as it was drafted, about to change, hidden, just filled, changed before."""

    PLAIN = 0
    SUSPECTED = 1
    HOLE = 2
    FILLED = 3
    EDITED = 4


@dataclass(frozen=True)
class Grid:
    """Where the tokens of a text stand.

    - `rows`, `columns`: int64, the cell of each token; bytes of one character share a cell.
    - `n_rows`, `n_columns`
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    n_rows: int
    n_columns: int


@dataclass(frozen=True)
class Frame:
    """One picture.

    - `caption`: what happens.
    - `seconds`: how long it stands.
    - `pieces`: what each token shows: a character in its first one, "" in its others.
    - `states`: uint8, a `State` for each token.
    - `edits`: those that happen.
    - `first_row`: where it is looked at.
    - `lit`: cells with a light of their own, of shape (rows from `first_row` on, n_columns).
    """

    caption: str
    seconds: float
    pieces: tuple[str, ...]
    states: NDArray[np.uint8]
    edits: tuple[Edit, ...] = ()
    first_row: int = 0
    lit: NDArray[np.bool_] | None = None


def frames(
    trace: Trace,
    *,
    order: Order = left_to_right,
    columns: int = COLUMNS,
    rows: int | None = None,
    seed: int = 0,
) -> tuple[Grid, Iterator[Frame]]:
    """A trace, played: in every round words are suspected, hidden, filled in again, and kept.

    - `order`: of filling.
    - `columns`: of the grid; lines are broken to fit.
    - `rows`: that can be seen at once. A round is played screen by screen; None sees all.
    - `seed`: of orders that leave things to chance.

    The last frame is the text after all edits. Raises InvalidParameter.

    >>> edit = Edit(3, 6, tuple(b"bee"), tuple(b"die"), 1.5, "lexicon", None)
    >>> grid, film = frames(Trace(np.array(list(b"to bee"), np.uint32), (edit,)))
    >>> for frame in film:
    ...     print("".join(frame.pieces), frame.states.tolist(), frame.caption)
    to bee [0, 0, 0, 0, 0, 0] the draft
    to bee [0, 0, 0, 1, 1, 1] round 1 of 1: 1 span is suspected
    to bee [0, 0, 0, 2, 2, 2] round 1 of 1: 1 span is hidden
    to dee [0, 0, 0, 3, 2, 2] round 1 of 1: filling in
    to die [0, 0, 0, 3, 3, 2] round 1 of 1: filling in
    to die [0, 0, 0, 3, 3, 3] round 1 of 1: filling in
    to die [0, 0, 0, 4, 4, 4] round 1 of 1: kept, +1.5 nats
    to die [0, 0, 0, 4, 4, 4] after 1 round: 1 span edited, 2 of 6 tokens are others
    """
    whole(_FEWEST_COLUMNS, columns=columns)
    if rows is not None:
        whole(1, rows=rows)
    trace.replay()  # says now what would go wrong later
    text, bounds = characters(tokenizer_of(trace), trace.token_ids)
    grid = _laid_out(text, bounds, columns)
    return grid, _played(trace, grid, order, rows, np.random.default_rng(seed))


def _laid_out(text: str, bounds: NDArray[np.int64], columns: int) -> Grid:
    """Lines end where the text's do, and behind the last space that fits."""
    of_character = np.zeros((len(text), 2), np.int64)
    row = begin = 0
    while begin < len(text):
        end = _end_of_row(text, begin, columns)
        of_character[begin:end, 0] = row
        of_character[begin:end, 1] = np.arange(end - begin)
        row, begin = row + 1, end
    of_token = np.repeat(of_character, np.diff(bounds), axis=0)
    return Grid(of_token[:, 0], of_token[:, 1], max(row, 1), columns)


def _end_of_row(text: str, begin: int, columns: int) -> int:
    newline = text.find("\n", begin, begin + columns)
    if newline >= 0:
        return newline + 1
    if begin + columns >= len(text):
        return len(text)
    space = text.rfind(" ", begin, begin + columns)
    return space + 1 if space >= 0 else begin + columns - 1  # which leaves a cell for a newline


def _played(
    trace: Trace, grid: Grid, order: Order, rows: int | None, rng: np.random.Generator
) -> Iterator[Frame]:
    now = trace.token_ids.copy()
    tokenizer = tokenizer_of(trace)
    ends = np.append(grid.rows[1:] != grid.rows[:-1], True)[: len(now)]
    states = np.zeros(len(now), np.uint8)
    yield Frame("the draft", _DRAFT, _pieces(tokenizer, now, ends), states.copy())
    n_rounds = len({edit.round for edit in trace.edits})
    rounds = sorted({edit.round for edit in trace.edits})
    for edits in _scenes(trace.edits, grid, rows):
        title = f"round {rounds.index(edits[0].round) + 1} of {n_rounds}"
        places = np.concatenate([np.arange(edit.start, edit.end) for edit in edits])
        first = int(grid.rows[edits[0].start]) // rows * rows if rows else 0
        old = _pieces(tokenizer, now, ends)
        for edit in edits:
            now[edit.start : edit.end] = edit.new
        new = _pieces(tokenizer, now, ends)
        spans = _counted(len(edits), "span is", "spans are")
        for state, what, seconds in (
            (State.SUSPECTED, "suspected", _SUSPECTED),
            (State.HOLE, "hidden", _MASKED),
        ):
            states[places] = state
            yield Frame(f"{title}: {spans} {what}", seconds, old, states.copy(), edits, first)
        for step in _steps(order, _scene(edits, places, grid, first, rows, rng)):
            states[places] = np.where(step.hidden, State.HOLE, State.FILLED)
            shown = list(new)
            for place in places[step.hidden].tolist():
                shown[place] = old[place]
            yield Frame(
                f"{title}: filling in",
                _STEP,
                tuple(shown),
                states.copy(),
                edits,
                first,
                step.lit,
            )
        states[places] = State.EDITED
        gain = sum(edit.gain for edit in edits)
        caption = f"{title}: kept, {gain:+.1f} nats"
        yield Frame(caption, _KEPT, new, states.copy(), edits, first)
    n_others = int(np.count_nonzero(now != trace.token_ids))
    caption = (
        f"after {_counted(n_rounds, 'round', 'rounds')}: "
        f"{_counted(len(trace.edits), 'span', 'spans')} edited, "
        f"{n_others:,} of {len(now):,} tokens are others"
    )
    yield Frame(caption, _END, _pieces(tokenizer, now, ends), states.copy())


def _scenes(edits: Sequence[Edit], grid: Grid, rows: int | None) -> Iterator[tuple[Edit, ...]]:
    """Edits that are played at once: of one round and one screen, none on top of another."""
    left = list(edits)
    while left:
        of_round, later = list[Edit](), list[Edit]()
        for edit in left:
            is_now = edit.round == left[0].round and all(
                edit.end <= other.start or other.end <= edit.start for other in [*of_round, *later]
            )
            (of_round if is_now else later).append(edit)
        of_round.sort(key=lambda edit: edit.start)
        screens: dict[int, list[Edit]] = {}
        for edit in of_round:
            if edit.end > edit.start:
                screen = int(grid.rows[edit.start]) // rows if rows else 0
                screens.setdefault(screen, []).append(edit)
        yield from map(tuple, screens.values())
        left = later


def _scene(
    edits: Sequence[Edit],
    places: NDArray[np.int64],
    grid: Grid,
    first: int,
    rows: int | None,
    rng: np.random.Generator,
) -> Scene:
    inside = grid.rows[places] - first
    lengths = [edit.end - edit.start for edit in edits]
    n_rows = min(rows or grid.n_rows, grid.n_rows - first)
    return Scene(
        n_rows=max(n_rows, int(inside.max()) + 1),
        n_columns=grid.n_columns,
        rows=inside,
        columns=grid.columns[places],
        edits=np.repeat(np.arange(len(edits)), lengths),
        gains=np.array([edit.gain for edit in edits], np.float64),
        rng=rng,
    )


def _steps(order: Order, scene: Scene) -> Iterator[Step]:
    """Those of an order, checked; the last one hides nothing."""
    n = len(scene.rows)
    hidden = np.ones(n, bool)
    given: Iterable[Step] = order(scene)
    for step in islice(given, _MOST_STEPS):
        hidden = np.asarray(step.hidden)
        if hidden.dtype != bool or hidden.shape != (n,):
            raise InvalidParameter(
                f"the order gave {hidden.dtype} of shape {hidden.shape}, expected a boolean for "
                f"each of {n} places"
            )
        if step.lit is not None and step.lit.shape != (scene.n_rows, scene.n_columns):
            raise InvalidParameter(
                f"the order lit cells of shape {step.lit.shape}, expected "
                f"{(scene.n_rows, scene.n_columns)}"
            )
        yield step
    if hidden.any():
        yield Step(np.zeros(n, bool))


def _pieces(
    tokenizer: str, token_ids: NDArray[np.uint32], ends: NDArray[np.bool_]
) -> tuple[str, ...]:
    text, bounds = characters(tokenizer, token_ids)
    pieces = [""] * len(token_ids)
    for character, begin, end in zip(text, bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        pieces[begin] = _shown(character, bool(ends[begin:end].any()))
    return tuple(pieces)


def _shown(character: str, ends_row: bool) -> str:
    """As something that takes one cell and commands no terminal."""
    if character == "\n":
        return " " if ends_row else "↵"
    if character == "\t":
        return " "
    return character if character.isprintable() else REPLACEMENT


def _counted(n: int, one: str, more: str) -> str:
    return f"{n:,} {one if n == 1 else more}"
