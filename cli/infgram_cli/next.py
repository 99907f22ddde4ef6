"""infgram next: what follows a context."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import index_option, json_option, open_index, query_options, read_query

if TYPE_CHECKING:
    import infgram

_LEVEL_TOKENS = 5


@click.command("next", epilog="Example: infgram next 'to b' -n 5")
@click.argument("context")
@index_option
@click.option(
    "-n",
    "--rows",
    type=click.IntRange(min=1),
    metavar="N",
    default=10,
    show_default=True,
    help="Tokens to show.",
)
@click.option("--infgram", "longest", is_flag=True, help="Back off to the longest suffix found.")
@click.option("--levels", is_flag=True, help="Show every back-off level, longest first.")
@query_options
@json_option
def next_tokens(
    context: str,
    path: Path | None,
    rows: int,
    longest: bool,
    levels: bool,
    escapes: bool,
    ids: bool,
    as_json: bool,
) -> None:
    """Show which tokens follow CONTEXT, and how often.

    The counts are exact and are for the whole context. If it never occurs, --infgram shortens it
    from the left until it does.
    """
    if longest and levels:
        raise click.UsageError("--levels already shows what --infgram does: give one of them")
    from .cuts import explain

    index = open_index(path)
    query = read_query(index, context, escapes=escapes, ids=ids)
    n_tokens = len(index.ids(query))
    if levels:
        _show_levels(index, query, n_tokens, rows, as_json)
        return
    ntd = index.infgram_ntd(query) if longest else index.ntd(query)
    if not len(ntd):
        explain(index, query, 0)
    _show(index, ntd, n_tokens, rows, as_json)


def _show(
    index: infgram.Index, ntd: infgram.NextTokens, n_tokens: int, rows: int, as_json: bool
) -> None:
    from .output import print_json, stdout, table, token_text

    best = _most_common(ntd, rows)
    if as_json:
        for token_id, count, prob in best:
            print_json(
                {
                    "token": ntd.text(token_id),
                    "token_id": token_id,
                    "count": count,
                    "prob": prob,
                    "prompt_cnt": ntd.prompt_cnt,
                    "suffix_len": ntd.suffix_len,
                }
            )
        return
    console = stdout()
    if not len(ntd):
        console.print(f"nothing follows all {n_tokens} tokens; --infgram backs off")
        return
    console.print(
        f"matched {ntd.suffix_len:,} of {n_tokens:,} tokens; "
        f"matches: {ntd.prompt_cnt:,}; different next tokens: {len(ntd):,}"
    )
    rows_of = table(console, "token", "count", "probability")
    for token_id, count, prob in best:
        rows_of.add_row(token_text(index, token_id), f"{count:,}", f"{prob:.4f}")
    console.print(rows_of)


def _show_levels(
    index: infgram.Index, query: str | list[int], n_tokens: int, rows: int, as_json: bool
) -> None:
    from rich.text import Text

    from .cuts import explain
    from .output import print_json, stdout, table, token_text

    cursor = index.cursor(query)
    levels = cursor.levels()
    if not levels or levels[0].n < n_tokens:
        explain(index, query, index.count(query))
    if as_json:
        for i, (n, m) in enumerate(levels):
            ntd = cursor.ntd(i)
            tokens = [
                {"token": ntd.text(token_id), "token_id": token_id, "count": count, "prob": prob}
                for token_id, count, prob in _most_common(ntd, rows)
            ]
            print_json({"n": n, "m": m, "n_next": len(ntd), "tokens": tokens})
        return
    console = stdout()
    console.print(f"context of {n_tokens:,} tokens; levels: {len(levels):,}")
    if not levels:
        return
    rows_of = table(console, "n", "matches", "next", "most frequent", left=3)
    for i, (n, m) in enumerate(levels):
        ntd = cursor.ntd(i)
        shown = [
            Text.assemble(token_text(index, token_id), f" {count:,}")
            for token_id, count, _ in _most_common(ntd, min(rows, _LEVEL_TOKENS))
        ]
        rows_of.add_row(f"{n:,}", f"{m:,}", f"{len(ntd):,}", Text("  ").join(shown))
    console.print(rows_of)


def _most_common(ntd: infgram.NextTokens, n: int) -> list[tuple[int, int, float]]:
    """(token id, count, probability), the most frequent first."""
    order = (-ntd.counts).argsort(kind="stable")[:n]
    columns = (ntd.token_ids[order], ntd.counts[order], ntd.prob[order])
    return list(zip(*(column.tolist() for column in columns), strict=True))
