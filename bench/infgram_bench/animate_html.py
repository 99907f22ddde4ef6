"""The animation as a web page: one file, nothing fetched, a little plain JavaScript.

The page holds the same sheets as a GIF shows, and follows the same clock as often as the screen is
drawn anew. Who prefers reduced motion gets the end at once, and a button.
"""

from __future__ import annotations

import html
import json
from pathlib import Path
from string import Template

from .animation import (
    LEGEND,
    ROWS,
    SCROLL,
    SHADE_LABELS,
    OnProgress,
    Show,
    Track,
    clock_words,
    rate_words,
)


def write_html(show: Show, path: Path, on_progress: OnProgress) -> None:
    path.write_text(page(show), encoding="utf-8")
    on_progress(len(show.frames), len(show.frames))


def page(show: Show) -> str:
    race = show.race
    end = show.acts[-1]
    return _PAGE.substitute(
        title=html.escape(f"{race.left.name} and {race.right.name}: {end.caption}"),
        caption=html.escape(end.caption),
        note=html.escape(end.note),
        clock=clock_words(show.frames[-1].clock),
        left=_side(race.left, show.frames[-1].written[0]),
        right=_side(race.right, show.frames[-1].written[1]),
        legend=html.escape(LEGEND[0]),
        swatches="".join(
            f'<span class="s{shade}">{label}</span>' for shade, label in enumerate(SHADE_LABELS)
        ),
        meaning=html.escape(LEGEND[1]),
        footer=html.escape(race.footer),
        rows=ROWS,
        data=_in_script(_data(show)),
    )


def _side(track: Track, n: int) -> str:
    return _SIDE.substitute(
        name=html.escape(track.name),
        detail=html.escape(track.detail),
        n=f"{n:,}",
        rate=rate_words(track.seconds_per_character),
    )


def _data(show: Show) -> dict[str, object]:
    tracks = (show.race.left, show.race.right)
    return {
        "rows": ROWS,
        "scroll": SCROLL,
        "waiting": show.waiting,
        "acts": [vars(act) for act in show.acts],
        "sides": [
            {
                "pace": track.seconds_per_character,
                "sheets": [
                    [sheet.since, [[line.begin, line.text, line.shades] for line in sheet.lines]]
                    for sheet in sheets
                ],
            }
            for track, sheets in zip(tracks, show.sheets, strict=True)
        ],
    }


def _in_script(data: object) -> str:
    """JSON that no text can end early or turn into markup."""
    text = json.dumps(data, separators=(",", ":"))
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


_SIDE = Template("""\
<section>
<h2>$name</h2>
<p class="detail">$detail</p>
<p class="count"><b>$n</b> characters <span>$rate</span></p>
<pre aria-hidden="true"></pre>
</section>
""")

_PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
:root {
  --page: #f4f6f8; --paper: #fff; --rule: #d5dbe1; --ink: #1f2328; --quiet: #59636e;
  --left: #0072b2; --right: #c04e00;
  --s1: #e6f1fa; --s2: #c6e0f4; --s3: #9fcbec; --s4: #74b3e2;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0d1117; --paper: #151b23; --rule: #30363d; --ink: #e6edf3; --quiet: #9aa4af;
    --left: #56b4e9; --right: #f0883e;
    --s1: #16283c; --s2: #173a5b; --s3: #1a4d7c; --s4: #1f63a1;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.2rem; max-width: 68rem; background: var(--page); color: var(--ink);
  font: 15px/1.4 "DejaVu Sans", Verdana, Helvetica, Arial, sans-serif;
}
header { display: flex; justify-content: space-between; align-items: baseline; gap: 1rem; }
header p { margin: 0; color: var(--quiet); }
h1, #clock { margin: 0; font-size: clamp(1.2rem, 3.2vw, 1.9rem); line-height: 1.25; }
#clock, pre, .count b { font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace; }
#clock { font-weight: bold; white-space: nowrap; color: var(--ink); }
header div:last-child { text-align: right; }
main { display: grid; grid-template-columns: 1fr 1fr; gap: 1.2rem; margin: 1rem 0; }
section {
  min-width: 0; padding: .7rem 1rem; background: var(--paper);
  border: 1px solid var(--rule); border-top: 3px solid var(--accent);
}
section:first-child { --accent: var(--left); }
section:last-child { --accent: var(--right); }
h2 { margin: 0; font-size: 1.1rem; color: var(--accent); }
.detail { margin: 0; font-size: .8rem; color: var(--quiet); }
.count {
  display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 .5rem;
  margin: .4rem 0 .6rem; padding-bottom: .4rem; border-bottom: 1px solid var(--rule);
  color: var(--quiet);
}
.count b { font-size: 1.5rem; color: var(--ink); }
.count span { margin-left: auto; }
pre {
  margin: 0; height: calc($rows * 1.4em); overflow: hidden; font-size: clamp(6px, 1.27vw, 13.3px);
  line-height: 1.4; tab-size: 1;
}
pre div { height: 1.4em; white-space: pre; }
pre span { display: inline-block; height: 1.4em; vertical-align: top; }
pre .caret { width: 1ch; background: var(--accent); }
pre .waiting { margin-left: 1ch; color: var(--quiet); font-family: "DejaVu Sans", sans-serif; }
.s1 { background: var(--s1); } .s2 { background: var(--s2); }
.s3 { background: var(--s3); } .s4 { background: var(--s4); }
footer { font-size: .8rem; color: var(--quiet); }
footer p { margin: .5rem 0; }
#legend { display: inline-flex; margin: 0 .6rem; border: 1px solid var(--rule); color: var(--ink); }
#legend span { padding: .1rem .6rem; }
#legend .s0 { background: var(--paper); }
button {
  float: right; font: inherit; padding: .3rem 1rem; cursor: pointer; color: var(--ink);
  background: var(--paper); border: 1px solid var(--rule); border-radius: 4px;
}
@media (max-width: 640px) {
  main { grid-template-columns: 1fr; }
  pre { font-size: clamp(6px, 2.6vw, 13.3px); }
}
</style>
</head>
<body>
<header>
<div><h1 id="caption">$caption</h1><p id="note">$note</p></div>
<div><p id="clock">$clock</p><p>since both began</p></div>
</header>
<main>
$left$right</main>
<footer>
<button id="button" type="button" hidden>Pause</button>
<p>$legend<span id="legend">$swatches</span>$meaning</p>
<p>$footer</p>
</footer>
<script type="application/json" id="data">$data</script>
<script>
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const [caption, note, clock, button] =
  ["caption", "note", "clock", "button"].map((id) => document.getElementById(id));
const sections = [...document.querySelectorAll("section")];
const total = data.acts.reduce((sum, act) => sum + act.seconds, 0);

// How many items begin at n or before; items are in order.
function begun(items, n) {
  let low = 0, high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (items[middle][0] <= n) low = middle + 1; else high = middle;
  }
  return low;
}

function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

// One element for each run of characters of one shade.
function drawnLine(characters, shades) {
  const line = element("div", "", "");
  for (let i = 0, end; i < characters.length; i = end) {
    for (end = i + 1; end < characters.length && shades[end] === shades[i];) end += 1;
    line.append(element("span", "s" + shades[i], characters.slice(i, end).join("")));
  }
  return line;
}

function drawSide(side, section, n, waits) {
  if (side.drawn === n) return;
  side.drawn = n;
  section.querySelector("b").textContent = n.toLocaleString("en");
  const lines = side.sheets[begun(side.sheets, n) - 1][1];
  const nBegun = begun(lines, n);
  const nGone = Math.ceil(Math.max(nBegun - data.rows, 0) / data.scroll) * data.scroll;
  const drawn = lines.slice(nGone, nBegun).map(([begin, text, shades]) =>
    drawnLine(Array.from(text).slice(0, n - begin), shades));
  drawn.at(-1).append(element("span", "caret", ""));
  if (waits && n === 0) {
    drawn.at(-1).append(element("span", "waiting", data.waiting[0]));
    for (const words of data.waiting.slice(1)) {
      drawn.push(element("div", "", " "));
      drawn.at(-1).append(element("span", "waiting", words));
    }
  }
  section.querySelector("pre").replaceChildren(...drawn);
}

// Everything as it is so many seconds after the start of the show.
function draw(seconds) {
  let act, reached = 0;
  for (act of data.acts) {
    const spent = Math.min(seconds, act.seconds);
    reached += spent * act.speed;
    seconds -= spent;
    if (seconds <= 0 && spent < act.seconds) break;
  }
  caption.textContent = act.caption;
  note.textContent = act.note;
  clock.textContent = reached.toFixed(reached < 0.01 ? 6 : 2) + " s";
  data.sides.forEach((side, i) =>
    drawSide(side, sections[i], Math.floor(reached / side.pace + 1e-6), i === 1));
}

const longestStep = 0.1; // a page that was out of sight goes on where it was
let shown = 0; // seconds of the show
let before = null; // when it was drawn last, in milliseconds
let request = 0; // for the next drawing, 0 while it stands

function step(now) {
  if (before !== null) shown += Math.min((now - before) / 1000, longestStep);
  before = now;
  draw(Math.min(shown, total));
  if (shown < total) request = requestAnimationFrame(step); else stand();
}

function play() {
  if (shown >= total) shown = 0;
  before = null;
  button.textContent = "Pause";
  request = requestAnimationFrame(step);
}

function stand() {
  cancelAnimationFrame(request);
  request = 0;
  button.textContent = shown < total ? "Go on" : "Replay";
}

button.addEventListener("click", () => request ? stand() : play());
button.hidden = false;
if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
  shown = total;
  draw(shown);
  stand();
} else {
  draw(0);
  play();
}
</script>
</body>
</html>
""")
