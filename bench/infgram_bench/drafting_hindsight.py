"""How far drafts from memory could go: what somebody would draft who knew what comes.

Who repeats a piece of what was read can draft, at best, the longest piece of what comes that stands
somewhere behind the token that came last: in the corpus, in what was written before, or in the text
itself. A tree may put pieces together, so this is no bound of all drafters, but of all copying.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import infgram

from .drafting_traces import N_PROMPT, Ids

_NO_TOKEN = np.array([~np.uint32(0)])


def hindsight(
    index: infgram.Index, documents: Sequence[Ids], max_tokens: int
) -> tuple[list[int], list[int], int]:
    """Steps and tokens of each document, and the drafted tokens of all."""
    steps: list[int] = []
    tokens: list[int] = []
    n_drafted = 0
    written = b""
    for document in documents:
        at = N_PROMPT
        steps.append(0)
        while at < len(document):
            n = _longest(index, written, document, at, min(max_tokens, len(document) - at))
            n_drafted += n
            steps[-1] += 1
            at += n + 1
        tokens.append(len(document) - N_PROMPT)
        written += np.concatenate([document[N_PROMPT:], _NO_TOKEN]).astype("<u4").tobytes()
    return steps, tokens, n_drafted


def _longest(index: infgram.Index, written: bytes, document: Ids, at: int, most: int) -> int:
    """How many of the next tokens stand in one piece behind the last one; at most `most`."""
    known, unknown = 0, most + 1
    while known + 1 < unknown:
        n = (known + unknown) // 2
        piece = document[at - 1 : at + n]
        if (
            index.count(piece)
            or _stands_in(written, piece)
            # it may overlap itself, as what repeats does
            or _stands_in(document[: at + n - 1].astype("<u4").tobytes(), piece)
        ):
            known = n
        else:
            unknown = n
    return known


def _stands_in(text: bytes, piece: Ids) -> bool:
    """Whether a text of 32-bit tokens has a piece."""
    wanted = piece.astype("<u4").tobytes()
    at = text.find(wanted)
    while at > 0 and at % 4:
        at = text.find(wanted, at + 1)
    return at >= 0
