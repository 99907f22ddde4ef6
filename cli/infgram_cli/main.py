"""The command `infgram`: its subcommands, and how each of them ends.

exits.py has the exit codes.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import traceback
from typing import IO, TYPE_CHECKING, Any, get_args

import click

from .add import add
from .animate import animate
from .build import build
from .calibrate import calibrate
from .completion import completion
from .convert import convert
from .count import count
from .dedup import dedup
from .demo import demo
from .draft import draft
from .exits import FAILED, INTERRUPTED
from .export import export
from .find import find
from .fit import fit
from .generate import generate
from .infill import infill
from .info import info
from .join import join
from .lint import lint
from .man import man
from .merge import merge
from .next import next_tokens
from .ngrams import ngrams
from .novelty import novelty
from .option import option
from .output import AS_IT_IS, When, in_colors, one_line, painted, set_colors
from .overlap import overlap
from .perplexity import perplexity
from .plan import plan
from .plot import plot
from .polish import polish
from .pull import pull
from .push import push
from .refine import refine
from .remove import remove
from .sections import MORE, SECTIONS
from .serve import serve
from .trace import trace
from .verify import verify
from .words import of_error, of_usage, remember

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints


class _Failure(click.ClickException):
    """An error that the user can mend: one line, no traceback."""

    exit_code = FAILED

    def show(self, file: IO[Any] | None = None) -> None:
        error = painted("error:", "bold red", sys.stderr)
        said = one_line(" ".join(self.message.split()))
        click.echo(f"infgram: {error} {said}", file=file, err=True, color=in_colors(sys.stderr))


def _elsewhere() -> EntryPoints:
    """The commands that other distributions add."""
    from importlib.metadata import entry_points  # here, as it takes 30 ms

    return entry_points(group="infgram.commands")


class _Group(click.Group):
    """Knows commands of other distributions, and turns exceptions into messages and exit codes,
    whichever command they come from."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_elsewhere().names})

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        listed = self.list_commands(ctx)
        known = {name for names in SECTIONS.values() for name in names}
        sections = {**SECTIONS, MORE: tuple(name for name in listed if name not in known)}
        width = max(map(len, listed)) + 2
        rows = []
        for section, names in sections.items():
            for i, name in enumerate(name for name in names if name in listed):
                command = self.get_command(ctx, name)
                says = command.get_short_help_str(formatter.width) if command else ""
                rows.append(("" if i else section, f"{name:<{width}}{says}"))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if command := super().get_command(ctx, name):
            return command
        for entry in _elsewhere().select(name=name):
            command = entry.load()
            if isinstance(command, click.Command):
                return in_colors_when_asked(command)
        if name == "bench":
            from infgram.extras import how_to_install

            how = how_to_install(distribution="infgram-bench")
            raise click.UsageError(f"`infgram bench` is in a separate package: {how}", ctx)
        return None

    def main(self, *args: Any, **kwargs: Any) -> Any:
        if sys.stderr is None:  # closed: what is said goes nowhere, and nothing else into its place
            sys.stderr = open(os.devnull, "w")
        if sys.stdout is None:
            sys.stdout = open(os.devnull, "w")
            print("infgram: error: standard output is closed", file=sys.stderr)
            sys.exit(FAILED)
        return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> object:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except KeyboardInterrupt:
            raise click.exceptions.Exit(INTERRUPTED) from None
        except BrokenPipeError:  # the reader, `head` for one, has seen enough
            _discard_output()
            raise click.exceptions.Exit(0) from None
        except click.BadParameter as error:
            raise click.UsageError(of_usage(error.format_message()), error.ctx) from error
        except click.BadOptionUsage as error:
            if error.option_name == "--color":
                raise click.UsageError(f"--color needs {_WHEN}", error.ctx) from error
            raise
        except (click.UsageError, click.exceptions.Exit, click.Abort):
            raise
        except click.ClickException as error:
            raise _Failure(error.format_message()) from error
        except Exception as error:
            from infgram import InfgramError

            expected = isinstance(error, InfgramError | OSError | MemoryError)
            if ctx.obj or not expected:
                traceback.print_exc()
                if not expected:
                    click.echo("infgram: this is a fault of infgram's: please report it", err=True)
                raise click.exceptions.Exit(FAILED) from error
            if isinstance(error, OSError):
                _discard_output()
            raise _Failure(of_error(error) or type(error).__name__) from error
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


_WHEN = "auto, always or never (to shade what `infgram generate` writes, give --shade)"


class _When(click.Choice):  # type: ignore[type-arg]
    """When there are colours. Of a value that is none, says what --color did before."""

    def __init__(self) -> None:
        super().__init__(get_args(When))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value not in self.choices:
            self.fail(f"found {value}, expected {_WHEN}", param, ctx)
        return value


def _choose_colors(ctx: click.Context, param: click.Parameter, when: When | None) -> None:
    remember(ctx)
    if when or ctx.parent is None:
        set_colors(when or "auto")


_color_option = option(
    "--color",
    type=_When(),
    metavar="WHEN",
    expose_value=False,
    is_eager=True,
    callback=_choose_colors,
    show_default="auto",
    help="Colours: auto, always or never.",
)


def in_colors_when_asked(command: click.Command) -> click.Command:
    """The command, and of a group all in it, with --color."""
    if not any(param.opts == ["--color"] for param in command.params):
        _color_option(command)
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            in_colors_when_asked(inner)
    return command


@click.group(
    cls=_Group,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        "show_default": True,
    },
    epilog="""\b
Exit codes: 0 fine, 1 nothing found, 2 an error, 130 interrupted.
Begin with: infgram demo, or infgram build corpus.txt and infgram generate.
""",
)
@click.version_option(package_name="infgram")
@click.option("--debug", is_flag=True, envvar="INFGRAM_DEBUG", help="Show tracebacks for errors.")
@_color_option
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """N-gram language models of unbounded order: index text, query it, write more.

    The index is that of -i PATH, of INFGRAM_INDEX, or the only *.infgram here.
    """
    ctx.obj = debug
    if sys.stderr.isatty():
        _say_what_takes_time()
    # NumPy's threads, which have nothing to do here, sleep at once: a tenth of a second a command.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=AS_IT_IS)  # whatever the terminal cannot show
        if sys.platform == "win32":  # text is written as it stands in the corpus
            sys.stdout.reconfigure(encoding="utf-8", newline="\n")


for _command in (
    *(demo, build, info),
    *(count, next_tokens, find, trace, ngrams, overlap, dedup),
    *(generate, perplexity, novelty, plot),
    *(polish, refine, lint, infill, animate, draft, serve),
    *(add, remove, merge),
    *(push, pull),
    *(join, plan),
    *(calibrate, fit, convert, verify, export, completion, man),
):
    cli.add_command(in_colors_when_asked(_command))


def main() -> None:
    """Entry point of the console script."""
    cli(prog_name="infgram")
