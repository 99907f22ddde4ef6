"""Tokens as they are shown: the text of token ids, whole, behind others, and piece by piece.

Many tokenizers carry the blank between two words in a token or between tokens, so what a token
adds to a text depends on those in front of it. Text is therefore decoded with some tokens in front,
and cut. Tokens of the kind "ids" are numbers, and are shown as that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .characters import are_characters
from .tokens import Ids, Tokenizer

IN_FRONT = 32
"""Tokens in front that are decoded, too."""

_MAX_TOKENS_OF_A_CHARACTER = 4
REACH = 16  # so many tokens before a piece say how it is written
_CUT = "\ufffd"


def shown(tokenizer: Tokenizer, token_ids: Ids) -> str:
    """Token ids as text; bytes that are not UTF-8 show as U+FFFD, bare ids as numbers.

    >>> from infgram.text.tokens import load
    >>> shown(load("bytes"), [110, 195, 169]), shown(load("ids", vocab_size=9), [3, 7])
    ('né', '3 7')
    """
    if tokenizer.name == "ids":
        return " ".join(str(int(token_id)) for token_id in token_ids)
    return tokenizer.decode(token_ids).decode(errors="replace")


def shown_alone(tokenizer: Tokenizer, token_id: int) -> str:
    """A single token, so that no other one looks like it, but for bytes that are not UTF-8.

    >>> from infgram.text.tokens import load
    >>> shown_alone(load("bytes"), 104)
    'h'
    """
    if tokenizer.name == "ids":
        return str(token_id)
    piece = tokenizer.piece(token_id)
    return piece.encode("utf-8", "surrogateescape").decode(errors="replace")


def blank_between(tokenizer: Tokenizer, text: str | bytes, token_ids: Ids) -> str:
    """ " " if a text ends with blanks that its tokens have lost, else "".

    Where words are tokens, "to " is one, and a blank comes in front of the next: one too many.

    >>> from infgram.text.tokens import load
    >>> blank_between(load("bytes"), "to ", [116, 111, 32])
    ''
    """
    if tokenizer.name == "ids" or isinstance(text, bytes):
        return ""
    blanks = text[len(text.rstrip()) :] if len(token_ids) else ""
    return "" if shown(tokenizer, token_ids[-IN_FRONT:]).endswith(blanks) else " "


class Behind:
    """What tokens add to the text of those `before` them, none at the beginning of a text.

    A character of several tokens belongs to the last of them, even if it began before. `skip` is
    left out where the text that is added begins with it.

    >>> from infgram.text.tokens import load
    >>> behind = Behind(load("bytes"), [110, 195])
    >>> behind.text([169, 33])
    'é!'
    >>> list(behind.in_pieces(iter([[169], [33]])))
    ['é', '!', '']
    """

    def __init__(self, tokenizer: Tokenizer, before: Ids = (), *, skip: str = "") -> None:
        self._tokenizer = tokenizer
        self._skip = skip
        tail = np.asarray(before, np.uint32)
        if tokenizer.name == "ids":
            tail = tail[:0]
        self._tail = _end_of(tokenizer, tail)

    def text(self, token_ids: Ids) -> str:
        """The text that tokens add, whatever will stand behind them."""
        whole = shown(self._tokenizer, np.concatenate([self._tail, _array(token_ids)]))
        before = shown(self._tokenizer, self._tail)
        added = whole[_n_common(before, whole) :]
        return added[_n_common(self._skip, added) :]

    def in_pieces(self, chunks: Iterable[Ids]) -> Iterator[str]:
        """A piece of `text` for each chunk as it comes, and what is left.

        What tokens behind a chunk may change waits for them: half a character, and rows of bytes
        that the tokenizer decodes together.
        """
        skip = self._skip
        for piece in self._in_pieces(chunks):
            n = _n_common(skip, piece)
            skip = skip[n:] if n == len(piece) else ""
            yield piece[n:]

    def _in_pieces(self, chunks: Iterable[Ids]) -> Iterator[str]:
        tail = self._tail
        before: str | None = shown(self._tokenizer, tail)  # until something was shown
        n_shown = 0
        for chunk in chunks:
            token_ids = np.concatenate([tail, _array(chunk)])
            text = shown(self._tokenizer, token_ids)
            if before is not None:
                n_shown = _n_common(before, text)
            settled = self._settled(token_ids, text)
            if settled <= n_shown:
                tail = token_ids
                yield ""
                continue
            yield text[n_shown:settled]
            before = None
            tail = _end_of(self._tokenizer, token_ids)
            kept = shown(self._tokenizer, tail) if len(tail) < len(token_ids) else text
            n_shown = len(kept) - (len(text) - settled)
        rest = shown(self._tokenizer, tail)
        yield rest[n_shown if before is None else _n_common(before, rest) :]

    def by_token(self, token_ids: Ids) -> Iterator[str]:
        """What each token adds. Joined, they are `text`."""
        last = len(token_ids) - 1
        pieces = self.in_pieces([token_id] for token_id in token_ids)
        for i in range(len(token_ids)):
            yield next(pieces) + (next(pieces) if i == last else "")

    def _settled(self, token_ids: NDArray[np.uint32], text: str) -> int:
        """Characters of a text that tokens behind it will not change."""
        if len(token_ids) and not self._tokenizer.can_begin([token_ids[-1], token_ids[-1]])[1]:
            row = _start(self._tokenizer, token_ids, len(token_ids) - 1)
            return len(shown(self._tokenizer, token_ids[:row]))
        return len(text) - _n_waiting(text)


def around(
    tokenizer: Tokenizer, token_ids: NDArray[Any], places: Sequence[int]
) -> tuple[str, str, str]:
    """Three parts of a text: tokens [p0, p1), [p1, p2) and [p2, p3) for `places` p0 to p3.

    Joined, they are the text of [p0, p3). The middle has every character that one of its tokens is
    part of. Tokens outside are looked at only to tell what those inside are; some should be given.

    >>> from infgram.text.tokens import load
    >>> around(load("bytes"), np.array(list("né!".encode())), [0, 1, 2, 4])
    ('n', 'é', '!')
    """
    if tokenizer.name == "ids":
        before, inside, after = (
            shown(tokenizer, token_ids[begin:end]) for begin, end in pairwise(places)
        )
        return before, inside, after
    text = shown(tokenizer, token_ids)
    if are_characters(tokenizer.name, token_ids):
        before, inside, after = (text[begin:end] for begin, end in pairwise(places))
        return before, inside, after

    def reached(place: int) -> tuple[int, bool]:
        """Characters whose tokens all stand in front of a place; whether there are no others."""
        front = shown(tokenizer, token_ids[:place])
        n = _n_common(front, text)
        return n, n == len(front)

    begin, middle, _, end = (reached(place)[0] for place in places)
    behind = middle
    for place in range(places[2], len(token_ids) + 1):
        behind, whole = reached(place)
        if whole:
            break
    begin, end = min(begin, middle), max(end, behind)
    return text[begin:middle], text[middle:behind], text[behind:end]


def window(
    tokenizer: Tokenizer, token_ids: NDArray[Any], places: tuple[int, int], whole: tuple[bool, bool]
) -> tuple[int, int] | None:
    """The tokens that tell what those between two places are; None if `token_ids` has too few.

    whole: whether the text begins with the first of `token_ids`, and ends with the last.
    """
    can = tokenizer.can_begin(token_ids)
    can[0] = whole[0]
    fronts = np.flatnonzero(can[: max(places[0] - IN_FRONT, 0) + 1])
    least = places[1] + _MAX_TOKENS_OF_A_CHARACTER
    ends = least + np.flatnonzero(can[least:])
    if not (len(fronts) or whole[0]) or not (len(ends) or whole[1]):
        return None
    return int(fronts[-1]) if len(fronts) else 0, int(ends[0]) if len(ends) else len(token_ids)


def _array(token_ids: Ids) -> NDArray[np.uint32]:
    return np.asarray(token_ids, np.uint32)


def _end_of(tokenizer: Tokenizer, token_ids: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The last tokens, from one where decoding may begin."""
    return token_ids[_start(tokenizer, token_ids, max(len(token_ids) - IN_FRONT, 0)) :]


def _start(tokenizer: Tokenizer, token_ids: NDArray[np.uint32], place: int) -> int:
    """The last place up to `place` where decoding may begin."""
    if not place:
        return 0
    return int(np.flatnonzero(tokenizer.can_begin(token_ids[: place + 1]))[-1])


def _n_waiting(text: str) -> int:
    """Characters at the end that may be parts of one."""
    return min(len(text) - len(text.rstrip(_CUT)), _MAX_TOKENS_OF_A_CHARACTER)


def _n_common(one: str, other: str) -> int:
    if other.startswith(one):
        return len(one)
    places = range(min(len(one), len(other)))
    return next((i for i in places if one[i] != other[i]), len(places))
