"""The spellings in which a text occurs: in capitals or not, and as a whole word."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from ..checks import instance
from ..errors import InvalidParameter
from ..index import Index, check_index
from ..text.tokens import utf8
from ..text.words import is_of_word


def variants(
    index: Index, text: str, *, ignore_case: bool = False, whole_words: bool = False
) -> dict[str, int]:
    """How often each spelling of a text occurs; their sum is how often the text does.

    - `ignore_case`: spellings are texts whose `str.casefold` is that of `text`.
    - `whole_words`: the text cuts no word in two: where it begins or ends with a letter or an
      apostrophe, none stands before or behind. Digits and underscores are of no word.

    Only spellings that occur, the most frequent first. Exact, for indexes of bytes and characters.
    Letters that Unicode composes in two ways are different here. Looks for the characters that
    follow each beginning: about 50 µs each.

    Raises InvalidParameter, for an empty text and for other tokenizers too.

    >>> import infgram
    >>> index = infgram.build(["To be, or not to be. Tomorrow TO bed."])
    >>> infgram.variants(index, "to", ignore_case=True)
    {'To': 2, 'TO': 1, 'to': 1}
    >>> infgram.variants(index, "to be", ignore_case=True, whole_words=True)
    {'To be': 1, 'to be': 1}
    """
    check_index(index=index)
    if not has_characters(index):
        raise InvalidParameter(
            f"case and words are of characters, and the index has tokens of "
            f"{index.tokenizer.name!r}: build one with tokenizer='bytes' or 'chars'"
        )
    instance(str, "the text itself", text=text)
    utf8(text)  # raises what says that it is no text
    if not text:
        raise InvalidParameter("there is no text to look for, expected at least one character")
    found = dict.fromkeys(_spellings(index, text.casefold()) if ignore_case else [text], 0)
    letters = letters_of(index) if whole_words else ()
    for each in found:
        found[each] = n_whole(index, each, letters) if whole_words else index.count(each)
    return dict(sorted(((k, n) for k, n in found.items() if n), key=lambda e: (-e[1], e[0])))


def _spellings(index: Index, folded: str) -> Iterator[str]:
    """Texts of the corpus that are `folded` when they are case-folded."""
    begun = [("", 0)]  # and how much of `folded` they are
    for text, n in begun:  # grows
        for character, _ in next_characters(index, text):
            own = character.casefold()
            if not own or not folded.startswith(own, n):
                continue
            if n + len(own) == len(folded):
                yield text + character
            else:
                begun.append((text + character, n + len(own)))


def has_characters(index: Index) -> bool:
    """Whether its tokens are characters, or bytes of them."""
    return index.tokenizer.name in ("bytes", "chars")


def letters_of(index: Index) -> list[str]:
    """Characters of words that the corpus has."""
    return [c for c, _ in next_characters(index, "") if is_of_word(c)]


def n_whole(index: Index, word: str, letters: Sequence[str]) -> int:
    """How often the corpus has `word` as a whole word, exactly; `letters` are all that it has.

    Occurrences with no letter after them, less those of them with a letter before: the counts of
    the word after each letter. An end of the document is no letter, on either side.
    """
    if not is_of_word(word[0]):
        return _n_ended(index, word)
    before = index.count_batch([letter + word for letter in letters])
    longer = [letters[i] + word for i in np.flatnonzero(before).tolist()]
    return _n_ended(index, word) - sum(_n_ended(index, each) for each in longer)


def _n_ended(index: Index, text: str) -> int:
    """Occurrences of a text whose last word does not go on."""
    if not is_of_word(text[-1]):
        return index.count(text)
    return index.count(text) - sum(n for c, n in next_characters(index, text) if is_of_word(c))


def next_characters(index: Index, text: str) -> Iterator[tuple[str, int]]:
    """Characters that follow a text in the corpus, and how often. Bytes that are none are not."""
    in_bytes = index.tokenizer.name == "bytes"
    begun = [b""]
    for first in begun:  # grows by characters of which not all bytes were seen yet
        ntd = index.ntd(text.encode() + first)
        for token, count in zip(ntd.token_ids.tolist(), ntd.counts.tolist(), strict=True):
            if token == index.end_of_text:
                continue
            # half of a surrogate pair is encoded as well, and is no character
            own = bytes([token]) if in_bytes else chr(token).encode("utf-8", "surrogatepass")
            raw = first + own
            character = _character(raw)
            if character:
                yield character, count
            elif character is not None:
                begun.append(raw)


@lru_cache(1 << 16)
def _character(raw: bytes) -> str | None:
    """The character that bytes are; "" for the beginning of one, None for what is none."""
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(raw)
    except UnicodeDecodeError:
        return None
