"""The version of transformers that is installed, and what it calls things."""

from __future__ import annotations

import inspect

from ....errors import MissingExtra
from ....extras import how_to_install

OLDEST_TRANSFORMERS = (5, 3)  # as in pyproject; before, `generate` hands on no cache

try:
    import torch  # noqa: F401
    import transformers
    from transformers import GenerationMixin
    from transformers.generation import GenerateDecoderOnlyOutput

    if tuple(map(int, transformers.__version__.split(".")[:2])) < OLDEST_TRANSFORMERS:
        raise ImportError(f"found transformers {transformers.__version__}")
except ImportError as error:
    raise MissingExtra(
        "drafts for transformers need torch, and transformers {}.{} or later ({}): {}".format(
            *OLDEST_TRANSFORMERS, error, how_to_install("draft")
        )
    ) from error

# What transformers calls a cache among arguments and results: `past_key_values` before 5.24. Models
# of later versions warn of the old name, and `generate` hands the cache on under the new one alone.
CACHE = "cache" if hasattr(GenerateDecoderOnlyOutput, "cache") else "past_key_values"

# Whether models are told the slots of what they read, too; later versions have the cache say that.
TELLS_SLOTS = (
    "cache_position" in inspect.signature(GenerationMixin.prepare_inputs_for_generation).parameters
)
