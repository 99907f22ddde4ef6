"""How probable each token was, in the form of OpenAI's `logprobs`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..text.pieces import Behind
from .catalogue import Served

IMPOSSIBLE = -9999.0
"""The logarithm of 0, which JSON does not have."""

Logprobs = dict[str, list[Any]]


def logprobs_of(
    served: Served,
    prompt: list[int],
    written: list[int],
    top: int,
    *,
    echo: bool,
    check: Callable[[], None],
) -> Logprobs:
    """Of the tokens written, and with `echo` of the prompt's, whose first one has no probability.

    A token and the most probable ones are told from one distribution, so that clients may compare
    them: an equal token is the best one. `check` is called now and then, and may raise.

    >>> import infgram
    >>> from infgram.serve.catalogue import Catalogue
    >>> served = Catalogue([infgram.build(["to be or not to be"])], "longest").model(None)
    >>> found = logprobs_of(served, list(b"to"), list(b" b"), 1, echo=True, check=lambda: None)
    >>> found["tokens"], found["text_offset"]
    (['t', 'o', ' ', 'b'], [0, 1, 2, 3])
    >>> found["token_logprobs"][0], found["top_logprobs"][-1]
    (None, {'b': 0.0})
    """
    made: Logprobs = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    ids = [*prompt, *written] if echo else written
    if echo and prompt:
        made["token_logprobs"].append(None)
        made["top_logprobs"].append(None)
        _add(made, served, prompt[:1], prompt[1:], top, check)
    _add(made, served, prompt, written, top, check)
    made["tokens"] = served.hosted.all_shown(ids)
    made["text_offset"] = _offsets(served, ids, [] if echo else prompt)
    return made


def _add(
    made: Logprobs,
    served: Served,
    context: list[int],
    ids: list[int],
    top: int,
    check: Callable[[], None],
) -> None:
    """What the model says of tokens behind a context; nothing before them: a document begins."""
    if not ids:
        return
    model, shown = served.model, served.hosted.shown
    chunks = model.distributions(ids, context=context, bos=not context)
    for chunk, rows in chunks:
        check()
        columns, shared = served.columns(chunk)
        probs = rows[np.arange(len(chunk)), columns]
        probs[shared] /= max(model.n_unseen, 1)
        best = _best(rows[:, :-1], max(top, 1))
        for i, (token_id, prob) in enumerate(zip(chunk.tolist(), probs.tolist(), strict=True)):
            log_prob = _log(prob)
            tops: dict[str, float] = {}
            if top:
                for column in best[i].tolist():
                    tops.setdefault(shown(int(model.token_ids[column])), _log(rows[i, column]))
            tops[shown(token_id)] = log_prob
            made["token_logprobs"].append(log_prob)
            made["top_logprobs"].append(tops)


def _best(rows: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """The columns of the n largest of each row, largest first."""
    n = min(n, rows.shape[1])
    some = np.argpartition(-rows, n - 1, axis=1)[:, :n]
    order = np.argsort(-np.take_along_axis(rows, some, axis=1), axis=1, kind="stable")
    return np.take_along_axis(some, order, axis=1)


def _log(prob: float) -> float:
    return math.log(prob) if prob > 0 else IMPOSSIBLE


def _offsets(served: Served, ids: list[int], before: list[int]) -> list[int]:
    """Where each token begins in the text that is answered."""
    index = served.hosted.index
    ends = [i for i, token_id in enumerate(before) if token_id == index.end_of_text]
    front = before[ends[-1] + 1 :] if ends else before
    offsets, at = [], 0
    for piece in _pieces(served, ids, front):
        offsets.append(at)
        at += len(piece)
    return offsets


def _pieces(served: Served, ids: list[int], front: list[int]) -> list[str]:
    index = served.hosted.index
    if index.tokenizer.name == "ids":
        return [f"{token_id} " for token_id in ids]
    pieces: list[str] = []
    while ids:
        end = ids.index(index.end_of_text) if index.end_of_text in ids else len(ids)
        pieces += Behind(index.tokenizer, front).by_token(ids[:end])
        pieces += [""] * (end < len(ids))
        front, ids = [], ids[end + 1 :]
    return pieces
