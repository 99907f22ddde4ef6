"""Alone in knowing what a token is: how text becomes token ids, and how ids become text again.

`load` makes a tokenizer from a name or a file, `restore` rebuilds the one an index was built with,
and `check_ids` is the gate every id from outside passes. Every tokenizer can be pickled and used
by many threads at once.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from operator import index
from pathlib import Path
from typing import Any, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from .. import native
from ..errors import (
    InvalidParameter,
    MissingExtra,
    TokenError,
    TokenizerUnavailable,
    TokenOutOfRange,
    UndecodableText,
)
from ..extras import how_to_install
from .long_texts import LONG, encode_long
from .tokenizer_files import TokenizerFile, in_folder, read_tokenizer

__all__ = [
    "ABSENT",
    "Ids",
    "Query",
    "TokenArray",
    "TokenTexts",
    "Tokenizer",
    "check_ids",
    "load",
    "restore",
    "utf8",
]

TokenArray = NDArray[np.uint8 | np.uint32]
"""Token ids that were checked: one-dimensional, of bytes or of 32-bit numbers."""

Ids = Sequence[int] | NDArray[np.integer[Any]]
"""Token ids as a caller may give them, before `check_ids`."""

Query = str | bytes | Ids
"""Text, or token ids: what every question about an n-gram or a context accepts."""

TokenTexts = tuple[list[bytes], list[bytes]]
"""What tokens add to a text behind others, and what they are at its beginning."""

ABSENT = 2**32 - 1
"""No token id: what no corpus has. Among probabilities, all tokens together that a corpus lacks."""

_ACCEPTED = (
    "'bytes', 'chars', 'ids', 'tiktoken:NAME', or the path of a `tokenizers` JSON file or of the "
    "model folder that has one"
)
_MAX_VOCAB_SIZE = 2**32 - 1  # the id after the last one must fit 32 bits too


class Tokenizer(Protocol):
    """Turns text into token ids and back; get one from `load`.

    >>> tokenizer = load("bytes")
    >>> tokenizer.encode("hi").tolist(), tokenizer.decode([104, 105])
    ([104, 105], b'hi')
    """

    name: str
    """"bytes", "chars", "tokenizers", "tiktoken:NAME" or "ids"."""
    vocab_size: int
    """Every id is below it; not every number below it need be an id."""
    dtype: np.dtype[np.uint8] | np.dtype[np.uint32]
    """Of the ids `encode` returns."""
    reads_text: bool
    """Whether a document must be valid UTF-8 for `encode` to take it."""
    sha256: str
    """Identity: tokenizers with the same hash give the same ids."""
    file: bytes | None = None
    """The tokenizer's own file, where it has one: `restore` needs it back."""
    unknown_id: int | None = None
    """The token that stands for text that has none, where there is one: [UNK]."""

    @property
    def n_ids(self) -> int:
        """Ids that text can have: all below `vocab_size`, unless some of them are known not to be.

        >>> load("bytes").n_ids, load("chars").n_ids
        (256, 1112064)
        """
        return self.vocab_size

    def encode(self, text: str | bytes) -> TokenArray:
        """The ids of `text`, shape (n,), of `dtype`, possibly read-only; no special token is added.

        Raises UndecodableText if `text` is not valid Unicode and the tokenizer needs it to be.
        """
        ...

    def decode(self, ids: Ids) -> bytes:
        """The text of `ids` in UTF-8 (of a `bytes` tokenizer: exactly the bytes).

        Raises TokenOutOfRange for an id that has no text.
        """
        ...

    def encode_ngram(self, text: str | bytes) -> TokenArray:
        """The ids of text that is looked up: as `encode`, but what is unknown is ABSENT.

        Unknown words share a token, and one of them is no other. Where the text spells the
        unknown token out, as in "[UNK]", that token is meant.
        """
        return self.encode(text)

    def piece(self, token_id: int) -> str:
        """A single token as it is shown, so that it cannot be taken for another one.

        Its text, where texts are put together from those of tokens; else the vocabulary's own
        piece, as in "\u2581world" or "##ing". Bytes that are not UTF-8 are lone surrogates, as
        `surrogateescape` has them. Raises TokenOutOfRange.
        """
        return self.decode([token_id]).decode("utf-8", "surrogateescape")

    def can_begin(self, token_ids: Ids) -> NDArray[np.bool_]:
        """Whether decoding may begin at each token without changing the text of those behind."""
        return np.ones(len(token_ids), np.bool_)

    def texts(self, token_ids: Ids) -> TokenTexts:
        """What each token adds to a text, in UTF-8: behind others, and as the first one.

        Raises TokenError if that depends on more.
        """
        return self._each_decoded(token_ids)

    def _each_decoded(self, token_ids: Ids) -> TokenTexts:
        alone = [self.decode([token_id]) for token_id in token_ids]
        return alone, alone

    def spec(self) -> dict[str, object]:
        """What `restore` needs besides `file`: JSON-able name, vocabulary size and hash."""
        return {"name": self.name, "vocab_size": self.vocab_size, "sha256": self.sha256}


def load(spec: str | os.PathLike[str], *, vocab_size: int | None = None) -> Tokenizer:
    """The tokenizer called `spec`: "bytes", "chars", "ids", "tiktoken:NAME", or a path: of a
    `tokenizers` JSON file, or of a folder with a tokenizer.json.

    `vocab_size` belongs to "ids" alone, which stands for token ids that were made elsewhere.
    A `tokenizers` file recognises its added tokens in text, as it does for the model it was made
    for; tiktoken reads special tokens as plain text.

    Raises TokenizerUnavailable for an unknown name or an unusable file, MissingExtra if a library
    is not installed, InvalidParameter if `vocab_size` is missing, misplaced or out of range.

    >>> load("chars").encode("né").tolist()
    [110, 233]
    """
    if spec == "ids":
        if vocab_size is None:
            raise InvalidParameter(
                "the tokenizer 'ids' has no vocabulary: give vocab_size (--vocab-size N), a number "
                "above every id"
            )
        return _Ids(vocab_size)
    if vocab_size is not None:
        raise InvalidParameter(f"vocab_size is for the tokenizer 'ids', not for {str(spec)!r}")
    if spec == "bytes":
        return _Bytes()
    if spec == "chars":
        return _Chars()
    if isinstance(spec, str) and spec.startswith("tiktoken:"):
        return _Tiktoken(spec)
    try:
        path = Path(spec)
        file = (in_folder(path) if path.is_dir() else path).read_bytes()
    except (OSError, ValueError) as error:
        raise TokenizerUnavailable(
            f"no tokenizer {str(spec)!r}: expected {_ACCEPTED} ({error})"
        ) from error
    return _Tokenizers(file)


def restore(spec: Mapping[str, object], file: bytes | None) -> Tokenizer:
    """The tokenizer whose `spec()` and `file` an index stored, checked to be the same one.

    Raises TokenizerUnavailable if it cannot be loaded here or is not the same any more,
    MissingExtra if a library is not installed.

    >>> restore(load("bytes").spec(), None).name
    'bytes'
    """
    name, vocab_size, sha256 = (spec.get(key) for key in ("name", "vocab_size", "sha256"))
    tokenizer: Tokenizer
    if name == "tokenizers":
        if file is None or not isinstance(vocab_size, int):
            raise TokenizerUnavailable("the index lacks its tokenizer's file: build it again")
        tokenizer = _Tokenizers(file, vocab_size)
    elif name == "ids" and isinstance(vocab_size, int):
        tokenizer = _Ids(vocab_size)
    elif name in ("bytes", "chars") or (isinstance(name, str) and name.startswith("tiktoken:")):
        tokenizer = load(str(name))
    else:
        raise TokenizerUnavailable(f"no tokenizer {name!r}: expected {_ACCEPTED}")
    if tokenizer.spec() != {"name": name, "vocab_size": vocab_size, "sha256": sha256}:
        raise TokenizerUnavailable(
            f"the tokenizer {name!r} is not the one of the index: it has {tokenizer.vocab_size} "
            f"tokens and sha256 {tokenizer.sha256}, the index has {vocab_size} and {sha256}; "
            "install the version the index was built with, or build the index again"
        )
    return tokenizer


def check_ids(ids: Ids, vocab_size: int) -> TokenArray:
    """`ids` as a contiguous, aligned array of shape (n,), each id checked to be in the vocabulary.

    Takes integers of any width and never wraps one; copies nothing that already is uint32, or
    uint8 where `vocab_size` is at most 256, and returns uint32 for everything else. O(n).

    Raises TokenOutOfRange for the first id that is negative or not below `vocab_size`,
    TokenError for anything that is not a flat sequence of integers.

    >>> check_ids([5, 7], 10)
    array([5, 7], dtype=uint32)
    """
    plain: TokenArray | None = native.plain_ids(ids, vocab_size)
    if plain is not None:
        return plain
    array = ids if isinstance(ids, np.ndarray) else _array_of(ids, vocab_size)
    if array.ndim != 1:
        raise TokenError(f"token ids must be flat, of shape (n,); got shape {array.shape}")
    if array.dtype.kind not in "iu":
        raise TokenError(f"token ids must be integers; got an array of {array.dtype}")
    if array.size and (int(array.max()) >= vocab_size or int(array.min()) < 0):
        place = int(np.argmax((array < 0) | (array >= vocab_size)))
        _refuse(int(array[place]), place, vocab_size)
    narrow = array.dtype == np.uint8 and vocab_size <= 256
    return np.require(array, np.uint8 if narrow else np.uint32, ["C", "A"])


def _array_of(ids: Sequence[int], vocab_size: int) -> NDArray[np.int64]:
    """A Python sequence as an array. numpy alone would let True pass for 1 and round 2**63."""
    if isinstance(ids, str | bytes):
        raise TokenError("got text where token ids are expected: encode it first")
    if not isinstance(ids, Sequence):
        raise TokenError(f"expected text or a flat sequence of token ids; got {type(ids).__name__}")
    for kind in set(map(type, ids)):
        if kind is bool or not issubclass(kind, int | np.integer):
            raise TokenError(f"token ids must be integers; got {kind.__name__}")
    try:
        return np.fromiter(map(index, ids), np.int64, len(ids))
    except OverflowError:
        for place, number in enumerate(ids):
            if not 0 <= number < vocab_size:
                _refuse(int(number), place, vocab_size)
        raise


def _refuse(token: int, place: int, vocab_size: int) -> NoReturn:
    raise TokenOutOfRange(
        f"token id {token} at place {place} is outside the vocabulary: expected 0 to "
        f"{vocab_size - 1}; was the text encoded with another tokenizer?"
    )


def _refuse_hole(name: str, token: int) -> NoReturn:
    raise TokenOutOfRange(f"token id {token} stands for nothing in the vocabulary of {name!r}")


def utf8(text: str | bytes) -> bytes:
    """`text` as UTF-8. Raises UndecodableText.

    >>> utf8("né")
    b'n\\xc3\\xa9'
    """
    return _decoded(text).encode()


def _decoded(text: str | bytes) -> str:
    """`text` as a str that is certain to have a UTF-8 form."""
    try:
        if isinstance(text, bytes):
            return text.decode("utf-8")
        text.encode("utf-8")
        return text
    except UnicodeError as error:
        raise _undecodable(error) from error


def _undecodable(error: UnicodeError) -> UndecodableText:
    if isinstance(error, UnicodeDecodeError):
        found = f"byte 0x{error.object[error.start]:02x} at byte offset {error.start}"
    elif isinstance(error, UnicodeEncodeError):
        found = f"lone surrogate {error.object[error.start]!r} at character {error.start}"
    else:
        found = str(error)
    return UndecodableText(
        f"not valid UTF-8: {found}; convert the text to UTF-8, or use the tokenizer 'bytes', "
        "which takes any bytes"
    )


def _digest(identity: str) -> str:
    return hashlib.sha256(identity.encode("utf-8")).hexdigest()


class _Bytes(Tokenizer):
    """A token is a byte."""

    name = "bytes"
    vocab_size = 256
    dtype = np.dtype(np.uint8)
    reads_text = False
    sha256 = _digest("bytes")

    def encode(self, text: str | bytes) -> TokenArray:
        if isinstance(text, str):
            try:
                # surrogateescape: an undecodable command-line argument keeps its bytes
                text = text.encode("utf-8", "surrogateescape")
            except UnicodeEncodeError as error:
                raise _undecodable(error) from error
        return np.frombuffer(text, np.uint8)

    def decode(self, ids: Ids) -> bytes:
        return check_ids(ids, self.vocab_size).astype(np.uint8, copy=False).tobytes()


class _Chars(Tokenizer):
    """A token is a Unicode code point."""

    name = "chars"
    vocab_size = 0x110000
    n_ids = vocab_size - 0x800  # surrogates are no characters
    dtype = np.dtype(np.uint32)
    reads_text = True
    sha256 = _digest("chars")

    def encode(self, text: str | bytes) -> TokenArray:
        try:
            decoded = text.decode("utf-8") if isinstance(text, bytes) else text
            utf32 = decoded.encode("utf-32-le")
        except UnicodeError as error:
            raise _undecodable(error) from error
        return np.frombuffer(utf32, "<u4").astype(np.uint32, copy=False)

    def decode(self, ids: Ids) -> bytes:
        utf32 = check_ids(ids, self.vocab_size).astype("<u4", copy=False).tobytes()
        try:
            return utf32.decode("utf-32-le").encode("utf-8")
        except UnicodeDecodeError as error:
            place = error.start // 4
            raise TokenOutOfRange(
                f"token id {int.from_bytes(utf32[error.start : error.start + 4], 'little')} at "
                f"place {place} is a surrogate, which is no character"
            ) from error


class _Tokenizers(Tokenizer):
    """A token is whatever a JSON file of the `tokenizers` library says."""

    name = "tokenizers"
    dtype = np.dtype(np.uint32)
    reads_text = True

    def __init__(self, file: bytes, vocab_size: int | None = None) -> None:
        """vocab_size: where it is known, the library is loaded when it is needed."""
        self.file: bytes = file
        self.sha256 = hashlib.sha256(file).hexdigest()
        self.vocab_size = len(self._is_token) if vocab_size is None else vocab_size

    @cached_property
    def _tokenizer(self) -> Any:
        try:
            import tokenizers
        except ImportError as error:
            raise _missing("tokenizers") from error
        try:
            # from_str, as from_buffer complains less clearly about what is not text
            tokenizer = tokenizers.Tokenizer.from_str(self.file.decode("utf-8"))
        except Exception as error:  # the library raises bare Exception
            raise TokenizerUnavailable(
                f"not a `tokenizers` JSON file: {error}; expected {_ACCEPTED}"
            ) from error
        # the file may ask for what suits a model's input and would cut or stretch a corpus
        tokenizer.no_truncation()
        tokenizer.no_padding()
        if getattr(tokenizer.model, "dropout", None):
            tokenizer.model.dropout = None  # for training: a text has other tokens each time
        return tokenizer

    @cached_property
    def _said(self) -> TokenizerFile:
        return read_tokenizer(self.file)

    @property
    def unknown_id(self) -> int | None:  # type: ignore[override]
        """Read from the file: that needs no library."""
        return self._said.unknown_id

    @cached_property
    def _is_token(self) -> NDArray[np.bool_]:
        """By id: there may be holes, so counting them is not enough."""
        ids = list(self._tokenizer.get_vocab(with_added_tokens=True).values())
        is_token = np.zeros(max(ids, default=-1) + 1, np.bool_)
        is_token[ids] = True
        return is_token

    @cached_property
    def _bytes(self) -> NDArray[np.int16]:
        """By id: the byte of a token like <0xE5> where the decoder makes bytes of them, else -1."""
        values = np.full(len(self._is_token), -1, np.int16)
        for byte in range(256) if self._said.decoder.falls_back else ():
            token_id = self._tokenizer.token_to_id(f"<0x{byte:02X}>")
            if token_id is not None:
                values[token_id] = byte
        return values

    def __reduce__(self) -> tuple[object, ...]:
        return _Tokenizers, (self.file, self.vocab_size)

    def encode(self, text: str | bytes) -> TokenArray:
        """As the library encodes all of it, a long text in pieces that have the same tokens."""
        if len(text) < LONG:
            return np.array(self._encoding(_decoded(text)).ids, np.uint32)
        try:
            return encode_long(self._tokenizer, text.encode() if isinstance(text, str) else text)
        except UnicodeError as error:
            raise _undecodable(error) from error
        except Exception as error:  # the library raises bare Exception
            raise _unencodable(error) from error

    def encode_ngram(self, text: str | bytes) -> TokenArray:
        ids = self.encode(text)
        if self.unknown_id is None or self.unknown_id not in ids:
            return ids
        unknown = np.flatnonzero(ids == self.unknown_id).tolist()
        decoded = _decoded(text)
        spelt = self._tokenizer.id_to_token(self.unknown_id)
        if spelt in decoded:
            offsets = self._encoding(decoded).offsets
            unknown = [i for i in unknown if decoded[slice(*offsets[i])] != spelt]
        ids[unknown] = ABSENT
        return ids

    def _encoding(self, text: str) -> Any:
        try:
            return self._tokenizer.encode(text, add_special_tokens=False)
        except Exception as error:  # the library raises bare Exception
            raise _unencodable(error) from error

    def decode(self, ids: Ids) -> bytes:
        """As the library decodes: a character that is cut in the middle becomes U+FFFD."""
        text: str = self._tokenizer.decode(self._checked(ids), skip_special_tokens=False)
        return text.encode("utf-8")

    def _checked(self, ids: Ids) -> list[int]:
        checked = check_ids(ids, self.vocab_size)
        known = self._is_token.take(checked, mode="clip") & (checked < len(self._is_token))
        if not known.all():
            _refuse_hole(self.name, int(checked[np.argmin(known)]))
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
            is_byte = self._bytes.take(np.asarray(token_ids), mode="clip") >= 0
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
        first = [t.encode() for t in decode([[i] for i in ids], skip_special_tokens=False)]
        bytes_of = self._bytes[np.asarray(ids, np.int64)].tolist()
        front = next((i for i, t, b in zip(ids, first, bytes_of, strict=True) if t and b < 0), None)
        if front is None:
            later = list(first)
        else:
            cut = len(self.decode([front]))
            pairs = decode([[front, i] for i in ids], skip_special_tokens=False)
            later = [pair.encode()[cut:] for pair in pairs]
        for i, byte in enumerate(bytes_of):
            if byte >= 0:  # alone, most are no UTF-8
                later[i] = bytes([byte])
                first[i] = later[i] if byte >= 0x80 else first[i]
        return later, first


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


class _Tiktoken(Tokenizer):
    """A token is whatever a tiktoken encoding says."""

    dtype = np.dtype(np.uint32)
    reads_text = True

    def __init__(self, name: str) -> None:
        try:
            import tiktoken
        except ImportError as error:
            raise _missing("tiktoken") from error
        encoding_name = name.removeprefix("tiktoken:")
        try:
            encoding = tiktoken.get_encoding(encoding_name)
        except Exception as error:  # unknown, no network, or whatever a plugin raises
            raise TokenizerUnavailable(
                f"tiktoken cannot load the encoding {encoding_name!r}: {error}; tiktoken fetches "
                "an encoding once and keeps it in the folder TIKTOKEN_CACHE_DIR names"
            ) from error
        self.name = name
        self.vocab_size = encoding.n_vocab
        self.sha256 = _tiktoken_digest(encoding)
        self._encoding = encoding

    def __reduce__(self) -> tuple[object, ...]:
        return _Tiktoken, (self.name,)

    def encode(self, text: str | bytes) -> TokenArray:
        decoded = _decoded(text)
        try:
            return self._encoding.encode_to_numpy(decoded, disallowed_special=())
        except ValueError as error:  # its regex gives up on very long runs of spaces
            raise TokenError(
                f"tiktoken cannot encode this text: {error}; cut it into smaller documents"
            ) from error

    def decode(self, ids: Ids) -> bytes:
        checked = check_ids(ids, self.vocab_size).tolist()
        try:
            return self._encoding.decode_bytes(checked)
        except KeyError:
            _refuse_hole(self.name, next(i for i in checked if not self._is_token(i)))

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


class _Ids(Tokenizer):
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
        self.sha256 = _digest(f"ids {vocab_size}")

    def encode(self, text: str | bytes) -> TokenArray:
        raise TokenizerUnavailable(
            "these are bare token ids, with no tokenizer that encodes text: give token ids"
        )

    def decode(self, ids: Ids) -> bytes:
        raise TokenizerUnavailable(
            "these are bare token ids, with no tokenizer that decodes them: read the ids instead"
        )


def _missing(module: str) -> MissingExtra:
    return MissingExtra(
        f"this tokenizer needs {module}, which is not installed: {how_to_install('tokenizers')}"
    )
