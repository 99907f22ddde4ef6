"""Refiners for tests: one that is trained in a second, and one that needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infgram.refine.vocabulary import Vocabulary

OPTIONS: dict[str, Any] = {"steps": 100, "threads": 1, "device": "cpu"}


def runs(n: int, seed: int = 0) -> NDArray[np.uint8]:
    """n bytes of a language in which a letter is written six times: "eeeeeebbbbbb..."."""
    random = Random(seed)
    text = "".join(6 * random.choice("abcdefgh") for _ in range(n // 6 + 1)).encode()
    return np.frombuffer(text[:n], np.uint8)


def train_tiny(text: NDArray[Any], path: Path, **options: Any) -> Any:
    """A network of 10,000 weights that sees 32 tokens."""
    from infgram.refine.network.model import Shape
    from infgram.refine.network.training import Recipe, train

    shape = Shape(width=16, n_layers=2, n_heads=2, n_detector_layers=1)
    recipe = Recipe(
        window=32,
        batch=16,
        micro_batch=16,
        detector_lr=0.03,
        detector_head_lr=0.03,
        evidence_steps=60,
    )
    return train(text, path, shape=shape, recipe=recipe, **{**OPTIONS, **options})


class Bigrams:
    """Judges texts as a `Scorer` does, by each token's two neighbours: numpy alone.

    What it thinks of a token depends on nothing else, so tests can tell what an edit gains.
    """

    window = 48

    def __init__(self, text: bytes | NDArray[Any], tokenizer: str = "bytes") -> None:
        ids = np.frombuffer(text, np.uint8) if isinstance(text, bytes) else text
        self.vocabulary = Vocabulary.of_text(tokenizer, ids)
        codes = self.vocabulary.codes(ids)
        self._n = len(self.vocabulary)
        # the code after the last one is a hole, a token that is not known, or the end of the text
        self._pairs = np.full((self._n + 1, self._n + 1), 0.02)
        np.add.at(self._pairs, (codes[:-1], codes[1:]), 1)

    def log_likelihoods(self, texts: Sequence[NDArray[Any]]) -> list[NDArray[np.float64]]:
        return [self._of(codes, codes) for codes in map(self.vocabulary.codes, texts)]

    def confidence(self, texts: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        return [np.exp(each).astype(np.float32) for each in self.log_likelihoods(texts)]

    def likeliest(
        self, texts: Sequence[NDArray[Any]]
    ) -> list[tuple[NDArray[np.uint32], NDArray[np.float32]]]:
        log_probs = [self._log_probs(self.vocabulary.codes(text)) for text in texts]
        return [
            (self.vocabulary.ids(each.argmax(-1)), np.exp(each.max(-1, initial=-99)))
            for each in log_probs
        ]

    def masked_scores(
        self,
        texts: Sequence[NDArray[Any]],
        spans: Sequence[Sequence[tuple[int, int]]],
        candidates: Sequence[Sequence[Sequence[NDArray[Any]]]],
    ) -> list[list[NDArray[np.float64]]]:
        found: list[list[NDArray[np.float64]]] = []
        for text, own, of_text in zip(texts, spans, candidates, strict=True):
            found.append([])
            for (begin, end), those in zip(own, of_text, strict=True):
                assert end - begin <= self.window - 20
                holed = self.vocabulary.codes(text)
                holed[begin:end] = self._n
                filled = np.repeat(holed[None], len(those), axis=0)
                for row, candidate in zip(filled, those, strict=True):
                    row[begin:end] = self.vocabulary.codes(candidate)
                scores = [self._of(holed, row)[begin:end].sum() for row in filled]
                found[-1].append(np.array(scores))
        return found

    def fill(
        self,
        texts: Sequence[NDArray[Any]],
        holes: Sequence[NDArray[np.bool_]],
        *,
        seed: np.random.Generator,
        temperature: float,
        **_: Any,
    ) -> list[NDArray[np.uint32]]:
        filled = []
        for text, hole in zip(texts, holes, strict=True):
            codes = self.vocabulary.codes(text)
            codes[hole] = self._n
            for place in np.flatnonzero(hole).tolist():
                log_probs = self._log_probs(codes)[place]
                codes[place] = (log_probs + temperature * seed.gumbel(size=self._n)).argmax()
            new = text.copy()
            new[hole] = self.vocabulary.ids(codes[hole])
            filled.append(new)
        return filled

    def _of(self, seen: NDArray[np.int64], asked: NDArray[np.int64]) -> NDArray[np.float64]:
        log_probs = np.pad(self._log_probs(seen), ((0, 0), (0, 1)), constant_values=-np.inf)
        return log_probs[np.arange(len(asked)), asked]

    def _log_probs(self, codes: NDArray[np.int64]) -> NDArray[np.float64]:
        around = np.concatenate([[self._n], codes, [self._n]])
        fits = self._pairs[around[:-2], : self._n] * self._pairs[: self._n, around[2:]].T
        found: NDArray[np.float64] = np.log(fits / fits.sum(-1, keepdims=True))
        return found
