// Questions to the server.

export async function ask(path, body, signal) {
  const given = { method: "POST", headers: { "content-type": "application/json" }, signal };
  const answer = await fetch(path, body === undefined ? { signal } : { ...given, body: JSON.stringify(body) });
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.error.message ?? found.error);
  return found;
}

// The text of a completion, piece by piece.
export async function* written(request, signal) {
  const answer = await fetch("v1/completions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...request, stream: true }),
    signal,
  });
  if (!answer.ok) throw new Error((await answer.json()).error.message);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const events = (waiting + value).split("\n\n");
    waiting = events.pop();
    for (const event of events) {
      if (event === "data: [DONE]") return;
      const found = JSON.parse(event.slice("data: ".length));
      if (found.error) throw new Error(found.error.message);
      yield found.choices[0].text;
    }
  }
}
