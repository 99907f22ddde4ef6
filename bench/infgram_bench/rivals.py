"""The rivals: what each needs to index bytes and to answer, behind the same few names.

A rival that is not installed raises Absent, which becomes a note or a row that says so; whatever
else it raises is a failure (failures.py). Each keeps its index in a folder of its own, so that one
process can build and another ask.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

import infgram

from .failures import Trial
from .processes import Run, run_job

EXACT = 10**9  # a number of occurrences that no corpus here reaches: no sampling of answers
_PROMPT = b"The "


class Absent(Exception):
    """The rival is not installed."""


@dataclass(frozen=True)
class Call:
    """`ask` is what a user would call, and what is timed; `answer` makes its result comparable."""

    ask: Callable[[Any], Any]
    answer: Callable[[Any], Any]


class System(ABC):
    """An index of bytes, infgram's or a rival's. What it does not offer is not in its tables.

    - `calls`: by question, count (an int), ntd ({byte: count} after a context that occurs) and
      longest ({byte: count} after the longest suffix that occurs).
    - `write`: makes so many bytes of text; returns how many it made.
    - `log_probs`: natural logarithms of the probabilities of texts, their sum and number.
    """

    name: ClassVar[str]
    is_rival: ClassVar[bool] = True
    calls: dict[str, Call]
    write: Callable[[int], int] | None = None
    log_probs: Callable[[list[bytes]], tuple[float, int]] | None = None

    @abstractmethod
    def __init__(self, folder: Path) -> None:
        """Opens what `build` made."""

    @staticmethod
    @abstractmethod
    def build(corpus: Path, folder: Path) -> None:
        """Indexes the bytes of `corpus` into `folder`, which exists and is empty."""

    def query(self, ngram: bytes) -> Any:
        """An n-gram in the form that this system takes."""
        return list(ngram)


class Infgram(System):
    """infgram, with discounts that are fitted when a perplexity is first asked for."""

    name = "infgram"
    is_rival = False

    def __init__(self, folder: Path) -> None:
        self.index = infgram.open(folder / "corpus.infgram")
        self.calls = {
            "count": Call(self.index.count, int),
            "ntd": Call(self.index.ntd, next_counts),
            "longest": Call(self.index.infgram_ntd, next_counts),
        }

    @staticmethod
    def build(corpus: Path, folder: Path) -> None:
        """The index alone."""
        infgram.build(corpus, folder / "corpus.infgram", format="bytes")

    def query(self, ngram: bytes) -> bytes:
        """Bytes as they are."""
        return ngram

    def write(self, n_bytes: int) -> int:
        """SBIS, k = 2, as published; a document that ends is followed by another one."""
        left = n_bytes
        while left > 0:
            made = infgram.generate(
                self.index, _PROMPT, max_tokens=left, k=2, decay=0.1, temperature=0.8, seed=left
            )
            left -= max(len(made.token_ids), 1)
        return n_bytes

    def log_probs(self, texts: list[bytes]) -> tuple[float, int]:
        """Kneser-Ney."""
        model = infgram.Model(self.index)
        return sum(float(model.score(text).log_prob.sum()) for text in texts), _n_bytes(texts)


class Tokengrams(System):
    """tokengrams: 16-bit tokens, a suffix array of them; vocab=256 is its fastest setting."""

    name = "tokengrams"

    def __init__(self, folder: Path) -> None:
        self.index = imported("tokengrams").MemmapIndex(
            str(folder / "tokens.u16"), str(folder / "index.idx"), vocab=256
        )
        self.calls = {
            "count": Call(self.index.count, int),
            "ntd": Call(
                self.index.count_next,
                lambda found: {token: count for token, count in enumerate(found) if count},
            ),
        }

    @staticmethod
    def build(corpus: Path, folder: Path) -> None:
        """Builds as its documentation says: from a file of tokens."""
        memmap_index = imported("tokengrams").MemmapIndex
        np.fromfile(corpus, np.uint8).astype("<u2").tofile(folder / "tokens.u16")
        tokens, table = str(folder / "tokens.u16"), str(folder / "index.idx")
        memmap_index.build(tokens, table, vocab=256, verbose=False)

    def log_probs(self, texts: list[bytes]) -> tuple[float, int]:
        """Its smoothed probabilities, taken as they are, of the n that does best on these texts."""
        best = -math.inf
        for n in (3, 4, 5, 6, 8):
            contexts = [list(text[max(i - n, 0) : i]) for text in texts for i in range(len(text))]
            probs = self.index.batch_get_smoothed_probs(contexts)
            each = [p[byte] for p, byte in zip(probs, b"".join(texts), strict=True)]
            best = max(best, float(np.log(each).sum()))
        return best, _n_bytes(texts)

    def write(self, n_bytes: int) -> int:
        """n-grams of n = 8; the prompt is in what it returns."""
        (made,) = self.index.sample_unsmoothed(list(_PROMPT), n=8, k=n_bytes, num_samples=1)
        return len(made) - len(_PROMPT)


class InfiniGram(System):
    """infini-gram: one byte a token, no tokenizer, one shard, nothing fetched ahead of use."""

    name = "infini-gram"

    def __init__(self, folder: Path) -> None:
        self.index = imported("infini_gram.engine").InfiniGramEngine(
            index_dir=str(folder),
            eos_token_id=254,
            vocab_size=255,
            version=4,
            token_dtype="u8",
            ds_prefetch_depth=0,
            sa_prefetch_depth=0,
            od_prefetch_depth=0,
        )
        self.calls = {
            "count": Call(self.index.count, lambda found: int(found["count"])),
            "ntd": Call(partial(self.index.ntd, max_support=EXACT), self._next_counts),
            "longest": Call(partial(self.index.infgram_ntd, max_support=EXACT), self._next_counts),
        }

    @staticmethod
    def build(corpus: Path, folder: Path) -> None:
        """Runs its indexing program on the corpus as one document. The corpus must be UTF-8."""
        imported("infini_gram.engine")
        data, temp = folder / "data", folder / "temp"
        data.mkdir()
        text = corpus.read_bytes().decode(errors="ignore")  # the last character may be cut
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
            raise RuntimeError(f"infini-gram's indexing failed: {done.stderr.strip()[-500:]}")
        (data / "0.jsonl").unlink()

    @staticmethod
    def _next_counts(found: Any) -> dict[int, int]:
        return {token: seen["cont_cnt"] for token, seen in found["result_by_token_id"].items()}


class FastGram(InfiniGram):
    """fast-gram, which reads infini-gram's files; the two call the same questions by other names.

    It has no program that builds them: its package says how to fetch indexes that are built.
    """

    name = "fast-gram"

    def __init__(self, folder: Path) -> None:
        self.index = imported("fastgram").GramEngine(
            str(folder), eos_token_id=254, vocab_size=255, version=4, token_dtype="u8", threads=1
        )
        self.calls = {
            "count": Call(self.index.count, lambda found: int(found["count"])),
            "ntd": Call(partial(_exactly, self.index.primitive_ntd), self._next_counts),
            "longest": Call(partial(_exactly, self.index.ntd), self._next_counts),
        }

    @staticmethod
    def build(corpus: Path, folder: Path) -> None:
        """infini-gram's program builds what it reads."""
        imported("fastgram")
        InfiniGram.build(corpus, folder)


class PyInfinigram(System):
    """py-infinigram: numpy arrays; its cache of answers is emptied before each question."""

    name = "py-infinigram"

    def __init__(self, folder: Path) -> None:
        self.index = imported("infinigram").Infinigram.load(str(folder))
        self.calls = {
            "count": Call(self.index.count, int),
            "ntd": Call(self._continuations, dict),
            "longest": Call(self._continuations, dict),
        }

    @staticmethod
    def build(corpus: Path, folder: Path) -> None:
        """Builds from bytes."""
        imported("infinigram").Infinigram.build(corpus.read_bytes(), str(folder), verbose=False)

    def _continuations(self, context: list[int]) -> Any:
        """Exact counts after the longest suffix of the context, not answered from the cache."""
        self.index.clear_cache()
        return self.index.continuations(context, limit=None)

    def log_probs(self, texts: list[bytes]) -> tuple[float, int]:
        """Its score, with its own floor."""
        return sum(float(self.index.score(list(text))) for text in texts), _n_bytes(texts)

    def write(self, n_bytes: int) -> int:
        """As it comes: after the longest suffix, of which at most 10,000 matches are read."""
        return len(self.index.generate(list(_PROMPT), max_tokens=n_bytes))


RIVALS: tuple[type[System], ...] = (Tokengrams, InfiniGram, FastGram, PyInfinigram)
SYSTEMS: tuple[type[System], ...] = (Infgram, *RIVALS)


def _exactly(ask: Callable[..., Any], context: list[int]) -> Any:
    """Asks fast-gram again where it says that it took a sample: it takes memory for what it may."""
    found = ask(context)
    return ask(context, max_support=found["prompt_cnt"]) if found["approx"] else found


def build_apart(
    system: type[System], corpus: Path, home: Path, trial: Trial, *, limit: float
) -> Run | str:
    """Builds in a process of its own, into `home`; the run, or why there is none, and then no home.

    Raises JobFailed for infgram.
    """
    home.mkdir()
    with trial.of(rival_of(system), "build"):
        run = run_job("peer_build", system.name, corpus, home, limit=limit)
        if "absent" not in run.result:
            return run
    shutil.rmtree(home)
    failed = trial.failed.get(system.name)
    return failed.cell if failed else str(run.result["absent"])


def rival_of(system: type[System] | System) -> str:
    """Who is out where it fails; "" for infgram, whose failures are errors."""
    return system.name if system.is_rival else ""


def next_counts(found: infgram.NextTokens) -> dict[int, int]:
    """infgram's answer as a dictionary."""
    return dict(zip(found.token_ids.tolist(), found.counts.tolist(), strict=True))


def _n_bytes(texts: list[bytes]) -> int:
    return sum(map(len, texts))


def kenlm_train(folder: Path | None, text: bytes, arpa: Path, order: int) -> None:
    """Writes KenLM's model of the bytes as numbers, all of a text one sentence."""
    imported("kenlm")
    if folder is None:
        raise Absent("not measured, since --kenlm does not name the folder of lmplz")
    source = arpa.with_suffix(".numbers")
    source.write_text(" ".join(map(str, text)) + "\n")
    command: list[str | Path] = [
        folder / "lmplz",
        "-o",
        str(order),
        "--discount_fallback",
        "-S",
        "1G",
    ]
    with open(source, "rb") as numbers, open(arpa, "wb") as model:
        subprocess.run(
            [*command, "-T", arpa.parent],
            stdin=numbers,
            stdout=model,
            stderr=subprocess.PIPE,
            check=True,
        )
    source.unlink()


def kenlm_log_probs(arpa: Path, text: bytes) -> list[float]:
    """Natural logarithms, one a byte; the end of the sentence is not scored.

    Its module's scores, because its `query` adds up a sentence in single precision.
    """
    model = imported("kenlm").Model(str(arpa))
    scores = model.full_scores(" ".join(map(str, text)), bos=True, eos=False)
    return [score * math.log(10) for score, _, _ in scores]


def imported(module: str) -> Any:
    """Raises Absent where it is not there; what is there and cannot be imported is a failure."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise Absent(f"not measured: {error}") from error
