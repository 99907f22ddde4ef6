"""Refining is rounds of a strategy and a limit to copying, the same from the same seed."""

from __future__ import annotations

import doctest
import importlib
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import make_index
from refiner import Bigrams, train_tiny
from test_refine_polish import CORPUS, DRAFT

import infgram
from infgram.errors import (
    InvalidParameter,
    MissingExtra,
    RefinerMismatch,
    TokenOutOfRange,
    UndecodableText,
)
from infgram.extras import how_to_install
from infgram.refine import Editor, Refined, Remask, Trace, certify, refine, refine_many
from infgram.refine.strategies import STRATEGIES
from infgram.text.tokens import load

SCORER: Any = Bigrams(CORPUS)


@pytest.fixture(scope="module")
def index(memory_folder: Path) -> infgram.Index:
    return make_index(memory_folder / "rewrite.infgram", [list(CORPUS), list(CORPUS[::-1][80:120])])


def raw(refined: Refined) -> bytes:
    return bytes(refined.token_ids.tolist())


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_same_seed_gives_the_same(index: infgram.Index, name: str) -> None:
    texts, how = [DRAFT, DRAFT[:30]], {"strategy": name, "max_copy": 15, "rounds": 3}
    first, again = (refine_many(index, SCORER, texts, seed=7, **how) for _ in range(2))
    by_generator = refine_many(index, SCORER, texts, seed=np.random.default_rng(7), **how)
    assert [r.edits for r in first] == [r.edits for r in again] == [r.edits for r in by_generator]
    assert [r.trace.settings.get("seed") for r in (*first, *by_generator)] == [7, 7, None, None]
    assert first[0].edits


def test_a_strategy_is_chosen_by_name_or_made(index: infgram.Index) -> None:
    for name, way in STRATEGIES.items():
        named = refine(index, SCORER, DRAFT, strategy=name, seed=1)
        assert named.edits == refine(index, SCORER, DRAFT, strategy=way(), seed=1).edits
        assert named.trace.settings["strategy"] == repr(way())
    assert (
        refine(index, SCORER, DRAFT, seed=1).edits
        == refine(index, SCORER, DRAFT, strategy="editor", rounds=2, seed=1).edits
    )


def test_rounds_end_where_nothing_is_left_to_edit(index: infgram.Index) -> None:
    refined = refine(index, SCORER, DRAFT, rounds=10**9, seed=0)
    assert sorted({edit.round for edit in refined.edits}) == list(range(refined.n_rounds))
    none = refine(index, SCORER, DRAFT, rounds=0, seed=0)
    assert (raw(none), none.edits, none.n_rounds, none.n_edited) == (DRAFT, (), 0, 0)
    assert (none.longest_run, none.runs) == (None, ())


def test_rounds_of_the_limit_come_after_the_others(index: infgram.Index) -> None:
    way = Editor(words=99, margin=0.5)
    plain = refine(index, SCORER, DRAFT, strategy=way, seed=0)
    refined = refine(index, SCORER, DRAFT, strategy=way, max_copy=5, seed=0)
    assert refined.edits[: len(plain.edits)] == plain.edits
    assert all(edit.round >= plain.n_rounds for edit in refined.edits[len(plain.edits) :])
    assert len(refined.edits) > len(plain.edits)
    found = certify(index, refined.token_ids, max_copy=5)
    assert (refined.longest_run, refined.runs) == (found.longest_run, found.runs)


def test_texts_of_a_call_are_refined_as_each_is_alone(index: infgram.Index) -> None:
    """Where nothing is drawn."""
    way = Editor(words=99, margin=0.5, n_sbis=0)
    texts = [DRAFT, b"", DRAFT[:17], b"a", DRAFT + DRAFT, b"..."]
    prompts = [b"", b"", b"KING: no ", b"the ", b"the c", b"KING:"]
    together = refine_many(index, SCORER, texts, prompts=prompts, strategy=way)
    for text, prompt, found in zip(texts, prompts, together, strict=True):
        alone = refine(index, SCORER, text, prompt=prompt, strategy=way)
        assert found.edits == alone.edits
        assert (raw(found), found.text, found.n_rounds) == (raw(alone), alone.text, alone.n_rounds)
        assert bytes(found.trace.token_ids.tolist()) == text
    assert refine_many(index, SCORER, []) == refine_many(index, SCORER, [], prompts=[]) == []


@pytest.mark.parametrize("name", STRATEGIES)
def test_texts_without_words_keep_their_length(index: infgram.Index, name: str) -> None:
    for text in (b"", b" ", b"a", b"\x07", b"\xff\xfe \x80", b"cxt", "é ".encode() * 3, b"...\n"):
        for prompt in (b"", b"no c", b"\xc3"):
            refined = refine(index, SCORER, text, prompt=prompt, strategy=name, max_copy=3, seed=0)
            assert len(refined.token_ids) == len(text)
            assert all(np.isfinite(edit.gain) for edit in refined.edits)


def test_tokens_that_nobody_knows_do_not_keep_words_from_being_mended(
    index: infgram.Index,
) -> None:
    draft = "\x07\x07 the cxt \x07 sat on tha\x07 mbt\x07 the cét and the cxt ".encode()
    refined = refine(index, SCORER, draft, strategy=Editor(words=99, margin=1.0), seed=0)
    assert {(edit.start, bytes(edit.old)) for edit in refined.edits} == {
        *((draft.index(b"cxt"), b"cxt"), (draft.rindex(b"cxt"), b"cxt"))
    }
    assert refined.n_unjudged == 5 + len("tha" + "mbt" + "cét")


def test_words_longer_than_the_network_sees_are_left_alone(index: infgram.Index) -> None:
    n = SCORER.window - 20
    for length in (n, n + 1, 300):
        draft = b"the " + b"x" * length + b" cxt sat"
        refined = refine(index, SCORER, draft, strategy=Editor(words=99, margin=0.0), seed=0)
        assert raw(refined)[4 : 4 + length] == b"x" * length
        assert len(refined.edits) == (b"cxt" not in raw(refined))


def test_characters_are_refined_too(memory_folder: Path) -> None:
    tokenizer = load("chars")
    corpus = "うみ と そら と うみ の いろ。"
    ids = tokenizer.encode(corpus * 8)
    index = make_index(memory_folder / "kana.infgram", [ids], tokenizer=tokenizer)
    scorer: Any = Bigrams(ids, "chars")
    refined = refine(index, scorer, "うみ と うみ の いそ。うみ ", rounds=3, seed=0)
    assert refined.text == "うみ と うみ の いろ。うみ "
    for text, prompt in ((b"\xff", ""), ("", b"\xff")):
        with pytest.raises(UndecodableText):
            refine(index, scorer, text, prompt=prompt)


def test_a_trace_is_kept_whatever_numbers_it_was_asked_with(
    index: infgram.Index, tmp_path: Path
) -> None:
    refined = refine(
        index, SCORER, DRAFT, rounds=np.int64(2), max_copy=np.int32(15), seed=np.uint8(3)
    )
    refined.trace.save(tmp_path / "trace.jsonl")
    trace = Trace.load(tmp_path / "trace.jsonl")
    assert bytes(trace.replay().tolist()) == raw(refined)
    assert trace.edits == refined.edits
    assert trace.settings == {
        **{"tokenizer": "bytes", "strategy": repr(Editor()), "rounds": 2, "max_copy": 15},
        **{"protect": [], "seed": 3},
    }


def test_a_draft_is_not_harmed(index: infgram.Index) -> None:
    draft = np.frombuffer(DRAFT, np.uint8).astype(np.uint32)
    refined = refine(index, SCORER, draft, strategy=Remask(only_better=False), seed=0)
    assert refined.n_edited and draft.tolist() == list(DRAFT) == refined.trace.token_ids.tolist()
    other: Any = Bigrams(b"abc")
    characters: Any = Bigrams(np.frombuffer(CORPUS, np.uint8), "chars")
    for scorer in (other, characters):
        with pytest.raises(RefinerMismatch, match="infgram refine train"):
            refine(index, scorer, draft)
    assert draft.tolist() == list(DRAFT)


def test_what_cannot_be_refined_is_refused(index: infgram.Index) -> None:
    with pytest.raises(InvalidParameter, match="'spell', expected one of: editor, remask"):
        refine(index, SCORER, DRAFT, strategy="spell")
    for wrong in ({"rounds": -1}, {"rounds": 1.5}, {"max_copy": 0}, {"seed": -1}, {"seed": "x"}):
        with pytest.raises(InvalidParameter, match="expected a"):
            refine(index, SCORER, DRAFT, **wrong)
    with pytest.raises(InvalidParameter, match="no regular expression"):
        refine(index, SCORER, DRAFT, protect="(")
    for texts, prompts in (([DRAFT], []), ("ab", None), (["a", "b"], "ab")):
        with pytest.raises(InvalidParameter, match="a prompt for each"):
            refine_many(index, SCORER, texts, prompts=prompts)
    with pytest.raises(TokenOutOfRange):
        refine(index, SCORER, [300])


def test_a_scorer_without_torch_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "infgram.refine.network.score", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=re.escape(how_to_install("refine"))):
        infgram.refine.Scorer


# With a network -----------------------------------------------------------------------------------

DEMO = b"to be or not to be\nbe"


@pytest.fixture(scope="module")
def demo_refiner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch", reason="needs torch, the extra `refine`")
    pytest.importorskip("safetensors", reason="needs safetensors, the extra `refine`")
    path: Path = tmp_path_factory.mktemp("demo") / "demo.safetensors"
    train_tiny(np.frombuffer(DEMO * 200, np.uint8), path)
    return path


@pytest.mark.torch
def test_the_docstrings_examples_run(demo_refiner: Path) -> None:
    rewrite = importlib.import_module("infgram.refine.rewrite")
    result = doctest.testmod(rewrite, extraglobs={"demo_refiner": demo_refiner})
    assert result.failed == 0 and result.attempted > 0


@pytest.mark.torch
def test_a_gain_is_what_the_network_finds_more_probable(
    demo_refiner: Path, memory_folder: Path
) -> None:
    index = make_index(memory_folder / "demo.infgram", [list(DEMO)])
    scorer = infgram.refine.Scorer(demo_refiner, device="cpu", threads=1)
    prompt, draft = b"to be or not ", b"to te or not "
    way = Editor(margin=1.0)
    (edit,) = refine(index, scorer, draft, prompt=prompt, strategy=way, rounds=1, seed=0).edits
    begin, end = (at + len(prompt) for at in (edit.start, edit.end))
    text = prompt + draft
    edited = text[:begin] + bytes(edit.new) + text[end:]
    both = [np.frombuffer(each, np.uint8) for each in (text, edited)]
    likely = [np.maximum(each, np.log(1e-10)) for each in scorer.log_likelihoods(both)]
    before, after = (each[begin - 10 : end + 10].sum() for each in likely)
    assert edit.gain == pytest.approx(after - before, abs=1e-3)
    assert edit.gain > way.margin


@pytest.mark.torch
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_network_refines_texts_of_any_length(
    demo_refiner: Path, memory_folder: Path, name: str
) -> None:
    index = make_index(memory_folder / "demo.infgram", [list(DEMO)])
    scorer = infgram.refine.Scorer(demo_refiner, device="cpu", threads=1)
    texts = [b"", b"x", b"to te or not ", b"to be \x07r not ro be " * 20, b"x" * 50 + b" te or "]
    prompts = [b"", b"to ", b"", b"to be\nb", b"not"]
    how: dict[str, Any] = {"prompts": prompts, "strategy": name, "max_copy": 9, "seed": 2}
    found = refine_many(index, scorer, texts, **how)
    assert [r.edits for r in found] == [r.edits for r in refine_many(index, scorer, texts, **how)]
    for text, refined in zip(texts, found, strict=True):
        assert len(refined.token_ids) == len(text)
        assert bytes(refined.trace.replay().tolist()) == raw(refined)
        certificate = certify(index, refined.token_ids, max_copy=9)
        assert refined.runs == certificate.runs
        assert all(np.isfinite(edit.gain) for edit in refined.edits)
    assert found[3].edits or name == "t2t"  # which has to be surer than this network is
