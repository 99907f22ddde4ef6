"""infgram generate: new text."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .models import ModelChoice, flag, model_options_with
from .options import json_option, query_options, read_query, read_text, seed_option
from .refiners import open_refiner

if TYPE_CHECKING:
    import infgram
    from infgram.refine.network.score import Scorer

_ESTIMATOR = "sbis"
_TEMPERATURE = 0.8
_PUBLISHED: dict[str, Any] = {"k": 2, "decay": 0.1, "weighting": "counts"}
_PUBLISHED_TEMPERATURE = 0.8


@click.command(
    epilog="""\b
Examples:
  infgram generate 'ROMEO:' -n 300 --seed 1
  infgram generate 'ROMEO:' --max-copy 20 --color
  infgram generate --estimator kneser-ney --adapt --samples 4 --json
  infgram generate 'to be' -n 20 --trace --sources 1
"""
)
@click.argument("prompt", default="")
@click.option(
    "-n",
    "--max-tokens",
    type=click.IntRange(min=0),
    metavar="N",
    default=500,
    show_default=True,
    help="Tokens to generate; fewer if a document ends first.",
)
@model_options_with(_ESTIMATOR)
@click.option(
    "--published",
    is_flag=True,
    help="The published settings of sbis: -k 2 --decay 0.1 --weighting counts -T 0.8.",
)
@click.option(
    "-T",
    "--temperature",
    type=float,
    metavar="T",
    help="Below 1 favours probable tokens; 0 always takes the most probable one; "
    f"by default {_TEMPERATURE}.",
)
@click.option(
    "--top-k",
    type=click.IntRange(min=0),
    metavar="N",
    default=0,
    show_default=True,
    help="Draw only from the N most probable tokens; 0 for all.",
)
@click.option(
    "--top-p",
    type=float,
    metavar="P",
    default=1.0,
    show_default=True,
    help="Draw only from the most probable tokens that together have probability P.",
)
@click.option(
    "--min-p",
    type=float,
    metavar="P",
    default=0.0,
    show_default=True,
    help="Draw only from tokens at least P times as probable as the most probable one.",
)
@click.option(
    "--max-copy",
    type=click.IntRange(min=1),
    metavar="N",
    help="Never write a run of more than N tokens that occurs in the corpus.",
)
@click.option(
    "--stop", "stops", metavar="TEXT", multiple=True, help="Stop before TEXT; may be repeated."
)
@seed_option
@click.option(
    "--samples",
    "n_samples",
    type=click.IntRange(min=1),
    metavar="N",
    help="Write N texts after the same prompt.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    help="For --samples: texts to write at once; by default one per core.",
)
@click.option(
    "--color",
    is_flag=True,
    help="Shade each token by the length of the run of the corpus that it ends; only in "
    "terminals unless FORCE_COLOR is set, and never with NO_COLOR.",
)
@click.option("--trace", is_flag=True, help="Also show where each token's probability comes from.")
@click.option(
    "--sources",
    "n_sources",
    type=click.IntRange(min=1),
    metavar="N",
    help="For --trace: also show N places in the corpus where the token follows its context.",
)
@click.option(
    "--refine",
    "refiner",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Then edit the text with a refiner that `infgram refine train` wrote.",
)
@click.option("--no-prompt", is_flag=True, help="Print only the new text.")
@query_options
@json_option
def generate(
    prompt: str,
    choice: ModelChoice,
    published: bool,
    temperature: float | None,
    stops: Sequence[str],
    seed: int | None,
    n_samples: int | None,
    threads: int | None,
    color: bool,
    trace: bool,
    n_sources: int | None,
    refiner: Path | None,
    no_prompt: bool,
    escapes: bool,
    ids: bool,
    as_json: bool,
    **limits: Any,
) -> None:
    """Generate text after PROMPT, or from the start of a document.

    Text is printed as it is generated; with --color, --json, --trace, --samples or --refine
    it is printed once all of it is there.
    """
    _check_together(
        {
            ("--threads", "--samples"): threads is not None and n_samples is None,
            ("--sources", "--trace"): n_sources is not None and not trace,
        },
        {
            ("--trace", "--samples"): trace and n_samples is not None,
            ("--color", "--json"): color and as_json,
            ("--trace", "--refine"): trace and refiner is not None,
        },
    )
    if published:
        choice = _as_published(choice, temperature)
        temperature = _PUBLISHED_TEMPERATURE
    model = choice.model()
    query = read_query(model.indexes[0], prompt, escapes=escapes, ids=ids)
    sampling = {
        **limits,
        "temperature": _TEMPERATURE if temperature is None else temperature,
        "stop": [read_text(stop, escapes=escapes) for stop in stops],
        "seed": seed,
    }
    shown = "" if no_prompt else _prompt_text(model, query)
    if not (as_json or color or trace or n_samples or refiner):
        _print_as_made(shown, model, query, sampling)
        return
    scorer = open_refiner(refiner, "auto") if refiner else None
    started = time.perf_counter()
    if n_samples:
        made = model.samples(n_samples, query, threads=threads, **sampling)
    else:
        made = [model.generate(query, trace=trace, **sampling)]
    if scorer:
        made = _refined(model, query, made, scorer, seed, limits["max_copy"])
    seconds = time.perf_counter() - started
    if trace and as_json:
        _print_trace(model, made[0], n_sources, seed, as_json=True)
    elif as_json:
        _print_as_json(made, seconds)
    else:
        _print_texts(shown, model, query, made, color=color)
        if trace:
            _print_trace(model, made[0], n_sources, seed, as_json=False)


def _refined(
    model: infgram.Model,
    query: str | list[int],
    made: Sequence[infgram.Generation],
    scorer: Scorer,
    seed: int | None,
    max_copy: int | None,
) -> list[infgram.Generation]:
    """What was made, edited. Of several indexes the first one proposes words."""
    from infgram.refine import refine_many

    from .editing import warn_of_runs

    edited = refine_many(
        model.indexes[0],
        scorer,
        [each.token_ids for each in made],
        prompts=[query] * len(made),
        max_copy=max_copy,
        seed=seed,
    )
    for each in edited:
        warn_of_runs(each, max_copy)
    return [
        replace(each, text=new.text, token_ids=new.token_ids)
        for each, new in zip(made, edited, strict=True)
    ]


def _check_together(
    needs: dict[tuple[str, str], bool], excludes: dict[tuple[str, str], bool]
) -> None:
    """Raises for the first pair of options that is wrong."""
    for (option, other), wrong in needs.items():
        if wrong:
            raise click.UsageError(f"{option} is for {other}, which was not given")
    for (option, other), wrong in excludes.items():
        if wrong:
            raise click.UsageError(f"{option} does not go with {other}: give one of them")


def _as_published(choice: ModelChoice, temperature: float | None) -> ModelChoice:
    """The choice with what --published sets."""
    others = [flag(option) for option in choice.given if option != "window"]
    others += ["--temperature"] if temperature is not None else []
    others += ["--adapt"] if choice.adapt else []
    if choice.name not in (None, "sbis"):
        others.append(f"--estimator {choice.name}")
    if others:
        raise click.UsageError(f"--published is sbis as it was published: leave out {others[0]}")
    return replace(choice, name="sbis", given={**choice.given, **_PUBLISHED})


def _prompt_text(model: infgram.Model, query: str | list[int]) -> str:
    if isinstance(query, str):
        return query
    joint = " " if model.tokenizer.name == "ids" and query else ""
    return model.indexes[0].decode(query) + joint


def _print_as_made(
    prompt: str, model: infgram.Model, query: str | list[int], sampling: dict[str, Any]
) -> None:
    pieces = model.stream(query, **sampling)
    _print_prompt(prompt)
    last = ""
    for piece in pieces:
        sys.stdout.write(_for_output(piece))
        sys.stdout.flush()
        last = piece[-1:] or last
    if last != "\n":
        sys.stdout.write("\n")


def _print_prompt(prompt: str) -> None:
    if prompt:
        click.secho(_for_output(prompt), bold=True, nl=False)


def _for_output(text: str) -> str:
    from .output import harmless

    return harmless(text) if sys.stdout.isatty() else text


def _print_as_json(made: Sequence[infgram.Generation], seconds: float) -> None:
    from .output import print_json

    for each in made:
        print_json(
            {
                "text": each.text,
                "n_tokens": len(each.token_ids),
                "finish_reason": each.finish_reason,
                "seconds": round(seconds, 6),
            }
        )


def _print_texts(
    prompt: str,
    model: infgram.Model,
    query: str | list[int],
    made: Sequence[infgram.Generation],
    *,
    color: bool,
) -> None:
    from .output import heading, stdout
    from .shading import print_legend, shaded, shades_show

    console = stdout()
    in_shades = color and shades_show(console)
    if in_shades:
        print_legend()
    for i, each in enumerate(made, 1):
        if len(made) > 1:
            heading(console, f"text {i} of {len(made)}")
        _print_prompt(prompt)
        if in_shades:
            sys.stdout.write(shaded(model.indexes, query, each.token_ids))
        else:
            sys.stdout.write(_for_output(each.text))
        if not each.text.endswith("\n"):
            sys.stdout.write("\n")


def _print_trace(
    model: infgram.Model,
    made: infgram.Generation,
    n_sources: int | None,
    seed: int | None,
    *,
    as_json: bool,
) -> None:
    from .output import print_json, stdout
    from .tracing import sources_of, trace_record, trace_table

    steps = made.trace or ()
    found = [
        sources_of(model.indexes, step, n_sources, seed) if n_sources else None for step in steps
    ]
    if as_json:
        for step, sources in zip(steps, found, strict=True):
            print_json(trace_record(step, sources))
        return
    console = stdout()
    console.print()
    console.print(trace_table(console, model, steps, found))
