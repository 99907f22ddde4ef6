"""Each strategy edits what it says, judged by bigrams; the limit to copying keeps what it can."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import examples, make_index
from hypothesis import given, settings
from hypothesis import strategies as st
from refiner import Bigrams
from test_refine_polish import CORPUS, DRAFT

import infgram
from infgram.errors import InvalidParameter
from infgram.refine import (
    Edit,
    Editor,
    Proposer,
    Refined,
    Remask,
    Schedule,
    TokenToToken,
    refine,
    refine_many,
)
from infgram.refine.strategies import Tools
from infgram.refine.strategies.cap import Cap
from infgram.refine.strategies.editor import _weakest_first
from infgram.refine.strategies.strategy import Candidate
from infgram.refine.working_text import Text, far_apart

SCORER: Any = Bigrams(CORPUS)
EAGER = Editor(words=99, margin=0.5)
LEAST = np.log(1e-10)
WAYS = [EAGER, Remask(), Remask(only_better=False), Schedule(), TokenToToken()]


@pytest.fixture(scope="module")
def index(memory_folder: Path) -> infgram.Index:
    return make_index(memory_folder / "ways.infgram", [list(CORPUS), list(CORPUS[::-1][80:120])])


def log_likelihoods(text: bytes) -> np.ndarray:
    (found,) = SCORER.log_likelihoods([np.frombuffer(text, np.uint8)])
    return np.maximum(found, LEAST)


def checked(refined: Refined, prompt: bytes, draft: bytes) -> bytes:
    """The text, where every edit was of what stood there and gained what it says."""
    text = bytearray(prompt + draft)
    for edit in refined.edits:
        begin, end = edit.start + len(prompt), edit.end + len(prompt)
        around = slice(max(begin - 10, 0), end + 10)
        before = log_likelihoods(bytes(text))[around].sum()
        assert edit.start >= 0
        assert tuple(text[begin:end]) == edit.old != edit.new
        text[begin:end] = bytes(edit.new)
        if edit.proposer != "fill":  # those of a round may lie side by side
            after = log_likelihoods(bytes(text))[around].sum()
            assert edit.gain == pytest.approx(after - before, abs=1e-9)
    assert bytes(text[len(prompt) :]) == bytes(refined.token_ids.tolist())
    assert bytes(refined.trace.replay().tolist()) == bytes(refined.token_ids.tolist())
    return bytes(text)


# Words --------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 5))), st.integers(0, 9), st.integers(0, 5)
)
def test_words_are_taken_in_order_where_they_are_far_apart(
    given_words: list[tuple[int, int]], distance: int, n: int
) -> None:
    words = [(begin, begin + length) for begin, length in given_words]
    expected: list[tuple[int, int]] = []
    for word in words:
        gaps = [max(word[0] - other[1], other[0] - word[1]) for other in expected]
        if len(expected) < n and all(gap >= distance for gap in gaps):
            expected.append(word)
    assert far_apart(words, distance, n) == sorted(expected)


def test_words_of_a_text_are_whole_and_may_be_edited(index: infgram.Index) -> None:
    def words(prompt: bytes, draft: bytes, *, longest: int = 99) -> list[bytes]:
        before, behind = (np.frombuffer(b, np.uint8).astype(np.uint32) for b in (prompt, draft))
        text = Text.of(index, before, behind, "cat", longest)
        assert text.n_prompt == len(prompt)
        return [(prompt + draft)[begin:end] for begin, end in text.words]

    assert words(b"", b"the cat, a dog sat") == [b"the", b"a", b"dog"]
    assert words(b"the do", b"g sat.") == [b"sat"]
    assert words(b"", b"a mouse sat.", longest=3) == [b"a", b"sat"]
    assert words(b"", b"") == words(b"the ", b"") == words(b"", b"dog") == words(b"", b"...") == []


# Strategies ---------------------------------------------------------------------------------------


def test_the_editor_mends_what_is_wrong(index: infgram.Index) -> None:
    refined = refine(index, SCORER, DRAFT, strategy=EAGER, seed=0)
    checked(refined, b"", DRAFT)
    words = refined.text.replace("\n", " ").split()
    assert not {"cxt", "mbn", "dzz"} & set(words)
    assert {edit.proposer for edit in refined.edits} <= {"sbis", "lexicon"}
    for edit in refined.edits:
        if edit.source_offset is not None:
            d, offset = index.locate(edit.source_offset)
            found = index.document(d).token_ids[offset : offset + len(edit.new)]
            assert tuple(found.tolist()) == edit.new


@pytest.mark.parametrize(
    ("n_old", "n_new", "asked"),
    [(3, 31, 2.0 + 1.5 * np.log(8)), (31, 3, 2.0), (3, 3, 2.0), (0, 31, 2.0), (1, 0, 2.0)],
)
def test_commoner_words_must_gain_more_where_the_corpus_has_the_old_ones(
    memory_folder: Path, n_old: int, n_new: int, asked: float
) -> None:
    corpus = b"a dog, " * n_old + b"a cat, " * n_new + b"the dog; the dog; a fox."
    index = make_index(memory_folder / f"common-{n_old}-{n_new}.infgram", [list(corpus)])
    ids = np.frombuffer(b"a dog, a fox.", np.uint8).astype(np.uint32)
    text = Text.of(index, ids[:0], ids, (), 99)
    edit = Edit(2, 5, tuple(b"dog"), tuple(b"cat"), 99.0, "lexicon", None)
    tools = Tools(Proposer(index), SCORER)
    way = Editor(margin=2.0, commonness=1.5)
    assert way._asked(text, edit, 0, tools) == pytest.approx(asked)
    assert way._asked(text, edit, 2, tools) == pytest.approx(asked + 4.0)
    assert way._asked(text, replace(edit, gain=1.0), 0, tools) == 2.0


@pytest.mark.parametrize("margin", [0.0, 2.0, 6.0, 1e9])
def test_an_edit_gains_more_than_the_margin(index: infgram.Index, margin: float) -> None:
    for seed in range(4):
        refined = refine(index, SCORER, DRAFT, strategy=Editor(words=99, margin=margin), seed=seed)
        assert all(edit.gain > margin for edit in refined.edits)
        assert bool(refined.edits) == (margin < 1e9)


def test_words_of_the_lowest_standing_come_first_and_those_that_fit_are_no_fault(
    memory_folder: Path,
) -> None:
    corpus = b"a dog sat on the mat. the dog's cat, too. x"
    index = make_index(memory_folder / "weak.infgram", [list(corpus)])
    draft = b"a dxg sat the og dog's cat. mat. the dog's cat, "
    ids = np.frombuffer(draft, np.uint8).astype(np.uint32)
    text = Text.of(index, ids[:0], ids, (), 99)
    log_probs = np.full(len(ids), -0.1)
    log_probs[draft.index(b"sat")] = -9.0
    log_probs[draft.index(b"og")] = -1.0
    standing = Tools(Proposer(index), SCORER).standing(text)
    found = _weakest_first(standing, log_probs)
    in_order = [(draft[begin:end].decode(), n) for (begin, end), n in standing.items()]
    assert in_order[:5] == [("a", 2), ("dxg", 0), ("sat", 1), ("the", 1), ("og", 0)]
    assert in_order[-2] == ("dog's", 3)
    words = [draft[begin:end].decode() for begin, end in found]
    assert words[:3] == ["og", "dxg", "sat"]
    assert {standing[word] for word in found} == {0, 1, 2}


def test_the_editor_tries_as_many_words_as_it_is_told(index: infgram.Index) -> None:
    draft = b"the cxt sat on, " * 32
    for words in (0, 1, 3):
        one = Editor(words=words, margin=0.0)
        assert len(refine(index, SCORER, draft, strategy=one, rounds=1, seed=0).edits) == 2 * words


def test_the_editor_takes_the_best_of_what_it_judges(index: infgram.Index) -> None:
    draft = b"no cxt is on"
    one = Editor(margin=0.0, n_sbis=0, n_lexicon=99, n_judged=99)
    (edit,) = refine(index, SCORER, draft, strategy=one, rounds=1, seed=0).edits
    found = Proposer(index).propose(list(draft), [(3, 6)], wanted="better", n_sbis=0, n_lexicon=99)
    texts = [draft[:3] + bytes(found[i].tolist()) + draft[6:] for i in range(len(found))]
    totals = [log_likelihoods(text).sum() for text in texts]
    assert len(totals) == 3
    assert draft[:3] + bytes(edit.new) + draft[6:] == texts[int(np.argmax(totals))]


@given(
    st.lists(st.sampled_from(["the", "cat", "dxg", "KING:", "on", " ", "\n", "é", "!", "\x07"])),
    st.integers(0, 30),
    st.sampled_from(WAYS),
    st.sampled_from([None, 1, 4, 12, 999]),
    st.integers(0, 2**32),
)
@settings(max_examples=examples(80))
def test_whatever_the_strategy_prompt_length_and_protected_places_stay(
    index: infgram.Index, pieces: list[str], n_prompt: int, way: Any, max_copy: Any, seed: int
) -> None:
    """Some of these characters the index and the bigrams do not know."""
    text = "".join(pieces).encode()
    prompt, draft = text[:n_prompt], text[n_prompt:]
    how: dict[str, Any] = {"prompt": prompt, "strategy": way, "max_copy": max_copy, "seed": seed}
    refined = refine(index, SCORER, draft, protect=["^[A-Z]+:", "cat"], **how)
    whole = checked(refined, prompt, draft)
    assert whole[: len(prompt)] == prompt and len(whole) == len(text)
    for i in range(len(text)):
        if text[i : i + 3] == b"cat":
            assert whole[i : i + 3] == b"cat"
        if text[i : i + 5] == b"KING:" and text[i - 1 : i] in (b"", b"\n"):
            assert whole[i : i + 5] == b"KING:"
        if text[i : i + 1] in (b"!", b"\x07") or text[i] >= 0x80:  # not in the corpus
            assert whole[i : i + 1] == text[i : i + 1]
    assert all(np.isfinite(edit.gain) for edit in refined.edits)
    again = refine(index, SCORER, draft, protect=["^[A-Z]+:", "cat"], **how)
    assert again.edits == refined.edits
    if max_copy is not None:
        assert_certified(refined, [CORPUS, CORPUS[::-1][80:120]], max_copy)


def test_what_is_masked_again_stands_only_where_it_is_better(index: infgram.Index) -> None:
    gains = []
    for seed in range(9):
        way = Remask(temperature=2.0)
        better = refine(index, SCORER, DRAFT, strategy=way, rounds=1, seed=seed)
        assert {edit.proposer for edit in better.edits} <= {"fill"}
        all_of_it = replace(way, only_better=False)
        whatever = refine(index, SCORER, DRAFT, strategy=all_of_it, rounds=1, seed=seed)
        assert [e for e in whatever.edits if e.gain > 0] == list(better.edits)
        gains += [edit.gain for edit in whatever.edits]
    assert min(gains) < 0 < max(gains)


def test_no_more_is_masked_than_its_share_and_what_is_around(index: infgram.Index) -> None:
    for way in (Remask(share=0.1, only_better=False), Schedule(share=0.1)):
        for seed in range(5):
            refined = refine(index, SCORER, DRAFT, strategy=way, rounds=1, seed=seed)
            assert 0 < refined.n_edited <= 0.1 * len(DRAFT) + 2 * way.widen + 1


def test_single_tokens_are_exchanged_where_the_network_is_sure(index: infgram.Index) -> None:
    refined = refine(index, SCORER, DRAFT, strategy="t2t", rounds=1)
    text = np.frombuffer(DRAFT, np.uint8)
    (old,), ((best, prob),) = SCORER.confidence([text]), SCORER.likeliest([text])[:1]
    expected = np.where((old <= 0.05) & (prob >= 0.7), best, text)
    assert refined.token_ids.tolist() == expected.tolist()
    assert refined.n_edited > 0


def test_strategies_that_make_no_sense_are_refused(index: infgram.Index) -> None:
    for wrong in (
        {"words": -1},
        {"commonness": -1},
        {"margin": -0.1},
        {"margin": float("nan")},
        {"n_judged": -1},
    ):
        with pytest.raises(InvalidParameter, match=r"expected .* of at least 0"):
            Editor(**wrong)
    for way in (Remask, Schedule):
        for wrong in ({"share": -0.1}, {"share": 1.1}, {"share": float("nan")}, {"widen": -1}):
            with pytest.raises(InvalidParameter, match=r"expected .* (from 0 to 1|of at least 0)"):
                way(**wrong)
    with pytest.raises(InvalidParameter, match="n_sbis is -1"):
        refine(index, SCORER, DRAFT, strategy=Editor(n_sbis=-1))


# The limit to copying -----------------------------------------------------------------------------


def assert_certified(refined: Refined, documents: list[bytes], max_copy: int) -> None:
    """Every run that is too long is reported, and no other."""
    text = bytes(refined.token_ids.tolist())
    n = max_copy + 1
    too_long = {i for i in range(len(text) - n + 1) if any(text[i : i + n] in d for d in documents)}
    told = {i for begin, end in refined.runs for i in range(begin, end - max_copy)}
    assert told == too_long
    assert refined.longest_run is not None
    assert (refined.longest_run > max_copy) == bool(too_long)


@given(
    st.lists(st.text("ab ", min_size=1, max_size=30), min_size=1, max_size=2),
    st.text("ab ", max_size=6),
    st.lists(st.tuples(st.integers(0, 29), st.integers(0, 20)), max_size=4),
    st.integers(1, 9),
)
@settings(max_examples=examples(80))
def test_no_run_is_longer_than_the_limit_or_it_is_reported(
    memory_folder: Path,
    documents: list[str],
    prompt: str,
    slices: list[tuple[int, int]],
    max_copy: int,
) -> None:
    texts = [document.encode() for document in documents]
    index = make_index(memory_folder / "cap.infgram", [list(text) for text in texts])
    scorer: Any = Bigrams(b"".join(texts))
    draft = b"".join(texts[0][at : at + n] for at, n in slices)
    refined = refine(
        index, scorer, draft, prompt=prompt, rounds=0, max_copy=max_copy, seed=len(draft)
    )
    assert len(refined.token_ids) == len(draft)
    assert_certified(refined, texts, max_copy)
    plain = refine(index, scorer, draft, rounds=0)
    assert plain.edits == () and bytes(plain.token_ids.tolist()) == draft
    if not infgram.refine.certify(index, draft, max_copy=max_copy).runs:
        assert refined.edits == ()


@given(
    st.text("ab", min_size=1, max_size=15),
    st.text("ab", max_size=8),
    st.text("ab", min_size=1, max_size=3),
    st.text("ab", max_size=8),
    st.integers(0, 2),
    st.integers(1, 5),
)
@settings(max_examples=examples(100))
def test_a_candidate_breaks_a_run_if_no_long_one_goes_through_it(
    memory_folder: Path,
    corpus: str,
    before: str,
    new: str,
    behind: str,
    n_prompt: int,
    max_copy: int,
) -> None:
    index = make_index(memory_folder / "breaks.infgram", [list(corpus.encode())])
    n_prompt = min(n_prompt, len(before))
    begin, end = len(before), len(before + new)
    ids = np.array(list((before + "c" * len(new) + behind).encode()), np.uint32)
    text = Text.of(index, ids[:n_prompt], ids[n_prompt:], (), 28)
    candidate = Candidate(np.array(list(new.encode()), np.uint32), "lexicon", None)
    edited = before + new + behind
    firsts = range(max(n_prompt, begin - max_copy), min(end, len(edited) - max_copy))
    runs = [edited[first : first + max_copy + 1] for first in firsts]
    found = Cap(index, max_copy)._breaks(text, (begin, end), candidate)
    assert found == (not any(run in corpus for run in runs))


def test_copies_are_broken_where_words_allow_it(index: infgram.Index) -> None:
    for seed in range(5):
        refined = refine(index, SCORER, CORPUS, rounds=0, max_copy=12, seed=seed)
        assert refined.edits and refined.runs == ()
        assert refined.longest_run is not None and refined.longest_run <= 12
        checked(refined, b"", CORPUS)


def test_the_word_that_breaks_a_run_is_the_one_whose_loss_hurts_least(index: infgram.Index) -> None:
    draft = b"no cat is on the log, and."
    none = np.zeros(0, np.uint32)
    text = Text.of(index, none, np.array(list(draft), np.uint32), (), 28)
    tools = Tools(Proposer(index), SCORER)
    ((edit,),) = Cap(index, 24, n_sbis=0).edit([text], tools, np.random.default_rng(0))
    words = [list(text.words)]
    proposed = tools.propose([text], words, 0, 8, "word", np.random.default_rng(0))
    _, (gains,) = tools.likeliest([text], words, proposed, 1)
    assert len(gains) > 3
    assert gains[words[0].index((edit.start, edit.end))] == max(gains)


def test_a_run_that_cannot_be_broken_is_reported(index: infgram.Index) -> None:
    refined = refine(index, SCORER, CORPUS, max_copy=12, protect="(?s).*", seed=0)
    assert refined.edits == () and refined.n_rounds == 0
    assert refined.runs == ((0, len(CORPUS)),)
    assert refined.longest_run == len(CORPUS)


def test_what_the_prompt_copies_is_not_counted(index: infgram.Index) -> None:
    prompt, draft = CORPUS[:57], CORPUS[57:90]
    inside = refine(index, SCORER, draft[:5], prompt=prompt, rounds=0, max_copy=5, seed=0)
    assert (inside.edits, inside.runs, inside.longest_run) == ((), (), 5)
    refined = refine(index, SCORER, draft, prompt=prompt, rounds=0, max_copy=12, seed=0)
    assert checked(refined, prompt, draft)[:57] == prompt
    assert_certified(refined, [CORPUS, CORPUS[::-1][80:120]], 12)


def test_texts_without_long_runs_are_not_even_judged(index: infgram.Index) -> None:
    class Unasked(Bigrams):
        def log_likelihoods(self, texts: Any) -> Any:
            raise AssertionError("it was asked")

    unasked: Any = Unasked(CORPUS)
    texts = [b"the cat ate the log, the man", b""]
    for max_copy in (20, 10**6):
        for refined in refine_many(index, unasked, texts, rounds=0, max_copy=max_copy):
            assert refined.edits == () and refined.runs == ()
