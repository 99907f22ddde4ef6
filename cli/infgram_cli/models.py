"""How the command line names a language model. Alone in knowing which option is whose."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .option import option
from .options import indexes_option, open_indexes

if TYPE_CHECKING:
    import infgram

_WHY_NOT = {
    ("floor", "kneser-ney"): ", which gives every token a probability",
    ("floor", "longest"): ", which has no other levels: sbis -k 1 is the same with a floor",
}
_OPTIONS = {
    "longest": ("window",),
    "sbis": ("k", "decay", "weighting", "window", "floor"),
    "kneser-ney": ("max_order", "apart"),
    "mix": ("mix_size",),
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
        return open_indexes(self.paths)

    def model(self) -> infgram.Model:
        """The model."""
        import infgram

        name = self.name or self.default
        for given in self.given:
            if given not in _OPTIONS[name]:
                owners = " or ".join(owner for owner, own in _OPTIONS.items() if given in own)
                why = _WHY_NOT.get((given, name), "")
                raise click.UsageError(
                    f"{flag(given)} is for --estimator {owners}, not {name}{why}"
                )
        make: dict[str, Callable[..., Any]] = {
            "longest": infgram.Longest,
            "sbis": infgram.SBIS,
            "kneser-ney": infgram.KneserNey,
            "mix": lambda mix_size="lean": infgram.Mix(size=mix_size),
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
        for add in reversed(_model_options(estimator)):
            made = add(made)
        return made  # type: ignore[no-any-return]

    return add


mix_size_option = option(
    "--mix-size",
    type=click.Choice(["lean", "full"]),
    show_default="lean",
    help="For mix: how much it looks at. full predicts better, and takes two to three times as "
    "long.",
)


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
        indexes_option,
        option(
            "--weight",
            "weights",
            type=float,
            metavar="W",
            multiple=True,
            show_default="equal",
            help="Weight of an index in the mixture, one per -i, in order.",
        ),
        option(
            "--estimator",
            "name",
            type=click.Choice(list(_OPTIONS)),
            show_default=estimator,
            help="How levels become probabilities.",
        ),
        option(
            "-k",
            type=click.IntRange(-1, 2**31 - 1),
            metavar="N",
            show_default="2",
            help="Back-off levels that sbis mixes, -1 for all.",
        ),
        option(
            "--decay",
            type=float,
            metavar="D",
            show_default="0.3",
            help="How much less sbis counts each further level.",
        ),
        option(
            "--weighting",
            type=click.Choice(["counts", "distributions"]),
            show_default="counts",
            help="For sbis: mix the levels' raw counts, or their probabilities.",
        ),
        option(
            "--floor",
            type=float,
            metavar="P",
            show_default="0",
            help="For sbis: the probability of tokens that no level has.",
        ),
        option(
            "--window",
            type=click.IntRange(min=1),
            metavar="N",
            show_default="200; 1000 for longest",
            help="Tokens of context seen, by sbis and longest.",
        ),
        mix_size_option,
        option(
            "--max-order",
            type=int,
            metavar="N",
            show_default="254",
            help="For kneser-ney: the longest n-gram.",
        ),
        option(
            "--apart",
            is_flag=True,
            default=None,
            help="For kneser-ney: take an index that has grown as it is, and count contexts of its "
            "segments apart, which predicts a little worse.",
        ),
        option("--adapt", is_flag=True, help="Also count the text that has been read."),
    ]
