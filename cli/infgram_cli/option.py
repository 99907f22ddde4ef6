"""An option as infgram has them: its default shown one way, and its old names still understood."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click
from click.core import ParameterSource

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


# What click adds of a number's range, which an error tells.
_RANGE = re.compile(r"  \[[^\]:;]*x[<>][^\]]*\]$|; [^;\[\]]*x[<>][^\]]*(?=\]$)")


class Option(click.Option):
    """`click.Option` with two things more.

    `show_default` as text is shown as other defaults are, for what is not known before a command
    runs. `old` are names that the option had: they do what it does, and say on standard error what
    it is called now. `old_values` says what the values of an old name mean where it took others.
    """

    def __init__(
        self,
        *arguments: Any,
        old: Sequence[str] = (),
        old_values: Mapping[str, Any] | None = None,
        **attributes: Any,
    ) -> None:
        super().__init__(*arguments, **attributes)
        self._old_values = old_values
        self._old = None
        if old:
            self._old = click.Option(
                [*old, f"old_{self.name}"],
                is_flag=self.is_flag and old_values is None,
                multiple=self.multiple,
            )

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        record = super().get_help_record(ctx)
        if record is None:
            return None
        names, text = record
        text = _RANGE.sub("", text)
        if isinstance(self.show_default, str):
            text = text.replace(f"({self.show_default})", self.show_default)
        return names, text

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        super().add_to_parser(parser, ctx)
        if self._old:
            self._old.add_to_parser(parser, ctx)

    def consume_value(
        self, ctx: click.Context, opts: Mapping[str, Any]
    ) -> tuple[Any, ParameterSource]:
        value, source = super().consume_value(ctx, opts)
        if self._old is None or self._old.name not in opts or ctx.resilient_parsing:
            return value, source
        given = opts[self._old.name]
        names = " or ".join(self._old.opts)
        if source is ParameterSource.COMMANDLINE and not self.multiple:
            raise click.UsageError(f"{names} is now {self.opts[-1]}: give it once", ctx)
        if self._old_values is not None:
            if given not in self._old_values:
                raise click.UsageError(f"{names} {given} is unknown: see {self.opts[-1]}", ctx)
            given = self._old_values[given]
        elif self.multiple and source is ParameterSource.COMMANDLINE:
            given = [*value, *given]
        click.echo(f"infgram: {names} is now {' or '.join(self.opts)}", err=True)
        return given, ParameterSource.COMMANDLINE


option = functools.partial(click.option, cls=Option)
"""`click.option` that makes an `Option`."""


def was_given(name: str) -> bool:
    """Whether somebody typed an option of the running command, be it its default."""
    source = click.get_current_context().get_parameter_source(name)
    return source is ParameterSource.COMMANDLINE
