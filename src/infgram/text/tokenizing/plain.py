"""Tokenizers that need no library: a token is a byte, a character, or a number."""

from __future__ import annotations

import numpy as np

from ...errors import InvalidParameter, TokenizerUnavailable, TokenOutOfRange
from .contract import Tokenizer, digest, undecodable
from .ids import Ids, TokenArray, check_ids

_SURROGATES = (0xD800, 0xE000)
_MAX_VOCAB_SIZE = 2**32 - 1  # the id after the last one must fit 32 bits too


class Bytes(Tokenizer):
    """A token is a byte.

    >>> Bytes().encode("né").tolist()
    [110, 195, 169]
    """

    name = "bytes"
    vocab_size = 256
    dtype = np.dtype(np.uint8)
    reads_text = False
    sha256 = digest("bytes")

    def encode(self, text: str | bytes) -> TokenArray:
        if isinstance(text, str):
            try:
                # surrogateescape: an undecodable command-line argument keeps its bytes
                text = text.encode("utf-8", "surrogateescape")
            except UnicodeEncodeError as error:
                raise undecodable(error) from error
        return np.frombuffer(text, np.uint8)

    def decode(self, ids: Ids) -> bytes:
        return check_ids(ids, self.vocab_size).astype(np.uint8, copy=False).tobytes()


class Chars(Tokenizer):
    """A token is a Unicode code point.

    >>> Chars().encode("né").tolist()
    [110, 233]
    """

    name = "chars"
    vocab_size = 0x110000
    n_ids = vocab_size - (_SURROGATES[1] - _SURROGATES[0])
    dtype = np.dtype(np.uint32)
    reads_text = True
    sha256 = digest("chars")

    def encode(self, text: str | bytes) -> TokenArray:
        try:
            decoded = text.decode("utf-8") if isinstance(text, bytes) else text
            utf32 = decoded.encode("utf-32-le")
        except UnicodeError as error:
            raise undecodable(error) from error
        return np.frombuffer(utf32, "<u4").astype(np.uint32, copy=False)

    def check(self, ids: Ids, *, ends: bool = False) -> TokenArray:
        """Raises TokenOutOfRange for surrogates too, which are no characters."""
        checked = super().check(ids, ends=ends)
        surrogates = (checked >= _SURROGATES[0]) & (checked < _SURROGATES[1])
        if surrogates.any():
            place = int(surrogates.argmax())
            raise TokenOutOfRange(
                f"token id {checked[place]} at place {place} is a surrogate, which is no "
                f"character: expected 0 to {_SURROGATES[0] - 1} or {_SURROGATES[1]} to "
                f"{self.vocab_size - 1}; was the text encoded with another tokenizer?"
            )
        return checked

    def decode(self, ids: Ids) -> bytes:
        return self.check(ids).astype("<u4", copy=False).tobytes().decode("utf-32-le").encode()


class BareIds(Tokenizer):
    """A token is a number; what it stands for is known elsewhere."""

    name = "ids"
    dtype = np.dtype(np.uint32)
    reads_text = False

    def __init__(self, vocab_size: int) -> None:
        if not 1 <= vocab_size <= _MAX_VOCAB_SIZE:
            raise InvalidParameter(
                f"vocab_size must be from 1 to {_MAX_VOCAB_SIZE}; got {vocab_size}"
            )
        self.vocab_size = vocab_size
        self.sha256 = digest(f"ids {vocab_size}")

    def encode(self, text: str | bytes) -> TokenArray:
        raise TokenizerUnavailable(
            "these are bare token ids, with no tokenizer that encodes text: give token ids"
        )

    def decode(self, ids: Ids) -> bytes:
        raise TokenizerUnavailable(
            "these are bare token ids, with no tokenizer that decodes them: read the ids instead"
        )
