"""Playing a trace: every frame against the texts before and after, every order to its end."""

from __future__ import annotations

import itertools
import json
import os
import pty
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import drawn, interrupted, read_terminal, run, start
from conftest import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from infgram.errors import InvalidParameter
from infgram.pages.film import MAX_BYTES, film_page
from infgram.refine.animate import Grid, State, frames
from infgram.refine.edits import Edit, Trace, tokenizer_of
from infgram.refine.orders import ORDERS, Order, Scene, Step, next_generation, order_named

TEXT = "To be or not\nto bee, that is the qxestion.\n"


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    """A text of bytes, not all of them UTF-8, and edits, some on top of others."""
    raw = draw(
        st.one_of(st.text("ab é語\n\t𝒜", max_size=60).map(str.encode), st.binary(max_size=60))
    )
    now = np.frombuffer(raw, np.uint8).astype(np.uint32)
    draft, edits = now.copy(), []
    for round_ in range(draw(st.integers(0, 3))):
        for _ in range(draw(st.integers(0, 3))):
            start, end = sorted(draw(st.tuples(*[st.integers(0, len(now))] * 2)))
            new = draw(st.lists(st.integers(0, 255), min_size=end - start, max_size=end - start))
            old = tuple(now[start:end].tolist())
            gain = draw(st.floats(-9, 9))
            edits.append(Edit(start, end, old, tuple(new), gain, "sbis", None, round_))
            now[start:end] = new
    return Trace(draft, tuple(edits))


def trace_of(draft: str, *edits: tuple[str, str, int]) -> Trace:
    """Each edit: what stands there, what is put there, in which round."""
    now, made = draft.encode(), []
    for old, new, round_ in edits:
        at = now.index(old.encode())
        made.append(
            Edit(
                at,
                at + len(old),
                tuple(old.encode()),
                tuple(new.encode()),
                2.5,
                "lexicon",
                None,
                round_,
            )
        )
        now = now.replace(old.encode(), new.encode(), 1)
    return Trace(np.array(list(draft.encode()), np.uint32), tuple(made))


EXAMPLE = trace_of(TEXT, ("bee", "die", 0), ("qxestion", "question", 0), ("die", "try", 1))


def text_of(trace: Trace) -> bytes:
    return bytes(trace.replay().tolist())


# frames -------------------------------------------------------------------------------------------


@settings(max_examples=examples(100))
@given(
    trace=traces(),
    order=st.sampled_from(sorted(ORDERS)),
    columns=st.integers(8, 20),
    rows=st.none() | st.integers(1, 3),
)
def test_a_film_begins_with_the_draft_and_ends_with_the_refined_text(
    trace: Trace, order: str, columns: int, rows: int | None
) -> None:
    grid, film = frames(trace, order=ORDERS[order], columns=columns, rows=rows)
    shown = list(film)
    assert shown[0].pieces == next(frames(trace, columns=columns)[1]).pieces
    assert not shown[0].states.any()
    tokens = {i for edit in trace.edits for i in range(edit.start, edit.end)}
    assert set(np.flatnonzero(shown[-1].states == State.EDITED).tolist()) == tokens
    refined = Trace(trace.replay(), ())
    as_draft = next(iter(frames(refined, columns=columns)[1])).pieces
    # a newline shows where a row ends, and rows end where those of the draft do
    same = {"↵": " "}
    assert [same.get(p, p) for p in shown[-1].pieces] == [same.get(p, p) for p in as_draft]
    for frame in shown:
        assert len(frame.pieces) == len(frame.states) == len(trace.token_ids)
        assert frame.seconds > 0
        if rows:
            places = [i for edit in frame.edits for i in range(edit.start, edit.end)]
            starts = [grid.rows[edit.start] for edit in frame.edits if edit.end > edit.start]
            assert all(frame.first_row <= row < frame.first_row + rows for row in starts), places


@settings(max_examples=examples(100))
@given(trace=traces(), columns=st.integers(8, 20))
def test_a_row_holds_a_line_or_as_much_of_it_as_fits(trace: Trace, columns: int) -> None:
    grid, film = frames(trace, columns=columns)
    assert grid.n_columns == columns
    pieces = next(film).pieces
    n_in_row = [0] * grid.n_rows
    for row, column, piece in zip(grid.rows.tolist(), grid.columns.tolist(), pieces, strict=True):
        if piece:  # what has no piece shares the cell before it
            assert column == n_in_row[row]
            n_in_row[row] += 1
        assert column == n_in_row[row] - 1 < columns
    assert (np.diff(grid.rows) >= 0).all()
    assert "↵" not in pieces


def test_words_are_not_broken_where_a_row_can_end_at_a_space() -> None:
    grid, film = frames(trace_of("alpha beta gamma\n\nx"), columns=12)
    assert rows_of(grid, next(film).pieces) == ["alpha beta ", "gamma ", " ", "x"]


def rows_of(grid: Grid, pieces: tuple[str, ...]) -> list[str]:
    rows = [""] * grid.n_rows
    for row, piece in zip(grid.rows.tolist(), pieces, strict=True):
        rows[row] += piece
    return rows


def test_a_round_goes_through_all_states_and_its_captions_say_so() -> None:
    _, film = frames(EXAMPLE)
    told = [(frame.caption, sorted({State(s).name for s in frame.states})) for frame in film]
    captions = list(dict.fromkeys(caption for caption, _ in told))
    assert captions == [
        "the draft",
        "round 1 of 2: 2 spans are suspected",
        "round 1 of 2: 2 spans are hidden",
        "round 1 of 2: filling in",
        "round 1 of 2: kept, +5.0 nats",
        "round 2 of 2: 1 span is suspected",
        "round 2 of 2: 1 span is hidden",
        "round 2 of 2: filling in",
        "round 2 of 2: kept, +2.5 nats",
        "after 2 rounds: 3 spans edited, 4 of 43 tokens are others",
    ]
    assert dict(told)["round 1 of 2: 2 spans are suspected"] == ["PLAIN", "SUSPECTED"]
    assert dict(told)["round 2 of 2: 1 span is hidden"] == ["EDITED", "HOLE", "PLAIN"]


def test_edits_of_other_tokens_are_refused() -> None:
    edit = Edit(0, 2, (1, 2), (3, 4), 0.0, "sbis", None)
    with pytest.raises(InvalidParameter, match="not the edits of this draft"):
        frames(Trace(np.zeros(4, np.uint32), (edit,)))


def test_ids_beyond_a_byte_are_characters() -> None:
    trace = Trace(np.array([0x8A9E, 97], np.uint32), ())
    assert tokenizer_of(trace) == "chars"
    assert next(frames(trace)[1]).pieces == ("語", "a")


@pytest.mark.parametrize("wrong", [{"columns": 7}, {"rows": 0}])
def test_a_grid_without_room_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InvalidParameter, match=f"{next(iter(wrong))} is"):
        frames(EXAMPLE, **wrong)


# orders -------------------------------------------------------------------------------------------


def scene(n_rows: int, n_columns: int, n: int, seed: int = 0) -> Scene:
    cells = np.arange(n)
    return Scene(
        n_rows,
        n_columns,
        cells // n_columns,
        cells % n_columns,
        cells // 3,
        np.arange(n // 3 + 1, dtype=float),
        np.random.default_rng(seed),
    )


@pytest.mark.parametrize("name", ORDERS)
def test_an_order_hides_nothing_again(name: str) -> None:
    hidden = np.ones(60, bool)
    for step in ORDERS[name](scene(9, 12, 60)):
        assert not (step.hidden & ~hidden).any()
        hidden = step.hidden
    assert name == "life" or not hidden.any()


def test_left_to_right_fills_in_the_order_of_the_text() -> None:
    for step in ORDERS["left-to-right"](scene(9, 12, 60)):
        assert (np.diff(step.hidden.astype(int)) >= 0).all()


def test_confidence_fills_what_gains_most_first() -> None:
    first, *_ = ORDERS["confidence"](scene(9, 12, 60))
    # of 60 places in 24 steps: the first step has 3, the last edit's
    assert np.flatnonzero(~first.hidden).tolist() == [57, 58, 59]


@pytest.mark.parametrize("name", ORDERS)
def test_the_same_seed_gives_the_same_film(name: str) -> None:
    def film(seed: int) -> list[tuple[str, bytes]]:
        _, played = frames(EXAMPLE, order=ORDERS[name], seed=seed)
        return [(frame.caption, frame.states.tobytes()) for frame in played]

    assert film(1) == film(1)
    assert (film(1) != film(2)) == (name in ("random", "life"))


@settings(max_examples=examples(50))
@given(st.data())
def test_a_generation_of_life_is_what_counting_neighbours_gives(data: st.DataObject) -> None:
    n_rows, n_columns = data.draw(st.tuples(st.integers(3, 6), st.integers(3, 6)))
    cells = data.draw(
        st.lists(st.booleans(), min_size=n_rows * n_columns, max_size=n_rows * n_columns)
    )
    alive = np.array(cells).reshape(n_rows, n_columns)
    grown = next_generation(alive)
    for row, column in itertools.product(range(n_rows), range(n_columns)):
        around = [
            alive[(row + down) % n_rows, (column + right) % n_columns]
            for down, right in itertools.product((-1, 0, 1), repeat=2)
            if (down, right) != (0, 0)
        ]
        assert grown[row, column] == (sum(around) in ((2, 3) if alive[row, column] else (3,)))


def test_life_fills_a_place_when_a_cell_is_born_there() -> None:
    given = scene(9, 12, 60)
    steps = list(ORDERS["life"](given))
    lit = [step.lit for step in steps if step.lit is not None]
    assert len(lit) == len(steps) > 1
    for before, (lit_before, lit_now), step in zip(
        steps, itertools.pairwise(lit), steps[1:], strict=False
    ):
        born = (lit_now & ~lit_before)[given.rows, given.columns]
        assert (step.hidden == (before.hidden & ~born)).all()


def endless(scene: Scene) -> Iterator[Step]:
    while True:
        yield Step(np.ones(len(scene.rows), bool))


def nothing(scene: Scene) -> Iterator[Step]:
    return iter(())


@pytest.mark.parametrize("order", [endless, nothing])
def test_a_film_ends_with_nothing_hidden_whatever_the_order_does(order: Order) -> None:
    *_, end = frames(EXAMPLE, order=order)[1]
    assert "".join(end.pieces).replace(" ", "") == text_of(EXAMPLE).decode().translate(
        {10: None, 32: None}
    )


@pytest.mark.parametrize(
    "step",
    [
        Step(np.ones(3, bool)),
        Step(np.ones(11, np.int64)),
        Step(np.ones(11, bool), np.ones((1, 1), bool)),
    ],
)
def test_an_order_that_gives_something_else_is_named(step: Step) -> None:
    with pytest.raises(InvalidParameter, match="the order"):
        list(frames(EXAMPLE, order=lambda _: [step])[1])


def test_an_order_can_come_from_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_orders.py").write_text("def mine(scene):\n    return []\nx = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert order_named("my_orders:mine").__name__ == "mine"
    for wrong, message in {
        "nope": "expected left-to-right",
        ":mine": "module:function",
        "my_orders:other": "cannot be loaded",
        "no_such_module:mine": "cannot be loaded",
        "my_orders:x": "no function",
    }.items():
        with pytest.raises(InvalidParameter, match=message):
            order_named(wrong)


# the page -----------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """What a browser finds: tags with their attributes, and the text in each tag of an id."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._ids: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "input"):
            self._ids.append(dict(attrs).get("id") or "")

    def handle_endtag(self, tag: str) -> None:
        self._ids.pop()

    def handle_data(self, data: str) -> None:
        if self._ids:
            self.texts[self._ids[-1]] = self.texts.get(self._ids[-1], "") + data


def data_of(page: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Reader(page).texts["data"])
    return found


def played(data: dict[str, Any]) -> Iterator[tuple[str, list[str], list[int]]]:
    """What the page's script shows, one frame after another."""
    pieces = list(data["pieces"])
    states = [0] * len(pieces)
    for caption, _, _, changes, _ in data["frames"]:
        for begin, state, n, text in changes:
            states[begin : begin + n] = [state] * n
            if text:
                pieces[begin : begin + n] = list(text)
        yield caption, list(pieces), list(states)


@settings(max_examples=examples(50))
@given(trace=traces(), order=st.sampled_from(sorted(ORDERS)))
def test_the_page_plays_the_film(trace: Trace, order: str) -> None:
    data = data_of(film_page(trace, order=ORDERS[order]))
    grid, film = frames(trace, order=ORDERS[order])
    assert sum(data["rows"]) == len(trace.token_ids)
    assert np.repeat(np.arange(len(data["rows"])), data["rows"]).tolist() == grid.rows.tolist()
    for (caption, pieces, states), frame in itertools.zip_longest(played(data), film):
        assert caption == frame.caption
        assert tuple(pieces) == frame.pieces
        assert states == frame.states.tolist()


def test_the_page_fetches_nothing_and_is_small() -> None:
    text = "All that glisters is not gold. " * 64
    trace = trace_of(text, *[("gold", "lead", i // 8) for i in range(32)])
    for order in ORDERS.values():
        page = film_page(trace, order=order)
        assert len(page.encode()) < MAX_BYTES
        reader = Reader(page)
        assert not any({"src", "href"} & set(attributes) for _, attributes in reader.tags)
        assert not re.search(r"url\(|@import|https?:|fetch\(|import\(", page)


def test_what_a_text_holds_stays_text() -> None:
    evil = "</script><script>alert(1)</script><!-- & ' \" \u2028 \x1b[2J"
    trace = trace_of(evil, ("alert", "<b>&\n", 0))
    page = film_page(trace)
    reader = Reader(page)
    assert [tag for tag, _ in reader.tags].count("script") == 2
    assert not any(tag == "b" for tag, _ in reader.tags)
    assert "</script><script><b>&" in reader.texts["text"]
    assert "\x1b" not in page
    *_, (_, pieces, _) = played(data_of(page))
    assert "".join(pieces).startswith("</script><script><b>&↵(1)</script><!-- & ' \" ")


def test_a_trace_that_is_too_long_for_a_page_is_refused() -> None:
    with pytest.raises(InvalidParameter, match=r"the page of 160,000 tokens .* fewer than 300,000"):
        film_page(Trace(np.full(160_000, 97, np.uint32), ()))


def test_the_page_of_a_long_text_does_without_lights() -> None:
    words = " ".join(f"word{i:05}" for i in range(2000))
    trace = trace_of(words, *[(f"word{i:05}", f"gone{i:05}", i % 3) for i in range(0, 2000, 20)])
    assert len(film_page(trace, order=ORDERS["left-to-right"])) < MAX_BYTES
    long = film_page(trace, order=ORDERS["life"])
    assert len(long) < MAX_BYTES
    assert not any(frame[4] for frame in data_of(long)["frames"])
    assert any(frame[4] for frame in data_of(film_page(EXAMPLE, order=ORDERS["life"]))["frames"])


def test_speed_divides_the_time_of_frames() -> None:
    times = [
        sum(frame[1] for frame in data_of(film_page(EXAMPLE, speed=speed))["frames"])
        for speed in (1.0, 4.0)
    ]
    assert times[0] == pytest.approx(4 * times[1])
    with pytest.raises(InvalidParameter, match="speed is 0"):
        film_page(EXAMPLE, speed=0)


# the command --------------------------------------------------------------------------------------


@pytest.fixture
def trace_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    EXAMPLE.save("trace.jsonl")
    return "trace.jsonl"


def test_where_there_is_no_terminal_the_refined_text_is_printed(trace_file: str) -> None:
    assert run("animate", trace_file).stdout.encode() == text_of(EXAMPLE)


def test_a_terminal_shows_all_rounds_and_keeps_the_end(trace_file: str) -> None:
    seen, _ = drawn("animate", trace_file, "--speed", "1000", "--fill-order", "life")
    for words in ("the draft", "2 spans are suspected", "▒", "kept, +5.0 nats", "round 2 of 2"):
        assert words in seen
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen).replace("\r", "")
    end = plain.split("after 2 rounds")[-1]
    assert [line.rstrip() for line in end.splitlines()[2:]][:2] == text_of(
        EXAMPLE
    ).decode().splitlines()


def test_an_interrupted_animation_leaves_the_terminal_as_it_was(trace_file: str) -> None:
    ours, theirs = pty.openpty()
    process = start(
        "animate", trace_file, "--speed", "0.01", stdout=theirs, environment={"TERM": "xterm"}
    )
    os.close(theirs)
    seen = b""
    while b"the draft" not in seen:
        seen += os.read(ours, 1 << 16)
    code, _, stderr = interrupted(process)
    seen += read_terminal(ours)
    assert code == 130
    assert b"Traceback" not in stderr
    assert seen.count(b"\x1b[?25l") == seen.count(b"\x1b[?25h") == 1  # the cursor is shown again


def test_a_page_is_written_in_the_order_that_was_asked_for(trace_file: str) -> None:
    result = run("animate", trace_file, "--html", "out.html", "--fill-order", "life", "--seed", "3")
    assert result.stdout == "" and "out.html" in result.stderr
    page = film_page(EXAMPLE, order=ORDERS["life"], seed=3)
    assert Path("out.html").read_text(encoding="utf-8") == page


def test_an_order_of_this_folder_is_found(trace_file: str) -> None:
    Path("orders_here.py").write_text("def none(scene):\n    return []\n")
    run("animate", trace_file, "--html", "out.html", "--fill-order", "orders_here:none")
    assert Path("out.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["trace.jsonl", "--fill-order", "spiral"],
            "--fill-order is 'spiral', expected left-to-right",
        ),
        (["missing.jsonl"], "missing.jsonl"),
        (["torn.jsonl"], "torn.jsonl is no whole trace of edits"),
        (["trace.jsonl", "--html", "none/out.html"], "none/out.html cannot be written"),
    ],
)
def test_what_cannot_be_played_is_said_in_a_line(
    trace_file: str, arguments: list[str], message: str
) -> None:
    whole = Path(trace_file).read_bytes()
    Path("torn.jsonl").write_bytes(whole[: len(whole) // 2])
    result = run("animate", *arguments, exit_code=2)
    assert message in result.stderr and len(result.stderr.splitlines()) == 1
