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
    from collections.abc import Sequence

    from rich.console import Console
    from rich.table import Table

    from infgram.models.evaluate import (
        Bins,
        Comparison,
        LevelStatistics,
        Perplexity,
        Reliability,
        Summary,
    )
    from infgram.text.corpus import Document

_FREE = ("k", "weighting")  # what --published leaves to choose
_SUMMARY = ("expected_perplexity", "actual_perplexity", "confidence", "accuracy", "ece")


@click.command(
    epilog="""\b
Examples:
  infgram perplexity unseen.txt
  infgram perplexity unseen.txt --adapt --reliability
  infgram perplexity unseen.txt -i a.infgram -i b.infgram --weight 3 --weight 1
  infgram perplexity unseen.txt -i a.infgram -i b.infgram --compare
  infgram perplexity unseen.txt --documents line --bos --eos
  infgram perplexity unseen.txt --estimator sbis -k 5 --published
"""
)
@text_arguments
@model_options
@click.option("--bos", is_flag=True, help="Each text begins a document.")
@click.option("--eos", is_flag=True, help="Each text ends a document: predict its end, too.")
@click.option("--per-document", is_flag=True, help="Also show each text.")
@click.option(
    "--compare",
    is_flag=True,
    help="Show which index explains each text better, instead of mixing them.",
)
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
    bos: bool,
    eos: bool,
    per_document: bool,
    compare: bool,
    published: bool,
    reliability: bool,
    levels: int | None,
    as_json: bool,
) -> None:
    """Measure how well a model predicts TEXT.

    TEXT is a file of any kind that `infgram build` takes, or - for standard input. It should not be
    in the index. A single token of probability zero makes perplexity infinite; kneser-ney has none,
    and figures with and without unknown tokens are shown.

    Each text is read on its own: a file, or a line or paragraph of one (--documents). Evaluations
    of language models count its end, and give it a beginning: --bos --eos.
    """
    import infgram

    from .output import json_able, print_json, stdout

    if compare:
        for option, is_given in [
            ("--published", published),
            ("--reliability", reliability),
            ("--levels", levels),
            ("--weight", choice.weights),
        ]:
            if is_given:
                raise click.UsageError(f"--compare compares perplexities alone: leave out {option}")
        _compare(given, choice, bos, eos, as_json)
        return
    if published:
        if bos or eos or per_document:
            raise click.UsageError(
                "--published measures a text as it was published: leave out --bos, --eos and "
                "--per-document"
            )
        choice = _as_published(choice)
    model = choice.model()
    documents = given.read_documents()
    texts = [document.content for document in documents]
    each: Comparison | None = None
    if published:
        (index,) = model.indexes
        settings = {name: choice.given[name] for name in _FREE if name in choice.given}
        found = infgram.published_perplexity(index, *texts, **settings)
    elif per_document:
        each = infgram.compare([model], *texts, bos=bos, eos=eos)
        (found,) = each.total
    else:
        found = infgram.perplexity(model, *texts, bos=bos, eos=eos)
    reliable = infgram.reliability(model, *texts, bos=bos, eos=eos) if reliability else None
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
            "bos": bos,
            "eos": eos,
            **json_able(found),
        }
        if each:
            record["documents"] = _documents(documents, each)
        if reliable:
            summary = {name: json_able(getattr(reliable, name)) for name in _SUMMARY}
            record["reliability"] = {**summary, **json_able(reliable)}
        if levels:
            record["levels"] = json_able(statistics)
        print_json(record)
        return
    console = stdout()
    _show_perplexity(console, found, published)
    if each:
        _show_documents(console, documents, each)
    if reliable:
        _show_reliability(console, reliable)
    for path, of_index in statistics.items():
        _show_levels(console, Path(path).name, of_index)


def _compare(given: Texts, choice: ModelChoice, bos: bool, eos: bool, as_json: bool) -> None:
    """Each index on its own, side by side."""
    import infgram

    from .output import json_able, print_json, stdout

    if len(choice.paths) < 2:
        raise click.UsageError(
            f"--compare has {len(choice.paths)} indexes, expected at least 2: name each with -i"
        )
    models = [replace(choice, paths=(path,)).model() for path in choice.paths]
    documents = given.read_documents()
    texts = [document.content for document in documents]
    found = infgram.compare(models, *texts, bos=bos, eos=eos)
    names = [str(model.indexes[0].path) for model in models]
    if as_json:
        print_json(
            {
                "indexes": names,
                "estimator": repr(models[0].estimator),
                "adapt": models[0].adapt,
                "bos": bos,
                "eos": eos,
                "documents": _documents(documents, found),
                "total": json_able(found.total),
                "best": found.best_in_total,
            }
        )
        return
    _show_comparison(stdout(), documents, found, [Path(name).name for name in names])


def _documents(documents: list[Document], found: Comparison) -> list[dict[str, object]]:
    """Each text as JSON has it."""
    from .output import json_able

    return [
        {
            "source": document.source,
            "line": document.line,
            "models": json_able(row),
            "best": best,
        }
        for document, row, best in zip(documents, found.documents, found.best, strict=True)
    ]


def _bits(found: Perplexity) -> float:
    """Bits a byte, or a token where nobody knows the bytes."""
    in_tokens = found.nats_per_token / math.log(2)
    return in_tokens if found.bits_per_byte is None else found.bits_per_byte


def _show_comparison(
    console: Console, documents: list[Document], found: Comparison, names: list[str]
) -> None:
    from .output import table

    unit = "token" if found.total[0].bits_per_byte is None else "byte"
    rows = table(console, f"bits per {unit}", *names)

    def add(name: str, row: Sequence[Perplexity], best: int | None) -> None:
        marked = [
            f"{_number(_bits(each))}{' *' if i == best else '  '}" for i, each in enumerate(row)
        ]
        rows.add_row(name, *marked)

    for document, row, best in zip(documents, found.documents, found.best, strict=True):
        add(_name(document), row, best)
    add("all", found.total, found.best_in_total)
    console.print(rows)
    wins = [sum(best == i for best in found.best) for i in range(len(names))]
    counted = ", ".join(f"{name} {n:,}" for name, n in zip(names, wins, strict=True))
    console.print(f"* explains it best. Texts: {counted}, of {len(documents):,}")


def _show_documents(console: Console, documents: list[Document], found: Comparison) -> None:
    from .output import table

    console.print()
    rows = table(console, "text", "tokens", "unknown", "perplexity", "bits per byte")
    for document, row in zip(documents, found.documents, strict=True):
        for each in row:
            bits = "" if each.bits_per_byte is None else _number(each.bits_per_byte)
            counts = f"{each.n_tokens:,}", f"{each.n_unknown:,}"
            rows.add_row(_name(document), *counts, _number(each.perplexity), bits)
    console.print(rows)


def _name(document: Document) -> str:
    return f"{document.source}:{document.line}" if document.line else document.source


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
    if found.n_unknown:
        facts["unknown"] = (
            f"{found.n_unknown:,} tokens; without them perplexity {_number(found.perplexity_known)}"
        )
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
