"""What a mixture remembers of the text before a token. The readable twin of the core's text.hpp."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

N_CLASSES = 64
"""Classes of words that are seen often."""

NO_CLASS = 255
"""Before the first word."""

_WORD_START, _MARK_START = 1, 2
_MASK = 2**64 - 1
_NEWLINE, _SPACE = 10, 32


def combine(hashed: int, value: int) -> int:
    """A hash of 64 bits and one value more.

    >>> combine(combine(1, 0), 2) != combine(combine(2, 0), 1)
    True
    """
    hashed = ((hashed ^ value) * 0x9E3779B97F4A7C15) & _MASK
    return hashed ^ (hashed >> 29)


def is_upper(symbol: int) -> bool:
    """Whether a symbol is one of A to Z."""
    return 65 <= symbol <= 90


def lower(symbol: int) -> int:
    """A to Z as a to z."""
    return symbol + 32 if is_upper(symbol) else symbol


def is_letter(symbol: int) -> bool:
    """Whether words are made of it: letters of ASCII, digits, ' and _, all of other scripts."""
    return symbol >= 128 or 97 <= lower(symbol) <= 122 or symbol in b"0123456789'_"


def kind_of(symbol: int) -> int:
    """What kind of symbol it is, 1 to 10."""
    kinds = (b"\n", b" ", b"aeiou", b"bcdfghjklmnpqrstvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    for kind, symbols in enumerate((*kinds, b"", b"0123456789", b".!?", b",;:"), 1):
        if symbol < 128 and symbol in symbols:
            return kind
    return 6 if symbol >= 128 else 10


def mark_of(symbol: int) -> int:
    """Which punctuation mark it is, 1 to 7."""
    for mark, symbols in enumerate((b".", b",", b":", b";", b"!?", b"-"), 1):
        if symbol < 128 and symbol in symbols:
            return mark
    return 7


@dataclass
class Text:
    """The text before a token; a document's start, or a token nobody knows, makes a new one.

    - `word_classes`: classes of words and of single marks, by their hashes.
    - `last`: the last 24 symbols, the last one first; 0 before the beginning.
    - `word`, `length`: a hash of the letters since the last other symbol, and how many; 0 if none.
    - `words`, `lengths`: the same of the two words before, the last one first.
    - `letters`, `ending`: the last two letters of the word, and of the word before.
    - `column`: symbols since the beginning of the line.
    - `opening`, `n_opening`, `opener`: a hash of its first 4 symbols, but for blanks before them;
      how many they are; the first of them, 0 if none.
    - `capitals`, `capitals_before`: of the word and of the word before: 0 none, 1 the first letter,
      2 the second, too.
    - `mark`, `n_words`: the last punctuation mark, 0 after an empty line; finished words since it.
    - `kinds`: of the last 16 symbols, four bits each.
    - `classes`: of the last three words and marks, the last one first.
    """

    word_classes: Mapping[int, int] = field(default_factory=dict)
    last: tuple[int, ...] = (0,) * 24
    word: int = 0
    length: int = 0
    words: tuple[int, int] = (0, 0)
    lengths: tuple[int, int] = (0, 0)
    letters: int = 0
    ending: int = 0
    column: int = 0
    opening: int = 0
    n_opening: int = 0
    opener: int = 0
    capitals: int = 0
    capitals_before: int = 0
    mark: int = 0
    n_words: int = 0
    kinds: int = 0
    classes: tuple[int, int, int] = (NO_CLASS,) * 3

    def read(self, symbols: Iterable[int]) -> Text:
        """Reads symbols, in place, and returns itself.

        >>> text = Text().read(b"To be, or")
        >>> text.length, text.lengths, text.n_words, text.mark, text.column
        (2, (2, 2), 0, 2, 9)
        """
        for symbol in symbols:
            if is_letter(symbol):
                self._read_letter(symbol)
            else:
                self._read_other(symbol)
            self._read_in_line(symbol)
            self.kinds = (self.kinds << 4 | kind_of(symbol)) & _MASK
            self.last = (symbol, *self.last[:-1])
        return self

    @property
    def shape(self) -> int:
        """Capitals of the word, or between words those of the word before."""
        return self.capitals if self.length else 3 + self.capitals_before

    @property
    def prefix(self) -> int:
        """A hash of the word so far and its shape; between words, of what stands before."""
        return combine(self.word, (0 if self.length else self.last[0]) * 8 + self.shape)

    def _read_in_line(self, symbol: int) -> None:
        if symbol == _NEWLINE:
            self.column = self.opening = self.n_opening = self.opener = 0
            return
        self.column += 1
        if self.n_opening == 4 or (self.n_opening == 0 and symbol == _SPACE):
            return
        if self.n_opening == 0:
            self.opener = symbol
        self.n_opening += 1
        self.opening = combine(self.opening, symbol)

    def _read_letter(self, symbol: int) -> None:
        if self.length == 0:
            self.word, self.letters, self.capitals = _WORD_START, 0, int(is_upper(symbol))
        elif self.length == 1 and is_upper(symbol) and self.capitals == 1:
            self.capitals = 2
        self.word = combine(self.word, lower(symbol))
        self.letters = (self.letters << 8 | (lower(symbol) & 255)) & 0xFFFF
        self.length += 1

    def _read_other(self, symbol: int) -> None:
        if self.length:
            self.words = (self.word, self.words[0])
            self.lengths = (self.length, self.lengths[0])
            self.ending, self.capitals_before = self.letters, self.capitals
            self._push(self.word, self.last[0])
            self.n_words += 1
            self.word = self.length = 0
        if symbol not in (_NEWLINE, _SPACE):
            self.mark, self.n_words = mark_of(symbol), 0
        elif symbol == _NEWLINE and self.last[0] == _NEWLINE:
            self.mark = 0
        if symbol != _SPACE:
            self._push(combine(_MARK_START, symbol), symbol)

    def _push(self, word: int, last_symbol: int) -> None:
        by_last = N_CLASSES + (lower(last_symbol) & 31)
        self.classes = (self.word_classes.get(word, by_last), *self.classes[:2])
