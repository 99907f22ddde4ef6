"""What tests share: a scratch folder in memory, small indexes, the corpus of published figures."""

from __future__ import annotations

import hashlib
import os
import shutil
import sysconfig
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from bounds import PYPROJECT, bounds
from hypothesis import HealthCheck, settings

import infgram
from infgram.build import MAX_SHARD_TOKENS, build_index
from infgram.corpus import Document
from infgram.tokens import Tokenizer, load

settings.register_profile(
    "suite", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("suite")


def examples(n: int) -> int:
    """How many random cases a test takes: n, or n times the environment's INFGRAM_FUZZ."""
    return max(1, round(n * float(os.environ.get("INFGRAM_FUZZ", "1"))))


def pytest_report_header() -> str:
    """What infgram stands on here."""
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    versions = []
    for name in bounds(project, ["test", "bench"]):
        with suppress(PackageNotFoundError):
            versions.append(f"{name} {version(name)}")
    return f"infgram stands on: {', '.join(versions)}"


SHAKESPEARE_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"


@pytest.fixture(scope="session")
def memory_folder() -> Iterator[Path]:
    """A folder in memory where there is one: tiny builds should not wait for a disk."""
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="infgram-tests-", dir=parent))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def shakespeare() -> bytes:
    """Tiny Shakespeare, where a checkout has it beside it."""
    path = Path(__file__).parents[2] / "shared" / "data" / "tinyshakespeare.txt"
    if not path.is_file():
        pytest.skip(f"needs Tiny Shakespeare at {path}")
    text = path.read_bytes()
    assert hashlib.sha256(text).hexdigest() == SHAKESPEARE_SHA256
    return text


@pytest.fixture(scope="session")
def shakespeare_index(shakespeare: bytes, memory_folder: Path) -> infgram.Index:
    """All of Tiny Shakespeare, bytes, one document."""
    return make_index(memory_folder / "shakespeare.infgram", [np.frombuffer(shakespeare, np.uint8)])


@pytest.fixture(scope="session")
def prose_index(request: pytest.FixtureRequest, memory_folder: Path) -> infgram.Index:
    """A megabyte of real text: Tiny Shakespeare, or else the standard library's sources."""
    try:
        index: infgram.Index = request.getfixturevalue("shakespeare_index")
    except pytest.skip.Exception:
        library = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
        text = b"".join(path.read_bytes() for path in library)[:1_000_000]
        index = make_index(memory_folder / "prose.infgram", [np.frombuffer(text, np.uint8)])
    return index


def generation(path: Path) -> Path:
    """The folder that holds the files of an index's current build."""
    return path / (path / "CURRENT").read_text().split()[-1]


def make_index(
    path: Path,
    documents: Sequence[Sequence[int] | np.ndarray],
    *,
    tokenizer: Tokenizer | None = None,
    shard_tokens: int = MAX_SHARD_TOKENS,
    code_bits: int | None = None,
    block_rows: int | None = None,
) -> infgram.Index:
    """Builds and opens an index of documents of token ids, with limits lowered where given."""
    contents = [
        Document(np.asarray(document, np.uint32), "memory", i, {})
        for i, document in enumerate(documents)
    ]
    with ExitStack() as limits:
        if code_bits:
            limits.enter_context(patch("infgram.build._code_bits", lambda _: code_bits))
        if block_rows:
            limits.enter_context(patch("infgram.build._block_rows", lambda _: block_rows))
        build_index(
            contents,
            path,
            tokenizer=tokenizer or load("bytes"),
            shard_tokens=shard_tokens,
            overwrite=True,
        )
    return infgram.open(path)
