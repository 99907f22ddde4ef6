"""Alone in importing tokenizers: a token is whatever a JSON file of that library says."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import TokenError, TokenizerUnavailable
from .contract import ACCEPTED, Tokenizer, TokenTexts, as_str, missing, undecodable
from .files import TokenizerFile, read_tokenizer
from .ids import ABSENT, Ids, TokenArray, check_ids, refuse_hole
from .seams import Seams
from .side_by_side import Encoded, Piece, encode_side_by_side

_LONG = 1 << 12  # bytes of a text from which on it is worth a batch of its own
_AT_ONCE = 2  # batches, so that no core waits for the end of one
_BATCH_PER_CORE = 1 << 19


class HuggingFace(Tokenizer):
    """A token is whatever a JSON file of the `tokenizers` library says.

    >>> from tokenizers import Tokenizer, models
    >>> library = Tokenizer(models.BPE({"t": 0, "o": 1, "to": 2}, [("t", "o")]))
    >>> HuggingFace(library.to_str().encode()).encode("tot").tolist()
    [2, 0]
    """

    name = "tokenizers"
    dtype = np.dtype(np.uint32)
    reads_text = True

    def __init__(self, file: bytes, vocab_size: int | None = None) -> None:
        """vocab_size: where it is known, the library is loaded when it is needed."""
        self.file: bytes = file
        self.sha256 = hashlib.sha256(file).hexdigest()
        self.vocab_size = self._size() if vocab_size is None else vocab_size

    @cached_property
    def _tokenizer(self) -> Any:
        try:
            import tokenizers
        except ImportError as error:
            raise missing("tokenizers") from error
        try:
            # from_str, as from_buffer complains less clearly about what is not text
            tokenizer = tokenizers.Tokenizer.from_str(self.file.decode("utf-8"))
        except Exception as error:  # the library raises bare Exception
            raise TokenizerUnavailable(
                f"not a `tokenizers` JSON file: {error}; expected {ACCEPTED}"
            ) from error
        # the file may ask for what suits a model's input and would cut or stretch a corpus
        tokenizer.no_truncation()
        tokenizer.no_padding()
        if getattr(tokenizer.model, "dropout", None):
            tokenizer.model.dropout = None  # for training: a text has other tokens each time
        return tokenizer

    @cached_property
    def _seams(self) -> Seams:
        return Seams(self._tokenizer)

    @cached_property
    def _said(self) -> TokenizerFile:
        return read_tokenizer(self.file)

    @property
    def unknown_id(self) -> int | None:  # type: ignore[override]
        """Read from the file: that needs no library."""
        return self._said.unknown_id

    def _size(self) -> int:
        """There may be holes, so counting the tokens is not enough."""
        largest = int(self._known[-1])
        if largest >= ABSENT:
            raise TokenizerUnavailable(
                f"a token has the id {largest}, expected ids below {ABSENT}: number the tokens anew"
            )
        return largest + 1

    @cached_property
    def _known(self) -> NDArray[np.int64]:
        """The ids that are tokens, rising, behind a -1."""
        ids = self._tokenizer.get_vocab(with_added_tokens=True).values()
        return np.unique(np.array([-1, *ids], np.int64))

    @cached_property
    def _bytes(self) -> tuple[NDArray[np.int64], NDArray[np.int16]]:
        """Ids of tokens like <0xE5> where the decoder makes bytes of them, rising, and the bytes.

        Behind a -1, which is no byte.
        """
        found = {-1: -1}
        for byte in range(256) if self._said.decoder.falls_back else ():
            token_id = self._tokenizer.token_to_id(f"<0x{byte:02X}>")
            if token_id is not None:
                found[token_id] = byte
        ids = sorted(found)
        return np.array(ids, np.int64), np.array([found[i] for i in ids], np.int16)

    def _bytes_of(self, token_ids: Ids) -> NDArray[np.int16]:
        """The byte that each token is, else -1."""
        ids, values = self._bytes
        places = np.searchsorted(ids, np.asarray(token_ids, np.int64), "right") - 1
        return np.where(ids[places] == token_ids, values[places], np.int16(-1))

    def __reduce__(self) -> tuple[object, ...]:
        return HuggingFace, (self.file, self.vocab_size)

    def encode(self, text: str | bytes) -> TokenArray:
        """As the library encodes all of it, a long text in pieces that have the same tokens."""
        if len(text) < _LONG:
            return self._whole(as_str(text))
        (ids,) = self.encode_all([text])
        if isinstance(ids, Exception):
            raise ids
        return ids

    def encode_all(self, contents: Iterable[str | bytes | NDArray[Any]]) -> Iterator[Encoded]:
        """Side by side, on all cores."""
        room = _BATCH_PER_CORE * (os.cpu_count() or 1)
        pieces = chain.from_iterable(map(self._pieces, contents))
        return encode_side_by_side(pieces, self._batch, at_once=_AT_ONCE, room=room)

    def _pieces(self, content: str | bytes | NDArray[Any]) -> Iterator[Piece]:
        if isinstance(content, np.ndarray):
            yield self._encoded(content), True
            return
        last: str | Encoded = ""
        begun = False
        try:
            text = content.encode() if isinstance(content, str) else content
            for piece in self._seams.pieces(text):
                if begun:
                    yield last, False
                last, begun = piece, True
        except UnicodeError as error:
            last = undecodable(error)
        yield last, True

    def _batch(self, texts: list[str]) -> list[Encoded]:
        library = self._tokenizer
        encode = getattr(library, "encode_batch_fast", library.encode_batch)
        try:
            with _no_panic():
                encoded = encode(texts, add_special_tokens=False)
        except Exception:  # of one of them, and the library does not say which
            return [self._whole_or_error(text) for text in texts]
        return [np.array(each.ids, np.uint32) for each in encoded]

    def _whole_or_error(self, text: str) -> Encoded:
        try:
            return self._whole(text)
        except TokenError as error:
            return error

    def _whole(self, text: str) -> TokenArray:
        return np.array(self._encoding(text).ids, np.uint32)

    def encode_ngram(self, text: str | bytes) -> TokenArray:
        ids = self.encode(text)
        if self.unknown_id is None or self.unknown_id not in ids:
            return ids
        unknown = np.flatnonzero(ids == self.unknown_id).tolist()
        plain = as_str(text)
        spelt = self._tokenizer.id_to_token(self.unknown_id)
        if spelt in plain:
            offsets = self._encoding(plain).offsets
            unknown = [i for i in unknown if plain[slice(*offsets[i])] != spelt]
        ids[unknown] = ABSENT
        return ids

    def offsets(self, text: str) -> NDArray[np.int64] | None:
        """As the library has them: in the text as it was before the tokenizer changed it.

        It counts wrongly where its model skips characters, as BPE without an unknown token does.
        """
        is_bpe = type(self._tokenizer.model).__name__ == "BPE"
        may_skip = is_bpe and self.unknown_id is None and not self._said.decoder.joins_bytes
        if may_skip and any(not c.isspace() and not self._encoding(c).ids for c in set(text)):
            return None
        return np.array(self._encoding(text).offsets, np.int64).reshape(-1, 2)

    def _encoding(self, text: str) -> Any:
        try:
            with _no_panic():
                return self._tokenizer.encode(text, add_special_tokens=False)
        except Exception as error:  # the library raises bare Exception
            raise _unencodable(error) from error

    def decode(self, ids: Ids) -> bytes:
        """As the library decodes: a character that is cut in the middle becomes U+FFFD."""
        checked = self._checked(ids)
        with _no_panic():
            text: str = self._tokenizer.decode(checked, skip_special_tokens=False)
        return text.encode("utf-8")

    def _checked(self, ids: Ids) -> list[int]:
        checked = check_ids(ids, self.vocab_size)
        known = self._known[np.searchsorted(self._known, checked, "right") - 1] == checked
        if not known.all():
            refuse_hole(self.name, int(checked[np.argmin(known)]))
        plain: list[int] = checked.tolist()
        return plain

    def piece(self, token_id: int) -> str:
        (checked,) = self._checked([token_id])
        piece: str = self._tokenizer.id_to_token(checked)
        if self._said.decoder.joins_bytes:
            return _byte_level(piece).decode("utf-8", "surrogateescape")
        return piece

    def can_begin(self, token_ids: Ids) -> NDArray[np.bool_]:
        """Not between two bytes: the library decodes a row of them together."""
        can = np.ones(len(token_ids), np.bool_)
        if self._said.decoder.falls_back and len(can):
            is_byte = self._bytes_of(token_ids) >= 0
            can[1:] = ~(is_byte[1:] & is_byte[:-1])
        return can

    def texts(self, token_ids: Ids) -> TokenTexts:
        decoder = self._said.decoder
        ids = self._checked(token_ids)
        if decoder.joins_bytes:
            alone = [_byte_level(self._tokenizer.id_to_token(token_id)) for token_id in ids]
            return alone, alone
        if not decoder.adds_up:
            raise TokenError(
                f"the decoder {decoder.name} makes the text of a token depend on others, so texts "
                "cannot be counted by their tokens; count n-grams of tokens"
            )
        decode = self._tokenizer.decode_batch
        with _no_panic():
            first = [t.encode() for t in decode([[i] for i in ids], skip_special_tokens=False)]
        bytes_of = self._bytes_of(ids).tolist()
        front = next((i for i, t, b in zip(ids, first, bytes_of, strict=True) if t and b < 0), None)
        if front is None:
            later = list(first)
        else:
            cut = len(self.decode([front]))
            with _no_panic():
                pairs = decode([[front, i] for i in ids], skip_special_tokens=False)
            later = [pair.encode()[cut:] for pair in pairs]
        for i, byte in enumerate(bytes_of):
            if byte >= 0:  # alone, most are no UTF-8
                later[i] = bytes([byte])
                first[i] = later[i] if byte >= 0x80 else first[i]
        return later, first


@contextmanager
def _no_panic() -> Iterator[None]:
    """A fault in the library's own code comes as a BaseException, which would end the program."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise TokenError(
            f"a fault in the tokenizers library: {error}; use another release of it, or another "
            "tokenizer"
        ) from error


def _byte_level(piece: str) -> bytes:
    """The bytes of a byte-level token; text that is not of that alphabet is itself."""
    try:
        return bytes(map(_BYTE_LEVEL.__getitem__, piece))
    except KeyError:
        return piece.encode()


def _byte_level_alphabet() -> dict[str, int]:
    """The characters by which GPT-2 writes bytes: those that print are themselves."""
    prints = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in prints]
    return {chr(byte): byte for byte in prints} | {
        chr(256 + n): byte for n, byte in enumerate(others)
    }


_BYTE_LEVEL = _byte_level_alphabet()


def _unencodable(error: Exception) -> TokenError:
    return TokenError(
        f"the tokenizer has no tokens for this text: {error}; use a tokenizer that has an unknown "
        "token, or one of bytes"
    )
