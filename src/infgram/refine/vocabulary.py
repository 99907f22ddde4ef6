"""Which tokens a refiner knows: those of a text, numbered densely, and the mask after them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidParameter, RefinerMismatch
from ..index import Index
from ..text.characters import check_tokenizer

MAX_CODES = 8192


@dataclass(frozen=True)
class Vocabulary:
    """Token ids by code; the code after the last one is the mask.

    - `tokenizer`: "bytes" or "chars". Other tokenizers' tokens have no fixed length in letters, so
      one can hardly be exchanged for another.
    - `token_ids`: rising.

    Raises InvalidParameter.

    >>> vocabulary = Vocabulary("bytes", (97, 98))
    >>> vocabulary.codes(np.frombuffer(b"bad", np.uint8)).tolist(), vocabulary.mask
    ([1, 0, 2], 2)
    """

    tokenizer: str
    token_ids: tuple[int, ...]

    def __post_init__(self) -> None:
        check_tokenizer(self.tokenizer)
        if not 1 <= len(self.token_ids) <= MAX_CODES:
            raise InvalidParameter(
                f"the text has {len(self.token_ids)} different tokens, a refiner takes 1 to "
                f"{MAX_CODES}: train it on a text with fewer, or use the tokenizer 'bytes'"
            )
        if list(self.token_ids) != sorted(set(self.token_ids)) or self.token_ids[0] < 0:
            raise InvalidParameter("token ids of a vocabulary rise, and are not negative")

    @classmethod
    def of(cls, index: Index) -> Vocabulary:
        """The tokens that occur in an index."""
        return cls(index.tokenizer.name, tuple(index.alphabet[1:].tolist()))

    @classmethod
    def of_text(cls, tokenizer: str, token_ids: NDArray[np.integer[Any]]) -> Vocabulary:
        """The tokens that occur in a text."""
        return cls(tokenizer, tuple(np.unique(token_ids).tolist()))

    def __len__(self) -> int:
        return len(self.token_ids)

    @property
    def mask(self) -> int:
        """The code that stands for a hole, and for a token that is not in the vocabulary."""
        return len(self.token_ids)

    @cached_property
    def sha256(self) -> str:
        """Two vocabularies with the same hash give the same codes."""
        identity = json.dumps([self.tokenizer, *self.token_ids])
        return hashlib.sha256(identity.encode()).hexdigest()

    def codes(self, token_ids: NDArray[np.integer[Any]] | Sequence[int]) -> NDArray[np.int64]:
        """Codes of tokens, shape (n,); unknown tokens have the mask's."""
        ids = np.asarray(token_ids, np.int64)
        places = np.minimum(np.searchsorted(self._ids, ids), len(self) - 1)
        return np.where(self._ids[places] == ids, places, self.mask)

    def ids(self, codes: NDArray[np.integer[Any]]) -> NDArray[np.uint32]:
        """Token ids of codes, none of them the mask's."""
        return self._ids[codes].astype(np.uint32)

    def check(self, index: Index) -> None:
        """Raises RefinerMismatch for an index with tokens that are not in the vocabulary."""
        name = index.tokenizer.name
        if name != self.tokenizer:
            raise RefinerMismatch(
                f"the refiner knows the tokens of {self.tokenizer!r}, the index {index.path.name} "
                f"is of {name!r}: train a refiner with `infgram refine train` for this index"
            )
        unknown = np.setdiff1d(index.alphabet[1:], self._ids)
        if len(unknown):
            raise RefinerMismatch(
                f"the index {index.path.name} has {len(unknown)} tokens that the refiner does not "
                f"know, token id {unknown[0]} for one: train a refiner on the text of this index "
                "with `infgram refine train`"
            )

    @cached_property
    def _ids(self) -> NDArray[np.int64]:
        return np.array(self.token_ids, np.int64)
