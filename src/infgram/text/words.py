"""What a word is: a maximal run of letters and apostrophes with a letter in it.

Letters are what Unicode calls so (`str.isalpha`). A byte that is not ASCII does not tell by itself
which character it is of: where tokens are bytes it counts as a letter.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

_APOSTROPHES = "'’"


def is_of_word(character: str) -> bool:
    """Whether words have it.

    >>> [is_of_word(c) for c in "é’-—2"]
    [True, True, False, False, False]
    """
    return character.isalpha() or character in _APOSTROPHES


def words_in(text: str) -> Iterator[tuple[int, int]]:
    """The words of a text, from left to right: [begin, end) of their characters.

    >>> ["it's—so"[begin:end] for begin, end in words_in("it's—so")]
    ["it's", 'so']
    """
    end = 0
    for of_word, run in groupby(text, is_of_word):
        begin, end = end, end + sum(1 for _ in run)
        if of_word and text[begin:end].strip(_APOSTROPHES):
            yield begin, end


def tokens_of_words(tokenizer: str, token_ids: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether words have each token, of a text of "bytes" or "chars".

    >>> tokens_of_words("bytes", np.array(list("né-x".encode()))).tolist()
    [True, True, True, False, True]
    """
    different, places = np.unique(token_ids, return_inverse=True)
    is_byte = tokenizer == "bytes"
    of_word = [is_of_word(chr(i)) or (is_byte and i >= 0x80) for i in different.tolist()]
    found: NDArray[np.bool_] = np.array(of_word, bool)[places]
    return found
