// The core, as WebAssembly, over one text: what is asked in text is answered as the server answers
// its page. Works wherever WebAssembly does, without a page.

const LAWS = { "kneser-ney": 0, "sbis-1": 1, "sbis-2": 2, "sbis-3": 3 };
const AROUND = 60; // bytes of a place that are shown before and behind

const encode = (text) => new TextEncoder().encode(text);
const decode = (bytes) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
const isCut = (byte) => (byte & 0xc0) === 0x80;

export class Core {
  #core; // what it exports
  #bytes = new Uint8Array(0); // the text
  #lines = []; // where its lines begin
  #decoders = {}; // of what is being written, by model

  // module: the bytes of core.wasm.
  static async load(module) {
    const core = new Core();
    const fail = (what) => {
      throw new Error(`The core failed, load the page again: ${core.#said(what)}`);
    };
    const { instance } = await WebAssembly.instantiate(module, { page: { fail } });
    core.#core = instance.exports;
    core.#core._initialize();
    return core;
  }

  // Takes a text instead of the one before. Throws an error that says what is wrong with it.
  index(text) {
    const bytes = encode(text);
    this.#ask("index_text", bytes);
    this.#bytes = bytes;
    this.#lines = [0];
    for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) this.#lines.push(at + 1);
    return this.about();
  }

  about() {
    const plain = this.#bytes.every((byte) => byte < 128);
    const about = { name: "text", n_tokens: this.#bytes.length, n_documents: 1 };
    return { ...about, tokenizer: plain ? "chars" : "utf-8", estimators: Object.keys(LAWS) };
  }

  levels(text) {
    const context = encode(text);
    const numbers = this.#ask("levels", context);
    const levels = [];
    for (let at = 0; at < numbers.length; ) {
      const [n, m, told] = numbers.slice(at, at + 3);
      at += 3;
      const next = [];
      for (let i = 0; i < told; ++i, at += 2) next.push([decode(Uint8Array.of(numbers[at])), numbers[at + 1]]);
      levels.push({ n, m, suffix: decode(context.subarray(context.length - n)), next });
    }
    return { levels };
  }

  spans(text, least) {
    const passage = encode(text);
    const numbers = this.#ask("spans", passage, least);
    const spans = [];
    for (let at = 0; at < numbers.length; ) {
      const [start, end] = numbers.slice(at, at + 2);
      const found = this.#places(numbers, at + 2, end - start);
      at += 4 + found.documents.length;
      spans.push({ start, end, n_tokens: end - start, ...found });
    }
    return { runs: runs(passage, spans), spans };
  }

  // Why a model would write the last byte of a text.
  trace(model, text) {
    const written = encode(text);
    const [prob, n, ...numbers] = this.#ask("trace", written, law(model));
    const levels = [];
    for (let at = 0; at < numbers.length; at += 3) {
      levels.push({ n: numbers[at], m: numbers[at + 1], share: numbers[at + 2] / prob, name: "" });
    }
    const match = written.subarray(written.length - n);
    const places = this.#places(this.#ask("places", match), 0, n);
    const last = [...text].at(-1);
    return { text: last, prob, levels, match: decode(match), ...places };
  }

  // Begins to write behind a prompt; `more` gives the bytes that follow, as text.
  begin(model, prompt, temperature, seed) {
    if (!(temperature >= 0 && temperature <= 100)) {
      throw new Error(`The temperature is ${temperature}, expected 0 to 100.`);
    }
    if (!(Number.isSafeInteger(seed) && seed >= 0)) {
      throw new Error(`The seed is ${seed}, expected a whole number from 0 to ${Number.MAX_SAFE_INTEGER}.`);
    }
    this.#ask("begin", encode(prompt), law(model), temperature, seed);
    this.#decoders[model] = new TextDecoder("utf-8", { ignoreBOM: true });
  }

  // last: no more will be asked for, so half a character is not waited for.
  more(model, n, last) {
    const bytes = Uint8Array.from(this.#ask("more", null, law(model), n));
    const ended = bytes.length < n;
    return { text: this.#decoders[model].decode(bytes, { stream: !last && !ended }), ended };
  }

  #ask(name, bytes, ...numbers) {
    if (bytes) {
      const at = this.#core.take(bytes.length);
      new Uint8Array(this.#core.memory.buffer).set(bytes, at);
    }
    const answered = this.#run(name, numbers);
    const { buffer } = this.#core.memory; // another one whenever it grows
    if (!answered) {
      const problem = new Uint8Array(buffer, this.#core.problem(), this.#core.problem_size());
      throw new Error(decode(problem));
    }
    return Array.from(new Float64Array(buffer, this.#core.answer(), this.#core.answer_size()));
  }

  #run(name, numbers) {
    try {
      return this.#core[name](...numbers);
    } catch (error) {
      if (!(error instanceof WebAssembly.RuntimeError)) throw error;
      throw new Error("The core ran out of memory: load the page again, and take a smaller text.");
    }
  }

  #said(at) {
    const memory = new Uint8Array(this.#core.memory.buffer);
    return decode(memory.subarray(at, memory.indexOf(0, at)));
  }

  // Numbers from `at` on as a count and places of n bytes.
  #places(numbers, at, n) {
    const [count, told] = numbers.slice(at, at + 2);
    return { count, documents: numbers.slice(at + 2, at + 2 + told).map((begin) => this.#place(begin, n)) };
  }

  #place(begin, n) {
    const bytes = this.#bytes;
    let from = Math.max(begin - AROUND, 0);
    while (from < begin && isCut(bytes[from])) ++from;
    let to = Math.min(begin + n + AROUND, bytes.length);
    while (to > begin + n && isCut(bytes[to])) --to;
    return {
      source: "The corpus",
      line: this.#line(begin),
      before: decode(bytes.subarray(from, begin)),
      match: decode(bytes.subarray(begin, begin + n)),
      after: decode(bytes.subarray(begin + n, to)),
    };
  }

  #line(at) {
    let low = 0;
    let high = this.#lines.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#lines[middle] <= at) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function law(model) {
  const name = model.split("@").at(-1);
  if (!(name in LAWS)) throw new Error(`There is no model "${name}", expected one of: ${Object.keys(LAWS).join(", ")}.`);
  return LAWS[name];
}

// A passage in parts, each with the number of the longest span that it is part of, or null.
function runs(passage, spans) {
  const owners = new Array(passage.length).fill(null);
  const order = spans.map((span, i) => i).sort((a, b) => spans[a].n_tokens - spans[b].n_tokens || b - a);
  for (const i of order) owners.fill(i, spans[i].start, spans[i].end);
  const parts = [];
  for (let begin = 0, end = 1; begin < passage.length; ++end) {
    if (end < passage.length && owners[end] === owners[begin]) continue;
    parts.push([decode(passage.subarray(begin, end)), owners[begin]]);
    begin = end;
  }
  return parts;
}
