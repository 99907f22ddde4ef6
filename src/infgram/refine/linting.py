"""What of a text does not look as if it belonged there: a refiner's suspicion, letter by letter."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..checks import whole
from ..index import Index, check_index
from ..text.characters import characters
from ..text.tokens import Query, load
from ..text.words import words_in
from ..values import markup
from ..values.value import Value
from .vocabulary import Vocabulary

LEVELS = (0.0, 0.2, 0.4, 0.6, 0.8)
"""A character is shaded by the greatest of these that its suspicion reaches."""


def level(suspicion: float) -> int:
    """The number of the shade.

    >>> level(0.1), level(0.25), level(1.0)
    (0, 1, 4)
    """
    return sum(suspicion >= least for least in LEVELS) - 1


def level_names() -> list[str]:
    """What each shade stands for, as in "20–40 %"."""
    ends = [*LEVELS[1:], 1.0]
    return [f"{100 * low:.0f}–{100 * high:.0f} %" for low, high in zip(LEVELS, ends, strict=True)]


class Detector(Protocol):
    """What is asked of a refiner: `Scorer` is one."""

    @property
    def vocabulary(self) -> Vocabulary: ...

    def suspicion(
        self, texts: Sequence[NDArray[np.integer[Any]]], index: Index | None = None
    ) -> Sequence[NDArray[np.floating[Any]]]:
        """For each token the probability that it does not belong where it stands.

        With an index: that it was drawn from n-grams of it.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Word(Value):
    """A word of a text, and how suspicious it is.

    - `begin`, `end`: its characters [begin, end).
    - `line`, `column`: of its first character, from 1.
    - `suspicion`: the mean of its characters.
    """

    text: str
    begin: int
    end: int
    line: int
    column: int
    suspicion: float


@dataclass(frozen=True, eq=False, repr=False)
class Lint(Value):
    """How suspicious a text is.

    - `text`: bytes that are not UTF-8 show as U+FFFD.
    - `suspicion`: float32, for each character the probability that it does not belong there.
    - `words`: from left to right; text/words.py says what one is.
    """

    text: str
    suspicion: NDArray[np.float32]
    words: tuple[Word, ...]

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        shown = self.suspicion[: markup.MOST_CHARACTERS].tolist()
        runs = groupby(zip(self.text, map(level, shown), strict=False), lambda each: each[1])
        return markup.output(
            markup.passage(("".join(c for c, _ in run), each, "") for each, run in runs),
            markup.left_out(len(self.text) - len(shown), "characters"),
            markup.note("How probable it is that a character does not belong there:"),
            markup.passage((f" {name} ", i, "") for i, name in enumerate(level_names())),
        )

    def worst(self, n: int) -> list[Word]:
        """The n most suspicious words, the worst first. Raises InvalidParameter."""
        whole(0, n=n)
        return sorted(self.words, key=lambda word: (-word.suspicion, word.begin))[:n]


def lint(text: Query, scorer: Detector, index: Index | None = None) -> Lint:
    """Judges a text of any length, as the detector sees it: all of it at once, in windows.

    Of a character of several bytes the most suspicious one counts. What the refiner does not know
    is suspicious with certainty.

    Without an index what counts is what looks out of place to the network alone. With one, what was
    drawn from n-grams of that index and does not belong, as a sampled passage within a real text:
    long runs of the corpus count as evidence, so real quotations of it look suspicious too.

    Raises UndecodableText, TokenOutOfRange, RefinerMismatch.

    >>> import numpy as np
    >>> from infgram.refine import lint
    >>> from infgram.refine.vocabulary import Vocabulary
    >>> class NoVowels:
    ...     vocabulary = Vocabulary("bytes", tuple(range(256)))
    ...     def suspicion(self, texts, index=None):
    ...         return [np.isin(ids, list(b"aeiou")).astype(np.float32) for ids in texts]
    >>> found = lint("try\\nto be", NoVowels())
    >>> [(word.text, word.line, word.column, word.suspicion) for word in found.worst(2)]
    [('to', 2, 1, 0.5), ('be', 2, 4, 0.5)]
    """
    if index is not None:
        check_index(index=index)
    vocabulary = scorer.vocabulary
    tokenizer = load(vocabulary.tokenizer)
    ids = tokenizer.encode(text) if isinstance(text, (str, bytes)) else tokenizer.check(text)
    of_tokens = np.zeros(0, np.float32)
    if len(ids):
        (found,) = scorer.suspicion([ids], index)
        is_known = vocabulary.codes(ids) != vocabulary.mask
        of_tokens = np.where(is_known, found, 1).astype(np.float32)
    shown, bounds = characters(vocabulary.tokenizer, ids)
    suspicion = np.maximum.reduceat(of_tokens, bounds[:-1]) if len(ids) else of_tokens
    return Lint(shown, suspicion, tuple(_words(shown, suspicion)))


def _words(text: str, suspicion: NDArray[np.float32]) -> Iterator[Word]:
    begins = [0, *(match.end() for match in re.finditer("\n", text))]
    spans = list(words_in(text))
    lines = np.searchsorted(begins, [begin for begin, _ in spans], side="right").tolist()
    for (begin, end), line in zip(spans, lines, strict=True):
        mean = float(suspicion[begin:end].mean(dtype=np.float64))
        yield Word(text[begin:end], begin, end, line, begin - begins[line - 1] + 1, mean)
