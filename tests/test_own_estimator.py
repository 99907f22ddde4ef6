"""An estimator of one's own, written in Python alone, does all that a model does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from conftest import make_index
from numpy.typing import NDArray

import infgram
from infgram import SBIS, KneserNey, Longest, Model
from infgram.errors import InvalidParameter
from infgram.models.context import Context
from infgram.models.definition import TraceLevel
from infgram.native import Predictor

TEXT = b"to be or not to be, that is the question: whether to bee or to be. " * 3


@dataclass(frozen=True)
class Half:
    """Half of one estimator, half of another."""

    one: infgram.models.definition.Estimator
    other: infgram.models.definition.Estimator

    @property
    def window(self) -> int:
        return max(self.one.window, self.other.window)

    def distribution(self, context: Context) -> NDArray[np.float64]:
        return (self.one.distribution(context) + self.other.distribution(context)) / 2

    def explain(self, context: Context, token_id: int) -> Sequence[TraceLevel]:
        both = [*self.one.explain(context, token_id), *self.other.explain(context, token_id)]
        return [replace(level, weight=level.weight / 2) for level in both]

    def native(self, cursor: infgram.Cursor, *, live: bool) -> Predictor | None:
        return None


HALF = Half(SBIS(k=2, window=6), KneserNey(max_order=7))


@pytest.fixture(scope="module")
def index(memory_folder: Path) -> infgram.Index:
    return make_index(memory_folder / "own.infgram", [list(TEXT), list(TEXT[:40])])


@pytest.mark.parametrize("adapt", [False, True])
def test_it_gives_the_probabilities_that_it_says(index: infgram.Index, adapt: bool) -> None:
    own, one, other = (Model(index, e, adapt=adapt) for e in (HALF, HALF.one, HALF.other))
    expected = (one.distribution("to b") + other.distribution("to b")) / 2
    assert own.distribution("to b") == pytest.approx(expected, abs=1e-12)
    scored = own.score("be, or", context="to ")
    mean = (
        np.exp(one.score("be, or", context="to ").log_prob)
        + np.exp(other.score("be, or", context="to ").log_prob)
    ) / 2
    assert np.exp(scored.log_prob) == pytest.approx(mean)
    assert scored.n.tolist() == one.score("be, or", context="to ").n.tolist()
    rows = np.concatenate([rows for _, rows in own.distributions("be", context="to ")])
    assert rows.sum(1) == pytest.approx(1)
    assert infgram.perplexity(own, "to be").perplexity > 0


@pytest.mark.parametrize("adapt", [False, True])
def test_it_writes_and_tells_where_tokens_come_from(index: infgram.Index, adapt: bool) -> None:
    model = Model(index, HALF, adapt=adapt)
    made = model.generate("to", max_tokens=15, seed=3, trace=True)
    assert made.text == model.generate("to", max_tokens=15, seed=3).text
    assert len(made.token_ids) == 15
    assert made.trace is not None
    for token in made.trace:
        assert token.prob == pytest.approx(sum(each.weight * each.prob for each in token.levels))
        assert token.prob > 0
    limited = model.generate("to", max_tokens=15, seed=3, max_copy=4)
    assert index.match_lengths(limited.token_ids).max(initial=0) <= 4
    assert len(model.samples(2, "to", max_tokens=4, seed=1)) == 2


def test_it_mixes_indexes(index: infgram.Index, memory_folder: Path) -> None:
    other = make_index(memory_folder / "own-other.infgram", [list(b"to see or not to see")])
    model = Model([index, other], HALF, weights=[3, 1])
    assert model.distribution("to ").sum() == pytest.approx(1)
    assert len(model.generate("to", max_tokens=5, seed=1).token_ids) == 5


@pytest.mark.parametrize("wrong", [Longest, "sbis", 3, object()])
def test_what_is_no_estimator_is_refused(index: infgram.Index, wrong: object) -> None:
    with pytest.raises(InvalidParameter, match=r"estimator is .*expected"):
        Model(index, wrong)  # type: ignore[arg-type]
