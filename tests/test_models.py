"""Models: native and definition agree, probabilities sum to one, errors name what is wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import examples, is_whole, make_index
from hypothesis import example, given, settings
from hypothesis import strategies as st
from reference import ReferenceLive, continuations, shard_texts
from test_exact import LARGEST, build_pair, cases

import infgram
from infgram import SBIS, KneserNey, Longest, Model, native
from infgram.errors import InvalidParameter, TokenOutOfRange
from infgram.models import calibration, sampling
from infgram.models.context import Context
from infgram.models.sampling import Plan
from infgram.text.tokens import ABSENT, load

ESTIMATORS = [
    Longest(),
    Longest(window=2),
    SBIS(1),
    SBIS(2),
    SBIS(3, 0.3, "distributions"),
    SBIS(-1),
    SBIS(-1, weighting="distributions", floor=1e-10),
    SBIS(2, floor=1e-10),
    SBIS(2, 0.0, window=3),
    KneserNey(),
    KneserNey(max_order=2),
    KneserNey(max_order=5),
]
UNKNOWN = 2**32 - 1
estimators = st.sampled_from(ESTIMATORS)
ids_tokenizer = load("ids", vocab_size=LARGEST + 1)


@pytest.fixture(scope="module")
def folder(memory_folder: Path) -> Path:
    return memory_folder


def randomly_calibrated(index: infgram.Index, seed: int, exponent: float = 0.35) -> None:
    """Gives an index discounts that differ in every row, as no fit of a small text would."""
    rng = np.random.default_rng(seed)
    tables = rng.normal(0, 1, (3, native.n_discounts))
    calibration._CACHE[index] = (
        calibration._calibration(index, exponent, tables[0], None, 0, 0.0),
        calibration._calibration(index, exponent, tables[1], tables[2], 0, 0.0),
    )


def layout_for(estimator, compact: bool) -> str:
    return "compact" if compact and not isinstance(estimator, KneserNey) else "fast"


def by_definition(model: Model, context: Sequence[int] | bytes) -> np.ndarray:
    return model.defined_distribution(context)


# Continuation counts ------------------------------------------------------------------------------


@settings(max_examples=examples(100))
@given(case=cases(), exponent=st.sampled_from([0.0, 0.2, 0.35, 1.0]))
def test_continuation_counts_equal_the_oracle(folder: Path, case, exponent: float) -> None:
    code_bits, documents, shard_tokens, queries = case
    index, _ = build_pair(folder, code_bits, documents, shard_tokens)
    texts = shard_texts(documents, index.end_of_text, index.shard_rows)
    for query in queries:
        cursor = index.cursor(query)
        levels = cursor.native.read_levels(exponent)
        assert [level[0] for level in levels] == [*(n for n, _ in cursor.levels()), 0]
        for n, m, token_ids, _, contexts, passed in levels:
            context = query[len(query) - n :]
            expected = continuations(texts, context, exponent)
            assert set(token_ids.tolist()) == set(expected)
            assert m == sum(e.count for e in expected.values())
            for token_id, n_contexts, value in zip(
                token_ids.tolist(), contexts, passed, strict=True
            ):
                assert n_contexts == expected[token_id].contexts, (context, token_id)
                assert value == pytest.approx(expected[token_id].passed, rel=1e-9)


def test_continuation_counts_are_exact_up_to_253_tokens_of_a_repetitive_text(folder: Path) -> None:
    unit = [97, 98, 98, 97, 99]
    text = unit * 140 + [98] + unit * 70
    index = make_index(folder / "repeats.infgram", [text])
    texts = shard_texts([text], index.end_of_text, index.shard_rows)
    query = text[:400]
    for n in (1, 5, 252, 253, 254, 255, 300):
        cursor = index.cursor(query[-n:])
        for exponent in (0.0, 0.5):
            _, _, token_ids, _, contexts, passed = cursor.native.read_levels(exponent)[0]
            assert np.isfinite(passed).all()
            assert (passed > 0).all()
            if n <= 253:
                expected = continuations(texts, query[-cursor.levels()[0].n :], exponent)
                found = dict(zip(token_ids.tolist(), contexts.tolist(), strict=True))
                assert found == {t: e.contexts for t, e in expected.items()}
                values = [expected[t].passed for t in token_ids.tolist()]
                assert passed.tolist() == pytest.approx(values, rel=1e-9)
    model = Model(index, KneserNey(), adapt=True)
    assert np.isfinite(model.score(text).log_prob).all()


# The live text ------------------------------------------------------------------------------------


def live_levels(live: native.LiveText) -> list[tuple[int, int, dict[int, tuple]]]:
    found = []
    for n, m, *arrays in live.read_levels():
        columns = [array.tolist() for array in arrays]
        found.append((n, m, {code: rest for code, *rest in zip(*columns, strict=True)}))
    return found


def assert_levels_equal(found, expected) -> None:
    assert [level[:2] for level in found] == [level[:2] for level in expected]
    for (_, _, counts), (_, _, others) in zip(found, expected, strict=True):
        assert set(counts) == set(others)
        for code, values in counts.items():
            assert list(values) == pytest.approx(list(others[code]), rel=1e-9)


codes = st.sampled_from([1, 2, 3, 0, UNKNOWN]) | st.sampled_from([1, 1, 2])
live_texts = st.one_of(
    st.lists(codes, max_size=40),
    st.builds(
        lambda unit, n: unit * n, st.lists(codes, min_size=1, max_size=4), st.integers(1, 40)
    ),
    st.builds(
        lambda unit, tail: unit * 2 + tail + unit,
        st.lists(st.sampled_from([1, 2]), min_size=45, max_size=60),
        st.lists(codes, max_size=3),
    ),
)


@settings(max_examples=examples(200))
@given(text=live_texts, exponent=st.sampled_from([0.0, 0.35, 1.0]))
def test_the_live_text_counts_what_was_read(text: list[int], exponent: float) -> None:
    live = native.LiveText(exponent=exponent, max_tokens=1000, window=48)
    for code in text:
        live.read(np.array([code], np.uint32))
    tokens = [None if code == UNKNOWN else code for code in text]
    assert_levels_equal(live_levels(live), ReferenceLive(tokens, 0, exponent).levels())


@settings(max_examples=examples(100))
@given(text=live_texts, max_tokens=st.integers(2, 30))
def test_a_full_live_text_remembers_its_recent_half_alone(text: list[int], max_tokens: int) -> None:
    live = native.LiveText(exponent=0.35, max_tokens=max_tokens, window=48)
    kept: list[int] = []
    for code in text:
        live.read(np.array([code], np.uint32))
        kept = [*(kept[-(max_tokens // 2) :] if len(kept) >= max_tokens else kept), code]
    fresh = native.LiveText(exponent=0.35, max_tokens=1000, window=48)
    fresh.read(np.array(kept, np.uint32))
    assert_levels_equal(live_levels(live), live_levels(fresh))


@pytest.mark.parametrize("max_tokens", [2, 100, 1 << 20])
def test_a_live_text_survives_noise_and_repetition(max_tokens: int) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 200, 20_000)
    text = np.concatenate([noise, np.ones(10_000), np.tile([1, 2, 3], 5000), noise[:5000]])
    live = native.LiveText(exponent=0.2, max_tokens=max_tokens, window=48)
    live.read(text.astype(np.uint32))
    n, m, *_ = live.read_levels()[-1]
    assert n == 0
    assert m <= min(len(text), max_tokens)


@settings(max_examples=examples(100))
@given(case=cases(), exponent=st.sampled_from([0.0, 0.35]))
def test_a_context_that_adapts_counts_what_was_read(folder: Path, case, exponent: float) -> None:
    code_bits, documents, shard_tokens, queries = case
    index, _ = build_pair(folder, code_bits, documents, shard_tokens)
    known = {t for document in documents for t in document} | {index.end_of_text}
    text = [*(t for query in queries for t in [*query, index.end_of_text]), *queries[-1]]
    context = Context(index.cursor(), exponent=exponent, adapt=True)
    assert context.live_levels() == []
    for token in text:
        context.advance(token)
    tokens = [t if t in known else None for t in text]
    expected = ReferenceLive(tokens, index.end_of_text, exponent).levels()
    found = [
        (
            level.n,
            level.m,
            {
                t: values
                for t, *values in zip(
                    *(
                        column.tolist()
                        for column in (level.token_ids, level.counts, level.contexts, level.passed)
                    ),
                    strict=True,
                )
            },
        )
        for level in context.live_levels()
    ]
    assert_levels_equal(found, expected)


# Native and definition ----------------------------------------------------------------------------


@settings(max_examples=examples(120))
@given(
    case=cases(),
    estimator=estimators,
    compact=st.booleans(),
    adapt=st.booleans(),
    seed=st.integers(0, 99),
)
@example(  # a live text ends documents, which the corpus never does
    case=(8, [[97]], 3, [[97], [97]]), estimator=KneserNey(), compact=False, adapt=True, seed=0
)
@example(
    case=(8, [[97, 97]], 4, [[], [97], [97]]),
    estimator=SBIS(k=-1, window=200, floor=1e-10),
    compact=False,
    adapt=True,
    seed=0,
)
def test_the_core_gives_the_probabilities_of_the_definition(
    folder: Path, case, estimator, compact: bool, adapt: bool, seed: int
) -> None:
    code_bits, documents, shard_tokens, queries = case
    layout = layout_for(estimator, compact)
    index, _ = build_pair(folder, code_bits, documents, shard_tokens, layout)
    randomly_calibrated(index, seed)
    model = Model(index, estimator, adapt=adapt)
    for query in queries:
        expected = by_definition(model, query)
        found = model.distribution(query)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=0)
        assert found.sum() == pytest.approx(1, abs=1e-9)
    text = [t for query in queries for t in [*query, index.end_of_text]][:40]
    while text and text[0] == index.end_of_text:  # read before a text, it is none of a live one
        text.pop(0)
    rows = [row for _, rows in model.distributions(text) for row in rows]
    scores = model.score(text)
    place = {t: i for i, t in enumerate(model.token_ids.tolist())}
    for i, token in enumerate(text):
        expected = by_definition(model, text[:i])
        np.testing.assert_allclose(rows[i], expected, rtol=1e-12, atol=0)
        prob = expected[place[token]] if token in place else expected[-1] / model.n_unseen
        with np.errstate(divide="ignore"):
            assert scores.log_prob[i] == pytest.approx(np.log(prob), rel=1e-12, abs=1e-12)
        seen = text[max(0, i - model.window) : i]
        if index.end_of_text not in seen:
            levels = index.levels(seen) or [(0, None)]
            assert scores.n[i] == levels[0][0]
            assert levels[0][1] in (None, scores.m[i])


@settings(max_examples=examples(100))
@given(
    one=cases(),
    others=st.lists(
        st.lists(st.sampled_from([97, 98, 7, 70000]), min_size=1, max_size=20), min_size=1
    ),
    weight=st.floats(0, 1),
    estimator=estimators,
    adapt=st.booleans(),
)
def test_a_mixture_of_indexes_is_the_sum_of_weighted_distributions(
    folder: Path, one, others, weight: float, estimator, adapt: bool
) -> None:
    _, documents, shard_tokens, queries = one
    first = make_index(
        folder / "first.infgram",
        documents,
        tokenizer=ids_tokenizer,
        shard_tokens=shard_tokens,
        code_bits=32,
    )
    second = make_index(
        folder / "second.infgram", others, tokenizer=ids_tokenizer, code_bits=16, block_rows=32
    )
    indexes = [first, second]
    model = Model(indexes, estimator, weights=[1 - weight, weight], adapt=adapt)
    for query in [*queries, *others[:2]]:
        expected = dict.fromkeys(model.token_ids.tolist(), 0.0)
        for index, share in zip(indexes, model.weights, strict=True):
            alone = Model(index, estimator, adapt=adapt)
            probs = dict(zip(alone.token_ids.tolist(), alone.distribution(query), strict=True))
            each = probs[ABSENT] / alone.n_unseen
            for token in expected:
                expected[token] += share * probs.get(token, each)
            expected[ABSENT] += share * (each * model.n_unseen - probs[ABSENT])
        found = model.distribution(query)
        np.testing.assert_allclose(found, list(expected.values()), rtol=1e-12, atol=1e-300)
        np.testing.assert_allclose(found, by_definition(model, query), rtol=1e-12, atol=1e-300)
        assert found.sum() == pytest.approx(1, abs=1e-9)
        scores = model.score([int(model.token_ids[-2])], context=query)
        assert np.exp(scores.log_prob[0]) == pytest.approx(found[-2], rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("adapt", [False, True])
@pytest.mark.parametrize(
    "estimator", [KneserNey(), SBIS(-1, floor=1e-6), SBIS(2, window=50)], ids=str
)
def test_distributions_over_real_text_sum_to_one(prose_index, estimator, adapt: bool) -> None:
    text = prose_index.document(0).token_ids[-3000:].tolist()
    text[1000:1100] = [0, 255] * 50
    text[2000:] = np.random.default_rng(0).permutation(text[2000:]).tolist()
    model = Model(prose_index, estimator, adapt=adapt)
    sums = [probs.sum(axis=1) for _, probs in model.distributions(bytes(text))]
    assert np.abs(np.concatenate(sums) - 1).max() < 1e-9
    mixed = Model([prose_index, prose_index], estimator, weights=[1, 3], adapt=adapt)
    sums = [probs.sum(axis=1) for _, probs in mixed.distributions(bytes(text[500:1500]))]
    assert np.abs(np.concatenate(sums) - 1).max() < 1e-9


@settings(max_examples=examples(60))
@given(case=cases(), adapt=st.booleans(), seed=st.integers(0, 99))
def test_every_token_that_follows_anything_has_a_probability(folder, case, adapt, seed) -> None:
    code_bits, documents, shard_tokens, queries = case
    index, reference = build_pair(folder, code_bits, documents, shard_tokens)
    randomly_calibrated(index, seed)
    follows = reference.ntd([])
    for estimator in (KneserNey(), KneserNey(3), SBIS(1, floor=1e-10), SBIS(-1, floor=1e-10)):
        model = Model(index, estimator, adapt=adapt)
        for query in queries:
            probs = dict(zip(model.token_ids.tolist(), model.distribution(query), strict=True))
            assert all(probs[token] > 0 for token in follows)


@pytest.mark.parametrize("adapt", [False, True])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_tokens_that_no_corpus_has_share_what_is_left(prose_index, estimator, adapt) -> None:
    model = Model(prose_index, estimator, adapt=adapt)
    scores = model.score(b"a\x00a\xffa")
    is_smooth = isinstance(estimator, KneserNey) or getattr(estimator, "floor", 0.0) > 0
    assert (scores.log_prob[[1, 3]] > -np.inf).tolist() == [is_smooth] * 2
    assert np.isfinite(scores.log_prob[[0, 2, 4]]).all()
    assert scores.n[[2, 4]].tolist() == [0, 0]
    assert model.is_unknown(list(b"a\x00a\xffa")).tolist() == [False, True] * 2 + [False]
    for context in (b"", b"The ", b"a\x00"):
        probs = model.distribution(context)
        for token in (0, 255):
            each = np.exp(model.score([token], context=context).log_prob[0])
            assert each == pytest.approx(probs[-1] / model.n_unseen, rel=1e-9, abs=0)
        (entry,) = model.trace([255], context=context)
        assert entry.prob == pytest.approx(each, rel=1e-9, abs=0)
        assert sum(level.weight for level in entry.levels) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("name", ["bytes", "chars", "ids"])
@pytest.mark.parametrize("estimator", [KneserNey(), KneserNey(3), SBIS(2, floor=1e-6)], ids=str)
def test_the_whole_vocabulary_has_probability_one(folder: Path, name: str, estimator) -> None:
    tokenizer = load(name, vocab_size=3000 if name == "ids" else None)
    documents = [b"to be or not to be", b"that is the question"]
    index = make_index(folder / "all.infgram", [list(d) for d in documents], tokenizer=tokenizer)
    randomly_calibrated(index, 1)
    model = Model(index, estimator)
    vocabulary = np.setdiff1d(np.arange(tokenizer.vocab_size), np.arange(0xD800, 0xE000))
    if name != "chars":
        vocabulary = np.arange(tokenizer.vocab_size)
    rng = np.random.default_rng(0)
    unknown = np.setdiff1d(vocabulary, model.token_ids)
    assert len(unknown) == model.n_unseen
    for context in ([], list(b"to b"), list(b"?")):
        each = np.exp(model.score(rng.choice(unknown, 1).tolist(), context=context).log_prob[0])
        known = [
            np.exp(model.score([token], context=context).log_prob[0])
            for token in model.token_ids[:-1].tolist()
        ]
        assert sum(known) + each * len(unknown) == pytest.approx(1, abs=1e-9)


@settings(max_examples=examples(40))
@given(case=cases(), estimator=estimators, adapt=st.booleans(), seed=st.integers(0, 99))
def test_documents_are_scored_from_their_beginning_to_their_end(
    folder: Path, case, estimator, adapt: bool, seed: int
) -> None:
    code_bits, documents, shard_tokens, queries = case
    index, _ = build_pair(folder, code_bits, documents, shard_tokens)
    randomly_calibrated(index, seed)
    model = Model(index, estimator, adapt=adapt)
    end = index.end_of_text
    for query in queries:
        whole = model.score(query, bos=True, eos=True)
        assert whole.token_ids.tolist() == [*query, end]
        spelt = model.score([*query, end], context=[end])
        assert whole.log_prob.tolist() == spelt.log_prob.tolist()
        traced = [entry.prob for entry in model.trace(query, bos=True, eos=True)]
        np.testing.assert_allclose(traced, np.exp(whole.log_prob), rtol=1e-9, atol=1e-300)
        (probs,) = [probs for _, probs in model.distributions([], bos=True, eos=True)]
        np.testing.assert_allclose(
            probs[0], model.defined_distribution(bos=True), rtol=1e-12, atol=0
        )
        if not adapt:  # what stands before a document is no context of it
            other = model.score([*queries[0], end, *query, end])
            assert other.log_prob[len(queries[0]) + 1 :].tolist() == whole.log_prob.tolist()


def test_a_document_begins_where_the_corpus_says(folder: Path) -> None:
    index = make_index(folder / "begins.infgram", [list(b"xab"), list(b"xba"), list(b"xaa")])
    model = Model(index, SBIS(k=1))
    begun, not_begun = model.score("x", bos=True), model.score("x")
    assert np.exp(begun.log_prob).tolist() == [1.0]
    assert np.exp(not_begun.log_prob)[0] < 0.5
    assert np.exp(model.score("xab", bos=True, eos=True).log_prob) == pytest.approx(
        [1, 2 / 3, 0.5, 1]
    )


@pytest.mark.parametrize("adapt", [False, True])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_no_text_is_made_of_what_the_corpus_never_had(folder: Path, estimator, adapt) -> None:
    """However likely: with these discounts nearly all goes to the base."""
    index = make_index(folder / "tiny.infgram", [list(b"ab")], tokenizer=load("chars"))
    tables = np.full(native.n_discounts, 30.0)
    calibration._CACHE[index] = (
        calibration._calibration(index, 0.2, tables, None, 0, 0.0),
        calibration._calibration(index, 0.2, tables, tables, 0, 0.0),
    )
    model = Model(index, estimator, adapt=adapt)
    if isinstance(estimator, KneserNey):
        assert model.distribution("a")[-1] > 0.3
    for seed in range(5):
        made = model.generate("a", max_tokens=50, seed=seed)
        assert is_whole(made, 50) and made.finish_reason == "length"
        assert set(made.text) <= set("ab")
        native_ids = made.token_ids.tolist()
        assert native_ids == defined(model, "a", seed, max_tokens=50)[0]


def test_a_floor_that_not_all_tokens_can_have_is_refused(folder: Path) -> None:
    tokenizer = load("ids", vocab_size=5000)
    index = make_index(folder / "floor.infgram", [range(2000)], tokenizer=tokenizer)
    model = Model(index, SBIS(floor=1e-3))
    for ask in (model.distribution, model.defined_distribution):
        with pytest.raises(InvalidParameter, match=r"floor is 0\.001, expected less than 1/2002"):
            ask([1])
    assert Model(index, SBIS(floor=4e-4)).distribution([1]).min() > 0


def test_a_model_is_told_apart_by_what_it_reads(folder: Path) -> None:
    """After a corpus where "a" is rare, a live text full of it makes it likely."""
    index = make_index(folder / "adapts.infgram", [list(b"bcbcbcbcbcabcbcbcb")])
    prompt = b"ba" * 30 + b"b"
    for estimator in ESTIMATORS:
        if isinstance(estimator, SBIS) and estimator.decay == 0.0:
            continue
        place = Model(index, estimator).token_ids.tolist().index(97)
        static = Model(index, estimator).distribution(prompt)[place]
        adapting = Model(index, estimator, adapt=True).distribution(prompt)[place]
        assert adapting > static or adapting == 1.0, estimator


# Sampling -----------------------------------------------------------------------------------------


def defined(model: Model, prompt, seed: int, **sampling) -> tuple[list[int], str]:
    plan = Plan(**sampling)
    sampler = model.defined_sampler(prompt, plan, np.random.default_rng(seed))
    token_ids, ended = sampler.sample(plan.max_tokens)
    return token_ids.tolist(), ended or "length"


@settings(max_examples=examples(120))
@given(
    case=cases(),
    estimator=estimators,
    compact=st.booleans(),
    adapt=st.booleans(),
    seed=st.integers(0, 10**6),
    temperature=st.sampled_from([0.3, 0.8, 1.0, 2.0]),
    top_k=st.sampled_from([0, 0, 1, 2]),
    top_p=st.sampled_from([1.0, 1.0, 0.37, 0.91]),
    min_p=st.sampled_from([0.0, 0.0, 0.123]),
    max_copy=st.sampled_from([None, None, 1, 2, 3]),
)
def test_the_core_draws_the_tokens_of_the_definition(
    folder, case, estimator, compact, adapt, seed, **sampling
) -> None:
    code_bits, documents, shard_tokens, queries = case
    if sampling["max_copy"] is not None and sampling["max_copy"] > estimator.window:
        sampling["max_copy"] = 1
    layout = layout_for(estimator, compact)
    index, _ = build_pair(folder, code_bits, documents, shard_tokens, layout)
    randomly_calibrated(index, seed)
    model = Model(index, estimator, adapt=adapt)
    for prompt in queries[:3]:
        native = model.generate(prompt, seed=seed, max_tokens=25, **sampling)
        found = native.token_ids.tolist(), native.finish_reason
        assert found == defined(model, prompt, seed, max_tokens=25, **sampling)


@pytest.mark.parametrize("adapt", [False, True])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_the_core_draws_the_tokens_of_the_definition_from_prose(
    prose_index, estimator, adapt: bool
) -> None:
    model = Model(prose_index, estimator, adapt=adapt)
    plans = [
        {"temperature": 1.0},
        {"temperature": 0.8, "top_k": 3},
        {"temperature": 1.3, "top_p": 0.9, "max_copy": 3 if model.window > 3 else 1},
        {"temperature": 0.7, "min_p": 0.0517, "top_k": 2**40},
    ]
    for seed, plan in enumerate(plans):
        made = model.generate("ROMEO:", seed=seed, max_tokens=12, **plan)
        found = made.token_ids.tolist(), made.finish_reason
        assert found == defined(model, "ROMEO:", seed, max_tokens=12, **plan)


@pytest.mark.parametrize("adapt", [False, True])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_temperature_zero_takes_the_most_probable_token(prose_index, estimator, adapt) -> None:
    model = Model(prose_index, estimator, adapt=adapt)
    made = model.generate("ROMEO:", temperature=0, max_tokens=30).token_ids
    greedy = model.generate("ROMEO:", top_k=1, temperature=1, max_tokens=30, seed=0).token_ids
    for i, token in enumerate(made):
        probs = model.distribution(np.concatenate([np.frombuffer(b"ROMEO:", np.uint8), made[:i]]))
        assert probs[model.token_ids.tolist().index(token)] >= probs.max() * (1 - 1e-12)
    assert made.tolist() == greedy.tolist()


@pytest.mark.parametrize("max_copy", [1, 3, 8, 40])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_no_run_of_the_corpus_is_longer_than_max_copy(prose_index, estimator, max_copy) -> None:
    for adapt in (False, True):
        model = Model(prose_index, estimator, adapt=adapt)
        if max_copy > model.window:
            with pytest.raises(InvalidParameter, match=f"max_copy.*{model.window}"):
                model.generate(max_copy=max_copy)
            continue
        for seed in range(6):
            prompt = ["", "ROMEO:", "\x00"][seed % 3]
            made = model.generate(prompt, max_copy=max_copy, max_tokens=300, seed=seed)
            if made.finish_reason == "length":
                assert len(made.token_ids) == 300
            if len(made.token_ids):
                assert prose_index.match_lengths(made.token_ids).max() <= max_copy


@settings(max_examples=examples(100))
@given(case=cases(), estimator=estimators, max_copy=st.integers(1, 9), seed=st.integers(0, 99))
def test_max_copy_holds_on_any_small_corpus(folder, case, estimator, max_copy, seed) -> None:
    code_bits, documents, shard_tokens, queries = case
    index, reference = build_pair(folder, code_bits, documents, shard_tokens)
    model = Model(index, estimator)
    if max_copy > model.window:
        return
    made = model.generate(queries[-1], max_copy=max_copy, max_tokens=30, seed=seed)
    token_ids = made.token_ids.tolist()
    for end in range(len(token_ids)):
        assert reference.match_length(token_ids[: end + 1], end + 1) <= max_copy


def test_a_text_that_can_only_copy_ends(folder: Path) -> None:
    index = make_index(folder / "only.infgram", [[97] * 100])
    for estimator in (Longest(), SBIS(), KneserNey()):
        made = Model(index, estimator).generate("a", max_copy=5, max_tokens=50, seed=0)
        assert (made.text, made.finish_reason) == ("aaaaa", "max_copy")
        assert defined(Model(index, estimator), "a", 0, max_copy=5) == ([97] * 5, "max_copy")


# Text ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("adapt", [False, True])
@pytest.mark.parametrize("estimator", [KneserNey(), SBIS(), Longest()], ids=str)
def test_streaming_and_generating_give_the_same_text(prose_index, estimator, adapt) -> None:
    model = Model(prose_index, estimator, adapt=adapt)
    for stop in ((), "\n\n", ("zzz", "the "), "e"):
        options = {"seed": 5, "max_tokens": 6000, "stop": stop}
        whole = model.generate("KING", **options)
        assert "".join(model.stream("KING", **options)) == whole.text
        if whole.finish_reason == "stop":
            assert not any(s in whole.text for s in ([stop] if isinstance(stop, str) else stop))


@settings(max_examples=examples(100))
@given(
    text=st.text("aé日🙂b", min_size=1, max_size=30),
    stops=st.lists(st.text("aé日🙂b", min_size=1, max_size=5), max_size=3),
    chunk=st.integers(1, 5),
)
def test_a_text_ends_before_the_first_stop_string(folder, text, stops, chunk) -> None:
    """The one that ends first, wherever chunks end: the corpus is generated as it stands."""
    raw = text.encode()
    index = make_index(folder / "stop.infgram", [list(raw), list(raw)])
    model = Model(index, Longest())
    found = [(at + len(stop), at) for stop in stops if (at := text.find(stop)) >= 0]
    expected = text[: min(found, default=(0, len(text)))[1]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "_CHUNK_TOKENS", chunk)
        patch.setattr(sampling, "_CHUNK_TOKENS_TO_STOP", chunk)
        options = {"max_tokens": len(raw), "stop": stops, "seed": 0}
        made = follow(model, raw, options)
        pieces = list(model.stream(**options)) if made is not None else []
    if made is None:
        return
    assert made.text == expected
    assert "".join(pieces) == expected
    assert bytes(made.token_ids.tolist()).startswith(expected.encode())
    assert made.finish_reason == ("stop" if found else "length")


def follow(model: Model, raw: bytes, options: dict) -> infgram.Generation | None:
    """The text generated, or None where the corpus left a choice and another text came."""
    free = model.generate(max_tokens=options["max_tokens"], seed=options["seed"])
    return model.generate(**options) if bytes(free.token_ids.tolist()) == raw else None


@pytest.mark.parametrize("estimator", [KneserNey(), SBIS()], ids=str)
def test_samples_do_not_depend_on_threads(prose_index, estimator) -> None:
    model = Model(prose_index, estimator)
    one, four = (
        [made.text for made in model.samples(6, "KING", threads=threads, seed=3, max_tokens=200)]
        for threads in (1, 4)
    )
    assert one == four
    assert len(set(one)) == 6
    assert model.samples(0, "KING") == []


def test_a_generator_lives_as_long_as_a_text_is_made(prose_index: infgram.Index) -> None:
    """Many samplers at once: each draws from its own generator, which nobody else holds."""
    model = Model(prose_index, SBIS())
    streams = [model.stream("KING", seed=seed, max_tokens=9000) for seed in range(20)]
    texts = ["".join(stream) for stream in streams]
    assert texts == [model.generate("KING", seed=s, max_tokens=9000).text for s in range(20)]


@pytest.mark.parametrize("adapt", [False, True])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_a_trace_tells_where_the_probability_came_from(prose_index, estimator, adapt) -> None:
    model = Model(prose_index, estimator, adapt=adapt)
    made = model.generate("ROMEO:", seed=1, max_tokens=10, trace=True)
    assert made.trace is not None
    assert "".join(entry.text for entry in made.trace) == made.text
    scores = model.score(made.token_ids, context="ROMEO:")
    for i, entry in enumerate(made.trace):
        assert entry.token_id == made.token_ids[i]
        assert entry.prob == pytest.approx(math.exp(scores.log_prob[i]), rel=1e-9)
        assert (entry.n, entry.m) == (scores.n[i], scores.m[i])
        assert sum(level.weight for level in entry.levels) == pytest.approx(1, abs=1e-9)
        assert all(level.weight >= 0 and 0 <= level.prob <= 1 + 1e-9 for level in entry.levels)
        corpus = [level for level in entry.levels if level.prob > 0 and not level.live]
        if not adapt and corpus:
            assert prose_index.count(list(entry.match)) > 0
            assert len(entry.match) == max(level.n for level in corpus) + 1


@pytest.mark.parametrize("adapt", [False, True])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_a_prompt_of_bytes_nobody_saw_is_survived(prose_index, estimator, adapt) -> None:
    model = Model(prose_index, estimator, adapt=adapt)
    for prompt in (b"\x00\xff", b"\x00", b"a\xffa", "日本"):
        assert is_whole(model.generate(prompt, max_tokens=50, seed=0), 50)
        assert model.distribution(prompt).sum() == pytest.approx(1, abs=1e-9)


# Errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: SBIS(k=0), "k is 0"),
        (lambda: SBIS(k=-2), "k is -2"),
        (lambda: SBIS(decay=-0.1), "decay is -0.1, expected a number from 0 to 1"),
        (lambda: SBIS(decay=1.5), "decay is 1.5, expected a number from 0 to 1"),
        (lambda: SBIS(weighting="x"), "weighting is 'x', expected one of: counts"),
        (lambda: SBIS(window=0), "window is 0, expected .* 1 to"),
        (lambda: SBIS(floor=-1e-10), "floor is -1e-10, expected a number from 0 to"),
        (lambda: SBIS(floor=0.5), "floor is 0.5, expected a number from 0 to"),
        (lambda: SBIS(floor=math.nan), "floor is nan"),
        (lambda: Longest(window=0), "window is 0"),
        (lambda: KneserNey(max_order=1), "max_order is 1, expected .* from 2 to 254"),
        (
            lambda: KneserNey(max_order=255),
            "max_order is 255, expected .* from 2 to 254",
        ),
        (lambda: KneserNey(max_order=2.5), "max_order is 2.5"),
        (lambda: Plan(temperature=-1), "temperature is -1, expected .* at least 0"),
        (lambda: Plan(temperature=math.inf), "temperature is inf"),
        (lambda: Plan(top_p=0), "top_p is 0, expected a number above 0 and up to 1"),
        (lambda: Plan(top_p=1.1), "top_p is 1.1, expected a number above 0 and up to 1"),
        (lambda: Plan(min_p=-0.1), "min_p is -0.1, expected a number from 0 to 1"),
        (lambda: Plan(min_p=1.1), "min_p is 1.1, expected a number from 0 to 1"),
        (lambda: Plan(top_k=-1), "top_k is -1, expected .* at least 0"),
        (lambda: Plan(max_copy=0), "max_copy is 0, expected .* at least 1"),
        (lambda: Plan(max_tokens=-1), "max_tokens is -1, expected .* at least 0"),
        (lambda: Plan(stop=""), "stop is ''"),
        (lambda: Plan(stop=None), "stop is None, expected strings"),  # type: ignore[arg-type]
        (lambda: Plan(stop=5), "stop is 5, expected strings"),  # type: ignore[arg-type]
        (lambda: Plan(stop=b"ab"), "stop is b'ab', expected strings"),  # type: ignore[arg-type]
        (lambda: Plan(stop=iter(["a", ""])), r"stop is \('a', ''\), expected strings"),
        (lambda: infgram.Mix(size=[]), r"size is \[\], expected one of: lean, full"),  # type: ignore[arg-type]
        (lambda: infgram.Mix(size=([],)), r"size is \(\[\],\), expected one of"),  # type: ignore[arg-type]
        (lambda: Plan(stop=["a", 3]), "stop is"),
    ],
)
def test_an_error_names_the_parameter_and_its_range(make, says: str) -> None:
    with pytest.raises(InvalidParameter, match=says):
        make()


def test_stop_strings_may_come_from_whatever_gives_some(prose_index: infgram.Index) -> None:
    model = Model(prose_index, KneserNey())
    expected = model.generate("The ", seed=1, stop=[" ", "e"]).text
    assert expected != model.generate("The ", seed=1).text
    for stops in (iter, tuple, set, dict.fromkeys, lambda stops: (stop for stop in stops)):
        assert model.generate("The ", seed=1, stop=stops([" ", "e"])).text == expected
        assert "".join(model.stream("The ", seed=1, stop=stops([" ", "e"]))) == expected


@pytest.mark.parametrize(
    ("sampling", "says"),
    [
        ({"max_copy": 254}, "max_copy is 254, expected at most 253"),
        ({"max_copy": 2**40}, "max_copy is .*, expected at most 253"),
        ({"top_k": 1.5}, "top_k is 1.5"),
        ({"seed": -1}, "seed is -1"),
    ],
    ids=str,
)
def test_a_model_refuses_sampling_it_cannot_do(prose_index, sampling, says) -> None:
    with pytest.raises(InvalidParameter, match=says):
        Model(prose_index, KneserNey()).generate("a", max_tokens=1, **sampling)
    with pytest.raises(InvalidParameter, match=says):  # at once, not at the first piece
        Model(prose_index, KneserNey()).stream("a", max_tokens=1, **sampling)


ASKED_OF_CHARACTERS: list[Callable[[infgram.Index, list[int]], object]] = [
    lambda index, ids: index.count(ids),
    lambda index, ids: index.count_batch([ids]),
    lambda index, ids: index.count_batch(ids, np.array([0, 1])),
    lambda index, ids: index.ntd(ids),
    lambda index, ids: index.prob("o", ids[0]),
    lambda index, ids: index.find(ids),
    lambda index, ids: index.levels(ids),
    lambda index, ids: index.cursor().advance(ids[0]),
    lambda index, ids: index.decode(ids),
    lambda index, ids: index.tokenizer.decode(ids),
    lambda index, ids: infgram.attribute(index, ids),
    lambda index, ids: infgram.novelty(index, ids),
    lambda index, ids: Model(index).score(ids),
    lambda index, ids: Model(index).score("a", context=ids),
    lambda index, ids: Model(index).distribution(ids),
    lambda index, ids: Model(index).trace(ids),
    lambda index, ids: Model(index).generate(ids, max_tokens=1),
]


@pytest.mark.parametrize("ask", ASKED_OF_CHARACTERS)
@pytest.mark.parametrize("token_id", [0xD800, 0xDC41, 0xDFFF])
def test_a_surrogate_is_no_character(
    folder: Path, ask: Callable[[infgram.Index, list[int]], object], token_id: int
) -> None:
    index = make_index(folder / "chars.infgram", [list(b"to be a")], tokenizer=load("chars"))
    with pytest.raises(TokenOutOfRange, match=f"token id {token_id} .*surrogate"):
        ask(index, [token_id])
    for neighbour in (0xD7FF, 0xE000, 0x10FFFF):
        assert index.count([neighbour]) == 0
        assert Model(index).score([neighbour]).log_prob[0] < 0


@pytest.mark.parametrize("weight", [5e-324, 1e-300, 1.0, 1e308])
def test_weights_are_shares_however_large_they_are(
    prose_index: infgram.Index, weight: float
) -> None:
    model = Model([prose_index, prose_index, prose_index], weights=[weight, 0, weight])
    assert model.weights.tolist() == [0.5, 0, 0.5]


def test_a_model_refuses_what_does_not_fit(prose_index: infgram.Index, folder: Path) -> None:
    other = make_index(folder / "other.infgram", [[1, 2, 3]], tokenizer=load("ids", vocab_size=9))
    for weights in ([1.0], [1, 2, 3], [[1, 2]], [-1, 2], [0, 0], [math.nan, 1], [math.inf, 1]):
        with pytest.raises(InvalidParameter, match="weights are"):
            Model([prose_index, prose_index], weights=weights)
    with pytest.raises(InvalidParameter, match="tokenizer"):
        Model([prose_index, other])
    with pytest.raises(InvalidParameter, match=r"estimator is 'sbis', expected Longest\(\)"):
        Model(prose_index, "sbis")  # type: ignore[arg-type]
    with pytest.raises(InvalidParameter, match=r"index is \[\], expected an index"):
        Model([])
    with pytest.raises(InvalidParameter, match="index is 'a', expected Index"):
        Model(["a"])  # type: ignore[list-item]
    full = make_index(folder / "full.infgram", [[1]], tokenizer=load("ids", vocab_size=2**32 - 1))
    with pytest.raises(InvalidParameter, match="expected at most 4,294,967,294"):
        Model(full)
    model = Model(prose_index)
    for n in (-1, 1.5):
        with pytest.raises(InvalidParameter, match="n is"):
            model.samples(n)  # type: ignore[arg-type]
    for threads in (0, -1):
        with pytest.raises(InvalidParameter, match=f"threads is {threads}, expected .* at least 1"):
            model.samples(2, threads=threads)
    with pytest.raises(TypeError, match=r"'temprature', expected one of: .*temperature"):
        model.generate("a", temprature=1)
    for call in (model.distribution, model.score, model.generate, model.stream):
        with pytest.raises(TokenOutOfRange, match="expected 0 to 256"):
            call([257])


# Published figures --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("k", "published"), [(1, 4036.1918), (2, 97.7349), (3, 18.2353), (5, 7.1026), (-1, 6.0625)]
)
def test_sbis_has_the_published_perplexity(training, validation, k: int, published) -> None:
    model = Model(training, SBIS.published(k, window=100, floor=1e-10))
    log_prob = model.score(validation[1:], context=validation[:1]).log_prob
    assert math.exp(-log_prob.mean()) == pytest.approx(published, rel=1e-4)


@pytest.mark.parametrize(("adapt", "most"), [(False, 4.43), (True, 3.98)])
def test_kneser_ney_is_as_good_as_promised(training, validation, adapt: bool, most) -> None:
    log_prob = Model(training, KneserNey(), adapt=adapt).score(validation).log_prob
    assert math.exp(-log_prob.mean()) <= most


def test_generated_text_has_the_published_level_statistics(training: infgram.Index) -> None:
    model = Model(training, SBIS(2, 0.1))
    levels: list[list[tuple[int, int]]] = [[], []]
    for seed in range(5):
        made = model.generate("ROMEO:", temperature=0.8, max_tokens=4000, seed=seed)
        cursor = training.cursor("ROMEO:", window=200)
        for token in made.token_ids.tolist():
            for found, level in zip(levels, cursor.levels(), strict=False):
                found.append(level)
            cursor.advance(token)
    (n1, m1), (n2, _) = (np.median(np.array(found), axis=0) for found in levels)
    assert 16 <= n1 <= 21
    assert m1 == 1
    assert 7 <= n2 <= 9


def test_a_trace_of_a_text_without_a_prompt_begins_a_document(folder: Path) -> None:
    index = make_index(folder / "begin.infgram", [list(b"xab"), list(b"xba"), list(b"xaa")])
    made = Model(index, SBIS(k=1)).generate("", max_tokens=2, seed=0, trace=True)
    assert made.trace is not None
    assert (made.trace[0].text, made.trace[0].prob) == ("x", 1.0)
