"""Alone in knowing where a long text may be cut before the `tokenizers` library encodes it.

The library takes 300 bytes a token and one core for a text, however long. `encode_long` cuts the
text at blanks, and encodes the pieces side by side, a bounded number at once. It cuts only where
it has seen that the tokens stay the same: a stretch around the seam is encoded whole and in two
halves, and so are stretches that begin elsewhere, since what a tokenizer does at a place should
not depend on where the text began. Beyond that, it must be certain that the model never joins the
two sides: either what the library calls pre-tokenizer splits there, or the model is a BPE and no
token of its vocabulary has the two characters at the seam next to each other. A text without such
a place stays whole.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

LONG = 1 << 12
"""Bytes of a text from which on this is faster than one call."""

_PIECE = 1 << 17
_AT_ONCE = 2
_BATCH_PER_CORE = 1 << 19
_BLANK = re.compile(rb"(?<=[^\s])[ \n](?=[^\s])")
_REACHES = (61, 128, 203, 512)  # without common divisors: no period fits them all
_TRIES = 40
_FAILURES = 2000
# A piece ends so many bytes behind the blank's place, and the next one begins so many: the blank
# goes to the right, to the left, or to neither, where the tokenizer puts one before each piece.
_SIDES = ((0, 0), (1, 1), (0, 1))


def encode_long(tokenizer: Any, text: bytes) -> NDArray[np.uint32]:
    """The ids of UTF-8 text by a `tokenizers.Tokenizer`, shape (n,), the same as of one call.

    Raises UnicodeDecodeError, and what the library raises.

    >>> from tokenizers import Tokenizer, models, pre_tokenizers
    >>> tokenizer = Tokenizer(models.WordLevel({"to": 0, "be": 1}))
    >>> tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    >>> encode_long(tokenizer, b"to be " * 100_000).shape
    (200000,)
    """
    encode = getattr(tokenizer, "encode_batch_fast", tokenizer.encode_batch)
    parts = [np.zeros(0, np.uint32)]
    begun: deque[Future[list[Any]]] = deque()
    # Two batches at once, so that no core waits for the end of one, and a third in the making.
    with ThreadPoolExecutor(_AT_ONCE) as workers:
        for batch in _batches(_pieces(tokenizer, text)):
            begun.append(workers.submit(encode, batch, add_special_tokens=False))
            if len(begun) > _AT_ONCE:
                parts += _ids(begun.popleft())
        for each in begun:
            parts += _ids(each)
    return np.concatenate(parts)


def _ids(encoded: Future[list[Any]]) -> Iterator[NDArray[np.uint32]]:
    for each in encoded.result():
        yield np.array(each.ids, np.uint32)


def _batches(pieces: Iterator[str]) -> Iterator[list[str]]:
    room = _BATCH_PER_CORE * (os.cpu_count() or 1)
    batch: list[str] = []
    size = 0
    for piece in pieces:
        batch.append(piece)
        size += len(piece)
        if size >= room:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _pieces(tokenizer: Any, text: bytes) -> Iterator[str]:
    seams = _Seams(tokenizer, text)
    begin = 0
    while len(text) - begin > _PIECE + _PIECE // 2:
        seam = seams.behind(begin + _PIECE)
        if seam is None:
            break
        end, after = seam
        yield _decoded(text, begin, end)
        begin = after
    yield _decoded(text, begin, len(text))


def _decoded(text: bytes, begin: int, end: int) -> str:
    try:
        return text[begin:end].decode()
    except UnicodeDecodeError as error:
        place = begin + error.start
        raise UnicodeDecodeError("utf-8", text, place, begin + error.end, error.reason) from error


class _Seams:
    """Where a text may be cut."""

    def __init__(self, tokenizer: Any, text: bytes) -> None:
        self._tokenizer = tokenizer
        self._text = text
        self._sides = list(_SIDES)
        self._failures_left = _FAILURES

    def behind(self, begin: int) -> tuple[int, int] | None:
        """The first place found, as the end of a piece and the beginning of the next one."""
        while self._failures_left > 0 and begin < len(self._text):
            blank = None
            for blank in islice(_BLANK.finditer(self._text, begin), _TRIES):
                for side in self._sides:
                    end, after = blank.start() + side[0], blank.start() + side[1]
                    if all(self._holds(end, after, reach) for reach in _REACHES):
                        self._sides.sort(key=lambda other, side=side: other != side)  # type: ignore[misc]
                        return end, after
                    self._failures_left -= 1
            if blank is None:
                break
            begin = blank.end() + _PIECE
        return None

    def _holds(self, end: int, after: int, reach: int) -> bool:
        """Whether tokens stay the same, as far as so many bytes around a seam tell."""
        text = self._text
        begin, stop = max(end - reach, 0), min(after + reach, len(text))
        while begin < end and text[begin] & 0xC0 == 0x80:  # in the middle of a character
            begin += 1
        while stop < len(text) and text[stop] & 0xC0 == 0x80:
            stop += 1
        try:
            whole, left, right = (
                text[i:j].decode() for i, j in ((begin, stop), (begin, end), (after, stop))
            )
            before, behind, together = map(self._encoded, (left, right, whole))
        except (
            Exception
        ):  # no UTF-8, or words that have no token; the library raises bare Exception
            return False
        return (
            bool(before and behind)
            and together == before + behind
            and self._never_joins(whole, left, right)
        )

    def _encoded(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def _never_joins(self, whole: str, left: str, right: str) -> bool:
        before, behind = self._split(left), self._split(right)
        together = self._split(whole)
        if not (before and behind):
            return False
        if self._tokenizer.pre_tokenizer is not None and together == before + behind:
            return True
        if type(self._tokenizer.model).__name__ != "BPE":
            return False
        characters = "".join(before), "".join(behind)
        pair = characters[0][-1:] + characters[1][:1]
        return "".join(together) == "".join(characters) and pair not in self._neighbours

    def _split(self, text: str) -> list[str]:
        """What the model is given, one string after another."""
        if self._tokenizer.normalizer is not None:
            text = self._tokenizer.normalizer.normalize_str(text)
        if self._tokenizer.pre_tokenizer is None:
            return [text]
        return [part for part, _ in self._tokenizer.pre_tokenizer.pre_tokenize_str(text)]

    @cached_property
    def _neighbours(self) -> set[str]:
        """Characters that stand next to each other in some token."""
        vocabulary = self._tokenizer.get_vocab(with_added_tokens=True)
        return {token[i : i + 2] for token in vocabulary for i in range(len(token) - 1)}
