"""Where the probability of generated tokens came from, for people and for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    import infgram

_LEVELS_SHOWN = 3


def sources_of(
    indexes: Sequence[infgram.Index], step: infgram.TokenTrace, limit: int, seed: int | None
) -> list[infgram.Match]:
    """Up to `limit` places where the token follows as much of its context as it ever does."""
    found: list[infgram.Match] = []
    for index in indexes:
        found += index.find(step.match, limit=limit - len(found), seed=seed, context=0)
    return found


def trace_record(step: infgram.TokenTrace, sources: list[infgram.Match] | None) -> dict[str, Any]:
    """A token's trace as JSON has it."""
    from .output import json_able

    record = {
        "token": step.text,
        "token_id": step.token_id,
        "prob": step.prob,
        "n": step.n,
        "m": step.m,
        "match_length": len(step.match),
        "levels": json_able(step.levels),
    }
    if sources is not None:
        record["sources"] = [
            {
                "source": match.source,
                "line": match.line,
                "column": match.column,
                "document": match.document,
                "offset": match.offset,
                "metadata": match.metadata,
            }
            for match in sources
        ]
    return record


def trace_table(
    console: Console,
    model: infgram.Model,
    steps: Sequence[infgram.TokenTrace],
    sources: Sequence[list[infgram.Match] | None],
) -> Table:
    """A row a token."""
    from .output import quoted, styled, table, token_text

    with_sources = any(places is not None for places in sources)
    columns = ["token", "prob", "n", "m", "n: weight x prob, of the levels that gave most"]
    rows = table(console, *columns, *(["sources"] if with_sources else []))
    for column in rows.columns[4:]:
        column.justify = "left"
    for step, places in zip(steps, sources, strict=True):
        cells: list[str | Text] = [
            styled([(quoted(step.text), "")])
            if step.text
            else token_text(model.indexes[0], step.token_id),
            f"{step.prob:.4f}",
            f"{step.n:,}",
            f"{step.m:,}",
            _levels(step),
        ]
        if with_sources:
            cells.append(", ".join(map(_place, places or [])))
        rows.add_row(*cells)
    return rows


def _levels(step: infgram.TokenTrace) -> str:
    """The levels that gave most of the probability, longest first; or what pushed it most."""
    pushed = [level for level in step.levels if level.push]
    if pushed:
        return ", ".join(f"{level.name} {level.push:+.2f}" for level in pushed[:_LEVELS_SHOWN])
    gave = sorted(step.levels, key=lambda level: -level.weight * level.prob)[:_LEVELS_SHOWN]
    shown = []
    for level in sorted(gave, key=lambda level: -level.n):
        if level.prob > 0:
            name = "live " * level.live + (str(level.n) if level.m else "any")
            shown.append(f"{name}: {level.weight:.3f} x {level.prob:.3f}")
    return ", ".join(shown)


def _place(match: infgram.Match) -> str:
    from .output import one_line

    line = f":{match.line}" if match.line else ""
    return f"{one_line(match.source)}{line} token {match.offset}"
