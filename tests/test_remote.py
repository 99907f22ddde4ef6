"""An index at an address: pushed, pulled, fetched as it is used, asked in place; what may fail."""

from __future__ import annotations

import json
import logging
import os
import pickle
import shutil
import subprocess
import sys
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("obstore", reason="needs obstore: make test-remote installs it")
pytest.importorskip("moto.server", reason="needs moto's server: make test-remote installs it")

from conftest import make_index
from faulty import FaultyServer, serving
from moto.server import ThreadedMotoServer
from pasting import blocks, commands, shell

import infgram
from infgram import errors
from infgram.remote.asking import answered
from infgram.store import objects
from infgram.store.summary import LEAF, records_of, size_of, summary, tiers_of
from infgram.text.tokens import load

DOCS = Path(__file__).parents[1] / "docs"
pytestmark = [
    pytest.mark.remote,
    # of the libraries that the server of S3 stands on
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """An S3 server, and the address of a bucket of it."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        request = urllib.request.Request(f"http://127.0.0.1:{port}/bucket", method="PUT")
        urllib.request.urlopen(request).close()
        yield "s3://bucket"
    server.stop()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "infgram" / "remote"


@pytest.fixture(scope="module")
def pushed(part_index: infgram.Index, bucket: str) -> str:
    url = f"{bucket}/some/part.infgram"
    infgram.push(part_index, url, overwrite=True)
    return url


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An address whose objects are files: nothing waits for a server where thousands are read."""
    from obstore.store import LocalStore

    store = LocalStore(tmp_path / "disk", mkdir=True)
    monkeypatch.setattr(objects.Objects, "_store", store)
    return "s3://disk"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "TIMEOUT", 0.5)
    monkeypatch.setattr(objects, "RETRIES", 1)


@pytest.fixture
def site(tmp_path: Path, part_index: infgram.Index, pushed: str) -> Iterator[FaultyServer]:
    """The same index on a web server that can fail."""
    import obstore

    folder = tmp_path / "site"
    store = objects.Objects(pushed)._store
    for page in obstore.list(store):
        for each in page:
            path = folder / each["path"].removeprefix("some/part.infgram/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes(obstore.get(store, str(path.relative_to(folder))).bytes()))
    with serving(folder) as server:
        yield server


def ngrams(text: bytes, n: int, longest: int, seed: int = 0) -> list[bytes]:
    """N-grams of a text, and some that are not in it."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(n):
        begin = int(rng.integers(len(text) - longest))
        found.append(text[begin : begin + int(rng.integers(1, longest + 1))])
        if i % 5 == 4:
            found[-1] = found[-1][:-1] + bytes([int(rng.integers(256))])
    return found


# In place -----------------------------------------------------------------------------------------


def test_an_index_asked_in_place_is_opened_and_counts_with_few_small_reads(
    pushed: str, part_index: infgram.Index, prose: bytes
) -> None:
    index = infgram.open_remote(pushed)
    assert index.traffic.n_bytes < 60_000
    assert index.identity == part_index.identity
    for ngram in ngrams(prose[:120_000], 60, 15):
        before = (index.traffic.trips, index.traffic.n_bytes)
        assert index.count(ngram) == part_index.count(ngram)
        assert index.traffic.trips - before[0] <= 10
        assert index.traffic.n_bytes - before[1] <= 8_000


def test_all_answers_in_place_are_those_of_the_index(
    disk: str, part_index: infgram.Index, prose: bytes
) -> None:
    infgram.push(part_index, disk)
    index = infgram.open_remote(disk)
    asked = [b"", b"e", b"the ", *ngrams(prose[:120_000], 100, 300)]
    assert index.count_batch(asked).tolist() == part_index.count_batch(asked).tolist()
    for ngram, ntd in zip(asked, index.ntd_batch(asked), strict=True):
        local = part_index.ntd(ngram)
        assert (ntd, ntd.prompt_cnt, ntd.suffix_len) == (local, local.prompt_cnt, len(ngram))
        assert ntd.token_ids.tolist() == local.token_ids.tolist()
    for ngram in asked[1:15]:
        assert index.levels(ngram) == part_index.levels(ngram)
        assert index.find(ngram, limit=3, seed=5) == part_index.find(ngram, limit=3, seed=5)
    assert pickle.loads(pickle.dumps(index)).count(b"the") == part_index.count(b"the")


@pytest.mark.parametrize("code_bits", [8, 16, 32])
@pytest.mark.parametrize("shard_tokens", [2**31 - 3, 900])
def test_every_width_and_several_shards_are_read_in_place(
    disk: str, tmp_path: Path, code_bits: int, shard_tokens: int
) -> None:
    rng = np.random.default_rng(code_bits)
    run = rng.integers(0, 3, 400)
    documents: list[Any] = [rng.integers(0, 4, n) for n in (700, 1, 0, 500)]
    documents += [np.concatenate([run, [n], run]) for n in range(3)] + [np.zeros(600, int)]
    local = make_index(
        tmp_path / "local.infgram",
        documents,
        tokenizer=load("ids", vocab_size=9),
        code_bits=code_bits,
        shard_tokens=shard_tokens,
        block_rows=256,
    )
    infgram.push(local, disk)
    index = infgram.open_remote(disk)
    assert index.n_shards == local.n_shards
    asked = [[], [7], [0], [0] * 500, [0] * 601, run.tolist(), [*run[-300:].tolist(), 1, *run[:9]]]
    for document in documents:
        for _ in range(4):
            begin = int(rng.integers(len(document) + 1))
            asked.append(document[begin : begin + int(rng.integers(1, 40))].tolist())
    assert index.count_batch(asked).tolist() == local.count_batch(asked).tolist()
    assert index.ntd_batch(asked) == [local.ntd(each) for each in asked]
    for each in filter(None, asked[1:10]):
        assert index.levels(each) == local.levels(each)
        assert index.find(each, limit=2, seed=1) == local.find(each, limit=2, seed=1)


def test_wide_ranges_are_counted_by_ranks(bucket: str, tmp_path: Path) -> None:
    text = np.random.default_rng(0).integers(0, 3, 150_000)
    local = make_index(tmp_path / "wide.infgram", [text], block_rows=1024)
    infgram.push(local, f"{bucket}/wide")
    index = infgram.open_remote(f"{bucket}/wide")
    for prompt in ([], [0], [1], [2, 0]):
        before = index.traffic.n_bytes
        assert index.ntd(prompt) == local.ntd(prompt)
        assert index.traffic.n_bytes - before < 20_000


def test_what_cannot_be_asked_in_place_is_refused_by_name(
    pushed: str, bucket: str, part_index: infgram.Index, tmp_path: Path
) -> None:
    index = infgram.open_remote(pushed)
    with pytest.raises(
        errors.NotInPlace, match=r"`cursor` cannot be asked in place of s3://.*pull"
    ):
        index.cursor("to")
    assert not hasattr(index, "document") and not hasattr(index, "nothing")
    with pytest.raises(errors.InvalidParameter, match="expected Index"):
        infgram.generate(index)  # type: ignore[arg-type]
    small = infgram.convert(part_index, tmp_path / "small.infgram", layout="compact")
    infgram.push(small, f"{bucket}/small")
    with pytest.raises(errors.NotInPlace, match="compact layout"):
        infgram.open_remote(f"{bucket}/small")
    assert infgram.open(f"{bucket}/small").count("the") == part_index.count("the")


def test_a_summary_has_the_contexts_of_its_rows(part_index: infgram.Index) -> None:
    stored, (shard,) = part_index.stored, part_index.stored.layout.shards
    content = b"".join(summary(stored, shard))
    assert len(content) == size_of(stored.layout, shard)
    assert len(content) < 0.4 * shard.n_rows
    codes, sa = stored.column(f"{shard.name}/codes"), stored.column(f"{shard.name}/sa")
    tier = tiers_of(stored.layout, shard)[-1]
    records = records_of(content[tier.begin : tier.end], 8)
    for i in range(0, tier.n, 97):
        position = int(sa[i * LEAF])
        assert records.positions[i] == position
        expected = codes[max(position - 16, 0) : position][::-1].tolist()
        assert records.keys[i].tolist() == expected + [0] * (16 - len(expected))


def test_the_page_on_it_can_be_pasted(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bucket == "s3://bucket"
    monkeypatch.chdir(tmp_path)
    run = shell(tmp_path)
    n_run = 0
    for language, block in blocks(DOCS / "howto" / "remote.md"):
        if language == "python":
            exec(compile(block, "remote.md", "exec"), {})
            n_run += 1
        elif language == "console":
            for command in commands(block):
                run(command)
                n_run += 1
    assert n_run == 6


# Fetched ------------------------------------------------------------------------------------------


def test_files_are_fetched_when_they_are_touched_and_once(
    site: FaultyServer, part_index: infgram.Index, cache: Path
) -> None:
    index = infgram.open(site.address)
    assert not [path for path in site.asked if "shard" in path]
    assert index.count("the") == part_index.count("the")
    assert any(path.endswith("/sa") for path in site.asked)
    assert not any(path.endswith("/documents") for path in site.asked)
    assert index.find("the", seed=1) == part_index.find("the", seed=1)
    site.asked.clear()
    again = infgram.open(site.address)
    assert again.count("the") == part_index.count("the")
    assert {path.rpartition("/")[2] for path in site.asked} == {"CURRENT", "manifest.json"}
    assert again.refresh() is again
    assert pickle.loads(pickle.dumps(again)).identity == part_index.identity
    again.verify()
    made = infgram.generate(again, max_tokens=20, seed=1).text
    assert made == infgram.generate(part_index, max_tokens=20, seed=1).text
    assert [folder.name for folder in cache.iterdir()] == [index.identity]


@pytest.mark.parametrize("keep_times", [False, True])
def test_the_cache_is_never_trusted_unchecked(
    site: FaultyServer, part_index: infgram.Index, cache: Path, keep_times: bool
) -> None:
    count = infgram.open(site.address).count("the")
    (held,) = cache.rglob("shard-00000/next")
    content, found = held.read_bytes(), held.stat()
    held.write_bytes(bytes(len(content)))
    if keep_times:
        os.utime(held, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert infgram.open(site.address).count("the") == count
    assert held.read_bytes() == content
    held.write_bytes(content[:-64])
    assert infgram.open(site.address).count("the") == count


def test_an_index_is_pulled_whole_or_not_at_all(
    site: FaultyServer,
    part_index: infgram.Index,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[tuple[str, int, int]] = []
    pulled = infgram.pull(
        site.address, tmp_path / "mine.infgram", progress=lambda *each: told.append(each)
    )
    assert told[-1] == ("pull", part_index.n_bytes, part_index.n_bytes)
    pulled.verify()
    assert pulled.identity == part_index.identity
    with pytest.raises(errors.IndexExists):
        infgram.pull(site.address, tmp_path / "mine.infgram")
    site.fault = lambda path: "truncate" if path.endswith("/same") else None
    monkeypatch.setattr(objects, "RETRIES", 0)
    with pytest.raises(errors.RemoteFailure):
        infgram.pull(site.address, tmp_path / "other.infgram")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "mine.infgram", "site"]


def test_both_sides_of_an_index_are_pushed_and_pulled(bucket: str, tmp_path: Path) -> None:
    local = infgram.build(["to be or not to be"], two_sided=True)
    infgram.push(local, f"{bucket}/two")
    assert infgram.open(f"{bucket}/two").backwards.count("eb") == 2
    pulled = infgram.pull(f"{bucket}/two", tmp_path / "two.infgram")
    pulled.verify()
    assert pulled.backwards.count("eb") == 2


def test_an_index_on_a_hub_is_read_of_one_commit(
    part_index: infgram.Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hub of our own, with what huggingface_hub asks of it."""
    pytest.importorskip("huggingface_hub")
    commit = "0123456789abcdef0123456789abcdef01234567"
    told = tmp_path / "hub" / "api" / "datasets" / "user" / "name"
    told.parent.mkdir(parents=True)
    told.write_text(json.dumps({"id": "user/name", "sha": commit, "siblings": []}))
    files = tmp_path / "hub" / "datasets" / "user" / "name" / "resolve" / commit / "some"
    shutil.copytree(part_index.path, files)
    with serving(tmp_path / "hub") as server:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.address)
        index = infgram.open("hf://datasets/user/name/some")
        assert index.count("the") == part_index.count("the")
        with pytest.raises(errors.RemoteFailure, match="does not tell of this repository"):
            infgram.open("hf://datasets/user/other")
    with pytest.raises(errors.StorageError, match="is no address of the hub"):
        infgram.open("hf://alone")


# Changes ------------------------------------------------------------------------------------------


def test_a_push_replaces_an_index_and_tells_those_who_have_it(bucket: str) -> None:
    url = f"{bucket}/changing.infgram"
    one, other = infgram.build(["to be or not to be"]), infgram.build(["that is the question"])
    infgram.push(one, url)
    in_place, fetched, unused = infgram.open_remote(url), infgram.open(url), infgram.open(url)
    assert in_place.count("to be") == fetched.count("to be") == 2
    with pytest.raises(errors.IndexExists, match="overwrite"):
        infgram.push(other, url)
    infgram.push(other, url, overwrite=True)
    with pytest.raises(errors.IndexReplaced, match="open it again"):
        in_place.count("to be")
    assert fetched.count("to be") == 2  # is here
    now = fetched.refresh()
    assert (now.count("to be"), now.count("question")) == (0, 1)
    assert unused.count("to be") == 2  # of the same cache
    with pytest.raises(errors.IndexReplaced, match="open it again"):
        _ = unused.verify()
    infgram.push(other, url, overwrite=True)  # the same once more
    assert infgram.open_remote(url).count("question") == 1


def test_an_index_that_has_grown_is_not_pushed(bucket: str) -> None:
    grown = infgram.add(infgram.build(["to be"]), ["or not"])
    with pytest.raises(errors.NeedsMerge, match="push"):
        infgram.push(grown, f"{bucket}/grown")


@pytest.mark.parametrize("tags", [True, False])
def test_a_file_that_changes_under_way_gives_no_wrong_answer(
    site: FaultyServer, tags: bool
) -> None:
    site.tags = tags
    index = infgram.open_remote(site.address)
    count = index.count("the")
    for name in ("sa", "codes", "summary"):
        (path,) = site.folder.rglob(f"shard-00000/{name}")
        content, found = path.read_bytes(), path.stat()
        path.write_bytes(bytes(len(content)))
        os.utime(path, (found.st_atime + 10, found.st_mtime + 10))
        with pytest.raises(errors.IndexReplaced, match=f"{name} was changed"):
            index.count("the ")
        path.write_bytes(content)
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert index.count("the") == count


def test_files_of_another_index_are_not_taken_for_this_ones(site: FaultyServer) -> None:
    (path,) = site.folder.rglob("shard-00000/next")
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        errors.CorruptIndex, match=f"next is not what was pushed.*{zlib.crc32(content):08x}"
    ):
        infgram.open(site.address).count("the")
    path.write_bytes(content[:-64])
    with pytest.raises(errors.CorruptIndex, match=r"next has .* bytes, expected"):
        infgram.open(site.address).count("the")
    with pytest.raises(errors.CorruptIndex, match=r"next has .* bytes, expected"):
        infgram.open_remote(site.address)
    path.unlink()
    with pytest.raises(errors.CorruptIndex, match="next is missing"):
        infgram.open(site.address).count("the")
    for summary_file in site.folder.rglob("summary"):
        summary_file.unlink()
    with pytest.raises(errors.NotInPlace, match="copied there and not pushed"):
        infgram.open_remote(site.address)


# Faults -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["fail", "hang", "truncate"])
def test_a_server_that_fails_gets_a_clear_error_and_no_wrong_answer(
    site: FaultyServer, fault: str, cache: Path, impatient: None
) -> None:
    index = infgram.open_remote(site.address)
    count = index.count("the")
    shutil.rmtree(cache)
    said = r"failed, did not answer within 0.5 s, or cut its answer short, 2 times"
    for broken in ("CURRENT", "manifest.json", "token_ids"):
        site.fault = lambda path, broken=broken: fault if path.endswith(broken) else None
        with pytest.raises(errors.RemoteFailure, match=said):
            infgram.open(site.address)
    site.fault = lambda path: fault if path.endswith(("sa", "codes", "summary", "next")) else None
    for ask in (index.count, index.ntd, index.levels, index.find):
        with pytest.raises(errors.RemoteFailure, match=said):
            ask("the ")
    site.fault = lambda path: None
    assert index.count("the") == count


def test_what_fails_once_is_asked_again(site: FaultyServer, part_index: infgram.Index) -> None:
    index = infgram.open_remote(site.address)
    failed: set[str] = set()

    def once(path: str) -> str | None:
        return None if path in failed else failed.add(path) or "truncate"

    site.fault = once
    assert index.count("the ") == part_index.count("the ")
    assert failed


def test_where_nothing_is_and_what_is_none(
    site: FaultyServer, bucket: str, impatient: None
) -> None:
    for url in (f"{site.address}/nothing", f"{bucket}/nothing"):
        with pytest.raises(errors.NotAnIndex, match="no index was pushed there"):
            infgram.open(url)
    (site.folder / "CURRENT").write_text("something else\n")
    with pytest.raises(errors.NotAnIndex, match="not of an infgram index"):
        infgram.open_remote(site.address)
    (site.folder / "CURRENT").write_text("infgram 3 segments-0123456789abcdef.json\n")
    with pytest.raises(errors.UnsupportedFormat, match="in segments"):
        infgram.open(site.address)
    (site.folder / "CURRENT").write_text("infgram 2 generation-0123456789abcdef\n")
    with pytest.raises(errors.CorruptIndex, match="which is not there"):
        infgram.open(site.address)
    with pytest.raises(errors.StorageError, match="only there an index is built"):
        infgram.build(["to be"], "s3://bucket/new.infgram")
    with pytest.raises(errors.RemoteFailure, match="failed, did not answer"):
        infgram.open("http://127.0.0.1:9/nobody")


def test_impossible_values_are_damage(site: FaultyServer) -> None:
    (path,) = site.folder.rglob("shard-00000/sa")
    path.write_bytes(b"\xff" * path.stat().st_size)
    with pytest.raises(errors.CorruptIndex, match="sa holds impossible values"):
        infgram.open_remote(site.address).count("the ")
    (path,) = site.folder.rglob("shard-00000/summary")
    content = bytearray(path.read_bytes())
    content[80] ^= 1
    path.write_bytes(content)
    with pytest.raises(errors.CorruptIndex, match="summary is damaged"):
        infgram.open_remote(site.address)


def test_a_question_that_reads_nothing_makes_no_round_trip() -> None:
    def nothing() -> Any:
        return 3
        yield

    assert answered(None, [nothing(), nothing()]) == [3, 3]  # type: ignore[arg-type]


def test_a_missing_extra_is_named() -> None:
    script = """
import sys
sys.modules["obstore"] = None
import infgram
try:
    infgram.open("s3://bucket/key")
except infgram.errors.MissingExtra as error:
    print(error)
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "needs obstore" in found.stdout and "[remote]" in found.stdout, found.stderr


def test_a_copy_by_other_means_is_opened(part_index: infgram.Index, tmp_path: Path) -> None:
    shutil.copytree(part_index.path, tmp_path / "site")
    with serving(tmp_path / "site") as server:
        assert infgram.open(server.address).count("the") == part_index.count("the")
