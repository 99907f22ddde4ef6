// Models that write side by side, and where each character came from.

import { ask, written } from "./answers.js";
import { bars, byId, element, ending, number, percent, source, times, visible } from "./shown.js";

const NAMES = {
  "sbis-1": "k = 1, copies",
  "sbis-2": "k = 2",
  "sbis-3": "k = 3",
  "kneser-ney": "Kneser-Ney",
  mix: "The mixture",
  "mix-full": "The full mixture",
};
let leaving = new AbortController();
let hovering = new AbortController();

export async function writeAll(corpus, prompt, settings) {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  byId("trace").replaceChildren();
  const models = Object.keys(NAMES).filter((name) => corpus.estimators.includes(name));
  const columns = models.map((name) => column(corpus, name, prompt));
  byId("texts").replaceChildren(...columns.map((each) => each.box));
  await Promise.all(columns.map((each) => write(each, prompt, settings, signal)));
}

function column(corpus, name, prompt) {
  const heading = element("h3", { textContent: NAMES[name] });
  const speed = element("span", { className: "soft", textContent: "…" });
  const text = element("pre", { tabIndex: 0 });
  text.setAttribute("role", "group");
  text.setAttribute("aria-label", `Text by ${NAMES[name]}; arrow keys go from character to character`);
  const box = element("div", { className: "column" }, heading, speed, text);
  const model = `${corpus.name}@${name}`;
  box.dataset.model = model;
  const made = { model, text, speed, box };
  const explain = (character) => trace(made, prompt, character);
  text.onmouseover = (event) => event.target !== text && explain(event.target);
  text.onclick = text.onmouseover;
  text.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step || !text.children.length) return;
    event.preventDefault();
    const at = [...text.children].findIndex((each) => each.className);
    const last = text.children.length - 1;
    explain(text.children[Math.min(Math.max(at + step, 0), last)]);
  };
  return made;
}

async function write({ model, text, speed, box }, prompt, settings, signal) {
  const request = { model, prompt, max_tokens: settings.length, temperature: settings.temperature, seed: settings.seed };
  const begun = performance.now();
  let n = 0;
  try {
    for await (const piece of written(request, signal)) {
      text.append(...Array.from(piece, (character) => element("span", { textContent: character })));
      n += Array.from(piece).length;
      const seconds = (performance.now() - begun) / 1000;
      speed.textContent = `${number(n)} characters, ${number(Math.round(n / seconds))} a second`;
    }
    box.dataset.done = "1";
  } catch (error) {
    if (error.name !== "AbortError") speed.textContent = error.message;
  }
}

// The levels that gave a character, and where what led to it stands.
async function trace({ model, text }, prompt, character) {
  hovering.abort();
  hovering = new AbortController();
  const { signal } = hovering;
  for (const each of document.querySelectorAll(".chosen")) each.removeAttribute("class");
  character.className = "chosen";
  const characters = [...text.children];
  const until = characters.slice(0, characters.indexOf(character) + 1);
  const before = prompt + until.map((each) => each.textContent).join("");
  try {
    await new Promise((resolve) => setTimeout(resolve, 60));
    if (signal.aborted) return;
    const found = await ask("api/trace", { model, text: before.slice(-2000) }, signal);
    byId("trace").replaceChildren(...told(found));
    byId("trace").dataset.prob = found.prob;
  } catch (error) {
    if (error.name !== "AbortError") byId("trace").replaceChildren(error.message);
  }
}

function told(found) {
  const head = element("p", {}, "The character ", element("code", { textContent: visible(found.text) }));
  head.append(` had a probability of ${percent(found.prob)}. `);
  const weighed = found.levels.filter((level) => level.share > 0);
  const pushed = found.levels.filter((level) => level.name);
  const rows = pushed.length
    ? pushed.slice(0, 8).map((level) => [level.name, Math.abs(level.push)])
    : weighed.slice(0, 8).map((level) => [level.n ? `${number(level.n)} back, seen ${times(level.m)}` : "anything at all", level.share]);
  if (!pushed.length) head.append("These levels gave it, each so much of it:");
  const parts = [head];
  if (!pushed.length) parts.push(bars(rows));
  if (found.count) {
    parts.push(element("p", {}, element("code", { textContent: visible(ending(found.match, 60)) }), ` stands in the corpus ${times(found.count)}:`));
    parts.push(...found.documents.map(source));
  }
  return parts;
}
