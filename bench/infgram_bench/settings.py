"""What the user chose: what to measure on, which rivals are where, how thoroughly."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from . import machine
from .corpora import Corpus


@dataclass(frozen=True)
class Settings:
    """Everything that decides a result, but for the machine.

    - `corpus`: what most questions are about; `others`: more corpora to predict.
    - `large`: a text for the questions of growth, or None for text files of this machine.
    - `sizes`: MiB of it that systems are compared at.
    - `tiny`: the published SBIS program, built with k = 2; `tiny_perplexity`: builds that print
      validation perplexities; `kenlm`: the folder of lmplz; `nanogpt`: a checkout.
    - `compressors`: programs that predict as they compress.
    - `train_minutes`: what the 10.65 M model may take in all, resumed runs included.
    - `core`: measured on, or None for wherever the system likes.
    """

    corpus: Corpus
    others: tuple[Corpus, ...] = ()
    large: Path | None = None
    sizes: tuple[int, ...] = (1, 16, 128)
    tiny: Path | None = None
    tiny_perplexity: tuple[Path, ...] = ()
    kenlm: Path | None = None
    nanogpt: Path | None = None
    compressors: tuple[Path, ...] = ()
    train_minutes: float = 30.0
    core: int | None = None
    quick: bool = False

    @property
    def rounds(self) -> int:
        """Batches of each contender."""
        return 3 if self.quick else 15

    @property
    def patience(self) -> float:
        """Seconds that a rival may take for one thing: a build, a batch of questions."""
        return 120.0 if self.quick else 1200.0

    @cached_property
    def fingerprint(self) -> str:
        """Equal where a result can be kept: same choices, same build of infgram, same versions."""
        choices: Mapping[str, object] = {
            **{name: str(value) for name, value in vars(self).items() if name in _PLAIN},
            "texts": [hashlib.sha256(c.text).hexdigest() for c in (self.corpus, *self.others)],
            "pinned": self.core is not None,
            "machine": machine.description(),
            "core": machine.core_hash(),
        }
        return hashlib.sha256(json.dumps(choices, sort_keys=True).encode()).hexdigest()[:16]


_PLAIN = {
    *("large", "sizes", "tiny", "tiny_perplexity", "kenlm", "nanogpt", "train_minutes", "quick"),
    "compressors",
}
