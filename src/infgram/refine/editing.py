"""What `polish` and `refine` are asked alike, and what they give back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks import whole
from ..errors import InvalidParameter
from ..index import Index
from ..text.tokens import Query
from ..tracing.copying import certify
from .edits import Edit, Refined, Trace
from .words import n_unjudged


def check(
    texts: Sequence[Query], prompts: Sequence[Query] | None, rounds: int, max_copy: int | None
) -> None:
    """Raises InvalidParameter."""
    given = [texts] if prompts is None else [texts, prompts]
    if any(isinstance(each, (str, bytes)) or len(each) != len(texts) for each in given):
        raise InvalidParameter("expected texts, and a prompt for each")
    whole(0, 2**31 - 1, rounds=rounds)
    if max_copy is not None:
        whole(1, 2**31 - 1, max_copy=max_copy)


def settings(
    index: Index,
    protect: str | Sequence[str],
    seed: int | np.random.Generator | None,
    **others: Any,
) -> dict[str, Any]:
    """For a trace: what decided the edits, and whose tokens they are of."""
    found = {"tokenizer": index.tokenizer.name, **others}
    found["protect"] = [protect] if isinstance(protect, str) else list(protect)
    if isinstance(seed, (int, np.integer)):
        found["seed"] = seed
    # a trace is written as JSON, which knows no numbers of NumPy
    return {k: v.item() if isinstance(v, np.generic) else v for k, v in found.items()}


def behind(edits: Iterable[Edit], n_prompt: int) -> Iterator[Edit]:
    """Edits with their places counted from the end of the prompt."""
    for edit in edits:
        yield replace(edit, start=edit.start - n_prompt, end=edit.end - n_prompt)


def refined(
    index: Index, token_ids: NDArray[np.uint32], n_prompt: int, trace: Trace, max_copy: int | None
) -> Refined:
    """A text with its prompt before it; its runs are looked up where they are limited."""
    own = token_ids[n_prompt:]
    certificate = certify(index, own, max_copy=max_copy) if max_copy else None
    return Refined(
        text=index.decode(own),
        token_ids=own,
        edits=trace.edits,
        n_rounds=len({edit.round for edit in trace.edits}),
        n_unjudged=n_unjudged(index, token_ids, n_prompt=n_prompt),
        longest_run=certificate.longest_run if certificate else None,
        runs=certificate.runs if certificate else (),
        trace=trace,
    )
