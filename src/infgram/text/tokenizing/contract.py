"""What every tokenizer can do, and what their errors say."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError, MissingExtra, TokenError, UndecodableText
from ...extras import how_to_install
from ..characters import character_of_each
from .ids import Ids, TokenArray, check_ids
from .side_by_side import Encoded

TokenTexts = tuple[list[bytes], list[bytes]]
"""What tokens add to a text behind others, and what they are at its beginning."""

ACCEPTED = (
    "'bytes', 'chars', 'ids', 'tiktoken:NAME', or the path of a `tokenizers` JSON file or of the "
    "model folder that has one"
)


class Tokenizer(Protocol):
    """Turns text into token ids and back; get one from `infgram.text.tokens.load`.

    >>> from infgram.text.tokens import load
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

        >>> import infgram
        >>> infgram.text.tokens.load("chars").n_ids  # no surrogates
        1112064
        """
        return self.vocab_size

    def encode(self, text: str | bytes) -> TokenArray:
        """The ids of `text`, shape (n,), of `dtype`, possibly read-only; no special token is added.

        Raises UndecodableText if `text` is not valid Unicode and the tokenizer needs it to be.
        """
        ...

    def check(self, ids: Ids, *, ends: bool = False) -> TokenArray:
        """Token ids as `check_ids` gives them, each one that text can have as far as is known.

        `ends`: the end of a document, the first number above the vocabulary, may be among them.
        Raises TokenOutOfRange, TokenError.
        """
        return check_ids(ids, self.vocab_size + ends)

    def encode_all(self, contents: Iterable[str | bytes | NDArray[Any]]) -> Iterator[Encoded]:
        """The ids of each of many texts, in their order, an error in place of what has none.

        Token ids among the texts are checked and passed on. Reads ahead where texts are encoded
        side by side, but never more than some megabytes of text.
        """
        for content in contents:
            yield self._encoded(content)

    def _encoded(self, content: str | bytes | NDArray[Any]) -> Encoded:
        try:
            if isinstance(content, np.ndarray):
                checked = self.check(content)
                return checked.astype(self.dtype, copy=False)
            return self.encode(content)
        except (InputError, TokenError) as error:
            return error

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

    def offsets(self, text: str) -> NDArray[np.int64] | None:
        """The characters [begin, end) of a text that each of its tokens is part of, shape (n, 2).

        None where nobody can tell.
        The tokens are those of `encode`. Tokens that share a character overlap; characters that no
        token has lie between two.
        """
        ids = self.encode(text)
        sizes = np.array([len(self.decode([token_id])) for token_id in ids.tolist()], np.int64)
        _, characters = character_of_each("bytes", np.frombuffer(utf8(text), np.uint8))
        ends = np.cumsum(sizes)
        return np.stack([characters[ends - sizes], characters[ends - 1] + 1], axis=1)

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


def utf8(text: str | bytes) -> bytes:
    """`text` as UTF-8. Raises UndecodableText.

    >>> utf8("né")
    b'n\\xc3\\xa9'
    """
    return as_str(text).encode()


def as_str(text: str | bytes) -> str:
    """`text` as a str that is certain to have a UTF-8 form."""
    try:
        if isinstance(text, bytes):
            return text.decode("utf-8")
        text.encode("utf-8")
        return text
    except UnicodeError as error:
        raise undecodable(error) from error


def undecodable(error: UnicodeError) -> UndecodableText:
    """What to raise for text that is not valid Unicode."""
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


def digest(identity: str) -> str:
    """The sha256 of a tokenizer that this text describes."""
    return hashlib.sha256(identity.encode("utf-8")).hexdigest()


def missing(module: str) -> MissingExtra:
    """What to raise where a tokenizer's library is not installed."""
    return MissingExtra(
        f"this tokenizer needs {module}, which is not installed: {how_to_install('tokenizers')}"
    )
