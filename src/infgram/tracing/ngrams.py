"""The n-grams of a corpus, listed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .. import native
from ..checks import whole
from ..index import Index, check_index
from ..values.value import Value

_BATCH = 1_024


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Ngram(Value):
    """An n-gram and how often it occurs. `str` gives its text.

    `documents`: how many documents it occurs in; None if that was not asked for.
    """

    token_ids: tuple[int, ...]
    text: str
    count: int
    documents: int | None = None

    def __str__(self) -> str:
        return self.text


def ngrams(
    index: Index,
    n: int,
    *,
    limit: int | None = None,
    min_count: int = 1,
    documents: bool = False,
) -> Iterator[Ngram]:
    """All n-grams of `n` tokens that occur at least `min_count` times, with their exact counts.

    In the order of their token ids, as they are found: nothing is gathered, so that a whole corpus
    can be listed in little memory. With `limit`, only so many that occur most often, by falling
    count, equal ones in the order of their ids; then nothing comes before all are known. No n-gram
    crosses documents.

    `documents`: also count in how many documents each occurs, for which every occurrence is looked
    at: four bytes of memory a document.

    O(n_rows) for each of the `n` lengths at most, and far less for a high `min_count`: what begins
    with a rarer n-gram is never looked at.

    Raises InvalidParameter.

    >>> import infgram
    >>> index = infgram.build(["to be or not to be"])
    >>> [(str(each), each.count) for each in infgram.ngrams(index, 3, min_count=2)]
    [(' be', 2), ('o b', 2), ('to ', 2)]
    >>> [(str(each), each.count) for each in infgram.ngrams(index, 1, limit=2)]
    [(' ', 5), ('o', 4)]
    """
    check_index(index=index)
    whole(1, 2**32 - 1, n=n)
    whole(1, min_count=min_count)
    if limit is not None:
        whole(0, limit=limit)
        limit = min(limit, index.n_tokens)  # there are no more
    min_count = min(min_count, index.n_tokens + 1)  # nothing occurs as often
    index.need_one_piece("ngrams")
    columns = [index.stored.column(f"{each.name}/documents") for each in index.stored.layout.shards]
    walk = native.NgramReader(index.native, n, min_count, columns if documents else [])
    return _listed(index, walk, n, limit)


def _listed(index: Index, walk: native.NgramReader, n: int, limit: int | None) -> Iterator[Ngram]:
    while True:
        ids, counts, n_documents = walk.read(_BATCH) if limit is None else walk.most_frequent(limit)
        for i, (own, count) in enumerate(zip(ids.reshape(-1, n), counts.tolist(), strict=True)):
            of = int(n_documents[i]) if len(n_documents) else None
            yield Ngram(tuple(own.tolist()), index.decode(own.astype(np.uint32)), count, of)
        index.stored.let_go()
        if limit is not None or not len(counts):
            return
