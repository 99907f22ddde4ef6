"""infgram perplexity: how well a model predicts text."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .models import ModelChoice, flag, model_options
from .option import option
from .options import json_option
from .texts import Texts, text_arguments

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from infgram.models.evaluate import Bins, LevelStatistics, Perplexity, Reliability, Summary

_FREE = ("k", "weighting")  # what --published leaves to choose
_SUMMARY = ("expected_perplexity", "actual_perplexity", "confidence", "accuracy", "ece")


@click.command(
    epilog="""\b
Examples:
  infgram perplexity unseen.txt
  infgram perplexity unseen.txt --adapt --reliability
  infgram perplexity unseen.txt -i a.infgram -i b.infgram --weight 3 --weight 1
  infgram perplexity unseen.txt --estimator sbis -k 5 --published
"""
)
@text_arguments
@model_options
@click.option(
    "--published",
    is_flag=True,
    help="Take sbis as it was published: decay 0.1, 100 tokens of context, 1e-10 for "
    "tokens of probability zero, and the first token not predicted.",
)
@click.option(
    "--reliability", is_flag=True, help="Also compare what the model expects with what happens."
)
@option(
    "--max-levels",
    "levels",
    type=click.IntRange(min=1),
    metavar="N",
    old=("--levels",),
    help="Show statistics of the first N back-off levels.",
)
@json_option
def perplexity(
    given: Texts,
    choice: ModelChoice,
    published: bool,
    reliability: bool,
    levels: int | None,
    as_json: bool,
) -> None:
    """Measure how well a model predicts TEXT.

    TEXT is a file of any kind that `infgram build` takes, or - for standard input. It should not be
    in the index. A single token of probability zero makes perplexity infinite. For kneser-ney, only
    tokens that the whole index lacks have probability zero.
    """
    import infgram

    from .output import json_able, print_json, stdout

    if published:
        choice = _as_published(choice)
    model = choice.model()
    texts = given.read()
    if published:
        (index,) = model.indexes
        settings = {name: choice.given[name] for name in _FREE if name in choice.given}
        found = infgram.published_perplexity(index, *texts, **settings)
    else:
        found = infgram.perplexity(model, *texts)
    reliable = infgram.reliability(model, *texts) if reliability else None
    statistics = {
        str(index.path): infgram.level_statistics(index, *texts, k=levels, window=model.window)
        for index in model.indexes
        if levels
    }
    if as_json:
        record = {
            "indexes": [str(index.path) for index in model.indexes],
            "estimator": repr(model.estimator),
            "adapt": model.adapt,
            "published": published,
            **json_able(found),
        }
        if reliable:
            summary = {name: json_able(getattr(reliable, name)) for name in _SUMMARY}
            record["reliability"] = {**summary, **json_able(reliable)}
        if levels:
            record["levels"] = json_able(statistics)
        print_json(record)
        return
    console = stdout()
    _show_perplexity(console, found, published)
    if reliable:
        _show_reliability(console, reliable)
    for path, of_index in statistics.items():
        _show_levels(console, Path(path).name, of_index)


def _as_published(choice: ModelChoice) -> ModelChoice:
    """The choice with what --published fixes."""
    fixed = [flag(option) for option in choice.given if option not in _FREE]
    fixed += ["--adapt"] if choice.adapt else []
    if choice.name not in (None, "sbis"):
        fixed.append(f"--estimator {choice.name}")
    if len(choice.paths) > 1:
        fixed.append("a second --index")
    if fixed:
        raise click.UsageError(
            f"--published measures sbis as it was published: leave out {fixed[0]}"
        )
    return replace(choice, name="sbis", given={**choice.given, "window": 100})


def _show_perplexity(console: Console, found: Perplexity, published: bool) -> None:
    from .output import print_facts

    n_bytes = "" if found.n_bytes is None else f", {found.n_bytes:,} bytes"
    facts = {
        "text": f"{found.n_tokens:,} tokens{n_bytes}",
        "perplexity": _number(found.perplexity),
        "bits per byte": "" if found.bits_per_byte is None else _number(found.bits_per_byte),
        "nats per token": _number(found.nats_per_token),
        "probability 0": f"{found.n_zero:,} tokens",
    }
    if found.n_zero:
        given = ", here taken for 1e-10" if published else ""
        others = f"the others have perplexity {_number(found.perplexity_nonzero)}"
        facts["probability 0"] += f"{given}; {others}"
    print_facts(console, {name: fact for name, fact in facts.items() if fact})


def _show_reliability(console: Console, found: Reliability) -> None:
    from .output import table

    console.print()
    rows = table(console, "what the model expects", "expected", "actual")
    rows.add_row("perplexity", _number(found.expected_perplexity), _number(found.actual_perplexity))
    rows.add_row("most probable token right", f"{found.confidence:.2%}", f"{found.accuracy:.2%}")
    console.print(rows)
    console.print(f"expected calibration error (ECE) {found.ece:.2%}")
    for name, bins in [
        ("most probable token", found.top),
        ("every token of the alphabet", found.tokens),
    ]:
        console.print()
        console.print(_bins_table(console, name, bins))


def _bins_table(console: Console, name: str, bins: Bins) -> Table:
    from .output import table

    rows = table(console, name, "predictions", "expected", "actual")
    for i in bins.counts.nonzero()[0].tolist():
        low, high = bins.edges[i], bins.edges[i + 1]
        expected, actual = bins.predicted[i], bins.actual[i]
        share = f"{low:.2g} to {high:.2g}"
        rows.add_row(share, f"{bins.counts[i]:,}", f"{expected:.3g}", f"{actual:.3g}")
    return rows


def _show_levels(console: Console, name: str, levels: list[LevelStatistics]) -> None:
    from .output import table

    console.print()
    columns = [f"{what} {number}" for what in "nm" for number in ("median", "mean", "std")]
    rows = table(console, f"levels of {name}", "places", *columns)
    for level in levels:
        numbers = [f"{number:,.1f}" for summary in (level.n, level.m) for number in _shown(summary)]
        rows.add_row(str(level.level), f"{level.n_places:,}", *numbers)
    console.print(rows)


def _shown(summary: Summary) -> tuple[float, float, float]:
    return summary.median, summary.mean, summary.std


def _number(value: float) -> str:
    return "infinite" if math.isinf(value) else f"{value:,.4f}"
