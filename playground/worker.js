// A thread of its own for the core: a question comes as a message, and its answer goes back.

import { Core } from "./core.js";

const core = load();

async function load() {
  const packed = await fetch("core.zlib");
  if (!packed.ok) throw new Error(`core.zlib could not be loaded: status ${packed.status}.`);
  const module = packed.body.pipeThrough(new DecompressionStream("deflate"));
  return Core.load(await new Response(module).arrayBuffer());
}

const ANSWERS = {
  text: (core, { text }) => core.index(text),
  "api/about": (core) => [core.about()],
  "api/levels": (core, { text }) => core.levels(text),
  "api/spans": (core, { text, min_length }) => core.spans(text, min_length),
  "api/trace": (core, { model, text }) => core.trace(model, text),
  begin: (core, { model, prompt, temperature, seed }) => core.begin(model, prompt, temperature, seed),
  more: (core, { model, n, last }) => core.more(model, n, last),
};

onmessage = async ({ data: { id, path, body } }) => {
  try {
    postMessage({ id, answer: ANSWERS[path](await core, body) });
  } catch (error) {
    postMessage({ id, problem: error.message });
  }
};
