"""What commands share on the command line. Alone in knowing how an argument becomes a query."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    import infgram

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

index_option = click.option(
    "-i",
    "--index",
    "path",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="The index to use; by default the only *.infgram in this folder.",
)
index_argument = click.argument(
    "index", type=click.Path(path_type=Path), metavar="[INDEX]", required=False
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Show no progress and no summary.")
seed_option = click.option(
    "--seed",
    type=click.IntRange(min=0),
    metavar="N",
    help="Random seed; the same seed gives the same result.",
)
torch_threads_option = click.option(
    "--threads", type=click.IntRange(min=1), metavar="N", help="Threads that PyTorch uses on a CPU."
)


def fixed_seed_option(default: int, says: str) -> Callable[[Decorated], Decorated]:
    """Adds `seed` where a result is the same unless another seed is asked for."""
    return click.option(
        "--seed",
        type=click.IntRange(min=0),
        metavar="N",
        default=default,
        show_default=True,
        help=says,
    )


def escape_option(where: str) -> Callable[[Decorated], Decorated]:
    """Adds `escapes`: whether backslashes are read in what is named."""
    says = rf"Interpret \n, \t, \r, \xHH and \\ in {where}."
    return click.option("-e", "--escape", "escapes", is_flag=True, help=says)


def query_options(command: Decorated) -> Decorated:
    """Adds `escapes` and `ids`: how the command reads its text."""
    command = click.option(
        "--ids",
        is_flag=True,
        help='Read token ids, as in "12 7 9"; implied if the index has only ids.',
    )(command)
    return escape_option("the text")(command)


def open_index(path: Path | None, argument: Path | None = None) -> infgram.Index:
    """The index of the command line, from its option or its argument."""
    import infgram

    return infgram.open(index_path(path, argument))


def index_path(path: Path | None, argument: Path | None = None) -> Path:
    """The index that was named, once, or the only one in the current folder."""
    if path and argument:
        raise click.UsageError("the index is named twice: give it with -i or without -i")
    if named := path or argument:
        return named
    found = sorted(Path().glob("*.infgram"))
    if len(found) == 1:
        return found[0]
    if not found:
        raise click.UsageError(
            "there is no *.infgram in this folder: build one with `infgram build`, "
            "or name one with -i PATH"
        )
    names = ", ".join(map(str, found))
    raise click.UsageError(f"there are {len(found)} indexes here; choose one with -i: {names}")


def read_query(index: infgram.Index, text: str, *, escapes: bool, ids: bool) -> str | list[int]:
    """An argument as text, or as token ids where the index knows nothing else."""
    if ids or index.tokenizer.name == "ids":
        try:
            return [int(word) for word in text.replace(",", " ").split()]
        except ValueError:
            raise click.UsageError(f'expected token ids, as in "12 7 9", found {text!r}') from None
    return read_text(text, escapes=escapes)


def read_text(text: str, *, escapes: bool) -> str:
    """An argument as text, whatever the index knows."""
    return _unescaped(text) if escapes else text


_ESCAPE = re.compile(rb"\\(x[0-9A-Fa-f]{2}|.?)", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"\\": b"\\"}


def _unescaped(text: str) -> str:
    def byte(match: re.Match[bytes]) -> bytes:
        code = match[1]
        if len(code) == 3:
            return bytes([int(code[1:], 16)])
        if code not in _ESCAPED:
            raise click.UsageError(rf"expected \n, \t, \r, \xHH or \\ in {text!r}")
        return _ESCAPED[code]

    # Bytes that are not UTF-8 stay what they are, as in the arguments of a command.
    raw = text.encode("utf-8", "surrogateescape")
    return _ESCAPE.sub(byte, raw).decode("utf-8", "surrogateescape")
