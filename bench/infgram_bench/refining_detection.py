"""Who finds what SBIS wrote within real text: held-out text with spans drafted anew, and detectors.

The index has not seen the text, so a span that it drafts is mostly another one; where a byte came
out as it was, nothing is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import infgram

from .refining_drafts import N_PROMPT, Drafts, Ids
from .refining_metrics import Floats
from .refining_systems import Material, scorer_of

# (texts (n, length), lengths of their prompts (n,)) -> suspicion (n, length), higher where wrong
Detect = Callable[[Ids, NDArray[np.int64]], Floats]

_KS = (2, 3, 5, -1)
_SPAN = (4, 24)
_GAP = (16, 96)


@dataclass(frozen=True)
class Detector:
    """`make` raises Absent."""

    name: str
    make: Callable[[Material], Detect]


def corrupted(
    index: infgram.Index, texts: Drafts, *, seed: int
) -> tuple[Drafts, NDArray[np.bool_]]:
    """Texts with about a fifth of what stands after the prompts drafted anew, at T = 0.8.

    Also which bytes of it are others than before: (n, N_WRITTEN).
    """
    rng = np.random.default_rng(seed)
    models = [infgram.Model(index, infgram.SBIS(k, 0.1)) for k in _KS]
    made = texts.token_ids.copy()
    for text in made:
        at = N_PROMPT + int(rng.integers(_GAP[1]))
        while at < len(text):
            model = models[rng.integers(len(models))]
            end = min(at + int(rng.integers(*_SPAN)), len(text))
            span = model.generate(text[:at], max_tokens=end - at, temperature=0.8, seed=rng)
            text[at : at + len(span.token_ids)] = span.token_ids
            at = end + int(rng.integers(*_GAP))
    return Drafts(made), (made != texts.token_ids)[:, N_PROMPT:]


def auroc(suspicion: Floats, wrong: NDArray[np.bool_]) -> float:
    """The chance that a wrong byte is more suspicious than a right one; equals count half."""
    _, places, counts = np.unique(suspicion, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    n_wrong = int(wrong.sum())
    n_pairs = n_wrong * (len(wrong) - n_wrong)
    if not n_pairs:
        return float("nan")
    return float((ranks[wrong].sum() - n_wrong * (n_wrong + 1) / 2) / n_pairs)


def improbable(material: Material) -> Detect:
    """What SBIS with k = 2 would hardly have written."""
    model = infgram.Model(material.index, infgram.SBIS.published(2))

    def detect(token_ids: Ids, prompt_lengths: NDArray[np.int64]) -> Floats:
        return np.stack([-model.score(text).log_prob for text in token_ids])

    return detect


def short_matches(material: Material) -> Detect:
    """Where only a short run of the training text ends."""

    def detect(token_ids: Ids, prompt_lengths: NDArray[np.int64]) -> Floats:
        return np.stack(
            [-material.index.match_lengths(text).astype(np.float64) for text in token_ids]
        )

    return detect


def refiner(material: Material) -> Detect:
    """The trained refiner, told by the index which runs it has."""
    scorer = scorer_of(material)

    def detect(token_ids: Ids, prompt_lengths: NDArray[np.int64]) -> Floats:
        return np.stack(scorer.suspicion(list(token_ids), material.index)).astype(np.float64)

    return detect


def network_alone(material: Material) -> Detect:
    """The trained refiner, without an index."""
    scorer = scorer_of(material)

    def detect(token_ids: Ids, prompt_lengths: NDArray[np.int64]) -> Floats:
        return np.stack(scorer.suspicion(list(token_ids))).astype(np.float64)

    return detect


DETECTORS: tuple[Detector, ...] = (
    Detector("SBIS k=2, improbable", improbable),
    Detector("short matches", short_matches),
    Detector("refiner", refiner),
    Detector("refiner, network alone", network_alone),
)
