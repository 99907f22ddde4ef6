"""AND and OR: where n-grams stand close to each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..checks import whole
from ..errors import CorruptIndex, InvalidParameter
from ..index import Index, check_index
from ..text.tokens import Query

_Places = NDArray[np.int64]


def count_cnf(index: Index, cnf: Sequence[Sequence[Query]], *, max_diff_tokens: int = 100) -> int:
    """How often n-grams stand close together: a count of a formula in conjunctive normal form.

    `cnf` is a list of clauses that must all hold, each a list of n-grams of which one must occur.
    Of a single clause it is the sum of the counts. Of several, it is how many occurrences of the
    rarest clause have all others near them in their document, by infini-gram's rule, on each shard:

    - Each occurrence of the clause with the fewest begins a stretch, from where it begins to where
      it begins. Clauses follow by their counts.
    - Of the next clause, the last occurrence that begins before the stretch's end and the first one
      that begins at its start or later are looked at. Those at most `max_diff_tokens` from it
      stretch it as far as they begin; if neither is so near, the stretch is dropped.
    - A stretch is counted if no document ends in it. So what has a nearer neighbour in another
      document is lost, even if it had one in its own behind that.

    Exact: every occurrence is looked at, which takes O(n log n) time and eight bytes an occurrence.
    infini-gram looks at a sample where a clause has more than `max_clause_freq`.

    Source: `find_cnf` of https://github.com/liujch1998/infini-gram.

    Raises InvalidParameter, TokenError.

    >>> import infgram
    >>> index = infgram.build(["to be or not to be", "to see"])
    >>> infgram.count_cnf(index, [["be", "see"]])
    3
    >>> infgram.count_cnf(index, [["be", "see"], ["or"]], max_diff_tokens=5)
    1
    """
    clauses = _clauses(index, cnf, max_diff_tokens)
    if len(clauses) == 1:
        return sum(index.native.count(ids) for ids in clauses[0])
    return sum(map(len, find_cnf(index, cnf, max_diff_tokens=max_diff_tokens)))


def find_cnf(
    index: Index, cnf: Sequence[Sequence[Query]], *, max_diff_tokens: int = 100
) -> list[_Places]:
    """Where what `count_cnf` counts begins: of each shard an array of positions, of shape (n,).

    `Index.source_offsets` and `Index.locate` tell the documents.

    Raises what `count_cnf` raises.

    >>> import infgram
    >>> index = infgram.build(["to be or not to be", "to see"])
    >>> [places.tolist() for places in find_cnf(index, [["not"], ["or"]])]
    [[7]]
    """
    clauses = _clauses(index, cnf, max_diff_tokens)
    found = [[index.native.find(ids) for ids in clause] for clause in clauses]
    n_shards = len(index.stored.layout.shards)
    most = min(max_diff_tokens, max(index.shard_rows))  # nothing is farther apart
    sizes = np.array(
        [[sum(e - b for b, e in (each[s] for each in of)) for s in range(n_shards)] for of in found]
    )
    if not sizes.sum(1).all():
        return [np.zeros(0, np.int64)] * n_shards
    begins = []
    for s in range(n_shards):
        order = np.argsort(sizes[:, s], kind="stable").tolist()
        places = (_places(index, s, clauses[i], found[i]) for i in order)
        first = last = next(places)
        for others in places:
            first, last = _stretched(first, last, np.sort(others), most)
        boundaries = index.stored.column(f"{index.stored.layout.shards[s].name}/documents")
        inside = np.searchsorted(boundaries, first) == np.searchsorted(boundaries, last)
        begins.append(first[inside])
    return begins


def _clauses(
    index: Index, cnf: Sequence[Sequence[Query]], max_diff_tokens: int
) -> list[list[NDArray[np.uint32]]]:
    """The formula in token ids, checked."""
    check_index(index=index)
    whole(0, max_diff_tokens=max_diff_tokens)
    if isinstance(cnf, (str, bytes)) or not isinstance(cnf, Sequence):
        raise InvalidParameter(
            f"cnf is {cnf!r}, expected a list of clauses, each a list of n-grams"
        )
    clauses = [_checked(index, i, clause) for i, clause in enumerate(cnf)]
    if not clauses:
        raise InvalidParameter("cnf is empty, expected a list of clauses, each a list of n-grams")
    return clauses


def _checked(index: Index, i: int, clause: Sequence[Query]) -> list[NDArray[np.uint32]]:
    if isinstance(clause, (str, bytes)) or not isinstance(clause, Sequence) or not clause:
        raise InvalidParameter(
            f"clause {i} is {clause!r}, expected a list of n-grams: one of them must occur"
        )
    ngrams = [index.ngram_ids(each) for each in clause]
    if not all(map(len, ngrams)):
        raise InvalidParameter(f"clause {i} has an empty n-gram: give at least one token")
    return ngrams


def _places(
    index: Index, s: int, ngrams: list[NDArray[np.uint32]], ranges: list[list[tuple[int, int]]]
) -> _Places:
    """Where the n-grams of a clause begin in a shard."""
    layout = index.stored.layout.shards[s]
    begins = [
        index.native.positions(s, np.arange(*of[s], dtype=np.uint32)).astype(np.int64) - len(ids)
        for ids, of in zip(ngrams, ranges, strict=True)
    ]
    places = np.concatenate(begins)
    if len(places) and not 0 <= places.min() <= places.max() < layout.n_rows:
        raise CorruptIndex(f"{index.path}: column 'sa' holds impossible values; build it again")
    return places


def _stretched(
    first: _Places, last: _Places, others: _Places, most: int
) -> tuple[_Places, _Places]:
    """Stretches made longer by what is near them, and without those that have nothing near."""
    never = np.iinfo(np.int64).max // 2
    around = np.concatenate([[-never], others, [never]])
    before = around[np.searchsorted(others, last)]
    behind = around[np.searchsorted(others, first) + 1]
    has_before, has_behind = before >= first - most, behind <= last + most
    kept = has_before | has_behind
    first, last = (
        np.where(has_before, np.minimum(first, before), first),
        np.where(has_behind, np.maximum(last, behind), last),
    )
    return first[kept], last[kept]
