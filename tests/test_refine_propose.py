"""Candidates are what SBIS draws and what the corpus has at such places; each says where from."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from conftest import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import Reference
from test_two_sided import make

import infgram
from infgram.errors import InvalidParameter, TokenOutOfRange
from infgram.refine import Candidates, Proposer
from infgram.refine.propose import LEXICON, PROPOSERS, SBIS
from infgram.text.tokens import load

CORPUS = b"the cat sat on the mat; a dog ate the log on a cot. Is the man on it? "
TEXT = b"the cat ate on the dog. A man is a mat"
SPANS = [(match.start(), match.end()) for match in re.finditer(rb"[A-Za-z]+", TEXT)]


@pytest.fixture(scope="module")
def index(memory_folder: Path) -> infgram.Index:
    return make(memory_folder / "propose.infgram", [CORPUS * 3, CORPUS[::2] * 3, CORPUS * 2])


def texts(found: Candidates, span: int, proposer: str) -> list[bytes]:
    return [
        bytes(found[i].tolist())
        for i in range(len(found))
        if found.span_of[i] == span and PROPOSERS[found.proposer[i]] == proposer
    ]


def ranked(
    documents: list[bytes], before: bytes, behind: bytes, length: int, *, two_sided: bool
) -> dict[bytes, float]:
    """Words of the corpus by their score, by the definition."""
    words = Counter(
        word
        for document in documents
        for word in re.findall(rb"[A-Za-z']+", document)
        if len(word) == length
    )
    whole = re.compile(rb"(?<![A-Za-z'])[A-Za-z']{%d}(?![A-Za-z'])" % length)

    def side(documents: list[bytes], context: bytes, *, backwards: bool) -> dict[bytes, float]:
        counts: dict[bytes, float] = defaultdict(float)
        oracle = Reference(documents, 256)
        levels = oracle.levels(list(context))
        for i, (n, _) in enumerate(levels):
            for d, offset in oracle.occurrences(list(context[len(context) - n :])):
                if match := whole.match(documents[d], offset + n):
                    word = match[0][::-1] if backwards else match[0]
                    counts[word] += 0.3**i
        return counts

    left = side(documents, before, backwards=False)
    right = side([d[::-1] for d in documents], behind[::-1], backwards=True) if two_sided else {}
    frequent = sorted(words, key=lambda word: -words[word])[:8]
    tied = {word for word in words if frequent and words[word] == words[frequent[-1]]}
    score = {}
    for word in {*left, *right, *frequent, *tied}:
        prob = words[word] / words.total()
        score[word] = -math.log(prob)
        for counts in (left, right):
            total = sum(counts.values())
            share = 0.98 * counts.get(word, 0) / total + 0.02 * prob if total else prob
            score[word] += math.log(share)
    return score


@given(
    st.lists(st.text("ab .", min_size=1, max_size=40), min_size=1, max_size=3),
    st.text("ab .", max_size=6),
    st.integers(1, 3),
    st.text("ab .", max_size=6),
    st.booleans(),
    st.sampled_from([60, 10**6]),
)
@settings(max_examples=examples(100))
def test_words_are_ranked_by_what_stands_around_them(
    memory_folder: Path,
    corpus: list[str],
    before: str,
    length: int,
    behind: str,
    two_sided: bool,
    shard_tokens: int,
) -> None:
    documents = [text.encode() for text in corpus]
    index = make(
        memory_folder / "ranked.infgram", documents, two_sided=two_sided, shard_tokens=shard_tokens
    )
    text = (before + "?" * length + behind).encode()
    span = (len(before), len(before) + length)
    found = Proposer(index).propose(list(text), [span], n_sbis=0, n_lexicon=3, seed=0)
    score = ranked(documents, before.encode(), behind.encode(), length, two_sided=two_sided)
    got = [score[word] for word in texts(found, 0, LEXICON)]
    best = sorted(score.values(), reverse=True)[:3]
    assert got == pytest.approx(best)


@pytest.mark.parametrize("two_sided", [True, False])
def test_drafts_are_those_of_sbis(memory_folder: Path, two_sided: bool) -> None:
    index = make(memory_folder / "drawn.infgram", [CORPUS * 5], two_sided=two_sided)
    for seed in range(20):
        begin, end = SPANS[seed % len(SPANS)]
        rng = np.random.default_rng(seed).spawn(1)[0]
        expected = []
        for k in (2, 3, -1, 2):
            model = infgram.Model(index, infgram.SBIS(k, 0.3, window=100))
            # An empty prompt would begin a document. All weights are told, as they are here, where
            # there is a limit: one that keeps all.
            how = {"max_tokens": end - begin, "temperature": 0.8, "top_k": 257}
            drawn = model.generate(TEXT[:begin] or b"\0", seed=rng, **how).text.encode()
            if drawn not in [TEXT[begin:end], *expected]:
                expected.append(drawn)
        found = Proposer(index).propose(
            list(TEXT), [(begin, end)], n_sbis=4, n_lexicon=0, seed=seed
        )
        assert texts(found, 0, SBIS) == expected


def test_candidates_differ_and_are_as_long_as_their_span(index: infgram.Index) -> None:
    found = Proposer(index).propose(list(TEXT), SPANS, n_sbis=9, n_lexicon=9, seed=1)
    assert found.span_of.tolist() == sorted(found.span_of.tolist())
    assert set(found.proposer.tolist()) == {0, 1}
    for i, (begin, end) in enumerate(SPANS):
        all_of_it = texts(found, i, SBIS) + texts(found, i, LEXICON)
        assert len(set(all_of_it)) == len(all_of_it)
        assert TEXT[begin:end] not in all_of_it
        assert {len(text) for text in all_of_it} <= {end - begin}


@pytest.mark.parametrize("shard_tokens", [150, 10**6])
def test_the_corpus_has_a_candidate_where_it_says(memory_folder: Path, shard_tokens: int) -> None:
    index = make(memory_folder / "s.infgram", [CORPUS, b"", CORPUS], shard_tokens=shard_tokens)
    found = Proposer(index).propose(list(TEXT), SPANS, n_sbis=5, n_lexicon=5, seed=1)
    assert (found.source_offset[found.proposer == 1] >= 0).all()
    assert (found.source_offset[found.proposer == 0] >= 0).any()
    for i, source_offset in enumerate(found.source_offset.tolist()):
        if source_offset >= 0:
            d, offset = index.locate(source_offset)
            ids = index.document(d).token_ids[offset : offset + len(found[i])]
            assert ids.tolist() == found[i].tolist()


def test_texts_are_on_their_own_and_a_seed_repeats_them(index: infgram.Index) -> None:
    proposer = Proposer(index)
    n = len(TEXT)
    both = proposer.propose(
        list(TEXT + TEXT[:12]),
        [*SPANS, (n, n + 3), (n + 4, n + 7)],
        offsets=[0, n, n, n + 12],
        seed=7,
    )
    again = proposer.propose(
        list(TEXT + TEXT[:12]),
        [*SPANS, (n, n + 3), (n + 4, n + 7)],
        offsets=[0, n, n, n + 12],
        seed=7,
    )
    alone = proposer.propose(list(TEXT), SPANS, seed=7)
    for one, other in [
        (both.token_ids, again.token_ids),
        (both.source_offset, again.source_offset),
        (both.token_ids[: len(alone.token_ids)], alone.token_ids),
        (both.offsets[: len(alone) + 1], alone.offsets),
        (both.proposer[: len(alone)], alone.proposer),
    ]:
        assert one.tolist() == other.tolist()
    assert set(both.span_of[len(alone) :].tolist()) == {len(SPANS), len(SPANS) + 1}
    other = proposer.propose(list(TEXT), SPANS, seed=8)
    assert other.token_ids.tolist() != alone.token_ids.tolist()


# Words that fit -----------------------------------------------------------------------------------


def standing(documents: list[bytes], text: bytes, begin: int, end: int, word: bytes) -> int:
    """By the definition: of a word in place of text[begin:end]."""
    left = re.search(rb"(?:(?<![A-Za-z'])[A-Za-z']+)?[^A-Za-z']?$|[^A-Za-z']{1,4}$", text[:begin])
    right = re.match(rb"[^A-Za-z']?[A-Za-z']*", text[end:])
    assert left and right
    before, behind = left[0], right[0]
    if len(between := re.findall(rb"[^A-Za-z']+$", text[:begin])) and len(between[0]) != 1:
        before = between[0][-4:]
    if (gap := re.match(rb"[^A-Za-z']+", text[end:])) and len(gap[0]) != 1:
        behind = gap[0][:4]
    n_sides = sum(
        any(ngram in document for document in documents)
        for ngram in (
            before + word + text[end : end + 1],
            text[max(begin - 1, 0) : begin] + word + behind,
        )
    )
    words = {w for document in documents for w in re.findall(rb"[A-Za-z']+", document)}
    return 1 + n_sides if n_sides or word in words else 0


@given(
    st.lists(st.text("ab .", min_size=1, max_size=40), min_size=1, max_size=3),
    st.text("ab .", min_size=1, max_size=30),
    st.sampled_from([60, 10**6]),
)
@settings(max_examples=examples(100))
def test_words_are_proposed_that_have_a_higher_standing(
    memory_folder: Path, corpus: list[str], written: str, shard_tokens: int
) -> None:
    documents = [text.encode() for text in corpus]
    index = make(memory_folder / "stand.infgram", documents, shard_tokens=shard_tokens)
    text = written.encode()
    spans = [match.span() for match in re.finditer(rb"[ab]+", text)]
    proposer = Proposer(index)
    found = proposer.standing(list(text), spans).tolist()
    assert found == [standing(documents, text, b, e, text[b:e]) for b, e in spans]
    words = {w for document in documents for w in re.findall(rb"[ab]+", document)}
    for wanted, least in (("word", 1), ("fitting", 2), ("better", None)):
        made = proposer.propose(list(text), spans, wanted=wanted, n_sbis=5, n_lexicon=9, seed=1)
        for i, span in enumerate(made.span_of.tolist()):
            new = bytes(made[i].tolist())
            assert new in words and len(new) == spans[span][1] - spans[span][0]
            stands = standing(documents, text, *spans[span], new)
            assert stands >= (found[span] + 1 if least is None else least)
        if wanted == "better":
            assert not {span for span in made.span_of.tolist() if found[span] == 3}
    with pytest.raises(InvalidParameter, match="wanted is 'best'"):
        proposer.propose(list(text), spans, wanted="best")


def test_no_character_is_cut(memory_folder: Path) -> None:
    text = "à é ü ñ ça et là où été " * 5
    index = make(memory_folder / "utf8.infgram", [text.encode()])
    ids = list("à ça x été".encode())
    found = Proposer(index).propose(ids, [(0, 2), (3, 6), (9, 14)], n_sbis=30, seed=0)
    assert len(found) > 3
    for i in range(len(found)):
        bytes(found[i].tolist()).decode()


@pytest.mark.parametrize("n_extra", [0, 300])
def test_characters_are_proposed_too(memory_folder: Path, n_extra: int) -> None:
    """With many characters, codes have 16 bits."""
    tokenizer = load("chars")
    corpus = "うみ と そら と うみ の いろ " * 4 + "".join(
        map(chr, range(0x4E00, 0x4E00 + n_extra))
    )
    index = make(memory_folder / "chars.infgram", [tokenizer.encode(corpus)], tokenizer=tokenizer)
    text = tokenizer.encode("うみ と かか の")
    found = Proposer(index).propose(text, [(5, 7)], n_sbis=0)
    words = [tokenizer.decode(found[i]).decode() for i in range(len(found))]
    assert set(words) == {"そら", "うみ", "いろ"}


@pytest.mark.parametrize(
    "spans",
    [[(0, 0)], [(3, 2)], [(-1, 2)], [(0, 4), (3, 5)], [(4, 5), (0, 2)], [(0, 99)], [(5, 8)]],
)
def test_spans_that_are_none_are_refused(index: infgram.Index, spans) -> None:
    with pytest.raises(InvalidParameter, match="spans must"):
        Proposer(index).propose(list(TEXT[:12]), spans, offsets=[0, 6, 12])


def test_what_does_not_fit_is_refused(index: infgram.Index, memory_folder: Path) -> None:
    proposer = Proposer(index)
    with pytest.raises(InvalidParameter, match="offsets must rise"):
        proposer.propose(list(TEXT), SPANS, offsets=[0, 5])
    with pytest.raises(InvalidParameter, match="n_sbis"):
        proposer.propose(list(TEXT), SPANS, n_sbis=-1)
    with pytest.raises(TokenOutOfRange):
        proposer.propose([300], [(0, 1)])
    ids = make(memory_folder / "ids.infgram", [[1, 2, 3]], tokenizer=load("ids", vocab_size=9))
    with pytest.raises(InvalidParameter, match="expected bytes or characters"):
        Proposer(ids)


def test_nothing_to_propose_for_is_nothing(index: infgram.Index) -> None:
    assert len(Proposer(index).propose([], [])) == 0
    assert len(Proposer(index).propose(list(TEXT), [])) == 0
    assert len(Proposer(index).propose(list(TEXT), SPANS, n_sbis=0, n_lexicon=0)) == 0
    assert len(Proposer(index).propose(list(TEXT), [], offsets=[0, 5, len(TEXT)])) == 0
