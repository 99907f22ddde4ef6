"""The one door to the native core: nobody else imports `infgram._core`."""

from __future__ import annotations

from . import _core
from ._core import (
    Cursor,
    Draft,
    DraftEngine,
    DraftRequest,
    Index,
    KneserNeyModel,
    Lexicon,
    LiveText,
    Polisher,
    Predictor,
    Proposals,
    Sampler,
    assemble,
    block_ranks,
    count_buckets,
    fill_next_and_same,
    fit_discounts,
    is_sorted,
    kneser_ney,
    max_context,
    n_discounts,
    n_that_pay,
    plain_ids,
    psi,
    sbis,
    shared_contexts,
    textbook_discounts,
)

LIBRARY: str = _core.__file__
"""The path of the core's file."""

__all__ = [
    "LIBRARY",
    "Cursor",
    "Draft",
    "DraftEngine",
    "DraftRequest",
    "Index",
    "KneserNeyModel",
    "Lexicon",
    "LiveText",
    "Polisher",
    "Predictor",
    "Proposals",
    "Sampler",
    "assemble",
    "block_ranks",
    "count_buckets",
    "fill_next_and_same",
    "fit_discounts",
    "is_sorted",
    "kneser_ney",
    "max_context",
    "n_discounts",
    "n_that_pay",
    "plain_ids",
    "psi",
    "sbis",
    "shared_contexts",
    "textbook_discounts",
]
