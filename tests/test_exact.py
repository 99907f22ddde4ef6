"""Every answer of the native index equals the naive oracle's, on thousands of small corpora."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import examples, make_index
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import Reference

import infgram
from infgram.models.context import Context
from infgram.models.definition import distribution
from infgram.store.layout import LAYOUTS
from infgram.text.tokens import load

LARGEST = 2**32 - 3
ALPHABETS = {8: [97, 98, 0, 255], 16: [7, 300, 65535, 2], 32: [0, 1, 70000, LARGEST]}


@st.composite
def corpora(draw: st.DrawFn) -> tuple[int, list[list[int]], int]:
    """(code bits, documents, shard tokens): tiny alphabets, so that everything repeats."""
    code_bits = draw(st.sampled_from([8, 16, 32]))
    letters = ALPHABETS[code_bits][: draw(st.integers(1, 4))]
    tokens = st.sampled_from(letters)
    repeated = st.builds(
        lambda unit, n: unit * n, st.lists(tokens, min_size=1, max_size=3), st.integers(1, 20)
    )
    document = st.one_of(st.lists(tokens, max_size=30), repeated)
    documents = draw(st.lists(document, min_size=1, max_size=5).filter(any))
    if draw(st.booleans()):
        documents.append(list(draw(st.sampled_from(documents))))
    longest = max(map(len, documents)) + 2
    shard_tokens = draw(st.integers(longest, 2 * longest + 2) | st.just(10**6))
    return code_bits, documents, max(shard_tokens, 2)


@st.composite
def cases(draw: st.DrawFn) -> tuple[int, list[list[int]], int, list[list[int]]]:
    """A corpus, and queries that occur in it, nearly occur in it, or do not."""
    code_bits, documents, shard_tokens = draw(corpora())
    letters = sorted({t for d in documents for t in d})
    unseen = [t for t in ALPHABETS[code_bits] if t not in letters]
    queries = [[]]
    for _ in range(draw(st.integers(1, 6))):
        document = draw(st.sampled_from(documents))
        begin = draw(st.integers(0, len(document)))
        end = draw(st.integers(begin, len(document)))
        tail = draw(st.lists(st.sampled_from(letters + unseen), max_size=3))
        queries.append(document[begin:end] + tail)
    return code_bits, documents, shard_tokens, queries


@pytest.fixture(scope="module")
def folder(memory_folder: Path) -> Path:
    return memory_folder


@pytest.fixture(scope="module", params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> str:
    return request.param


def build_pair(
    folder: Path,
    code_bits: int,
    documents: Sequence[Sequence[int]],
    shard_tokens: int,
    layout: str = "fast",
) -> tuple[infgram.Index, Reference]:
    tokenizer = load("bytes") if code_bits == 8 else load("ids", vocab_size=LARGEST + 1)
    index = make_index(
        folder / "exact.infgram",
        documents,
        tokenizer=tokenizer,
        shard_tokens=shard_tokens,
        code_bits=code_bits,
        block_rows=32,
        layout=layout,
    )
    assert index.layout == layout
    return index, Reference(documents, index.end_of_text)


@settings(max_examples=examples(300))
@given(case=cases())
def test_every_answer_equals_the_oracle(folder: Path, layout: str, case) -> None:
    code_bits, documents, shard_tokens, queries = case
    index, reference = build_pair(folder, code_bits, documents, shard_tokens, layout)
    assert index.n_documents == len(documents)
    assert index.n_tokens == reference.count([])
    index.verify()
    counts = [reference.count(query) for query in queries]
    assert [index.count(query) for query in queries] == counts
    assert index.count_batch(queries).tolist() == counts
    for query, count in zip(queries, counts, strict=True):
        ntd = index.ntd(query)
        expected = reference.ntd(query)
        assert dict(zip(ntd.token_ids.tolist(), ntd.counts.tolist(), strict=True)) == expected
        assert ntd.prompt_cnt == expected.total()
        assert index.levels(query) == reference.levels(query)
        if query:
            found = [(m.document, m.offset) for m in index.find(query, limit=count + 1, seed=0)]
            assert found == reference.occurrences(query)
    assert [index.document(d).token_ids.tolist() for d in range(len(documents))] == documents


@settings(max_examples=examples(200))
@given(case=cases(), window=st.integers(1, 12), data=st.data())
def test_a_cursor_that_advances_equals_one_that_searches(
    folder, layout, case, window, data
) -> None:
    code_bits, documents, shard_tokens, queries = case
    index, reference = build_pair(folder, code_bits, documents, shard_tokens, layout)
    tokens = queries[-1]
    cursor = index.cursor(window=window)
    for i, token in enumerate(tokens):
        assert cursor.advance(token) is cursor
        context = tokens[: i + 1]
        levels = reference.levels(context, window)
        assert cursor.levels() == levels
        assert index.cursor(context, window=window).levels() == levels
        for level, (n, _) in enumerate([*levels, (0, 0)]):
            ntd = cursor.ntd(level)
            expected = reference.ntd(context[len(context) - n :])
            assert dict(zip(ntd.token_ids.tolist(), ntd.counts.tolist(), strict=True)) == expected
    lengths = index.match_lengths(tokens).tolist()
    assert lengths == [reference.match_length(tokens, i + 1) for i in range(len(tokens))]
    twin = data.draw(st.sampled_from([copy.copy, lambda c: c.copy(), pickle_round_trip]))(cursor)
    assert twin.levels() == cursor.levels()
    twin.advance(documents[0][:1])
    assert cursor.levels() == reference.levels(tokens, window)


def pickle_round_trip(cursor: infgram.Cursor) -> infgram.Cursor:
    return pickle.loads(pickle.dumps(cursor))


@settings(max_examples=examples(300))
@given(
    case=cases(),
    k=st.sampled_from([1, 2, 3, -1]),
    weighting=st.sampled_from(["counts", "distributions"]),
    window=st.integers(1, 12),
)
def test_sbis_equals_the_oracle(folder, layout, case, k, weighting, window) -> None:
    code_bits, documents, shard_tokens, queries = case
    index, reference = build_pair(folder, code_bits, documents, shard_tokens, layout)
    model = infgram.Model(index, infgram.SBIS(k, 0.1, weighting, window))
    for query in queries:
        mixture = model.estimator.mixture(Context(index.cursor(query, window=window)))
        expected = reference.sbis(query, k, 0.1, weighting == "distributions", window)
        total = sum(expected.values())
        probs = [expected.get(token, 0) / total for token in model.token_ids.tolist()]
        assert distribution(mixture, model.token_ids).tolist() == pytest.approx(probs)
        assert model.distribution(query).tolist() == pytest.approx(probs)


@pytest.mark.parametrize("code_bits", [8, 16, 32])
@pytest.mark.parametrize(
    "documents",
    [
        [[97]],
        [[97], [97]],
        [[], [97], []],
        [[97, 97, 97, 97]],
        [[97, 98] * 50],
        [list(range(97, 123))],
        [[0], [255], [0, 255]],
    ],
    ids=str,
)
def test_edges_equal_the_oracle(folder: Path, layout: str, code_bits: int, documents) -> None:
    index, reference = build_pair(folder, code_bits, documents, 10**6, layout)
    for document in documents:
        for begin in range(len(document) + 1):
            for query in (document[begin:], [*document[begin:], 97], [97, *document[:begin]]):
                assert index.count(query) == reference.count(query)
                assert index.levels(query) == reference.levels(query)
    assert index.count([97] * 1000) == reference.count([97] * 1000)


@pytest.mark.parametrize("code_bits", [8, 16, 32])
def test_a_corpus_of_several_rank_superblocks_equals_the_oracle(
    folder: Path, layout: str, code_bits
) -> None:
    rng = np.random.default_rng(0)
    text = rng.choice([97, 98, 99], 200_000, p=[0.6, 0.3, 0.1])
    index = make_index(
        folder / "super.infgram",
        [text],
        layout=layout,
        code_bits=code_bits,
        block_rows=64 if code_bits == 8 else None,
    )
    raw = text.astype(np.uint8).tobytes()
    for n in range(1, 14):
        for begin in rng.integers(0, len(text) - n, 20):
            ngram = raw[begin : begin + n]
            truth = sum(raw.startswith(ngram, i) for i in find_all(raw, ngram))
            assert index.count(ngram) == truth
            nexts = np.bincount([raw[i + n] for i in find_all(raw, ngram) if i + n < len(raw)])
            ntd = index.ntd(ngram)
            assert ntd.counts.tolist() == nexts[nexts > 0].tolist()
            assert ntd.token_ids.tolist() == np.flatnonzero(nexts).tolist()


def find_all(text: bytes, ngram: bytes) -> list[int]:
    found, at = [], text.find(ngram)
    while at >= 0:
        found.append(at)
        at = text.find(ngram, at + 1)
    return found


def test_all_byte_values_and_the_boundary_fit_one_index(folder: Path, layout: str) -> None:
    text = np.random.default_rng(0).integers(0, 256, 5000)
    index = make_index(folder / "binary.infgram", [text, text[:100]], layout=layout)
    assert index.manifest["code_bits"] == 16
    raw = text.astype(np.uint8).tobytes()
    assert index.count(raw[:50]) == 2
    assert index.count(raw[200:202]) == len(find_all(raw, raw[200:202]))
