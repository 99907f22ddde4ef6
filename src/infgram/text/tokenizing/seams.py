"""Alone in knowing where a long text may be cut before the `tokenizers` library encodes it.

The library takes 300 bytes a token and one core for a text, however long. `Seams.pieces` cuts the
text at blanks, so that the pieces can be encoded side by side. It cuts only where it has seen that
the tokens stay the same: a stretch around the seam is encoded whole and in two halves, and so are
stretches that begin elsewhere, since what a tokenizer does at a place should not depend on where
the text began. Beyond that, it must be certain that the model never joins the two sides: either
what the library calls pre-tokenizer splits there, or the model is a BPE and no token of its
vocabulary has the two characters at the seam next to each other. A text without such a place stays
whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from typing import Any

_PIECE = 1 << 17
_BLANK = re.compile(rb"(?<=[^\s])[ \n](?=[^\s])")
_REACHES = (61, 128, 203, 512)  # without common divisors: no period fits them all
_TRIES = 40
_FAILURES = 2000
# A piece ends so many bytes behind the blank's place, and the next one begins so many: the blank
# goes to the right, to the left, or to neither, where the tokenizer puts one before each piece.
_SIDES = ((0, 0), (1, 1), (0, 1))


class Seams:
    """Where texts may be cut for one `tokenizers.Tokenizer`.

    What it learns of the tokenizer holds for all texts: which side a blank goes to, and after
    many failures on end that no text is worth a try.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._sides = list(_SIDES)
        self._failures_left = _FAILURES

    def pieces(self, text: bytes) -> Iterator[str]:
        """UTF-8 text in pieces whose tokens, one piece after another, are those of the whole.

        Raises UnicodeDecodeError.

        >>> from tokenizers import Tokenizer, models, pre_tokenizers
        >>> tokenizer = Tokenizer(models.WordLevel({"?": 0, "to": 1, "be": 2}, "?"))
        >>> tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        >>> len(list(Seams(tokenizer).pieces(b"to be " * 100_000)))
        5
        """
        begin = 0
        while len(text) - begin > _PIECE + _PIECE // 2:
            seam = self._behind(text, begin + _PIECE)
            if seam is None:
                break
            end, after = seam
            yield _decoded(text, begin, end)
            begin = after
        yield _decoded(text, begin, len(text))

    def _behind(self, text: bytes, begin: int) -> tuple[int, int] | None:
        """The first place found, as the end of a piece and the beginning of the next one."""
        while self._failures_left > 0 and begin < len(text):
            blank = None
            for blank in islice(_BLANK.finditer(text, begin), _TRIES):
                for side in self._sides:
                    end, after = blank.start() + side[0], blank.start() + side[1]
                    if all(self._holds(text, end, after, reach) for reach in _REACHES):
                        self._failures_left = _FAILURES
                        if side != self._sides[0]:  # a new list: other threads may read the old one
                            self._sides = [side, *(s for s in self._sides if s != side)]
                        return end, after
                    self._failures_left -= 1
            if blank is None:
                break
            begin = blank.end() + _PIECE
        return None

    def _holds(self, text: bytes, end: int, after: int, reach: int) -> bool:
        """Whether tokens stay the same, as far as so many bytes around a seam tell."""
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
        except Exception:  # no UTF-8, or words without a token: the library raises bare Exception
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


def _decoded(text: bytes, begin: int, end: int) -> str:
    try:
        return text[begin:end].decode()
    except UnicodeDecodeError as error:
        place = begin + error.start
        raise UnicodeDecodeError("utf-8", text, place, begin + error.end, error.reason) from error
