"""Editing with the index alone: both sides of every word judge it, and what may stand there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import _core
from ..calibrate import calibration_of
from ..errors import InvalidParameter
from ..index import Index, Query, generator
from .copying import certify
from .edits import Edit, Refined, Trace
from .propose import PROPOSERS, from_native, lexicon
from .words import editable

ROUNDS = 2
MARGIN = 1.0
_SHARE = 0.5
_N_SBIS = 3
_N_LEXICON = 3
_WINDOW = 10
_POLISHERS: dict[type, Any] = {
    _core.Index8: _core.Polisher8,
    _core.Index16: _core.Polisher16,
    _core.Index32: _core.Polisher32,
}


def polish(
    index: Index,
    text: Query,
    *,
    prompt: Query = (),
    rounds: int = ROUNDS,
    margin: float = MARGIN,
    max_copy: int | None = None,
    protect: str | Sequence[str] = (),
    seed: int | np.random.Generator | None = None,
) -> Refined:
    """Edits a text word by word, with a two-sided index of bytes or characters and nothing else.

    Of the words, those that Kneser-Ney finds least probable from both sides get candidates of the
    same length (`Proposer`). Each is judged by how much more probable it makes the text, read
    forwards and read backwards; the best one stands if that is more than a margin. Where nothing is
    edited the text is as it was, and so is its length.

    - `text`: what may be edited, words of letters and apostrophes. A word that begins in the prompt
      or ends with the text is left alone.
    - `prompt`: what stands before it; never edited.
    - `rounds`: how often; fewer where a round edits nothing. With 0, only `max_copy` edits.
    - `margin`: nats, the mean of both sides.
    - `max_copy`: at the end, words are edited until no run of more tokens of the text stands in the
      corpus. Where none can be found the run stays: `Refined.runs` has what is left.
    - `protect`: regular expressions; what they match in the text is never edited.
    - `seed`: the same gives the same text.

    Raises NotTwoSided, InvalidParameter, TokenOutOfRange.

    >>> import infgram
    >>> index = infgram.build(
    ...     demo_index.parent / "demo.txt", demo_index.parent / "two.infgram", two_sided=True
    ... )
    >>> polish(index, "or xot to be ", seed=0).edits[0].proposer
    'lexicon'
    """
    (refined,) = polish_many(
        index,
        [text],
        prompts=[prompt],
        rounds=rounds,
        margin=margin,
        max_copy=max_copy,
        protect=protect,
        seed=seed,
    )
    return refined


def polish_many(
    index: Index,
    texts: Sequence[Query],
    *,
    prompts: Sequence[Query] | None = None,
    rounds: int = ROUNDS,
    margin: float = MARGIN,
    max_copy: int | None = None,
    protect: str | Sequence[str] = (),
    seed: int | np.random.Generator | None = None,
) -> list[Refined]:
    """`polish` for several texts, each with a prompt of its own.

    Text i depends on the seed and on i alone.

    >>> import infgram
    >>> index = infgram.build(
    ...     demo_index.parent / "demo.txt", demo_index.parent / "two.infgram", two_sided=True
    ... )
    >>> [refined.text for refined in polish_many(index, ["xo be ", "or xot "], seed=0)]
    ['to be ', 'or not ']
    """
    _check(rounds, margin, max_copy)
    if isinstance(texts, (str, bytes)) or (prompts is not None and len(prompts) != len(texts)):
        raise InvalidParameter("expected texts, and a prompt for each")
    backwards = index.backwards
    native = _POLISHERS[type(index.native)](
        index.native,
        backwards.native,
        lexicon(index),
        model=calibration_of(index, adapt=False).native,
        model_backwards=calibration_of(backwards, adapt=False).native,
        window=_WINDOW,
    )
    settings = {"rounds": rounds, "margin": margin, "max_copy": max_copy}
    settings |= {"protect": [protect] if isinstance(protect, str) else list(protect)}
    if isinstance(seed, (int, np.integer)):
        settings["seed"] = int(seed)
    refined = []
    for text, prompt, rng in zip(
        texts, prompts or [()] * len(texts), generator(seed).spawn(len(texts)), strict=True
    ):
        before = index.ids(prompt).astype(np.uint32)
        draft = index.ids(text).astype(np.uint32)
        token_ids = np.concatenate([before, draft])
        with rng.bit_generator.lock:
            found = native.polish(
                token_ids,
                editable(index, token_ids, n_prompt=len(before), protect=protect),
                rounds=rounds,
                share=_SHARE,
                margin=margin,
                max_copy=max_copy or 0,
                n_sbis=_N_SBIS,
                n_lexicon=_N_LEXICON,
                bit_generator=rng.bit_generator,
            )
        edits = _edits(index, found, len(before))
        trace = Trace(draft, edits, settings)
        refined.append(_refined(index, found[0][len(before) :], trace, max_copy))
    return refined


def _edits(index: Index, found: tuple[Any, ...], n_prompt: int) -> tuple[Edit, ...]:
    _, rounds, begins, gains, old, native = found
    new = from_native(index, native)
    return tuple(
        Edit(
            start=int(begins[i]) - n_prompt,
            end=int(begins[i]) - n_prompt + len(new[i]),
            old=tuple(old[new.offsets[i] : new.offsets[i + 1]].tolist()),
            new=tuple(new[i].tolist()),
            gain=float(gains[i]),
            proposer=PROPOSERS[new.proposer[i]],
            source_offset=int(new.source_offset[i]) if new.source_offset[i] >= 0 else None,
            round=int(rounds[i]),
        )
        for i in range(len(new))
    )


def _refined(index: Index, token_ids: Any, trace: Trace, max_copy: int | None) -> Refined:
    certificate = certify(index, token_ids, max_copy=max_copy) if max_copy else None
    return Refined(
        text=index.decode(token_ids),
        token_ids=token_ids,
        edits=trace.edits,
        n_rounds=len({edit.round for edit in trace.edits}),
        longest_run=certificate.longest_run if certificate else None,
        runs=certificate.runs if certificate else (),
        trace=trace,
    )


def _check(rounds: int, margin: float, max_copy: int | None) -> None:
    for name, value, least in [("rounds", rounds, 0), ("max_copy", max_copy, 1)]:
        whole = isinstance(value, (int, np.integer)) and least <= value < 2**31
        if not whole and not (name == "max_copy" and value is None):
            raise InvalidParameter(
                f"{name} is {value!r}, expected a whole number of at least {least}"
            )
    if not isinstance(margin, (int, float, np.number)) or not margin >= 0:
        raise InvalidParameter(f"margin is {margin!r}, expected a number of at least 0")
