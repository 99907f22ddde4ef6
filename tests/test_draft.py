"""Drafts: what the sources say, the best tree of it, and requests that come and go."""

from __future__ import annotations

import contextlib
import resource
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import PART, PROSE, examples, make_index
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import infgram
from infgram.draft import Draft, Drafter
from infgram.errors import (
    InvalidParameter,
    NotASession,
    NothingProposed,
    RequestExists,
    TokenizerUnavailable,
    TokenOutOfRange,
    UnknownRequest,
)
from infgram.text.tokens import load

LEAST = 0.005  # of a distribution that a draft leaves unread: engine.hpp
SOME = b"to be or not to be that is the question whether tis nobler in the mind to suffer " * 3


@pytest.fixture(scope="module")
def index(memory_folder: Path) -> infgram.Index:
    return make_index(memory_folder / "draft.infgram", [list(SOME)])


def replay(
    drafter: Drafter, text: NDArray[np.uint32], request_id: object = "replay", **options: int
) -> list[tuple[Draft, int]]:
    """What a model that writes this text makes of the drafts: (draft, accepted) of each step."""
    drafter.start(request_id, text[:1])
    at, steps = 1, []
    while at < len(text):
        draft = drafter.propose(request_id, **options)
        node, n = -1, 0
        while at + n < len(text):
            here = [c for c in draft.children(node) if draft.token_ids[c] == text[at + n]]
            if not here:
                break
            node, n = here[0], n + 1
        gained = min(n + 1, len(text) - at)
        drafter.accept(request_id, text[at : at + gained], min(n, gained))
        steps.append((draft, n))
        at += gained
    return steps


def contexts(text: bytes, n: int) -> list[bytes]:
    """Of 2 to 300 bytes, from all parts of a text."""
    ends = np.linspace(400, len(text), n, dtype=int).tolist()
    return [text[end - (2, 10, 100, 300)[i % 4] : end] for i, end in enumerate(ends)]


def tokens_a_step(steps: list[tuple[Draft, int]]) -> float:
    return sum(n + 1 for _, n in steps) / len(steps)


# What the sources say ----------------------------------------------------------------------------


@given(
    st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=30), min_size=1, max_size=4),
    st.lists(st.integers(0, 4), min_size=1, max_size=20),
    st.sampled_from([8, 16, 32]),
    st.sampled_from([10, 1000]),
)
@settings(max_examples=examples(60))
def test_what_sources_give_a_token_is_what_the_model_gives_it(
    memory_folder: Path, documents, context, code_bits: int, shard_tokens: int
) -> None:
    small = make_index(
        memory_folder / "draft-small.infgram",
        documents,
        code_bits=code_bits,
        shard_tokens=max(shard_tokens, *(len(d) + 2 for d in documents)),
    )
    known = {token for document in documents for token in document}
    context = [token for token in context if token in known]  # a model counts no others
    drafter = Drafter(small, max_tokens=50)
    drafter.start("a", context)
    native = drafter.propose("a").native
    model = infgram.Model(small, infgram.KneserNey(), adapt=True)
    law = dict(zip(model.token_ids.tolist(), model.distribution(context).tolist(), strict=True))
    missing = [
        law[token] - prob
        for token, parent, prob in zip(
            native.token_ids.tolist(), native.parents, native.raw_probs, strict=True
        )
        if parent == -1 and token in law
    ]
    # The model has the uniform distribution below its shortest level, where all share alike.
    if missing:
        assert min(missing) >= -1e-9
        assert max(missing) - min(missing) <= LEAST + 1e-9


def test_in_prose_candidates_have_nearly_what_the_model_gives_them(
    prose: bytes, prose_index: infgram.Index
) -> None:
    """Of wide levels a draft counts a sample, so that any candidate may be off, but not many are:
    the fewer, the more of the context the text has."""
    drafter = Drafter(prose_index, max_tokens=30)
    model = infgram.Model(prose_index, infgram.KneserNey(), adapt=True)
    of_long: list[float] = []
    of_short: list[float] = []
    n_best = 0
    for context in contexts(prose[:PROSE], 40):
        native = drafter.propose_ids(list(context)).native
        law = dict(zip(model.token_ids.tolist(), model.distribution(context), strict=True))
        first = native.parents == -1
        told = zip(native.token_ids[first].tolist(), native.raw_probs[first], strict=True)
        errors = of_long if len(context) >= 100 else of_short
        errors += [abs(prob - law[token]) for token, prob in told]
        n_best += max(law, key=lambda token: law[token]) in native.token_ids[first]
    assert np.mean(of_long) < 0.01
    assert np.mean(of_short) < 0.04
    assert max(of_long) < 0.1
    assert n_best >= 38


def test_a_token_that_the_corpus_has_not_is_drafted_from_the_request(index: infgram.Index) -> None:
    drafter = Drafter(index, vocab_size=1000, max_tokens=3, tree=False)
    drafter.start("a", [700, 800, 900, 999, 700, 800])
    draft = drafter.propose("a")
    assert draft.path().tolist() == [900, 999, 700]
    assert draft.sources[0] == "live"
    assert draft.match_len == 2


def test_sources_are_named(index: infgram.Index) -> None:
    drafter = Drafter(index, max_tokens=1)
    drafter.start("a", list(b"whether tis nobler in "))
    assert drafter.propose("a").sources == ("static",)
    drafter.extend("a", list(b"xyz xy"))
    assert drafter.propose("a").sources == ("live",)
    drafter.stop("a")
    drafter.start("b", list(b"xy"))
    assert drafter.propose("b").sources == ("session",)


def test_codes_of_any_width_draft_the_same(memory_folder: Path) -> None:
    drafts = []
    for code_bits in (8, 16, 32):
        path = memory_folder / f"draft-{code_bits}.infgram"
        drafter = Drafter(make_index(path, [list(SOME)], code_bits=code_bits), max_tokens=20)
        drafter.start("a", list(b"to be or "))
        draft = drafter.propose("a")
        drafts.append((draft.token_ids.tolist(), draft.parents.tolist(), draft.probs.tolist()))
    assert drafts[0] == drafts[1] == drafts[2]


def test_several_indexes_draft_together(memory_folder: Path) -> None:
    texts = [list(b"the cat sat on the mat. " * 20), list(b"a dog lay in the sun. " * 20)]
    both = [
        make_index(memory_folder / f"draft-of-{i}.infgram", [text]) for i, text in enumerate(texts)
    ]
    drafter = Drafter(*both, max_tokens=4, tree=False)
    for context, expected in [(b"cat sat ", b"on t"), (b"dog lay ", b"in t")]:
        drafter.start(context, list(context))
        assert bytes(drafter.propose(context).path().tolist()) == expected
    believed = []
    for weight in (1.0, 0.3):
        drafter = Drafter(*both, weights=[1.0, weight], max_tokens=1)
        drafter.start("a", list(b"dog lay "))
        believed.append(float(drafter.propose("a").native.raw_probs[0]))
    assert 0.6 * believed[0] > believed[1] > 0.2 * believed[0]


# The best tree ------------------------------------------------------------------------------------


def test_parents_come_first_and_probabilities_fall(prose_index: infgram.Index) -> None:
    drafter = Drafter(prose_index, max_tokens=40)
    drafter.start("a", list(b"First Citizen:\nBefore we"))
    draft = drafter.propose("a")
    assert len(draft) == 40
    assert np.all(draft.parents < np.arange(40))
    assert np.all(np.diff(draft.probs) <= 1e-7)
    assert draft.expected_accept == pytest.approx(draft.probs.sum(), rel=1e-5)
    for i, parent in enumerate(draft.parents.tolist()):
        assert draft.probs[i] <= (draft.probs[parent] if parent >= 0 else 1.0) + 1e-7
    pairs = list(zip(draft.parents.tolist(), draft.token_ids.tolist(), strict=True))
    assert len(set(pairs)) == 40  # siblings differ


def paths(draft: Draft) -> list[tuple[int, ...]]:
    """From the context to each token of the tree."""
    found: list[tuple[int, ...]] = []
    for token, parent in zip(draft.token_ids.tolist(), draft.parents.tolist(), strict=True):
        found.append((*(found[parent] if parent >= 0 else ()), token))
    return found


def test_no_other_tree_of_its_size_is_expected_to_give_much_more(
    prose: bytes, prose_index: infgram.Index
) -> None:
    """As a large tree tells, for which all levels are read; a small one leaves what is least."""
    drafter = Drafter(prose_index)
    told, by_the_large = [], []
    for context in [b"First Citizen:\nBefore we", b"Romeo, w", b"zq", *contexts(prose[:PROSE], 16)]:
        large = drafter.propose_ids(list(context), 2000)
        probs = dict(zip(paths(large), large.probs.tolist(), strict=True))
        for size in (1, 4, 8, 16, 32):
            small = drafter.propose_ids(list(context), size)
            most = np.sort(large.probs)[-size:].sum()
            told.append(small.expected_accept / most)
            by_the_large.append(sum(probs.get(path, 0.0) for path in paths(small)) / most)
    assert 0.95 < np.mean(told) < 1.001
    assert min(told) > 0.75
    assert np.mean(by_the_large) > 0.98
    assert min(by_the_large) > 0.8


def test_a_path_is_a_path(prose_index: infgram.Index) -> None:
    drafter = Drafter(prose_index, max_tokens=12, tree=False)
    drafter.start("a", list(b"First Citizen:\n"))
    draft = drafter.propose("a")
    assert draft.parents.tolist() == list(range(-1, len(draft) - 1))
    assert draft.path().tolist() == draft.token_ids.tolist()


def test_the_shapes_that_engines_ask_for(prose_index: infgram.Index) -> None:
    drafter = Drafter(prose_index, max_tokens=20)
    drafter.start("a", list(b"What say y"))
    draft = drafter.propose("a")
    assert draft.positions(10).tolist() == [9 + d for d in draft.depths.tolist()]
    mask, paths = draft.mask(), draft.retrieve_indices()
    for i in range(20):
        above, at = set(), i
        while at >= 0:
            above.add(at)
            at = int(draft.parents[at])
        assert set(np.flatnonzero(mask[i]).tolist()) == above
        assert len(above) == draft.depths[i]
    assert set(paths[paths >= 0].tolist()) == set(range(20))
    for path in paths:
        places = path[path >= 0]
        assert draft.parents[places].tolist() == [-1, *places[:-1].tolist()]
    assert drafter.propose("a", 0).retrieve_indices().shape == (0, 0)


def test_min_prob_cuts_what_is_unlikely(prose_index: infgram.Index) -> None:
    drafter = Drafter(prose_index, max_tokens=30)
    drafter.start("a", list(b"What say y"))
    middle = float(drafter.propose("a").probs[[0, -1]].mean())
    draft = drafter.propose("a", min_prob=middle)
    assert 0 < len(draft) < 30
    assert draft.probs.min() > middle
    assert len(drafter.propose("a", min_prob=1.0)) == 0


def test_a_draft_is_as_large_as_pays(prose_index: infgram.Index) -> None:
    context = list(b"What say y")

    def size(cost: list[float]) -> int:
        return len(Drafter(prose_index, max_tokens=16, cost=cost).propose_ids(context))

    assert size([1.0] * 17) == 16
    assert size([1.0 + 10.0 * k for k in range(17)]) == 0
    assert size([1.0] * 5) == 4  # no larger one was measured
    probs = Drafter(prose_index, max_tokens=16).propose_ids(context).probs
    dear = [1.0 + 0.9 * float(probs[0]) * k for k in range(17)]
    assert 0 < size(dear) < 16
    cheap = [1.0 + 0.1 * k for k in range(17)]
    for cost in (dear, cheap):
        rates = [(1 + probs[:k].sum()) / cost[k] for k in range(17)]
        assert size(cost) == int(np.argmax(rates))


# Drawn drafts -------------------------------------------------------------------------------------


def test_drawn_tokens_have_the_law_that_is_told(prose_index: infgram.Index) -> None:
    drafter = Drafter(prose_index, max_tokens=3, vocab_size=256)
    drafter.start("a", list(b"What say y"))
    rng = np.random.default_rng(1)
    counts = np.zeros(256)
    second = np.zeros((256, 256))
    for _ in range(2000):
        draft = drafter.propose("a", sample=True, rng=rng)
        firsts = draft.token_ids[draft.children(-1)]
        assert len(set(firsts.tolist())) == len(firsts)
        counts[firsts[0]] += 1
        if len(firsts) > 1:
            second[firsts[0], firsts[1]] += 1
    ids, law = draft.q[-1]
    assert law.sum() == pytest.approx(1.0)
    expected = np.zeros(256)
    expected[ids] = 2000 * law
    likely = expected > 5
    assert np.all(counts[expected == 0] == 0)
    chi = ((counts - expected)[likely] ** 2 / expected[likely]).sum()
    assert chi < 4 * likely.sum() + 10
    assert np.trace(second) == 0


def test_a_seed_draws_the_same(prose_index: infgram.Index) -> None:
    drafts = []
    for _ in range(2):
        drafter = Drafter(prose_index, max_tokens=10)
        drafter.start("a", list(b"What say y"))
        drafts.append(drafter.propose("a", sample=True, rng=7).token_ids.tolist())
    assert drafts[0] == drafts[1]


# Learning -----------------------------------------------------------------------------------------


def expected_to_accepted(steps: list[tuple[Draft, int]]) -> float:
    return sum(draft.expected_accept for draft, _ in steps) / sum(n for _, n in steps)


def test_what_is_expected_of_unknown_prose_is_about_what_is_accepted(
    prose: bytes, part_index: infgram.Index
) -> None:
    text = np.frombuffer(prose[PART : PART + 6000], np.uint8).astype(np.uint32)
    replays = [replay(Drafter(part_index, max_tokens=n), text) for n in (1, 8, 32)]
    for steps in replays:
        assert expected_to_accepted(steps) == pytest.approx(1, abs=0.25)
    one, eight, many = map(tokens_a_step, replays)
    assert 1 < one < eight < many


def test_what_is_expected_of_shakespeare_is_what_is_accepted(
    training: infgram.Index, validation: bytes
) -> None:
    text = np.frombuffer(validation[:6000], np.uint8).astype(np.uint32)
    steps = replay(Drafter(training, max_tokens=8), text)
    assert expected_to_accepted(steps) == pytest.approx(1, abs=0.1)
    assert tokens_a_step(steps) > 2.4
    assert tokens_a_step(replay(Drafter(training, max_tokens=32), text)) > 3.2


def test_a_target_that_refuses_everything_is_learnt(index: infgram.Index) -> None:
    drafter = Drafter(index, max_tokens=4)
    drafter.start("a", list(b"to be "))
    before = drafter.propose("a").expected_accept
    for i in range(200):
        drafter.accept("a", [i * 7919 % 251], 0)
        drafter.extend("a", list(b"to be "))
        after = drafter.propose("a").expected_accept
    assert after < before / 3


def test_a_request_that_repeats_itself_is_soon_drafted() -> None:
    text = np.array([*range(50), *range(50), *range(50)], np.uint32)
    steps = replay(Drafter(vocab_size=50, max_tokens=8), text)
    assert tokens_a_step(steps) > 2.4  # the first fifty are new
    assert steps[-2][1] == 8


# Requests -----------------------------------------------------------------------------------------


def test_a_request_id_is_used_once_at_a_time(index: infgram.Index) -> None:
    drafter = Drafter(index)
    drafter.start("a", [1])
    with pytest.raises(RequestExists, match="'a'"):
        drafter.start("a", [2])
    drafter.stop("a")
    drafter.start("a", [2])
    assert len(drafter) == 1


def test_who_does_not_run_is_unknown(index: infgram.Index) -> None:
    drafter = Drafter(index)
    for ask in (drafter.propose, drafter.stop, lambda i: drafter.accept(i, [1])):
        with pytest.raises(UnknownRequest, match="'b'"):
            ask("b")
    with pytest.raises(KeyError):
        drafter.extend("b", [1])


def test_nothing_can_be_accepted_that_was_not_proposed(index: infgram.Index) -> None:
    drafter = Drafter(index)
    drafter.start("a", [1])
    with pytest.raises(NothingProposed, match="extend"):
        drafter.accept("a", [1])
    drafter.propose("a")
    drafter.accept("a", [1])
    with pytest.raises(NothingProposed):
        drafter.accept("a", [1])


@pytest.mark.parametrize("bad", [[256], [-1], [3, 1 << 40], [0.5], [[1]], "text"])
def test_token_ids_outside_the_vocabulary_change_nothing(index: infgram.Index, bad) -> None:
    drafter = Drafter(index)
    with pytest.raises(infgram.errors.TokenError):
        drafter.start("a", bad)
    assert len(drafter) == 0
    for name in ("a", "other"):
        drafter.start(name, list(b"to be or "))
    before = drafter.propose("a").token_ids.tolist()
    with pytest.raises(infgram.errors.TokenError):
        drafter.accept("a", bad)
    with pytest.raises(infgram.errors.TokenError):
        drafter.extend("a", bad)
    assert drafter.propose("a").token_ids.tolist() == before
    assert drafter.propose("other").token_ids.tolist() == before


def test_more_accepted_than_drafted_is_refused(index: infgram.Index) -> None:
    drafter = Drafter(index, tree=False)
    drafter.start("a", list(b"to be or "))
    draft = drafter.propose("a")
    with pytest.raises(InvalidParameter, match="num_accepted is 2"):
        drafter.accept("a", [int(draft.token_ids[0]), 0], 2)
    drafter.accept("a", [int(draft.token_ids[0]), 0], 1)


def test_a_draft_has_as_many_tokens_as_it_may_and_no_more_than_4096(index: infgram.Index) -> None:
    drafter = Drafter(index)
    drafter.start("a", list(b"to be or "))
    for draft in (drafter.propose("a", 4096), drafter.propose("a", 4096, sample=True, rng=1)):
        assert len(draft) == 4096
        assert (draft.parents < np.arange(4096)).all()
        edges = set(zip(draft.parents.tolist(), draft.token_ids.tolist(), strict=True))
        assert len(edges) == 4096
    likely = drafter.propose("a", 4096).probs
    assert (np.diff(likely) <= 0).all()
    for n in (-1, 4097, 10**9, 2**70, 8.0, "8"):
        for call in (
            lambda n=n: drafter.propose("a", n),
            lambda n=n: drafter.propose("a", n, sample=True),
            lambda n=n: drafter.propose_ids(list(b"to be"), n),
            lambda n=n: drafter.propose_batch(["a"], n),
        ):
            with pytest.raises(InvalidParameter, match=r"max_tokens is .*from 0 to 4096"):
                call()


@pytest.mark.parametrize(
    "options",
    [
        {"max_tokens": -1},
        {"max_tokens": 4097},
        {"cost": []},
        {"cost": [1.0, -1.0]},
        {"cost": [1.0, float("nan")]},
        {"cost": "fast"},
        {"cost": 5},
        {"cost": [None]},
        {"cost": [10**400]},
        {"session_tokens": -1},
        {"session_tokens": 2**40},
        {"session_tokens": "x"},
        {"request_tokens": 0},
        {"request_tokens": 2**40},
        {"max_requests": 0},
        {"max_requests": 1.5},
        {"tree": "no"},
        {"tree": 2},
        {"tree": None},
        {"vocab_size": 0},
        {"vocab_size": 256.0},
        {"vocab_size": "x"},
        {"vocab_size": float("nan")},
        {"vocab_size": True},
        {"vocab_size": 2**40},
        {"weights": [1.0, 1.0]},
        {"weights": [0.0]},
        {"weights": [1.5]},
        {"weights": [float("nan")]},
        {"weights": "a"},
        {"weights": 0.5},
        {"weights": [None]},
        {"weights": ["x"]},
        {"weights": [True]},
        {"weights": {1.0}},
    ],
)
def test_what_a_drafter_cannot_be_made_from_is_refused(index: infgram.Index, options) -> None:
    with pytest.raises(InvalidParameter, match=next(iter(options)).split("_")[0]):
        Drafter(index, **options)


@pytest.mark.parametrize("vocab_size", [0, -1, "x", 256.0, float("nan"), True, 2**40])
def test_a_vocabulary_has_a_size_without_an_index_too(vocab_size) -> None:
    with pytest.raises(InvalidParameter, match="vocab_size is"):
        Drafter(vocab_size=vocab_size)


@pytest.mark.parametrize(
    "options",
    [
        *({"min_prob": found} for found in (float("nan"), -0.5, 2, "x", None)),
        *({"tree": found} for found in ("no", 2, [])),
        {"sample": "x"},
        *(
            {"temperature": found, "sample": True}
            for found in (0, -1, float("nan"), float("inf"), 10**400, "x", None)
        ),
    ],
)
def test_what_no_draft_can_have_is_refused(index: infgram.Index, options) -> None:
    drafter = Drafter(index)
    drafter.start("a", list(b"to be or "))
    with pytest.raises(InvalidParameter, match=f"{next(iter(options))} is .*, expected"):
        drafter.propose("a", **options)
    with pytest.raises(InvalidParameter, match=f"{next(iter(options))} is .*, expected"):
        drafter.propose_batch(["a"], **options)
    assert len(drafter.propose("a")) == 8


@pytest.mark.parametrize("found", ["a", None, 5])
def test_a_batch_is_of_several_requests(index: infgram.Index, found) -> None:
    drafter = Drafter(index)
    drafter.start("a", list(b"to be or "))
    with pytest.raises(InvalidParameter, match=r"request_ids is .*, expected several"):
        drafter.propose_batch(found)


@pytest.mark.parametrize("n", [-1, 5, 2**70, 1.5, "x", True])
def test_how_many_were_accepted_is_a_number_of_those_given(index: infgram.Index, n) -> None:
    drafter = Drafter(index)
    drafter.start("a", list(b"to be or "))
    drafter.propose("a")
    with pytest.raises(InvalidParameter, match=r"num_accepted is .* from 0 to 4"):
        drafter.accept("a", list(b"not "), n)
    drafter.accept("a", list(b"not "))


def test_indexes_of_a_request_are_several(index: infgram.Index) -> None:
    drafter = Drafter(index)
    for found in (index, "x", 5):
        with pytest.raises(InvalidParameter, match=r"indexes is .*, expected several"):
            drafter.start("a", [1], indexes=found)
    with pytest.raises(InvalidParameter, match="of which the drafter has 0"):
        drafter.start("a", [1], indexes=[None])
    assert len(drafter) == 0


def test_a_draft_is_asked_for_tokens(index: infgram.Index) -> None:
    draft = Drafter(index).propose_ids(list(b"to be or "))
    for ids in ([-1], [2**40], [0.5], [True], "text"):
        with pytest.raises(infgram.errors.TokenError):
            draft.accepted(ids)
    for parent, token in ((-2, 3), (2**40, 3), (-1, -3), (-1, 2**40), (-1, "x")):
        with pytest.raises(InvalidParameter, match=r"(parent|token) is .*, expected"):
            draft.child(parent, token)


def test_an_index_of_another_tokenizer_is_refused(
    index: infgram.Index, memory_folder: Path
) -> None:
    with pytest.raises(TokenizerUnavailable, match="another tokenizer"):
        Drafter(index, vocab_size=100)
    chars = make_index(
        memory_folder / "draft-chars.infgram",
        [[1, 2, 3]],
        tokenizer=load("chars"),
    )
    with pytest.raises(TokenizerUnavailable, match="another tokenizer"):
        Drafter(index, chars)
    with pytest.raises(InvalidParameter, match="vocab_size"):
        Drafter()


def test_requests_do_not_see_each_other(index: infgram.Index) -> None:
    drafter, alone = Drafter(index, max_tokens=6), Drafter(index, max_tokens=6)
    alone.start("a", list(b"to be or "))
    drafter.start("a", list(b"to be or "))
    drafter.start("b", list(b"quite another text, quite another"))
    first = drafter.propose("a")
    drafter.propose("b")
    assert first.token_ids.tolist() == alone.propose("a").token_ids.tolist()
    both = drafter.propose_batch(["b", "a"])
    assert both[1].token_ids.tolist() == first.token_ids.tolist()
    assert bytes(both[0].path().tolist()).startswith(b" text"[:1])


def test_drafts_of_a_batch_have_the_length_that_pays_for_all(prose_index: infgram.Index) -> None:
    """By the definition: as many tokens a second as any length gives, of which each text pays."""
    cost = np.array([1.0, 1.1, 1.2, 1.4, 1.6, 1.9, 2.3, 2.8, 3.3])
    contexts = [b"the ", b"and the ", b"qzx"]
    free, drafter = (Drafter(prose_index, max_tokens=8, cost=each) for each in (None, cost))
    for n_texts in (1, 2, 3):
        names = list(range(n_texts))
        slope = (cost[8] - cost[4]) / 4
        step = [
            float(np.interp(n, range(9), cost)) + slope * max(0, n - 8)
            for n in (n_texts * (k + 1) - 1 for k in range(9))
        ]
        for each in (free, drafter):
            for name in names:
                each.start(name, list(contexts[name]))
        alone = [free.propose(name) for name in names]

        def size(probs: np.ndarray) -> int:
            rates = [(1 + probs[:k].sum()) / step[k] for k in range(len(probs) + 1)]  # noqa: B023
            return int(np.argmax(rates))

        shares = [draft.probs[: size(draft.probs)] for draft in alone]
        length = size_of_all = 0
        best = 0.0
        for length in range(max(map(len, shares)) + 1):
            rate = (n_texts + sum(share[:length].sum() for share in shares)) / step[length]
            if rate > best:
                best, size_of_all = rate, length
        found = drafter.propose_batch(names)
        assert [draft.token_ids.tolist() for draft in found] == [
            draft.token_ids[: min(len(share), size_of_all)].tolist()
            for draft, share in zip(alone, shares, strict=True)
        ]
        for each, name in ((each, name) for each in (free, drafter) for name in names):
            each.stop(name, keep=False)


def test_a_batch_has_a_limit_for_each_draft(index: infgram.Index) -> None:
    drafter = Drafter(index)
    drafter.start("a", list(b"to be or "))
    drafter.start("b", list(b"to be "))
    assert [len(draft) for draft in drafter.propose_batch(["a", "b"], [0, 2])] == [0, 2]
    with pytest.raises(InvalidParameter, match="one for each of 2"):
        drafter.propose_batch(["a", "b"], [1])
    with pytest.raises(InvalidParameter, match="batch_size"):
        drafter.propose("a", batch_size=0)


def test_the_request_used_least_recently_is_forgotten(index: infgram.Index) -> None:
    drafter = Drafter(index, max_requests=2)
    drafter.start("a", [1])
    drafter.start("b", [1])
    drafter.propose("a")
    drafter.start("c", [1])
    with pytest.raises(UnknownRequest, match="forgotten"):
        drafter.propose("b")
    drafter.propose("a")


def test_stateless_drafts_are_those_of_a_new_request(index: infgram.Index) -> None:
    drafter = Drafter(index)
    context = list(b"or not to be, to be or ")
    drafter.start("a", context)
    kept = drafter.propose("a")
    given_whole = drafter.propose_ids(context)
    assert given_whole.token_ids.tolist() == kept.token_ids.tolist()
    assert len(drafter) == 1


def test_a_session_remembers_what_was_written_and_forgets_what_is_old() -> None:
    drafter = Drafter(vocab_size=1000, session_tokens=100, max_tokens=3, tree=False)
    for i in range(30):
        drafter.start(i, [1])
        drafter.extend(i, list(range(10 * i, 10 * i + 10)))
        drafter.stop(i)
    assert drafter.propose_ids([291, 292]).path().tolist() == [293, 294, 295]
    assert drafter.propose_ids([1, 2]).match_len == 0
    drafter.start("not kept", [1])
    drafter.extend("not kept", [990, 991, 992])
    drafter.stop("not kept", keep=False)
    assert drafter.propose_ids([990]).match_len == 0


def test_drafts_repeat(prose: bytes, part_index: infgram.Index) -> None:
    text = np.frombuffer(prose[PART : PART + 800], np.uint8).astype(np.uint32)
    runs = []
    for _ in range(2):
        steps = replay(Drafter(part_index, max_tokens=8), text)
        runs.append([(draft.token_ids.tolist(), draft.probs.tolist(), n) for draft, n in steps])
    assert runs[0] == runs[1]


def test_a_token_out_of_range_names_itself(index: infgram.Index) -> None:
    with pytest.raises(TokenOutOfRange, match="256"):
        Drafter(index).start("a", [256])


# Sessions -----------------------------------------------------------------------------------------


@pytest.fixture
def experienced() -> Drafter:
    """A drafter whose session has something to go on with."""
    drafter = Drafter(vocab_size=1000, max_tokens=3, tree=False)
    for _ in range(3):
        drafter.start("a", [1])
        drafter.propose("a")
        drafter.accept("a", [10, 11, 12, 13])
        drafter.stop("a")
    return drafter


def test_a_saved_session_goes_on(experienced: Drafter, tmp_path: Path) -> None:
    experienced.save_session(tmp_path / "session")
    other = Drafter(vocab_size=1000, max_tokens=3, tree=False)
    other.load_session(tmp_path / "session")
    draft, same = other.propose_ids([10]), experienced.propose_ids([10])
    assert draft.path().tolist() == [11, 12, 13]
    assert draft.probs.tolist() == same.probs.tolist()
    assert set(draft.sources) == {"session"}
    assert [path.name for path in tmp_path.iterdir()] == ["session"]


def test_a_session_can_be_forgotten(experienced: Drafter) -> None:
    experienced.forget_session()
    assert experienced.propose_ids([10]).match_len == 0


def test_a_loaded_session_keeps_to_the_memory_there_is(
    experienced: Drafter, tmp_path: Path
) -> None:
    experienced.save_session(tmp_path / "session")
    for session_tokens in (0, 6):
        small = Drafter(vocab_size=1000, max_tokens=3, session_tokens=session_tokens, tree=False)
        small.load_session(tmp_path / "session")
        assert small.propose_ids([10]).match_len == min(session_tokens, 1)


def test_a_session_is_read_in_the_memory_that_it_takes(
    experienced: Drafter, tmp_path: Path
) -> None:
    experienced.save_session(tmp_path / "session")
    tracemalloc.start()
    experienced.load_session(tmp_path / "session")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10 << 20


def test_what_is_no_session_is_refused_and_the_old_one_stays(
    experienced: Drafter, tmp_path: Path
) -> None:
    path = tmp_path / "session"
    experienced.save_session(path)
    whole = path.read_bytes()
    for content in [b"", b"text", whole[: len(whole) // 2], whole[:-1], b"\0" * 100]:
        path.write_bytes(content)
        with pytest.raises(NotASession, match="not a session"):
            experienced.load_session(path)
    for place in range(0, len(whole), 211):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with contextlib.suppress(NotASession):  # some bytes of a zip say nothing
            experienced.load_session(path)
    np.savez(path.with_suffix(".npz"), format=1, vocab_size=1000)
    with pytest.raises(NotASession):
        experienced.load_session(path.with_suffix(".npz"))
    assert experienced.propose_ids([10]).path().tolist() == [11, 12, 13]
    with pytest.raises(FileNotFoundError):
        experienced.load_session(tmp_path / "missing")


def test_a_session_with_what_cannot_be_changes_nothing(
    experienced: Drafter, tmp_path: Path
) -> None:
    experienced.save_session(tmp_path / "session")
    with np.load(tmp_path / "session") as file:
        arrays = {name: file[name] for name in file.files}
    for name, value in [
        ("token_ids", np.array([1000], np.uint32)),
        ("chosen", np.full_like(arrays["chosen"], 2.0)),
        ("drawn", arrays["drawn"][:-1]),
        ("token_ids", arrays["token_ids"].astype(np.int64)),
        ("format", np.array(2)),
        ("format", np.array(np.inf)),
        ("vocab_size", np.array(np.nan)),
    ]:
        with open(tmp_path / "damaged", "wb") as file:
            np.savez(file, **{**arrays, name: value})
        with pytest.raises(NotASession):
            experienced.load_session(tmp_path / "damaged")
        assert experienced.propose_ids([10]).path().tolist() == [11, 12, 13]


def test_a_session_of_another_model_is_refused(experienced: Drafter, tmp_path: Path) -> None:
    experienced.save_session(tmp_path / "session")
    with pytest.raises(TokenizerUnavailable, match=r"1,000 tokens.* 999"):
        Drafter(vocab_size=999).load_session(tmp_path / "session")


def test_totals_count_what_drafts_came_to(index: infgram.Index) -> None:
    drafter = Drafter(index, max_tokens=2, tree=False)
    assert np.isnan(drafter.totals.tokens_per_step)
    drafter.start("a", list(b"to be or "))
    expected = drafter.propose("a").expected_accept
    drafter.accept("a", list(b"not"), 2)
    drafter.extend("a", list(b" to"))
    totals = drafter.totals
    assert (totals.steps, totals.drafted, totals.accepted, totals.written) == (1, 2, 2, 3)
    assert totals.expected == expected
    assert totals.tokens_per_step == 3.0


def test_memory_is_bounded_over_a_days_requests(index: infgram.Index) -> None:
    """More requests than are kept, more output than a session holds; none of it piles up."""
    drafter = Drafter(index, session_tokens=2000, request_tokens=100, max_requests=8)
    output = list(SOME[:60])

    def serve(begin: int, end: int) -> None:
        for i in range(begin, end):
            drafter.start(i, [i % 251])
            drafter.propose(i)
            drafter.accept(i, [i * 7 % 251])
            drafter.extend(i, output[i % 7 :])
            if i % 3:  # the others are never stopped
                drafter.stop(i)

    serve(0, examples(500))
    before = resident_bytes()
    serve(examples(500), examples(5000))
    assert len(drafter) <= 8
    assert resident_bytes() - before < 4 << 20


def resident_bytes() -> int:
    """Of this process; it may shrink again, unlike its peak."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip("needs Linux")
    return int(statm.read_text().split()[1]) * resource.getpagesize()


# Threads ------------------------------------------------------------------------------------------


def test_threads_that_share_a_drafter_get_the_drafts_that_one_thread_gets(
    index: infgram.Index,
) -> None:
    texts = [SOME[i : i + 40] for i in range(0, 80, 10)]

    def drafts(drafter: Drafter, name: int) -> list[tuple[list[int], list[int]]]:
        found = []
        for round_ in range(examples(5)):
            drafter.start((name, round_), list(texts[name][:5]))
            for token in texts[name][5:]:
                draft = drafter.propose((name, round_))
                found.append((draft.token_ids.tolist(), draft.parents.tolist()))
                drafter.extend((name, round_), [token])
            drafter.stop((name, round_))
        return found

    options = {"max_tokens": 6, "session_tokens": 0}
    alone = [drafts(Drafter(index, **options), name) for name in range(8)]
    shared = Drafter(index, **options)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda name: drafts(shared, name), range(8))) == alone
    assert len(shared) == 0


def test_of_threads_that_do_the_same_to_a_request_one_does_it(index: infgram.Index) -> None:
    drafter = Drafter(index)

    def outcomes(call, error: type[Exception]) -> list[bool]:
        def did(_: int) -> bool:
            try:
                call()
            except error:
                return False
            return True

        return list(pool.map(did, range(8)))

    with ThreadPoolExecutor(8) as pool:
        for round_ in range(examples(50)):
            started = outcomes(lambda r=round_: drafter.start(r, list(b"to be")), RequestExists)
            assert sum(started) == 1
            drafter.propose(round_)
            accepted = outcomes(lambda r=round_: drafter.accept(r, list(b" or")), NothingProposed)
            assert sum(accepted) == 1
            assert sum(outcomes(lambda r=round_: drafter.stop(r), UnknownRequest)) == 1
    assert drafter.totals.steps == examples(50)


# What one request asks for ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_indexes(memory_folder: Path) -> list[infgram.Index]:
    texts = {"letters": b"abcdefgh" * 20, "numbers": b"abcd1234" * 20}
    return [
        make_index(memory_folder / f"draft-{name}.infgram", [list(text)])
        for name, text in texts.items()
    ]


@pytest.mark.parametrize("sample", [False, True], ids=["chosen", "drawn"])
def test_a_request_is_drafted_from_the_indexes_that_it_names(
    two_indexes: list[infgram.Index], sample: bool
) -> None:
    """As by a drafter that has no others."""
    both = Drafter(*two_indexes, max_tokens=4, session_tokens=0)
    how = {"sample": True, "rng": 3} if sample else {}
    for chosen in ([], two_indexes[:1], two_indexes[1:], two_indexes, two_indexes[::-1]):
        alone = Drafter(
            *[index for index in two_indexes if index in chosen],
            max_tokens=4,
            vocab_size=256,
            session_tokens=0,
        )
        both.start("a", list(b"xabcd"), indexes=chosen)
        alone.start("a", list(b"xabcd"))
        for step in range(3):
            found, expected = both.propose("a", **how), alone.propose("a", **how)
            # Discounts of live text are those of the first index.
            same_law = two_indexes[0] in chosen
            if same_law or not sample:
                assert found.token_ids.tolist() == expected.token_ids.tolist(), step
            if same_law:
                assert np.allclose(found.probs, expected.probs)
            both.extend("a", list(b"e" if step else b"f"))
            alone.extend("a", list(b"e" if step else b"f"))
        both.stop("a")
    both.start("all", list(b"xabcd"))
    assert set(both.propose("all").token_ids.tolist()) >= set(b"e1")


def test_indexes_that_a_drafter_lacks_are_refused(
    index: infgram.Index, two_indexes: list[infgram.Index]
) -> None:
    drafter = Drafter(*two_indexes)
    with pytest.raises(InvalidParameter, match="has 2, of which the drafter has 1"):
        drafter.start("a", [1], indexes=[index, two_indexes[0]])
    assert len(drafter) == 0


def test_a_request_may_ask_for_a_path_where_others_get_trees(index: infgram.Index) -> None:
    drafter = Drafter(index, max_tokens=8)
    drafter.start("a", list(b"to be or not t"))
    path, tree = drafter.propose("a", tree=False), drafter.propose("a")
    assert path.parents.tolist() == list(range(-1, len(path) - 1))
    assert tree.parents.tolist() != list(range(-1, len(tree) - 1))


@pytest.mark.parametrize("temperature", [1e-4, 1e-2, 0.1])
def test_laws_at_low_temperatures_are_laws(index: infgram.Index, temperature: float) -> None:
    """All powers of probabilities vanish, and something has to be drawn."""
    drafter = Drafter(index, max_tokens=6)
    drafter.start("a", list(b"to be or not t"))
    draft = drafter.propose("a", sample=True, temperature=temperature, rng=1)
    assert len(draft)
    for ids, law in draft.q.values():
        assert len(ids) == len(law)
        assert law.sum() == pytest.approx(1.0)
