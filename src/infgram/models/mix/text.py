"""What a mixture remembers of the text before a token. The readable twin of the core's text.hpp."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

N_CLASSES = 64
"""Classes of words that are seen often."""

N_COARSE_CLASSES = 16
"""The same, of the full mixture's second kind."""

NO_CLASS = 255
"""Before the first word."""

_WORD_START, _MARK_START = 1, 2
_MASK = 2**64 - 1
_NEWLINE, _SPACE, _COLON = 10, 32, 58
_N_REMEMBERED = 5
_ROOM = 2**10
_LONGEST_MEMORY = 256


def combine(hashed: int, value: int) -> int:
    """A hash of 64 bits and one value more.

    >>> combine(combine(1, 0), 2) != combine(combine(2, 0), 1)
    True
    """
    hashed = ((hashed ^ value) * 0x9E3779B97F4A7C15) & _MASK
    return hashed ^ (hashed >> 29)


def _place_of(cue: int, after: int) -> int:
    return cue * _ROOM + (after >> 20) % _ROOM


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

    - `word_classes`: classes of words and of single marks, by their hashes; `coarse_classes`: of
      the second kind; None where nobody needs it, nor `followed`.
    - `last`: the last 24 symbols, the last one first; 0 before the beginning.
    - `word`, `length`: a hash of the letters since the last other symbol, and how many; 0 if none.
    - `words`: the same of the three words before, the last one first; `lengths`: of two of them.
    - `letters`, `ending`: the last three letters of the word, and of the word before.
    - `first_letters`, `beginning`: a hash of the first four letters of the word, and of the last.
    - `spelled`: the last five letters, whatever stands between them.
    - `gap`: a hash of what stands between the last word and the next.
    - `line`, `headings`: a hash of the line, and of the last two lines that a colon ended.
    - `name`: the last word with a capital inside a sentence.
    - `column`: symbols since the beginning of the line.
    - `opening`, `n_opening`, `opener`: a hash of its first 4 symbols, but for blanks before them;
      how many they are; the first of them, 0 if none.
    - `capitals`, `capitals_before`: of the word and of the word before: 0 none, 1 the first letter,
      2 the second, too.
    - `mark`, `n_words`: the last punctuation mark, 0 after an empty line; finished words since it.
    - `kinds`: of the last 16 symbols, four bits each.
    - `classes`, `coarse`: of the last three and six words and marks, the last one first.
    - `n_read`: symbols. `memory`: what came last after something, by a hash of that: a check, a
      value, and when it came.
    """

    word_classes: Mapping[int, int] = field(default_factory=dict)
    coarse_classes: Mapping[int, int] | None = None
    last: tuple[int, ...] = (0,) * 24
    word: int = 0
    length: int = 0
    words: tuple[int, int, int] = (0, 0, 0)
    lengths: tuple[int, int] = (0, 0)
    letters: int = 0
    ending: int = 0
    first_letters: int = 0
    beginning: int = 0
    spelled: int = 0
    gap: int = 0
    line: int = 0
    headings: tuple[int, int] = (0, 0)
    name: int = 0
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
    coarse: tuple[int, ...] = (0,) * 6
    n_read: int = 0
    memory: dict[int, tuple[int, int, int]] = field(default_factory=dict)

    def read(self, symbols: Iterable[int]) -> Text:
        """Reads symbols, in place, and returns itself.

        >>> text = Text().read(b"To be, or")
        >>> text.length, text.lengths, text.n_words, text.mark, text.column
        (2, (2, 2), 0, 2, 9)
        """
        for symbol in symbols:
            if self.coarse_classes is not None:
                for cue in range(1, _N_REMEMBERED):
                    self._remember(cue, self._cue(cue), symbol)
            if is_letter(symbol):
                self._read_letter(symbol)
            else:
                self._read_other(symbol)
            self._read_in_line(symbol)
            self.kinds = (self.kinds << 4 | kind_of(symbol)) & _MASK
            self.last = (symbol, *self.last[:-1])
            self.n_read += 1
        return self

    @property
    def shape(self) -> int:
        """Capitals of the word, or between words those of the word before."""
        return self.capitals if self.length else 3 + self.capitals_before

    @property
    def prefix(self) -> int:
        """A hash of the word so far and its shape; between words, of what stands before."""
        return combine(self.word, (0 if self.length else self.last[0]) * 8 + self.shape)

    def followed(self, cue: int) -> int:
        """What came last, within the last 256 symbols, after one of these; 0: nothing.

        0: the word before, and then a hash of the next one. 1 to 3: the last 2, 4, 6 symbols.
        4: the word so far. And then the last two symbols that came, the latest in the low byte.

        >>> chr(Text(coarse_classes={}).read(b"to be, t").followed(4))
        'o'
        """
        after = combine(self._cue(cue), cue)
        return self._known(_place_of(cue, after), after)

    def _cue(self, cue: int) -> int:
        if cue == 0:
            return self.words[0]
        if cue == 4:
            return self.prefix
        hashed = 0
        for symbol in self.last[: 2 * cue]:
            hashed = combine(hashed, symbol)
        return hashed

    def _known(self, place: int, after: int) -> int:
        check, value, at = self.memory.get(place, (0, 0, 0))
        return value if check == after >> 33 and self.n_read - at <= _LONGEST_MEMORY else 0

    def _remember(self, cue: int, came_after: int, what: int) -> None:
        after = combine(came_after, cue)
        place = _place_of(cue, after)
        before = self._known(place, after) & 255
        self.memory[place] = (
            after >> 33,
            what & 0xFFFFFFFF if cue == 0 else before << 8 | (what & 255),
            self.n_read,
        )

    def _read_in_line(self, symbol: int) -> None:
        if symbol == _NEWLINE:
            if self.last[0] == _COLON:
                self.headings = (self.line, self.headings[0])
            self.line = 0
            self.column = self.opening = self.n_opening = self.opener = 0
            return
        self.line = combine(self.line, symbol)
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
            self.first_letters = 0
        elif self.length == 1 and is_upper(symbol) and self.capitals == 1:
            self.capitals = 2
        self.word = combine(self.word, lower(symbol))
        self.letters = (self.letters << 8 | (lower(symbol) & 255)) & 0xFFFFFF
        if self.length < 4:
            self.first_letters = combine(self.first_letters, lower(symbol))
        self.spelled = (self.spelled << 8 | (lower(symbol) & 255)) & 0xFFFFFFFFFF
        self.length += 1

    def _read_other(self, symbol: int) -> None:
        if self.length:
            if self.capitals and self.n_words and self.length > 2:
                self.name = self.word
            if self.coarse_classes is not None:
                self._remember(0, self.words[0], self.word)
            self.words = (self.word, *self.words[:2])
            self.lengths = (self.length, self.lengths[0])
            self.ending, self.capitals_before = self.letters, self.capitals
            self.beginning, self.gap = self.first_letters, 0
            self._push(self.word, self.last[0])
            self.n_words += 1
            self.word = self.length = 0
        self.gap = combine(self.gap, symbol)
        if symbol not in (_NEWLINE, _SPACE):
            self.mark, self.n_words = mark_of(symbol), 0
        elif symbol == _NEWLINE and self.last[0] == _NEWLINE:
            self.mark = 0
        if symbol != _SPACE:
            self._push(combine(_MARK_START, symbol), symbol)

    def _push(self, word: int, last_symbol: int) -> None:
        by_last = N_CLASSES + (lower(last_symbol) & 31)
        self.classes = (self.word_classes.get(word, by_last), *self.classes[:2])
        coarse = N_COARSE_CLASSES + (lower(last_symbol) & 7)
        if word in self.word_classes:
            coarse = (self.coarse_classes or {}).get(word, 0)
        self.coarse = (coarse, *self.coarse[:5])
