"""infgram trace: where parts of a text stand in the corpus."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .exits import end_unless
from .given import Typed, escape_option
from .option import option
from .options import (
    html_option,
    indexes_option,
    json_option,
    limit_option,
    min_length_option,
    open_indexes,
    seed_option,
)
from .texts import Texts, name_of, text_arguments

if TYPE_CHECKING:
    import infgram

_BEFORE_DOCUMENTS = "    "


@click.command(
    epilog="""\b
Examples:
  infgram trace essay.txt --whole-words --seed 1
  infgram trace essay.txt --delimiters '\\n.' --max-count 10 --density 0.05 --rank-by log-prob
  infgram trace essay.txt --merge --limit 5
  infgram trace essay.txt --html essay.html
  infgram generate -n 2000 | infgram trace - --json
"""
)
@text_arguments
@indexes_option
@min_length_option("of a span", None, "20 bytes or characters, or 5 tokens of other kinds")
@option(
    "--max-count",
    type=click.IntRange(min=1),
    metavar="N",
    help="Leave out spans that the corpus has more often.",
)
@option(
    "--whole-words", is_flag=True, help="Keep to whole words: spans cut no word of the text in two."
)
@option(
    "--delimiters",
    type=Typed(),
    metavar="TEXT",
    default="",
    show_default=False,
    help="Characters behind which no span goes on, such as '\\n.'.",
)
@option(
    "--rank-by",
    type=click.Choice(["length", "log-prob"]),
    default="length",
    help="Which spans --limit and --density keep: the longest, or the least probable.",
)
@option(
    "--density",
    type=float,
    metavar="X",
    help="Spans to keep for each token of the text, at most: 0.05 is one for 20.",
)
@limit_option("spans of each text", None)
@option("--merge", is_flag=True, help="Show spans that overlap as one passage.")
@option(
    "--max-documents",
    type=click.IntRange(min=0),
    metavar="N",
    default=3,
    help="Documents to show for each span, drawn at random from all.",
)
@option(
    "--context",
    type=click.IntRange(min=0),
    metavar="N",
    default=60,
    help="Tokens to show before and after.",
)
@seed_option
@escape_option
@html_option("the text, and on a click the documents of a span")
@json_option
def trace(
    given: Texts,
    paths: tuple[Path, ...],
    rank_by: str,
    merge: bool,
    html: Path | None,
    as_json: bool,
    **wishes: Any,
) -> None:
    """Show where parts of TEXT stand in the corpus.

    A span is a part of the text that stands in the corpus in one piece, as no longer part around
    it does. Each comes with its place in the text, its length, how often the corpus has it, and
    some of its documents. In colours, the text is shown first, its spans shaded by length. TEXT is
    a file of any kind that `infgram build` takes, or - for standard input. The exit code is 1 if
    no span is found.
    """
    import infgram

    given.keep(html)
    indexes = open_indexes(paths)
    wishes["rank"] = rank_by.replace("-", "_")
    texts = [
        (document, infgram.attribute(indexes, document.content, **wishes))
        for document in given.read_documents()
    ]
    if html:
        corpus = ", ".join(index.path.name for index in indexes)
        _write(html, texts, str(given), corpus)
    if as_json:
        _print_json(texts, merge)
    elif html != Path("-"):
        joint = " " if indexes[0].tokenizer.name == "ids" else ""
        for document, found in texts:
            _print(document, found, merge, joint)
    end_unless(any(found.spans for _, found in texts))


def _write(
    path: Path, texts: Sequence[tuple[Any, infgram.Attribution]], name: str, corpus: str
) -> None:
    from infgram.pages.attribution import attribution_page

    from .output import write_page

    named = [(name_of(document), found) for document, found in texts]
    write_page(attribution_page(named, name=name, corpus=corpus), path)


def _print_json(texts: Sequence[tuple[Any, infgram.Attribution]], merge: bool) -> None:
    from .output import json_able, print_json

    for document, found in texts:
        record = {"source": document.source, "line": document.line, **json_able(found)}
        record["covered"] = found.covered
        if merge:
            record["passages"] = [
                {**json_able(passage), "documents": json_able(passage.documents)}
                for passage in found.passages
            ]
            del record["spans"]
        print_json(record)


def _print(document: Any, found: infgram.Attribution, merge: bool, joint: str) -> None:
    from .find import rendered
    from .output import escaped, harmless, in_colors, note, one_line, painted, stdout, styled
    from .shading import print_legend, shade

    if in_colors(sys.stdout) and found.spans:
        print_legend()
        for text, i in found.runs():
            style = "" if i is None else shade(max(found.spans[i].n_tokens, 8))
            print(painted(harmless(text), style), end="")
        print("" if found.text.endswith("\n") else "\n")
    console = stdout()
    name = name_of(document)
    for part in found.passages if merge else found.spans:
        told = [
            (f"{one_line(_place(document, found, part.start))}:", "cyan"),
            (f" {_told(part)}: ", "dim"),
            (escaped(part.text), "bold red"),
        ]
        console.print(styled(told))
        for match in part.documents:
            console.print(_BEFORE_DOCUMENTS, rendered(match, joint=joint), sep="")
    n = len(found.spans)
    note(f"{name}: {n:,} span{'s' * (n != 1)}, {found.covered:.1%} of the text")
    if not n:
        note("spans shorter than --min-length are not looked for")


def _place(document: Any, found: infgram.Attribution, start: int) -> str:
    """Where a character of a text stands, to be jumped to; of a record, in which line that is."""
    line, column = found.place(start)
    if not document.line:
        return f"{name_of(document)}:{line}:{column}"
    if not document.is_text:
        return f"{name_of(document)}: character {start}"
    source = name_of(dataclasses.replace(document, line=document.line + line - 1))
    return f"{source}:{column}"


def _told(part: infgram.Span | infgram.Passage) -> str:
    from infgram.tracing.attribution import Passage, told_of

    if isinstance(part, Passage):
        n = len(part.spans)
        return f"{n:,} span{'s' * (n != 1)}"
    return told_of(part)
