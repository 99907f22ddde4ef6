// All back-off levels of the text, a card each.

import { ask } from "./answers.js";
import { bars, byId, element, ending, times, visible } from "./shown.js";

export async function showLevels(index, text, unit, signal) {
  const { levels } = await ask("api/levels", { index, text }, signal);
  byId("levels").replaceChildren(...levels.map((level) => card(level, unit)));
}

function card(level, unit) {
  const seen = level.n
    ? `the last ${level.n === 1 ? unit.one : `${level.n} ${unit.many}`}, seen ${times(level.m)}`
    : `anywhere, ${times(level.m)}`;
  const made = element(
    "li",
    {},
    element("code", { textContent: level.n ? visible(ending(level.suffix)) : "(nothing)", title: level.suffix }),
    element("span", { className: "soft", textContent: seen }),
    bars(level.next.map(([token, count]) => [visible(token), count / level.m])),
  );
  made.dataset.n = level.n;
  made.dataset.m = level.m;
  return made;
}
