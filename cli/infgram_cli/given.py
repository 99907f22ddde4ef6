r"""Texts that are given to a command: typed, in a file, or on standard input.

One rule for all of them. What is typed may have escapes, such as \n for the end of a line, and \\
is a backslash; --no-escape takes it as it is typed. What is read from a file or from standard
input is taken byte for byte.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import click

from .option import Decorated, option

STDIN = "-"
# What a context keeps for all that is read in it.
_SAID = "infgram_cli: whether escapes are read, None if nobody said"
_READ = "infgram_cli: escapes were read"
_USED = "infgram_cli: standard input was read"
_ESCAPE = re.compile(rb"\\(x[0-9A-Fa-f]{2}|.?)", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"\\": b"\\"}


class Typed(click.ParamType):  # type: ignore[type-arg]
    """Text that is typed, its escapes read."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if ctx is None or ctx.meta.get(_SAID) is False:
            return str(value)
        read = unescaped(value)
        if read != value:
            ctx.meta[_READ] = True
        return read


class TypedOrRead(Typed):
    """The same; - alone is all of standard input."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value != STDIN or ctx is None or ctx.resilient_parsing:
            return super().convert(value, param, ctx)
        return _as_text(_stdin(self, param, ctx).read())


class ReadFile(click.File):
    """A file that is read; - is standard input."""

    def __init__(self) -> None:
        super().__init__("rb")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value != STDIN or ctx is None or ctx.resilient_parsing:
            return super().convert(value, param, ctx)
        return _stdin(self, param, ctx)


def _stdin(
    kind: click.ParamType,  # type: ignore[type-arg]
    param: click.Parameter | None,
    ctx: click.Context,
) -> BinaryIO:
    """Standard input, for one who will read all of it."""
    if ctx.meta.get(_USED):
        kind.fail("standard input can be read only once: give - once", param, ctx)
    if sys.stdin is None:
        kind.fail("standard input is closed", param, ctx)
    ctx.meta[_USED] = True
    return sys.stdin.buffer


def _keep(ctx: click.Context, param: click.Parameter, value: bool | None) -> None:
    ctx.meta[_SAID] = value


escape_option = option(
    "-e",
    "--escape/--no-escape",
    default=None,
    is_eager=True,
    expose_value=False,
    callback=_keep,
    show_default="escape",
    help=r"Read \n, \t, \r, \xHH and \\ in what is typed.",
)


def prompt_file_option(what: str) -> Callable[[Decorated], Decorated]:
    """Adds `prompt_file`, an open file or None, for `text_of`."""
    return option(
        "--prompt-file",
        type=ReadFile(),
        metavar="PATH",
        help=f"Read the text from a file, byte for byte: {what}; - is standard input.",
    )


def text_of(file: BinaryIO) -> str:
    """All that a file holds. Bytes that are not UTF-8 stay what they are."""
    return _as_text(file.read())


def text_argument(
    name: str, *, default: str | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds the argument `name`, a text, and --prompt-file, from which it can come instead.

    `default` is the text where there is none; without one, it must be given.
    """

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def read(*, prompt_file: BinaryIO | None, **others: Any) -> Any:
            text = others[name]
            if prompt_file is not None:
                if text is not None:
                    raise click.UsageError(
                        f"{name.upper()} is given twice: typed, and with --prompt-file"
                    )
                text = text_of(prompt_file)
            if text is None:
                text = default
            if text is None:
                raise click.UsageError(
                    f"{name.upper()} is missing: type it, give - to read it from standard input, "
                    "or name a file with --prompt-file"
                )
            return command(**{**others, name: text})

        made = prompt_file_option(name.upper())(escape_option(read))
        usage = f"[{name.upper()}]"
        return click.argument(name, type=TypedOrRead(), required=False, metavar=usage)(made)

    return add


def read_lines(file: BinaryIO | None) -> Iterator[str]:
    """Texts, one a line of a file. Escapes are read in them only if that was asked for."""
    said = click.get_current_context().meta.get(_SAID)
    for line in file or ():
        text = _as_text(line.removesuffix(b"\n").removesuffix(b"\r"))
        yield unescaped(text) if said else text


def note_of_escapes() -> str | None:
    """What to say where a text was not found in which escapes were read, though nobody asked."""
    meta = click.get_current_context().meta
    if meta.get(_READ) and meta.get(_SAID) is None:
        return r"backslashes were read as escapes (\n ends a line): --no-escape takes them as typed"
    return None


def unescaped(text: str) -> str:
    r"""The text with \n, \t, \r, \xHH and \\ read as what they stand for.

    >>> unescaped(r"a\tb\\n") == "a\tb" + "\\" + "n"
    True
    """

    def byte(match: re.Match[bytes]) -> bytes:
        code = match[1]
        if len(code) == 3:
            return bytes([int(code[1:], 16)])
        if code not in _ESCAPED:
            found = match[0].decode("utf-8", "replace")
            raise click.UsageError(
                rf"found {found} in {text}: a backslash begins \n, \t, \r, \xHH or \\; "
                r"write \\ for a backslash, or give --no-escape"
            )
        return _ESCAPED[code]

    # Bytes that are not UTF-8 stay what they are, as in the arguments of a command.
    return _as_text(_ESCAPE.sub(byte, text.encode("utf-8", "surrogateescape")))


def _as_text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
