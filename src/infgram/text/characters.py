"""Characters of a text of bytes or of characters: which tokens are each one's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidParameter

REPLACEMENT = "\ufffd"
_ESCAPED = re.compile("[\ud800-\udfff]")


def check_tokenizer(name: str) -> None:
    """Raises InvalidParameter for a tokenizer whose tokens are no characters, nor parts of them."""
    if name not in ("bytes", "chars"):
        raise InvalidParameter(
            f"the tokenizer is {name!r}, expected bytes or characters: words are edited where "
            "tokens are letters (--tokenizer bytes or chars)"
        )


def characters(
    tokenizer: str, token_ids: NDArray[np.integer[Any]] | Sequence[int]
) -> tuple[str, NDArray[np.int64]]:
    """The characters of a text of "bytes" or "chars", and where each begins.

    Character i has the tokens [bounds[i], bounds[i + 1]). A byte that is not UTF-8 is a character
    of its own, U+FFFD. Raises InvalidParameter for another tokenizer.

    >>> characters("bytes", list("né\\n".encode()))
    ('né\\n', array([0, 1, 3, 4]))
    """
    check_tokenizer(tokenizer)
    ids = np.asarray(token_ids).tolist()
    if tokenizer == "chars":
        return "".join(map(chr, ids)), np.arange(len(ids) + 1)
    text = bytes(ids).decode("utf-8", "surrogateescape")
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
    is_byte = (points >= 0xD800) & (points < 0xE000)
    n_bytes = 1 + (points >= 0x80) + (points >= 0x800) + (points >= 0x10000)
    if is_byte.any():
        text = _ESCAPED.sub(REPLACEMENT, text)
    return text, np.cumsum(np.append(0, np.where(is_byte, 1, n_bytes)))


def character_of_each(
    tokenizer: str, token_ids: NDArray[np.integer[Any]] | Sequence[int]
) -> tuple[str, NDArray[np.int64]]:
    """The same text, and the character that each token is part of, by its number.

    >>> character_of_each("bytes", list("né\\n".encode()))
    ('né\\n', array([0, 1, 1, 2]))
    """
    text, bounds = characters(tokenizer, token_ids)
    return text, np.repeat(np.arange(len(text)), np.diff(bounds))


def are_characters(tokenizer: str, token_ids: NDArray[np.integer[Any]]) -> bool:
    """Whether each of these tokens is certain to be a character, whatever stands around them.

    >>> are_characters("bytes", np.array([97])), are_characters("bytes", np.array([195, 169]))
    (True, False)
    """
    return tokenizer in ("bytes", "chars") and bool((token_ids < 0x80).all())
