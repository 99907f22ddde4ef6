"""Mix, an estimator: what a model asks of the mixture."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import checks, native
from ...index import Cursor
from ..context import LIVE_TOKENS, Context
from ..definition import TraceLevel
from ..estimators import KneserNey
from .adapting import Learner, LiveCounts
from .definition import (
    Answers,
    Recent,
    answers,
    counts_of,
    inputs_of,
    questions_of,
    text_of,
)
from .fitting import learnt_of
from .sight import SIGHTS, Numbers, Size, keys_of


@dataclass(frozen=True)
class Mix:
    """A log-linear mixture over binary questions, fitted to the index: the best predictor here.

    A token is a path of questions in a binary tree over the alphabet. Each question is answered by
    a logistic mixture of what 32 contexts say of it (suffixes of the text, words, classes of words,
    skips, columns) and of Kneser-Ney, with weights that small functions of the text choose, and
    corrected by curves. The product of the answers is the token's probability, so they sum to one.

    Unlike all else in infgram its weights are learnt: some hundred thousand numbers, by gradient
    descent, in one pass over the index's own text (`infgram.fit`, or the first use). It reads
    bytes or characters, at most 255 different ones, in one shard.

    - `size`: "lean", or "full": it looks at 76 contexts and has 21 sets of weights instead of 32
      and 14. It predicts better, and takes two to three times as long, to fit and to ask.

    Where a model adapts, the last hundred thousand tokens that were read are counted too, what came
    last in seven contexts is seen, and each token changes the weights: other weights than without
    adapting, fitted on their own.

    Sources: Mahoney (2005), "Adaptive weighing of context models for lossless data compression";
    Mattern (2012), "Mixing strategies in data compression"; Brown et al. (1992), "Class-based
    n-gram models of natural language". docs/estimators.md tells what each part gains.

    >>> import infgram
    >>> model = infgram.Model(infgram.build(["to be or not to be"]), infgram.Mix())
    >>> round(float(model.distribution("to b").sum()), 12)
    1.0
    """

    size: Size = "lean"

    reads_text = True
    """It sees more of a text than its levels: whoever begins with a context must read it out."""

    def __post_init__(self) -> None:
        checks.one_of(SIGHTS, size=self.size)

    @property
    def window(self) -> int:
        """Tokens of context whose levels are seen."""
        return KneserNey().window

    def distribution(self, context: Context) -> NDArray[np.float64]:
        """Probabilities of the context's alphabet, in its order. The definition."""
        return self._reading(context).answers()[0].law()

    def explain(self, context: Context, token_id: int) -> tuple[TraceLevel, ...]:
        """The token's probability, and what each input pushed it, the strongest push first.

        A push is in log odds, summed over the questions that lead to the token: above 0 towards it.
        Inputs have no weight of their own. Those that are contexts tell how often each was seen,
        and the share of the token.
        """
        reading = self._reading(context)
        answered, counts = reading.answers()
        code, n_sharing = context.place(token_id)
        prob = float(answered.law()[code]) / n_sharing
        sight = SIGHTS[self.size]
        names = inputs_of(sight, adapts=context.adapts)
        pushes = np.zeros(len(names))
        for question, is_yes in answered.path(code):
            push = answered.inputs[:, question] * answered.pull[:, question]
            pushes += push if is_yes else -push
        # Kneser-Ney, which is the first, and what stands behind the contexts count nothing
        seen = np.zeros(len(names), np.int64)
        shares = np.zeros(len(names))
        seen[1 : len(counts) + 1] = counts.sum(axis=1)
        if code < counts.shape[1]:
            shares[1 : len(counts) + 1] = counts[:, code] / np.maximum(counts.sum(axis=1), 1)
        lengths = np.zeros(len(names), np.int64)
        for first in range(1, len(counts), sight.n_counted):
            lengths[first : first + len(sight.orders)] = sight.orders
        levels = [
            TraceLevel(n, m, False, 0.0, share, name, push)
            for n, m, share, name, push in zip(
                *(lengths.tolist(), seen.tolist(), shares.tolist(), names, pushes.tolist()),
                strict=True,
            )
        ]
        return (
            TraceLevel(0, 0, False, 1.0, prob, "the mixture"),
            *sorted(levels, key=lambda level: -abs(level.push)),
        )

    def native(self, cursor: Cursor, *, live: bool) -> native.Predictor:
        """The same law in the core."""
        return native.mix(
            cursor.native,
            model=learnt_of(cursor.index, size=self.size, adapt=live).native,
            live_tokens=LIVE_TOKENS if live else 0,
        )

    def _reading(self, context: Context) -> _Reading:
        """Of all that a context has read; a context only grows."""
        if not context.adapts:
            return _Reading(context, self.size)
        reading = _READINGS[self.size].get(context)
        if reading is None:
            reading = _READINGS[self.size][context] = _Reading(context, self.size)
        for token_id in context.read[reading.n_read :]:
            reading.read(token_id)
        return reading


class _Reading:
    """What the mixture made of a context, token by token where it adapts."""

    def __init__(self, context: Context, size: Size) -> None:
        index = context.cursor.index
        self._fit = learnt_of(index, size=size, adapt=context.adapts).fit
        self._sight = SIGHTS[size]
        self._questions = questions_of(self._fit)
        self._codes = {token_id: code for code, token_id in enumerate(index.alphabet.tolist())}
        self._learner = Learner(self._sight, self._fit.parameters())
        self._live = LiveCounts(self._sight)
        self._context = Context(context.begin, adapt=True) if context.adapts else context

    def read(self, token_id: int) -> None:
        """Predicts a token, counts it and learns from it."""
        if token_id in self._codes:
            code = self._codes[token_id]
            answered = self.answers()[0]
            self._learner.learn(answered, code)
            if answered.leads_to(code):  # or it would be taken for an answer
                text = text_of(self._fit, self._context.text)
                self._live.read(keys_of(self._sight, text), code)
        self._context.advance(token_id)

    @property
    def n_read(self) -> int:
        """Tokens that were read."""
        return len(self._context.read)

    def answers(self) -> tuple[Answers, Numbers]:
        """All questions answered, and what followed each context."""
        n_codes = len(self._codes)
        suffixes = []
        for level in self._context.levels():
            counts = np.zeros(n_codes, np.int64)
            counts[[self._codes[token_id] for token_id in level.token_ids.tolist()]] = level.counts
            suffixes.append((level.n, counts))
        text = text_of(self._fit, self._context.text)
        counts, recent = counts_of(self._fit, text, suffixes, n_codes), list[Recent]()
        parameters: Sequence[NDArray[Any]] = self._fit.parameters()
        if self._context.adapts:
            keys, parameters = keys_of(self._sight, text), self._learner.parameters
            live, recent = self._live.counts(keys, n_codes), self._live.recent(keys)
            counts = np.concatenate([counts + live, live])
        law = KneserNey().distribution(self._context)
        return answers(self._sight, parameters, self._questions, text, counts, recent, law), counts


_READINGS: dict[Size, weakref.WeakKeyDictionary[Context, _Reading]] = {
    size: weakref.WeakKeyDictionary() for size in SIGHTS
}
