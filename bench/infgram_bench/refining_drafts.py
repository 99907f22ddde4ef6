"""What is refined: held-out prompts, some for tuning, some for reporting, and drafts after them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import infgram

from .question import CannotMeasure

Ids = NDArray[np.uint8]
Part = Literal["tuning", "reporting"]
# Higher is better: of drafts (n, length) after prompts of so many bytes, (n,).
Scorer = Callable[[Ids, int], NDArray[np.float64]]

N_PROMPT = 32
N_WRITTEN = 256
SEEDS = (1, 2)
_GRID = 512
_SHIFTS = (0, 106, 212)  # so that prompts of the two parts begin at least 300 bytes apart
_ATTEMPTS = 100


@dataclass(frozen=True)
class Setting:
    """How a draft is written: by SBIS, or where k is None by another estimator."""

    k: int | None
    temperature: float = 0.8
    decay: float = 0.1
    max_copy: int | None = None
    other: type[infgram.KneserNey | infgram.Mix] = infgram.KneserNey

    @property
    def name(self) -> str:
        cap = f", max_copy {self.max_copy}" if self.max_copy else ""
        if self.k is None:
            name = "Mix" if self.other is infgram.Mix else "Kneser-Ney"
            return f"{name}, T {self.temperature}{cap}"
        return f"SBIS k={self.k}, T {self.temperature}, decay {self.decay}{cap}"

    @property
    def estimator(self) -> infgram.SBIS | infgram.KneserNey | infgram.Mix:
        return self.other() if self.k is None else infgram.SBIS(self.k, self.decay)


@dataclass(frozen=True, eq=False)
class Drafts:
    """Texts of one length: (n, N_PROMPT + N_WRITTEN) bytes."""

    token_ids: Ids

    @property
    def written(self) -> Ids:
        """What stands after the prompts: (n, N_WRITTEN)."""
        return self.token_ids[:, N_PROMPT:]

    @property
    def prompt_lengths(self) -> NDArray[np.int64]:
        return np.full(len(self.token_ids), N_PROMPT, np.int64)


def offsets(n_bytes: int, part: Part, n: int) -> list[int]:
    """Where in a held-out text prompts begin: n, or as many as there are.

    Tuning has the even multiples of 512, reporting the odd ones; where these are too few, places
    106 and then 212 bytes further on, too.
    """
    first = 0 if part == "tuning" else _GRID
    end = n_bytes - N_PROMPT - N_WRITTEN + 1
    return [at for shift in _SHIFTS for at in range(first + shift, end, 2 * _GRID)][:n]


def windows(text: bytes, starts: Sequence[int]) -> Drafts:
    """Real text, cut out as if it were drafts."""
    data = np.frombuffer(text, np.uint8)
    places = np.array(starts, np.int64)[:, None] + np.arange(N_PROMPT + N_WRITTEN)
    return Drafts(data[places])


def spread(text: bytes, n: int) -> list[int]:
    """Starts of n windows from all over a text."""
    starts: list[int] = np.linspace(0, len(text) - N_PROMPT - N_WRITTEN, n).astype(int).tolist()
    return starts


def write(
    index: infgram.Index, setting: Setting, prompts: Ids, seeds: Sequence[int], *, draft: int = 0
) -> Drafts:
    """A draft after each prompt (n, N_PROMPT) with each seed, seed by seed.

    Draft number `draft` of a prompt and a seed is the same whatever else is written. One that ends
    early is written anew.
    """
    model = infgram.Model(index, setting.estimator)
    sampling: dict[str, Any] = {
        **{"max_tokens": N_WRITTEN, "temperature": setting.temperature},
        **{"max_copy": setting.max_copy},
    }
    texts = [
        np.concatenate(
            [prompt, _write_one(model, prompt, np.random.default_rng([seed, i, draft]), sampling)]
        )
        for seed in seeds
        for i, prompt in enumerate(prompts)
    ]
    return Drafts(np.stack(texts))


def best_of(
    n: int,
    scorer: Scorer,
    index: infgram.Index,
    setting: Setting,
    prompts: Ids,
    seeds: Sequence[int],
) -> Drafts:
    """Of n drafts after each prompt with each seed the one with the highest score."""
    made = [write(index, setting, prompts, seeds, draft=draft) for draft in range(n)]
    best = np.stack([scorer(each.token_ids, N_PROMPT) for each in made]).argmax(0)
    return Drafts(np.stack([each.token_ids for each in made])[best, np.arange(len(best))])


def _write_one(
    model: infgram.Model, prompt: Ids, rng: np.random.Generator, sampling: dict[str, Any]
) -> Ids:
    for _ in range(_ATTEMPTS):
        made = model.generate(prompt, seed=rng, **sampling).token_ids
        if len(made) == N_WRITTEN:
            return made.astype(np.uint8)
    raise CannotMeasure(f"{_ATTEMPTS} drafts in a row ended before {N_WRITTEN} bytes")
