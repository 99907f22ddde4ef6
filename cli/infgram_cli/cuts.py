"""Why text is not found as tokens: how a query was cut, and how it is cut elsewhere. On stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .given import note_of_escapes
from .output import quoted

if TYPE_CHECKING:
    import infgram

_MAX_CHARACTERS = 200


def explain(index: infgram.Index, query: str | list[int], n: int) -> None:
    """Says what a query of text was looked up as, if it occurs nowhere or elsewhere, too."""
    from infgram.errors import InfgramError

    from .output import note

    if not n and (of_escapes := note_of_escapes()):
        note(of_escapes)
    if isinstance(query, list) or not query or len(query) > _MAX_CHARACTERS:
        return
    if index.tokenizer.name in ("bytes", "chars"):
        return
    try:
        places: int | None = index.count_text(query)
    except InfgramError:
        places = None
    if n and places in (n, None):
        return
    for line in _lines(index, query, n, places):
        note(line)


def _lines(index: infgram.Index, query: str, n: int, places: int | None) -> list[str]:
    import numpy as np

    from infgram.text.cuts import other_cuts, pieces_of
    from infgram.text.tokens import ABSENT

    tokenizer = index.tokenizer
    ids = tokenizer.encode_ngram(query).tolist()
    if not ids:
        lines = [f"{quoted(query)} has no token of its own"]
    elif ABSENT in ids:
        unknown = _joined(pieces_of(tokenizer, ids))
        lines = [f"{quoted(query)} was read as {unknown}: the tokenizer does not know all of it"]
    else:
        lines = [f"{quoted(query)} was looked up as {_joined(pieces_of(tokenizer, ids))}: {n:,}"]
    for other in other_cuts(tokenizer, query):
        if found := index.count(np.array(other)):
            lines.append(f"as {_joined(pieces_of(tokenizer, other))}: {found:,}")
    if places is not None and places != n:
        lines.append(f"its characters, however they are cut: {places:,} (infgram count --text)")
    return lines


def _joined(pieces: list[str]) -> str:
    return " + ".join(map(quoted, pieces))
