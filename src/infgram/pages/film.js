const [caption, text, controls, button, slider, edits] =
  ["caption", "text", "controls", "button", "slider", "edits"]
    .map((id) => document.getElementById(id));
const frames = data.frames;
const pieces = Array.from({length: data.pieces.length}, (_, i) => data.pieces[i]);
const spans = []; // one a token
const cells = new Map(); // those that can be lit, by the number of the cell
const someLit = frames.some((frame) => frame[4]);

function layOut() {
  const rows = data.rows.map((n, r) => {
    const row = document.createElement("div");
    let column = 0;
    for (let i = 0; i < n; i += 1) {
      const piece = pieces[spans.length];
      const span = element("span", "", piece);
      spans.push(span);
      row.append(span);
      if (piece !== "") { cells.set(r * data.columns + column, span); column += 1; }
    }
    for (; someLit && column < data.columns; column += 1) {
      const span = element("span", "", " ");
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
    code.append(element("del", "", before), " \u2192 ", element("ins", "", after));
    item.append(code, element("span", "quiet", "  " + gain + ", " + proposer));
    return item;
  }));
}

let total = 0; // seconds
const begins = frames.map(([, seconds]) => (total += seconds) - seconds);

slider.max = frames.length - 1;
layOut();
const stand = player(button, total, (seconds) => {
  const k = countUpTo(begins, seconds) - 1;
  if (k !== shown) show(k);
});
slider.addEventListener("input", () => stand(begins[Number(slider.value)]));
controls.hidden = false;
