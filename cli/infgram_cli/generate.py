"""infgram generate: new text."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .given import Typed, text_argument
from .models import ModelChoice, flag, model_options_with
from .option import option
from .options import (
    html_option,
    ids_option,
    json_option,
    max_tokens_option,
    read_query,
    seed_option,
    temperature_option,
)
from .refiners import open_refiner, refiner_option

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
  infgram generate 'ROMEO:\\n' --stop '\\n\\n' --no-prompt
  infgram generate --prompt-file draft.txt --max-copy 20 --shade
  infgram generate --estimator kneser-ney --adapt --samples 4 --json
  infgram generate 'to be' -n 20 --trace --sources 1
"""
)
@text_argument("prompt", default="")
@max_tokens_option(500, "fewer if a document ends first")
@model_options_with(_ESTIMATOR)
@option(
    "--published",
    is_flag=True,
    help="Take sbis as it was published: -k 2 --decay 0.1 --weighting counts -T 0.8.",
)
@temperature_option(shown=str(_TEMPERATURE))
@option(
    "--top-k",
    type=click.IntRange(min=0),
    metavar="N",
    default=0,
    help="Draw only from the N most probable tokens; 0 for all.",
)
@option(
    "--top-p",
    type=float,
    metavar="P",
    default=1.0,
    help="Draw only from the most probable tokens that together have probability P.",
)
@option(
    "--min-p",
    type=float,
    metavar="P",
    default=0.0,
    help="Draw only from tokens at least P times as probable as the most probable one.",
)
@option(
    "--max-copy",
    type=click.IntRange(min=1),
    metavar="N",
    help="Let no run of more than N tokens occur in the corpus.",
)
@option(
    "--stop",
    "stops",
    type=Typed(),
    metavar="TEXT",
    multiple=True,
    help=r"Stop before TEXT, such as '\n\n'; may be repeated.",
)
@seed_option
@option(
    "--samples",
    "n_samples",
    type=click.IntRange(min=1),
    metavar="N",
    help="Write N texts after the same prompt.",
)
@option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    show_default="one a core",
    help="Threads to use, for --samples.",
)
@option(
    "--shade",
    is_flag=True,
    help="Colour each token by the length of the run of the corpus that it ends.",
)
@html_option("the text, shaded by how long its runs of the corpus are")
@option("--trace", is_flag=True, help="Also show where each token's probability comes from.")
@option(
    "--sources",
    "n_sources",
    type=click.IntRange(min=1),
    metavar="N",
    help="For --trace: also show N places in the corpus where the token follows its context.",
)
@refiner_option(required=False, old=("--refine",))
@option("--no-prompt", is_flag=True, help="Print only the new text.")
@ids_option
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
    shade: bool,
    html: Path | None,
    trace: bool,
    n_sources: int | None,
    refiner: Path | None,
    no_prompt: bool,
    ids: bool,
    as_json: bool,
    **limits: Any,
) -> None:
    """Generate text.

    It continues PROMPT, or begins a document. PROMPT is text with escapes, or - for all of standard
    input. Text is printed as it is generated; with --shade, --html, --json, --trace, --samples or
    --refiner it is printed once all of it is there.
    """
    _check_together(
        {
            ("--threads", "--samples"): threads is not None and n_samples is None,
            ("--sources", "--trace"): n_sources is not None and not trace,
        },
        {
            ("--trace", "--samples"): trace and n_samples is not None,
            ("--shade", "--json"): shade and as_json,
            ("--html", "--json"): html is not None and as_json,
            ("--html", "--trace"): html is not None and trace,
            ("--trace", "--refiner"): trace and refiner is not None,
        },
    )
    if published:
        choice = _as_published(choice, temperature)
        temperature = _PUBLISHED_TEMPERATURE
    model = choice.model()
    query = read_query(model.indexes[0], prompt, ids=ids)
    sampling = {
        **limits,
        "temperature": _TEMPERATURE if temperature is None else temperature,
        "stop": list(stops),
        "seed": seed,
    }
    shown = "" if no_prompt else _prompt_text(model, query)
    if not (as_json or shade or html or trace or n_samples or refiner):
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
    elif html:
        from .shading import write_shades

        write_shades(html, model.indexes, query, made, shown)
    else:
        _print_texts(shown, model, query, made, shade=shade)
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
    for (one, other), wrong in needs.items():
        if wrong:
            raise click.UsageError(f"{one} is for {other}, which was not given")
    for (one, other), wrong in excludes.items():
        if wrong:
            raise click.UsageError(f"{one} does not go with {other}: give one of them")


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
    from .output import painted

    if prompt:
        sys.stdout.write(painted(_for_output(prompt), "bold"))


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
    shade: bool,
) -> None:
    from .output import heading, in_colors, note, stdout
    from .shading import print_legend, shaded

    console = stdout()
    in_shades = shade and in_colors(sys.stdout)
    if in_shades:
        print_legend()
    elif shade:
        note("no colours here, so no shades: --color always shades everywhere")
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
