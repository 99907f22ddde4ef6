// The player of a show: draw(seconds) shows it as it is so long after its beginning. Whoever
// prefers reduced motion gets the end at once, and the button.
function player(button, total, draw) {
  const longestStep = 0.1; // a page that was out of sight goes on where it was
  let shown = 0; // seconds of the show
  let before = null; // when it was drawn last, in milliseconds
  let request = 0; // for the next drawing, 0 while it stands

  function step(now) {
    if (before !== null) shown = Math.min(shown + Math.min((now - before) / 1000, longestStep), total);
    before = now;
    draw(shown);
    if (shown < total) request = requestAnimationFrame(step); else stand(shown);
  }

  function play() {
    if (shown >= total) shown = 0;
    before = null;
    button.textContent = "Pause";
    request = requestAnimationFrame(step);
  }

  function stand(seconds) {
    cancelAnimationFrame(request);
    request = 0;
    shown = seconds;
    draw(shown);
    button.textContent = shown < total ? "Play" : "Replay";
  }

  button.addEventListener("click", () => request ? stand(shown) : play());
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
    stand(total);
  } else {
    draw(0);
    play();
  }
  return stand; // stops the show there
}

// How many of the items have a number of at most n; their numbers rise.
function countUpTo(items, n, numberOf = (item) => item) {
  let low = 0, high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numberOf(items[middle]) <= n) low = middle + 1; else high = middle;
  }
  return low;
}

function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}
