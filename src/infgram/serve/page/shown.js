// How texts and numbers are shown.

export function element(name, properties = {}, ...inside) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...inside);
  return made;
}

export const byId = (id) => document.getElementById(id);
export const number = (n) => n.toLocaleString("en");
export const percent = (share) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)}%`;
export const times = (n) => (n === 1 ? "once" : `${number(n)} times`);
export const visible = (token) =>
  token === "" ? "end" : token.replaceAll("\n", "↵").replaceAll("\t", "⇥").replaceAll(" ", "␣");
export const ending = (text, n = 30) => (text.length > n ? `…${text.slice(-n)}` : text);

// Rows of a name, a bar and a share, for all shares of one.
export function bars(rows) {
  const largest = Math.max(...rows.map(([, share]) => share), 1e-9);
  const list = element("dl", { className: "bars" });
  for (const [name, share] of rows) {
    const bar = element("i");
    bar.style.width = `${(100 * share) / largest}%`;
    list.append(element("dt", { textContent: name }), element("dd", {}, bar));
    list.append(element("dd", { textContent: percent(share) }));
  }
  return list;
}

// A place of the corpus, and the text around.
export function source(found) {
  const place = found.line ? `${found.source}, line ${number(found.line)}` : found.source;
  const around = element("code", {}, `…${found.before}`, element("b", { textContent: found.match }));
  around.append(`${found.after}…`);
  return element("div", { className: "source" }, element("span", { className: "soft", textContent: place }), element("br"), around);
}
