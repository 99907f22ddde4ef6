"""The compact layout: what it answers, what it refuses by name, and how one becomes the other."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import generation, make_index

import infgram
from infgram.errors import (
    CorruptIndex,
    IndexExists,
    InvalidParameter,
    NeedsFastLayout,
    UnsupportedFormat,
)
from infgram.refine import polish
from infgram.store.storage import IndexWriter
from infgram.text.tokens import load

TEXT = b"to be or not to be, that is the question.\n" * 40
WIDTHS = {8: 256, 16: 60_000, 32: 200_000}


@pytest.fixture(scope="module")
def random_documents() -> dict[int, list[np.ndarray]]:
    """By width of codes: documents whose rows fill several superblocks of a compact shard."""
    rng = np.random.default_rng(0)
    documents = {}
    for bits, n_ids in WIDTHS.items():
        ids = np.minimum(rng.geometric(20 / n_ids, 70_000), n_ids - 1).astype(np.uint32)
        copied = ids[1000:9000]
        documents[bits] = [ids, copied, ids[:0], ids[-500:]]
    return documents


def made(path: Path, bits: int, documents, **options) -> infgram.Index:
    tokenizer = load("bytes") if bits == 8 else load("ids", vocab_size=WIDTHS[bits])
    return make_index(path, documents, tokenizer=tokenizer, code_bits=bits, **options)


def files(index: infgram.Index) -> dict[str, bytes]:
    folder = index.stored.folder
    return {name: (folder / name).read_bytes() for name in index.stored.layout.files}


@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("shard_tokens", [10**6, 75_000])
def test_a_conversion_makes_the_files_of_a_build(tmp_path, random_documents, bits, shard_tokens):
    documents = random_documents[bits]
    fast = made(tmp_path / "fast", bits, documents, shard_tokens=shard_tokens)
    compact = made(
        tmp_path / "compact", bits, documents, shard_tokens=shard_tokens, layout="compact"
    )
    assert fast.n_shards == compact.n_shards == (1 if shard_tokens == 10**6 else 2)
    small = infgram.convert(fast, tmp_path / "small", layout="compact")
    large = infgram.convert(compact, tmp_path / "large", layout="fast")
    assert files(small) == files(compact)
    assert files(large) == files(fast)
    for index in (small, large):
        index.verify()
        assert infgram.open(index.path).layout == index.layout
    assert compact.n_bytes < fast.n_bytes / 2


@pytest.mark.parametrize("bits", WIDTHS)
def test_both_layouts_answer_alike_where_blocks_and_superblocks_end(
    tmp_path, random_documents, bits
):
    documents = random_documents[bits]
    fast, compact = (
        made(tmp_path / layout, bits, documents, layout=layout) for layout in ("fast", "compact")
    )
    rng = np.random.default_rng(1)
    text = documents[0]
    places = rng.integers(0, 60_000, 200).tolist()
    queries = [text[at : at + (1, 2, 3, 8)[i % 4]] for i, at in enumerate(places)]
    assert fast.count_batch(queries).tolist() == compact.count_batch(queries).tolist()
    for query in queries[:40]:
        assert fast.ntd(query) == compact.ntd(query)
        assert fast.levels(query) == compact.levels(query)
        assert fast.find(query, limit=3, seed=0) == compact.find(query, limit=3, seed=0)
    assert fast.ntd([]) == compact.ntd([])
    assert np.array_equal(fast.document(0).token_ids, compact.document(0).token_ids)
    cursors = fast.cursor(window=9), compact.cursor(window=9)
    for token in text[5000:5050].tolist():
        one, two = (cursor.advance(token) for cursor in cursors)
        assert one.levels() == two.levels()
        assert one.ntd(0) == two.ntd(0)


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> tuple[infgram.Index, infgram.Index]:
    folder = tmp_path_factory.mktemp("pair")
    fast = infgram.build([TEXT.decode(), "to see or not"], folder / "fast", two_sided=True)
    return fast, infgram.convert(fast, folder / "compact", layout="compact")


@pytest.mark.parametrize("estimator", [infgram.SBIS(), infgram.SBIS(k=-1), infgram.Longest()])
@pytest.mark.parametrize("options", [{"temperature": 0.8}, {"max_copy": 9}, {"top_k": 2}])
def test_a_seed_gives_the_same_text(pair, estimator, options):
    one, two = (
        infgram.Model(index, estimator).generate("to b", max_tokens=200, seed=3, **options)
        for index in pair
    )
    assert one.token_ids.tolist() == two.token_ids.tolist()


def test_scores_and_traces_are_the_same(pair):
    one, two = (infgram.Model(index, infgram.SBIS()) for index in pair)
    assert np.array_equal(one.score("to be or not").log_prob, two.score("to be or not").log_prob)
    assert one.trace("to be or not") == two.trace("to be or not")
    assert infgram.attribute(pair[0], "or not to be") == infgram.attribute(pair[1], "or not to be")
    assert infgram.count_cnf(pair[0], [["to"], ["be"]]) == infgram.count_cnf(
        pair[1], [["to"], ["be"]]
    )


def test_the_other_side_is_converted_too(pair):
    fast, compact = pair
    assert compact.backwards.layout == "compact"
    assert fast.backwards.ntd("eb") == compact.backwards.ntd("eb")
    compact.verify()


@pytest.mark.parametrize(
    ("what", "name"),
    [
        (lambda index: infgram.calibrate(index), "Kneser-Ney"),
        (lambda index: infgram.Model(index, infgram.KneserNey()).score("to be"), "Kneser-Ney"),
        (lambda index: infgram.Model(index).generate("to", max_tokens=2), "Kneser-Ney"),
        (lambda index: infgram.fit(index), "Mix"),
        (lambda index: infgram.Model(index, infgram.Mix()).score("to be"), "Mix"),
        (lambda index: list(infgram.repeats(index, 5)), "repeats"),
        (lambda index: polish(index, "to be or not"), "polish"),
    ],
    ids=["calibrate", "score", "generate", "fit", "mix", "repeats", "polish"],
)
def test_what_it_cannot_do_is_refused_by_name(pair, what, name):

    with pytest.raises(NeedsFastLayout, match=rf"{name}.*infgram convert .* --layout fast"):
        what(pair[1])


def test_the_core_refuses_what_python_did_not(pair):
    with pytest.raises(NeedsFastLayout, match=r"without the column 'next'.*infgram convert"):
        pair[1].cursor("to").native.read_levels(0.5)


def test_a_layout_that_there_is_not_is_refused(tmp_path, pair):
    with pytest.raises(InvalidParameter, match="layout is 'tiny', expected one of: fast, compact"):
        infgram.build(["to be"], layout="tiny")
    with pytest.raises(InvalidParameter, match="layout is 'tiny'"):
        infgram.convert(pair[0], tmp_path / "x", layout="tiny")
    with pytest.raises(InvalidParameter, match="has the fast layout already"):
        infgram.convert(pair[0], tmp_path / "x", layout="fast")
    with pytest.raises(InvalidParameter, match="calibrate is True and layout 'compact'"):
        infgram.build(["to be"], layout="compact", calibrate=True)
    assert not (tmp_path / "x").exists()


def test_a_conversion_replaces_only_what_it_is_told_to(tmp_path, pair):
    infgram.build(["something else"], tmp_path / "taken")
    with pytest.raises(IndexExists):
        infgram.convert(pair[0], tmp_path / "taken", layout="compact")
    assert infgram.open(tmp_path / "taken").count("else") == 1
    infgram.convert(pair[0], tmp_path / "taken", layout="compact", overwrite=True)
    assert infgram.open(tmp_path / "taken").count("else") == 0


def changed_manifest(index: infgram.Index, **fields: object) -> None:
    folder = generation(index.path)
    writer = IndexWriter(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    writer.files, writer.optional = manifest.pop("files"), manifest.pop("optional")
    manifest.pop("checksum")
    writer.finish({**manifest, **fields})


def test_an_unknown_layout_is_of_a_newer_infgram(tmp_path):
    index = infgram.build(["to be"], tmp_path / "index", layout="compact")
    changed_manifest(index, layout="tiny")
    with pytest.raises(UnsupportedFormat, match="has the layout 'tiny'"):
        infgram.open(index.path)


def test_columns_of_the_other_layout_are_missed(tmp_path):
    index = infgram.build(["to be"], tmp_path / "index", layout="compact")
    changed_manifest(index, layout="fast")
    with pytest.raises(CorruptIndex, match="names no file"):
        infgram.open(index.path)


@pytest.mark.parametrize("name", ["next_supers", "next_entries", "next_blocks", "sa_marks"])
def test_a_column_that_lies_is_found_by_verify(tmp_path, name):
    index = infgram.build([TEXT.decode()], tmp_path / "index", layout="compact")
    folder = index.stored.folder
    writer = IndexWriter(folder)
    column = index.stored.column(f"shard-00000/{name}").copy()
    column[len(column) // 2] ^= 1
    path = f"shard-00000/{name}"
    writer.write(path, column)
    files = {**json.loads((folder / "manifest.json").read_text())["files"], **writer.files}
    index = None
    manifest = json.loads((folder / "manifest.json").read_text())
    writer.files, writer.optional = files, manifest["optional"]
    rest = {k: v for k, v in manifest.items() if k not in ("files", "optional", "checksum")}
    writer.finish(rest)
    with pytest.raises(CorruptIndex):
        infgram.open(tmp_path / "index").verify()
