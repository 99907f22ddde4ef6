"""A corpus in parts, built and asked by Ray, of which workers are killed."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

ray = pytest.importorskip("ray", reason="needs ray: make test-ray installs it")

from pasting import blocks

import infgram
import infgram.cluster
from infgram import errors

N_PARTS, N_WORKERS = 8, 4


def is_alone() -> bool:
    """Whether nothing beyond this machine can be reached, nor reach it: there are no routes."""
    routes = Path("/proc/net/route")
    return routes.exists() and len(routes.read_text().splitlines()) <= 1


pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(
        not is_alone(), reason="Ray listens: make test-ray runs it without a network"
    ),
    pytest.mark.filterwarnings("ignore"),  # of Ray's own
]


@pytest.fixture(scope="module")
def running() -> Iterator[None]:
    ray.init(
        num_cpus=N_WORKERS,
        include_dashboard=False,
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
        object_store_memory=100_000_000,
    )
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, prose: bytes) -> list[Path]:
    folder = tmp_path_factory.mktemp("texts")
    size = len(prose) // N_PARTS
    found = [folder / f"{i}.txt" for i in range(N_PARTS)]
    for i, path in enumerate(found):
        path.write_bytes(prose[i * size : (i + 1) * size])
    return found


@pytest.fixture(scope="module")
def parts(running: None, files: list[Path]) -> list[Path]:
    return infgram.cluster.build(files, files[0].parent / "parts")


@pytest.fixture(scope="module")
def local(parts: list[Path]) -> list[infgram.Index]:
    return [infgram.open(part) for part in parts]


@pytest.fixture
def cluster(parts: list[Path]) -> Iterator[infgram.cluster.Cluster]:
    with infgram.cluster.open(parts, n_workers=N_WORKERS) as found:
        yield found


def processes(title: str) -> list[int]:
    """Workers of Ray that do this now."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if line.startswith(f"ray::{title}".encode()):
            found.append(int(folder.name))
    return found


def some_ngrams(prose: bytes, n: int) -> list[bytes]:
    rng = np.random.default_rng(n)
    begins = rng.integers(0, len(prose) - 30, n)
    return [prose[b : b + int(rng.integers(1, 25))] for b in begins]


def test_answers_are_the_sums_of_all_parts(
    cluster: infgram.cluster.Cluster, local: list[infgram.Index], prose: bytes
) -> None:
    asked = [b"", b"\xff\xfe", *some_ngrams(prose, 100)]
    counts = np.sum([part.count_batch(asked) for part in local], axis=0)
    assert cluster.count_batch(asked).tolist() == counts.tolist()
    assert cluster.count(asked[5]) == counts[5]
    for ngram, ntd in zip(asked, cluster.ntd_batch(asked), strict=True):
        expected: Counter[int] = Counter()
        for part in local:
            expected.update(dict(part.ntd(ngram)))
        assert ntd == expected and ntd.prompt_cnt == expected.total()
    assert (cluster.n_parts, cluster.n_tokens) == (N_PARTS, sum(part.n_tokens for part in local))


def test_levels_are_those_of_all_parts_together(
    cluster: infgram.cluster.Cluster, local: list[infgram.Index], prose: bytes
) -> None:
    for context in some_ngrams(prose, 20):
        m, expected = 0, []
        for n in range(len(context), 0, -1):
            now = sum(part.ntd(context[-n:]).prompt_cnt for part in local)
            if now > m:
                m = now
                expected.append((n, m))
        assert cluster.levels(context) == expected


def test_occurrences_are_found_in_every_part(
    cluster: infgram.cluster.Cluster, local: list[infgram.Index], files: list[Path]
) -> None:
    found = cluster.find("the", limit=50, seed=3, context=5)
    assert len(found) == 50 == len({(match.document, match.offset) for match in found})
    assert found == cluster.find("the", limit=50, seed=3, context=5)
    for match in found:
        assert match.match == "the" and match.source == str(files[match.document])
        text = files[match.document].read_bytes()
        assert text[match.offset : match.offset + 3] == b"the"
    n = sum(part.count("with the") for part in local)
    assert len(cluster.find("with the", limit=10_000)) == n


def test_texts_are_drawn_of_the_law_of_all_parts_together(
    cluster: infgram.cluster.Cluster, local: list[infgram.Index]
) -> None:
    prompts = ["The ", "for i in ", "class ", "\x00"]
    made = cluster.generate(prompts, max_tokens=30, temperature=0.0)
    for prompt, text in zip(prompts, made, strict=True):
        read = list(prompt.encode())
        for token_id in text.token_ids.tolist():
            weights: Counter[int] = Counter()
            m = found = 0
            for n in range(min(len(read), 200), 0, -1):
                counts = sum((Counter(dict(p.ntd(read[-n:]))) for p in local), Counter())
                if counts.total() > m and found < 2:
                    m = counts.total()
                    for token, count in counts.items():
                        weights[token] += 0.3**found * count
                    found += 1
            if not found:
                weights = sum((Counter(dict(p.ntd([]))) for p in local), Counter())
            assert weights[token_id] == pytest.approx(max(weights.values()))
            read.append(token_id)
        assert text.text == bytes(read[len(prompt) :]).decode("utf-8", "replace")
    seeded = cluster.generate(["The ", "The "], max_tokens=20, seed=7)
    assert seeded[0].text != seeded[1].text
    assert cluster.generate(["The "], max_tokens=20, seed=7)[0] == seeded[0]
    assert cluster.generate(["The "], max_tokens=0)[0].text == ""


def test_a_worker_killed_in_mid_query_answers_after_all(
    cluster: infgram.cluster.Cluster, local: list[infgram.Index], prose: bytes
) -> None:
    asked = some_ngrams(prose, 20_000)
    expected = np.sum([part.count_batch(asked) for part in local], axis=0).tolist()
    killed: list[int] = []

    def kill() -> None:
        while not killed:
            for pid in processes("Holder.count_batch")[:1]:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    thread = threading.Thread(target=kill)
    thread.start()
    answers = []
    until = time.monotonic() + 60
    while not killed and time.monotonic() < until:
        answers.append(cluster.count_batch(asked).tolist())
    thread.join()
    answers.append(cluster.count_batch(asked).tolist())
    assert killed and all(answer == expected for answer in answers)


def test_a_worker_killed_in_mid_build_is_run_again(
    running: None, tmp_path: Path, prose: bytes
) -> None:
    files = [tmp_path / f"{i}.txt" for i in range(4)]
    for path in files:
        path.write_bytes(prose * 4)
    killed: list[int] = []

    def kill() -> None:
        while not killed:
            for pid in processes("build_part")[:1]:
                if list((tmp_path / "parts").glob(".part-*.building")):
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)

    thread = threading.Thread(target=kill)
    thread.start()
    made = infgram.cluster.build(files, tmp_path / "parts")
    thread.join()
    assert [path.name for path in made] == [f"part-{i:05d}.infgram" for i in range(4)]
    for path in made:
        index = infgram.open(path)
        index.verify()
        assert index.count("the") == 4 * prose.count(b"the")
    with infgram.cluster.open(tmp_path / "parts", n_workers=2) as cluster:
        assert cluster.count("the") == 16 * prose.count(b"the")
    joined = infgram.join(made, tmp_path / "joined.infgram")
    assert joined.count("the") == 16 * prose.count(b"the")
    folders = [path.stat().st_ino for path in made]
    assert infgram.cluster.build(files, tmp_path / "parts") == made  # none of them again
    assert [path.stat().st_ino for path in made] == folders


def test_a_part_that_was_built_anew_is_not_summed_with_others(
    running: None, tmp_path: Path
) -> None:
    for i in range(2):
        infgram.build([f"to be {i}"], tmp_path / f"part-{i}.infgram")
    with infgram.cluster.open(sorted(tmp_path.iterdir()), n_workers=1) as cluster:
        assert cluster.count("to be") == 2
        infgram.build(["to be to be"], tmp_path / "part-1.infgram", overwrite=True)
        assert cluster.count("to be") == 2  # what is open stays
        for pid in processes("Holder"):  # one is this cluster's; those of others may be ending
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with pytest.raises(errors.IndexReplaced, match="built anew"):
            cluster.count("to be")


def test_the_page_on_clusters_can_be_pasted(
    running: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts").mkdir()
    for i in range(8):
        (tmp_path / "texts" / f"{i}.txt").write_text("to be or not to be")
    page = Path(__file__).parents[1] / "docs" / "howto" / "cluster.md"
    (code,) = [block for language, block in blocks(page) if language == "python"]
    exec(compile(code, "cluster.md", "exec"), {})


def test_what_goes_wrong_is_said(running: None, tmp_path: Path, files: list[Path]) -> None:
    with pytest.raises(errors.NotAnIndex, match="does not exist"):
        infgram.cluster.open([tmp_path / "nothing.infgram"])
    with pytest.raises(errors.EmptyCorpus):
        infgram.cluster.build([], tmp_path / "parts")
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(errors.EmptyCorpus):
        infgram.cluster.build([tmp_path / "empty.txt"], tmp_path / "parts")
    with pytest.raises(errors.InputError, match="check the path"):
        infgram.cluster.build([tmp_path / "none.txt"], tmp_path / "parts")
    with pytest.raises(errors.InvalidParameter, match="9 parts of 8 files"):
        infgram.cluster.build(files, tmp_path / "parts", n_parts=9)
    one = infgram.build(["to be"], tmp_path / "one.infgram")
    other = infgram.build(["to be"], tmp_path / "other.infgram", tokenizer="chars")
    with pytest.raises(errors.InvalidParameter, match="another tokenizer"):
        infgram.cluster.open([one.path, other.path])
    with infgram.cluster.open([one.path]) as cluster:
        with pytest.raises(errors.InvalidParameter, match="floor"):
            cluster.generate(["to"], estimator=infgram.SBIS(floor=1e-6))
        with pytest.raises(errors.InvalidParameter, match="expected SBIS"):
            cluster.generate(["to"], estimator=infgram.KneserNey())  # type: ignore[arg-type]
    with pytest.raises(errors.InvalidParameter, match="is closed"):
        cluster.count("to")
