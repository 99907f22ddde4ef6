"""Texts while they are refined: what stands in them, and what of it may be edited."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..index import Index
from .edits import Edit
from .words import PROMPT, YES, editable, marks_of, words_to_edit

Word = tuple[int, int]  # [begin, end)
HALO = 10  # tokens on both sides of an edit that it is judged by


@dataclass
class Text:
    """A text behind its prompt; changes in place.

    - `token_ids`: uint32, shape (n,), those of the prompt among them.
    - `may`: for each of them whether it may be edited, as `words.editable` tells.
    - `words`: those that may be edited, from left to right. They stay where they are, since an
      edit keeps their lengths.
    """

    token_ids: NDArray[np.uint32]
    may: NDArray[np.uint8]
    words: Sequence[Word]

    @classmethod
    def of(
        cls,
        index: Index,
        prompt: NDArray[np.uint32],
        draft: NDArray[np.uint32],
        protect: str | Sequence[str],
        longest: int,
    ) -> Text:
        """A draft that was not edited yet, with its words of at most so many tokens.

        Raises InvalidParameter for a pattern that is none.
        """
        token_ids = np.concatenate([prompt, draft])
        may = editable(index, token_ids, n_prompt=len(prompt), protect=protect)
        words = [
            (begin, end)
            for begin, end in words_to_edit(index, token_ids, may).tolist()
            if end - begin <= longest
        ]
        return cls(token_ids, may, words)

    @property
    def n_prompt(self) -> int:
        return int(np.count_nonzero(self.may == PROMPT))

    def marks(self, index: Index) -> list[Word]:
        """Its marks that may be edited, a token each."""
        is_mark = np.isin(self.token_ids, marks_of(index)) & (self.may == YES)
        return [(i, i + 1) for i in np.flatnonzero(is_mark).tolist()]

    def apply(self, edits: Iterable[Edit]) -> None:
        """Makes edits whose places are counted from the beginning of the prompt."""
        for edit in edits:
            self.token_ids[edit.start : edit.end] = edit.new


def far_apart(words: Iterable[Word], distance: int, n: int) -> list[Word]:
    """The first n of the words that are so many tokens from each other; from left to right."""
    chosen: list[Word] = []
    for begin, end in words:
        if len(chosen) == n:
            break
        if all(begin >= e + distance or end + distance <= b for b, e in chosen):
            chosen.append((begin, end))
    return sorted(chosen)
