"""A refiner that is trained in a second, for tests."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

OPTIONS: dict[str, Any] = {"steps": 100, "threads": 1, "device": "cpu"}


def runs(n: int, seed: int = 0) -> NDArray[np.uint8]:
    """n bytes of a language in which a letter is written six times: "eeeeeebbbbbb..."."""
    random = Random(seed)
    text = "".join(6 * random.choice("abcdefgh") for _ in range(n // 6 + 1)).encode()
    return np.frombuffer(text[:n], np.uint8)


def train_tiny(text: NDArray[Any], path: Path, **options: Any) -> Any:
    """A network of 10,000 weights that sees 32 tokens."""
    from infgram.refine.model import Shape
    from infgram.refine.train import Recipe, train

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
