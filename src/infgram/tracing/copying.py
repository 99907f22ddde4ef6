"""What of a text stands in the corpus: runs, novelty, and a certificate that nothing is copied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks import whole
from ..index import NO_WINDOW, Index, check_index
from ..text.tokens import Query
from ..text.words import words_in
from ..values.value import Value
from .variants import has_characters, letters_of, n_whole

_MAX_DISTINCT = 4
_COPIED_RUN = 50
_LONGEST_RUN = 64


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Novelty(Value):
    """What of a text stands in a corpus. A share is 0 where there is nothing to share.

    - `n_tokens`: of the text.
    - `mean_match`: mean length of the longest run of the corpus that ends with a token.
    - `longest_run`, `longest_run_begin`: tokens of the longest verbatim run, the first of them if
      there are several, and its place, counted through all texts.
    - `copied`: share of the tokens in a run of at least 50 (`copied_share`).
    - `gram`, `found_grams`: share of the text's `gram`-grams that the corpus has.
    - `distinct`: distinct-1 to distinct-4: how many different n-grams of tokens the text has, as a
      share of all it has. Falls with the text's length: compare texts of equal length.
    - `n_words`, `known_words`: words (text/words.py says what one is), and the share of them that
      is a word of the corpus. `known_words` is None where tokens are no characters.
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
    >>> found = infgram.novelty(infgram.build(["to be or not to be"]), "not to bee", gram=4)
    >>> found.longest_run, found.found_grams, found.known_words
    (9, 0.8571428571428571, 0.6666666666666666)
    """
    check_index(index=index)
    whole(1, gram=gram)
    ids = [index.ids(text) for text in texts]
    lengths = [index.match_lengths(text, window=NO_WINDOW).astype(np.int64) for text in texts]
    n_tokens = sum(map(len, ids))
    all_lengths = np.concatenate([np.zeros(0, np.int64), *lengths])
    longest, end = 0, 0
    if n_tokens:
        end = int(all_lengths.argmax()) + 1
        longest = int(all_lengths[end - 1])
    words: Counter[str] = Counter()
    if has_characters(index):
        for text in map(index.decode, ids):
            words.update(text[begin:end] for begin, end in words_in(text))
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
        known_words=_known_share(index, words) if has_characters(index) else None,
    )


def copied_share(index: Index, text: Query, *, run: int = _COPIED_RUN) -> float:
    """Share of the tokens that lie in a verbatim run of at least `run` tokens of the corpus.

    0.0 for a text without tokens.

    >>> import infgram
    >>> infgram.copied_share(infgram.build(["to be or not to be"]), "to be or be to", run=8)
    0.6428571428571429
    """
    check_index(index=index)
    whole(1, run=run)
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


def _known_share(index: Index, words: Counter[str]) -> float:
    letters = letters_of(index)
    return _share(
        sum(n for word, n in words.items() if n_whole(index, word, letters)), words.total()
    )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Certificate(Value):
    """Whether a text keeps to a limit of copying.

    - `max_copy`: the limit, in tokens.
    - `longest_run`: tokens of the longest run that stands in the corpus.
    - `runs`: those longer than the limit, [begin, end) each, no run within another.
    """

    max_copy: int
    longest_run: int
    runs: tuple[tuple[int, int], ...]

    @property
    def holds(self) -> bool:
        """Whether no run is longer."""
        return not self.runs


def certify(index: Index, text: Query, *, max_copy: int) -> Certificate:
    """Looks up every run of a text in the corpus. No run crosses documents. O(levels) a token.

    Raises InvalidParameter.

    >>> import infgram
    >>> from infgram.refine import certify
    >>> certify(infgram.build(["to be or not to be"]), "to be, or not", max_copy=4)
    Certificate(max_copy=4, longest_run=7, runs=((0, 5), (6, 13)))
    """
    check_index(index=index)
    whole(1, max_copy=max_copy)
    lengths = index.match_lengths(text, window=NO_WINDOW).astype(np.int64)
    return Certificate(
        int(max_copy), int(lengths.max(initial=0)), tuple(runs_of(lengths, int(max_copy) + 1))
    )


def runs_of(lengths: NDArray[np.int64], least: int) -> list[tuple[int, int]]:
    """[begin, end) of the longest runs, of at least so many tokens; none lies within another.

    `lengths`: what `match_lengths` gives, for the tokens of a text.
    """
    # a run goes on with the next token where that one's match is longer by it
    is_last = np.append(lengths[1:] != lengths[:-1] + 1, True)[: len(lengths)]
    ends = np.flatnonzero(is_last & (lengths >= least)) + 1
    begins = ends - lengths[ends - 1]
    return list(zip(begins.tolist(), ends.tolist(), strict=True))


def run_lengths(index: Index, text: Query) -> NDArray[np.float32]:
    """For each token, how long a run of the corpus ends with it, counted up to 64 tokens.

    What a refiner is told of a text by an index.

    >>> import infgram
    >>> run_lengths(infgram.build(["to be or not to be"]), "to bees").tolist()
    [1.0, 2.0, 3.0, 4.0, 5.0, 1.0, 0.0]
    """
    return index.match_lengths(text, window=_LONGEST_RUN).astype(np.float32)
