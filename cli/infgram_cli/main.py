"""The command `infgram`: its subcommands, and how each of them ends.

Exit codes: 0 fine, 1 an error with a message, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
from typing import IO, TYPE_CHECKING, Any

import click

from .animate import animate
from .build import build
from .calibrate import calibrate
from .count import count
from .demo import demo
from .draft import draft
from .find import find
from .generate import generate
from .infill import infill
from .info import info
from .lint import lint
from .next import next_tokens
from .novelty import novelty
from .perplexity import perplexity
from .plot import plot
from .polish import polish
from .refine import refine
from .verify import verify

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

INTERRUPTED = 130


class _Failure(click.ClickException):
    """An error that the user can mend: one line, no traceback."""

    def show(self, file: IO[Any] | None = None) -> None:
        error = click.style("error:", fg="red", bold=True)
        click.echo(f"infgram: {error} {' '.join(self.message.split())}", file=file, err=True)


def _elsewhere() -> EntryPoints:
    """The commands that other distributions add."""
    from importlib.metadata import entry_points  # here, as it takes 30 ms

    return entry_points(group="infgram.commands")


class _Group(click.Group):
    """Knows commands of other distributions, and turns exceptions into messages and exit codes,
    whichever command they come from."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_elsewhere().names})

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if command := super().get_command(ctx, name):
            return command
        for entry in _elsewhere().select(name=name):
            command = entry.load()
            if isinstance(command, click.Command):
                return command
        if name == "bench":
            from infgram.extras import how_to_install

            how = how_to_install(distribution="infgram-bench")
            raise click.UsageError(f"`infgram bench` is in a separate package: {how}", ctx)
        return None

    def invoke(self, ctx: click.Context) -> object:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except KeyboardInterrupt:
            raise click.exceptions.Exit(INTERRUPTED) from None
        except BrokenPipeError:  # the reader, `head` for one, has seen enough
            _discard_output()
            raise click.exceptions.Exit(0) from None
        except click.ClickException:
            raise
        except Exception as error:
            from infgram import InfgramError

            if ctx.obj or not isinstance(error, InfgramError | OSError | MemoryError):
                raise
            if isinstance(error, OSError):
                _discard_output()
            raise _Failure(str(error) or type(error).__name__) from error
        return result


def _say_what_takes_time() -> None:
    """Shows what the library logs, to somebody who waits."""
    logger = logging.getLogger("infgram")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("infgram: %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)


def _discard_output() -> None:
    """Lets nothing try again, when Python ends, to write what could not be written."""
    with contextlib.suppress(io.UnsupportedOperation):  # where no file stands behind it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
To get started:
  infgram demo
  infgram build corpus.txt
  infgram generate
""",
)
@click.version_option(package_name="infgram")
@click.option("--debug", is_flag=True, envvar="INFGRAM_DEBUG", help="Show tracebacks for errors.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """N-gram language models of unbounded order: index a corpus, query it, generate new text.

    Commands that need an index take -i PATH; by default they use the only *.infgram in this folder.
    """
    ctx.obj = debug
    if sys.stderr.isatty():
        _say_what_takes_time()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # whatever the terminal cannot show
        if sys.platform == "win32":  # text is written as it stands in the corpus
            sys.stdout.reconfigure(encoding="utf-8", newline="\n")


for _command in (
    build,
    calibrate,
    info,
    verify,
    count,
    next_tokens,
    find,
    generate,
    perplexity,
    novelty,
    polish,
    plot,
    draft,
    refine,
    lint,
    infill,
    animate,
    demo,
):
    cli.add_command(_command)


def main() -> None:
    """Entry point of the console script."""
    cli(prog_name="infgram")
