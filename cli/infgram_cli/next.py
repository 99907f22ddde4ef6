"""infgram next: what follows a context."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .exits import end_unless
from .given import text_argument
from .option import option
from .options import ids_option, index_option, json_option, limit_option, open_index, read_query

if TYPE_CHECKING:
    import infgram

_LEVEL_TOKENS = 5


@click.command(
    "next",
    epilog="""\b
Examples:
  infgram next 'to b' --limit 5
  infgram next 'to be,\\nor ' --levels
""",
)
@text_argument("context")
@index_option
@limit_option("tokens, the most frequent first", 10, "-n", "--rows")
@option("--infgram", "longest", is_flag=True, help="Back off to the longest suffix found.")
@option("--levels", is_flag=True, help="Show every back-off level, longest first.")
@ids_option
@json_option
def next_tokens(
    context: str,
    path: Path | None,
    limit: int,
    longest: bool,
    levels: bool,
    ids: bool,
    as_json: bool,
) -> None:
    """Show what follows CONTEXT, and how often.

    The counts are exact and are for the whole context. If it never occurs, the exit code is 1, and
    --infgram shortens it from the left until it does. CONTEXT is text with escapes, or - for all of
    standard input.
    """
    if longest and levels:
        raise click.UsageError("--levels already shows what --infgram does: give one of them")
    from .cuts import explain

    index = open_index(path)
    query = read_query(index, context, ids=ids)
    n_tokens = len(index.ids(query))
    if levels:
        _show_levels(index, query, n_tokens, limit, as_json)
        return
    ntd = index.infgram_ntd(query) if longest else index.ntd(query)
    if not len(ntd):
        explain(index, query, 0)
    _show(index, ntd, n_tokens, limit, as_json)
    end_unless(len(ntd) > 0)


def _show(
    index: infgram.Index, ntd: infgram.NextTokens, n_tokens: int, limit: int, as_json: bool
) -> None:
    from .output import note, print_json, stdout, table, token_text

    best = _most_common(ntd, limit)
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
        note(f"nothing follows all {n_tokens} tokens; --infgram backs off")
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
    index: infgram.Index, query: str | list[int], n_tokens: int, limit: int, as_json: bool
) -> None:
    from .cuts import explain
    from .output import print_json, stdout, styled, table, token_text

    cursor = index.cursor(query)
    levels = cursor.levels()
    if not levels or levels[0].n < n_tokens:
        explain(index, query, index.count(query))
    if as_json:
        for i, (n, m) in enumerate(levels):
            ntd = cursor.ntd(i)
            tokens = [
                {"token": ntd.text(token_id), "token_id": token_id, "count": count, "prob": prob}
                for token_id, count, prob in _most_common(ntd, limit)
            ]
            print_json({"n": n, "m": m, "n_next": len(ntd), "tokens": tokens})
        end_unless(len(levels) > 0)
        return
    console = stdout()
    console.print(f"context of {n_tokens:,} tokens; levels: {len(levels):,}")
    end_unless(len(levels) > 0)
    rows_of = table(console, "n", "matches", "next", "most frequent", left=3)
    for i, (n, m) in enumerate(levels):
        ntd = cursor.ntd(i)
        shown = styled(
            part
            for token_id, count, _ in _most_common(ntd, min(limit, _LEVEL_TOKENS))
            for part in (token_text(index, token_id), (f" {count:,}  ", ""))
        )
        shown.rstrip()
        rows_of.add_row(f"{n:,}", f"{m:,}", f"{len(ntd):,}", shown)
    console.print(rows_of)


def _most_common(ntd: infgram.NextTokens, n: int) -> list[tuple[int, int, float]]:
    """(token id, count, probability), the most frequent first."""
    order = (-ntd.counts).argsort(kind="stable")[:n]
    columns = (ntd.token_ids[order], ntd.counts[order], ntd.prob[order])
    return list(zip(*(column.tolist() for column in columns), strict=True))
