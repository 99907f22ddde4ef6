"""The playground's core, as WebAssembly: it answers as `Index` does, a seed gives the same text.

It is compiled by zig and asked in Node, without a browser.
"""

from __future__ import annotations

import importlib.util
import random
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import played
import pytest

import infgram
from infgram import native
from infgram.models.calibration import textbook_discounts

PROSE = (
    "to be or not to be, that is the question:\nwhether 'tis nobler in the mind to suffer\n"
    "the slings and arrows of outrageous fortune,\nor to take arms against a sea of troubles\n"
)
CORPORA = {
    "prose": PROSE * 3,
    "one character": "a",
    "one character often": "a" * 500,
    "other characters": "été à la mer, été à la montagne — 海、山、海。\r\n\0" * 5,
    "no order": "".join(random.Random(0).choices("abc\n ", k=900)),
}
CONTEXTS = ["", "q", "a", "e", "not to b", "la m", "été", "海", "abc", "the mind to be or not"]
MODELS = {"sbis-1": 1, "sbis-2": 2, "sbis-3": 3, "kneser-ney": None}


def estimator(model: str) -> infgram.SBIS | infgram.KneserNey:
    k = MODELS[model]
    return infgram.KneserNey() if k is None else infgram.SBIS(k=k)


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """tools/playground.py."""
    sys.path.insert(0, str(played.ROOT / "tools"))
    try:
        spec = importlib.util.spec_from_file_location(
            "playground", played.ROOT / "tools" / "playground.py"
        )
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(played.ROOT / "tools"))


@pytest.fixture(scope="module")
def playground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("node"):
        pytest.skip("needs node, version 20 or newer")
    return played.made(tmp_path_factory.mktemp("playground"))


@pytest.fixture(scope="module", params=CORPORA)
def corpus(request: pytest.FixtureRequest) -> str:
    return CORPORA[request.param]


@pytest.fixture(scope="module")
def index(corpus: str, memory_folder: Path) -> infgram.Index:
    return infgram.build([corpus], memory_folder / "played.infgram", overwrite=True)


def test_all_that_the_page_shares_is_in_it(tool: ModuleType) -> None:
    html = tool.html()
    for part in ('<svg viewBox="', 'id="levels"', 'id="spans"', 'id="settings"', 'id="trace"'):
        assert html.count(part) == 1
    assert "<!-- shared" not in html and tool.POLICY in html
    assert "unsafe-inline" not in html and "style=" not in html and "mixture" not in html


def test_the_sample_is_prose(tool: ModuleType) -> None:
    sample = tool.sample()
    assert 10_000 < len(sample) < 40_000 and sample.isascii()
    assert not any(mark in sample for mark in ("```", "](", "|", "$ "))


def test_it_is_as_small_as_promised(playground: Path) -> None:
    assert sum(path.stat().st_size for path in playground.iterdir()) < 150_000


def test_levels_are_those_of_the_index(
    playground: Path, corpus: str, index: infgram.Index, tmp_path: Path
) -> None:
    questions = [["levels", context] for context in CONTEXTS]
    about, *answers = played.ask(playground, tmp_path, ["index", corpus], *questions)
    assert about["n_tokens"] == index.n_tokens
    for context, answer in zip(CONTEXTS, answers, strict=True):
        read = context.encode()
        expected = [*index.levels(context), (0, index.ntd("").prompt_cnt)]
        shown = answer["levels"]
        assert [(level["n"], level["m"]) for level in shown] == expected
        for level in shown:
            suffix = read[len(read) - level["n"] :]
            assert level["suffix"] == suffix.decode(errors="replace")
            following = index.ntd(suffix).most_common(8)
            assert [tuple(each) for each in level["next"]] == following


def test_spans_are_those_that_attribute_finds(
    playground: Path, corpus: str, index: infgram.Index, tmp_path: Path
) -> None:
    passages = ["", corpus[:300], "xx to be or not to see xx", "aaaa été à la 海、海。 b", "été"]
    asked = [(passage, least) for passage in passages for least in (1, 6)]
    questions = [["spans", *each] for each in asked]
    _, *answers = played.ask(playground, tmp_path, ["index", corpus], *questions)
    for (passage, least), answer in zip(asked, answers, strict=True):
        expected = infgram.attribute(index, passage, min_length=least)
        assert [tuple(run) for run in answer["runs"]] == list(expected.runs())
        shown = [(span["n_tokens"], span["count"]) for span in answer["spans"]]
        assert shown == [(span.n_tokens, span.count) for span in expected.spans]
        for found, span in zip(answer["spans"], expected.spans, strict=True):
            starts = (i for i in range(len(corpus)) if corpus.startswith(span.text, i))
            lines = {corpus.count("\n", 0, start) + 1 for start in starts}
            assert len(found["documents"]) == min(span.count, 3)
            for place in found["documents"]:
                around = place["before"] + place["match"] + place["after"]
                assert place["match"] == span.text and place["line"] in lines
                assert around in corpus


def test_a_seed_gives_the_text_that_it_gives_in_python(
    playground: Path, corpus: str, index: infgram.Index, tmp_path: Path
) -> None:
    asked = [
        (model, prompt, temperature, seed)
        for model in MODELS
        for prompt in ("", "to", "zz €", "été à")
        for temperature, seed in [(0, 0), (0.3, 1), (0.8, 2), (1, 2**40 + 7), (2.5, 3)]
    ]
    questions = []
    for model, *given in asked:
        questions += [
            ["begin", model, *given],
            ["more", model, 70, False],
            ["more", model, 31, True],
        ]
    _, *answers = played.ask(playground, tmp_path, ["index", corpus], *questions)
    models = {model: infgram.Model(index, estimator(model)) for model in MODELS}
    for i, (model, prompt, temperature, seed) in enumerate(asked):
        begun, first, last = answers[3 * i : 3 * i + 3]
        assert begun is None and not last["ended"]
        expected = models[model].generate(
            prompt, seed=seed, temperature=temperature, max_tokens=101
        )
        assert first["text"] + last["text"] == expected.text


def test_kneser_ney_of_a_text_that_the_library_fits_has_textbook_discounts(
    playground: Path, memory_folder: Path, tmp_path: Path
) -> None:
    corpus = "".join(random.Random(1).choices(PROSE.split(" "), k=3000))
    index = infgram.build([corpus], memory_folder / "longer.infgram", overwrite=True)
    exponent, tables = textbook_discounts()
    model = native.KneserNeyModel(
        exponent=exponent,
        corpus=tables,
        live=None,
        n_vocabulary=257,
        n_rows=index.n_tokens + 1,
        cache_bytes=1 << 20,
        wide=None,
    )
    predictor = native.kneser_ney(
        index.cursor("the", window=infgram.KneserNey().window).native, model=model, live_tokens=0
    )
    rng = np.random.default_rng(9)
    how: dict[str, Any] = {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "max_copy": 0}
    sampler = predictor.sampler(temperature=0.8, **how, bit_generators=[rng.bit_generator])
    ((drawn, _),) = sampler.sample(500)
    questions = [["begin", "kneser-ney", "the", 0.8, 9], ["more", "kneser-ney", 500, True]]
    *_, answer = played.ask(playground, tmp_path, ["index", corpus], *questions)
    assert answer["text"] == bytes(drawn.tolist()).decode()


def test_a_trace_is_that_of_the_model(
    playground: Path, corpus: str, index: infgram.Index, tmp_path: Path
) -> None:
    """Of its last byte, behind what stands before."""
    texts = [corpus[:1], corpus[:40], corpus[-9:], "q" + corpus[:1], "not to a"]
    asked = [(model, text) for model in MODELS for text in texts]
    questions = [["trace", model, text] for model, text in asked]
    _, *answers = played.ask(playground, tmp_path, ["index", corpus], *questions)
    for (model, text), answer in zip(asked, answers, strict=True):
        ids = index.ids(text)
        (expected,) = infgram.Model(index, estimator(model)).trace(
            ids[-1:], context=ids[:-1], bos=len(ids) == 1
        )
        assert answer["prob"] == pytest.approx(expected.prob)
        shown = [(level["n"], level["m"], level["share"]) for level in answer["levels"]]
        parts = [
            (level.n, level.m, pytest.approx(level.weight * level.prob / expected.prob))
            for level in expected.levels
            if level.prob > 0
        ]
        assert shown == parts
        match = [each for each in expected.match if each != index.end_of_text]
        if expected.prob > 0:
            assert answer["match"] == index.decode(match)
            assert answer["count"] == index.count(match)


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (["index", ""], "The text is empty: paste one, or open a file."),
        (["index", ["a", (32 << 20) + 1]], "has 33554433 bytes, expected at most"),
        (["begin", "sbis-2", "to", -1, 0], "The temperature is -1, expected 0 to 100."),
        (["begin", "sbis-2", "to", 1, 0.5], "The seed is 0.5, expected a whole number from 0"),
        (["begin", "sbis-2", "to", 1, 2**53], "The seed is 9007199254740992, expected"),
        (["begin", "mix", "to", 1, 0], 'There is no model "mix", expected one of: kneser-ney'),
        (["more", "sbis-3", 5, True], "this model has not begun to write"),
        (["trace", "sbis-2", ""], "there is no character, expected one to trace"),
    ],
)
def test_what_cannot_be_answered_is_said(
    playground: Path, tmp_path: Path, question: list[Any], said: str
) -> None:
    """And the text before is still there."""
    _, refused, answered = played.ask(
        playground, tmp_path, ["index", PROSE], question, ["levels", "not to b"]
    )
    assert said in refused["error"]
    assert answered["levels"][0]["suffix"] == "not to b"


def test_without_a_text_nothing_is_answered(playground: Path, tmp_path: Path) -> None:
    for answer in played.ask(playground, tmp_path, ["levels", "to"], ["begin", "sbis-1", "", 1, 1]):
        assert answer["error"] == "there is no text yet, expected one first"
