"""infgram remove: documents out of an index."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from .option import option
from .options import AnyPath, index_option, json_option, open_index, quiet_option


@click.command(
    epilog="""\b
Examples:
  infgram remove -i corpus.infgram --source news/today.txt
  infgram remove -i corpus.infgram --where author=hamlet
  infgram remove -i corpus.infgram --document 3 --document 8
"""
)
@index_option
@option(
    "--source",
    "sources",
    metavar="FILE",
    multiple=True,
    help="All documents of a file, as `find` names it; may be repeated.",
)
@option(
    "--document",
    "documents",
    type=click.IntRange(min=0),
    metavar="N",
    multiple=True,
    help="A document by its number, from 0; may be repeated.",
)
@option(
    "--where",
    "conditions",
    metavar="FIELD=VALUE",
    multiple=True,
    help="Documents whose metadata has this value; repeated, all of them.",
)
@option(
    "--listed",
    "listed",
    type=AnyPath(exists=True, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Documents whose numbers a file lists: one a line, or what `dedup --json` and `find "
    "--json` print.",
)
@quiet_option
@json_option
def remove(
    path: Path | None,
    sources: tuple[str, ...],
    documents: tuple[int, ...],
    conditions: tuple[str, ...],
    listed: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Remove documents from an index.

    Nothing counts them from then on, and the documents behind them move up: name all numbers at
    once. Their text stays on the disk until `infgram merge --purge`.
    """
    import infgram

    from .output import print_json, stdout

    if not (sources or documents or conditions or listed):
        raise click.UsageError(
            "nothing is to be removed: give --source, --document, --where or --listed"
        )
    numbers = [*documents, *(_listed(listed) if listed else [])]
    opened = open_index(path)
    started = time.perf_counter()
    left = infgram.remove(
        opened, documents=numbers, sources=sources, where=dict(map(_condition, conditions))
    )
    seconds = time.perf_counter() - started
    n_removed = opened.n_documents - left.n_documents
    if as_json:
        print_json(
            {
                "path": str(left.path),
                "n_removed": n_removed,
                "n_tokens": left.n_tokens,
                "n_documents": left.n_documents,
                "seconds": round(seconds, 3),
            }
        )
    elif not quiet:
        removed = "1 document" if n_removed == 1 else f"{n_removed:,} documents"
        stdout().print(
            f"{left.path.name}: {removed} removed in {seconds:.2f} s; "
            f"{left.n_documents:,} left, of {left.n_tokens:,} tokens"
        )


def _condition(given: str) -> tuple[str, Any]:
    """A field and its value: JSON if it is some, and else a text."""
    field, equals, value = given.partition("=")
    if not equals:
        raise click.UsageError(f"--where is {given!r}, expected FIELD=VALUE, as author=hamlet")
    try:
        return field, json.loads(value)
    except ValueError:
        return field, value


def _listed(path: Path) -> list[int]:
    """The documents of a list."""
    numbers = []
    with click.open_file(str(path), encoding="utf-8", errors="replace") as lines:
        for i, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                found = json.loads(line)
                number = found["document"] if isinstance(found, dict) else found
            except (ValueError, KeyError, RecursionError):
                number = None
            if type(number) is not int or number < 0:
                raise click.UsageError(
                    f"{path}:{i} is {line.strip()[:80]!r}, expected a document's number, or JSON "
                    "with a field `document`"
                )
            numbers.append(number)
    return numbers
