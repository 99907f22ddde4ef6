"""Refining texts with a network: rounds of a strategy, then a limit to copying, then the proof."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np

from ..checks import one_of
from ..index import Index, check_index
from ..seeds import generator
from ..text.tokens import Query
from .editing import behind, check, refined, settings
from .edits import Edit, Refined, Trace
from .propose import Proposer
from .strategies import STRATEGIES, Strategy, Tools
from .strategies.cap import Cap
from .working_text import Text

if TYPE_CHECKING:
    from .network.score import Scorer

ROUNDS = 3
_MOST_CAP_ROUNDS = 16


def refine(
    index: Index,
    scorer: Scorer,
    text: Query,
    *,
    prompt: Query = (),
    strategy: str | Strategy = "editor",
    rounds: int = ROUNDS,
    max_copy: int | None = None,
    protect: str | Sequence[str] = (),
    seed: int | np.random.Generator | None = None,
) -> Refined:
    """Finds what is weak in a text, and writes it better.

    - `text`: what may be edited; it keeps its length. "editor" and `max_copy` edit words of letters
      and apostrophes; one that begins in the prompt, ends with the text or is longer than the
      network sees is left alone. So is a character that the corpus does not have, with the words
      next to it: `Refined.n_unjudged`.
    - `prompt`: what stands before it; never edited.
    - `strategy`: "editor", "remask", "schedule", "t2t", or one with settings of its own.
    - `rounds`: how often; fewer where a round edits nothing. With 0, only `max_copy` edits.
    - `max_copy`: at the end, words are edited until no run of more tokens of the text stands in the
      corpus; where no word can be, other characters than letters. Where neither helps the run
      stays: `Refined.runs` has what is left.
    - `protect`: regular expressions; what they match in the text is never edited.
    - `seed`: on the same machine, the same gives the same text.

    Raises RefinerMismatch, InvalidParameter, TokenOutOfRange.

    >>> import infgram
    >>> from infgram.refine import Editor, Scorer, refine
    >>> index = infgram.build(["to be or not to be"], two_sided=True)
    >>> scorer = Scorer(demo_refiner)  # the path of what `infgram refine train` wrote
    >>> refined = refine(index, scorer, "to be ob not ", strategy=Editor(margin=1), seed=0)
    >>> [(index.decode(edit.old), index.decode(edit.new)) for edit in refined.edits]
    [('ob', 'or')]
    """
    (found,) = refine_many(
        index,
        scorer,
        [text],
        prompts=[prompt],
        strategy=strategy,
        rounds=rounds,
        max_copy=max_copy,
        protect=protect,
        seed=seed,
    )
    return found


def refine_many(
    index: Index,
    scorer: Scorer,
    texts: Sequence[Query],
    *,
    prompts: Sequence[Query] | None = None,
    strategy: str | Strategy = "editor",
    rounds: int = ROUNDS,
    max_copy: int | None = None,
    protect: str | Sequence[str] = (),
    seed: int | np.random.Generator | None = None,
) -> list[Refined]:
    """`refine` for several texts at once, each with a prompt of its own: faster for each.

    The same texts with the same seed become the same; alone, or among others, a text gets other
    candidates.

    >>> import infgram
    >>> from infgram.refine import Editor, Scorer, refine_many
    >>> index = infgram.build(["to be or not to be"], two_sided=True)
    >>> scorer = Scorer(demo_refiner)  # the path of what `infgram refine train` wrote
    >>> texts, way = ["to be ob not ", "to te or not "], Editor(margin=1)
    >>> [made.n_edited for made in refine_many(index, scorer, texts, strategy=way, seed=0)]
    [1, 1]
    """
    check_index(index=index)
    check(texts, prompts, rounds, max_copy)
    scorer.vocabulary.check(index)
    way = _strategy(strategy)
    rng = generator(seed)
    before = [index.ids(prompt).astype(np.uint32) for prompt in prompts or [()] * len(texts)]
    drafts = [index.ids(text).astype(np.uint32) for text in texts]
    tools = Tools(Proposer(index), scorer)
    state = [
        Text.of(index, prompt, draft, protect, tools.longest)
        for prompt, draft in zip(before, drafts, strict=True)
    ]
    edits: list[list[Edit]] = [[] for _ in texts]
    _edit(state, repeat(way, rounds), tools, rng, edits)
    if max_copy is not None:
        for marks in (False, True):
            cap = Cap(index, max_copy, marks=marks)
            _edit(state, repeat(cap, _MOST_CAP_ROUNDS), tools, rng, edits)
    asked = settings(index, protect, seed, strategy=repr(way), rounds=rounds, max_copy=max_copy)
    return [
        refined(
            index,
            text.token_ids,
            len(prompt),
            Trace(draft, tuple(behind(own, len(prompt))), asked),
            max_copy,
        )
        for text, prompt, draft, own in zip(state, before, drafts, edits, strict=True)
    ]


def _edit(
    texts: Sequence[Text],
    ways: Iterable[Strategy],
    tools: Tools,
    rng: np.random.Generator,
    edits: list[list[Edit]],
) -> None:
    """Rounds, until a text is edited no more. Adds them to `edits`."""
    open_texts = list(range(len(texts)))
    firsts = [max((edit.round + 1 for edit in own), default=0) for own in edits]
    for number, way in enumerate(ways):
        found = way.edit([texts[i] for i in open_texts], tools, rng)
        for i, own in zip(open_texts, found, strict=True):
            texts[i].apply(own)
            edits[i] += [replace(edit, round=firsts[i] + number) for edit in own]
        open_texts = [i for i, own in zip(open_texts, found, strict=True) if own]
        if not open_texts:
            return


def _strategy(given: str | Strategy) -> Strategy:
    if not isinstance(given, str):
        return given
    one_of(STRATEGIES, strategy=given)
    return STRATEGIES[given]()
