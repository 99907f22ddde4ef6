"""What tests share: a scratch folder in memory, small indexes, prose, the text of the figures.

It also sees to it that a run is the same in the foreground and in the background, on one core and
on many.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from unittest.mock import patch

import browsing
import engines
import numpy as np
import pytest
from bounds import bounds, projects
from hypothesis import HealthCheck, settings

import infgram
from infgram.store.building import MAX_SHARD_TOKENS, build_index
from infgram.text.corpus import Document
from infgram.text.tokens import Tokenizer, load

settings.register_profile(
    "suite",
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,  # how fast examples are drawn depends on what else the machine does
    ],
)
settings.load_profile("suite")

# Sorting a tiny text with a thread a core takes three times as long, and there is a worker a core.
os.environ["OMP_NUM_THREADS"] = "1"
# Where no bytecode is kept, each of a thousand processes compiles all of infgram: half its time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where folders in memory are made, if there can be any: tiny builds should not wait for a disk."""


def pytest_configure() -> None:
    # `&` in a script, and many CI runners, start processes with interrupts ignored, and so would
    # be all that tests start. A handler ends with exec: children begin with the default.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


LONGEST = ("test_windows.py", "test_bench_failures.py", "test_cli_words.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONGEST)  # so that no worker ends with one
    for item in items:
        if "shakespeare" in getattr(item, "fixturenames", ()):
            item.add_marker("shakespeare")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Tests of files that are named run in this process, as debuggers and prints like it."""
    files = (Path(argument.partition("::")[0]) for argument in config.args)
    return 0 if all(file.is_file() for file in files) else None


def examples(n: int) -> int:
    """How many random cases a test takes: n times the environment's INFGRAM_FUZZ.

    Without it, what lets the whole suite end in four minutes on two cores; `make fuzz` takes many
    times as many.
    """
    return max(1, round(n * float(os.environ.get("INFGRAM_FUZZ", "0.65"))))


def pytest_report_header() -> list[str]:
    """What infgram stands on here, and the engines that there are."""
    versions = []
    for name in bounds(projects(), ["infgram[test]", "infgram-bench[neural]"]):
        with suppress(PackageNotFoundError):
            versions.append(f"{name} {version(name)}")
    lines = [f"infgram stands on: {', '.join(versions)}"]
    if found := engines.seen():
        lines.append(f"engines: {', '.join(found)}")
    return lines


@pytest.fixture(scope="session")
def memory_folder() -> Iterator[Path]:
    """A folder in memory where there is one."""
    folder = Path(tempfile.mkdtemp(prefix="infgram-tests-", dir=IN_MEMORY))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def shakespeare() -> bytes:
    """Tiny Shakespeare, the text of published figures."""
    from infgram_bench import corpora

    if not os.environ.get(corpora.VARIABLE):
        pytest.skip(f"needs Tiny Shakespeare: set {corpora.VARIABLE} to the path of its file")
    found = corpora.shakespeare()
    assert found
    return found.text


@pytest.fixture(scope="session")
def shakespeare_index(shakespeare: bytes, memory_folder: Path) -> infgram.Index:
    """All of Tiny Shakespeare, bytes, one document."""
    return make_index(memory_folder / "shakespeare.infgram", [np.frombuffer(shakespeare, np.uint8)])


@pytest.fixture(scope="session")
def training(shakespeare: bytes, memory_folder: Path) -> infgram.Index:
    """The published split: the first nine tenths."""
    n = int(0.9 * len(shakespeare))
    return make_index(memory_folder / "train.infgram", [np.frombuffer(shakespeare[:n], np.uint8)])


@pytest.fixture(scope="session")
def validation(shakespeare: bytes) -> bytes:
    """The published split: the last tenth."""
    return shakespeare[int(0.9 * len(shakespeare)) :]


PROSE, PART = 250_000, 120_000


@pytest.fixture(scope="session")
def prose() -> bytes:
    """Half a megabyte of English that every Python has, and no two versions alike.

    What a test asserts must hold of any prose.
    """
    from pydoc_data.topics import topics

    return "\n".join(topics.values()).encode()


@pytest.fixture(scope="session")
def prose_index(prose: bytes, memory_folder: Path) -> infgram.Index:
    """The first PROSE bytes of it: fitting discounts to all of it would take 10 s."""
    return make_index(memory_folder / "prose.infgram", [np.frombuffer(prose[:PROSE], np.uint8)])


@pytest.fixture(scope="session")
def part_index(prose: bytes, memory_folder: Path) -> infgram.Index:
    """The first PART bytes of it: what comes behind them is unknown."""
    return make_index(memory_folder / "part.infgram", [np.frombuffer(prose[:PART], np.uint8)])


def generation(path: Path) -> Path:
    """The folder that holds the files of an index's current build."""
    return path / (path / "CURRENT").read_text().split()[-1]


@pytest.fixture(scope="module")
def temporary_folders_in_memory(memory_folder: Path) -> Iterator[None]:
    """Indexes without a path are built in memory: thousands of tiny ones."""
    with patch.object(tempfile, "tempdir", str(memory_folder)):
        yield


def make_index(
    path: Path,
    documents: Sequence[Sequence[int] | np.ndarray],
    *,
    tokenizer: Tokenizer | None = None,
    shard_tokens: int = MAX_SHARD_TOKENS,
    code_bits: int | None = None,
    block_rows: int | None = None,
    layout: str = "fast",
) -> infgram.Index:
    """Builds and opens an index of documents of token ids, with limits lowered where given."""
    contents = [
        Document(np.asarray(document, np.uint32), "memory", i, {})
        for i, document in enumerate(documents)
    ]
    with ExitStack() as limits:
        if code_bits:
            limits.enter_context(patch("infgram.store.building._code_bits", lambda _: code_bits))
        if block_rows:
            limits.enter_context(patch("infgram.store.building._block_rows", lambda _: block_rows))
        build_index(
            contents,
            path,
            tokenizer=tokenizer or load("bytes"),
            shard_tokens=shard_tokens,
            layout=layout,
            overwrite=True,
        )
    return infgram.open(path)


def is_whole(made: infgram.Generation, n: int) -> bool:
    """As long as was asked, unless the end of the corpus was drawn."""
    return (len(made.token_ids), made.finish_reason) == (n, "length") or (
        len(made.token_ids) < n and made.finish_reason == "end_of_text"
    )


@pytest.fixture(scope="module", params=browsing.SCHEMES)
def driver(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A browser in one of the colour schemes."""
    with browsing.browser(request.param, tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def rivals_absent(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> str:
    """The benchmarks' rivals, installed or not, are not there for processes that begin now.

    The PYTHONPATH that does it.
    """
    folder = tmp_path_factory.mktemp("absent")
    for name in ("tokengrams", "infini_gram", "fastgram", "infinigram", "kenlm"):
        absent = f"raise ModuleNotFoundError('{name} is not for this test')"
        (folder / f"{name}.py").write_text(absent)
    others = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([str(folder), *([others] if others else [])])
    monkeypatch.setenv("PYTHONPATH", path)
    return path
