"""Tokenizers that are objects of other libraries, as callers of transformers have them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import TokenError, TokenizerUnavailable
from .contract import ACCEPTED, Tokenizer, as_str, digest
from .huggingface import HuggingFace
from .ids import Ids, TokenArray, check_ids
from .tiktoken import Tiktoken

_OURS = ("encode", "encode_all", "decode", "spec", "vocab_size")


def of_object(found: Any) -> Tokenizer:
    """A tokenizer of infgram, of the `tokenizers` library, of tiktoken or of transformers.

    Raises TokenizerUnavailable for anything else.

    >>> from infgram.text.tokens import load
    >>> of_object(load("chars")).name
    'chars'
    """
    if isinstance(found, type):
        raise TokenizerUnavailable(
            f"tokenizer is a class, {found.__name__}, expected an object of it, as its "
            "from_pretrained(name) gives one"
        )
    if all(hasattr(found, name) for name in _OURS):
        ours: Tokenizer = found
        return ours
    library = getattr(found, "backend_tokenizer", found)
    if hasattr(library, "to_str"):
        return HuggingFace(library.to_str().encode())
    if hasattr(found, "encode_to_numpy") and hasattr(found, "n_vocab"):
        return Tiktoken(f"tiktoken:{found.name}", found)
    if hasattr(found, "convert_ids_to_tokens") and hasattr(found, "__len__"):
        return Slow(found)
    raise TokenizerUnavailable(
        f"tokenizer is a {type(found).__name__}, expected {ACCEPTED}, or a tokenizer of "
        "transformers, `tokenizers` or tiktoken"
    )


class Slow(Tokenizer):
    """A tokenizer of transformers that is written in Python."""

    name = "transformers"
    dtype = np.dtype(np.uint32)
    reads_text = True

    def __init__(self, library: Any) -> None:
        self.vocab_size = len(library)
        self.sha256 = digest(f"{type(library).__name__} {sorted(library.get_vocab().items())}")
        self._library = library

    def encode(self, text: str | bytes) -> TokenArray:
        """As the library encodes it, without special tokens."""
        plain = as_str(text)
        try:
            ids = self._library.encode(plain, add_special_tokens=False)
        except Exception as error:  # written by anybody
            raise TokenError(f"the tokenizer has no tokens for this text: {error}") from error
        return check_ids(ids, self.vocab_size).astype(np.uint32, copy=False)

    def decode(self, ids: Ids) -> bytes:
        """As the library decodes, special tokens and all."""
        checked = check_ids(ids, self.vocab_size).tolist()
        options = {"skip_special_tokens": False, "clean_up_tokenization_spaces": False}
        text: str = self._library.decode(checked, **options)
        return text.encode("utf-8", "replace")
