"""What a mixture looks at: contexts beside the suffixes of the text, and what chooses its weights.

One table of each; an entry is a name and a small function. The core's twin is sight.hpp.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .text import Text, combine, lower

Numbers = NDArray[np.int64]
Size = Literal["lean", "full"]
Context = Callable[[Text], tuple[int, ...]]

_LEAN_ORDERS = (0, 1, 2, 3, 4, 5, 6, 8, 11, 16, 24)
_FULL_ORDERS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 20, 24)
_N_LEAN_NAMED = 21
_N_LEAN_SETS = 14
_MOST_ORDERS = len(_FULL_ORDERS)


def _folded(symbol: int) -> int:
    return 32 if symbol == 10 else lower(symbol)


def _last(text: Text, *places: int) -> tuple[int, ...]:
    return tuple(text.last[place - 1] for place in places)


NAMED: dict[str, Context] = {
    "the word so far": lambda t: (1, t.prefix),
    "the word so far after the word before": lambda t: (2, t.prefix, t.words[0]),
    "the word so far and the word before the last": lambda t: (3, t.prefix, t.words[1]),
    "the word so far and how the word before ends": lambda t: (4, t.prefix, t.ending & 0xFFFF),
    "the last 5 symbols without case": lambda t: (5, *map(_folded, t.last[:5])),
    "symbols 2 to 4 back": lambda t: (6, *_last(t, 2, 3, 4)),
    "symbols 1, 2, 4 and 5 back": lambda t: (7, *_last(t, 1, 2, 4, 5)),
    "the column and the last symbol": lambda t: (8, min(t.column, 60), t.last[0]),
    "the kinds of the last 5 symbols": lambda t: (
        *(9, t.kinds & 0xFFFFF),
        *(min(t.length, 8), t.last[0]),
    ),
    "the word so far after a class of words": lambda t: (10, t.prefix, t.classes[0]),
    "the word so far after two classes of words": lambda t: (11, t.prefix, *t.classes[:2]),
    "the word so far after three classes of words": lambda t: (12, t.prefix, *t.classes),
    "the word so far after the word before and a class of words": lambda t: (
        *(13, t.prefix),
        *(t.words[0], t.classes[1]),
    ),
    "the last 2 symbols after two classes of words": lambda t: (
        *(14, min(t.length, 6), t.last[0], t.last[1] if t.length > 1 else 0),
        *t.classes[:2],
    ),
    "the word so far, the word before the last and a class of words": lambda t: (
        *(15, t.prefix),
        *(t.words[1], t.classes[0]),
    ),
    "the word so far, its place in the sentence and the mark before": lambda t: (
        *(16, t.prefix, min(t.n_words, 15)),
        *(t.mark, min(t.lengths[0], 15)),
    ),
    "the last 6 symbols without case": lambda t: (17, *map(_folded, t.last[:6])),
    "the word so far and classes of words 1 and 3 back": lambda t: (
        *(18, t.prefix),
        *(t.classes[0], t.classes[2]),
    ),
    "the word so far after two words": lambda t: (19, t.prefix, *t.words[:2]),
    "the last 3 symbols, the place in the word and a class of words": lambda t: (
        *(20, min(t.length, 5), t.shape),
        *(*t.last[:3], t.classes[0]),
    ),
    "the word so far and how the line begins": lambda t: (21, t.prefix, t.opening),
    "the word so far after three words": lambda t: (22, t.prefix, *t.words),
    "the word so far and the third word back": lambda t: (23, t.prefix, t.words[2]),
    "the word so far and how the word before ends, in 3 letters": lambda t: (
        *(24, t.prefix, t.ending),
    ),
    "the last 4 symbols without case": lambda t: (25, *map(_folded, t.last[:4])),
    "the last 8 symbols without case": lambda t: (26, *map(_folded, t.last[:8])),
    "symbols 1, 3 and 4 back": lambda t: (27, *_last(t, 1, 3, 4)),
    "symbols 3 to 6 back": lambda t: (28, *_last(t, 3, 4, 5, 6)),
    "symbols 1, 2, 3 and 5 back": lambda t: (29, *_last(t, 1, 2, 3, 5)),
    "the kinds of the last 8 symbols": lambda t: (30, t.kinds & 0xFFFFFFFF, t.last[0]),
    "the kinds of the last 12 symbols": lambda t: (31, t.kinds & 0xFFFFFFFFFFFF, *t.last[:2]),
    "the word so far and the column": lambda t: (32, t.prefix, min(t.column // 4, 15)),
    "the last 5 letters": lambda t: (33, t.spelled, int(t.length == 0)),
    "the last 4 letters": lambda t: (34, t.spelled & 0xFFFFFFFF, min(t.length, 3)),
    "the word so far and what stands before it": lambda t: (35, t.prefix, t.gap),
    "the word so far, what stands before it, and the word before": lambda t: (
        *(36, t.prefix, t.gap, t.words[0]),
    ),
    "the word so far and how the word before begins": lambda t: (37, t.prefix, t.beginning),
    "the word so far, how the word before begins, and the one before that": lambda t: (
        *(38, t.prefix, t.beginning, t.words[1]),
    ),
    "the word so far and the last heading": lambda t: (39, t.prefix, t.headings[0]),
    "the word so far after a class of words and the last heading": lambda t: (
        *(40, t.prefix, t.headings[0], t.classes[0]),
    ),
    "the word so far and the class of the word before the last": lambda t: (
        *(41, t.prefix, t.classes[1]),
    ),
    "the last symbol after three classes of words": lambda t: (
        *(42, min(t.length, 4), t.shape, t.last[0], *t.classes),
    ),
    "the word so far after the word before and the third back": lambda t: (
        *(43, t.prefix, t.words[0], t.words[2]),
    ),
    "the word so far after a class of words, and the column": lambda t: (
        *(44, t.prefix, t.classes[0], min(t.column // 4, 12)),
    ),
    "the last 3 symbols and the place in the word": lambda t: (
        *(45, min(t.length, 5), t.shape, *t.last[:3]),
    ),
    "the lengths of words and the last symbol": lambda t: (
        *(46, *(min(n, 15) for n in (t.length, *t.lengths)), t.last[0]),
    ),
    "the word so far after four coarse classes of words": lambda t: (
        *(47, t.prefix, *t.coarse[:4]),
    ),
    "the word so far after three coarse classes of words": lambda t: (
        *(48, t.prefix, *t.coarse[:3]),
    ),
    "the last symbol after six coarse classes of words": lambda t: (
        *(49, min(t.length, 6), t.last[0], *t.coarse),
    ),
    "the last 2 symbols after four coarse classes of words": lambda t: (
        *(50, min(t.length, 6), t.last[0], t.last[1] if t.length > 1 else 0),
        *t.coarse[:4],
    ),
    "the word so far and the last two headings": lambda t: (51, t.prefix, *t.headings),
    "the word so far and the heading before the last": lambda t: (52, t.prefix, t.headings[1]),
    "the word so far and the last name": lambda t: (53, t.prefix, t.name),
    "the word so far and what came last after the word before": lambda t: (
        *(54, t.prefix, t.followed(0)),
    ),
    "the last symbol and what came last after two": lambda t: (55, t.last[0], t.followed(1)),
    "the last 2 symbols and what came last after them": lambda t: (
        *(56, *t.last[:2], t.followed(1)),
    ),
    "the last 2 symbols and what came last after four": lambda t: (
        *(57, *t.last[:2], t.followed(2)),
    ),
    "the last symbol and what came last after six": lambda t: (58, t.last[0], t.followed(3)),
    "the word so far and what came last after it": lambda t: (59, t.prefix, t.followed(4)),
    "what came last after two, four and six symbols": lambda t: (
        *(60, *(t.followed(cue) & 255 for cue in (1, 2, 3))),
    ),
}
"""What each named context is made of; the first number tells it from the others. The lean mixture
looks at the first 21."""


def key_of(values: tuple[int, ...]) -> int:
    """A context's hash.

    >>> text = Text().read(b"to b")
    >>> same = Text().read(b"or b")
    >>> [key_of(values(text)) == key_of(values(same)) for values in list(NAMED.values())[:2]]
    [True, False]
    """
    key = combine(values[0], 0)
    for value in values[1:]:
        key = combine(key, value)
    return key


@dataclass(frozen=True)
class Situation:
    """Where questions are asked; arrays have an entry a question.

    - `longest`: which order is the longest that the corpus has.
    - `with_data`: which is the longest that has seen one of a question's sides.
    - `certainty`: of the contexts `Sight.certain`, 0 to 6; shape (6, n_questions).
    """

    text: Text
    question: Numbers
    longest: int
    with_data: Numbers
    certainty: Numbers


@dataclass(frozen=True)
class WeightSet:
    """Weights that are learnt for each value of a small function of the situation.

    - `per_question`, `n_values`: how many values there are: so many a question, or in all.
    """

    per_question: int
    n_values: int
    value: Callable[[Situation], int | Numbers]


SETS: dict[str, WeightSet] = {
    "orders": WeightSet(0, _MOST_ORDERS**2, lambda s: s.longest * _MOST_ORDERS + s.with_data),
    "question": WeightSet(1, 0, lambda s: s.question),
    "any": WeightSet(0, 1, lambda s: 0),
    "last symbol": WeightSet(0, 256, lambda s: s.text.last[0] & 255),
    "place in the word": WeightSet(8, 0, lambda s: s.question * 8 + min(s.text.length, 7)),
    "kind of the last symbol": WeightSet(16, 0, lambda s: s.question * 16 + (s.text.kinds & 15)),
    "kinds of the last 3 symbols": WeightSet(0, 4096, lambda s: s.text.kinds & 0xFFF),
    "capitals, place, mark": WeightSet(
        0, 6 * 64, lambda s: (s.text.shape * 8 + min(s.text.length, 7)) * 8 + s.text.mark
    ),
    "capitals": WeightSet(
        18, 0, lambda s: (s.question * 6 + s.text.shape) * 3 + min(s.text.length, 2)
    ),
    "words since the mark": WeightSet(
        *(0, 16 * 64),
        lambda s: min(s.text.n_words, 15) * 64 + s.text.mark * 8 + min(s.text.column // 7, 7),
    ),
    "certainty": WeightSet(
        0, 7**3, lambda s: (s.certainty[0] * 7 + s.certainty[1]) * 7 + s.certainty[2]
    ),
    "lengths of words": WeightSet(
        *(0, 4096),
        lambda s: (
            (min(s.text.length, 15) * 16 + min(s.text.lengths[0], 15)) * 16
            + min(s.text.lengths[1], 15)
        ),
    ),
    "class of the word before": WeightSet(
        0, 256 * 16, lambda s: s.text.classes[0] * 16 + min(s.text.length, 15)
    ),
    "how the line begins": WeightSet(
        0, 4096, lambda s: (s.text.opener & 255) * 16 + (s.text.kinds & 15)
    ),
    "the last symbol but one": WeightSet(0, 256, lambda s: s.text.last[1] & 255),
    "kinds of the last 2 symbols": WeightSet(
        256, 0, lambda s: s.question * 256 + (s.text.kinds & 255)
    ),
    "column": WeightSet(0, 1024, lambda s: min(s.text.column, 63) * 16 + (s.text.kinds & 15)),
    "coarse classes of two words": WeightSet(
        *(0, 24 * 24 * 16),
        lambda s: (s.text.coarse[0] * 24 + s.text.coarse[1]) * 16 + min(s.text.length, 15),
    ),
    "certainty of others": WeightSet(
        0, 7**3, lambda s: (s.certainty[3] * 7 + s.certainty[4]) * 7 + s.certainty[5]
    ),
    "coarse class": WeightSet(24, 0, lambda s: s.question * 24 + s.text.coarse[0]),
    "orders and certainty": WeightSet(
        *(0, _MOST_ORDERS * 49),
        lambda s: (s.with_data * 7 + s.certainty[0]) * 7 + s.certainty[5],
    ),
}
"""The lean mixture has the first 14."""


@dataclass(frozen=True)
class Sight:
    """All that a mixture of one size looks at.

    - `orders`: lengths of the suffixes of the text that are contexts. `named`: the others.
    - `sets`: of weights.
    """

    orders: tuple[int, ...]
    named: Mapping[str, Context]
    sets: Mapping[str, WeightSet]

    @property
    def certain(self) -> tuple[int, ...]:
        """Contexts whose certainty chooses weights: two of words and one of symbols; in the full
        mixture two of classes, and one of symbols, too."""
        n = len(self.orders)
        return (n + 1, n, 5, n + 9, n + 11, 3)

    @property
    def rings(self) -> tuple[int, ...]:
        """Contexts whose last codes in the text that is read are looked at."""
        n = len(self.orders)
        return (2, 4, 6, self.orders.index(16), n, n + 9, n + 10)

    @property
    def n_counted(self) -> int:
        """How many contexts there are."""
        return len(self.orders) + len(self.named)


SIGHTS: dict[Size, Sight] = {
    "lean": Sight(
        _LEAN_ORDERS,
        dict(islice(NAMED.items(), _N_LEAN_NAMED)),
        dict(islice(SETS.items(), _N_LEAN_SETS)),
    ),
    "full": Sight(_FULL_ORDERS, NAMED, SETS),
}


def keys_of(sight: Sight, text: Text) -> list[int]:
    """The hash of each context of a text: of its suffixes, then of the named ones."""
    keys, hashed = [], 0
    for shorter, n in pairwise((0, *sight.orders)):
        for symbol in text.last[shorter:n]:
            hashed = combine(hashed, symbol)
        keys.append(key_of((0, n, hashed)))
    return keys + [key_of(values(text)) for values in sight.named.values()]
