"""Verification loses nothing: whatever is drafted, what is written has the law of the model."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import make_index
from numpy.typing import NDArray

import infgram
from infgram.draft import Draft, Drafter, Verified, greedy, sample
from infgram.draft import verify as verify_module
from infgram.errors import InvalidParameter, TokenError

VOCAB = 4
N_DRAWS = 3000
N_WRITTEN = 3
# The 99.99th percentile of chi-square with 63 degrees of freedom: by chance, one test in 10,000.
LIMIT = 113.5

Verify = Callable[[Draft, NDArray[np.float64], np.random.Generator], Verified]


class Toy:
    """A model of order 2: a distribution for each of the last two tokens."""

    def __init__(self, seed: int, sharpness: float = 1.0) -> None:
        logits = np.random.default_rng(seed).normal(size=(VOCAB, VOCAB, VOCAB)) * 1.5 * sharpness
        self.laws = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)

    def after(self, context: list[int]) -> NDArray[np.float64]:
        law: NDArray[np.float64] = self.laws[context[-2], context[-1]]
        return law

    def rows(self, context: list[int], draft: Draft) -> NDArray[np.float64]:
        """Of the context and of each token of the draft, as one step of a model gives them."""
        paths = [context]
        for token, parent in zip(draft.token_ids.tolist(), draft.parents.tolist(), strict=True):
            paths.append([*paths[parent + 1], token])
        return np.array([self.after(path) for path in paths])

    def law_of(self, context: list[int]) -> dict[tuple[int, ...], float]:
        """The probability of everything that it may write."""
        found = {}
        for written in itertools.product(range(VOCAB), repeat=N_WRITTEN):
            path, prob = list(context), 1.0
            for token in written:
                prob *= self.after(path)[token]
                path.append(token)
            found[written] = prob
        return found

    def write(self, n: int, seed: int) -> list[int]:
        rng = np.random.default_rng(seed)
        text = [0, 1]
        while len(text) < n:
            text.append(int(rng.choice(VOCAB, p=self.after(text))))
        return text


@pytest.fixture(scope="module")
def index(memory_folder: Path) -> infgram.Index:
    """What another model wrote: drafts are good, but not of the law that is asked for."""
    return make_index(memory_folder / "toy.infgram", [Toy(1).write(3000, 1)])


WAYS = {
    "chosen path": {"tree": False, "sample": False},
    "chosen tree": {"tree": True, "sample": False},
    "drawn path": {"tree": False, "sample": True},
    "drawn tree": {"tree": True, "sample": True},
}


def chi_square(
    index: infgram.Index, way: dict[str, bool], seed: int, verify: Verify = sample
) -> float:
    """Of 3,000 texts of three tokens against the exact law of the model."""
    target = Toy(1, sharpness=0.7)
    rng = np.random.default_rng(seed)
    prompt = target.write(20, 5)
    drafter = Drafter(index, vocab_size=VOCAB, max_tokens=5, tree=way["tree"])
    counts: Counter[tuple[int, ...]] = Counter()
    for i in range(N_DRAWS):
        drafter.start(i, prompt)
        written: list[int] = []
        while len(written) < N_WRITTEN:
            draft = drafter.propose(i, sample=way["sample"], rng=rng)
            rows = target.rows(prompt + written, draft)
            verified = verify(draft, rows, rng)
            drafter.accept(i, verified.token_ids, verified.num_accepted)
            written += verified.token_ids.tolist()
        drafter.stop(i, keep=False)
        counts[tuple(written[:N_WRITTEN])] += 1
    return sum(
        (counts[outcome] - N_DRAWS * prob) ** 2 / (N_DRAWS * prob)
        for outcome, prob in target.law_of(prompt).items()
    )


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("seed", [1, 2])
def test_what_is_sampled_has_the_law_of_the_model(
    index: infgram.Index, way: dict[str, bool], seed: int
) -> None:
    assert chi_square(index, way, seed) < LIMIT


def accept_too_much(draft: Draft, rows: NDArray[np.float64], rng: np.random.Generator) -> Verified:
    """Takes every first child: a rule that is broken."""
    places, at = [], -1
    while children := draft.children(at):
        at = children[0]
        places.append(at)
    own = int(rng.choice(VOCAB, p=rows[at + 1]))
    return Verified(np.array([*draft.token_ids[places].tolist(), own]), np.array(places))


def redraw_from_the_whole(
    draft: Draft, rows: NDArray[np.float64], rng: np.random.Generator
) -> Verified:
    """After a rejection draws from the model's law, not from what is left of it."""
    places, at = [], -1
    while True:
        for child in draft.children(at):
            ids, law = draft.q[at]
            token = int(draft.token_ids[child])
            offered = float(law[ids == token][0])
            if rng.random() * offered < rows[at + 1][token]:
                places.append(child)
                at = child
                break
        else:
            own = int(rng.choice(VOCAB, p=rows[at + 1]))
            return Verified(np.array([*draft.token_ids[places].tolist(), own]), np.array(places))


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_a_rule_that_accepts_too_much_is_found_out(
    index: infgram.Index, way: dict[str, bool]
) -> None:
    assert chi_square(index, way, 1, accept_too_much) > LIMIT


@pytest.mark.parametrize("way", ["drawn path", "drawn tree"])
def test_a_rule_that_redraws_from_the_whole_law_is_found_out(
    index: infgram.Index, way: str
) -> None:
    assert chi_square(index, WAYS[way], 1, redraw_from_the_whole) > LIMIT


@pytest.mark.parametrize("tree", [False, True])
def test_greedy_writes_what_the_model_writes(index: infgram.Index, tree: bool) -> None:
    for seed in range(20):
        target = Toy(seed)
        drafter = Drafter(index, vocab_size=VOCAB, max_tokens=6, tree=tree)
        text = target.write(10, seed)
        expected = list(text)
        while len(expected) < 100:
            expected.append(int(target.after(expected).argmax()))
        drafter.start("a", text)
        n_steps = 0
        while len(text) < 100:
            draft = drafter.propose("a")
            verified = greedy(draft, target.rows(text, draft).argmax(axis=1))
            assert draft.token_ids[verified.places].tolist() == verified.token_ids[:-1].tolist()
            drafter.accept("a", verified.token_ids, verified.num_accepted)
            text += verified.token_ids.tolist()
            n_steps += 1
        assert text[:100] == expected
        assert n_steps < 60  # a greedy model repeats itself, and the draft knows


@pytest.mark.parametrize("shape", [(3,), (6, VOCAB, 1), (5, VOCAB)])
def test_rows_that_do_not_fit_are_refused(index: infgram.Index, shape: tuple[int, ...]) -> None:
    drafter = Drafter(index, vocab_size=VOCAB, max_tokens=5)
    drafter.start("a", [0, 1])
    draft = drafter.propose("a")
    assert len(draft) == 5
    for verify in (greedy, sample):
        with pytest.raises(InvalidParameter, match=r"6|5 drafted"):
            verify(draft, np.full(shape, 0.25))


BAD_LAWS = {
    "zeros": [0.0] * VOCAB,
    "nan": [0.5, np.nan, 0.5, 0.0],
    "infinite": [0.5, np.inf, 0.5, 0.0],
    "negative": [0.5, -0.5, 0.5, 0.5],
}


@pytest.mark.parametrize("row", BAD_LAWS.values(), ids=BAD_LAWS.keys())
@pytest.mark.parametrize("drawn", [False, True])
@pytest.mark.parametrize("place", [0, 3, -1])
def test_rows_that_are_no_law_are_refused(
    index: infgram.Index, row: list[float], drawn: bool, place: int
) -> None:
    draft = proposed(index, drawn)
    laws = np.full((len(draft) + 1, VOCAB), 0.25)
    laws[place] = row
    with pytest.raises(InvalidParameter, match=r"found a row .*, expected the probabilities"):
        sample(draft, laws, 1)


@pytest.mark.parametrize("drawn", [False, True])
def test_laws_have_a_place_for_each_token_of_a_draft(index: infgram.Index, drawn: bool) -> None:
    draft = proposed(index, drawn)
    largest = int(draft.token_ids.max())
    for width in (0, largest):
        with pytest.raises(InvalidParameter, match=f"laws of {width} tokens"):
            sample(draft, np.ones((len(draft) + 1, width)), 1)
    for odd in ("x", True, 1j, None):
        with pytest.raises(InvalidParameter, match="expected probabilities"):
            sample(draft, [[odd] * VOCAB] * (len(draft) + 1), 1)
    with pytest.raises(InvalidParameter, match="rows of one length"):
        sample(draft, [[1.0], [0.5, 0.5]], 1)


@pytest.mark.parametrize("choice", [-1, 2**40, 2**70, 1.5, np.nan, "x", None, True])
def test_a_choice_is_a_token(index: infgram.Index, choice: Any) -> None:
    draft = proposed(index, drawn=False)
    with pytest.raises(TokenError):
        greedy(draft, [choice] * (len(draft) + 1))


def proposed(index: infgram.Index, drawn: bool) -> Draft:
    drafter = Drafter(index, vocab_size=VOCAB, max_tokens=5)
    drafter.start("a", [0, 1])
    draft = drafter.propose("a", sample=drawn, rng=1)
    assert len(draft) == 5
    return draft


def test_a_draft_of_nothing_gives_the_models_own_token(index: infgram.Index) -> None:
    drafter = Drafter(index, vocab_size=VOCAB, max_tokens=0)
    drafter.start("a", [0, 1])
    draft = drafter.propose("a")
    assert len(draft) == 0
    assert greedy(draft, [3]).token_ids.tolist() == [3]
    verified = sample(draft, [[0.0, 0.0, 1.0, 0.0]], 1)
    assert (verified.token_ids.tolist(), verified.num_accepted) == ([2], 0)


def test_laws_that_agree_are_always_accepted() -> None:
    """Where the model wants what is offered, nothing is left to draw from; rounding aside."""
    rng = np.random.default_rng(1)
    assert verify_module is not None
    for _ in range(1000):
        law = rng.dirichlet(np.ones(VOCAB))
        token = int(rng.choice(VOCAB, p=law))
        draft = _made_draft([token], [-1], {-1: (np.arange(VOCAB, dtype=np.uint32), law)})
        verified = sample(draft, np.array([law, law]), rng)
        assert verified.num_accepted == 1


def _made_draft(token_ids: list[int], parents: list[int], q: dict[int, object]) -> Draft:
    class Native:
        proposals = tuple((parent, *law) for parent, law in q.items())  # type: ignore[misc]

        def __len__(self) -> int:
            return len(token_ids)

    made = Native()
    made.token_ids = np.array(token_ids, np.int32)  # type: ignore[attr-defined]
    made.parents = np.array(parents, np.int32)  # type: ignore[attr-defined]
    return Draft(made)  # type: ignore[arg-type]
