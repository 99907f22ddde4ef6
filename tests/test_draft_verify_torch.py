"""On tensors, verification says what the definitions say, for many drafts at once."""

from __future__ import annotations

import doctest
import importlib
import itertools
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from conftest import examples, make_index
from test_draft_verify import BAD_LAWS, LIMIT, N_DRAWS, N_WRITTEN, VOCAB, WAYS, Toy, proposed

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs torch, the extra `draft`")

import infgram
from infgram.draft import Draft, Drafter, verify, verify_torch
from infgram.errors import InvalidParameter, MissingExtra
from infgram.extras import how_to_install


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def index(memory_folder: Path) -> infgram.Index:
    return make_index(memory_folder / "toy-torch.infgram", [Toy(1).write(3000, 1)])


def padded(laws: list[np.ndarray]) -> torch.Tensor:
    """Garbage where there is no row."""
    rows = torch.full((len(laws), max(map(len, laws)), VOCAB), torch.nan, dtype=torch.float64)
    for row, law in zip(rows, laws, strict=True):
        row[: len(law)] = torch.from_numpy(law)
    return rows


def drafts_of(index: infgram.Index, seed: int) -> list[tuple[list[int], Draft]]:
    """Paths, trees, chosen, drawn, some empty, for several contexts."""
    found = []
    rng = np.random.default_rng(seed)
    for tree, drawn, n in itertools.product([False, True], [False, True], [0, 1, 3, 7]):
        drafter = Drafter(index, vocab_size=VOCAB, tree=tree)
        context = Toy(seed).write(10, seed)
        drafter.start("a", context)
        found.append((context, drafter.propose("a", n, sample=drawn, rng=rng)))
    return found


def test_greedy_says_what_the_definition_says(index: infgram.Index) -> None:
    for seed in range(examples(20)):
        cases = drafts_of(index, seed)
        rows = [Toy(seed, 3.0).rows(context, draft) for context, draft in cases]
        rows = [row.astype(np.float64) for row in rows]
        results = verify_torch.greedy([draft for _, draft in cases], padded(rows).nan_to_num(9.0))
        for (_, draft), row, found in zip(cases, rows, results, strict=True):
            expected = verify.greedy(draft, row.argmax(axis=1))
            assert found.token_ids.tolist() == expected.token_ids.tolist()
            assert found.places.tolist() == expected.places.tolist()


def chi_square(index: infgram.Index, tree: bool, drawn: bool, seed: int) -> float:
    """Of 3,000 texts, written side by side, against the exact law of the model."""
    target = Toy(1, sharpness=0.7)
    prompt = target.write(20, 5)
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    drafter = Drafter(index, vocab_size=VOCAB, max_tokens=5, tree=tree, max_requests=N_DRAWS)
    written: dict[int, list[int]] = {i: [] for i in range(N_DRAWS)}
    for i in written:
        drafter.start(i, prompt)
    running = list(written)
    while running:
        drafts = [drafter.propose(i, 5 - i % 3, sample=drawn, rng=rng) for i in running]
        rows = [
            target.rows(prompt + written[i], draft)
            for i, draft in zip(running, drafts, strict=True)
        ]
        for i, verified in zip(
            running, verify_torch.sample(drafts, padded(rows), generator), strict=True
        ):
            drafter.accept(i, verified.token_ids, verified.num_accepted)
            written[i] += verified.token_ids.tolist()
        running = [i for i in running if len(written[i]) < N_WRITTEN]
    counts = Counter(tuple(text[:N_WRITTEN]) for text in written.values())
    return sum(
        (counts[outcome] - N_DRAWS * prob) ** 2 / (N_DRAWS * prob)
        for outcome, prob in target.law_of(prompt).items()
    )


@pytest.mark.parametrize("way", WAYS)
def test_what_is_sampled_has_the_law_of_the_model(index: infgram.Index, way: str) -> None:
    for seed in range(examples(2)):
        tree, drawn = WAYS[way]["tree"], WAYS[way]["sample"]
        assert chi_square(index, tree, drawn, seed) < LIMIT


def accept_the_first(laws, offers, generator=None):
    first = [int(draft.token_ids[draft.children(parent)[0]]) for draft, parent in offers]
    return torch.tensor(first), laws.double()


def redraw_from_the_whole(laws, offers, generator=None, right=verify_torch.reject):
    return right(laws, offers, generator)[0], laws.double()


def follow_the_first(draft: Draft, choices: np.ndarray) -> verify.Verified:
    places, at = [], -1
    while children := draft.children(at):
        at = children[0]
        places.append(at)
    written = [*draft.token_ids[places].tolist(), int(choices[at + 1])]
    return verify.Verified(np.array(written), np.array(places))


@pytest.mark.parametrize(
    ("way", "name", "broken"),
    [
        ("drawn path", "verify_torch.reject", accept_the_first),
        ("drawn tree", "verify_torch.reject", accept_the_first),
        ("drawn path", "verify_torch.reject", redraw_from_the_whole),
        ("drawn tree", "verify_torch.reject", redraw_from_the_whole),
        ("chosen path", "verify.greedy", follow_the_first),
        ("chosen tree", "verify.greedy", follow_the_first),
    ],
)
def test_a_broken_rule_is_found_out(
    index: infgram.Index, way: str, name: str, broken: Callable[..., object]
) -> None:
    with patch(f"infgram.draft.{name}", broken):
        assert chi_square(index, WAYS[way]["tree"], WAYS[way]["sample"], 1) > LIMIT


def test_drafts_of_nothing_give_the_models_own_tokens(index: infgram.Index) -> None:
    drafter = Drafter(index, vocab_size=VOCAB, max_tokens=0)
    drafter.start("a", [0, 1])
    laws = torch.tensor([[[0.0, 0.0, 1.0, 0.0]], [[0.0, 1.0, 0.0, 0.0]]])
    drafts = [drafter.propose("a"), drafter.propose("a", sample=True, rng=1)]
    for verified in verify_torch.sample(drafts, laws), verify_torch.greedy(drafts, laws):
        assert [v.token_ids.tolist() for v in verified] == [[2], [1]]
        assert [v.num_accepted for v in verified] == [0, 0]


def test_a_generator_gives_the_same_again(index: infgram.Index) -> None:
    drafts = [draft for _, draft in drafts_of(index, 1)]
    laws = torch.full((len(drafts), 9, VOCAB), 0.25)
    found = [
        [v.token_ids.tolist() for v in verify_torch.sample(drafts, laws, generator)]
        for generator in (torch.Generator().manual_seed(3), torch.Generator().manual_seed(3))
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize("shape", [(6, VOCAB), (2, 6, VOCAB), (1, 5, VOCAB)])
def test_rows_that_do_not_fit_are_refused(index: infgram.Index, shape: tuple[int, ...]) -> None:
    drafter = Drafter(index, vocab_size=VOCAB, max_tokens=5)
    drafter.start("a", [0, 1])
    draft = drafter.propose("a")
    assert len(draft) == 5
    for verify_them in (verify_torch.greedy, verify_torch.sample):
        with pytest.raises(InvalidParameter, match="at least 6 rows"):
            verify_them([draft], torch.full(shape, 0.25))


@pytest.mark.parametrize("row", BAD_LAWS.values(), ids=BAD_LAWS.keys())
@pytest.mark.parametrize("drawn", [False, True])
@pytest.mark.parametrize("place", [0, 3, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_rows_that_are_no_law_are_refused(
    index: infgram.Index, row: list[float], drawn: bool, place: int, dtype: torch.dtype
) -> None:
    drafts = [proposed(index, drawn), proposed(index, not drawn)]
    laws = torch.full((2, 7, VOCAB), 0.25, dtype=dtype)  # the last row is nobody's
    laws[1, 6] = torch.tensor(row)
    assert len(verify_torch.sample(drafts, laws)) == 2
    laws[1, place] = torch.tensor(row)
    with pytest.raises(InvalidParameter, match=r"found a row .*, expected the probabilities"):
        verify_torch.sample(drafts, laws)


@pytest.mark.parametrize("drawn", [False, True])
def test_laws_have_a_place_for_each_token_of_a_draft(index: infgram.Index, drawn: bool) -> None:
    draft = proposed(index, drawn)
    width = int(draft.token_ids.max())
    with pytest.raises(InvalidParameter, match=f"laws of {width} tokens"):
        verify_torch.sample([draft], torch.ones(1, 6, width))
    with pytest.raises(InvalidParameter, match=r"expected probabilities, found .*int64"):
        verify_torch.sample([draft], torch.ones(1, 6, VOCAB, dtype=torch.long))
    for verify_them in (verify_torch.greedy, verify_torch.sample):
        with pytest.raises(InvalidParameter, match="by the vocabulary"):
            verify_them([draft], torch.ones(1, 6, 0))
        with pytest.raises(InvalidParameter, match="expected a tensor, found ndarray"):
            verify_them([draft], np.ones((1, 6, VOCAB)))


def test_laws_that_agree_are_always_accepted(index: infgram.Index) -> None:
    drafter = Drafter(index, vocab_size=VOCAB, max_tokens=1)
    drafter.start("a", Toy(1).write(10, 1))
    drafts = [drafter.propose("a", sample=True, rng=seed) for seed in range(200)]
    law = torch.zeros(VOCAB, dtype=torch.float64)
    ids, probs = drafts[0].q[-1]
    law[torch.from_numpy(ids.astype(np.int64))] = torch.from_numpy(probs)
    verified = verify_torch.sample(drafts, law.expand(200, 2, VOCAB))
    assert all(v.num_accepted == 1 for v in verified)


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "infgram.draft.verify_torch")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=re.escape(how_to_install("draft"))):
        importlib.import_module("infgram.draft.verify_torch")


def test_examples_run() -> None:
    result = doctest.testmod(verify_torch)
    assert result.failed == 0 and result.attempted > 0
