"""Drafts for the models of Hugging Face transformers, through public hooks of `generate`.

`decode` is transformers' own loop with several tokens a step, for `custom_generate=`. `DraftModel`
is for callers who are bound to `assistant_model=`: paths only, and verified by transformers.

library says which transformers there is; caches and readers are how a model reads drafts; ways
finds out which reading is right for a model; texts, choosing and refusals serve the loop.
"""

from . import library  # noqa: F401  (first: it says what is missing)
from .assistant import DraftModel
from .loop import Report, decode
from .readers import OneByOne, most_tokens

__all__ = ["DraftModel", "OneByOne", "Report", "decode", "most_tokens"]
