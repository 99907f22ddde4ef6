"""The playground for tests: made by its tool, served by a plain static server, asked in Node."""

from __future__ import annotations

import functools
import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
# Answers a list of questions, each a method of a core and its arguments; [text, n] is a
# long one. What a question throws is its answer, too.
_ASKING = """
import { readFileSync } from "node:fs";
import { inflateSync } from "node:zlib";
const [folder, questions] = process.argv.slice(2);
const { Core } = await import(`${folder}/core.mjs`);
const core = await Core.load(inflateSync(readFileSync(`${folder}/core.zlib`)));
const answers = JSON.parse(readFileSync(questions)).map(([method, ...given]) => {
  const all = given.map((each) => (Array.isArray(each) ? each[0].repeat(each[1]) : each));
  try {
    return core[method](...all) ?? null;
  } catch (error) {
    return { error: error.message };
  }
});
process.stdout.write(JSON.stringify(answers));
"""


def made(folder: Path) -> Path:
    """The playground's folder, made there. Skips where there is no compiler."""
    if find_spec("ziglang") is None:
        pytest.skip("needs ziglang, which `make test-browser` installs")
    tool = [sys.executable, str(ROOT / "tools" / "playground.py"), "-o", str(folder)]
    done = subprocess.run(tool, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def ask(playground: Path, scratch: Path, *questions: list[Any]) -> list[Any]:
    """The answers of one core, as Node has it."""
    for name in ("core.js", "core.zlib"):  # outside of a package, .js are no modules to Node
        shutil.copy(playground / name, scratch / name.replace(".js", ".mjs"))
    (scratch / "asking.mjs").write_text(_ASKING)
    (scratch / "questions.json").write_text(json.dumps(questions))
    done = subprocess.run(
        ["node", scratch / "asking.mjs", scratch, scratch / "questions.json"],
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    answers: list[Any] = json.loads(done.stdout)
    assert len(answers) == len(questions)
    return answers


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Sends every file under the policy that the page names: it holds for the worker, too."""

    def end_headers(self) -> None:
        page = Path(self.directory, "index.html").read_text(encoding="utf-8")
        policy = re.search(r'content-security-policy" content="(.+?)"', page)
        assert policy
        self.send_header("content-security-policy", policy[1])
        super().end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing."""


@contextmanager
def served(playground: Path) -> Iterator[str]:
    """Its address, while a static server runs."""
    handler = functools.partial(_Handler, directory=str(playground))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
