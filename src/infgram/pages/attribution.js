const sections = [...document.querySelectorAll("section")];
const parts = new Map(); // of each span's name: the parts of the text that lead to it

function documentItem([place, before, match, after, known]) {
  const item = document.createElement("li");
  const code = document.createElement("code");
  code.append(before, element("mark", "", match), after);
  item.append(element("span", "quiet", place + (known ? "  " + known : "")), code);
  return item;
}

function spanDetails(name, [shade, told, text, documents, left]) {
  const details = document.createElement("details");
  details.id = name;
  const summary = document.createElement("summary");
  summary.append(element("code", "h" + shade, text), element("span", "quiet", "  " + told));
  const items = document.createElement("ol");
  items.append(...documents.map(documentItem));
  details.append(summary, items);
  if (left) details.append(element("p", "quiet", left));
  details.addEventListener("toggle", () => {
    if (details.open) light(name);
  });
  return details;
}

function runElement(prefix, shades, [text, span]) {
  if (span < 0) return text;
  const link = element("a", "h" + shades[span], text);
  const name = prefix + span;
  link.href = "#" + name;
  parts.set(name, [...(parts.get(name) ?? []), link]);
  return link;
}

function light(name) {
  for (const lit of document.querySelectorAll(".lit")) lit.classList.remove("lit");
  for (const part of parts.get(name) ?? []) part.classList.add("lit");
  document.getElementById(name).classList.add("lit");
}

function follow() {
  const details = document.getElementById(location.hash.slice(1));
  if (!details) return;
  details.open = true;
  light(details.id);
  details.scrollIntoView({block: "nearest"});
}

data.forEach(({runs, spans}, i) => {
  const prefix = "span-" + i + "-";
  const shades = spans.map(([shade]) => shade);
  const [text, list] = ["pre", ".spans"].map((of) => sections[i].querySelector(of));
  text.replaceChildren(...runs.map((run) => runElement(prefix, shades, run)));
  list.replaceChildren(...spans.map((span, k) => spanDetails(prefix + k, span)));
});
addEventListener("hashchange", follow);
document.addEventListener("click", (event) => { // to the same place once more
  if (event.target.closest?.("pre a")?.hash === location.hash) follow();
});
follow();
