const [caption, note, clock, button] =
  ["caption", "note", "clock", "button"].map((id) => document.getElementById(id));
const sections = [...document.querySelectorAll("section")];
const total = data.acts.reduce((sum, act) => sum + act.seconds, 0);

const begin = (item) => item[0];

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
  const lines = side.sheets[countUpTo(side.sheets, n, begin) - 1][1];
  const nBegun = countUpTo(lines, n, begin);
  const nGone = Math.ceil(Math.max(nBegun - data.rows, 0) / data.scroll) * data.scroll;
  const drawn = lines.slice(nGone, nBegun).map(([first, text, shades]) =>
    drawnLine(Array.from(text).slice(0, n - first), shades));
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

player(button, total, draw);
button.hidden = false;
