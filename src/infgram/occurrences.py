"""Where n-grams stand, as people are told it: document, line and column, and the text around.

Many at once: what their places have in common is looked up once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .errors import CorruptIndex, InfgramError
from .results import Match
from .store.documents import ShardDocuments
from .store.lines import LineCounter
from .store.shards import Shard
from .text.characters import are_characters
from .text.pieces import Behind, around, shown, window
from .text.tokens import Tokenizer

_REACH = 64
_MAX_COLUMN = 1 << 16  # tokens of a line in which a match is placed
_LINES = "a\nb c\n\n d"  # comes back whole from a tokenizer that keeps lines


def draw(ranges: NDArray[np.int64], limit: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Up to `limit` rows of an n-gram without replacement, in the order of shards.

    `ranges`: its rows in each shard, of shape (n_shards, 2). Gives shard and row of each, of shape
    (n, 2), n < limit only if there are no more.

    >>> draw(np.array([[4, 6], [0, 0], [9, 10]]), 9, np.random.default_rng(0)).tolist()
    [[0, 4], [0, 5], [2, 9]]
    """
    sizes = ranges[:, 1] - ranges[:, 0]
    firsts = np.append(0, sizes.cumsum())
    total = int(firsts[-1])
    chosen = np.arange(min(limit, total))
    if len(chosen) < total:
        chosen = rng.choice(total, len(chosen), replace=False, shuffle=False)
        chosen.sort()
    shards = firsts.searchsorted(chosen, "right") - 1
    rows = np.empty((len(chosen), 2), np.int64)
    rows[:, 0], rows[:, 1] = shards, chosen - firsts[shards] + ranges[shards, 0]
    return rows


class Text(Protocol):
    """What is asked of the text: of the core's index, or of one that is read in place."""

    def tokens(self, s: int, begin: int, end: int, /) -> NDArray[np.uint32]:
        """The token ids at positions [begin, end) of a shard."""

    def line_ends(
        self,
        s: int,
        n_line_ends: NDArray[np.uint32],
        begins: NDArray[np.uint32],
        ends: NDArray[np.uint32],
        /,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Of stretches of a shard: line ends, and the last place of one, or -1."""


class Occurrences:
    """Of an index: its shards, the core's index of them, its tokenizer, and its token ids by code.

    `path` is the index's, for errors.
    """

    def __init__(
        self,
        path: Path,
        shards: Sequence[Shard],
        core: Text,
        tokenizer: Tokenizer,
        alphabet: NDArray[np.uint32],
    ) -> None:
        self._path = path
        self._shards = shards
        self._core = core
        self._tokenizer = tokenizer
        self._alphabet = alphabet

    def matches(
        self,
        s: int,
        positions: NDArray[np.int64],
        lengths: NDArray[np.int64],
        context: int,
    ) -> list[Match]:
        """Of n-grams of so many tokens at positions of shard `s`; `context`: tokens around.

        Raises CorruptIndex.
        """
        documents = self._shards[s].documents
        local = documents.at_all(positions)
        begins, ends = documents.bounds_of_all(local)
        if not ((begins <= positions) & (positions + lengths <= ends)).all():
            raise CorruptIndex(f"{self._path}: a match crosses documents; build the index again")
        told = {int(each): documents.provenance(int(each)) for each in np.unique(local)}
        first_lines = np.array([told[each][1] for each in local.tolist()], np.int64)
        lines, columns = self._places(s, local, positions, begins, ends, first_lines)
        numbers = self._shards[s].numbers(local)
        rows = (local, numbers, positions, lengths, begins, ends, lines, columns)
        found = []
        for document, number, position, n, begin, end, line, column in zip(
            *(each.tolist() for each in rows), strict=True
        ):
            source, _, metadata = told[document]
            texts = self._around(s, position, n, (begin, end), context)
            where = (number, position - begin, source, line, column)
            found.append(Match(*where, metadata, *texts))
        return found

    def _around(
        self, s: int, position: int, n: int, document: tuple[int, int], context: int
    ) -> tuple[str, str, str]:
        """What stands before n tokens, they themselves, and what stands behind."""
        begin, end = max(document[0], position - context), min(document[1], position + n + context)
        first, ids = self._window(s, begin, end, document)
        places = [place - first for place in (begin, position, position + n, end)]
        return around(self._tokenizer, ids, places)

    def _window(
        self, s: int, begin: int, end: int, document: tuple[int, int]
    ) -> tuple[int, NDArray[np.uint32]]:
        """Tokens of a shard from which the text of [begin, end) can be told; where they begin."""
        reach = _REACH
        while True:
            first, last = max(begin - reach, document[0]), min(end + reach, document[1])
            ids = self._core.tokens(s, first, last)
            whole = first == document[0], last == document[1]
            found = window(self._tokenizer, ids, (begin - first, end - first), whole)
            if found:
                return first + found[0], ids[found[0] : found[1]]
            reach *= 4

    # Lines ----------------------------------------------------------------------------------------

    def _places(
        self,
        s: int,
        local: NDArray[np.int64],
        positions: NDArray[np.int64],
        begins: NDArray[np.int64],
        ends: NDArray[np.int64],
        first: NDArray[np.int64],
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Line and column of tokens; first: lines where their documents begin, 0: whole files."""
        lines, columns = first.copy(), np.zeros(len(first), np.int64)
        if not self._line_counters:
            return lines, columns
        plain = np.flatnonzero(_plain(self._shards[s].documents, local))
        n_before, last = self._line_counters["\n"][s].between(begins[plain], positions[plain])
        end_of_line = np.full(len(plain), "\n")
        if "\r" in self._line_counters:  # a file without any: the first Macintosh ended so
            n_behind, _ = self._line_counters["\n"][s].between(positions[plain], ends[plain])
            other = (first[plain] == 0) & (n_before == 0) & (n_behind == 0)
            those = plain[other]
            n_before[other], last[other] = self._line_counters["\r"][s].between(
                begins[those], positions[those]
            )
            end_of_line[other] = "\r"
        lines[plain] = np.maximum(first[plain], 1) + n_before
        columns[plain] = [
            self._column(s, begin, at, line_end, mark)
            for begin, at, line_end, mark in zip(
                begins[plain].tolist(),
                positions[plain].tolist(),
                last.tolist(),
                end_of_line.tolist(),
                strict=True,
            )
        ]
        return lines, columns

    def _column(self, s: int, begin: int, position: int, last: int, line_end: str) -> int:
        """The column of a token, 0 if its line is long; `last`: the token that ends the last line.

        That one may hold what begins the next line, too.
        """
        start = max(begin, last, position - _MAX_COLUMN)
        if start == position - _MAX_COLUMN:
            return 0
        front = max(begin, start - _REACH)
        ids = self._core.tokens(s, front, position)
        if are_characters(self._tokenizer.name, ids):
            return position - max(begin, last + 1) + 1
        before = Behind(self._tokenizer, ids[: start - front])
        return len(before.text(ids[start - front :]).rpartition(line_end)[2]) + 1

    @cached_property
    def _line_counters(self) -> dict[str, list[LineCounter]]:
        """What counts the ends of lines in each shard: \\n, and \\r where there is one.

        Empty where the tokenizer does not keep lines.
        """
        tokenizer = self._tokenizer
        try:
            if shown(tokenizer, tokenizer.encode(_LINES)) != _LINES:
                return {}
        except InfgramError:
            return {}
        ids = self._alphabet[1:]
        if tokenizer.name in ("bytes", "chars"):
            found = {end: ids == ord(end) for end in "\n\r"}
        else:
            texts = [shown(tokenizer, [i]) for i in ids.tolist()]
            found = {end: np.array([text.count(end) for text in texts]) for end in "\n\r"}
        return {
            end: [
                LineCounter(partial(self._core.line_ends, s, table), shard.layout.n_rows)
                for s, shard in enumerate(self._shards)
            ]
            for end, counts in found.items()
            if end == "\n" or counts.any()
            for table in [np.append(0, counts).astype(np.uint32)]
        }


def _plain(documents: ShardDocuments, local: NDArray[np.int64]) -> list[bool]:
    """Whether lines of each document are lines of its source."""
    told = {int(each): documents.is_plain_text(int(each)) for each in np.unique(local)}
    return [told[each] for each in local.tolist()]
