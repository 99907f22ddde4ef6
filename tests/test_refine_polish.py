"""Polished text is the draft with words that both sides find better; nothing else is touched."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from test_two_sided import make

import infgram
from infgram.errors import InvalidParameter, NotTwoSided, TokenOutOfRange
from infgram.refine import certify, polish, polish_many, polishing
from infgram.refine.both_sides import BothSides, Rounds
from infgram.refine.polishing import MARGIN, WINDOW
from infgram.refine.words import editable, words_to_edit
from infgram.text.tokens import load

CORPUS = (
    b"KING: the cat sat on the mat and the dog sat on the log.\n"
    b"QUEEN: a man ate the cat that sat on a mat; is the dog on the cot?\n"
    b"KING: no cat is on the log, and a dog is not the man that ate.\n"
    b"KING: a few jinxed puzzles vex my book.\n"
)
DRAFT = b"KING: the cxt sat on tha mat and the dzz ate on the log.\nQUEEN: a mbn is not the dog.\n"


@pytest.fixture(scope="module")
def index(memory_folder: Path) -> infgram.Index:
    documents = [CORPUS, CORPUS[58:] + CORPUS[:58], CORPUS[::-1][80:120]]
    return make(memory_folder / "polish.infgram", documents)


def two_sided_log_prob(index: infgram.Index, text: bytes) -> float:
    """Of the text read forwards and backwards, the mean, by the definition.

    What the corpus never had is as improbable as anything may be: it is to be replaced.
    """
    total = 0.0
    for side, read in ((index, text), (index.backwards, text[::-1])):
        model = infgram.Model(side, infgram.KneserNey(max_order=WINDOW + 1))
        scores = model.score(read)
        log_prob = np.where(model.is_unknown(scores.token_ids), -np.inf, scores.log_prob)
        total += 0.5 * np.maximum(log_prob, np.log(1e-10)).sum()
    return total


def test_what_is_wrong_is_mended(index: infgram.Index) -> None:
    refined = polish(index, DRAFT, seed=0)
    words = refined.text.replace("\n", " ").split()
    assert "cxt" not in words
    assert "mbn" not in words
    assert refined.n_rounds >= 1
    assert refined.n_edited > 0
    assert (refined.longest_run, refined.runs) == (None, ())


def test_a_gain_is_what_both_sides_find_more_probable(index: infgram.Index) -> None:
    prompt = b"KING: xo\n"
    refined = polish(index, DRAFT, prompt=prompt, seed=0)
    text = bytearray(DRAFT)
    before = two_sided_log_prob(index, prompt + text)
    assert len(refined.edits) > 2
    for edit in refined.edits:
        assert bytes(text[edit.start : edit.end]) == bytes(edit.old)
        text[edit.start : edit.end] = bytes(edit.new)
        after = two_sided_log_prob(index, prompt + text)
        assert edit.gain == pytest.approx(after - before, abs=1e-6)
        assert edit.gain > MARGIN
        before = after
    assert bytes(text) == refined.text.encode()


def test_edits_say_where_they_come_from(index: infgram.Index) -> None:
    edits = polish(index, DRAFT, seed=0, max_copy=6).edits
    assert {edit.proposer for edit in edits} <= {"sbis", "lexicon", "exchange"}
    assert any(edit.source_offset is not None for edit in edits)
    for edit in edits:
        if edit.source_offset is not None:
            d, offset = index.locate(edit.source_offset)
            found = index.document(d).token_ids[offset : offset + len(edit.new)]
            assert tuple(found.tolist()) == edit.new


@given(
    st.lists(st.sampled_from(["the", "cat", "dxg", "KING:", "on", " ", "\n", "é", "!", "zz"])),
    st.integers(0, 30),
    st.integers(0, 3),
    st.sampled_from([None, 4, 12]),
    st.integers(0, 2**32),
)
@settings(max_examples=examples(80))
def test_only_words_that_may_be_edited_are(
    index: infgram.Index,
    pieces: list[str],
    n_prompt: int,
    rounds: int,
    max_copy: int | None,
    seed: int,
) -> None:
    text = "".join(pieces).encode()
    prompt, draft = text[:n_prompt], text[n_prompt:]
    options = {"rounds": rounds, "max_copy": max_copy, "protect": ["^[A-Z]+:", "cat"]}
    refined = polish(index, draft, prompt=prompt, seed=seed, **options)
    edited = bytes(refined.token_ids.tolist())
    assert len(edited) == len(draft)
    whole = prompt + edited
    if n_prompt and n_prompt < len(text) and chr(text[n_prompt - 1]).isalpha():
        first = len(draft) - len(draft.lstrip(b"abcdefghijklmnopqrstuvwxyzKING\xc3\xa9"))
        assert edited[:first] == draft[:first]  # it began in the prompt
    for word in (b"KING:", b"cat"):
        begin = -1
        while (begin := text.find(word, begin + 1)) >= 0:
            if word == b"cat" or begin == 0 or text[begin - 1 : begin] == b"\n":
                assert whole[begin : begin + len(word)] == word
    changed = [i for i in range(len(draft)) if edited[i] != draft[i]]
    letters = [chr(draft[i]).isalpha() and draft[i] < 0x80 for i in changed]
    assert all(letters) or (max_copy and {draft[i] for i in changed} <= {*CORPUS})
    assert refined.n_edited == len(changed)
    assert refined.trace.replay().tolist() == refined.token_ids.tolist()
    if rounds == 0 and max_copy is None:
        assert not changed
    again = polish(index, draft, prompt=prompt, seed=seed, **options)
    assert again.token_ids.tolist() == refined.token_ids.tolist()
    assert again.edits == refined.edits
    if max_copy is not None:
        certificate = certify(index, edited, max_copy=max_copy)
        assert (refined.runs, refined.longest_run) == (certificate.runs, certificate.longest_run)


def test_copies_are_broken_where_words_allow_it(index: infgram.Index) -> None:
    for seed in range(5):
        refined = polish(index, CORPUS, rounds=0, max_copy=12, seed=seed)
        assert refined.longest_run is not None
        assert refined.longest_run <= 12
        assert refined.runs == ()
        assert refined.edits


def test_runs_without_words_are_broken_too(memory_folder: Path) -> None:
    code = b"        0, 1, 2, 3, 4, 5, 6, 7, 8, 9,\n        10, 11, 12, 13, 14, 15,\n    )\n" * 3
    index = make(memory_folder / "code.infgram", [code, b"abc: def (ghi) [jkl]; " * 3])
    for seed in range(3):
        refined = polish(index, code[:150], rounds=0, max_copy=12, seed=seed)
        assert refined.runs == () and (refined.longest_run or 99) <= 12
        assert {edit.proposer for edit in refined.edits} == {"exchange"}
        marks = {*code, *b": ()[]; "} - set(b"abcdefghijkl")
        assert {*refined.token_ids.tolist()} <= marks
    untouched = polish(index, code[:150], rounds=3, margin=0.0, seed=0)
    assert untouched.edits == ()


def test_runs_that_cannot_be_broken_are_reported(index: infgram.Index) -> None:
    refined = polish(index, CORPUS, rounds=0, max_copy=12, protect="(?s).*", seed=0)
    assert refined.edits == ()
    assert refined.runs == ((0, len(CORPUS)),)
    assert refined.longest_run == len(CORPUS)


def test_what_the_prompt_copies_is_not_counted(index: infgram.Index) -> None:
    refined = polish(index, CORPUS[57:60], prompt=CORPUS[:57], rounds=0, max_copy=5, seed=0)
    assert refined.edits == ()
    assert refined.runs == ()


def test_a_text_depends_on_the_seed_and_its_number_alone(index: infgram.Index) -> None:
    some = polish_many(index, [DRAFT, DRAFT, CORPUS], prompts=["", "KING:", ""], seed=5)
    others = polish_many(index, [DRAFT[:20], DRAFT], prompts=["x", "KING:"], seed=5)
    assert some[1].token_ids.tolist() == others[1].token_ids.tolist()
    assert some[1].edits == others[1].edits
    assert polish_many(index, [DRAFT], seed=5)[0].text == some[0].text
    assert polish_many(index, [], seed=5) == []


def test_texts_without_words_stay_as_they_are(index: infgram.Index) -> None:
    for text in (b"", b" ", b"...\n", b"a", b"\xff\xfe \x80", "é ".encode() * 3):
        refined = polish(index, text, seed=0, max_copy=3)
        assert bytes(refined.token_ids.tolist()) == text


def test_a_higher_margin_edits_less(index: infgram.Index) -> None:
    n = [len(polish(index, DRAFT, margin=margin, rounds=1, seed=0).edits) for margin in (0, 6, 99)]
    assert n[0] >= n[1] >= n[2] == 0


@pytest.mark.parametrize("shard_tokens", [200, 10**6])
def test_characters_and_shards_are_polished_too(memory_folder: Path, shard_tokens: int) -> None:
    """With many characters, codes have 16 bits."""
    tokenizer = load("chars")
    corpus = "うみ と そら と うみ の いろ。"
    documents = [corpus * 4, "".join(map(chr, range(0x4E00, 0x4E00 + 150))), corpus * 8]
    documents.append("".join(map(chr, range(0x4E00 + 150, 0x4E00 + 300))))
    index = make(
        memory_folder / "chars.infgram",
        [tokenizer.encode(document) for document in documents],
        tokenizer=tokenizer,
        shard_tokens=shard_tokens,
    )
    refined = polish(index, "うみ と うみ の いそ。うみ ", seed=0)
    assert refined.text == "うみ と うみ の いろ。うみ "
    assert polish(index, corpus, rounds=0, max_copy=9, seed=0).longest_run <= 9


def test_what_cannot_be_polished_is_refused(index: infgram.Index, memory_folder: Path) -> None:
    one_sided = make(memory_folder / "one.infgram", [CORPUS], two_sided=False)
    with pytest.raises(NotTwoSided, match="--two-sided"):
        polish(one_sided, DRAFT)
    ids = make(memory_folder / "i.infgram", [[1, 2]], tokenizer=load("ids", vocab_size=9))
    with pytest.raises(InvalidParameter, match="expected bytes or characters"):
        polish(ids, [1, 2])
    for wrong in ({"rounds": -1}, {"rounds": 1.5}, {"margin": -1}, {"margin": float("nan")}):
        with pytest.raises(InvalidParameter, match="expected a"):
            polish(index, DRAFT, **wrong)
    for wrong in ({"max_copy": 0}, {"max_copy": 1.5}, {"seed": -1}, {"seed": "x"}):
        with pytest.raises(InvalidParameter, match="expected a"):
            polish(index, DRAFT, **wrong)
    with pytest.raises(InvalidParameter, match="no regular expression"):
        polish(index, DRAFT, protect="(")
    with pytest.raises(InvalidParameter, match="a prompt for each"):
        polish_many(index, [DRAFT], prompts=[])
    with pytest.raises(InvalidParameter, match="a prompt for each"):
        polish_many(index, "text")
    with pytest.raises(TokenOutOfRange):
        polish(index, [300])


def test_polishing_needs_no_network() -> None:
    script = "import sys, infgram.refine; print({'torch', 'click'} & set(sys.modules))"
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert found[-1] == "set()"


# The mixture as the judge -------------------------------------------------------------------------


def test_the_core_edits_as_the_definition_does(
    index: infgram.Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing drawn, and with Kneser-Ney for both.

    The core leaves out a candidate that the text before it speaks against by 12 nats more than the
    best one needs, so it may find less in a word.
    """
    monkeypatch.setattr(polishing, "_N_SBIS", 0)
    ids = index.ids(DRAFT).astype(np.uint32)
    words = [(int(b), int(e)) for b, e in words_to_edit(index, ids, editable(index, ids))]
    estimator = infgram.KneserNey(max_order=WINDOW + 1)
    how = Rounds(1, polishing._SHARE, MARGIN, 0, polishing._N_LEXICON)
    edited = ids.copy()
    edits = list(BothSides(index, estimator).edit(edited, words, how, np.random.default_rng(0)))
    core = polish(index, DRAFT, rounds=1).edits
    assert len(core) > 2
    assert [edit.start for edit in core] == [edit.start for edit in edits]
    same = [mine for mine, theirs in zip(edits, core, strict=True) if mine.new == theirs.new]
    assert len(same) >= len(core) - 1
    for mine, theirs in zip(edits, core, strict=True):
        assert theirs.gain <= mine.gain + 1e-6
        if mine in same:
            assert theirs.gain == pytest.approx(mine.gain, abs=1e-6)
            # the same word may stand in many places
            assert replace(theirs, gain=mine.gain, source_offset=mine.source_offset) == mine


@pytest.mark.parametrize("max_copy", [None, 10])
def test_the_mixture_mends_what_is_wrong(index: infgram.Index, max_copy: int | None) -> None:
    prompt = b"KING: xo\n"
    options = {"prompt": prompt, "judge": "mix", "seed": 0, "max_copy": max_copy, "margin": 1.0}
    refined = polish(index, DRAFT, protect="dzz", **options)
    assert "cxt" not in refined.text and "mbn" not in refined.text
    assert "dzz" in refined.text
    assert refined.trace.replay().tolist() == refined.token_ids.tolist()
    assert refined.trace.settings["judge"] == "mix"
    assert [edit.round for edit in refined.edits] == sorted(edit.round for edit in refined.edits)
    for edit in refined.edits:
        assert edit.gain > 1.0 or edit.round == refined.edits[-1].round
    assert polish(index, DRAFT, protect="dzz", **options).edits == refined.edits
    if max_copy:
        assert refined.longest_run is not None and refined.runs == ()


def test_a_judge_that_is_none_is_named(index: infgram.Index) -> None:
    with pytest.raises(InvalidParameter, match="judge is 'sbis', expected"):
        polish(index, DRAFT, judge="sbis")
