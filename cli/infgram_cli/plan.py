"""infgram plan: what an index will take, before it is built."""

from __future__ import annotations

from typing import Any, Literal

import click

from .option import option
from .options import json_option, layout_option


class _Amount(click.ParamType):  # type: ignore[type-arg]
    """A number as people write large ones: 1e12, 4_000_000."""

    name = "number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            return float(value)
        except ValueError:
            self.fail(f"found {value}, expected a number, as in 1e12", param, ctx)


class _Vocabulary(click.ParamType):  # type: ignore[type-arg]
    """Bytes, or a number of token ids."""

    name = "text"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        if value == "bytes":
            return "bytes"
        if not str(value).isdecimal():
            self.fail(f"found {value}, expected bytes, or a number of token ids", param, ctx)
        return int(value)


@click.command(epilog="Example: infgram plan --tokens 1e12 --layout compact --parts 500")
@option(
    "--tokens",
    type=_Amount(),
    required=True,
    metavar="N",
    help="Tokens of the corpus: its size, where they are bytes.",
)
@layout_option
@option(
    "--vocabulary",
    type=_Vocabulary(),
    default="bytes",
    metavar="N",
    help="bytes, or how many token ids there are.",
)
@option(
    "--parts",
    type=click.IntRange(min=1),
    metavar="N",
    show_default="as few as there are shards",
    help="Build N parts, of which more take less memory each.",
)
@option(
    "--query-tokens",
    type=click.IntRange(min=1),
    metavar="N",
    default=10,
    help="Tokens of the n-gram whose count is priced.",
)
@json_option
def plan(
    tokens: float,
    layout: Literal["fast", "compact"],
    vocabulary: Any,
    parts: int | None,
    query_tokens: int,
    as_json: bool,
) -> None:
    """Say what an index of a size will take.

    Shards, disk, memory, hours of a core, and what a count costs, cold and warm: what parts took
    that were measured on one machine, times the size.
    """
    import infgram
    from infgram import measured

    from .output import print_facts, print_json, si, stdout

    found = infgram.plan(
        tokens, layout=layout, vocabulary=vocabulary, parts=parts, query_tokens=query_tokens
    )
    if as_json:
        print_json(
            {
                "n_tokens": found.n_tokens,
                "layout": found.layout,
                "code_bits": found.code_bits,
                "n_parts": found.n_parts,
                "n_shards": found.n_shards,
                "disk_bytes": found.disk_bytes,
                "memory_bytes": found.memory_bytes,
                "build_hours": found.build_hours,
                "part_hours": found.part_hours,
                "query_tokens": found.query_tokens,
                "cold_reads": found.cold_reads,
                "cold_seconds": found.cold_seconds,
                "warm_seconds": found.warm_seconds,
                "measured": measured.HOW,
            }
        )
        return
    facts = {
        "parts": f"{found.n_parts:,}, of {si(found.tokens_in_part)} tokens each",
        "shards": f"{found.n_shards:,}",
        "disk": si(found.disk_bytes, "B"),
        "memory": f"{si(found.memory_bytes, 'B')} to build a part",
        "build": f"{_hours(found.build_hours)} of one core; {_hours(found.part_hours)} for a part",
        "cold query": f"{_duration(found.cold_seconds)}, {found.cold_reads:,} reads from disk, "
        f"to count {found.query_tokens:,} tokens",
        "warm query": f"{_duration(found.warm_seconds)}, with the index in memory",
        "measured": measured.HOW,
    }
    print_facts(stdout(), facts)


def _hours(hours: float) -> str:
    """Hours; minutes, of less than one.

    >>> _hours(24.7), _hours(0.053)
    ('24.7 hours', '3.2 minutes')
    """
    return f"{hours:,.1f} hours" if hours >= 1 else f"{60 * hours:.1f} minutes"


def _duration(seconds: float) -> str:
    """In the unit in which it is short.

    >>> _duration(0.00002), _duration(0.03), _duration(2.5)
    ('20.0 µs', '30.0 ms', '2.5 s')
    """
    for unit, name in ((1e-6, "µs"), (1e-3, "ms")):
        if seconds < 1000 * unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:,.1f} s"
