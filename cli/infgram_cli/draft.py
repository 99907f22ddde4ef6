"""infgram draft: drafts for a neural model, before and after they are put to work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .option import Decorated, option
from .options import (
    AnyPath,
    TokenizerName,
    indexes_option,
    json_option,
    open_indexes,
    output_option,
    quiet_option,
    temperature_option,
    torch_threads_option,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    import infgram
    from infgram.draft import Drafter
    from infgram.draft.simulation import Simulation
    from infgram.draft.text_drafter import TextDrafter

_FILE = AnyPath(exists=True, dir_okay=False)
_SIZES = (4, 8, 16, 32)
_MANY_SIZES = "Tokens in a draft, at most; may be repeated."

_tokenizer_option = option(
    "--tokenizer",
    type=TokenizerName(),
    metavar="NAME",
    show_default="the index's own",
    help="The tokenizer: the model's, if the index is of bytes; tiktoken:NAME or a `tokenizers` "
    "JSON file.",
)
_vocab_option = option(
    "--vocab-size",
    type=click.IntRange(min=1),
    metavar="N",
    help="All token ids are below N: the model's, if more than the tokenizer's.",
)
_path_option = option("--path", "is_path", is_flag=True, help="Draft paths instead of trees.")
_cost_option = option(
    "--cost",
    type=_FILE,
    metavar="PATH",
    help="What steps cost, as `infgram draft profile` measured it.",
)


def _draft_tokens_option(least: int, *old: str, **how: Any) -> Callable[[Decorated], Decorated]:
    """Adds --draft-tokens. old: its names of before; how: as for an option."""
    return option(
        "--draft-tokens",
        type=click.IntRange(min=least),
        metavar="N",
        old=old,
        help="Tokens in a draft, at most." if "multiple" not in how else _MANY_SIZES,
        **how,
    )


@click.group(
    epilog="""\b
Examples:
  infgram draft simulate answers.jsonl -i code.infgram
  infgram draft profile ./my-model -o my-model.json
  infgram draft bench ./my-model prompts.jsonl -i code.infgram --cost my-model.json
"""
)
def draft() -> None:
    """Draft from an index for a neural model.

    With drafts, a model writes several tokens per step, at no loss in quality. `simulate` tells
    from a model's past outputs whether drafts would help, `profile` measures what a step of a model
    costs, and `bench` measures a model with and without drafts.
    """


@draft.command(
    epilog="""\b
Examples:
  infgram draft profile ./my-model -o my-model.json
  infgram draft profile Qwen/Qwen2.5-0.5B --context-tokens 1024 --draft-tokens 64 -o qwen.json
"""
)
@click.argument("model")
@output_option("the costs, a small JSON file.", required=True)
@option(
    "--context-tokens",
    type=click.IntRange(min=1),
    metavar="N",
    old=("--context",),
    show_default="256, or as many as fit the model",
    help="Tokens of context before the draft.",
)
@_draft_tokens_option(1, "--max-tokens", default=32)
@torch_threads_option
@quiet_option
def profile(
    model: str,
    output: Path,
    context_tokens: int | None,
    draft_tokens: int,
    threads: int | None,
    quiet: bool,
) -> None:
    """Measure what a step of MODEL costs, for drafts of each size.

    MODEL is a folder or a model name on Hugging Face. Needs the extra `draft`.
    """
    from infgram.draft.profile import measure_cost
    from infgram.draft.speed import load_model

    from .output import print_facts, stdout

    loaded = load_model(model, threads=threads)
    cost = measure_cost(loaded, context_tokens=context_tokens, max_tokens=draft_tokens)
    cost.save(output)
    if quiet:
        return
    facts = {"model": cost.model, "machine": cost.machine}
    for n in (0, 1, *(size for size in _SIZES if size <= draft_tokens)):
        name = f"{n} drafted token" + "s" * (n != 1)
        facts[name] = f"{1000 * cost.seconds[n]:.3g} ms, {cost.seconds[n] / cost.seconds[0]:.2f} x"
    print_facts(stdout(), facts)


@draft.command(
    epilog="""\b
TRACE has one JSON object per line:
  {"prompt": "...", "output": "..."}
  {"prompt_ids": [...], "output_ids": [...]}

\b
Examples:
  infgram draft simulate answers.jsonl -i code.infgram --cost my-model.json
  infgram draft simulate answers.jsonl -i bytes.infgram --tokenizer my-model/tokenizer.json
"""
)
@click.argument("trace", type=_FILE)
@indexes_option
@_tokenizer_option
@_vocab_option
@_cost_option
@_draft_tokens_option(
    0, "-n", "--max-tokens", multiple=True, show_default=", ".join(map(str, _SIZES))
)
@_path_option
@option("--no-session", is_flag=True, help="Learn nothing from earlier outputs.")
@json_option
def simulate(
    trace: Path,
    paths: tuple[Path, ...],
    tokenizer: str | None,
    vocab_size: int | None,
    cost: Path | None,
    draft_tokens: tuple[int, ...],
    is_path: bool,
    no_session: bool,
    as_json: bool,
) -> None:
    """Replay a model's past outputs to see whether drafts would help.

    The result is exact for a model that takes its likeliest token, and exact in distribution for
    one that samples. With --cost, drafts are as large as pays off, and the speed-up is predicted
    for the machine where the cost was measured.
    """
    from infgram.draft import simulate as replay
    from infgram.draft.profile import Cost
    from infgram.draft.simulation import read_traces

    from .output import json_able, print_json

    curve = Cost.load(cost).curve if cost else None
    limits = draft_tokens or _sizes_within(curve)
    indexes = open_indexes(paths)
    rows = {}
    for limit in limits:
        drafter = _drafter(
            indexes,
            tokenizer,
            vocab_size,
            tree=not is_path,
            cost=curve,
            max_tokens=limit,
            **({"session_tokens": 0} if no_session else {}),
        )
        traces = read_traces(trace, drafter.tokenizer, drafter.vocab_size)
        rows[limit] = replay(drafter, traces, seconds=curve)
    if as_json:
        results = [
            {"max_tokens": n, **json_able(row), "tokens_per_step": row.tokens_per_step}
            for n, row in rows.items()
        ]
        print_json(results)
        return
    _show(rows)


def _sizes_within(curve: NDArray[np.float64] | None) -> list[int]:
    """Drafts whose cost is known; says which are left out. All, where none is asked for."""
    if curve is None:
        return list(_SIZES)
    from .output import note

    longest = len(curve) - 1
    within = [n for n in _SIZES if n <= longest]
    if not within:
        raise click.UsageError(
            f"--cost ends at drafts of {longest} tokens, expected {_SIZES[0]} or more: give "
            f"-n {longest}, or measure more with `infgram draft profile`"
        )
    if left_out := [str(n) for n in _SIZES if n > longest]:
        note(
            f"--cost ends at drafts of {longest} tokens: those of {', '.join(left_out)} are left "
            "out"
        )
    return within


def _show(rows: dict[int, Simulation]) -> None:
    from .output import stdout, table

    shown = table(
        stdout(),
        *("drafts of up to", "tokens a step", "drafted a step", "accepted a step"),
        *("expected a step", "µs a step for drafts", "speed-up"),
    )
    for limit, row in rows.items():
        shown.add_row(
            str(limit),
            f"{row.tokens_per_step:.2f}",
            f"{row.drafted / row.steps:.1f}",
            f"{row.accepted / row.steps:.2f}",
            f"{row.expected / row.steps:.2f}",
            f"{1e6 * row.draft_seconds / row.steps:,.0f}",
            "" if row.speed_up is None else f"{row.speed_up:.2f} x",
        )
    stdout().print(shown)


@draft.command(
    epilog="""\b
Examples:
  infgram draft bench ./my-model prompts.jsonl -i code.infgram --cost my-model.json
  infgram draft bench ./my-model prompts.jsonl -i code.infgram --temperature 0.8 --threads 1
"""
)
@click.argument("model")
@click.argument("prompts", type=_FILE)
@indexes_option
@_tokenizer_option
@_cost_option
@_draft_tokens_option(0, "-n", "--max-tokens", default=8)
@option(
    "--new-tokens",
    type=click.IntRange(min=1),
    metavar="N",
    default=200,
    help="Tokens to write after each prompt.",
)
@temperature_option(0.0)
@option(
    "--repeat",
    type=click.IntRange(min=1),
    metavar="N",
    default=5,
    old=("--rounds",),
    help="Times to measure, each with and without drafts.",
)
@torch_threads_option
@_path_option
@json_option
def bench(
    model: str,
    prompts: Path,
    paths: tuple[Path, ...],
    tokenizer: str | None,
    cost: Path | None,
    draft_tokens: int,
    new_tokens: int,
    temperature: float,
    repeat: int,
    threads: int | None,
    is_path: bool,
    as_json: bool,
) -> None:
    """Measure how fast MODEL writes, with and without drafts in turn.

    MODEL is a folder or a model name on Hugging Face. PROMPTS has one JSON object per line, with
    "prompt" or "prompt_ids". Needs the extra `draft`.
    """
    from infgram.draft.profile import Cost
    from infgram.draft.simulation import read_prompts
    from infgram.draft.speed import load_model, measure_speed

    from .output import json_able, print_json, stdout, table

    loaded = load_model(model, threads=threads)
    drafter = _drafter(
        open_indexes(paths),
        tokenizer,
        loaded.config.get_text_config().vocab_size,
        tree=not is_path,
        cost=Cost.load(cost).curve if cost else None,
        max_tokens=draft_tokens,
    )
    texts = list(read_prompts(prompts, drafter.tokenizer, drafter.vocab_size))
    found = measure_speed(
        loaded,
        drafter,
        texts,
        max_new_tokens=new_tokens,
        rounds=repeat,
        temperature=temperature,
    )
    if as_json:
        print_json({**json_able(found), "speed_up": found.speed_up})
        return
    shown = table(stdout(), "", "tokens a second", "slowest round", "fastest", "tokens a step")
    for way in found.ways:
        slowest, fastest = (way.n_tokens / pick(way.seconds) for pick in (max, min))
        rates = (f"{rate:,.1f}" for rate in (way.median, slowest, fastest))
        shown.add_row(way.name, *rates, f"{way.tokens_per_step:.2f}")
    stdout().print(shown)
    print(f"{found.speed_up:.2f} x; texts that differ: {found.n_different} of {len(texts)}")


def _drafter(
    indexes: list[infgram.Index],
    tokenizer: str | None,
    vocab_size: int | None,
    **options: Any,
) -> Drafter | TextDrafter:
    from infgram.draft import Drafter
    from infgram.draft.text_drafter import TextDrafter

    if tokenizer is None:
        return Drafter(*indexes, vocab_size=vocab_size, **options)
    return TextDrafter(*indexes, tokenizer=tokenizer, vocab_size=vocab_size, **options)
