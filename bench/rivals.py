"""The rivals: what each needs to index bytes and to answer, behind the same few names.

A rival that is not installed raises Absent, which the benchmarks report as a note. Each keeps its
index in a folder of its own, so that one process can build and another ask.
"""

from __future__ import annotations

import json
import subprocess
import sys
from abc import ABC, abstractmethod
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

EXACT = 10**9  # a number of occurrences that no corpus here reaches: no sampling of answers


class Absent(Exception):
    """The rival is not installed."""


class Rival(ABC):
    """An index of bytes. `index` is the rival's own object, asked as its users would ask it."""

    name: ClassVar[str]
    index: Any

    @abstractmethod
    def __init__(self, folder: Path) -> None:
        """Opens what `build` made."""

    @staticmethod
    @abstractmethod
    def build(corpus: Path, folder: Path) -> None:
        """Indexes the bytes of `corpus` into `folder`, which exists and is empty."""

    def counts(self, found: Any) -> int:
        """The answer of `index.count`."""
        return int(found)


class Tokengrams(Rival):
    """tokengrams: 16-bit tokens, a suffix array of them; vocab=256 is its fastest setting."""

    name = "tokengrams"

    def __init__(self, folder: Path) -> None:
        self.index = _import("tokengrams").MemmapIndex(
            str(folder / "tokens.u16"), str(folder / "index.idx"), vocab=256
        )

    @staticmethod
    def build(corpus: Path, folder: Path) -> None:
        """Builds as its documentation says: from a file of tokens."""
        memmap_index = _import("tokengrams").MemmapIndex
        np.fromfile(corpus, np.uint8).astype("<u2").tofile(folder / "tokens.u16")
        tokens, table = str(folder / "tokens.u16"), str(folder / "index.idx")
        memmap_index.build(tokens, table, vocab=256, verbose=False)

    def next_counts(self, found: Any) -> dict[int, int]:
        """The answer of `index.count_next`."""
        return {token: count for token, count in enumerate(found) if count}


class InfiniGram(Rival):
    """infini-gram: one byte a token, no tokenizer, one shard, nothing fetched ahead of use."""

    name = "infini-gram"

    def __init__(self, folder: Path) -> None:
        self.index = _import("infini_gram.engine").InfiniGramEngine(
            index_dir=str(folder),
            eos_token_id=254,
            vocab_size=255,
            version=4,
            token_dtype="u8",
            ds_prefetch_depth=0,
            sa_prefetch_depth=0,
            od_prefetch_depth=0,
        )

    @staticmethod
    def build(corpus: Path, folder: Path) -> None:
        """Runs its indexing program on the corpus as one document. The corpus must be UTF-8."""
        _import("infini_gram.engine")
        data, temp = folder / "data", folder / "temp"
        data.mkdir()
        text = corpus.read_bytes().decode()
        (data / "0.jsonl").write_text(json.dumps({"text": text}) + "\n")
        done = subprocess.run(
            [
                *[sys.executable, "-m", "infini_gram.indexing", "--token_dtype", "u8"],
                *["--data_dir", str(data), "--temp_dir", str(temp), "--save_dir", str(folder)],
                *["--cpus", "1", "--mem", "4", "--shards", "1", "--ulimit", "1024"],
            ],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SystemExit(f"infini-gram's indexing failed:\n{done.stderr}")
        (data / "0.jsonl").unlink()

    def counts(self, found: Any) -> int:
        """The answer of `index.count`."""
        return int(found["count"])

    def next_counts(self, found: Any) -> dict[int, int]:
        """The answer of `index.ntd` or `index.infgram_ntd`."""
        return {token: seen["cont_cnt"] for token, seen in found["result_by_token_id"].items()}


class PyInfinigram(Rival):
    """py-infinigram: numpy arrays; its cache of answers is emptied before each question."""

    name = "py-infinigram"

    def __init__(self, folder: Path) -> None:
        self.index = _import("infinigram").Infinigram.load(str(folder))

    @staticmethod
    def build(corpus: Path, folder: Path) -> None:
        """Builds from bytes."""
        _import("infinigram").Infinigram.build(corpus.read_bytes(), str(folder), verbose=False)

    def continuations(self, context: list[int]) -> Any:
        """Exact counts after the longest suffix of the context, not answered from the cache."""
        self.index.clear_cache()
        return self.index.continuations(context, limit=None)


RIVALS: tuple[type[Rival], ...] = (Tokengrams, InfiniGram, PyInfinigram)


def _import(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise Absent(f"not measured, since it cannot be imported: {error}") from error
