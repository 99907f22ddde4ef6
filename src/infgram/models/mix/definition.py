"""The mixture's law, written to be read: a token is a path of questions, each is answered by a
logistic mixture, and the product of the answers is the token's probability.

Over numpy, all questions at once. The core does the same for the questions on a path
(csrc/infgram/models/mix); tests hold the two together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .fitting import MixFit
from .sight import CERTAIN, NAMED, ORDERS, SETS, Numbers, Situation, key_of
from .text import Text

Floats = NDArray[np.float64]

COUNT_STEPS = (0, 1, 2, 3, 4, 6, 9, 14, 22, 40, 80, 200)
N_STEPS = len(COUNT_STEPS) + 1
N_COUNTED = len(ORDERS) + len(NAMED)
N_INPUTS = N_COUNTED + 2
WIDTH = -(-N_INPUTS // 4) * 4
N_TRUSTS = 10
N_POINTS = 33
CONSTANT = 0.3
MOST_ODDS = 12.0
LEAST_PROB = 1e-6

INPUTS = (
    "Kneser-Ney",
    *(f"the last {n} symbols" if n else "no context" for n in ORDERS),
    *NAMED,
    "the constant",
)
"""What each input is, in words."""


def log_odds(p: Floats) -> Floats:
    """Of probabilities between 0 and 1.

    >>> log_odds(np.array([0.5, 0.75])).round(4).tolist()
    [0.0, 1.0986]
    """
    odds: Floats = np.log(p / (1 - p))
    return odds


def probability(odds: Floats) -> Floats:
    """Of log odds."""
    p: Floats = 1 / (1 + np.exp(-odds))
    return p


@dataclass(frozen=True)
class Questions:
    """Whether a code of [begin, end) is at least `middle`; arrays of shape (n_questions,).

    - `no`, `yes`: the next question, or -1 - code where one code is left.
    """

    begin: Numbers
    middle: Numbers
    end: Numbers
    no: Numbers
    yes: Numbers


@dataclass(frozen=True)
class Answers:
    """How all questions came to their answers.

    - `inputs`: log odds of yes, shape (n_inputs, n_questions).
    - `pull`: what one of each input's log odds adds to those of the answer, of the same shape.
    - `yes`: the probability of yes, shape (n_questions,).
    - `kneser_ney`: its law, of which those tokens are left as they are that no question leads to.
    """

    questions: Questions
    inputs: Floats
    pull: Floats
    yes: Floats
    kneser_ney: Floats

    def law(self) -> Floats:
        """Probabilities of all codes, and of all other tokens together; they sum to one.

        What no question leads to never follows anything in the corpus: it has what Kneser-Ney
        gives it. The rest is split along the paths of the others.
        """
        prob = self.kneser_ney.copy()
        first = len(prob) - 2 - len(self.yes)  # of the codes that follow anything
        known = 1 - float(prob[:first].sum() + prob[-1])
        prob[-2] = known  # where there is one such code alone
        reached = {0: known}  # questions stand before those that follow them
        for at, (no, yes, p) in enumerate(
            zip(self.questions.no.tolist(), self.questions.yes.tolist(), self.yes, strict=True)
        ):
            for side, share in ((no, 1 - p), (yes, p)):
                if side < 0:
                    prob[-1 - side] = reached[at] * share
                else:
                    reached[side] = reached[at] * share
        return prob

    def leads_to(self, code: int) -> bool:
        """Whether a question leads to a code: whether it ever follows, and not it alone."""
        return len(self.yes) > 0 and bool(self.questions.begin[0] <= code < self.questions.end[0])

    def path(self, code: int) -> list[tuple[int, bool]]:
        """The questions that lead to a code, and whether the answer is yes."""
        found = []
        at = 0 if self.leads_to(code) else -1
        while at >= 0:
            is_yes = code >= self.questions.middle[at]
            found.append((at, bool(is_yes)))
            at = int((self.questions.yes if is_yes else self.questions.no)[at])
        return found


def questions_of(fitted: MixFit) -> Questions:
    """The tree of an index's codes, split by the bits of their token ids."""
    return Questions(*fitted.questions.T)


def text_of(fitted: MixFit, symbols: Iterable[int]) -> Text:
    """What the mixture remembers of a text."""
    classes = dict(zip(fitted.words.tolist(), fitted.classes.tolist(), strict=True))
    return Text(classes).read(symbols)


def followers(fitted: MixFit, key: int) -> list[tuple[int, int]]:
    """The codes that followed a named context, and how often each did."""
    n = len(fitted.offsets) - 1
    bucket = (((key * 0xD6E8FEB86659FD93) % 2**64) >> 32) * n >> 32
    begin, end = fitted.offsets[bucket : bucket + 2].tolist()
    left = fitted.contexts[begin:end].tolist()[::-1]

    def number() -> int:
        byte: int = left.pop()
        return byte if byte < 128 else byte - 128 + 128 * number()

    while left:
        head = left.pop() + 256 * left.pop()
        is_once = head % 2 == 1
        size = 1 if is_once else number()
        behind = len(left) - size
        if head // 2 == key % 2**15:
            found = []
            while len(left) > behind:
                found.append((left.pop(), 1 if is_once else number()))
            return found
        del left[behind:]
    return []


def counts_of(
    fitted: MixFit, text: Text, suffixes: Sequence[tuple[int, Numbers]], n_codes: int
) -> Numbers:
    """How often each code followed each context, shape (n_counted, n_codes).

    `suffixes`: (n, counts by code) of the levels, longest first; a suffix of the text is the
    shortest level that is at least as long, and none where all are shorter.
    """
    counts = np.zeros((N_COUNTED, n_codes), np.int64)
    for i, order in enumerate(ORDERS):
        long_enough = [of for n, of in suffixes if n >= order]
        if long_enough:
            counts[i] = long_enough[-1]
    for i, values in enumerate(NAMED.values(), len(ORDERS)):
        for code, count in followers(fitted, key_of(values(text))):
            counts[i, code] = count
    return counts


def answers(fitted: MixFit, text: Text, counts: Numbers, kneser_ney: Floats) -> Answers:
    """All questions, answered.

    `counts`: as `counts_of` gives them; `kneser_ney`: its law, shape (n_codes + 1,).
    """
    questions = questions_of(fitted)
    maps, weights, own, by_question, by_symbol, by_place, *curves = (
        array.astype(np.float64) for array in fitted.parameters()
    )
    n_sets, n_questions = len(SETS), len(questions.middle)
    every = np.arange(n_questions)

    # How often each context says no and yes, and what the maps make of it.
    before = np.concatenate([np.zeros((N_COUNTED, 1), np.int64), counts.cumsum(axis=1)], axis=1)
    no = before[:, questions.middle] - before[:, questions.begin]  # (n_counted, n_questions)
    yes = before[:, questions.end] - before[:, questions.middle]
    seen = no + yes > 0
    steps_no, steps_yes = np.searchsorted(COUNT_STEPS, no), np.searchsorted(COUNT_STEPS, yes)
    odds_of = log_odds(maps.reshape(N_COUNTED, N_STEPS, N_STEPS))

    inputs = np.zeros((WIDTH, n_questions))
    inputs[0] = log_odds(_clipped(_side(kneser_ney, questions)))
    inputs[1 : N_COUNTED + 1] = np.where(
        seen, odds_of[np.arange(N_COUNTED)[:, None], steps_no, steps_yes], 0.0
    )
    inputs[N_INPUTS - 1] = CONSTANT

    # What chooses the weights.
    of_orders = seen[: len(ORDERS)]
    longest = int(np.flatnonzero(counts[: len(ORDERS)].any(axis=1)).max(initial=0))
    with_data = (of_orders * np.arange(len(ORDERS))[:, None]).max(axis=0)
    certainty = np.array([_certainty(steps_no[i], steps_yes[i]) for i in CERTAIN])
    situation = Situation(text, every, longest, with_data, certainty)
    trust = np.zeros((N_INPUTS, n_questions), np.int64)
    trust[0] = longest
    trust[1 : N_COUNTED + 1] = np.where(
        seen,
        np.minimum(np.searchsorted(COUNT_STEPS, no + yes), 4) + 4 * ((no > 0) & (yes > 0)),
        0,
    )

    # Each set of weights says something, and so do the inputs' own weights.
    chosen = np.zeros((n_sets + 1, WIDTH, n_questions))
    first = 0
    for s, each in enumerate(SETS.values()):
        rows = first + np.broadcast_to(each.value(situation), n_questions)
        chosen[s] = weights.reshape(-1, WIDTH)[rows].T
        first += each.n_values + each.per_question * n_questions
    chosen[n_sets, :N_INPUTS] = own.reshape(N_INPUTS, N_TRUSTS)[np.arange(N_INPUTS)[:, None], trust]
    said = np.clip((chosen * inputs).sum(axis=1), -MOST_ODDS, MOST_ODDS)  # (n_sets + 1, questions)

    # Three more mix what they say.
    symbol = text.last[0] & 255
    finals = (
        by_question.reshape(n_questions, n_sets + 1)
        + by_symbol.reshape(-1, n_sets + 1)[symbol]
        + by_place.reshape(-1, n_sets + 1)[with_data * 16 + (text.kinds & 15)]
    ).T / 3
    odds = (finals * said).sum(axis=0)

    # Two curves correct the result.
    at = (np.clip(odds, -7.99, 7.99) + 8) * 2
    point = at.astype(np.int64)
    corrected = np.zeros(n_questions)
    for curve, rows in zip(curves, (every, every * 256 + symbol), strict=True):
        low, high = (curve.reshape(-1, N_POINTS)[rows, point + i] for i in (0, 1))
        corrected += low * (1 - (at - point)) + high * (at - point)
    prob = _clipped(0.5 * probability(odds) + 0.25 * corrected)
    pull = (finals[:, None] * chosen).sum(axis=0)
    return Answers(questions, inputs[:N_INPUTS], pull[:N_INPUTS], prob, kneser_ney)


def _clipped(p: Floats) -> Floats:
    return np.clip(p, LEAST_PROB, 1 - LEAST_PROB)


def _side(law: Floats, questions: Questions) -> Floats:
    """A law's probability of yes at each question: sums of each side, added up in the tree."""
    masses = np.zeros(len(questions.middle))

    def mass(at: int) -> float:
        return float(law[-1 - at] if at < 0 else masses[at])

    yes = np.full(len(masses), 0.5)
    for i in range(len(masses))[::-1]:
        masses[i] = mass(int(questions.no[i])) + mass(int(questions.yes[i]))
        if masses[i] > 0:
            yes[i] = mass(int(questions.yes[i])) / masses[i]
    return yes


def _certainty(no: Numbers, yes: Numbers) -> Numbers:
    """How sure a context is: 0 nothing seen, 1 to 3 all yes, 4 and 5 all no, 6 both."""
    sure = np.where(no == 0, 1 + np.minimum(2, (yes - 1) // 2), 4 + np.minimum(1, (no - 1) // 3))
    return np.where((no == 0) & (yes == 0), 0, np.where((no > 0) & (yes > 0), 6, sure))
