// Questions to the core, which answers in a thread of its own, as the server's page asks a server.

const PIECE = 200; // bytes that are written before others have their turn

const worker = new Worker("worker.js", { type: "module" });
const waiting = new Map();
let n_asked = 0;

worker.onmessage = ({ data: { id, answer, problem } }) => {
  const { resolve, reject } = waiting.get(id);
  waiting.delete(id);
  if (problem === undefined) resolve(answer);
  else reject(new Error(problem));
};
worker.onerror = () => {
  for (const { reject } of waiting.values()) reject(new Error("The core could not be started: load the page again."));
  waiting.clear();
};

// An answer that nobody waits for any more is an AbortError.
export function ask(path, body = {}, signal) {
  const id = ++n_asked;
  const answer = new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
  worker.postMessage({ id, path, body });
  return answer.finally(() => signal?.throwIfAborted());
}

// The text of a completion, piece by piece.
export async function* written({ model, prompt, max_tokens, temperature, seed }, signal) {
  await ask("begin", { model, prompt, temperature, seed }, signal);
  for (let left = max_tokens; left > 0; left -= PIECE) {
    const asked = { model, n: Math.min(left, PIECE), last: left <= PIECE };
    const { text, ended } = await ask("more", asked, signal);
    yield text;
    if (ended) return;
  }
}
