"""What a mixture looks at: contexts beside the suffixes of the text, and what chooses its weights.

One table of each; an entry is a name and a small function. The core's twin is sight.hpp.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .text import Text, combine, lower

Numbers = NDArray[np.int64]

ORDERS = (0, 1, 2, 3, 4, 5, 6, 8, 11, 16, 24)
"""Lengths of the suffixes of the text that are contexts."""


def _folded(symbol: int) -> int:
    return 32 if symbol == 10 else lower(symbol)


def _last(text: Text, *places: int) -> tuple[int, ...]:
    return tuple(text.last[place - 1] for place in places)


NAMED: dict[str, Callable[[Text], tuple[int, ...]]] = {
    "the word so far": lambda t: (1, t.prefix),
    "the word so far after the word before": lambda t: (2, t.prefix, t.words[0]),
    "the word so far and the word before the last": lambda t: (3, t.prefix, t.words[1]),
    "the word so far and how the word before ends": lambda t: (4, t.prefix, t.ending),
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
    "the word so far after two words": lambda t: (19, t.prefix, *t.words),
    "the last 3 symbols, the place in the word and a class of words": lambda t: (
        *(20, min(t.length, 5), t.shape),
        *(*t.last[:3], t.classes[0]),
    ),
    "the word so far and how the line begins": lambda t: (21, t.prefix, t.opening),
}
"""What each named context is made of; the first number tells it from the others."""


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


def keys_of(text: Text) -> list[int]:
    """The hash of each context of a text: of its suffixes, then of the named ones."""
    keys, hashed = [], 0
    for shorter, n in pairwise((0, *ORDERS)):
        for symbol in text.last[shorter:n]:
            hashed = combine(hashed, symbol)
        keys.append(key_of((0, n, hashed)))
    return keys + [key_of(values(text)) for values in NAMED.values()]


@dataclass(frozen=True)
class Situation:
    """Where questions are asked; arrays have an entry a question.

    - `longest`: which order is the longest that the corpus has.
    - `with_data`: which is the longest that has seen one of a question's sides.
    - `certainty`: of three contexts, 0 to 6; shape (3, n_questions).
    """

    text: Text
    question: Numbers
    longest: int
    with_data: Numbers
    certainty: Numbers


CERTAIN = (len(ORDERS) + 1, len(ORDERS), 5)
"""Contexts whose certainty chooses weights: two of words, one of symbols."""


RINGS = (2, 4, 6, 9, len(ORDERS), len(ORDERS) + 9, len(ORDERS) + 10)
"""Contexts whose last codes in the text that is read are looked at."""


@dataclass(frozen=True)
class WeightSet:
    """Weights that are learnt for each value of a small function of the situation.

    - `per_question`, `n_values`: how many values there are: so many a question, or in all.
    """

    per_question: int
    n_values: int
    value: Callable[[Situation], int | Numbers]


SETS: dict[str, WeightSet] = {
    "orders": WeightSet(0, len(ORDERS) ** 2, lambda s: s.longest * len(ORDERS) + s.with_data),
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
}
