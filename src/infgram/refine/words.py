"""Words of a text of bytes or characters, and which of them may be edited."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidParameter
from ..index import Index
from ..text.characters import check_tokenizer
from ..text.words import tokens_of_words

NO, YES, PROMPT = 0, 1, 2
"""What may become of a token: nothing, anything, nothing and it is not counted as copied."""


def letters(index: Index) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """For each of `Index.alphabet`: is it of a word, and how many tokens has its character?

    A byte that no character begins with has a character of 0 tokens.

    Raises InvalidParameter.
    """
    check_tokenizer(index.tokenizer.name)
    ids = index.alphabet[1:]
    n_of_character = np.ones(len(ids), np.uint8)
    if index.tokenizer.name == "bytes":
        n_of_character = np.array([_n_bytes(i) for i in ids.tolist()], np.uint8)
    of_word = tokens_of_words(index.tokenizer.name, ids).astype(np.uint8)
    return np.append(np.uint8(0), of_word), np.append(np.uint8(0), n_of_character)


def _n_bytes(first: int) -> int:
    """Bytes of the UTF-8 character that begins with this one, or 0."""
    return 1 if first < 0x80 else 0 if first < 0xC0 else 2 if first < 0xE0 else 3 + (first >= 0xF0)


def spans(index: Index, token_ids: NDArray[Any]) -> NDArray[np.int64]:
    """The words of a text, from left to right: [begin, end) of their tokens, of shape (n, 2).

    >>> import infgram
    >>> index = infgram.build(["to be or not to be"])
    >>> spans(index, index.ids("to be, or")).tolist()
    [[0, 2], [3, 5], [7, 9]]
    """
    check_tokenizer(index.tokenizer.name)
    inside = np.concatenate([[False], tokens_of_words(index.tokenizer.name, token_ids), [False]])
    return np.flatnonzero(inside[1:] != inside[:-1]).reshape(-1, 2)


def editable(
    index: Index, token_ids: NDArray[Any], *, n_prompt: int = 0, protect: str | Sequence[str] = ()
) -> NDArray[np.uint8]:
    """For each token of a text whether it may be edited: `YES`, `NO` or `PROMPT`.

    What the corpus does not have may be edited where it is of a word.

    - `n_prompt`: so many tokens at the beginning may not.
    - `protect`: regular expressions; what they match may not. `^` and `$` stand for the beginning
      and end of any line; matches may begin in the prompt.

    Raises InvalidParameter for a pattern that is none.

    >>> import infgram
    >>> index = infgram.build(["to be or not to be"])
    >>> editable(index, index.ids("or to be"), n_prompt=3, protect="be").tolist()
    [2, 2, 2, 1, 1, 1, 0, 0]
    """
    known = np.isin(token_ids, index.alphabet)
    may = np.where(known | tokens_of_words(index.tokenizer.name, token_ids), YES, NO).astype(
        np.uint8
    )
    in_bytes = index.tokenizer.name == "bytes"
    text = index.tokenizer.decode(token_ids)
    for pattern in [protect] if isinstance(protect, str) else protect:
        try:
            if in_bytes:
                matches = re.finditer(
                    pattern.encode("utf-8", "surrogateescape"), text, re.MULTILINE
                )
                at = [match.span() for match in matches]
            else:
                at = [m.span() for m in re.finditer(pattern, text.decode(), re.MULTILINE)]
        except re.error as error:
            raise InvalidParameter(
                f"protect is {pattern!r}, which is no regular expression: {error}"
            ) from error
        for begin, end in at:
            may[begin:end] = NO
    may[:n_prompt] = PROMPT
    return may
