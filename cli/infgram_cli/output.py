"""How results and progress look, and whether in colours. Alone in importing rich."""

from __future__ import annotations

import codecs
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, Literal, TextIO

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console
    from rich.progress import Task, TaskID
    from rich.table import Table
    from rich.text import Text

    import infgram
    from infgram.refine.network.training import Step

When = Literal["auto", "always", "never"]

_PIPED_WIDTH = 10_000
_STAGES_IN_BYTES = {"read", "checksums", "kept", "push", "pull"}


def print_json(record: object) -> None:
    """One line of JSON, in ASCII: valid in every locale."""
    print(json.dumps(record))


def json_able(result: Any) -> Any:
    """A result as JSON has it: arrays as lists, and what is not finite as null.

    >>> json_able({"perplexity": float("inf"), "n": (1, 2)})
    {'perplexity': None, 'n': [1, 2]}
    """
    if is_dataclass(result):
        return {field.name: json_able(getattr(result, field.name)) for field in fields(result)}
    if hasattr(result, "_asdict"):  # a named tuple
        return json_able(result._asdict())
    if hasattr(result, "tolist"):  # an array
        return json_able(result.tolist())
    if isinstance(result, dict):
        return {name: json_able(value) for name, value in result.items()}
    if isinstance(result, (list, tuple)):
        return [json_able(value) for value in result]
    return None if isinstance(result, float) and not math.isfinite(result) else result


def si(number: float, unit: str = "") -> str:
    """Three digits and a decimal prefix.

    >>> si(1_115_394, "B")
    '1.12 MB'
    """
    thousands = 0
    while abs(number) >= 999.5 and thousands < 4:
        number /= 1000
        thousands += 1
    digits = f"{number:.0f}" if number >= 99.5 or number == int(number) else f"{number:.3g}"
    return f"{digits} {['', 'k', 'M', 'G', 'T'][thousands]}{unit}".rstrip()


def escaped(text: str) -> str:
    r"""`text` on one line, as --escape reads it: what does not print, and backslashes, as escapes.

    >>> print(escaped("a\tb\\n"))
    a\tb\\n
    """
    return one_line(text.replace("\\", "\\\\"))


def as_typed(index: infgram.Index, ngram: infgram.Ngram) -> str:
    """An n-gram as `escaped` takes it: where tokens are bytes, with those that are not UTF-8."""
    if index.tokenizer.name == "bytes":
        return bytes(ngram.token_ids).decode("utf-8", "surrogateescape")
    return ngram.text


def one_line(text: str) -> str:
    """A name or a message on one line: what does not print as escapes, backslashes as they are."""
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def quoted(text: str) -> str:
    """`text` escaped and in quotes, so that spaces can be seen."""
    quote = '"' if "'" in text else "'"
    return f"{quote}{escaped(text)}{quote}"


def _escape(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # a byte that is not UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    if character < "\x80":
        return character.encode("unicode_escape").decode()
    if ord(character) in _COMMANDS:
        return "".join(f"\\x{byte:02x}" for byte in character.encode())
    return character


def place_of(match: infgram.Match) -> str:
    """Where a match stands: file:line:column, or which token of which document it is."""
    return one_line(match.place)


# Beyond ASCII, what ends a line, commands a terminal, or turns the direction of writing.
_COMMANDS = {
    *range(128, 160),
    0x61C,
    0x200E,
    0x200F,
    *range(0x2028, 0x202F),
    *range(0x2066, 0x206A),
}
# What a corpus holds should not command a terminal; in a pipe or a file it stays as it is.
_BYTES = range(0xDC80, 0xDD00)  # those that are not UTF-8, of which some command terminals
_NO_CONTROL = {
    c: "\ufffd" for c in {*range(32), 127, *_COMMANDS, *_BYTES} if chr(c) not in "\n\t\r"
}


AS_IT_IS = "infgram_cli: bytes as they are"
"""How what an encoding lacks is written: a byte that is not UTF-8 as it is, others as escapes."""


def _as_it_is(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character, end = error.object[error.start], error.start + 1
    if "\udc80" <= character <= "\udcff":
        return bytes([ord(character) - 0xDC00]), end
    return character.encode("ascii", "backslashreplace").decode(), end


codecs.register_error(AS_IT_IS, _as_it_is)


def harmless(text: str) -> str:
    r"""`text` for a terminal, its lines as they are, without the characters that command it.

    >>> harmless("a\x1b[2Jb") == "a\ufffd[2Jb", harmless("\udc9b") == "\ufffd"
    (True, True)
    """
    return text.translate(_NO_CONTROL)


def token_text(index: infgram.Index, token_id: int) -> Text:
    """A token as the vocabulary has it and a table shows it: spaces can be seen."""
    from rich.text import Text

    if token_id == index.end_of_text:
        return Text("end of text", style="dim italic")
    if index.tokenizer.name == "ids":
        return Text(str(token_id))
    return Text(quoted(index.tokenizer.piece(token_id)))


_when: When = "auto"


def colors() -> When:
    """When everything here is coloured, as it was said last."""
    return _when


def set_colors(when: When) -> None:
    """When everything here is coloured, from now on."""
    global _when
    _when = when


def in_colors(stream: TextIO) -> bool:
    """Whether colours are wanted there: as was said, or as the environment says, or in terminals.

    NO_COLOR (https://no-color.org) stands above FORCE_COLOR (https://force-color.org) and
    CLICOLOR_FORCE, and these above CLICOLOR=0 (https://bixense.com/clicolors) and what the stream
    is. A variable that is empty says nothing.
    """
    if _when != "auto":
        return _when == "always"
    said = os.environ.get
    if said("NO_COLOR"):
        return False
    if said("FORCE_COLOR") or said("CLICOLOR_FORCE", "0") not in ("", "0"):
        return True
    return stream.isatty() and said("CLICOLOR") != "0" and said("TERM") != "dumb"


def painted(text: str, style: str, stream: TextIO | None = None) -> str:
    """`text` in a style of rich's, such as "bold red", if colours are wanted on standard output.

    Nothing else of it is changed. stream: another one.

    >>> painted("plain", "")
    'plain'
    """
    if not style or not in_colors(stream or sys.stdout):
        return text
    from rich.color import ColorSystem
    from rich.style import Style

    return Style.parse(style).render(text, color_system=ColorSystem.STANDARD)


def stdout() -> Console:
    """Writes results: colours and lines in a terminal, plain text elsewhere."""
    console = _console(sys.stdout)
    if not console.is_terminal:
        console.width = _PIPED_WIDTH
    return console


def stderr() -> Console:
    """Writes progress and warnings."""
    return _console(sys.stderr)


def note(text: str) -> None:
    """A line for the user on standard error, behind what was printed so far."""
    from .words import in_words

    sys.stdout.flush()
    stderr().print(f"infgram: {one_line(in_words(text))}")


def write_page(page: str, path: Path) -> None:
    """A web page into a file, whose size standard error tells, or for - to standard output."""
    # Names of files may have bytes that are no text.
    raw = "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in page).encode()
    if str(path) == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(raw)
        return
    from infgram.store.directory import replacing

    with replacing(path) as file:
        file.write(raw)
    note(f"{path}: {si(len(raw), 'B')}")


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    class Plain(Console):
        def on_broken_pipe(self) -> None:  # rich would exit with 1; main.py knows how to end
            raise

    is_terminal, colors = stream.isatty(), in_colors(stream)
    return Plain(
        stderr=stream is sys.stderr,
        force_terminal=is_terminal,
        color_system=("auto" if is_terminal else "standard") if colors else None,
        no_color=False,
        markup=False,
        highlight=False,
        emoji=False,
        soft_wrap=True,
    )


def table(console: Console, *columns: str, left: int = 0) -> Table:
    """An empty table: column `left` to the left, numbers to the right."""
    from rich import box
    from rich.table import Table

    lines = box.SIMPLE_HEAD if console.is_terminal else None
    made = Table(box=lines, show_edge=False, pad_edge=False)
    for i, column in enumerate(columns):
        made.add_column(column, justify="left" if i == left else "right", no_wrap=i != left)
    return made


def heading(console: Console, text: str) -> None:
    """Begins a part of the output."""
    if console.is_terminal:
        console.rule(text, align="left", style="dim")
    else:
        console.print(f"## {text}")


def print_facts(console: Console, facts: Mapping[str, str]) -> None:
    """A line a fact: its name in bold, and what is so."""
    width = max(map(len, facts)) + 2
    for name, fact in facts.items():
        console.print(f"{name:<{width}}", style="bold", end="")
        console.print(fact)


def styled(parts: Iterable[Text | tuple[str, str]]) -> Text:
    """Text of parts, each with its style, "" for none, or styled before."""
    from rich.text import Text

    return Text.assemble(*parts)


@contextmanager
def screen(console: Console) -> Iterator[Callable[[Text], None]]:
    """A callback that draws over what it drew before; nothing of it is left at the end."""
    from rich.live import Live

    with Live(
        console=console, auto_refresh=False, transient=True, vertical_overflow="crop"
    ) as live:
        yield lambda text: live.update(text, refresh=True)


@contextmanager
def progress(
    console: Console, *, quiet: bool = False
) -> Iterator[Callable[[str, int, int], None] | None]:
    """A callback (stage, done, total) that draws a bar a stage; None where nobody would see it."""
    if quiet or not console.is_terminal:
        yield None
        return
    from rich.progress import (
        BarColumn,
        Progress,
        ProgressColumn,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            unit = "B" if task.description in _STAGES_IN_BYTES else ""
            known = task.speed and task.total != 1  # one step has no speed
            return Text(f"{si(task.speed or 0, unit)}/s" if known else "", justify="right")

    bars = Progress(
        TextColumn("{task.description:>9}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        Rate(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    stages: dict[str, TaskID] = {}

    def report(stage: str, done: int, total: int) -> None:
        if stage not in stages:
            stages[stage] = bars.add_task(stage, total=None)
        # nobody knows a pipe's total, nor how much of a single step is done: the bar pulses
        known = total > 1 or done == total
        bars.update(stages[stage], completed=done, total=total if total and known else None)

    with bars:
        yield report


class StepLines:
    """Tells of steps of a training where no bar can be drawn: a line at first, and now and then."""

    def __init__(self, console: Console, *, seconds: float = 20.0) -> None:
        self._console = console
        self._seconds = seconds
        self._next = 0.0

    def say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def __call__(self, step: Step) -> None:
        now = time.perf_counter()
        is_last = step.done == step.total
        if now < self._next and not is_last:
            return
        self._next = now + self._seconds
        of = f" of {step.total:,}" if step.total else ""
        left = "" if step.seconds_left is None else f", about {minutes(step.seconds_left)} left"
        self.say(f"{step.stage}: step {step.done:,}{of}, loss {step.loss:.3f}{left}")


def minutes(seconds: float) -> str:
    """Of a time that is only estimated.

    >>> minutes(40), minutes(300)
    ('1 minute', '5 minutes')
    """
    n = max(1, round(seconds / 60))
    return "1 minute" if n == 1 else f"{n:,} minutes"


class Clock:
    """Passes progress on, and tells what was the build and what the calibration at its end."""

    def __init__(self, report: Callable[[str, int, int], None] | None) -> None:
        self.was_called = False
        """Whether there was anything to do."""
        self._report = report
        self._started = time.perf_counter()
        self._calibrating_since: float | None = None

    def __call__(self, stage: str, done: int, total: int) -> None:
        self.was_called = True
        if stage == "calibrate" and self._calibrating_since is None:
            self._calibrating_since = time.perf_counter()
        if self._report:
            self._report(stage, done, total)

    def stop(self) -> tuple[float, float]:
        """Seconds of the build, and of the calibration."""
        ended = time.perf_counter()
        built = self._calibrating_since or ended
        return built - self._started, ended - built
