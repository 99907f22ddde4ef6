"""A trace as a web page that plays it: what changes from frame to frame, and a little JavaScript.

Without JavaScript the page shows the text after all edits.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, pairwise

import numpy as np

from ..errors import InvalidParameter
from .animate import Frame, Grid, State, frames, tokenizer_of
from .characters import characters
from .edits import Edit, Trace
from .orders import Order, left_to_right
from .pages import page

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
    if not speed > 0:
        raise InvalidParameter(f"speed is {speed!r}, expected more than 0")
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
        title="A text, refined",
        style=_STYLE.replace("$columns", str(grid.n_columns)),
        body=_BODY.replace("$legend", legend)
        .replace("$caption", html.escape(end.caption))
        .replace("$text", html.escape(_lines(grid, end))),
        data=_data(trace, grid, film, speed),
        script=_SCRIPT,
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


_STYLE = """\
pre { overflow-x: auto; font-size: min(15px, calc((100vw - 5rem) / $columns / .61)); }
pre div { min-height: 1.4em; }
.lit { background: var(--lit); }
.s1 { background: var(--suspected); color: var(--suspected-ink); }
.s2 { background: var(--hole); color: transparent; }
#legend .s2 { color: var(--page); }
.s3 { background: var(--filled); color: var(--filled-ink); font-weight: bold; }
.s4 { background: var(--kept); }
#legend span { padding: .1rem .5rem; white-space: nowrap; }
#controls {
  position: sticky; bottom: 0; display: flex; gap: .8rem; align-items: center; padding: .5rem 0;
  background: var(--page);
}
#controls[hidden] { display: none; }
#controls input { flex: 1; min-width: 0; height: 2rem; accent-color: var(--blue); }
button {
  font: inherit; min-width: 6em; padding: .4rem 1rem; cursor: pointer; color: var(--ink);
  background: var(--paper); border: 1px solid var(--rule); border-radius: 4px;
}
#edits { margin: .5rem 0; padding: 0; list-style: none; min-height: 8em; }
#edits li { overflow-wrap: anywhere; }
#edits code { white-space: pre-wrap; font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace; }
#edits del { color: var(--red); } #edits ins { color: var(--blue); text-decoration: none; }
:root {
  --suspected: #ffe08a; --suspected-ink: #1f2328; --hole: #59636e; --filled: #0072b2;
  --filled-ink: #fff; --kept: #c6e0f4; --lit: #e3e7eb;
}
@media (prefers-color-scheme: dark) {
  :root {
    --suspected: #6b4e00; --suspected-ink: #ffe9b0; --hole: #7d8792; --filled: #56b4e9;
    --filled-ink: #0d1117; --kept: #173a5b; --lit: #2b333d;
  }
}
@media (max-width: 640px) {
  body { padding: .6rem; }
  pre { padding: .5rem; font-size: min(15px, calc((100vw - 2.4rem) / $columns / .61)); }
}
"""

_BODY = """\
<h1>A text, refined</h1>
<p id="caption">$caption</p>
<p class="quiet" id="legend">$legend</p>
<pre id="text">$text</pre>
<div id="controls" hidden>
<button id="button" type="button">Pause</button>
<input id="slider" type="range" min="0" value="0" step="1" aria-label="Picture">
</div>
<ul id="edits"></ul>
"""

_SCRIPT = """\
const [caption, text, controls, button, slider, edits] =
  ["caption", "text", "controls", "button", "slider", "edits"]
    .map((id) => document.getElementById(id));
const frames = data.frames;
const pieces = Array.from({length: data.pieces.length}, (_, i) => data.pieces[i]);
const spans = []; // one a token
const cells = new Map(); // those that can be lit, by the number of the cell
const someLit = frames.some((frame) => frame[4]);

function element(name, content) {
  const made = document.createElement(name);
  made.textContent = content;
  return made;
}

function layOut() {
  const rows = data.rows.map((n, r) => {
    const row = document.createElement("div");
    let column = 0;
    for (let i = 0; i < n; i += 1) {
      const piece = pieces[spans.length];
      const span = element("span", piece);
      spans.push(span);
      row.append(span);
      if (piece !== "") { cells.set(r * data.columns + column, span); column += 1; }
    }
    for (; someLit && column < data.columns; column += 1) {
      const span = element("span", " ");
      cells.set(r * data.columns + column, span);
      row.append(span);
    }
    return row;
  });
  text.replaceChildren(...rows);
}

function put(place, state, piece) {
  const span = spans[place];
  span.className = state ? "s" + state : "";
  if (span.textContent !== piece) span.textContent = piece;
}

function apply([,, , changes]) {
  for (const [begin, state, n, own] of changes)
    for (let i = 0; i < n; i += 1)
      put(begin + i, state, own ? own[i] : spans[begin + i].textContent);
}

function light(hex) {
  for (const span of text.querySelectorAll(".lit")) span.classList.remove("lit");
  for (let i = 0; hex && i < hex.length * 4; i += 1)
    if (parseInt(hex[i >> 2], 16) >> (3 - (i & 3)) & 1) cells.get(i)?.classList.add("lit");
}

let shown = -1; // the number of the frame
let listed = -1; // the number of the scene

function show(k) {
  if (k < shown) {
    spans.forEach((span, i) => put(i, 0, pieces[i]));
    shown = -1;
  }
  for (let i = shown + 1; i <= k; i += 1) apply(frames[i]);
  shown = k;
  const [words, , scene, , lit] = frames[k];
  light(lit);
  caption.textContent = words;
  slider.value = k;
  slider.setAttribute("aria-valuetext", words);
  if (scene === listed) return;
  listed = scene;
  edits.replaceChildren(...data.scenes[scene].map(([before, after, gain, proposer]) => {
    const item = document.createElement("li");
    const code = document.createElement("code");
    code.append(element("del", before), " \\u2192 ", element("ins", after));
    item.append(code, element("span", "  " + gain + ", " + proposer));
    item.lastChild.className = "quiet";
    return item;
  }));
}

let timer = 0; // of the next frame, 0 while it stands

function step() {
  if (shown + 1 >= frames.length) { stand(); return; }
  show(shown + 1);
  timer = setTimeout(step, frames[shown][1] * 1000);
}

function play() {
  if (shown + 1 >= frames.length) show(0);
  button.textContent = "Pause";
  timer = setTimeout(step, frames[shown][1] * 1000);
}

function stand() {
  clearTimeout(timer);
  timer = 0;
  button.textContent = shown + 1 < frames.length ? "Play" : "Replay";
}

button.addEventListener("click", () => timer ? stand() : play());
slider.addEventListener("input", () => { show(Number(slider.value)); stand(); });
slider.max = frames.length - 1;
controls.hidden = false;
layOut();
if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
  show(frames.length - 1);
  stand();
} else {
  show(0);
  play();
}
"""
