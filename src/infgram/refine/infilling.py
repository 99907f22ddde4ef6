"""Filling holes of unknown length: an index and a network propose, the network judges all lengths.

Candidates of each length come from the index (`Proposer`: what SBIS writes there, and words of that
length where the hole is one) and from the network (`Scorer.fill`). Of each length, those that are
likeliest with the hole hidden are judged by pseudo-log-likelihood: each token of the hole and of 10
around it is hidden in turn, and the others are seen.

Lengths have to compare fairly. Each token of a hole costs some nats, so the sum favours short
holes; the mean of a token, or a credit of what a token of ordinary text costs, favours long ones,
because candidates are chosen for being likely. So each token of a hole is credited with a quarter
of what a hidden token of held-out text costs this refiner on average: with that, holes made in
held-out text came out neither shorter nor longer than they were, on average. How a candidate fits
at both edges is in the tokens around, which are the same ones for all lengths.

What the network writes is what it finds likely, words or not: it has to be better by a margin, or
it would win two times in five.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..checks import whole
from ..errors import InvalidParameter
from ..index import Index, check_index
from ..seeds import generator
from ..text.characters import characters
from ..text.words import is_of_word
from ..values.value import Value
from .pattern import Pattern, parse
from .propose import PROPOSERS, Proposer
from .vocabulary import Vocabulary
from .working_text import HALO

FILL = "fill"
_N_SBIS = 6
_N_LEXICON = 6
_N_FILLED = 3  # by the network, the first one without chance
_TEMPERATURE = 0.8
_STEPS = 6
_N_JUDGED = 4  # of each length, of what the index proposes
_N_JUDGED_FILLED = 1  # and of what the network does
_N_KEPT = 3  # fillings of a hole that the next one is tried with
_CREDIT = 0.25  # of what a token usually costs
_MARGIN = 3.0  # nats
_HIDDEN = "0.15"  # the share of `val_loss` that is nearest to one in six

Ids = NDArray[np.uint32]
Span = tuple[int, int]


class Judge(Protocol):
    """What is asked of a refiner: `Scorer` is one. Lists are as long as `texts`."""

    @property
    def vocabulary(self) -> Vocabulary: ...

    @property
    def window(self) -> int: ...

    @property
    def metadata(self) -> Mapping[str, Any]: ...

    def masked_scores(
        self,
        texts: Sequence[Ids],
        spans: Sequence[Sequence[Span]],
        candidates: Sequence[Sequence[Sequence[Ids]]],
    ) -> Sequence[Sequence[NDArray[np.float64]]]: ...

    def pll(
        self,
        texts: Sequence[Ids],
        spans: Sequence[Sequence[Span]],
        candidates: Sequence[Sequence[Sequence[Ids]]],
        *,
        halo: int,
    ) -> Sequence[Sequence[NDArray[np.float64]]]: ...

    def fill(
        self,
        texts: Sequence[Ids],
        holes: Sequence[NDArray[np.bool_]],
        *,
        steps: int,
        temperature: float,
        seed: np.random.Generator,
    ) -> Sequence[Ids]: ...


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Filled(Value):
    """A hole, filled: characters [begin, end) of the text.

    `proposer`: "sbis", "lexicon", "fill".
    """

    begin: int
    end: int
    text: str
    proposer: str


@dataclass(frozen=True, eq=False, repr=False)
class Infilled(Value):
    """A pattern whose holes are filled.

    `score`: the pseudo-log-likelihood of all holes and what is around them, in nats, made to
    compare between lengths.
    """

    text: str
    token_ids: Ids
    holes: tuple[Filled, ...]
    score: float

    def __str__(self) -> str:
        return self.text


def infill(
    pattern: str,
    index: Index,
    scorer: Judge,
    *,
    n: int = 5,
    seed: int | np.random.Generator | None = None,
) -> list[Infilled]:
    """Fills the holes of a pattern from left to right, and tries every length that it allows.

    - `pattern`: as `parse` reads it, "To be, {8..14} that is". Lengths are in tokens.
    - `scorer`: of the index's tokens.
    - `n`: so many results at most, best first.
    - `seed`: on the same machine, the same gives the same results.

    With several holes, the text behind the next hole is not seen, and the three best fillings of
    one are gone on with. Raises InvalidParameter, RefinerMismatch.

    >>> import infgram
    >>> import numpy as np
    >>> from infgram.refine import infill
    >>> from infgram.refine.vocabulary import Vocabulary
    >>> class Likes_t:  # in place of a Scorer
    ...     vocabulary, window = Vocabulary("bytes", tuple(range(256))), 64
    ...     metadata = {"val_loss": {"0.15": 0.5}}
    ...     def pll(self, texts, spans, candidates, halo=0):
    ...         return [[np.array([-9.0 * sum(i != 116) for i in own])] for (own,) in candidates]
    ...     masked_scores = pll
    ...     def fill(self, texts, holes, **settings):
    ...         return [np.where(hole, 116, ids) for ids, hole in zip(texts, holes)]
    >>> index = infgram.build(["to be or not to be"])
    >>> infill("or {3} to", index, Likes_t(), n=1)[0].text
    'or ttt to'
    """
    check_index(index=index)
    whole(1, n=n)
    parsed = parse(pattern)
    scorer.vocabulary.check(index)
    texts = [index.ids(text).astype(np.uint32) for text in parsed.texts]
    _check(parsed, texts, scorer)
    rng = generator(seed)
    proposer = Proposer(index)
    begun = [_Begun(texts[0], _text(scorer, texts[0]), (), 0.0)]
    for i, hole in enumerate(parsed.holes):
        lengths = range(hole.least, hole.most + 1)
        found = _filled(begun, lengths, texts[i + 1], index, proposer, scorer, rng)
        begun = found[: n if i + 1 == len(parsed.holes) else max(n, _N_KEPT)]
    return [Infilled(each.text, each.ids, each.holes, each.score) for each in begun]


@dataclass(frozen=True, slots=True)
class _Begun:
    """A text as far as its holes are filled."""

    ids: Ids
    text: str
    holes: tuple[Filled, ...]
    score: float


def _check(parsed: Pattern, texts: Sequence[Ids], scorer: Judge) -> None:
    vocabulary = scorer.vocabulary
    for ids in texts:
        shown, bounds = characters(vocabulary.tokenizer, ids)
        unknown = np.flatnonzero(vocabulary.codes(ids) == vocabulary.mask)
        if len(unknown):
            character = shown[int(np.searchsorted(bounds, unknown[0], side="right")) - 1]
            raise InvalidParameter(
                f"the pattern has {character!r}, which the refiner does not know: write it without"
            )
    for hole in parsed.holes:
        longest = scorer.window - 2 * HALO
        if hole.most > longest:
            raise InvalidParameter(
                f"character {hole.at + 1} of the pattern begins a hole of {hole.most} tokens, "
                f"expected at most {longest}: this refiner sees {scorer.window} at once"
            )


def _filled(
    begun: Sequence[_Begun],
    lengths: range,
    behind: Ids,
    index: Index,
    proposer: Proposer,
    scorer: Judge,
    rng: np.random.Generator,
) -> list[_Begun]:
    """Each text that was begun, with its next hole filled in every way; best first."""
    around = [(each, length) for each in begun for length in lengths]
    hidden = index.alphabet[1:2]
    texts = [np.concatenate([e.ids, np.repeat(hidden, n), behind]) for e, n in around]
    spans = [(len(each.ids), len(each.ids) + length) for each, length in around]
    proposed = _candidates(texts, spans, index, proposer, scorer, rng)
    ranks = scorer.masked_scores(
        texts, [[span] for span in spans], [[[ids for ids, _ in own]] for own in proposed]
    )
    judged = [
        _likeliest([own[i] for i in np.argsort(-scores, kind="stable").tolist()])
        for own, (scores,) in zip(proposed, ranks, strict=True)
    ]
    likely = scorer.pll(
        texts,
        [[span] for span in spans],
        [[[ids for ids, _ in own]] for own in judged],
        halo=HALO,
    )
    credit = _CREDIT * float(scorer.metadata["val_loss"][_HIDDEN])
    found: dict[bytes, _Begun] = {}
    for (each, length), own, (scores,) in zip(around, judged, likely, strict=True):
        for (ids, name), nats in zip(own, scores.tolist(), strict=True):
            new = _text(scorer, ids)
            hole = Filled(len(each.text), len(each.text) + len(new), new, name)
            whole = np.concatenate([each.ids, ids, behind])
            score = each.score + nats + credit * length - _MARGIN * (name == FILL)
            key = whole.tobytes()
            if key not in found or found[key].score < score:
                text = each.text + new + _text(scorer, behind)
                found[key] = _Begun(whole, text, (*each.holes, hole), score)
    return sorted(found.values(), key=lambda each: -each.score)


def _likeliest(ranked: Sequence[tuple[Ids, str]]) -> list[tuple[Ids, str]]:
    filled = [each for each in ranked if each[1] == FILL]
    found = [each for each in ranked if each[1] != FILL]
    return found[:_N_JUDGED] + filled[:_N_JUDGED_FILLED]


def _candidates(
    texts: Sequence[Ids],
    spans: Sequence[Span],
    index: Index,
    proposer: Proposer,
    scorer: Judge,
    rng: np.random.Generator,
) -> list[list[tuple[Ids, str]]]:
    """For each text what may stand in its span, and who proposes it; none twice."""
    found: list[dict[bytes, tuple[Ids, str]]] = [{} for _ in texts]
    offsets = np.cumsum([0, *map(len, texts)])
    flat = np.concatenate(texts)
    is_word = not any(_joins_word(index, *each) for each in zip(texts, spans, strict=True))
    proposed = proposer.propose(
        flat,
        np.array(spans, np.int64) + offsets[:-1, None],
        offsets=offsets,
        n_sbis=_N_SBIS,
        n_lexicon=_N_LEXICON if is_word else 0,
        seed=rng,
    )
    for i, number in enumerate(proposed.span_of.tolist()):
        ids = proposed[i]
        found[number].setdefault(ids.tobytes(), (ids, PROPOSERS[proposed.proposer[i]]))
    holes = []
    for text, (begin, end) in zip(texts, spans, strict=True):
        hole = np.zeros(len(text), bool)
        hole[begin:end] = True
        holes.append(hole)
    for n_times, temperature in ((1, 0.0), (_N_FILLED - 1, _TEMPERATURE)):
        filled = scorer.fill(
            [*texts] * n_times, holes * n_times, steps=_STEPS, temperature=temperature, seed=rng
        )
        for i, text in enumerate(filled):
            ids = text[slice(*spans[i % len(texts)])]
            found[i % len(texts)].setdefault(ids.tobytes(), (ids, FILL))
    return [list(own.values()) for own in found]


def _joins_word(index: Index, text: Ids, span: Span) -> bool:
    """Whether a letter stands right before a span or right behind it."""
    before, _ = characters(index.tokenizer.name, text[: span[0]])
    behind, _ = characters(index.tokenizer.name, text[span[1] :])
    return any(map(is_of_word, before[-1:] + behind[:1]))


def _text(scorer: Judge, ids: Ids) -> str:
    return characters(scorer.vocabulary.tokenizer, ids)[0]
