// The text to play with: the sample, one that is pasted or typed, a file. All else is the page.

import { ask } from "./answers.js";
import { byId, number } from "./shown.js";

const MOST_SHOWN = 100_000; // characters; a field with more is slow
let page;
let typing;
let latest = 0;

// Makes a text the one that all is about. name: of a file.
async function take(text, name) {
  const mine = ++latest;
  const begun = performance.now();
  delete document.body.dataset.taken;
  byId("taken").textContent = "Sorting…";
  try {
    const { n_tokens } = await ask("text", { text });
    if (mine !== latest) return;
    const seconds = (performance.now() - begun) / 1000;
    const size = `${number(n_tokens)} byte${n_tokens === 1 ? "" : "s"}`;
    byId("taken").textContent = `${name ? `${name}: ` : ""}${size}, ready after ${seconds.toFixed(2)} seconds.`;
    document.body.dataset.taken = n_tokens;
    if (page) await page.refresh();
    else page = await import("./page.js");
  } catch (error) {
    if (mine === latest) byId("taken").textContent = error.message;
  }
}

// Shows a text in the field, the beginning of a long one.
function show(text) {
  const isLong = text.length > MOST_SHOWN;
  byId("corpus").value = isLong ? text.slice(0, MOST_SHOWN) : text;
  byId("shown").hidden = !isLong;
}

async function open(file) {
  try {
    const bytes = await file.arrayBuffer();
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    show(text);
    await take(text, file.name);
  } catch (error) {
    const reason = error instanceof TypeError ? "it is not text in UTF-8. Save it as UTF-8 and open it again" : error.message;
    byId("taken").textContent = `${file.name} cannot be read: ${reason}.`;
  }
}

byId("corpus").oninput = () => {
  clearTimeout(typing);
  byId("shown").hidden = true;
  typing = setTimeout(() => take(byId("corpus").value), 300);
};
// A long text that replaces all is taken whole, though its beginning alone is shown.
byId("corpus").onpaste = (event) => {
  const text = event.clipboardData.getData("text/plain");
  const field = byId("corpus");
  const replacesAll = field.selectionStart === 0 && field.selectionEnd === field.value.length;
  if (text.length <= MOST_SHOWN || !replacesAll) return;
  event.preventDefault();
  show(text);
  take(text);
};
byId("corpus").ondragover = (event) => {
  if (event.dataTransfer.types.includes("Files")) event.preventDefault();
};
byId("corpus").ondrop = (event) => {
  const [file] = event.dataTransfer.files;
  if (!file) return;
  event.preventDefault();
  open(file);
};
byId("file").onchange = () => {
  const [file] = byId("file").files;
  if (file) open(file);
};
byId("empty").onclick = () => {
  byId("corpus").value = "";
  byId("shown").hidden = true;
  byId("corpus").focus();
};

const sample = await fetch("sample.txt");
show(await sample.text());
await take(byId("corpus").value);
