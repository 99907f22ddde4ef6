"""AND and OR: against following infini-gram's rule one occurrence at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import examples, make_index
from hypothesis import given, settings
from hypothesis import strategies as st

import infgram
from infgram.errors import InvalidParameter
from infgram.tracing.boolean import count_cnf

Documents = list[list[int]]
Clause = list[list[int]]

documents_of_few = st.lists(st.lists(st.integers(0, 2), max_size=25), min_size=1, max_size=4)
clause = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=3), min_size=1, max_size=3)


def naive(documents: Documents, cnf: list[Clause], most: int) -> int:
    """The rule, on one text in which -1 stands before every document."""
    text = [token for document in documents for token in [-1, *document]]

    def places(terms: Clause) -> list[int]:
        return [i for t in terms for i in range(len(text)) if text[i : i + len(t)] == t]

    clauses = sorted(map(places, cnf), key=len)
    if len(clauses) == 1:
        return len(clauses[0])
    n = 0
    for place in clauses[0]:
        first = last = place
        for others in clauses[1:]:
            before = max((p for p in others if p < last), default=None)
            behind = min((p for p in others if p >= first), default=None)
            begin, end = first, last
            if before is not None and min(before, first) + most >= first:
                begin = min(before, first)
            if behind is not None and max(behind, last) <= last + most:
                end = max(behind, last)
            is_near = (before is not None and min(before, first) + most >= first) or (
                behind is not None and max(behind, last) <= last + most
            )
            if not is_near:
                break
            first, last = begin, end
        else:
            n += -1 not in text[first:last]
    return n


@settings(max_examples=examples(300))
@given(
    documents=documents_of_few.filter(any),
    cnf=st.lists(clause, min_size=1, max_size=3),
    most=st.integers(0, 12),
)
def test_it_is_what_the_rule_says(
    memory_folder: Path, documents: Documents, cnf: list[Clause], most: int
) -> None:
    index = make_index(memory_folder / "cnf.infgram", documents)
    assert count_cnf(index, cnf, max_diff_tokens=most) == naive(documents, cnf, most)


@settings(max_examples=examples(50))
@given(
    documents=documents_of_few.filter(lambda d: any(d) and len(d) > 1),
    cnf=st.lists(clause, min_size=2, max_size=2),
)
def test_shards_add_up(memory_folder: Path, documents: Documents, cnf: list[Clause]) -> None:
    index = make_index(memory_folder / "cnf.infgram", documents, shard_tokens=28)
    shards = [shard.n_documents for shard in index.stored.layout.shards]
    parts = [documents[sum(shards[:s]) :][:n] for s, n in enumerate(shards)]
    exists = all(any(index.count(term) for term in terms) for terms in cnf)
    assert count_cnf(index, cnf) == exists * sum(naive(part, cnf, 100) for part in parts)


def test_texts() -> None:
    index = infgram.build(["to be or not to be"])
    assert count_cnf(index, [["be", "not"]]) == 3
    assert count_cnf(index, [["be"], ["not"]]) == 1
    assert count_cnf(index, [["be"], ["what"]]) == 0


@pytest.mark.parametrize("cnf", [[], [[]], ["be"], [[""]], [["be"], ["or", b""]], 5, [5], b"x"])
def test_nonsense_is_refused(cnf: list[list[str]]) -> None:
    with pytest.raises(InvalidParameter, match=r"cnf is|clause"):
        count_cnf(infgram.build(["to be"]), cnf)
    with pytest.raises(InvalidParameter, match="max_diff_tokens"):
        count_cnf(infgram.build(["to be"]), [["to"], ["be"]], max_diff_tokens=-1)


@pytest.mark.parametrize("most", [100, 2**62, 2**63, 10**30])
def test_however_far_apart(most: int) -> None:
    assert count_cnf(infgram.build(["abc xyz"]), [["abc"], ["xyz"]], max_diff_tokens=most) == 1
