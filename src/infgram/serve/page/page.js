// What is asked, kept in the link: the text, the corpus, the settings and the seed.

import { ask } from "./answers.js";
import { showLevels } from "./levels.js";
import { byId, element, number } from "./shown.js";
import { showSpans } from "./spans.js";
import { writeAll } from "./writing.js";

const SETTINGS = ["length", "temperature", "seed"];
let corpora = [];
let looking = new AbortController();
let typing;

// Where there is one corpus alone, a page need not let choose.
const chosen = () => corpora.find((each) => each.name === byId("index")?.value) ?? corpora[0];

const UNITS = { bytes: "character", chars: "character", "utf-8": "byte" };

function unit(corpus) {
  const one = UNITS[corpus.tokenizer] ?? "token";
  return { one, many: `${one}s` };
}

async function look() {
  looking.abort();
  looking = new AbortController();
  const { signal } = looking;
  const text = byId("text").value;
  const corpus = chosen();
  delete document.body.dataset.looked;
  byId("about").textContent = `${number(corpus.n_tokens)} ${unit(corpus).many}, ${number(corpus.n_documents)} document${corpus.n_documents === 1 ? "" : "s"}`;
  keep();
  try {
    await Promise.all([
      showLevels(corpus.name, text, unit(corpus), signal),
      showSpans(corpus.name, text, signal),
    ]);
    document.body.dataset.looked = text;
  } catch (error) {
    if (error.name !== "AbortError") byId("about").textContent = error.message;
  }
}

async function write() {
  delete document.body.dataset.written;
  keep();
  const settings = Object.fromEntries(SETTINGS.map((name) => [name, Number(byId(name).value)]));
  await writeAll(chosen(), byId("text").value, settings);
  document.body.dataset.written = settings.seed;
}

function keep() {
  const kept = new URLSearchParams({ text: byId("text").value, index: chosen().name });
  for (const name of SETTINGS) kept.set(name, byId(name).value);
  history.replaceState(null, "", `#${kept}`);
}

function restore() {
  const kept = new URLSearchParams(location.hash.slice(1));
  byId("text").value = kept.get("text") ?? byId("text").defaultValue;
  for (const name of SETTINGS) if (kept.has(name)) byId(name).value = kept.get(name);
  const name = kept.get("index");
  if (byId("index") && corpora.some((each) => each.name === name)) byId("index").value = name;
}

async function copy() {
  try {
    await navigator.clipboard.writeText(location.href);
    byId("copied").textContent = "Copied.";
  } catch {
    byId("copied").textContent = "The address of this page is the link.";
  }
}

// Asks again, where the corpora are others than before.
export async function refresh() {
  corpora = await ask("api/about");
  await Promise.all([look(), write()]);
}

async function begin() {
  corpora = await ask("api/about");
  byId("index")?.replaceChildren(...corpora.map(({ name }) => element("option", { value: name, textContent: name })));
  restore();
  byId("text").oninput = () => {
    clearTimeout(typing);
    delete document.body.dataset.looked;
    typing = setTimeout(look, 80);
  };
  byId("index")?.addEventListener("change", () => Promise.all([look(), write()]));
  byId("settings").onsubmit = (event) => {
    event.preventDefault();
    write();
  };
  byId("again").onclick = () => {
    byId("seed").value = Math.floor(Math.random() * 1e6);
    write();
  };
  byId("copy").onclick = copy;
  window.onhashchange = () => {
    restore();
    Promise.all([look(), write()]);
  };
  await Promise.all([look(), write()]);
}

begin();
