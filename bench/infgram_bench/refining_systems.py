"""Who refines, and who chooses among drafts: the interface of `refining`, and who is behind it.

A system is made from what there is to learn from, and then takes drafts and gives texts of the same
lengths with the prompts as they were; whoever does anything else is an error. One that cannot be
made here raises Absent, and is a note. Nobody is given a judge.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import infgram
from infgram import refine as refining

from .refining_drafts import Drafts, Ids, Scorer
from .refining_metrics import whole_words
from .rivals import Absent

# (drafts (n, length), lengths of their prompts (n,), seed) -> texts (n, length)
Refine = Callable[[Ids, NDArray[np.int64], int], Ids]


@dataclass(frozen=True)
class Material:
    """`training` is what `index` is of; `folder` is for files, and is gone afterwards."""

    index: infgram.Index
    training: bytes
    folder: Path


def refiner_path(training: bytes) -> Path:
    """Where the refiner of a training text is kept."""
    from .training import cache_folder

    return cache_folder() / f"refiner-nano-{hashlib.sha256(training).hexdigest()[:12]}.safetensors"


def scorer_of(material: Material, threads: int = 1) -> refining.Scorer:
    """The trained refiner. Raises Absent."""
    path = refiner_path(material.training)
    if not path.exists():
        raise Absent("the refiner was not trained")
    return refining.Scorer(path, device="cpu", threads=threads)


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


def polish(material: Material, **how: Any) -> Refine:
    """infgram's n-grams alone."""

    def refine(token_ids: Ids, prompt_lengths: NDArray[np.int64], seed: int) -> Ids:
        prompts, texts = _parts(token_ids, prompt_lengths)
        return _whole(
            token_ids,
            refining.polish_many(material.index, texts, prompts=prompts, seed=seed, **how),
        )

    return refine


def by_network(material: Material, *, threads: int = 1, **how: Any) -> Refine:
    """The refiner with one of its strategies."""
    scorer = scorer_of(material, threads)

    def refine(token_ids: Ids, prompt_lengths: NDArray[np.int64], seed: int) -> Ids:
        prompts, texts = _parts(token_ids, prompt_lengths)
        return _whole(
            token_ids,
            refining.refine_many(material.index, scorer, texts, prompts=prompts, seed=seed, **how),
        )

    return refine


def _parts(
    token_ids: Ids, prompt_lengths: NDArray[np.int64]
) -> tuple[list[NDArray[np.uint32]], list[NDArray[np.uint32]]]:
    pairs = list(zip(token_ids.astype(np.uint32), prompt_lengths.tolist(), strict=True))
    return [ids[:n] for ids, n in pairs], [ids[n:] for ids, n in pairs]


def _whole(token_ids: Ids, refined: list[refining.Refined]) -> Ids:
    """Texts with what was refined at their ends."""
    made = token_ids.copy()
    for text, each in zip(made, refined, strict=True):
        text[len(text) - len(each.token_ids) :] = each.token_ids
    return made


KEEP_ALL = refining.Remask(only_better=False)
SYSTEMS: tuple[System, ...] = (
    System("random words", random_words, is_control=True),
    System("polish", polish),
    System("polish, max_copy 20", partial(polish, max_copy=20), starts=(2, -1)),
    System("editor", by_network),
    System("editor, 1 round", partial(by_network, rounds=1), starts=(3,)),
    System("editor, max_copy 20", partial(by_network, max_copy=20), starts=(2,)),
    System("max_copy 20 alone", partial(by_network, rounds=0, max_copy=20), starts=(2,)),
    System("remask", partial(by_network, strategy="remask"), starts=(3, -1)),
    System("remask, all kept", partial(by_network, strategy=KEEP_ALL), starts=(3,)),
    System("schedule", partial(by_network, strategy="schedule"), starts=(3,)),
    System("t2t", partial(by_network, strategy="t2t"), starts=(3,)),
)
SCORERS: dict[str, Callable[[Material], Scorer]] = {"Kneser-Ney": kneser_ney}
