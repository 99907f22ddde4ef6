"""Parts of a build, made in any order on any machine, and joined: one build, byte for byte."""

from __future__ import annotations

import errno
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from conftest import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import Reference
from test_growing import FIRST_FORMAT, TEXTS, answers, laws
from test_growing_crashes import Disk, write

import infgram
from infgram.errors import (
    CorruptIndex,
    EmptyCorpus,
    IndexExists,
    InputError,
    InvalidParameter,
    NeedsMerge,
    PartsDoNotFit,
    StorageError,
)
from infgram.store import parts as store_parts
from infgram.store import storage
from infgram.store.layout import LAYOUTS

posix = pytest.mark.skipif(sys.platform == "win32", reason="links and kills as POSIX does")


def texts_in(folder: Path, *texts: bytes) -> Path:
    """A folder with a file for each text."""
    corpus = folder / "texts"
    corpus.mkdir()
    for i, text in enumerate(texts):
        (corpus / f"{i:03d}.txt").write_bytes(text)
    return corpus


def built(corpus: Path, n: int, order: Sequence[int] = (), **options: Any) -> list[Path]:
    """The parts of a corpus, built in an order, in the order of their numbers."""
    parts = [corpus.parent / f"{i}-of-{n}.infgram" for i in range(1, n + 1)]
    for i in order or range(n):
        infgram.build(corpus, parts[i], part=(i + 1, n), **options)
    return parts


def tree(path: Path) -> dict[str, bytes]:
    """The bytes of an index, but for the notes of which files were checked, which hold times."""
    files = [each for each in path.rglob("*") if each.is_file() and each.name != storage.VERIFIED]
    return {str(each.relative_to(path)): each.read_bytes() for each in files}


THREE = (b"to be or not to be", b"that is the question", b"whether it is nobler")


# What is exact ------------------------------------------------------------------------------------


@settings(max_examples=examples(40))
@given(
    documents=TEXTS.filter(any),
    layout=st.sampled_from(LAYOUTS),
    shard_tokens=st.sampled_from([60, 10**6]),
    data=st.data(),
)
def test_a_joined_index_answers_what_one_build_of_all_does(
    documents: list[list[int]], layout: str, shard_tokens: int, data: st.DataObject
) -> None:
    documents = [[token for token in document if token < 255] for document in documents]
    if not any(documents):
        return
    n = data.draw(st.integers(1, len(documents)))
    options: dict[str, Any] = {"layout": layout, "shard_tokens": shard_tokens, "format": "bytes"}
    with tempfile.TemporaryDirectory() as folder:
        corpus = texts_in(Path(folder), *map(bytes, documents))
        parts = built(corpus, n, data.draw(st.permutations(range(n))), **options)
        joined = infgram.join(data.draw(st.permutations(parts)), Path(folder, "joined.infgram"))
        joined = infgram.open(joined.path, verify=True)
        whole = infgram.build(corpus, Path(folder, "whole.infgram"), **options)
        queries = [[], *(document[i : i + 3] for document in documents for i in (0, 1, 4))]
        assert answers(joined, queries) == answers(whole, queries)
        truth = Reference(documents, 256)
        for query in queries:
            assert joined.count(query) == truth.count(query)
            assert dict(joined.ntd(query)) == truth.ntd(query)
            assert joined.levels(query) == truth.levels(query)
        assert laws(joined, queries[:3]) == {
            name: pytest.approx(law) for name, law in laws(whole, queries[:3]).items()
        }
        joined.verify()
        merged = infgram.join(parts, Path(folder, "merged.infgram"), one_piece=True)
        assert merged.alphabet.tolist() == whole.alphabet.tolist()
        assert merged.layout == layout
        columns = set(whole.stored.columns) - {"sources", "sources_offsets"}
        for name in columns if shard_tokens > 60 else ():
            assert merged.stored.column(name).tolist() == whole.stored.column(name).tolist(), name


@pytest.mark.parametrize("tokenizer", ["bytes", "chars"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_parts_make_the_same_bytes_in_whatever_order_and_however_often_they_are_built(
    tmp_path: Path, tokenizer: str, layout: str
) -> None:
    corpus = texts_in(tmp_path, *THREE, "Ω and 😀 \xff".encode(), b"", b"be")
    options: dict[str, Any] = {"tokenizer": tokenizer, "layout": layout, "documents": "line"}
    parts = built(corpus, 3, [2, 0, 1], **options)
    joined = infgram.join(reversed(parts), tmp_path / "joined.infgram")
    again = [path.rename(path.with_suffix(".old")) for path in parts]
    parts = built(corpus, 3, [1, 2, 0], **options)
    infgram.join(parts, tmp_path / "again.infgram")
    here = infgram.build_parts(corpus, tmp_path / "here.infgram", 3, **options)
    truth = tree(joined.path)
    assert len(truth) > 20
    assert tree(tmp_path / "again.infgram") == tree(here.path) == truth
    assert joined.identity == here.identity
    assert [infgram.open(path).identity for path in again] == [
        infgram.open(path).identity for path in parts
    ]
    assert not (tmp_path / "here.infgram.parts").exists()
    infgram.open(here.path, verify=True).verify()


def test_jobs_change_no_byte(tmp_path: Path) -> None:
    corpus = texts_in(tmp_path, *THREE)
    one = infgram.build_parts(corpus, tmp_path / "one.infgram", 2, shard_tokens=25)
    two = infgram.build_parts(corpus, tmp_path / "two.infgram", 2, shard_tokens=25, jobs=2)
    assert one.n_shards > 2
    assert tree(one.path) == tree(two.path)


def test_a_joined_index_grows_and_its_parts_can_be_removed(tmp_path: Path) -> None:
    corpus = texts_in(tmp_path, *THREE)
    parts = built(corpus, 3)
    joined = infgram.join(parts, tmp_path / "joined.infgram")
    for part in parts:
        shutil.rmtree(part)
    grown = infgram.add(joined, ["zebras are to be"])
    assert (grown.count("to be"), grown.count("zebra"), joined.count("to be")) == (3, 1, 2)
    with pytest.raises(NeedsMerge):
        infgram.Model(grown, infgram.KneserNey()).distribution("to")
    merged = infgram.merge(grown, purge=True)
    whole = infgram.build([*map(bytes.decode, THREE), "zebras are to be"])
    law = infgram.Model(merged, infgram.KneserNey()).distribution("to")
    assert law == pytest.approx(infgram.Model(whole, infgram.KneserNey()).distribution("to"))


def test_a_part_is_an_index_of_its_own(tmp_path: Path) -> None:
    path = built(texts_in(tmp_path, *THREE), 3)[1]
    part = infgram.open(path, verify=True)
    assert part.n_documents == 1
    assert part.document(0).text == "that is the question"
    part.verify()
    for law in (infgram.KneserNey(), infgram.SBIS(floor=1e-4), infgram.Longest()):
        assert infgram.Model(part, law).distribution("th").sum() == pytest.approx(1)


# Which files --------------------------------------------------------------------------------------


@given(sizes=st.lists(st.integers(0, 1 << 40), min_size=1, max_size=40), data=st.data())
def test_parts_are_runs_of_the_files_none_empty_and_none_much_larger_than_its_share(
    sizes: list[int], data: st.DataObject
) -> None:
    n = data.draw(st.integers(1, len(sizes)))
    cuts = store_parts._cuts(sizes, n)
    assert (cuts[0], cuts[-1], len(cuts)) == (0, len(sizes), n + 1)
    assert all(a < b for a, b in pairwise(cuts))
    if n * 4 <= len(sizes) and min(sizes):  # where no part is forced to have a file
        largest = max(sum(sizes[a:b]) for a, b in pairwise(cuts))
        assert largest <= sum(sizes) / n + max(sizes) or largest == max(sizes)


def test_files_are_read_in_the_order_of_a_build(tmp_path: Path) -> None:
    corpus = texts_in(tmp_path, *(b"%d " % i * (i % 3 + 1) for i in range(20)))
    joined = infgram.join(built(corpus, 7), tmp_path / "joined.infgram")
    whole = infgram.build(corpus, tmp_path / "whole.infgram")
    sources = [[it.document(i).source for i in range(it.n_documents)] for it in (joined, whole)]
    assert sources[0] == sources[1]


# Interrupted --------------------------------------------------------------------------------------


def test_a_finished_part_is_not_built_again(tmp_path: Path) -> None:
    corpus = texts_in(tmp_path, *THREE)
    parts = built(corpus, 3)
    before = [infgram.open(part).stored.folder for part in parts]
    with patch("infgram.create.build_index", side_effect=AssertionError("it is there already")):
        built(corpus, 3)
    assert [infgram.open(part).stored.folder for part in parts] == before
    (corpus / "001.txt").write_bytes(b"another size")
    with pytest.raises(IndexExists):
        built(corpus, 3)
    built(corpus, 3, overwrite=True)
    assert infgram.join(parts, tmp_path / "joined.infgram").count("another size") == 1


def test_processes_that_build_one_part_at_the_same_time_all_have_it(tmp_path: Path) -> None:
    corpus = texts_in(tmp_path, *THREE)
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda _: built(corpus, 1)[0], range(6)))
    assert infgram.open(made[0], verify=True).count("to be") == 2
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"texts", made[0].name}


def test_a_torn_part_is_built_again_where_it_may_be_replaced(tmp_path: Path) -> None:
    corpus = texts_in(tmp_path, *THREE)
    parts = built(corpus, 3)
    truth = tree(infgram.join(parts, tmp_path / "joined.infgram").path)
    shutil.rmtree(tmp_path / "joined.infgram")
    file = infgram.open(parts[1]).stored.folder / "shard-00000" / "sa"
    file.write_bytes(file.read_bytes()[:-64])
    with pytest.raises(CorruptIndex):
        infgram.join(parts, tmp_path / "joined.infgram")
    with pytest.raises(IndexExists):
        built(corpus, 3)
    built(corpus, 3, overwrite=True)
    assert tree(infgram.join(parts, tmp_path / "joined.infgram").path) == truth


def test_a_build_of_parts_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    corpus = texts_in(tmp_path, *THREE)
    path = tmp_path / "corpus.infgram"
    build, built_parts = infgram.build, []

    def interrupted(*arguments: Any, **options: Any) -> infgram.Index:
        built_parts.append(options["part"])
        if options["part"] == (3, 3) and len(built_parts) == 3:
            raise KeyboardInterrupt
        return build(*arguments, **options)

    with patch("infgram.parts.build", interrupted):
        with pytest.raises(KeyboardInterrupt):
            infgram.build_parts(corpus, path, 3)
        assert not path.exists()
        kept = [infgram.open(f"{path}.parts/{i}-of-3.infgram").stored.folder for i in (1, 2)]
        infgram.build_parts(corpus, path, 3)
    assert all(not folder.exists() for folder in kept)
    truth = infgram.build_parts(corpus, tmp_path / "other.infgram", 3)
    assert tree(path) == tree(truth.path)


@posix
def test_a_part_whose_build_was_killed_is_built_anew(tmp_path: Path) -> None:
    corpus = texts_in(tmp_path, *(b"%d to be or not " % i * 40_000 for i in range(4)))
    truth = infgram.build_parts(corpus, tmp_path / "truth.infgram", 2)
    script = (
        "import sys, infgram\n"
        "def tell(*_): print(flush=True)\n"
        "infgram.build(sys.argv[1], sys.argv[2], part=(1, 2), progress=tell)"
    )
    path = tmp_path / "1-of-2.infgram"
    for n_lines in (1, 3, 5, 6):
        command = [sys.executable, "-c", script, str(corpus), str(path)]
        builder = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert builder.stdout
        for _ in range(n_lines):
            builder.stdout.readline()
        builder.send_signal(signal.SIGKILL)
        builder.communicate()
    joined = infgram.join(built(corpus, 2), tmp_path / "joined.infgram")
    assert tree(joined.path) == tree(truth.path)
    assert not list(tmp_path.glob(".*.building"))


@posix
@pytest.mark.parametrize("there_is_one", [False, True])
def test_a_join_is_whole_or_not_there_wherever_it_is_cut_off(
    tmp_path: Path, there_is_one: bool
) -> None:
    parts = built(texts_in(tmp_path, *THREE), 2)
    path = tmp_path / "joined.infgram"
    if there_is_one:
        infgram.build(["something else"], path)
    disk = Disk(tmp_path)
    with disk.recorded():
        truth = infgram.join(parts, path, overwrite=True)
    seen = set()
    cut = tmp_path.parent / "cut"
    for i, state in enumerate(disk.states):
        write(state, cut)
        target = cut / path.name
        seen.add(found := infgram.open(target, verify=True).n_documents if target.exists() else 0)
        assert found in (int(there_is_one), 3)
        if i % 10 == 0:
            moved = [cut / part.name for part in parts]
            assert infgram.join(moved, target, overwrite=True).identity == truth.identity
            assert not list(cut.glob(".*.building")) + list(target.glob(".*.building"))
            assert len(list(target.glob("generation-*"))) == 2
    assert len(disk.states) > 60
    assert seen == {int(there_is_one), 3}


def test_a_join_that_stands_there_is_not_made_again(tmp_path: Path) -> None:
    parts = built(texts_in(tmp_path, *THREE), 2)
    joined = infgram.join(parts, tmp_path / "joined.infgram")
    with patch("infgram.store.joining.building", side_effect=AssertionError("it is there")):
        assert infgram.join(parts, joined.path).identity == joined.identity
    infgram.add(joined, ["more"])
    with pytest.raises(IndexExists):
        infgram.join(parts, joined.path)
    replaced = infgram.join(parts, joined.path, overwrite=True)
    assert replaced.n_documents == 3
    assert len(list(joined.path.glob("generation-*"))) == 2


def test_processes_that_join_at_the_same_time_all_have_it(tmp_path: Path) -> None:
    parts = built(texts_in(tmp_path, *THREE), 3)
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda _: infgram.join(parts, tmp_path / "joined.infgram"), range(6)))
    assert len({each.identity for each in made}) == 1
    assert infgram.open(tmp_path / "joined.infgram", verify=True).count("to be") == 2


def test_an_index_of_format_1_is_left_alone_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    parts = built(texts_in(tmp_path, *THREE), 3)
    with zipfile.ZipFile(FIRST_FORMAT) as archive:
        archive.extractall(tmp_path / "old")
    (path,) = (tmp_path / "old").glob("*.infgram")
    before = infgram.open(path).n_tokens
    with pytest.raises(IndexExists):
        infgram.join(parts, path)
    with patch("os.link", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        infgram.join(parts, path, overwrite=True)
    assert infgram.open(path, verify=True).n_tokens == before
    infgram.join(parts, path, overwrite=True)
    assert infgram.open(path, verify=True).n_documents == 3


# Links --------------------------------------------------------------------------------------------


@posix
def test_files_are_linked_and_what_was_checked_is_not_checked_again(tmp_path: Path) -> None:
    parts = built(texts_in(tmp_path, *THREE), 2)
    joined = infgram.join(parts, tmp_path / "joined.infgram")
    mine = joined.segments.segments[0].stored.folder / "shard-00000" / "sa"
    theirs = infgram.open(parts[0]).stored.folder / "shard-00000" / "sa"
    assert mine.samefile(theirs)
    with patch("infgram.store.storage.check_sums", side_effect=AssertionError("they were checked")):
        infgram.open(joined.path)
        infgram.open(parts[1])
    here = infgram.build_parts(tmp_path / "texts", tmp_path / "here.infgram", 2)
    with patch("infgram.store.storage.check_sums", side_effect=AssertionError("they were checked")):
        infgram.open(here.path)


def test_where_files_cannot_be_linked_they_are_copied(tmp_path: Path) -> None:
    parts = built(texts_in(tmp_path, *THREE), 2)
    linked = infgram.join(parts, tmp_path / "linked.infgram")
    with patch("os.link", side_effect=OSError(errno.EXDEV, "another file system")):
        copied = infgram.join(parts, tmp_path / "copied.infgram")
    assert tree(copied.path) == tree(linked.path)
    mine = copied.segments.segments[0].stored.folder / "token_ids"
    assert mine.stat().st_nlink == 1


def test_a_disk_that_is_full_leaves_nothing(tmp_path: Path) -> None:
    parts = built(texts_in(tmp_path, *THREE), 2)
    before = sorted(tmp_path.iterdir())
    full = OSError(errno.ENOSPC, "No space left on device")
    with (
        patch("os.link", side_effect=full),
        patch("infgram.store.joining.shutil.copyfileobj", side_effect=full),
        pytest.raises(StorageError, match="Nothing is changed"),
    ):
        infgram.join(parts, tmp_path / "joined.infgram")
    assert sorted(tmp_path.iterdir()) == before


# What does not fit --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ([0, 2], r"1 of 3 parts are missing: 2; build each with `infgram build --part 2/3`"),
        ([1], r"2 of 3 parts are missing: 1, 3"),
        ([0, 1, 2, 1], r"part 2 of 3 is double: .*2-of-3.infgram and .*2-of-3.infgram"),
        ([], "there is no part"),
    ],
)
def test_every_part_is_needed_once(tmp_path: Path, chosen: list[int], says: str) -> None:
    parts = built(texts_in(tmp_path, *THREE), 3)
    with pytest.raises(PartsDoNotFit, match=says):
        infgram.join([parts[i] for i in chosen], tmp_path / "joined.infgram")
    assert not (tmp_path / "joined.infgram").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"layout": "compact"}, "the layout is 'compact' and 'fast'"),
        ({"tokenizer": "chars"}, "the tokenizer is {'name': 'chars'"),
        ({"documents": "line"}, "the documents is 'line' and 'file'"),
        ({"shard_tokens": 10**6}, "the shard_tokens is 1000000 and"),
        ({"skip_bad": True}, "the skip_bad is True and False"),
        ({"glob": "**/*1.txt", "part": (1, 1)}, "the number of parts is 1 and 3"),
        ({"exclude": ["*1.txt"], "part": (2, 2)}, "the number of parts is 2 and 3"),
    ],
)
def test_parts_of_other_settings_do_not_fit(
    tmp_path: Path, options: dict[str, Any], says: str
) -> None:
    corpus = texts_in(tmp_path, *THREE)
    parts = built(corpus, 3)
    other = tmp_path / "other.infgram"
    infgram.build(corpus, other, **{"part": (2, 3), **options})
    with pytest.raises(PartsDoNotFit) as caught:
        infgram.join([parts[0], other, parts[2]], tmp_path / "joined.infgram")
    assert says in str(caught.value)
    assert f"{other} and {parts[0]}" in str(caught.value)


def test_parts_of_other_files_do_not_fit(tmp_path: Path) -> None:
    corpus = texts_in(tmp_path, *THREE)
    first = built(corpus, 3)[0]
    (corpus / "002.txt").write_bytes(b"longer than it was before")
    others = built(corpus, 3, [1, 2], overwrite=True)[1:]
    with pytest.raises(PartsDoNotFit, match="the bytes of all files is 63 and 58"):
        infgram.join([first, *others], tmp_path / "joined.infgram")
    (corpus / "002.txt").rename(corpus / "003.txt")
    infgram.build(corpus, tmp_path / "renamed.infgram", part=(3, 3))
    with pytest.raises(PartsDoNotFit, match="the list of files is"):
        infgram.join([others[0], tmp_path / "renamed.infgram"], tmp_path / "joined.infgram")


def test_what_is_no_part_is_refused(tmp_path: Path) -> None:
    parts = built(texts_in(tmp_path, *THREE), 3)
    whole = infgram.build(["to be"], tmp_path / "whole.infgram")
    with pytest.raises(PartsDoNotFit, match="is no part of a build"):
        infgram.join([whole.path], tmp_path / "joined.infgram")
    infgram.add(parts[1], ["more"])
    with pytest.raises(PartsDoNotFit, match="has grown since it was built"):
        infgram.join(parts, tmp_path / "joined.infgram")
    with pytest.raises(InvalidParameter, match="expected a list of paths"):
        infgram.join(str(parts[0]), tmp_path / "joined.infgram")
    with pytest.raises(StorageError, match="does not exist"):
        infgram.join([tmp_path / "nowhere"], tmp_path / "joined.infgram")


@pytest.mark.parametrize("one_piece", [False, True])
def test_a_part_with_the_byte_that_text_never_has_is_joined_by_a_merge(
    tmp_path: Path, one_piece: bool
) -> None:
    parts = built(texts_in(tmp_path, *THREE, bytes(range(256))), 2, format="bytes")
    assert [infgram.open(part).manifest["code_bits"] for part in parts] == [8, 16]
    if not one_piece:
        with pytest.raises(PartsDoNotFit, match=r"has the token ids \[255\]"):
            infgram.join(parts, tmp_path / "joined.infgram")
        return
    joined = infgram.join(parts, tmp_path / "joined.infgram", one_piece=True)
    assert (joined.count(b"\xff"), joined.count("to be")) == (1, 2)


def test_a_part_may_hold_empty_documents_alone_but_not_nothing(tmp_path: Path) -> None:
    corpus = texts_in(tmp_path, b"", b"", b"to be")
    joined = infgram.join(built(corpus, 3), tmp_path / "joined.infgram")
    whole = infgram.build(corpus, tmp_path / "whole.infgram")
    assert answers(joined, [[116]]) == answers(whole, [[116]])
    (corpus / "000.jsonl").write_bytes(b"\n")
    with pytest.raises(EmptyCorpus):
        infgram.build(corpus, tmp_path / "empty.infgram", part=(1, 4))
    (tmp_path / "empty.txt").touch()
    with pytest.raises(EmptyCorpus):  # of files that are all empty there is no part
        infgram.build(tmp_path / "empty.txt", tmp_path / "empty.infgram", part=(1, 1))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"number": 0}, "its number is 0, expected a number from 1 to 3"),
        ({"number": 4}, "its number is 4"),
        ({"of": "3"}, "its of is '3'"),
        ({"settings": []}, "its settings is"),
        ({"files": None}, "its files is None"),
    ],
)
def test_a_manifest_that_lies_of_its_part_is_refused(
    tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    parts = built(texts_in(tmp_path, *THREE), 3)
    path = infgram.open(parts[0]).stored.folder / "manifest.json"
    fields = json.loads(path.read_text())
    del fields["checksum"]
    fields["part"] |= change
    path.write_text(json.dumps({**fields, "checksum": storage.checksum(fields)}))
    with pytest.raises(CorruptIndex) as caught:
        infgram.join(parts, tmp_path / "joined.infgram")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"part": (0, 3)}, InvalidParameter, "part is 0, expected a whole number from 1 to 3"),
        ({"part": (4, 3)}, InvalidParameter, "part is 4"),
        ({"part": (1, 0)}, InvalidParameter, "of is 0"),
        ({"part": 1}, InvalidParameter, "part is 1, expected two numbers"),
        ({"part": (1.5, 3)}, InvalidParameter, "part is 1.5"),
        ({"part": (1, 4)}, InvalidParameter, "4 parts of 3 files"),
        ({"part": (1, 2), "two_sided": True}, InvalidParameter, "two_sided is True"),
        ({"part": (1, 2), "calibrate": True}, InvalidParameter, "calibrate is True"),
        ({"part": (1, 2), "path": None}, InvalidParameter, "without a path"),
        ({"part": (1, 2), "inputs": ["to be", "or not"]}, InvalidParameter, "in memory"),
        ({"part": (1, 1), "inputs": "-"}, InputError, "this is a stream"),
        (
            {"part": (1, 1), "tokenizer": "ids", "vocab_size": 2**31},
            InvalidParameter,
            "2,147,483,648 token ids",
        ),
    ],
)
def test_a_part_that_cannot_be_is_refused(
    tmp_path: Path, options: dict[str, Any], error: type[Exception], says: str
) -> None:
    corpus = texts_in(tmp_path, *THREE)
    given = {"inputs": corpus, "path": tmp_path / "part.infgram", **options}
    with pytest.raises(error) as caught:
        infgram.build(**given)
    assert says in str(caught.value)
    assert not (tmp_path / "part.infgram").exists()


def test_parts_that_cannot_all_be_built_leave_what_was_there(tmp_path: Path) -> None:
    corpus = texts_in(tmp_path, *THREE)
    infgram.build(["to be"], tmp_path / "corpus.infgram")
    with pytest.raises(IndexExists):
        infgram.build_parts(corpus, tmp_path / "corpus.infgram", 2)
    assert (
        infgram.build_parts(corpus, tmp_path / "corpus.infgram", 2, overwrite=True).count("be") == 2
    )
    with pytest.raises(InvalidParameter, match="n is 0"):
        infgram.build_parts(corpus, tmp_path / "other.infgram", 0)
    with pytest.raises(InvalidParameter, match="4 parts of 3 files"):
        infgram.build_parts(corpus, tmp_path / "other.infgram", 4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus.infgram", "texts"]
