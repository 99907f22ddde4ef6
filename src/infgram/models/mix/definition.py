"""The mixture's law, written to be read: a token is a path of questions, each is answered by a
logistic mixture, and the product of the answers is the token's probability.

Over numpy, all questions at once. The core does the same for the questions on a path
(csrc/infgram/models/mix); tests hold the two together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .fitting import MixFit
from .sight import SIGHTS, Numbers, Sight, Situation, key_of
from .text import Text

Floats = NDArray[np.float64]

COUNT_STEPS = (0, 1, 2, 3, 4, 6, 9, 14, 22, 40, 80, 200)
N_STEPS = len(COUNT_STEPS) + 1
N_HISTORIES = 31
N_FEW = 7
RUN_SIZE = 8 * 8 * 2
N_TRUSTS = 10
N_POINTS = 33
CONSTANT = 0.3
MOST_ODDS = 12.0
LEAST_PROB = 1e-6


def inputs_of(sight: Sight, *, adapts: bool) -> tuple[str, ...]:
    """What each input is, in words."""
    contexts = [f"the last {n} symbols" if n else "no context" for n in sight.orders]
    contexts += sight.named
    live = (
        *(f"{name}, in the text read" for name in contexts),
        *(f"what came last after {contexts[i]}" for i in sight.rings),
        *(f"what keeps coming after {contexts[i]}" for i in sight.rings),
    )
    return ("Kneser-Ney", *contexts, *(live if adapts else ()), "the constant")


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
class Recent:
    """What came last in a context of the text that is read.

    - `codes`: the last 7 codes, the latest first.
    - `n_types`: how many different codes came in all.
    """

    codes: tuple[int, ...] = ()
    n_types: int = 0

    @property
    def run(self) -> int:
        """How many of the latest are the same."""
        return len(list(takewhile(lambda code: code == self.codes[0], self.codes)))


@dataclass(frozen=True)
class Answers:
    """How all questions came to their answers.

    - `inputs`: log odds of yes, shape (n_inputs, n_questions).
    - `pull`: what one of each input's log odds adds to those of the answer, of the same shape.
    - `yes`: the probability of yes, shape (n_questions,).
    - `kneser_ney`: its law, of which those tokens are left as they are that no question leads to.

    And what was read of the parameters (`answers`), which is what an answer changes (adapting.py):

    - `maps`: of each input between Kneser-Ney and the constant, which entry; -1: none.
    - `rows`, `trust`: of each set of weights, which row; of each input, which own weight.
    - `said`, `final_odds`: log odds of each set and the own weights; of the three final mixers.
    - `final_rows`, `points`, `fraction`: their rows; where the curves are read.
    """

    questions: Questions
    inputs: Floats
    pull: Floats
    yes: Floats
    kneser_ney: Floats
    maps: Numbers
    rows: Numbers
    trust: Numbers
    said: Floats
    final_odds: Floats
    final_rows: Numbers
    points: Numbers
    fraction: Floats

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
    coarse = None
    if fitted.size == "full":
        coarse = dict(zip(fitted.words.tolist(), fitted.coarse.tolist(), strict=True))
    return Text(classes, coarse).read(symbols)


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
    sight = SIGHTS[fitted.size]
    counts = np.zeros((sight.n_counted, n_codes), np.int64)
    for i, order in enumerate(sight.orders):
        long_enough = [of for n, of in suffixes if n >= order]
        if long_enough:
            counts[i] = long_enough[-1]
    for i, values in enumerate(sight.named.values(), len(sight.orders)):
        for code, count in followers(fitted, key_of(values(text))):
            counts[i, code] = count
    return counts


def answers(
    sight: Sight,
    parameters: Sequence[NDArray[Any]],
    questions: Questions,
    text: Text,
    counts: Numbers,
    recent: Sequence[Recent],
    kneser_ney: Floats,
) -> Answers:
    """All questions, answered.

    `parameters`: as `MixFit.parameters` gives them. `counts`: as `counts_of` gives them, of shape
    (n_counted, n_codes), or where the mixture adapts of corpus and live text together, and then of
    the live text, twice as many; `recent` is then of the sight's `rings`, and else empty.
    `kneser_ney`: its law, shape (n_codes + 1,).
    """
    maps, weights, own, by_question, by_symbol, by_place, *curves = (
        array.astype(np.float64) for array in parameters
    )
    n_orders, n_sets, n_questions = len(sight.orders), len(sight.sets), len(questions.middle)
    n_told, n_rings = len(counts), len(recent)
    n_mapped = n_told + 2 * n_rings
    n_inputs = n_mapped + 2
    width = -(-n_inputs // 4) * 4
    every = np.arange(n_questions)

    # How often each context says no and yes, and which entry of its map tells what that means.
    before = np.concatenate([np.zeros((n_told, 1), np.int64), counts.cumsum(axis=1)], axis=1)
    no = before[:, questions.middle] - before[:, questions.begin]  # (n_told, n_questions)
    yes = before[:, questions.end] - before[:, questions.middle]
    seen = no + yes > 0
    steps_no, steps_yes = np.searchsorted(COUNT_STEPS, no), np.searchsorted(COUNT_STEPS, yes)
    first = np.arange(n_told)[:, None] * N_STEPS**2
    entries = np.full((n_mapped, n_questions), -1)
    entries[:n_told] = np.where(seen, first + steps_no * N_STEPS + steps_yes, -1)
    longest = int(np.flatnonzero(counts[:n_orders].any(axis=1)).max(initial=0))
    trust = np.zeros((n_inputs, n_questions), np.int64)
    trust[0] = longest * N_TRUSTS // n_orders
    trust[1 : n_told + 1] = np.where(
        seen,
        np.minimum(np.searchsorted(COUNT_STEPS, no + yes), 4) + 4 * ((no > 0) & (yes > 0)),
        0,
    )
    for i, of in enumerate(recent):
        few = np.minimum(steps_no[sight.rings[i]], N_FEW - 1) * N_FEW
        few += np.minimum(steps_yes[sight.rings[i]], N_FEW - 1)
        histories, n_last = _histories(of, questions)
        start = n_told * N_STEPS**2 + i * N_HISTORIES * N_FEW**2
        entries[n_told + i] = np.where(n_last > 0, start + histories * N_FEW**2 + few, -1)
        trust[n_told + i + 1] = n_last
        if of.codes:
            last, length = of.codes[0], of.run
            inside = (questions.begin <= last) & (last < questions.end)
            start = n_told * N_STEPS**2 + n_rings * N_HISTORIES * N_FEW**2 + i * RUN_SIZE
            run = (length * 8 + min(of.n_types, 8) - 1) * 2 + (last >= questions.middle)
            entries[n_told + n_rings + i] = np.where(inside, start + run, -1)
            trust[n_told + n_rings + i + 1] = np.where(inside, length, 0)

    inputs = np.zeros((width, n_questions))
    inputs[0] = log_odds(_clipped(_side(kneser_ney, questions)))
    inputs[1 : n_mapped + 1] = np.where(entries >= 0, log_odds(maps)[entries], 0.0)
    inputs[n_inputs - 1] = CONSTANT

    # What chooses the weights.
    of_orders = seen[:n_orders]
    with_data = (of_orders * np.arange(n_orders)[:, None]).max(axis=0)
    certainty = np.array([_certainty(steps_no[i], steps_yes[i]) for i in sight.certain])
    situation = Situation(text, every, longest, with_data, certainty)

    # Each set of weights says something, and so do the inputs' own weights.
    chosen = np.zeros((n_sets + 1, width, n_questions))
    rows = np.zeros((n_sets, n_questions), np.int64)
    begin = 0
    for s, each in enumerate(sight.sets.values()):
        rows[s] = begin + np.broadcast_to(each.value(situation), n_questions)
        chosen[s] = weights.reshape(-1, width)[rows[s]].T
        begin += each.n_values + each.per_question * n_questions
    chosen[n_sets, :n_inputs] = own.reshape(n_inputs, N_TRUSTS)[np.arange(n_inputs)[:, None], trust]
    said = np.clip((chosen * inputs).sum(axis=1), -MOST_ODDS, MOST_ODDS)  # (n_sets + 1, questions)

    # Three more mix what they say.
    symbol = text.last[0] & 255
    final_rows = np.stack([every, np.full(n_questions, symbol), with_data * 16 + (text.kinds & 15)])
    finals = np.stack(
        [
            of.reshape(-1, n_sets + 1)[row].T
            for of, row in zip((by_question, by_symbol, by_place), final_rows, strict=True)
        ]
    )  # (3, n_sets + 1, n_questions)
    final_odds = (finals * said).sum(axis=1)
    odds = final_odds.sum(axis=0) / 3

    # Two curves correct the result.
    at = (np.clip(odds, -7.99, 7.99) + 8) * 2
    point = at.astype(np.int64)
    points = np.stack([every * N_POINTS, (every * 256 + symbol) * N_POINTS]) + point
    corrected = np.zeros(n_questions)
    for curve, where in zip(curves, points, strict=True):
        corrected += curve[where] * (1 - (at - point)) + curve[where + 1] * (at - point)
    prob = _clipped(0.5 * probability(odds) + 0.25 * corrected)
    pull = (finals.sum(axis=0)[:, None] / 3 * chosen).sum(axis=0)
    return Answers(
        questions=questions,
        inputs=inputs[:n_inputs],
        pull=pull[:n_inputs],
        yes=prob,
        kneser_ney=kneser_ney,
        maps=entries,
        rows=rows,
        trust=trust,
        said=said,
        final_odds=final_odds,
        final_rows=final_rows,
        points=points,
        fraction=at - point,
    )


def _histories(recent: Recent, questions: Questions) -> tuple[Numbers, Numbers]:
    """The answers to each question that the last codes gave, the latest first, and how many."""
    histories = np.zeros(len(questions.middle), np.int64)
    n = np.zeros_like(histories)
    for code in recent.codes:
        counts = (questions.begin <= code) & (code < questions.end) & (n < 4)
        histories += np.where(counts, (code >= questions.middle) << n, 0)
        n += counts
    return 2**n - 1 + histories, n


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
