"""Judging text by a corpus: what of it is copied, and what is new."""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidParameter
from .index import Index, Query

_MAX_DISTINCT = 4
_COPIED_RUN = 50
_APOSTROPHES = "'’"


@dataclass(frozen=True, slots=True)
class Novelty:
    """What of a text stands in a corpus. A share is 0 where there is nothing to share.

    - `n_tokens`: of the text.
    - `mean_match`: mean length of the longest run of the corpus that ends with a token.
    - `longest_run`, `longest_run_begin`: tokens of the longest verbatim run, the first of them if
      there are several, and its place, counted through all texts.
    - `copied`: share of the tokens in a run of at least 50 (`copied_share`).
    - `gram`, `found_grams`: share of the text's `gram`-grams that the corpus has.
    - `distinct`: distinct-1 to distinct-4: how many different n-grams of tokens the text has, as a
      share of all it has. Falls with the text's length: compare texts of equal length.
    - `n_words`, `known_words`: words (maximal runs of letters and apostrophes), and the share of
      them that is a word of the corpus. `known_words` is None where tokens are no characters.
    """

    n_tokens: int
    mean_match: float
    longest_run: int
    longest_run_begin: int
    copied: float
    gram: int
    found_grams: float
    distinct: tuple[float, ...]
    n_words: int
    known_words: float | None


def novelty(index: Index, *texts: Query, gram: int = 20) -> Novelty:
    """How much of a text is the corpus's.

    Of several texts, each is looked at on its own; shares are those of all together. O(levels) a
    token, and about 0.1 ms a different word.

    Raises InvalidParameter.

    >>> import infgram
    >>> found = novelty(infgram.open(demo_index), "not to bee", gram=4)
    >>> found.longest_run, found.found_grams, found.known_words
    (9, 0.8571428571428571, 0.6666666666666666)
    """
    if not isinstance(gram, int) or gram < 1:
        raise InvalidParameter(f"gram is {gram!r}, expected at least 1")
    ids = [index.ids(text) for text in texts]
    lengths = [index.match_lengths(i, window=max(len(i), 1)).astype(np.int64) for i in ids]
    n_tokens = sum(map(len, ids))
    all_lengths = np.concatenate([np.zeros(0, np.int64), *lengths])
    longest, end = 0, 0
    if n_tokens:
        end = int(all_lengths.argmax()) + 1
        longest = int(all_lengths[end - 1])
    words = _words([index.decode(i) for i in ids]) if _has_characters(index) else Counter[str]()
    return Novelty(
        n_tokens=n_tokens,
        mean_match=_share(int(all_lengths.sum()), n_tokens),
        longest_run=longest,
        longest_run_begin=end - longest,
        copied=_share(sum(_n_copied(found, _COPIED_RUN) for found in lengths), n_tokens),
        gram=gram,
        found_grams=_share(
            sum(int(np.count_nonzero(found >= gram)) for found in lengths),
            sum(max(len(found) - gram + 1, 0) for found in lengths),
        ),
        distinct=tuple(_distinct(ids, n) for n in range(1, _MAX_DISTINCT + 1)),
        n_words=words.total(),
        known_words=_known_share(index, words) if _has_characters(index) else None,
    )


def copied_share(index: Index, text: Query, *, run: int = _COPIED_RUN) -> float:
    """Share of the tokens that lie in a verbatim run of at least `run` tokens of the corpus.

    0.0 for a text without tokens.

    >>> import infgram
    >>> copied_share(infgram.open(demo_index), "to be or be to", run=8)
    0.6428571428571429
    """
    if run < 1:
        raise InvalidParameter(f"run is {run}, expected at least 1")
    # Tokens of a longer run are those of the runs of this length within it.
    lengths = index.match_lengths(text, window=run).astype(np.int64)
    return _share(_n_copied(lengths, run), len(lengths))


def _n_copied(lengths: NDArray[np.int64], run: int) -> int:
    """Tokens in runs of at least `run`, by how long a run ends with each."""
    ends = np.flatnonzero(lengths >= run) + 1
    covering = np.zeros(len(lengths) + 1, np.int64)
    np.add.at(covering, ends - run, 1)
    np.add.at(covering, ends, -1)
    return int(np.count_nonzero(np.cumsum(covering[:-1])))


def _distinct(texts: Sequence[NDArray[Any]], n: int) -> float:
    grams = [np.lib.stride_tricks.sliding_window_view(ids, n) for ids in texts if len(ids) >= n]
    if not grams:
        return 0.0
    flat = np.ascontiguousarray(np.concatenate(grams))
    as_bytes = flat.view(f"V{flat.itemsize * n}")
    return len(np.unique(as_bytes)) / len(flat)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


# Words --------------------------------------------------------------------------------------------


def _has_characters(index: Index) -> bool:
    return index.tokenizer.name in ("bytes", "chars")


def _is_of_word(character: str) -> bool:
    return character.isalpha() or character in _APOSTROPHES


def _words(texts: Sequence[str]) -> Counter[str]:
    words: Counter[str] = Counter()
    for text in texts:
        runs = ("".join(run) for of_word, run in groupby(text, _is_of_word) if of_word)
        words.update(word for word in runs if word.strip(_APOSTROPHES))
    return words


def _known_share(index: Index, words: Counter[str]) -> float:
    before = [c for c, _ in _next_characters(index, "") if _is_of_word(c)]
    return _share(
        sum(n for word, n in words.items() if _n_whole(index, word, before)), words.total()
    )


def _n_whole(index: Index, word: str, letters: Sequence[str]) -> int:
    """How often the corpus has `word` as a whole word, exactly; `letters` are all that it has.

    Occurrences with no letter after them, less those of them with a letter before: the counts of
    the word after each letter. An end of the document is no letter, on either side.
    """
    before = index.count_batch([letter + word for letter in letters])
    longer = [letters[i] + word for i in np.flatnonzero(before).tolist()]
    return _n_ended(index, word) - sum(_n_ended(index, each) for each in longer)


def _n_ended(index: Index, text: str) -> int:
    """Occurrences of a text that no letter follows."""
    return index.count(text) - sum(n for c, n in _next_characters(index, text) if _is_of_word(c))


def _next_characters(index: Index, text: str) -> Iterator[tuple[str, int]]:
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
