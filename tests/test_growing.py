"""An index that has grown answers what one built afresh of the same documents does, exactly."""

from __future__ import annotations

import json
import math
import os
import pickle
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from conftest import IN_MEMORY, examples, make_index
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from reference import Reference, continuations, shard_texts

import infgram
import infgram.draft
from infgram.errors import (
    CorruptIndex,
    EmptyCorpus,
    IndexReplaced,
    InvalidParameter,
    NeedsMerge,
    UnsupportedFormat,
)
from infgram.models.calibration import calibration_of
from infgram.models.context import Context
from infgram.store import storage
from infgram.store.building import build_index
from infgram.store.growing import add_documents
from infgram.store.layout import LAYOUTS
from infgram.text.reading.document import Document
from infgram.text.tokens import load

FIRST_FORMAT = Path(__file__).parent / "data" / "format-1.zip"
LETTERS = [97, 98, 0, 255]
TEXTS = st.lists(
    st.one_of(
        st.lists(st.sampled_from(LETTERS), max_size=8),
        st.builds(
            lambda unit, n: unit * n,
            st.lists(st.sampled_from(LETTERS[:2]), min_size=1, max_size=3),
            st.integers(1, 6),
        ),
    ),
    min_size=1,
    max_size=4,
)


@pytest.fixture
def tmp_path(memory_folder: Path) -> Path:
    """A test's folder, in memory: an index that grows waits for a disk again and again."""
    return Path(tempfile.mkdtemp(dir=memory_folder))


def grow(path: Path, documents: list[list[int]], first: int, *, shard_tokens: int) -> infgram.Index:
    """Adds documents of token ids, each of a source of its own."""
    contents = [
        Document(np.array(document, np.uint32), f"source {first + i}", 0, {"parity": i % 2})
        for i, document in enumerate(documents)
    ]
    grown = add_documents(contents, path, tokenizer=load("bytes"), shard_tokens=shard_tokens)
    return infgram.Index.of(grown, path)


def answers(index: infgram.Index, queries: list[list[int]]) -> dict[str, object]:
    """What an index says of its documents and of queries."""
    said: dict[str, object] = {
        "sizes": (index.n_tokens, index.n_documents),
        "documents": [index.document(i).token_ids.tolist() for i in range(index.n_documents)],
        "lengths": [index.document_length(i) for i in range(index.n_documents)],
        "places": [index.locate(i) for i in range(index.n_tokens)],
        "batch": index.count_batch(queries).tolist(),
        "all": dict(index.ntd([])),
        "start": index.start_of_document().levels(),
        "first": dict(index.start_of_document().ntd()),
    }
    for query in queries:
        cursor = index.start_of_document().advance(query)
        found = index.find(query, limit=10**6) if query else []
        said[str(query)] = (
            index.count(query),
            dict(index.ntd(query)),
            index.levels(query),
            index.match_lengths(query).tolist(),
            [(match.document, match.offset) for match in found],
            [match.after for match in found],
            cursor.levels(),
            dict(cursor.ntd()),
            dict(index.infgram_ntd(query)),
            index.cursor(query, window=2).levels(),
        )
    return said


def are_equal(prob: np.ndarray, other: np.ndarray) -> bool:
    """As `pytest.approx` tells, which takes longer than all else that is done with them."""
    return bool(np.allclose(prob, other, rtol=1e-6, atol=1e-12))


def laws(index: infgram.Index, queries: list[list[int]]) -> dict[str, np.ndarray]:
    """What SBIS and Longest make of queries, of each of the 257 tokens; their definition agrees."""
    said = {}
    for law in (infgram.SBIS(k=2, floor=1e-4), infgram.SBIS(k=-1, decay=0.5), infgram.Longest()):
        model = infgram.Model(index, law)
        known = model.token_ids[:-1]
        for i, query in enumerate(queries):
            prob = model.distribution(query)
            assert math.isclose(prob.sum(), 1)
            of_all = np.full(257, prob[-1] / max(257 - len(known), 1))
            of_all[known] = prob[:-1]
            said[f"{law} {query}"] = of_all
            if i < 2:
                context = Context(index.cursor(query, window=law.window))
                assert are_equal(law.distribution(context), prob)
    return said


class History(RuleBasedStateMachine):
    """Documents are added, removed and merged; `documents` is what should be there."""

    @initialize(documents=TEXTS.filter(any), layout=st.sampled_from(LAYOUTS))
    def build(self, documents: list[list[int]], layout: str) -> None:
        self.folder = tempfile.TemporaryDirectory(dir=IN_MEMORY)
        self.path = Path(self.folder.name, "grown.infgram")
        self.layout = layout
        self.documents: list[tuple[str, list[int]]] = []
        self.n_sources = 0
        contents = [
            Document(np.array(document, np.uint32), source, 0, {})
            for document, (source, _) in zip(documents, self.note(documents), strict=True)
        ]
        stored = build_index(contents, self.path, tokenizer=load("bytes"), layout=layout)
        self.index = infgram.Index.of(stored, self.path)
        self.open = infgram.open(self.path)
        self.old: list[tuple[infgram.Index, list[list[int]], dict[str, object]]] = []
        self.queries: list[list[int]] = [[], [97], [97, 98]]
        self.asked: object = None
        self.built: tuple[list[list[int]], infgram.Index] | None = None

    def note(self, documents: list[list[int]]) -> list[tuple[str, list[int]]]:
        new = [(f"source {self.n_sources + i}", each) for i, each in enumerate(documents)]
        self.n_sources += len(new)
        self.documents += new
        return new

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()

    @rule(documents=TEXTS, shard_tokens=st.sampled_from([24, 10**6]))
    def add(self, documents: list[list[int]], shard_tokens: int) -> None:
        first = self.n_sources
        self.note(documents)
        self.index = grow(self.path, documents, first, shard_tokens=shard_tokens)

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        numbers = data.draw(
            st.lists(st.integers(0, len(self.documents) - 1), min_size=1, max_size=4)
        )
        left = [each for i, each in enumerate(self.documents) if i not in numbers]
        if not any(document for _, document in left):
            with pytest.raises(EmptyCorpus):
                infgram.remove(self.index, documents=numbers)
            return
        if len(set(numbers)) == 1 and data.draw(st.booleans()):
            self.index = infgram.remove(self.path, sources=self.documents[numbers[0]][0])
        else:
            self.index = infgram.remove(self.index, documents=numbers)
        self.documents = left

    @rule(purge=st.booleans())
    def merge(self, purge: bool) -> None:
        self.index = infgram.merge(self.path, purge=purge)
        if purge:
            assert self.index.segments.is_one
            assert infgram.open(self.path).alphabet.tolist() == self.fresh().alphabet.tolist()

    @rule(data=st.data())
    def ask(self, data: st.DataObject) -> None:
        _, document = data.draw(st.sampled_from(self.documents))
        begin = data.draw(st.integers(0, len(document)))
        end = data.draw(st.integers(begin, len(document)))
        tail = data.draw(st.lists(st.sampled_from(LETTERS), max_size=2))
        self.queries = [*self.queries[-6:], document[begin:end] + tail]

    @rule()
    def refresh(self) -> None:
        self.open = self.open.refresh()
        assert self.open.identity == self.index.identity
        assert self.open.refresh() is self.open
        assert pickle.loads(pickle.dumps(self.open)).identity == self.open.identity

    @rule()
    def keep(self) -> None:
        said = answers(self.index, self.queries)
        self.old = [*self.old[-1:], (self.index, list(self.queries), said)]

    @precondition(lambda self: self.old)
    @rule()
    def ask_an_old_one(self) -> None:
        index, queries, said = self.old[-1]
        assert answers(index, queries) == said

    def fresh(self) -> infgram.Index:
        documents = [document for _, document in self.documents]
        if self.built is None or self.built[0] != documents:
            path = Path(self.folder.name, "fresh.infgram")
            self.built = documents, make_index(path, documents)
        return self.built[1]

    @invariant()
    def answers_are_those_of_an_index_built_afresh(self) -> None:
        if not hasattr(self, "index") or self.asked == (self.index.identity, self.queries):
            return
        self.asked = self.index.identity, self.queries
        documents = [document for _, document in self.documents]
        queries = self.queries
        said = answers(self.index, queries)
        assert said == answers(self.fresh(), queries)
        assert self.index.layout == self.layout
        truth = Reference(documents, 256)
        for query in queries:
            assert self.index.count(query) == truth.count(query)
            assert dict(self.index.ntd(query)) == truth.ntd(query)
            assert self.index.levels(query) == truth.levels(query)
        sources = [self.index.document(i).source for i in range(len(documents))]
        assert sources == [source for source, _ in self.documents]
        grown = laws(self.index, queries)
        for name, prob in laws(self.fresh(), queries).items():
            assert are_equal(grown[name], prob), name


TestHistory = History.TestCase
TestHistory.settings = settings(max_examples=examples(25), stateful_step_count=12, deadline=None)


# What grows, and what does not -------------------------------------------------------------------


def built(folder: Path, *texts: str, **options) -> infgram.Index:
    return infgram.build(list(texts), folder / "corpus.infgram", **options)


def fresh(folder: Path, *texts: str) -> infgram.Index:
    return infgram.build(list(texts), folder / "fresh.infgram", overwrite=True)


def said(index: infgram.Index, *texts: str) -> dict[str, object]:
    return answers(index, [list(text.encode()) for text in texts])


def test_what_has_grown_is_that_for_whoever_opens_it_and_proves_itself(tmp_path: Path) -> None:
    index = infgram.add(built(tmp_path, "to be", "or not"), ["to be that is", "zebras"])
    index = infgram.remove(index, documents=[1])
    truth = said(fresh(tmp_path, "to be", "to be that is", "zebras"), "to b", "e", "zebra")
    assert said(index, "to b", "e", "zebra") == truth
    opened = infgram.open(index.path, verify=True)
    assert said(opened, "to b", "e", "zebra") == truth
    opened.verify()
    assert opened.n_segments == 2
    assert opened.has_removed
    restored = pickle.loads(pickle.dumps(opened.cursor("to b")))
    assert restored.levels() == opened.levels("to b")


def test_tokens_that_come_later_keep_the_codes_of_all_others(tmp_path: Path) -> None:
    index = infgram.add(built(tmp_path, "mnm"), ["zaz", "m"])
    index = infgram.add(index, ["bb nz"])
    truth = fresh(tmp_path, "mnm", "zaz", "m", "bb nz")
    assert said(index, "z", "n", "b", "nz") == said(truth, "z", "n", "b", "nz")
    assert index.alphabet.tolist() == [256, *b"mnaz b"]
    assert index.ntd("").token_ids.tolist() == truth.ntd("").token_ids.tolist()
    assert index.count_text("zaz") == 1
    purged = infgram.merge(index, purge=True)
    assert purged.alphabet.tolist() == truth.alphabet.tolist()


def test_an_index_whose_codes_need_more_bits_is_written_anew(tmp_path: Path) -> None:
    with patch("infgram.store.building._code_bits", lambda n: 8 if n <= 4 else 16):
        index = infgram.add(built(tmp_path, "aba"), ["abc"])
        assert index.n_segments == 2
        index = infgram.add(index, ["bad"])
        assert index.segments.is_one
        index = infgram.add(index, ["dad"])
    assert index.n_segments == 2
    assert said(index, "ab", "a") == said(fresh(tmp_path, "aba", "abc", "bad", "dad"), "ab", "a")


@pytest.mark.parametrize("change", ["add", "remove"])
def test_an_index_of_format_1_grows_by_being_written_anew(tmp_path: Path, change: str) -> None:
    with zipfile.ZipFile(FIRST_FORMAT) as archive:
        archive.extractall(tmp_path)
    (path,) = tmp_path.glob("*.infgram")
    shutil.rmtree(path / "backwards")
    manifest = json.loads((path / "manifest.json").read_text())
    del manifest["backwards"], manifest["checksum"]
    manifest["checksum"] = storage.checksum(manifest)
    (path / "manifest.json").write_text(json.dumps(manifest))
    old = infgram.open(path)
    texts = [old.document(i).text for i in range(old.n_documents)]
    if change == "add":
        index = infgram.add(path, ["more of it"])
        texts.append("more of it")
    else:
        index = infgram.remove(old, documents=[0])
        del texts[0]
    assert index.segments.is_one
    assert said(infgram.open(path), "e", "it") == said(fresh(tmp_path, *texts), "e", "it")


def test_a_two_sided_index_does_not_grow(tmp_path: Path) -> None:
    index = built(tmp_path, "to be", "or not", two_sided=True)
    with pytest.raises(UnsupportedFormat, match="two-sided"):
        infgram.add(index, ["more"])
    with pytest.raises(UnsupportedFormat, match="two-sided"):
        infgram.remove(index, documents=[0])
    assert infgram.merge(index).identity == index.identity
    assert os.listdir(tmp_path) == ["corpus.infgram"]


@pytest.fixture(scope="module")
def of_segments(memory_folder: Path) -> dict[bool, infgram.Index]:
    """Indexes that have grown; by whether documents were removed."""
    found = {}
    for removed in (False, True):
        folder = memory_folder / f"of-segments-{removed}"
        folder.mkdir()
        index = infgram.add(built(folder, "to be", "or not to be"), ["that is the question"] * 3)
        found[removed] = infgram.remove(index, documents=[0]) if removed else index
    return found


@pytest.mark.parametrize("removed", [False, True])
@pytest.mark.parametrize(
    "ask",
    [
        lambda it: infgram.Model(it, infgram.KneserNey()).distribution("to"),
        lambda it: infgram.Model(it, infgram.Mix()).distribution("to"),
        lambda it: infgram.calibrate(it),
        lambda it: list(infgram.repeats(it, 2)),
        lambda it: list(infgram.ngrams(it, 2)),
        lambda it: infgram.count_cnf(it, [["to"], ["be"]]),
        lambda it: infgram.convert(it, it.path.with_name("small"), layout="compact"),
        lambda it: infgram.draft.Drafter(it),
    ],
    ids=["kneser-ney", "mix", "calibrate", "repeats", "ngrams", "cnf", "convert", "draft"],
)
def test_what_segments_cannot_tell_asks_for_a_merge(
    of_segments: dict[bool, infgram.Index], ask: Callable[[infgram.Index], object], removed: bool
) -> None:
    with pytest.raises(NeedsMerge, match=r"merge.*--purge"):
        ask(of_segments[removed])


def test_what_was_merged_can_be_asked_all(of_segments: dict[bool, infgram.Index]) -> None:
    for index in of_segments.values():
        path = index.path.with_name("merged.infgram")
        shutil.copytree(index.path, path)
        model = infgram.Model(infgram.merge(path, purge=True), infgram.KneserNey())
        assert model.distribution("to").sum() == pytest.approx(1)


APART = infgram.KneserNey(apart=True)


@settings(max_examples=examples(25))
@given(data=st.data(), segments=st.lists(TEXTS.filter(any), min_size=1, max_size=4))
def test_kneser_ney_counts_contexts_of_segments_apart(
    memory_folder: Path, data: st.DataObject, segments: list[list[list[int]]]
) -> None:
    path = memory_folder / "apart.infgram"
    index = make_index(path, segments[0])
    for documents in segments[1:]:
        index = grow(path, documents, 0, shard_tokens=data.draw(st.sampled_from([24, 10**6])))
    rows = [
        [shard.n_rows for shard in segment.stored.layout.shards]
        for segment in index.segments.segments
    ]
    texts = [
        text
        for documents, of_shards in zip(segments, rows, strict=True)
        for text in shard_texts(documents, 256, of_shards)
    ]
    query = data.draw(st.lists(st.sampled_from(LETTERS), max_size=4))
    for n, m, token_ids, _, contexts, passed in index.cursor(query).native.read_levels(0.3):
        expected = continuations(texts, query[len(query) - n :], 0.3)
        assert m == sum(each.count for each in expected.values())
        assert dict(zip(token_ids.tolist(), contexts.tolist(), strict=True)) == {
            token_id: each.contexts for token_id, each in expected.items()
        }
        of_tokens = [expected[token_id].passed for token_id in token_ids.tolist()]
        assert passed.tolist() == pytest.approx(of_tokens)
    for adapt in (False, True):
        model = infgram.Model(index, APART, adapt=adapt)
        prob = model.distribution(query)
        assert prob.sum() == pytest.approx(1)
        assert model.defined_distribution(query) == pytest.approx(prob, abs=1e-12)


def test_kneser_ney_apart_is_that_of_one_piece_where_there_is_one(tmp_path: Path) -> None:
    index = built(tmp_path, "to be or not to be, that is the question " * 30)
    models = [infgram.Model(index, law) for law in (APART, infgram.KneserNey())]
    apart, whole = [model.distribution("to b").tolist() for model in models]
    assert apart == whole


def test_kneser_ney_apart_is_fitted_to_all_segments_and_asks_for_a_merge_of_removals(
    tmp_path: Path,
) -> None:
    texts = ["to be or not to be, that is the question " * 30, "whether it is nobler " * 60]
    index = infgram.add(built(tmp_path, texts[0]), texts[1:])
    assert calibration_of(index, adapt=False, apart=True).n_tokens > 1000
    assert calibration_of(index, adapt=False, apart=True) is calibration_of(
        index, adapt=False, apart=True
    )
    assert infgram.Model(index, APART).generate("to", seed=1, max_tokens=20).text
    left = infgram.remove(infgram.add(index, ["more"]), documents=[2])
    with pytest.raises(NeedsMerge, match=r"removed.*--purge"):
        infgram.Model(left, APART).distribution("to")


def test_spans_are_told_of_segments_and_refused_where_something_was_removed(tmp_path: Path) -> None:
    index = infgram.add(built(tmp_path, "to be or not"), ["not to be that", "is"])
    truth = fresh(tmp_path, "to be or not", "not to be that", "is")
    found = [infgram.attribute(it, "or not to be or", min_length=3) for it in (index, truth)]
    grown, expected = (
        [
            (span.text, span.count, [(each.document, each.offset) for each in span.documents])
            for span in each.spans
        ]
        for each in found
    )
    assert grown == expected
    assert infgram.novelty(index, "or not to be or") == infgram.novelty(truth, "or not to be or")
    index = infgram.remove(index, documents=[2])
    with pytest.raises(NeedsMerge):
        infgram.attribute(index, "or not to be or", min_length=3)


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0, 1.3])
@pytest.mark.parametrize("max_copy", [None, 6])
def test_a_seed_writes_the_same_as_the_definition_over_segments(
    tmp_path: Path, temperature: float, max_copy: int | None
) -> None:
    index = infgram.add(built(tmp_path, "to be or not to be", "that is it"), ["is it to be", "or"])
    for it in (index, infgram.remove(index, documents=[1])):
        how = {"temperature": temperature, "max_copy": max_copy, "seed": 5, "max_tokens": 40}
        native = infgram.Model(it, infgram.SBIS(k=2)).generate("to", **how)
        with patch.object(infgram.SBIS, "native", lambda *_, **__: None):
            defined = infgram.Model(it, infgram.SBIS(k=2)).generate("to", **how)
        assert native.text == defined.text
        assert native.finish_reason == defined.finish_reason


# Lists that are damaged ---------------------------------------------------------------------------


def damaged(path: Path, change: Callable[[dict], object]) -> None:
    """Changes the list of segments, whose checksum fits."""
    (listed,) = path.glob("segments-*.json")
    fields = json.loads(listed.read_text())
    del fields["checksum"]
    change(fields)
    listed.write_text(json.dumps({**fields, "checksum": storage.checksum(fields)}))


@pytest.fixture(scope="module")
def zebra(memory_folder: Path) -> Path:
    """An index of two segments and one of removals."""
    folder = memory_folder / "zebra"
    folder.mkdir()
    index = infgram.add(built(folder, "to be", "or not"), ["zebra"])
    return infgram.remove(index, documents=[1]).path


@pytest.mark.parametrize(
    "change",
    [
        lambda it: it.pop("segments"),
        lambda it: it.update(segments=[]),
        lambda it: it.update(segments=[3]),
        lambda it: it.update(version=4),
        lambda it: it.update(format="other"),
        lambda it: it.update(stop=[9, 0]),
        lambda it: it.update(stop=[0]),
        lambda it: it.update(stop=[0, -1]),
        lambda it: it.update(stop=[0, 2**31]),
        lambda it: it.update(stop=[0, 10**30]),
        lambda it: it.update(stop=[0, 2]),
        lambda it: it.update(stop="here"),
        lambda it: it["segments"].append(it["segments"][0]),
        lambda it: it["removals"].clear(),
        lambda it: it["segments"][0].update(name="../generation-0123456789abcdef"),
        lambda it: it["segments"][0].update(name="generation-0123456789abcdef"),
        lambda it: it["segments"][0].update(identity="00"),
        lambda it: it["segments"][0].update(removed=[[0, 2]]),
        lambda it: it["segments"][0].update(removed=[[1, 0]]),
        lambda it: it["segments"][0].update(removed=[[0, 1], [1, 2]]),
        lambda it: it["segments"][0].update(removed=[[0, 99]]),
        lambda it: it["segments"][0].update(removed=[0]),
        lambda it: it["segments"][0].update(removed=[[False, True]]),
        lambda it: it.update(removals=it["segments"][1:]),
        lambda it: it.update(segments=[*it["segments"], *it["removals"]], removals=[]),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(
    tmp_path: Path, zebra: Path, change: Callable[[dict], object]
) -> None:
    path = tmp_path / "damaged.infgram"
    shutil.copytree(zebra, path)
    damaged(path, change)
    with pytest.raises(CorruptIndex):
        infgram.open(path)


def test_a_list_that_is_torn_or_gone_is_refused(tmp_path: Path) -> None:
    index = infgram.add(built(tmp_path, "to be", "or not"), ["zebra"])
    (listed,) = index.path.glob("segments-*.json")
    content = listed.read_bytes()
    for changed in (b"", content[:-9], content.replace(b"generation", b"Generation"), b"[]"):
        listed.write_bytes(changed)
        with pytest.raises(CorruptIndex):
            infgram.open(index.path)
    listed.unlink()
    with pytest.raises(CorruptIndex, match="missing"):
        infgram.open(index.path)


# Removing ----------------------------------------------------------------------------------------


def records(folder: Path) -> infgram.Index:
    lines = [{"text": f"text {i}", "author": "ab"[i % 2], "year": 1600 + i} for i in range(4)]
    path = folder / "records.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    return infgram.build([path], folder / "corpus.infgram")


def test_documents_are_removed_by_what_is_known_of_them(tmp_path: Path) -> None:
    index = records(tmp_path)
    (tmp_path / "more.txt").write_text("text of a file")
    index = infgram.add(index, [tmp_path / "more.txt"])
    left = infgram.remove(index, where={"author": "a", "year": 1602})
    assert [left.document(i).text[-1] for i in range(4)] == ["0", "1", "3", "e"]
    left = infgram.remove(left, sources=str(tmp_path / "more.txt"), documents=[0])
    assert [left.document(i).metadata["year"] for i in range(2)] == [1601, 1603]
    assert left.count("text") == 2


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({}, "nothing is to be removed"),
        ({"documents": [4]}, "there is no document 4"),
        ({"documents": [True and 0.5]}, "there is no document 0.5"),
        ({"sources": ["nowhere.txt"]}, "the source 'nowhere.txt'"),
        ({"where": {"author": "c"}}, "the metadata author='c'"),
    ],
)
def test_what_no_document_has_is_said_and_nothing_is_removed(
    tmp_path: Path, what: dict, said: str
) -> None:
    index = records(tmp_path)
    with pytest.raises(InvalidParameter, match=said):
        infgram.remove(index, **what)
    assert infgram.open(index.path).identity == index.identity


def test_numbers_of_an_index_that_has_changed_are_refused(tmp_path: Path) -> None:
    index = records(tmp_path)
    infgram.add(index, ["more"])
    with pytest.raises(IndexReplaced, match="other numbers"):
        infgram.remove(index, documents=[1])
    assert infgram.remove(index.refresh(), documents=[1]).n_documents == 4


def test_an_index_never_becomes_empty(tmp_path: Path) -> None:
    index = infgram.add(built(tmp_path, "a", ""), [""])
    with pytest.raises(EmptyCorpus, match="no tokens left"):
        infgram.remove(index, documents=[0])
    assert infgram.remove(index, documents=[1, 2]).n_documents == 1
    with pytest.raises(EmptyCorpus):
        infgram.add(index, [])


# Merging ------------------------------------------------------------------------------------------


def test_merging_leaves_segments_four_times_as_large_as_all_behind(tmp_path: Path) -> None:
    index = built(tmp_path, "x" * 400)
    for i in range(12):
        index = infgram.add(index, ["abcde"[i % 5] * 4])
    index = infgram.remove(index, documents=[1])
    index = infgram.remove(index, documents=[2])
    before = said(index, "aa", "x", "e")
    merged = infgram.merge(index)
    sizes = [segment.stored.layout.n_tokens for segment in merged.segments.segments]
    assert sizes == [400, 48]
    assert len(merged.segments.removals) == 1
    assert said(merged, "aa", "x", "e") == before
    assert infgram.merge(merged).identity == merged.identity
    names = {segment.name for segment in merged.segments.segments}
    assert {each.name for each in merged.path.glob("generation-*")} - names == {
        merged.segments.removals[0].folder.name
    }
    purged = infgram.merge(merged, purge=True)
    assert said(purged, "aa", "x", "e") == before
    assert len(list(purged.path.glob("*"))) == 3  # CURRENT, lock, a generation
