"""How drafts are made, and how a token is chosen from scores, as a generation's settings say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers import GenerationConfig

from ... import verify_torch
from ...drafter import Draft

# What chooses a token: from scores after a token of the draft, the draft, that token's place (-1
# for the context).
Choose = Callable[[torch.Tensor, Draft, int], int]


def manner(config: GenerationConfig, sample_drafts: bool) -> tuple[dict[str, Any], Choose]:
    """How drafts are made, as arguments of `propose`, and how tokens are chosen."""
    if not config.do_sample:
        return {}, _choose_likeliest
    if not sample_drafts:
        return {}, _choose_at_random
    return drawing_of(config), _choose_drawn


def drawing_of(config: GenerationConfig) -> dict[str, Any]:
    """Arguments of `propose` where tokens are drawn: torch's seed decides about them too."""
    rng = np.random.default_rng(int(torch.randint(2**62, ())))
    return {"sample": True, "temperature": config.temperature or 1.0, "rng": rng}


def _choose_likeliest(scores: torch.Tensor, draft: Draft, at: int) -> int:
    return int(scores.argmax(-1))


def _choose_at_random(scores: torch.Tensor, draft: Draft, at: int) -> int:
    return int(torch.multinomial(scores.softmax(-1), 1))


def _choose_drawn(scores: torch.Tensor, draft: Draft, at: int) -> int:
    law = scores.softmax(-1)
    if draft.children(at):
        accepted, law = verify_torch.reject(law, [(draft, at)])
        token = int(accepted)
        if token >= 0:
            return token
    return int(torch.multinomial(law, 1))
