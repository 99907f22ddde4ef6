"""What commands share on the command line: an index, a seed, JSON, silence."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from .option import Decorated, option

if TYPE_CHECKING:
    import infgram

INDEX_VARIABLE = "INFGRAM_INDEX"
ONLY_INDEX = f"${INDEX_VARIABLE}, else the only *.infgram here"
"""What is used where no index is named."""


class AnyPath(click.Path):
    """A path, of whatever kind: to Python an empty one is this folder, to nobody else."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**{"path_type": Path, **more})

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        refuse_empty(self, value, param, ctx)
        return super().convert(value, param, ctx)


def refuse_empty(
    kind: click.ParamType,  # type: ignore[type-arg]
    value: Any,
    param: click.Parameter | None,
    ctx: click.Context | None,
) -> None:
    """A usage error for a path of no characters, as an unset variable of a shell gives it."""
    if not os.fspath(value):
        kind.fail("found an empty path, expected a name; this folder is .", param, ctx)


class IndexPath(AnyPath):
    """The path of an index, which a shell completes."""

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Indexes that begin so; folders, where there are none."""
        found = glob.glob(f"{glob.escape(incomplete)}*.infgram")
        if not found:
            return [CompletionItem(incomplete, type="dir")]
        return [CompletionItem(path) for path in sorted(found)]


class InputPath(AnyPath):
    """A file, a folder, or - for standard input, as it is typed."""

    def __init__(self) -> None:
        super().__init__(allow_dash=True, path_type=str)


class TokenizerName(click.ParamType):  # type: ignore[type-arg]
    """The name of a tokenizer, or a file of one, which a shell completes."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        refuse_empty(self, value, param, ctx)
        return value

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Names that begin so; files, where there are none."""
        names = [n for n in ("bytes", "chars", "ids", "tiktoken:") if n.startswith(incomplete)]
        return [CompletionItem(name) for name in names] or [CompletionItem(incomplete, type="file")]


index_option = option(
    "-i",
    "--index",
    "path",
    type=IndexPath(),
    metavar="PATH",
    show_default=ONLY_INDEX,
    help="The index.",
)
indexes_option = option(
    "-i",
    "--index",
    "paths",
    type=IndexPath(),
    metavar="PATH",
    multiple=True,
    show_default=ONLY_INDEX,
    help="The index; may be repeated.",
)
index_argument = click.argument("index", type=IndexPath(), metavar="[INDEX]", required=False)
layout_option = option(
    "--layout",
    type=click.Choice(["fast", "compact"]),
    default="fast",
    help="Compact is many times smaller, slower, and generates with SBIS alone.",
)
json_option = option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
quiet_option = option("-q", "--quiet", is_flag=True, help="Show no progress and no summary.")
torch_threads_option = option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    show_default="PyTorch's",
    help="Threads to use, on a CPU.",
)


def seed_option_with(default: int | None) -> Callable[[Decorated], Decorated]:
    """Adds `seed`, drawn by chance where it is None."""
    return option(
        "--seed",
        type=click.IntRange(min=0),
        metavar="N",
        default=default,
        show_default="another one each time" if default is None else True,
        help="Random seed: the same seed gives the same result.",
    )


seed_option = seed_option_with(None)


def max_tokens_option(default: int, tail: str, *old: str) -> Callable[[Decorated], Decorated]:
    """Adds `max_tokens`: how long what is written may be. old: its names of before."""
    return option(
        "-n",
        "--max-tokens",
        type=click.IntRange(min=0),
        metavar="N",
        default=default,
        old=old,
        help=f"Tokens to write, at most: {tail}.",
    )


def temperature_option(
    default: float | None = None, *, shown: str | None = None
) -> Callable[[Decorated], Decorated]:
    """Adds `temperature`; shown: what is said of a default that the command chooses."""
    return option(
        "-T",
        "--temperature",
        type=float,
        metavar="T",
        default=default,
        show_default=shown or True,
        help="Below 1 favours probable tokens; 0 always takes the most probable one.",
    )


def limit_option(what: str, default: int | None, *old: str) -> Callable[[Decorated], Decorated]:
    """Adds `limit`: how many results are shown, all where it is None. old: its names of before."""
    return option(
        "-m",
        "--limit",
        type=click.IntRange(min=1),
        metavar="N",
        default=default,
        show_default="all" if default is None else True,
        old=old,
        help=f"Results to show, at most: {what}.",
    )


def min_length_option(
    what: str, default: int | None, shown: str | None = None
) -> Callable[[Decorated], Decorated]:
    """Adds `min_length`: how long a run must be. shown: what is said of a default it chooses."""
    return option(
        "--min-length",
        type=click.IntRange(1, 2**32 - 1),
        metavar="N",
        default=default,
        show_default=shown or True,
        help=f"Least length, in tokens: {what}.",
    )


def output_option(
    what: str, *, default: Path | None = None, shown: str | None = None, required: bool = False
) -> Callable[[Decorated], Decorated]:
    """Adds `output`: where a command writes. shown: what is said of a default that is not known."""
    return option(
        "-o",
        "--output",
        type=AnyPath(),
        metavar="PATH",
        default=default,
        show_default=shown or True,
        required=required,
        help=f"Where to write: {what}",
    )


def html_option(what: str) -> Callable[[Decorated], Decorated]:
    """Adds `html`: where a web page goes."""
    return option(
        "--html",
        type=AnyPath(allow_dash=True),
        metavar="PATH",
        help=f"Write a web page, in one file: {what}; - is standard output. An existing file is "
        "replaced.",
    )


def open_index(path: Path | None, argument: Path | None = None) -> infgram.Index:
    """The index of the command line, from its option or its argument."""
    import infgram

    return infgram.open(index_path(path, argument))


def open_indexes(paths: Sequence[Path]) -> list[infgram.Index]:
    """The indexes that were named, or the only one, as `index_path` finds it."""
    import infgram

    return [infgram.open(path) for path in paths or [index_path()]]


def index_path(path: Path | None = None, argument: Path | None = None) -> Path:
    """The index that was named, once; or by INFGRAM_INDEX; or the only one in this folder."""
    if path and argument:
        raise click.UsageError("the index is named twice: give it with -i or without -i")
    if named := path or argument:
        return named
    if variable := os.environ.get(INDEX_VARIABLE):
        return Path(variable)
    found = sorted(Path().glob("*.infgram"))
    if len(found) == 1:
        return found[0]
    if not found:
        raise click.UsageError(
            "there is no *.infgram in this folder: build one with `infgram build`, "
            f"or name one with -i PATH or in {INDEX_VARIABLE}"
        )
    names = ", ".join(map(str, found))
    raise click.UsageError(
        f"there are {len(found)} indexes here; choose one with -i or {INDEX_VARIABLE}: {names}"
    )


def read_query(index: infgram.Index, text: str, *, ids: bool) -> str | list[int]:
    """A text, or token ids where the index knows nothing else."""
    if not ids and index.tokenizer.name != "ids":
        return text
    try:
        return [int(word) for word in text.replace(",", " ").split()]
    except ValueError:
        raise click.UsageError(f"expected token ids, as in '12 7 9', found {text!r}") from None


ids_option = option(
    "--ids", is_flag=True, help="Read token ids, as in '12 7 9'; implied if the index has only ids."
)
