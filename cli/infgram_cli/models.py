"""How the command line names a language model. Alone in knowing which option is whose."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import index_path

if TYPE_CHECKING:
    import infgram

_WHY_NOT = {
    ("floor", "kneser-ney"): ", which gives every token a probability",
    ("floor", "longest"): ", which has no other levels: sbis -k 1 is the same with a floor",
}
_OPTIONS = {
    "longest": ("window",),
    "sbis": ("k", "decay", "weighting", "window", "floor"),
    "kneser-ney": ("max_order",),
}


@dataclass(frozen=True)
class ModelChoice:
    """What the options of a command say about its model; `given` are those of the estimator.

    `default` is the command's own estimator where nothing is said.
    """

    paths: tuple[Path, ...]
    weights: tuple[float, ...]
    name: str | None
    given: dict[str, Any]
    adapt: bool
    default: str

    def indexes(self) -> list[infgram.Index]:
        """The indexes that were named, or the only one in the current folder."""
        import infgram

        return [infgram.open(path) for path in self.paths or [index_path(None)]]

    def model(self) -> infgram.Model:
        """The model."""
        import infgram

        name = self.name or self.default
        for option in self.given:
            if option not in _OPTIONS[name]:
                owners = " or ".join(owner for owner, own in _OPTIONS.items() if option in own)
                why = _WHY_NOT.get((option, name), "")
                raise click.UsageError(
                    f"{flag(option)} is for --estimator {owners}, not {name}{why}"
                )
        make: dict[str, Callable[..., Any]] = {
            "longest": infgram.Longest,
            "sbis": infgram.SBIS,
            "kneser-ney": infgram.KneserNey,
        }
        estimator = make[name](**self.given)
        weights = self.weights or None
        return infgram.Model(self.indexes(), estimator, weights=weights, adapt=self.adapt)


def model_options_with(
    estimator: str,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds `choice`, a ModelChoice: the index or indexes, the estimator and what belongs to it.

    `estimator` holds where the command line says nothing.
    """

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def chosen(
            *,
            paths: tuple[Path, ...],
            weights: tuple[float, ...],
            name: str | None,
            adapt: bool,
            **others: Any,
        ) -> Any:
            own = {option for options in _OPTIONS.values() for option in options}
            given = {option: others.pop(option) for option in own}
            given = {option: value for option, value in given.items() if value is not None}
            choice = ModelChoice(paths, weights, name, given, adapt, estimator)
            return command(choice=choice, **others)

        made: Any = chosen
        for option in reversed(_model_options(estimator)):
            made = option(made)
        return made  # type: ignore[no-any-return]

    return add


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`model_options_with` for commands that measure."""
    return model_options_with("kneser-ney")(command)


def flag(option: str) -> str:
    """An option's name as it is written.

    >>> flag("max_order")
    '--max-order'
    """
    return "-k" if option == "k" else f"--{option.replace('_', '-')}"


def _model_options(
    estimator: str,
) -> list[Callable[[Callable[..., Any]], Callable[..., Any]]]:
    return [
        click.option(
            "-i",
            "--index",
            "paths",
            type=click.Path(path_type=Path),
            metavar="PATH",
            multiple=True,
            help="The index, or several to mix; by default the only *.infgram in this folder.",
        ),
        click.option(
            "--weight",
            "weights",
            type=float,
            metavar="W",
            multiple=True,
            help="Weight of an index in the mixture, one per -i, in order; by default equal.",
        ),
        click.option(
            "--estimator",
            "name",
            type=click.Choice(list(_OPTIONS)),
            help=f"How levels become probabilities; by default {estimator}.",
        ),
        click.option(
            "-k",
            type=click.IntRange(-1, 2**31 - 1),
            metavar="N",
            help="For sbis: back-off levels to mix, -1 for all; by default 2.",
        ),
        click.option(
            "--decay",
            type=float,
            metavar="D",
            help="For sbis: how much less each further level counts; by default 0.3.",
        ),
        click.option(
            "--weighting",
            type=click.Choice(["counts", "distributions"]),
            help="For sbis: mix the levels' raw counts (the default), or their probabilities.",
        ),
        click.option(
            "--floor",
            type=float,
            metavar="P",
            help="For sbis: the probability of tokens that no level has; by default 0.",
        ),
        click.option(
            "--window",
            type=click.IntRange(min=1),
            metavar="N",
            help="For sbis and longest: tokens of context seen; by default 200 and 1000.",
        ),
        click.option(
            "--max-order",
            type=int,
            metavar="N",
            help="For kneser-ney: the longest n-gram; by default 254.",
        ),
        click.option("--adapt", is_flag=True, help="Also count the text that has been read."),
    ]
