// The text with what of it stands in the corpus, and where.

import { ask } from "./answers.js";
import { byId, element, source, times } from "./shown.js";

export async function showSpans(index, text, signal) {
  const { runs, spans } = await ask("api/spans", { index, text, min_length: 6 }, signal);
  const passage = byId("spans");
  passage.replaceChildren();
  byId("sources").replaceChildren();
  for (const [part, i] of runs) {
    if (i === null) {
      passage.append(part);
      continue;
    }
    const found = spans[i];
    const told = `${part}: ${found.n_tokens} long, ${times(found.count)}`;
    const button = element("button", { type: "button", textContent: part, title: told });
    button.className = `span shade${shade(found.n_tokens)}`;
    button.setAttribute("aria-pressed", "false");
    button.dataset.span = i;
    button.onclick = () => choose(button, found);
    passage.append(button);
  }
  if (!spans.length) passage.append(" (Nothing of six characters or more stands in the corpus.)");
  const longest = spans.reduce((best, each, i) => (best < 0 || each.n_tokens > spans[best].n_tokens ? i : best), -1);
  const first = passage.querySelector(`[data-span="${longest}"]`);
  if (first) choose(first, spans[longest]);
}

const shade = (n) => [8, 16, 32].filter((least) => n >= least).length + 1;

function choose(button, span) {
  for (const each of byId("spans").querySelectorAll("button")) {
    each.setAttribute("aria-pressed", String(each === button));
  }
  const head = `In the corpus ${times(span.count)}`;
  const some = span.count > span.documents.length ? `; ${span.documents.length} of the places:` : ":";
  byId("sources").replaceChildren(element("p", { textContent: head + some }), ...span.documents.map(source));
  byId("sources").dataset.count = span.count;
}
