"""Editing with the index alone: both sides of every word judge it, and what may stand there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .. import native
from ..checks import number, one_of
from ..index import Index, check_index
from ..models.calibration import kneser_ney_of
from ..models.mix.estimator import Mix
from ..seeds import spawn
from ..text.tokens import Query
from .both_sides import BothSides, Rounds
from .editing import behind, check, refined, settings
from .edits import Edit, Refined, Trace
from .propose import PROPOSERS, from_native, lexicon
from .words import editable, words_to_edit

ROUNDS = 2
MARGIN = 4.0
WINDOW = 6
"""Tokens of context that Kneser-Ney sees: with more it finds copies too good to edit."""
JUDGES = ("kneser-ney", "mix")

_SHARE = 0.3
_N_SBIS = 3
_N_LEXICON = 3


def polish(
    index: Index,
    text: Query,
    *,
    prompt: Query = (),
    rounds: int = ROUNDS,
    margin: float = MARGIN,
    max_copy: int | None = None,
    judge: str = "kneser-ney",
    protect: str | Sequence[str] = (),
    seed: int | np.random.Generator | None = None,
) -> Refined:
    """Edits a text word by word, with a two-sided index of bytes or characters and nothing else.

    A word that the corpus has beside both of its neighbours is no fault. Of the others, those that
    the judge finds least probable from both sides get candidates: words of the corpus of the same
    length and of a higher standing (`Proposer`). Each is judged by how much more probable it makes
    the text, read forwards and read backwards; the best one stands if that is more than a margin.
    Everything else stays as it was, and so does the text's length.

    - `text`: what may be edited, words of letters and apostrophes. A word that begins in the prompt
      or ends with the text is left alone. So is a character that the corpus does not have, with the
      words next to it: `Refined.n_unjudged`.
    - `prompt`: what stands before it; never edited.
    - `rounds`: how often; fewer where a round edits nothing. With 0, only `max_copy` edits.
    - `margin`: nats, the mean of both sides, that an edit of a word must gain that the corpus does
      not have; twice as many for one that it has, and three times for one that fits on one side.
    - `max_copy`: at the end, words are edited until no run of more tokens of the text stands in the
      corpus; where no word can be, other characters than letters. Where neither helps the run
      stays: `Refined.runs` has what is left.
    - `judge`: "kneser-ney", or "mix", which readers prefer and which takes several times as long.
      It is then fitted to both sides of the index, or was; `max_copy` keeps Kneser-Ney.
    - `protect`: regular expressions; what they match in the text is never edited.
    - `seed`: the same gives the same text.

    Raises NotTwoSided, InvalidParameter, TokenOutOfRange.

    >>> import infgram
    >>> from infgram.refine import polish
    >>> index = infgram.build(["to be or not to be"], two_sided=True)
    >>> edit = polish(index, "to te or not ", seed=0).edits[0]
    >>> index.decode(edit.old), index.decode(edit.new), edit.proposer
    ('te', 'be', 'sbis')
    """
    (polished,) = polish_many(
        index,
        [text],
        prompts=[prompt],
        rounds=rounds,
        margin=margin,
        max_copy=max_copy,
        judge=judge,
        protect=protect,
        seed=seed,
    )
    return polished


def polish_many(
    index: Index,
    texts: Sequence[Query],
    *,
    prompts: Sequence[Query] | None = None,
    rounds: int = ROUNDS,
    margin: float = MARGIN,
    max_copy: int | None = None,
    judge: str = "kneser-ney",
    protect: str | Sequence[str] = (),
    seed: int | np.random.Generator | None = None,
) -> list[Refined]:
    """`polish` for several texts, each with a prompt of its own.

    Text i depends on the seed and on i alone.

    >>> import infgram
    >>> from infgram.refine import polish_many
    >>> index = infgram.build(["to be or not to be"], two_sided=True)
    >>> [refined.text for refined in polish_many(index, ["to te ", "to te or "], seed=0)]
    ['to be ', 'to be or ']
    """
    check_index(index=index)
    check(texts, prompts, rounds, max_copy)
    number(0, margin=margin)
    one_of(JUDGES, judge=judge)
    backwards = index.backwards
    polisher = native.Polisher(
        index.native,
        backwards.native,
        lexicon(index),
        model=kneser_ney_of(index, adapt=False),
        model_backwards=kneser_ney_of(backwards, adapt=False),
        window=WINDOW,
    )
    by_mix = BothSides(index, Mix()) if judge == "mix" else None
    of_mix = Rounds(rounds, _SHARE, margin, _N_SBIS, _N_LEXICON)
    asked = settings(
        index, protect, seed, rounds=rounds, margin=margin, max_copy=max_copy, judge=judge
    )
    done = []
    for text, prompt, rng in zip(
        texts, prompts or [()] * len(texts), spawn(seed, len(texts)), strict=True
    ):
        before = index.ids(prompt).astype(np.uint32)
        draft = index.ids(text).astype(np.uint32)
        token_ids = np.concatenate([before, draft])
        may = editable(index, token_ids, n_prompt=len(before), protect=protect)
        words = words_to_edit(index, token_ids, may)
        edits: list[Edit] = []
        if by_mix:
            edits = list(by_mix.edit(token_ids, list(map(tuple, words.tolist())), of_mix, rng))
        with rng.bit_generator.lock:
            found = polisher.polish(
                token_ids,
                may,
                np.ascontiguousarray(words[:, 0]),
                np.ascontiguousarray(words[:, 1]),
                rounds=0 if by_mix else rounds,
                share=_SHARE,
                margin=margin,
                max_copy=max_copy or 0,
                n_sbis=_N_SBIS,
                n_lexicon=_N_LEXICON,
                bit_generator=rng.bit_generator,
            )
        n_rounds = len({edit.round for edit in edits})
        edits += [replace(edit, round=n_rounds + edit.round) for edit in _edits(index, found)]
        trace = Trace(draft, tuple(behind(edits, len(before))), asked)
        done.append(refined(index, found[0], len(before), trace, max_copy))
    return done


def _edits(index: Index, found: tuple[Any, ...]) -> tuple[Edit, ...]:
    _, rounds, begins, gains, old, candidates = found
    new = from_native(index, candidates)
    return tuple(
        Edit(
            start=int(begins[i]),
            end=int(begins[i]) + len(new[i]),
            old=tuple(old[new.offsets[i] : new.offsets[i + 1]].tolist()),
            new=tuple(new[i].tolist()),
            gain=float(gains[i]),
            proposer=PROPOSERS[new.proposer[i]],
            source_offset=int(new.source_offset[i]) if new.source_offset[i] >= 0 else None,
            round=int(rounds[i]),
        )
        for i in range(len(new))
    )
