"""Judging models: perplexity, reliability and level statistics, by hand and by definition."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import PART, examples, make_index
from hypothesis import given, settings
from hypothesis import strategies as st

import infgram
from infgram import SBIS, KneserNey, Longest, Model
from infgram.errors import InvalidParameter
from infgram.models.evaluate import level_statistics, perplexity, published_perplexity, reliability
from infgram.text.tokens import ABSENT, load

ESTIMATORS = [KneserNey(), SBIS(k=-1), SBIS(k=2, floor=1e-4), Longest()]
small_texts = st.text("abc", max_size=30).map(str.encode)


@pytest.fixture(scope="module")
def thirds(memory_folder: Path) -> Model:
    """After "x" stands "a" twice and "b" once; after both stands "x", or the end."""
    index = make_index(memory_folder / "thirds.infgram", [list(b"xaxaxb")])
    return Model(index, SBIS(k=1))


# Perplexity ---------------------------------------------------------------------------------------


def test_perplexity_is_that_of_the_probabilities(thirds: Model) -> None:
    found = perplexity(thirds, "axb", context="x")  # 2/3, 1, and after "xax" 1/2
    assert (found.n_tokens, found.n_bytes, found.n_zero) == (3, 3, 0)
    assert found.nats_per_token == pytest.approx(math.log(3) / 3)
    assert found.perplexity == found.perplexity_nonzero == pytest.approx(3 ** (1 / 3))
    assert found.bits_per_byte == pytest.approx(math.log2(3) / 3)


def test_a_token_of_probability_zero_is_counted_and_makes_perplexity_infinite(
    thirds: Model,
) -> None:
    found = perplexity(thirds, "aa", context="x")
    assert found.n_zero == 1
    assert found.nats_per_token == found.perplexity == found.bits_per_byte == math.inf
    assert found.perplexity_nonzero == pytest.approx(3 / 2)
    assert perplexity(thirds, "?", context="x").perplexity_nonzero == math.inf


def test_each_of_several_texts_is_read_on_its_own(thirds: Model) -> None:
    found = perplexity(thirds, "a", b"b", [ord("a")], context="x")
    assert (found.n_tokens, found.n_bytes, found.n_zero) == (3, 3, 0)
    assert found.perplexity == pytest.approx((2 / 3 * 1 / 3 * 2 / 3) ** (-1 / 3))


@pytest.mark.parametrize("estimator", [KneserNey(), SBIS(k=-1, floor=1e-6)])
def test_a_text_with_bytes_nobody_saw_costs_little_more(
    prose: bytes, part_index: infgram.Index, estimator: Any
) -> None:
    text = prose[PART : PART + 60_000]
    holes = np.linspace(100, len(text) - 100, 12).astype(int).tolist()
    unseen = np.setdiff1d(np.arange(256), part_index.alphabet).tolist()
    with_unseen = b"".join(
        text[a:b] + bytes([unseen[i]])
        for i, (a, b) in enumerate(zip([0, *holes], holes, strict=False))
    )
    with_unseen += text[holes[-1] :]
    model = Model(part_index, estimator)
    without, found = perplexity(model, text), perplexity(model, with_unseen)
    assert found.n_unknown == 12 and found.n_zero == without.n_unknown == 0
    assert found.bits_per_byte == pytest.approx(without.bits_per_byte, rel=0.01)
    assert found.perplexity_known == pytest.approx(without.perplexity, rel=0.01)


def test_documents_count_from_their_beginning_to_their_end(memory_folder: Path) -> None:
    index = make_index(memory_folder / "ends.infgram", [list(b"ab"), list(b"ab"), list(b"b")])
    model = Model(index, SBIS(k=1))
    found = perplexity(model, "ab", b"b", bos=True, eos=True)
    assert (found.n_tokens, found.n_bytes) == (5, 3)
    # a is 2 of 3 beginnings, b the third; the end follows each b, where the corpus goes on
    assert found.nats_per_token == pytest.approx(-math.log(2 / 3 * 1 / 3) / 5)
    assert found.bits_per_byte == pytest.approx(-math.log2(2 / 3 * 1 / 3) / 3)
    spelt = perplexity(model, [*b"ab", index.end_of_text, *b"b", index.end_of_text], bos=True)
    assert spelt == found
    assert perplexity(model, "", eos=True).n_tokens == 1
    alone = make_index(memory_folder / "alone.infgram", [list(b"ab")])
    assert perplexity(Model(alone), "ab", eos=True).n_unknown == 1  # no document ends there


# Comparison ---------------------------------------------------------------------------------------


def test_the_model_that_needs_fewer_bits_is_the_better_one(memory_folder: Path) -> None:
    corpora = {"one": b"to be or not to be", "two": b"the quality of mercy is not strained"}
    models = [
        Model(make_index(memory_folder / f"{name}.infgram", [list(text)]))
        for name, text in corpora.items()
    ]
    texts = ["to be or", "mercy", "", "not to be or not to be"]
    found = infgram.compare(models, *texts)
    assert found.best == (0, 1, None, 0)
    assert found.best_in_total == 0
    for text, row in zip(texts, found.documents, strict=True):
        assert list(row) == [perplexity(model, text) for model in models if text]
    assert list(found.total) == [perplexity(model, *texts) for model in models]
    same = infgram.compare([models[0], models[0]], "to be")
    assert same.best == (None,) and same.best_in_total is None
    chars = make_index(
        memory_folder / "compared-chars.infgram",
        [[ord(c) for c in "é to be"]],
        tokenizer=load("chars"),
    )
    assert infgram.compare([models[0], Model(chars)], "é").best == (1,)


def test_nothing_to_compare_is_refused(thirds: Model) -> None:
    with pytest.raises(InvalidParameter, match="0 models"):
        infgram.compare([], "a")
    with pytest.raises(InvalidParameter, match="no token to predict"):
        infgram.compare([thirds])


@pytest.mark.parametrize("texts", [(), ("",), ("", b"")])
def test_a_text_without_tokens_has_no_perplexity(thirds: Model, texts: tuple[Any, ...]) -> None:
    for measure in (
        lambda: perplexity(thirds, *texts),
        lambda: reliability(thirds, *texts),
        lambda: published_perplexity(thirds.indexes[0], *texts),
    ):
        with pytest.raises(InvalidParameter, match="no token to predict"):
            measure()


def test_bytes_are_those_of_the_text_whatever_a_token_is(memory_folder: Path) -> None:
    text = "né né"
    chars = make_index(
        memory_folder / "chars.infgram",
        [load("chars").encode(text)],
        tokenizer=load("chars"),
    )
    for query in (text, text.encode(), chars.ids(text)):
        found = perplexity(Model(chars), query)
        assert (found.n_tokens, found.n_bytes) == (5, 7)
        assert found.bits_per_byte == pytest.approx(found.nats_per_token * 5 / 7 / math.log(2))
    ids = make_index(
        memory_folder / "ids.infgram", [[3, 1, 3, 1]], tokenizer=load("ids", vocab_size=5)
    )
    found = perplexity(Model(ids), [3, 1])
    assert (found.n_bytes, found.bits_per_byte) == (None, None)


@settings(max_examples=examples(60))
@given(
    corpus=small_texts.filter(bool),
    text=small_texts.filter(bool),
    context=small_texts,
    estimator=st.sampled_from(ESTIMATORS),
)
def test_perplexity_follows_from_the_distributions(
    memory_folder: Path, corpus: bytes, text: bytes, context: bytes, estimator: Any
) -> None:
    index = make_index(memory_folder / "perplexity.infgram", [list(corpus)])
    model = Model(index, estimator)
    nats, zero, unknown, known_nats = 0.0, 0, 0, 0.0
    for i, token in enumerate(text):
        probs = model.distribution(context + text[:i])
        is_known = token in model.token_ids
        prob = probs[model.token_ids == token].sum() if is_known else probs[-1] / model.n_unseen
        zero += prob == 0
        unknown += not is_known
        nats -= math.log(prob) if prob else 0.0
        if is_known:
            known_nats += -math.log(prob) if prob else math.inf
    found = perplexity(model, text, context=context)
    assert (found.n_zero, found.n_unknown) == (zero, unknown)
    if unknown < len(text):
        assert found.perplexity_known == pytest.approx(np.exp(known_nats / (len(text) - unknown)))
    else:
        assert found.perplexity_known == math.inf
    assert (found.perplexity == math.inf) == (zero > 0)
    if zero < len(text):
        assert math.log(found.perplexity_nonzero) == pytest.approx(nats / (len(text) - zero))


# The published protocol ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("k", "expected"),
    [(1, 4036.1918), (2, 97.7349), (3, 18.2353), (5, 7.1026), (-1, 6.0625)],
)
def test_perplexities_of_sbis_are_the_published_ones(
    training: infgram.Index, validation: bytes, k: int, expected: float
) -> None:
    found = published_perplexity(training, validation, k=k)
    assert found.n_tokens == len(validation) - 1
    assert found.perplexity == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("k", "expected"), [(1, 1.00), (2, 1.17), (3, 1.28), (5, 1.42), (-1, 1.45)]
)
def test_perplexities_of_the_training_text_are_the_published_ones(
    training: infgram.Index, k: int, expected: float
) -> None:
    text = training.document(0).token_ids
    assert round(published_perplexity(training, text, k=k).perplexity, 2) == expected


def test_the_published_protocol_floors_what_has_no_probability(thirds: Model) -> None:
    (index,) = thirds.indexes
    found = published_perplexity(index, "xaa?a", k=1)
    # 2/3; nothing but x follows xa; ? is unknown; nothing is known of what follows ?
    assert (found.n_tokens, found.n_bytes, found.n_zero) == (4, 4, 3)
    assert found.nats_per_token == pytest.approx((math.log(3 / 2) - 3 * math.log(1e-10)) / 4)
    assert found.perplexity_nonzero == pytest.approx(3 / 2)


def test_the_published_protocol_sees_a_hundred_tokens(memory_folder: Path) -> None:
    documents = [b"a" + 99 * b"-" + b"A", b"b" + 100 * b"-" + b"B", b"c" + 100 * b"-" + b"C"]
    index = make_index(memory_folder / "window.infgram", [list(text) for text in documents])
    near, far, _ = (published_perplexity(index, text, k=1) for text in documents)
    assert near.perplexity == 1
    assert far.nats_per_token * far.n_tokens == pytest.approx(math.log(2))  # B, or C?


def test_both_weightings_can_be_measured_as_published(
    prose: bytes, part_index: infgram.Index
) -> None:
    counts, distributions = (
        published_perplexity(part_index, prose[PART : PART + 30_000], k=3, weighting=weighting)
        for weighting in ("counts", "distributions")
    )
    assert counts.n_zero == distributions.n_zero
    assert counts.perplexity != pytest.approx(distributions.perplexity, rel=0.01)


# Reliability --------------------------------------------------------------------------------------


class Stub(Model):
    """A model of given distributions over the tokens 9 (end of text), 1 and 2, and 4 others."""

    def __init__(self, probs: Any, targets: Any) -> None:
        self.token_ids = np.array([9, 1, 2, ABSENT], np.uint32)
        self.n_unseen = 4
        self._probs = np.array(probs, np.float64)
        if self._probs.shape[1] == 3:
            self._probs = np.pad(self._probs, ((0, 0), (0, 1)))
        self._targets = np.array(targets, np.uint32)

    def distributions(self, _text: Any, **_how: Any) -> Iterator[Any]:
        for half in (slice(0, 2), slice(2, None)):  # chunks
            yield self._targets[half], self._probs[half]


def test_bins_hold_what_was_predicted_and_what_came() -> None:
    probs = [[0.0, 0.8, 0.2], [0.0, 0.7, 0.3], [0.1, 0.6, 0.3], [0.0, 0.0, 1.0]]
    found: Any = reliability(Stub(probs, [1, 2, 1, 2]), "", n_bins=2)
    assert found.n_tokens == 4
    assert found.top.edges.tolist() == [0.0, 0.5, 1.0]
    assert found.top.counts.tolist() == [0, 4]
    assert found.confidence == pytest.approx((0.8 + 0.7 + 0.6 + 1.0) / 4)
    assert found.accuracy == 3 / 4
    assert found.ece == pytest.approx(abs(0.775 - 0.75))
    assert found.tokens.edges.tolist() == [0.0, 0.5, 1.0]
    assert found.tokens.counts.tolist() == [12, 4]
    assert found.tokens.predicted == pytest.approx([0.9 / 12, 3.1 / 4])
    assert found.tokens.actual == pytest.approx([1 / 12, 3 / 4])
    assert found.tokens.error == pytest.approx((abs(0.9 - 1) + abs(3.1 - 3)) / 16)
    assert found.actual_nats == pytest.approx(-math.log(0.8 * 0.3 * 0.6 * 1.0) / 4)
    entropy = sum(-p * math.log(p) for row in probs for p in row if p)
    assert found.expected_nats == pytest.approx(entropy / 4)
    assert found.expected_perplexity == pytest.approx(math.exp(entropy / 4))


def test_bins_of_tokens_each_are_twice_as_probable() -> None:
    probs = [[0.0, 0.5, 0.5], [0.01, 0.24, 0.75]]
    found = reliability(Stub(probs, [1, 2]), "", n_bins=4)
    assert found.tokens.edges.tolist() == [0.0, 0.125, 0.25, 0.5, 1.0]
    assert found.tokens.counts.tolist() == [4, 1, 0, 3]
    assert np.isnan(found.tokens.predicted[2]) and np.isnan(found.tokens.actual[2])
    assert found.tokens.error < 1


def test_a_text_drawn_from_the_distributions_is_as_expected() -> None:
    rng = np.random.default_rng(0)
    probs = rng.dirichlet([0.5, 1.0, 2.0], 40_000)
    drawn = (rng.random(len(probs))[:, None] > probs.cumsum(axis=1)).sum(axis=1)
    targets = np.array([9, 1, 2])[drawn]
    found = reliability(Stub(probs, targets), "")
    assert found.ece < 0.02
    assert found.actual_perplexity == pytest.approx(found.expected_perplexity, rel=0.02)
    sharpened = probs**3 / (probs**3).sum(axis=1, keepdims=True)
    too_sure = reliability(Stub(sharpened, targets), "")
    assert too_sure.accuracy == found.accuracy
    assert too_sure.ece > 0.1
    assert too_sure.confidence > too_sure.accuracy
    assert too_sure.actual_perplexity > 1.2 * too_sure.expected_perplexity


@pytest.mark.parametrize("token", [9, 7])
def test_a_token_of_probability_zero_makes_the_actual_perplexity_infinite(token: int) -> None:
    """Of the alphabet (9) or not (7)."""
    probs = [[0.0, 0.4, 0.6], [0.0, 0.4, 0.6]]
    found = reliability(Stub(probs, [2, token]), "")
    assert found.actual_perplexity == math.inf
    assert found.expected_perplexity < 2
    assert found.accuracy == 0.5
    assert (found.tokens.counts * np.nan_to_num(found.tokens.actual)).sum() == 2


def test_what_no_corpus_has_is_one_prediction_that_tokens_share() -> None:
    probs = [[0.0, 0.4, 0.4, 0.2], [0.0, 0.1, 0.1, 0.8]]
    found = reliability(Stub(probs, [7, 8]), "")
    assert found.actual_nats == pytest.approx(-math.log(0.2 / 4 * 0.8 / 4) / 2)
    each = [0.4, 0.4, *[0.05] * 4], [0.1, 0.1, *[0.2] * 4]
    entropy = sum(-p * math.log(p) for row in each for p in row)
    assert found.expected_nats == pytest.approx(entropy / 2)
    assert found.accuracy == 0 and found.confidence == pytest.approx((0.4 + 0.1) / 2)
    assert (found.tokens.counts * np.nan_to_num(found.tokens.actual)).sum() == 2


@settings(max_examples=examples(60))
@given(
    corpus=small_texts.filter(bool),
    texts=st.lists(small_texts.filter(bool), min_size=1, max_size=3),
    estimator=st.sampled_from(ESTIMATORS),
    n_bins=st.integers(1, 30),
)
def test_reliability_accounts_for_every_token(
    memory_folder: Path, corpus: bytes, texts: list[bytes], estimator: Any, n_bins: int
) -> None:
    index = make_index(memory_folder / "reliability.infgram", [list(corpus)])
    model = Model(index, estimator)
    found = reliability(model, *texts, n_bins=n_bins)
    n_tokens = sum(map(len, texts))
    assert found.n_tokens == found.top.counts.sum() == n_tokens
    assert found.tokens.counts.sum() == n_tokens * len(model.token_ids)
    came = (found.tokens.counts * np.nan_to_num(found.tokens.actual)).sum()
    assert came == pytest.approx(n_tokens)
    for bins in (found.top, found.tokens):
        filled = bins.counts > 0
        assert (bins.predicted[filled] >= bins.edges[:-1][filled] - 1e-12).all()
        assert (bins.predicted[filled] <= bins.edges[1:][filled] + 1e-12).all()
        assert 0 <= bins.error <= 1
    assert found.actual_perplexity == pytest.approx(perplexity(model, *texts).perplexity)
    assert 1 - 1e-9 <= found.expected_perplexity <= 257 + 1e-9


def test_kneser_ney_knows_better_how_sure_it_is_than_the_longest_level(
    prose: bytes, part_index: infgram.Index
) -> None:
    text = prose[PART : PART + 10_000]
    longest = reliability(Model(part_index, Longest()), text)
    assert reliability(Model(part_index), text).ece < longest.ece
    assert longest.confidence > longest.accuracy


def test_of_shakespeare_kneser_ney_knows_how_sure_it_is(
    shakespeare: bytes, memory_folder: Path
) -> None:
    corpus, text = shakespeare[:100_000], shakespeare[100_000:110_000]
    index = make_index(memory_folder / "sure.infgram", [list(corpus)])
    assert reliability(Model(index), text).ece < 0.05
    longest = reliability(Model(index, Longest()), text)
    assert longest.confidence - longest.accuracy > 0.2


@pytest.mark.parametrize("n_bins", [0, -1, 2.5])
def test_reliability_needs_bins(thirds: Model, n_bins: Any) -> None:
    with pytest.raises(InvalidParameter, match="n_bins"):
        reliability(thirds, "a", n_bins=n_bins)


# Levels -------------------------------------------------------------------------------------------


def naive_statistics(
    index: infgram.Index, texts: list[bytes], context: bytes, k: int, window: int
) -> list[tuple[Any, ...]]:
    levels: dict[int, list[tuple[int, int]]] = {}
    for text in texts:
        for i in range(len(text)):
            seen = (context + text[:i])[-window:]
            for number, level in enumerate(index.levels(seen)[: k if k > 0 else None], 1):
                levels.setdefault(number, []).append(level)
    return [
        (
            number,
            len(found),
            *(float(f([level[i] for level in found])) for i in (0, 1) for f in STATISTICS),
        )
        for number, found in sorted(levels.items())
    ]


STATISTICS = (np.mean, np.std, np.median)


@settings(max_examples=examples(60))
@given(
    corpus=st.lists(small_texts, min_size=1, max_size=3).filter(any),
    texts=st.lists(small_texts, max_size=3),
    context=small_texts,
    k=st.sampled_from([1, 2, -1]),
    window=st.sampled_from([1, 3, 200]),
)
def test_level_statistics_are_those_of_the_levels_before_each_token(
    memory_folder: Path,
    corpus: list[bytes],
    texts: list[bytes],
    context: bytes,
    k: int,
    window: int,
) -> None:
    index = make_index(memory_folder / "levels.infgram", [list(text) for text in corpus])
    found = level_statistics(index, *texts, context=context, k=k, window=window)
    expected = naive_statistics(index, texts, context, k, window)
    assert [(s.level, s.n_places) for s in found] == [e[:2] for e in expected]
    for statistics, numbers in zip(found, expected, strict=True):
        assert (*statistics.n, *statistics.m) == pytest.approx(numbers[2:])


def test_text_generated_as_published_has_the_published_level_statistics(
    training: infgram.Index,
) -> None:
    model = Model(training, SBIS(k=2, decay=0.1))
    made = [
        model.generate("First Citizen:", max_tokens=5_000, temperature=0.8, seed=seed).token_ids
        for seed in range(6)
    ]
    first, second = level_statistics(training, *made, context="First Citizen:", k=2)
    assert 16 <= first.n.median <= 21 and first.m.median == 1
    assert 7 <= second.n.median <= 9 and 2 <= second.m.median <= 5


@pytest.mark.parametrize("wrong", [{"k": 0}, {"k": -2}, {"k": 1.5}, {"window": 0}], ids=str)
def test_levels_that_do_not_exist_are_refused(thirds: Model, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter, match=next(iter(wrong))):
        level_statistics(thirds.indexes[0], "a", **wrong)
