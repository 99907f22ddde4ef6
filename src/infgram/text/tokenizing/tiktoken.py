"""Alone in importing tiktoken: a token is whatever one of its encodings says."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import TokenError, TokenizerUnavailable, UndecodableText
from .contract import Tokenizer, as_str, missing
from .ids import Ids, TokenArray, check_ids, refuse_hole
from .side_by_side import Encoded, encode_side_by_side

_BATCH = 1 << 18  # characters that a thread encodes at a time


class Tiktoken(Tokenizer):
    """A token is whatever a tiktoken encoding says."""

    dtype = np.dtype(np.uint32)
    reads_text = True

    def __init__(self, name: str, encoding: Any = None) -> None:
        """encoding: an object of tiktoken; None: the one that tiktoken has by that name."""
        encoding = _encoding(name.removeprefix("tiktoken:")) if encoding is None else encoding
        self.name = name
        self.vocab_size = encoding.n_vocab
        self.sha256 = _tiktoken_digest(encoding)
        self._encoding = encoding

    def __reduce__(self) -> tuple[object, ...]:
        return Tiktoken, (self.name, self._encoding)

    def encode(self, text: str | bytes) -> TokenArray:
        plain = as_str(text)
        try:
            ids: TokenArray = self._encoding.encode_to_numpy(plain, disallowed_special=())
        except ValueError as error:  # its regex gives up on very long runs of spaces
            raise TokenError(
                f"tiktoken cannot encode this text: {error}; cut it into smaller documents"
            ) from error
        return ids

    def encode_all(self, contents: Iterable[str | bytes | NDArray[Any]]) -> Iterator[Encoded]:
        """Side by side, a text by a core."""
        cores = os.cpu_count() or 1
        pieces = ((self._text_or_encoded(content), True) for content in contents)
        return encode_side_by_side(pieces, self._batch, at_once=cores, room=_BATCH)

    def _text_or_encoded(self, content: str | bytes | NDArray[Any]) -> str | Encoded:
        try:
            return self._encoded(content) if isinstance(content, np.ndarray) else as_str(content)
        except UndecodableText as error:
            return error

    def _batch(self, texts: list[str]) -> list[Encoded]:
        return list(map(self._encoded, texts))

    def decode(self, ids: Ids) -> bytes:
        checked = check_ids(ids, self.vocab_size).tolist()
        try:
            text: bytes = self._encoding.decode_bytes(checked)
        except KeyError:
            refuse_hole(self.name, next(i for i in checked if not self._is_token(i)))
        return text

    def _is_token(self, token: int) -> bool:
        try:
            self._encoding.decode_single_token_bytes(token)
        except KeyError:
            return False
        return True


def _tiktoken_digest(encoding: Any) -> str:
    """The hash of all that decides how an encoding splits and numbers text."""
    digest = hashlib.sha256(f"{encoding._pat_str!r}\n".encode())
    for token, rank in sorted(encoding._mergeable_ranks.items(), key=lambda item: item[1]):
        digest.update(b"%d %s\n" % (rank, token.hex().encode()))
    for special, token_id in sorted(encoding._special_tokens.items()):
        digest.update(f"{token_id} {special!r}\n".encode())
    return digest.hexdigest()


def _encoding(name: str) -> Any:
    try:
        import tiktoken
    except ImportError as error:
        raise missing("tiktoken") from error
    try:
        return tiktoken.get_encoding(name)
    except Exception as error:  # unknown, no network, or whatever a plugin raises
        raise TokenizerUnavailable(
            f"tiktoken cannot load the encoding {name!r}: {error}; tiktoken fetches an encoding "
            "once and keeps it in the folder TIKTOKEN_CACHE_DIR names"
        ) from error
