"""The playground: a folder of static files in which the core runs in a browser.

    python tools/playground.py    # with ziglang, which `make playground` installs

Compiles the core to WebAssembly and puts it, packed, beside the page. What the server's page has
too is taken from there. Prints the size of each file, and exits with 1 if all together are larger
than the playground may be. The first time takes a minute longer: zig makes its library.
"""

from __future__ import annotations

import argparse
import re
import sys
import zlib
from pathlib import Path

from cross import FLAGS, OUT, ROOT, ZIG, Failed, call

MOST_BYTES = 150_000
OWN = ROOT / "playground"
PAGE = ROOT / "src" / "infgram" / "serve" / "page"
SHARED = ("icon.svg", "levels.js", "page.css", "page.js", "shown.js", "spans.js", "writing.js")
# WebAssembly is compiled where it runs, for which there is a permission of its own.
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'"
)
SAMPLE = ("how-it-works", "tutorial", "estimators", "drafting", "refiner", "design")


def compiled() -> bytes:
    """The core as WebAssembly. Raises Failed."""
    OUT.mkdir(parents=True, exist_ok=True)
    source, made = ROOT / "csrc" / "playground" / "exports.cpp", OUT / "playground.wasm"
    flags = [*FLAGS, "-Oz", "-flto", "-DNDEBUG", "-fexceptions", "-Wl,--strip-all"]
    target = ["-target", "wasm32-wasi", "-mexec-model=reactor"]
    call([*ZIG, *target, *flags, f"-I{ROOT / 'csrc'}", str(source), "-o", str(made)])
    return made.read_bytes()


def html() -> str:
    """The playground's markup, with what it shares with the server's page."""
    shared = (PAGE / "index.html").read_text(encoding="utf-8")
    parts = dict(re.findall(r"<!-- shared (.+?) -->\n(.*?)<!-- end of \1 -->\n", shared, re.DOTALL))
    own = (OWN / "index.html").read_text(encoding="utf-8").replace("POLICY", POLICY)
    return re.sub(r"<!-- shared (.+?) -->\n", lambda found: parts[found[1]], own)


def sample() -> str:
    """What there is to play with before a text is pasted: the prose of infgram's documents."""
    paragraphs = []
    for name in SAMPLE:
        document = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
        without_code = re.sub(r"^```.*?^```$", "", document, flags=re.DOTALL | re.MULTILINE)
        for line in without_code.splitlines():
            if re.match(r"[A-Z].*[.:]$", line) and "[](" not in line and line.isascii():
                named = re.sub(r"!?\[(.*?)\]\(.*?\)", r"\1", line)
                paragraphs.append(re.sub(r"[`*]", "", named))
    return "\n".join(paragraphs) + "\n"


def contents() -> dict[str, bytes]:
    """The playground's files. Raises Failed."""
    files = [*(PAGE / name for name in SHARED), *OWN.iterdir()]
    return {path.name: path.read_bytes() for path in files} | {
        "index.html": html().encode(),
        "sample.txt": sample().encode(),
        "core.zlib": zlib.compress(compiled(), 9),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Makes the playground.")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "build" / "playground")
    output = parser.parse_args().output
    try:
        files = contents()
    except Failed as failure:
        print(failure, file=sys.stderr)
        return 1
    output.mkdir(parents=True, exist_ok=True)
    for name, content in sorted(files.items()):
        (output / name).write_bytes(content)
        print(f"{len(content):9,}  {name}")
    total = sum(map(len, files.values()))
    print(f"{total:9,}  bytes in all, of {MOST_BYTES:,}, in {output}")
    return 0 if total <= MOST_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
