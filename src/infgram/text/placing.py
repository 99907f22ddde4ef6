"""Where tokens stand among the characters of a text, and where parts of it may begin or end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .characters import character_of_each
from .pieces import Behind
from .tokenizing.contract import as_str
from .tokens import Query, Tokenizer
from .words import words_in

Places = NDArray[np.int64]


@dataclass(frozen=True)
class PlacedText:
    """A text in tokens: token i is part of the characters [begins[i], ends[i]) of `text`.

    Tokens that share a character overlap; characters that became no token lie between two.

    >>> from infgram.text.tokens import load
    >>> placed = place(load("bytes"), "né")
    >>> placed.begins.tolist(), placed.ends.tolist(), placed.can_begin().tolist()
    ([0, 1, 1], [1, 2, 2], [True, True, False])
    """

    text: str
    token_ids: NDArray[Any]
    begins: Places
    ends: Places

    def can_begin(self) -> NDArray[np.bool_]:
        """Of each token, whether no character that it is part of began before it."""
        reached = np.maximum.accumulate(np.append(0, self.ends))[:-1]
        return self.begins >= reached

    def can_end(self) -> NDArray[np.bool_]:
        """Of each token, whether no character that it is part of goes on behind it."""
        later = np.minimum.accumulate(np.append(self.begins, len(self.text))[::-1])[::-1][1:]
        return self.ends <= later

    def has(self, characters: str) -> NDArray[np.bool_]:
        """Of each token, whether one of some characters is in it, or between it and the next."""
        found = np.array([character in characters for character in self.text], np.int64)
        before = np.concatenate([[0], np.cumsum(found)])
        stops = np.maximum(self.ends, np.append(self.begins[1:], len(self.text)))
        holds: NDArray[np.bool_] = before[stops] > before[self.begins]
        return holds

    def cuts_words(self) -> NDArray[np.bool_]:
        """Of each place between characters, from 0 to the text's end, whether it is in a word."""
        inside = np.zeros(len(self.text) + 1, np.bool_)
        for begin, end in words_in(self.text):
            inside[begin + 1 : end] = True
        return inside


def place(tokenizer: Tokenizer, query: Query) -> PlacedText:
    """A text, or token ids, of which the text is what they decode to; bare ids show as numbers.

    Of a text that the tokenizer changes, as one that makes small letters of all, the characters are
    those of the text itself; but if it skips some without leaving a token, it is the text that is
    left. Bytes that are not UTF-8 are a character each, U+FFFD.

    Raises what the tokenizer raises, and TokenOutOfRange.

    >>> from infgram.text.tokens import load
    >>> place(load("ids", vocab_size=99), [7, 12]).text
    '7 12'
    """
    is_text = isinstance(query, str | bytes)
    if is_text and tokenizer.name not in ("bytes", "chars"):
        text = as_str(query)  # type: ignore[arg-type]
        ids = tokenizer.encode_ngram(text)
        offsets = tokenizer.offsets(text)
        if offsets is None:
            return _decoded(tokenizer, ids)
        return PlacedText(text, ids, offsets[:, 0], offsets[:, 1])
    ids = tokenizer.encode(query) if is_text else tokenizer.check(query)  # type: ignore[arg-type]
    if tokenizer.name in ("bytes", "chars"):
        text, own = character_of_each(tokenizer.name, ids)
        return PlacedText(text, ids, own, own + 1)
    if tokenizer.name == "ids":
        numbers = list(map(str, ids.tolist()))
        sizes = np.array(list(map(len, numbers)), np.int64)
        begins = np.cumsum(sizes + 1) - sizes - 1
        return PlacedText(" ".join(numbers), ids, begins, begins + sizes)
    return _decoded(tokenizer, ids)


def _decoded(tokenizer: Tokenizer, ids: NDArray[Any]) -> PlacedText:
    """A character of several tokens comes with the last of them, and is of all of them."""
    pieces = list(Behind(tokenizer).by_token(ids))
    ends = np.cumsum([len(piece) for piece in pieces], dtype=np.int64)
    begins = np.append(0, ends)[:-1]
    waiting = ends == begins
    ends = np.where(waiting, np.minimum(ends + 1, len("".join(pieces))), ends)
    return PlacedText("".join(pieces), ids, begins, ends)
