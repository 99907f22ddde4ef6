"""Messages in the words of the command line, and not in Python's.

The library names an argument as Python does (`max_tokens`, `format='bytes'`); who types a command
knows it as --max-tokens and --format bytes. Here one becomes the other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import click

_COMMAND = "infgram_cli: the command that runs"
_ASSIGNED = re.compile(r"\b([a-z_]+)=('[^']*'|\"[^\"]*\"|\w*)")
_TWICE = re.compile(r"(--[\w-]+)((?: [\w.-]+)?)(?: \((\1[^)]*)\)|, \1\2(?=[,)]))")
_SUBJECT = re.compile(r"^((?:[^ ]+: )?)([a-z_]+)(?= (?:is|are|has|must|needs) )")
_SNAKE = re.compile(r"(?<![\w/.'\"-])([a-z]+(?:_[a-z]+)+)(?![\w/.'\"(-])")
# A list or a tuple of numbers and strings, as Python writes it.
_ITEM = r"(?:-?[\d.]+(?:e[+-]?\d+)?|'[^']*'|nan|inf)"
_LISTED = re.compile(rf"\b(is|are|has) [(\[]({_ITEM}(?:, {_ITEM})*),?[)\]]")
_CODEC = re.compile(r"'([\w-]+)' codec can't (?:de|en)code .*? in position (\d+)(?:-\d+)?: [\w ]+")
_CLICKS = {
    "is not a valid integer range": "is not a whole number",
    "is not a valid integer": "is not a whole number",
    "is not a valid float range": "is not a number",
    "is not a valid float": "is not a number",
}


def remember(ctx: click.Context) -> None:
    """From now on messages are for whoever typed this command."""
    ctx.meta[_COMMAND] = ctx.command


def in_words(message: str) -> str:
    """A message of the library for whoever typed the command that runs."""
    names = _names()
    message = re.sub(r"\[Errno -?\d+\] ", "", message)
    message = _CODEC.sub(r"it is not \1 at byte \2", message)
    message = _LISTED.sub(r"\1 \2", message)
    message = _ASSIGNED.sub(lambda found: _assigned(found, names), message)
    message = _SUBJECT.sub(lambda found: found[1] + names.get(found[2], found[2]), message)
    message = _SNAKE.sub(lambda found: names.get(found[1], found[1]), message)
    return _TWICE.sub(lambda found: found[3] or found[1] + found[2], message)


def of_error(error: BaseException) -> str:
    """What an exception says."""
    if isinstance(error, OSError) and error.strerror and not _is_own(error):
        where = f"{error.filename}: " if error.filename else ""
        return where + error.strerror[:1].lower() + error.strerror[1:]
    if isinstance(error, MemoryError) and not str(error):
        return "there is not enough memory"
    return in_words(str(error))


def of_usage(message: str) -> str:
    """What click says of a wrong value."""
    for clicks, ours in _CLICKS.items():
        message = message.replace(clicks, ours)
    return message


def _is_own(error: BaseException) -> bool:
    from infgram import InfgramError

    return isinstance(error, InfgramError)


def _names() -> Mapping[str, str]:
    """Options by the names that Python has for them: of all commands, the running one's first."""
    ctx = click.get_current_context(silent=True)
    if ctx is None:
        return {}
    commands = [ctx.meta[_COMMAND]] if _COMMAND in ctx.meta else []
    commands += _below(ctx.find_root().command)
    names: dict[str, str] = {}
    for command in commands:
        for param in command.params:
            if isinstance(param, click.Option):
                written = max(param.opts, key=len)
                names.setdefault(written.lstrip("-").replace("-", "_"), written)
                names.setdefault(param.name or "", written)
    return names


def _below(command: click.Command) -> list[click.Command]:
    """The command and, of a group, all in it."""
    inner = command.commands.values() if isinstance(command, click.Group) else ()
    return [command, *(below for each in inner for below in _below(each))]


def _assigned(found: re.Match[str], names: Mapping[str, str]) -> str:
    name, value = found[1], found[2].strip("'\"")
    if name not in names:
        return found[0]
    return names[name] if value in ("True", "") else f"{names[name]} {value}"
