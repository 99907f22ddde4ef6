"""Mix, an estimator: what a model asks of the mixture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ... import native
from ...errors import InvalidParameter
from ...index import Cursor
from ..context import Context
from ..definition import TraceLevel
from ..estimators import KneserNey
from .definition import INPUTS, Answers, answers, counts_of, text_of
from .fitting import learnt_of
from .sight import ORDERS, Numbers


@dataclass(frozen=True)
class Mix:
    """A log-linear mixture over binary questions, fitted to the index: the best predictor here.

    A token is a path of questions in a binary tree over the alphabet. Each question is answered by
    a logistic mixture of what 30 contexts say of it (suffixes of the text, words, classes of words,
    skips, columns) and of Kneser-Ney, with weights that small functions of the text choose, and
    corrected by curves. The product of the answers is the token's probability, so they sum to one.

    Unlike all else in infgram its weights are learnt: some hundred thousand numbers, by gradient
    descent, in one pass over the index's own text (`infgram.fit`, or the first use). It reads
    bytes, or characters of which at most 255 occur, in one shard, and does not adapt.

    Sources: Mahoney (2005), "Adaptive weighing of context models for lossless data compression";
    Mattern (2012), "Mixing strategies in data compression"; Brown et al. (1992), "Class-based
    n-gram models of natural language". docs/estimators.md tells what each part gains.

    >>> import infgram
    >>> model = infgram.Model(infgram.build(["to be or not to be"]), infgram.Mix())
    >>> round(float(model.distribution("to b").sum()), 12)
    1.0
    """

    reads_text = True
    """It sees more of a text than its levels: whoever begins with a context must read it out."""

    @property
    def window(self) -> int:
        """Tokens of context whose levels are seen."""
        return KneserNey().window

    def distribution(self, context: Context) -> NDArray[np.float64]:
        """Probabilities of the context's alphabet, in its order. The definition."""
        return self._answers(context)[0].law()

    def explain(self, context: Context, token_id: int) -> tuple[TraceLevel, ...]:
        """The token's probability, and what each input pushed it, the strongest push first.

        A push is in log odds, summed over the questions that lead to the token: above 0 towards it.
        Inputs have no weight of their own. Those that are contexts tell how often each was seen,
        and the share of the token.
        """
        answered, counts = self._answers(context)
        code, n_sharing = context.place(token_id)
        prob = float(answered.law()[code]) / n_sharing
        pushes = np.zeros(len(INPUTS))
        for question, is_yes in answered.path(code):
            push = answered.inputs[:, question] * answered.pull[:, question]
            pushes += push if is_yes else -push
        # Kneser-Ney, which is the first, and the constant, which is the last, count nothing
        seen = np.pad(counts.sum(axis=1), 1).tolist()
        mine = counts[:, code] if code < counts.shape[1] else np.zeros(len(counts), np.int64)
        shares = np.pad(mine, 1) / np.maximum(seen, 1)
        lengths = [0, *ORDERS, *[0] * (len(INPUTS) - len(ORDERS) - 1)]
        levels = [
            TraceLevel(n, m, False, 0.0, float(share), name, float(push))
            for n, m, share, name, push in zip(lengths, seen, shares, INPUTS, pushes, strict=True)
        ]
        return (
            TraceLevel(0, 0, False, 1.0, prob, "the mixture"),
            *sorted(levels, key=lambda level: -abs(level.push)),
        )

    def native(self, cursor: Cursor, *, live: bool) -> native.Predictor:
        """The same law in the core."""
        _check(live)
        return native.mix(cursor.native, model=learnt_of(cursor.index).native, live_tokens=0)

    def _answers(self, context: Context) -> tuple[Answers, Numbers]:
        """All questions answered, and what followed each context (`counts_of`)."""
        _check(context.adapts)
        fitted = learnt_of(context.cursor.index).fit
        alphabet = context.alphabet[:-1]
        codes = {token_id: code for code, token_id in enumerate(alphabet.tolist())}
        suffixes = []
        for level in context.levels():
            counts = np.zeros(len(alphabet), np.int64)
            counts[[codes[token_id] for token_id in level.token_ids.tolist()]] = level.counts
            suffixes.append((level.n, counts))
        text = text_of(fitted, context.text)
        counts = counts_of(fitted, text, suffixes, len(alphabet))
        return answers(fitted, text, counts, KneserNey().distribution(context)), counts


def _check(live: bool) -> None:
    if live:
        raise InvalidParameter(
            "Mix does not count the text that it reads: leave adapt out, or use KneserNey()"
        )
