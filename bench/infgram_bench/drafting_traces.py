"""Texts that a model wrote, or might have written, and the corpora to draft them from.

A model that is sure of every token would write a fixed text; so a fixed text tells how many tokens
a step a drafter gives, exactly for a greedy model. For one that samples it does so in law: its
tokens do not depend on drafts that are compared with what it draws.
"""

from __future__ import annotations

import hashlib
import re
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import infgram

from .corpora import Corpus
from .neural import load_nanogpt

Ids = NDArray[np.uint32]

N_PROMPT = 64  # tokens that everyone sees before the first draft
TARGET = "CPU_RECIPE"  # whose outputs are drafted

_TEXT_TOKENS = 2000
_N_TEXTS = {"held-out": 15, "tuning": 5}
_WRITTEN_TOKENS = 400
_N_WRITTEN = {"held-out": 40, "tuning": 10}
_TEMPERATURES = {"GPT, T = 0.8": 0.8, "GPT, greedy": 0.0}

_CODE_BYTES = 4_000_000
_CODE_VOCAB = 8192
_CODE_TOKENS = (256, 1500)  # of a file that is drafted; longer ones are cut
_N_CODE = {"held-out": 30, "tuning": 8}
_ONE_IN = 8  # files that are not in the corpus
_SHARED_SPAN = 50  # tokens
# The path of a history of chats: tests/fixtures/chat-history.md in the source archive of the
# package aider-chat, under the Apache License 2.0, as its authors and models wrote it in 2024.
CHATS = "INFGRAM_AIDER_CHATS"
_N_CHATS = {"held-out": 50, "tuning": 10}
_MAP = re.compile("[⋮│]")  # in maps of repositories
_NO_CODE = {"test", "tests", "site-packages", "dist-packages", "encodings", "idlelib"}


@dataclass(frozen=True)
class Trace:
    """Texts of one kind: `held_out` is measured on, settings of drafters are chosen on `tuning`."""

    name: str
    held_out: list[Ids]
    tuning: list[Ids]


@dataclass(frozen=True)
class Material:
    """A corpus and the traces that are drafted from it, in a folder of token files."""

    folder: Path

    @property
    def corpus(self) -> list[Ids]:
        """Documents, in the order in which they were added."""
        return _read(self.folder / "corpus")

    @property
    def traces(self) -> list[Trace]:
        """In the order of their names."""
        return [
            Trace(path.name, _read(path / "held-out"), _read(path / "tuning"))
            for path in sorted((self.folder / "traces").iterdir())
        ]

    @property
    def index(self) -> Path:
        """Of the corpus, once `build` was called."""
        return self.folder / "corpus.infgram"

    def build(self) -> None:
        """Indexes the token files as they are; the tokenizer only goes along. Bytes are a text."""
        tokenizer = self.folder / "tokenizer.json"
        if tokenizer.exists():
            infgram.build(self.folder / "corpus", self.index, tokenizer=tokenizer, calibrate=True)
            return
        text = self.folder / "corpus-text"
        text.mkdir()
        for i, document in enumerate(self.corpus):
            document.astype(np.uint8).tofile(text / f"{i:06}.txt")
        infgram.build(text, self.index, format="bytes", calibrate=True)

    def add_corpus(self, documents: Sequence[Ids]) -> None:
        """What drafts come from."""
        _write(documents, self.folder / "corpus")

    def add(self, trace: Trace) -> None:
        """What drafts are made for."""
        folder = self.folder / "traces" / trace.name
        _write(trace.held_out, folder / "held-out")
        _write(trace.tuning, folder / "tuning")


def _read(folder: Path) -> list[Ids]:
    return [np.fromfile(path, "<u4") for path in sorted(folder.iterdir())]


def _write(documents: Sequence[Ids], folder: Path) -> None:
    folder.mkdir(parents=True)
    for i, document in enumerate(documents):
        document.astype("<u4").tofile(folder / f"{i:06}.u32")


# Text ---------------------------------------------------------------------------------------------


def add_text(corpus: Corpus, material: Material) -> None:
    """Held-out text as if a model had written it, and the training text to draft from; bytes."""
    material.add_corpus([_bytes(corpus.training)])
    held_out = _bytes(corpus.validation)
    starts = range(0, len(held_out) - _TEXT_TOKENS, _TEXT_TOKENS)
    documents = [held_out[start : start + _TEXT_TOKENS] for start in starts]
    n_measured, n_tuning = _N_TEXTS["held-out"], _N_TEXTS["tuning"]
    material.add(Trace("held-out text", documents[:n_measured], documents[n_measured:][-n_tuning:]))


def _bytes(text: bytes) -> Ids:
    return np.frombuffer(text, np.uint8).astype(np.uint32)


def add_written(text: Path, material: Material) -> None:
    """What a small GPT writes after pieces of the held-out text."""
    from . import gpt

    model, split = load_nanogpt(TARGET, text)
    n = sum(_N_WRITTEN.values())
    starts = np.linspace(0, len(split.validation) - N_PROMPT, n).astype(int).tolist()
    for name, temperature in _TEMPERATURES.items():
        written = []
        for seed, start in enumerate(starts):
            prompt = split.validation[start : start + N_PROMPT]
            made = gpt.generate(
                *(model, prompt, _WRITTEN_TOKENS),
                temperature=temperature,
                seed=seed,
                use_cache=True,
            )
            written.append(_bytes(split.decode(np.append(prompt, made)).encode()))
        # every so many one, so that both are from all over the text
        tuning = written[:: n // _N_WRITTEN["tuning"]]
        held_out = [each for i, each in enumerate(written) if i % (n // _N_WRITTEN["tuning"])]
        material.add(Trace(name, held_out, tuning))


# Code ---------------------------------------------------------------------------------------------


def add_code(material: Material) -> dict[str, Any]:
    """Files of Python's standard library that the corpus, other files of it, does not have.

    Tokens of a byte-pair encoding that was trained on the corpus alone. Returns what was left out.
    """
    corpus, held_out = _split_code()
    tokenizer = _train_tokenizer([text for _, text in corpus])
    material.folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(material.folder / "tokenizer.json"))
    documents = [_encode(tokenizer, text) for _, text in corpus]
    material.add_corpus(documents)
    candidates, n_dropped = _unknown(tokenizer, (text for _, text in held_out), documents)
    n_measured, n_tuning = _N_CODE["held-out"], _N_CODE["tuning"]
    material.add(Trace("code, BPE", candidates[:n_measured], candidates[n_measured:][:n_tuning]))
    return {
        "dropped": n_dropped,
        "candidates": len(candidates) + n_dropped,
        "tokens": sum(map(len, documents)),
        "bytes": sum(len(text.encode()) for _, text in corpus),
        "span": _SHARED_SPAN,
    }


def _split_code() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Names and texts of files: the corpus, and the others. In the order of hashes of names."""
    root = Path(sysconfig.get_path("stdlib"))
    paths = [path.relative_to(root) for path in root.rglob("*.py")]
    names = [path.as_posix() for path in paths if not _NO_CODE & set(path.parts)]
    corpus, others, n_bytes = [], [], 0
    for name, digest in sorted(((name, _digest(name)) for name in names), key=lambda each: each[1]):
        try:
            text = (root / name).read_bytes().decode()
        except UnicodeDecodeError:
            continue
        if digest % _ONE_IN == 0:
            others.append((name, text))
        elif n_bytes < _CODE_BYTES:
            corpus.append((name, text))
            n_bytes += len(text)
    return corpus, others


def _digest(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def _train_tokenizer(texts: Sequence[str]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_CODE_VOCAB,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _unknown(tokenizer: Any, texts: Iterable[str], corpus: Sequence[Ids]) -> tuple[list[Ids], int]:
    """The first tokens of texts that are long enough, but for those that share a span with the
    corpus; how many those are.
    """
    known = np.unique(np.concatenate([_spans(document) for document in corpus]))
    found, n_dropped = [], 0
    for text in texts:
        ids = _encode(tokenizer, text)[: _CODE_TOKENS[1]]
        if len(ids) < _CODE_TOKENS[0]:
            continue
        spans = _spans(ids)
        if (known[np.searchsorted(known[:-1], spans)] == spans).any():
            n_dropped += 1
        else:
            found.append(ids)
    return found, n_dropped


def _encode(tokenizer: Any, text: str) -> Ids:
    return np.array(tokenizer.encode(text).ids, np.uint32)


def _spans(ids: Ids) -> NDArray[np.uint64]:
    """A 64-bit hash of each `_SHARED_SPAN` tokens in a row."""
    n = len(ids) - _SHARED_SPAN + 1
    if n < 1:
        return np.zeros(0, np.uint64)
    wide = ids.astype(np.uint64)
    factors = np.random.default_rng(0).integers(1, 2**63, _SHARED_SPAN, np.uint64)
    hashes = np.zeros(n, np.uint64)
    for i, factor in enumerate(factors):
        hashes += wide[i : i + n] * factor
    return hashes


# Chats --------------------------------------------------------------------------------------------


def add_chats(history: Path, material: Material) -> dict[str, int]:
    """What models answered to the authors of aider, in the tokens of the code that it is drafted
    from; long answers, evenly spaced over the history. Returns how many there were.

    In a history, lines of tools begin with ">", and a person's with "####".
    """
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(material.folder / "tokenizer.json"))
    answers = _answers(history.read_text(encoding="utf-8"))
    candidates, n_dropped = _unknown(tokenizer, answers, material.corpus)
    n = sum(_N_CHATS.values())
    chosen = candidates[:: max(len(candidates) // n, 1)][:n]
    every = n // _N_CHATS["tuning"]
    held_out = [each for i, each in enumerate(chosen) if i % every]
    material.add(Trace("chats, BPE", held_out, chosen[::every]))
    return {"answers": len(candidates) + n_dropped, "dropped": n_dropped, "chosen": len(chosen)}


def _answers(history: str) -> list[str]:
    """Each once, without what tools printed of a repository."""
    told_by_others = re.compile(r"^(?:>|#### |# aider chat started).*$", re.MULTILINE)
    pieces = [piece.strip() for piece in told_by_others.split(history)]
    return list(dict.fromkeys(p for p in pieces if p and not _MAP.search(p)))
