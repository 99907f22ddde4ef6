"""Words of a text of bytes or characters, what of it the corpus can judge, and what may be edited.

The corpus cannot judge a character that it does not have, nor a word that such a character stands
in or next to. Both are left as they are.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidParameter
from ..index import Index
from ..text.characters import REPLACEMENT, characters, check_tokenizer
from ..text.words import is_of_word, words_in
from ..tracing.variants import next_characters

NO, YES, PROMPT = 0, 1, 2
"""What may become of a token: nothing, anything, nothing and it is not counted as copied."""


def known_characters(index: Index) -> frozenset[str]:
    """All that the corpus has; looked up once while the index is open.

    Raises InvalidParameter for tokens that are no characters, nor bytes of them.

    >>> import infgram
    >>> sorted(known_characters(infgram.build(["né à"])))
    [' ', 'n', 'à', 'é']
    """
    check_tokenizer(index.tokenizer.name)
    known = _KNOWN.get(index)
    if known is None:
        known = _KNOWN[index] = frozenset(c for c, _ in next_characters(index, ""))
    return known


_KNOWN: weakref.WeakKeyDictionary[Index, frozenset[str]] = weakref.WeakKeyDictionary()


def letters(index: Index) -> tuple[NDArray[np.uint8], NDArray[np.uint64], NDArray[np.uint64]]:
    """What the core is told of an index's characters.

    For each of `Index.alphabet` how many tokens the character has that begins with it, 0 if none
    does; then the letters, and then what else words are made of. Each is its codes as one number,
    the first one highest, 16 bits for each that follows.

    Raises InvalidParameter.
    """
    known = known_characters(index)
    ids = index.alphabet[1:]
    n_of_character = np.ones(len(ids) + 1, np.uint8)
    if index.tokenizer.name == "bytes":
        n_of_character[1:] = [_n_bytes(i) for i in ids.tolist()]
    n_of_character[0] = 0
    of_words = sorted(filter(is_of_word, known))
    return (
        n_of_character,
        _packed(index, filter(str.isalpha, of_words)),
        _packed(index, (c for c in of_words if not c.isalpha())),
    )


def marks_of(index: Index) -> NDArray[np.uint32]:
    """Token ids of the characters of one token that the corpus has and words do not, rising.

    >>> import infgram
    >>> marks_of(infgram.build(["to be, or"])).tolist()
    [32, 44]
    """
    of_marks = [index.ids(c) for c in known_characters(index) if not is_of_word(c)]
    return np.array(sorted(int(ids[0]) for ids in of_marks if len(ids) == 1), np.uint32)


def _packed(index: Index, some: Iterable[str]) -> NDArray[np.uint64]:
    numbers = []
    for character in some:
        number = 0
        for code in np.searchsorted(index.alphabet[1:], index.ids(character)).tolist():
            number = number << 16 | code + 1
        numbers.append(number)
    return np.array(numbers, np.uint64)


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
    text, bounds = characters(index.tokenizer.name, token_ids)
    return bounds[np.array(list(words_in(text)), np.int64).reshape(-1, 2)]


def unjudged(index: Index, token_ids: NDArray[Any]) -> NDArray[np.bool_]:
    """For each token of a text whether the corpus cannot judge it: shape (n,).

    >>> import infgram
    >>> index = infgram.build(["to be or not to be"])
    >>> unjudged(index, index.ids("to xo 1 not")).tolist()
    [False, False, False, True, True, False, True, False, False, False, False]
    """
    text, bounds = characters(index.tokenizer.name, token_ids)
    return np.repeat(_unjudged(index, text, bounds), np.diff(bounds))


def n_unjudged(index: Index, token_ids: NDArray[Any], *, n_prompt: int = 0) -> int:
    """Characters behind the first tokens that the corpus cannot judge."""
    text, bounds = characters(index.tokenizer.name, token_ids)
    return int(np.count_nonzero(_unjudged(index, text, bounds)[bounds[:-1] >= n_prompt]))


def _unjudged(index: Index, text: str, bounds: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Of each character."""
    known = known_characters(index)
    is_unknown = np.array([c not in known for c in text], bool)
    if index.tokenizer.name == "bytes":  # bytes that are no text
        is_unknown |= np.array([c == REPLACEMENT for c in text], bool) & (np.diff(bounds) == 1)
    found = is_unknown.copy()
    for begin, end in words_in(text):
        if is_unknown[max(begin - 1, 0) : end + 1].any():
            found[begin:end] = True
    return found


def editable(
    index: Index, token_ids: NDArray[Any], *, n_prompt: int = 0, protect: str | Sequence[str] = ()
) -> NDArray[np.uint8]:
    """For each token of a text whether it may be edited: `YES`, `NO` or `PROMPT`.

    What the corpus cannot judge may not (`unjudged`).

    - `n_prompt`: so many tokens at the beginning may not.
    - `protect`: regular expressions; what they match may not. `^` and `$` stand for the beginning
      and end of any line; matches may begin in the prompt.

    Raises InvalidParameter for a pattern that is none.

    >>> import infgram
    >>> index = infgram.build(["to be or not to be"])
    >>> editable(index, index.ids("or to be"), n_prompt=3, protect="be").tolist()
    [2, 2, 2, 1, 1, 1, 0, 0]
    """
    may = np.where(unjudged(index, token_ids), NO, YES).astype(np.uint8)
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


def words_to_edit(
    index: Index, token_ids: NDArray[Any], may: NDArray[np.uint8]
) -> NDArray[np.int64]:
    """Of `spans` those all of whose tokens may be edited.

    Without a word that the text ends with: it may be the beginning of a longer one.
    """
    found = spans(index, token_ids)
    n_kept = np.concatenate([[0], np.cumsum(may != YES)])
    begins, ends = found.T
    return found[(n_kept[begins] == n_kept[ends]) & (ends < len(token_ids))]
