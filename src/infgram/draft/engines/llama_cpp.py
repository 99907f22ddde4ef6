"""Drafts for llama.cpp: a draft model for llama-cpp-python, and lookup caches as files.

Alone in knowing the format of llama.cpp's n-gram caches. Nothing of llama.cpp is imported.
"""

from __future__ import annotations

import os
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from ...checks import one_of, whole
from ...errors import InvalidParameter, TokenError, TokenOutOfRange
from ...index import Index, check_index
from ...store.directory import replacing
from ..drafter import Drafter
from ..text_drafter import check_drafter
from .follower import Follower

Kind: TypeAlias = Literal["static", "dynamic"]

# llama.cpp drafts a token if it has that share of what follows an n-gram of so many tokens
_SHARES: dict[Kind, dict[int, float]] = {
    "static": {2: 0.5},
    "dynamic": {1: 0.75, 2: 0.66, 3: 0.66, 4: 0.66},
}
_LONGEST = 4
_UNUSED = -1
_LARGEST_ID = 2**31 - 1
_LARGEST_COUNT = 10_000  # it is multiplied by 100 and by counts of the context, in 32 bits
_Ngrams: TypeAlias = NDArray[np.uint32]


class DraftModel:
    """A draft model for llama-cpp-python: `Llama(path, draft_model=DraftModel(drafter))`.

    It has the form of its `LlamaDraftModel`, and follows one `Llama` at a time. A text that goes on
    is read on; of one that does not, as of a new conversation, all is read, and what the model
    wrote before becomes part of the drafter's session.

    The drafter must draft paths (`tree=False`), as llama-cpp-python verifies no trees, and needs
    the model's `vocab_size`, unless the index was built with the model's tokenizer.

    Raises InvalidParameter.

    >>> import infgram
    >>> drafter = Drafter(infgram.build(["to be or not to be"]), max_tokens=4, tree=False)
    >>> draft_model = DraftModel(drafter)
    >>> bytes(draft_model(np.frombuffer(b"to be or ", np.uint8).astype(np.intc)).tolist())
    b'not '
    """

    def __init__(self, drafter: Drafter) -> None:
        check_drafter("extend", drafter=drafter)
        if drafter.tree:
            raise InvalidParameter(
                "the drafter drafts trees, and llama-cpp-python verifies a single path: make it "
                "with tree=False"
            )
        self._drafter = drafter
        self._follower: Follower | None = None

    def __call__(self, input_ids: NDArray[np.intc], /, **kwargs: Any) -> NDArray[np.intc]:
        """What may come after a text; shape (n,), possibly of no token. `kwargs` are not used.

        A text with ids outside the vocabulary gets no draft.
        """
        try:
            follower = self._read(input_ids)
        except TokenError:
            return np.zeros(0, np.intc)
        return follower.propose(self._drafter.max_tokens).path().astype(np.intc)

    def _read(self, text: NDArray[np.intc]) -> Follower:
        """Who has read the text. Raises TokenError."""
        follower = self._follower
        if follower is not None and follower.continues(text, len(text)):
            follower.read(text, len(text))
            return follower
        if follower is not None:
            self._follower = None
            follower.stop()
        self._follower = Follower(self._drafter, text, len(text), n_written=1)
        return self._follower


def export_lookup_cache(
    index: Index,
    path: str | os.PathLike[str],
    kind: Kind = "static",
    *,
    vocab_size: int | None = None,
    min_count: int = 2,
    max_ngrams: int = 200_000,
    max_continuations: int = 32,
) -> int:
    """Writes a lookup cache of llama.cpp; the number of n-grams in it.

    - `kind`: "static" for `-lcs`, n-grams of 2 tokens, or "dynamic" for `-lcd`, of 1 to 4.
    - `vocab_size`: of the model; None: of the index.
    - `min_count`: how often an n-gram occurs, at least; llama.cpp drafts nothing below 2.
    - `max_ngrams`: where there are more, those with the lowest counts are left out.
    - `max_continuations`: of an n-gram; the most frequent are kept. An n-gram is left out if
      llama.cpp would draft only because it does not see the others.

    llama.cpp holds the cache in memory, some 330 to 500 bytes an n-gram, and its server a copy for
    each slot. Of an n-gram with a count above 10,000 all counts are made smaller, in proportion.

    The file appears whole or not at all. Takes about 0.1 ms for each n-gram.

    Raises InvalidParameter, TokenOutOfRange, StorageError.

    >>> import infgram
    >>> import tempfile, pathlib
    >>> cache = pathlib.Path(tempfile.mkdtemp()) / "corpus.lcs"
    >>> export_lookup_cache(infgram.build(["to be or not to be"]), cache)
    4
    """
    one_of(get_args(Kind), kind=kind)
    whole(1, min_count=min_count, max_ngrams=max_ngrams, max_continuations=max_continuations)
    check_index(index=index)
    if vocab_size is not None:
        whole(1, vocab_size=vocab_size)
    _check_ids(index, index.end_of_text if vocab_size is None else vocab_size)
    shares = _SHARES[kind]
    n_written = 0
    with replacing(path) as file:
        for n, ngrams in _frequent(index, list(shares), min_count, max_ngrams).items():
            for ngram in ngrams:
                ids, counts = _continuations(index, ngram)
                if len(ids) and not _misleads(counts, max_continuations, shares[n]):
                    file.write(_record(ngram, ids[:max_continuations], counts[:max_continuations]))
                    n_written += 1
    return n_written


def _frequent(
    index: Index, lengths: list[int], min_count: int, max_ngrams: int
) -> dict[int, _Ngrams]:
    """N-grams of each length that occur often enough, of shape (n_ngrams, length).

    None is more frequent than what it begins with, so longer ones are looked for behind those that
    were frequent enough.
    """
    found: dict[int, tuple[_Ngrams, NDArray[np.int64]]] = {}
    ngrams = np.zeros((1, 0), np.uint32)
    for n in range(1, max(lengths) + 1):
        ngrams, counts = _longer(index, ngrams, min_count)
        if n in lengths:
            found[n] = ngrams, counts
            min_count = _raised(min_count, [counts for _, counts in found.values()], max_ngrams)
            ngrams = ngrams[counts >= min_count]
    return {n: ngrams[counts >= min_count] for n, (ngrams, counts) in found.items()}


def _longer(index: Index, ngrams: _Ngrams, min_count: int) -> tuple[_Ngrams, NDArray[np.int64]]:
    """N-grams by a token longer that occur often enough, and how often."""
    n = ngrams.shape[1] + 1
    found, found_counts = [np.zeros((0, n), np.uint32)], [np.zeros(0, np.int64)]
    for ngram in ngrams:
        ids, counts = _continuations(index, ngram)
        is_frequent = counts >= min_count
        if is_frequent.any():
            longer = np.empty((int(is_frequent.sum()), n), np.uint32)
            longer[:, :-1] = ngram
            longer[:, -1] = ids[is_frequent]
            found.append(longer)
            found_counts.append(counts[is_frequent])
    return np.concatenate(found), np.concatenate(found_counts)


def _raised(min_count: int, counts: list[NDArray[np.int64]], limit: int) -> int:
    """The lowest count, from `min_count` on, that no more than `limit` reach."""
    falling = -np.sort(-np.concatenate(counts))
    return min_count if len(falling) <= limit else max(min_count, int(falling[limit]) + 1)


def _check_ids(index: Index, vocab_size: int) -> None:
    largest = int(index.alphabet[1:].max())
    if largest >= vocab_size:
        raise TokenOutOfRange(
            f"the model's vocabulary has {vocab_size:,} tokens, but {index.path.name} has token "
            f"{largest:,}: it was built with another tokenizer; build it again with the model's"
        )
    if largest > _LARGEST_ID:
        raise TokenOutOfRange(
            f"{index.path.name} has token {largest:,}, and llama.cpp's ids end at {_LARGEST_ID:,}: "
            "build it again with the model's tokenizer"
        )


def _continuations(index: Index, ngram: _Ngrams) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Tokens that follow, the most frequent first; ends of texts are none."""
    ntd = index.ntd(ngram)
    is_token = ntd.token_ids != index.end_of_text
    ids, counts = ntd.token_ids[is_token], ntd.counts[is_token]
    order = np.argsort(-counts, kind="stable")
    return ids[order], counts[order]


def _misleads(counts: NDArray[np.int64], n_kept: int, share: float) -> bool:
    """Whether the first has its share only among those that are kept."""
    return bool(share * counts[:n_kept].sum() <= counts[0] < share * counts.sum())


def _record(ngram: _Ngrams, ids: NDArray[np.uint32], counts: NDArray[np.int64]) -> bytes:
    """int32 tokens[4], int32 n, n times int32 token, int32 count; in the machine's byte order."""
    if counts[0] > _LARGEST_COUNT:
        counts = np.maximum(counts * _LARGEST_COUNT // counts[0], 1)
    record = np.full(_LONGEST + 1 + 2 * len(ids), _UNUSED, np.int32)
    record[: len(ngram)] = ngram
    record[_LONGEST] = len(ids)
    record[_LONGEST + 1 :: 2] = ids
    record[_LONGEST + 2 :: 2] = counts
    return record.tobytes()
