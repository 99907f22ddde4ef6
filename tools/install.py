"""`pip install` for whoever waits: what is fetched, and how far the compiler is.

    python tools/install.py [ARGUMENT]...    # as after `pip install`

Installs into the environment of the Python that runs it. pip alone says either nothing for minutes
or hundreds of lines. Only if it fails is all of it shown; its exit code is passed on.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

_PACKAGE = re.compile(r"Collecting ([\w.-]+)")
_LARGE = re.compile(r"Downloading .* \(([\d.]+ GB|\d{2,}[\d.]* MB)\)")  # minutes for some
_STEP = re.compile(r"\[ *(\d+(?:/\d+|%))\] ")  # of ninja, of make
_INSTALLING = re.compile(r"Installing collected packages: (.*)")


class _Words:
    """Words that come one by one, in lines that fit, with a heading each time they change subject.

    Each is seen at once, on a terminal and in the log of a machine that tests.
    """

    def __init__(self) -> None:
        self._width = min(shutil.get_terminal_size((80, 24)).columns, 100)
        self._heading = ""
        self._column = 0

    def add(self, heading: str, word: str) -> None:
        if heading != self._heading:
            self.end_line()
            self._heading = heading
            self._write(f"  {heading}:")
        elif self._column + 1 + len(word) > self._width:
            self.end_line()
            self._write("   ")
        self._write(f" {word}")

    def end_line(self) -> None:
        if self._column:
            self._write("\n")
        self._column = 0

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()
        self._column += len(text)


def _follow(line: str, words: _Words) -> None:
    """Passes on what of a line of pip's is news."""
    if found := _STEP.search(line):
        words.add("compiling", found[1])
    elif found := _PACKAGE.search(line):
        words.add("fetching", found[1])
    elif found := _LARGE.search(line):
        words.add("fetching", f"({found[1]})")
    elif found := _INSTALLING.search(line):
        words.add("installing", f"{len(found[1].split(','))} packages")


def main(arguments: list[str]) -> int:
    started = time.monotonic()
    print(f"Installing into {os.path.relpath(sys.prefix)}", flush=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    words = _Words()
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as log,
        subprocess.Popen(
            [*pip, "--verbose", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as process,
    ):
        assert process.stdout
        for line in process.stdout:
            log.write(line)
            _follow(line, words)
        code = process.wait()
        words.end_line()
        if code:
            log.seek(0)
            shutil.copyfileobj(log, sys.stdout)
            print(f"pip failed with exit code {code}; all it said is above.")
        else:
            print(f"  done in {time.monotonic() - started:.0f} s")
    return code


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
