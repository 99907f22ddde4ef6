"""Characters of a text of bytes or of characters: which tokens are each one's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidParameter

REPLACEMENT = "\ufffd"


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
    n_bytes = [_n_bytes(character) for character in text]
    shown = "".join(REPLACEMENT if "\ud800" <= c <= "\udfff" else c for c in text)
    return shown, np.cumsum([0, *n_bytes])


def are_characters(tokenizer: str, token_ids: NDArray[np.integer[Any]]) -> bool:
    """Whether each of these tokens is certain to be a character, whatever stands around them.

    >>> are_characters("bytes", np.array([97])), are_characters("bytes", np.array([195, 169]))
    (True, False)
    """
    return tokenizer in ("bytes", "chars") and bool((token_ids < 0x80).all())


def _n_bytes(character: str) -> int:
    return len(character.encode("utf-8", "surrogateescape"))
