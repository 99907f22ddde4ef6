r"""infgram man: the manual as a page for `man`, made from the same words as --help.

Text is roff (groff_man(7)): a backslash is \e, a hyphen of an option is \-, and a line that begins
with a dot or a quote has \& before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

from .exits import MEANINGS
from .sections import SECTIONS

_VARIABLES = {
    "INFGRAM_INDEX": "The index where no -i names one.",
    "INFGRAM_DEBUG": "Shows tracebacks for errors, as --debug does.",
    "NO_COLOR": "Without colours, if it is not empty.",
    "FORCE_COLOR, CLICOLOR_FORCE": "In colours everywhere, if not empty (nor 0).",
    "CLICOLOR": "Without colours, if it is 0.",
}


@click.command(epilog="Example: infgram man | man -l -")
@click.pass_context
def man(ctx: click.Context) -> None:
    """Print the manual, for the program man.

    It has the help of all commands, those of other distributions excepted.
    """
    group = ctx.find_root().command
    assert isinstance(group, click.Group)
    click.echo("\n".join(page(group)))


def page(group: click.Group) -> Iterator[str]:
    """The lines of the page."""
    root = click.Context(group, info_name="infgram", **group.context_settings)
    summary, *more = _paragraphs(group.help)
    yield '.\\" Made by `infgram man` from the help of the commands.'
    yield '.TH INFGRAM 1 "" infgram "User Commands"'
    yield ".SH NAME"
    yield f"infgram \\- {_inline(summary.rstrip('.'))}"
    yield ".SH SYNOPSIS"
    yield ".B infgram"
    yield _inline("[OPTIONS] COMMAND [ARGS]...")
    yield ".SH DESCRIPTION"
    yield from _text(more)
    yield ".SH OPTIONS"
    yield from _options(root)
    yield ".PP"
    yield _inline("Every command takes --color and --help.")
    for section, names in SECTIONS.items():
        inner = [name for name in names if name in group.commands]
        if inner:
            yield f'.SH "{section.upper()}"'
        for name in inner:
            yield from _command(click.Context(group.commands[name], root, name))
    yield ".SH EXIT STATUS"
    for code, meaning in MEANINGS.items():
        yield from _item(str(code), f"{meaning[:1].upper()}{meaning[1:]}.")
    yield ".SH ENVIRONMENT"
    for name, meaning in _VARIABLES.items():
        yield from _item(name, meaning)


def _command(ctx: click.Context) -> Iterator[str]:
    command = ctx.command
    usage = " ".join(command.collect_usage_pieces(ctx))
    yield f'.SS "{_inline(f"{ctx.command_path} {usage}")}"'
    yield from _text(_paragraphs(command.help))
    yield from _options(ctx)
    if command.epilog:
        yield from _text([command.epilog.strip()])
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from _command(click.Context(inner, ctx, name))


def _options(ctx: click.Context) -> Iterator[str]:
    """Those of a command; of the ones that every command has, only the whole program's."""
    common = {"--color", "--help"} if ctx.parent else set()
    for param in ctx.command.get_params(ctx):
        if common.intersection(param.opts):
            continue
        if isinstance(param, click.Option) and (record := param.get_help_record(ctx)):
            yield from _item(*record)


def _item(term: str, says: str) -> Iterator[str]:
    yield ".TP"
    yield f".B {_inline(term)}"
    yield _line(_inline(says))


def _paragraphs(text: str | None) -> list[str]:
    return re.split(r"\n\s*\n", (text or "").strip())


def _text(paragraphs: list[str]) -> Iterator[str]:
    """Paragraphs; one that begins with click's mark is kept as it is."""
    for paragraph in paragraphs:
        for part in re.split(r"(?m)^(?=\x08)", paragraph):
            yield ".PP"
            if part.startswith("\b"):
                yield ".nf"
                yield from (_line(_inline(line)) for line in part.splitlines()[1:] if line)
                yield ".fi"
            else:
                yield _line(_inline(" ".join(part.split())))


def _inline(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq").replace("'", "\\(aq")


def _line(text: str) -> str:
    return f"\\&{text}" if text.startswith((".", "'")) else text
