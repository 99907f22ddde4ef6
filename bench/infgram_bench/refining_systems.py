"""Who refines, and who chooses among drafts: the interface of `refining`, and who is behind it.

A system is made from what there is to learn from, and then takes drafts and gives texts of the same
lengths with the prompts as they were; whoever does anything else is an error. One that cannot be
made here raises Absent, and is a note. Nobody is given a judge.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import infgram

from .refining_drafts import Drafts, Ids, Scorer
from .refining_metrics import whole_words

# (drafts (n, length), lengths of their prompts (n,), seed) -> texts (n, length)
Refine = Callable[[Ids, NDArray[np.int64], int], Ids]


@dataclass(frozen=True)
class Material:
    """`training` is what `index` is of; `folder` is for files, and is gone afterwards."""

    index: infgram.Index
    training: bytes
    folder: Path


@dataclass(frozen=True)
class System:
    """`starts`: the k of the drafts that it refines; a control should not help. `make`: Absent."""

    name: str
    make: Callable[[Material], Refine]
    starts: tuple[int, ...] = (2, 3, -1)
    is_control: bool = False


def refined(system: System, refine: Refine, drafts: Drafts, seed: int) -> Drafts:
    """What a system makes of drafts. Raises ValueError for what is no refined text of them."""
    given = drafts.token_ids.copy()
    made = np.asarray(refine(given, drafts.prompt_lengths, seed))
    if made.shape != drafts.token_ids.shape:
        raise ValueError(f"{system.name} made {made.shape} of {drafts.token_ids.shape}")
    prompts = np.arange(made.shape[1]) < drafts.prompt_lengths[:, None]
    if (made != drafts.token_ids)[prompts].any():
        raise ValueError(f"{system.name} changed a prompt")
    return Drafts(made.astype(np.uint8))


def random_words(material: Material) -> Refine:
    """A control: words replaced at random by words of the training text as long as they are.

    What has no sense must not look better for it: an eighth of the words, each token of the
    training text as likely as any.
    """
    words = np.array(whole_words(np.frombuffer(material.training, np.uint8)), object)
    lengths = np.array([len(word.encode()) for word in words])
    by_length = {int(n): words[lengths == n] for n in np.unique(lengths)}

    def refine(token_ids: Ids, prompt_lengths: NDArray[np.int64], seed: int) -> Ids:
        rng = np.random.default_rng(seed)
        made = token_ids.copy()
        for text, n_prompt in zip(made, prompt_lengths.tolist(), strict=True):
            written = text[n_prompt:]
            at = 0
            for word in whole_words(written):
                old = word.encode()
                at = written.tobytes().find(old, at)
                if at >= 0 and len(old) in by_length and rng.random() < 1 / 8:
                    new = str(rng.choice(by_length[len(old)])).encode()
                    written[at : at + len(old)] = np.frombuffer(new, np.uint8)
                at = max(at, 0) + len(old)
        return made

    return refine


def kneser_ney(material: Material) -> Scorer:
    """Drafts' log probability by infgram's own best predictor."""
    model = infgram.Model(material.index, infgram.KneserNey())

    def score(token_ids: Ids, n_prompt: int) -> NDArray[np.float64]:
        return np.array(
            [
                model.score(ids[n_prompt:], context=ids[:n_prompt]).log_prob.sum()
                for ids in token_ids
            ]
        )

    return score


SYSTEMS: tuple[System, ...] = (System("random words", random_words, is_control=True),)
SCORERS: dict[str, Callable[[Material], Scorer]] = {"Kneser-Ney": kneser_ney}
