"""Filling holes: the notation against its inverse, the judgement against counting by hand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import lines, run
from conftest import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import infgram
from infgram.errors import InvalidParameter, RefinerMismatch
from infgram.refine.infilling import Infilled, infill
from infgram.refine.pattern import LENGTHS, MAX_LENGTH, Hole, Pattern, parse
from infgram.refine.vocabulary import Vocabulary

CORPUS = b"to be or not to be, that is the question\n" * 5 + b"not {so}\n"


class Counts:
    """Judges a token by its two neighbours, as often as the corpus has all three together."""

    def __init__(self, known: bytes = CORPUS, window: int = 144) -> None:
        self.vocabulary = Vocabulary("bytes", tuple(sorted(set(known))))
        self.window = window
        padded = b"\0" + CORPUS + b"\0"
        self.triples = Counter(zip(padded, padded[1:], padded[2:], strict=False))
        self.pairs = Counter(zip(padded, padded[2:], strict=False))
        self.usual = -sum(self.nats(CORPUS, i) for i in range(len(CORPUS))) / len(CORPUS)
        self.metadata = {"val_loss": {"0.15": self.usual}}

    def nats(self, text: Sequence[int], at: int) -> float:
        before = text[at - 1] if at else 0
        behind = text[at + 1] if at + 1 < len(text) else 0
        n = self.triples[before, text[at], behind]
        return log((n + 0.1) / (self.pairs[before, behind] + 0.1 * len(self.vocabulary)))

    def masked_scores(self, texts: Any, spans: Any, candidates: Any) -> Any:
        return self.pll(texts, spans, candidates, halo=0)

    def pll(self, texts: Any, spans: Any, candidates: Any, *, halo: int) -> Any:
        found = []
        for text, ((begin, end),), (own,) in zip(texts, spans, candidates, strict=True):
            assert end - begin + 2 * halo <= self.window
            scores = []
            for each in own:
                assert len(each) == end - begin
                whole = [*text[:begin].tolist(), *each.tolist(), *text[end:].tolist()]
                judged = range(max(begin - halo, 0), min(end + halo, len(whole)))
                scores.append(sum(self.nats(whole, i) for i in judged))
            found.append([np.array(scores)])
        return found

    def fill(
        self,
        texts: Any,
        holes: Any,
        *,
        steps: int,
        temperature: float,
        seed: np.random.Generator,
    ) -> list[NDArray[np.uint32]]:
        filled = []
        for text, hole in zip(texts, holes, strict=True):
            new = text.copy()
            new[hole] = seed.choice(self.vocabulary.token_ids, int(hole.sum()))
            filled.append(new)
        return filled


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> infgram.Index:
    folder = tmp_path_factory.mktemp("infill")
    (folder / "corpus.txt").write_bytes(CORPUS)
    return infgram.build(folder / "corpus.txt", folder / "corpus.infgram", two_sided=True)


# the notation -------------------------------------------------------------------------------------

holes = st.tuples(st.integers(1, MAX_LENGTH), st.integers(1, MAX_LENGTH)).map(sorted)


@settings(max_examples=examples(200))
@given(
    texts=st.lists(st.text("ab{} .", max_size=8), min_size=2, max_size=5),
    given_holes=st.lists(st.none() | holes, min_size=4, max_size=4),
)
def test_a_pattern_is_read_as_it_is_written(texts: list[str], given_holes: list[Any]) -> None:
    written, expected = "", []
    for i, text in enumerate(texts):
        if i:
            lengths = given_holes[i - 1]
            expected.append(Hole(*(lengths or LENGTHS), len(written)))
            low, high = lengths or LENGTHS
            form = (
                "{}" if lengths is None else f"{{{low}}}" if low == high else f"{{{low}..{high}}}"
            )
            written += form
        written += text.replace("{", "{{").replace("}", "}}")
    # "{{}}" beside a hole can be read in more than one way; it is read from left to right
    if "{{{" in written or "}}}" in written:
        return
    assert parse(written) == Pattern(tuple(texts), tuple(expected))


@pytest.mark.parametrize(
    ("pattern", "where", "message"),
    [
        ("no hole {{8}}", None, "has no hole to fill"),
        ("", None, "has no hole to fill"),
        ("to be, {8 that", 8, "a { without its }"),
        ("to be} or {8}", 6, "a } without its {"),
        ("a {eight} b", 3, "neither a length nor a range"),
        ("a {8..} b", 3, "neither a length nor a range"),
        ("a {-1} b", 3, "neither a length nor a range"),
        ("a {0} b", 3, "a hole of length 0"),
        ("a {0..4} b", 3, "a hole of length 0"),
        ("a {9..4} b", 3, "an empty range"),
        ("a {1..65} b", 3, "too long, expected at most 64"),
        ("a {1..99999999999999999999999} b", 3, "too long, expected at most 64"),
    ],
)
def test_a_malformed_pattern_is_told_where_and_what_was_expected(
    pattern: str, where: int | None, message: str
) -> None:
    with pytest.raises(InvalidParameter, match=r"a hole is \{\}, \{8\} or \{8\.\.14\}") as caught:
        parse(pattern)
    assert message in str(caught.value)
    if where:
        assert f"character {where} of the pattern" in str(caught.value)


# filling ------------------------------------------------------------------------------------------


def check(pattern: str, found: list[Infilled]) -> None:
    """Every result is the pattern with its holes filled in lengths that it allows."""
    parsed = parse(pattern)
    for each in found:
        at, expected = 0, ""
        for literal, hole, filled in zip(parsed.texts, parsed.holes, each.holes, strict=False):
            expected += literal
            assert (
                filled.begin == len(expected)
                and filled.text == each.text[filled.begin : filled.end]
            )
            assert hole.least <= filled.end - filled.begin <= hole.most
            expected += filled.text
            at = filled.end
        assert each.text == expected + parsed.texts[-1] and at <= len(each.text)
        assert bytes(each.token_ids.tolist()).decode() == each.text
    assert len({each.text for each in found}) == len(found)
    scores = [each.score for each in found]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("pattern", "best"),
    [
        ("or {1..5} to be", "or not to be"),
        ("to be or {3} to be, that is", "to be or not to be, that is"),
        ("to be, {2..6} is the qu", "to be, that is the qu"),
        ("not {{{2}}}", "not {so}"),
    ],
)
def test_the_word_of_the_corpus_is_found_whatever_the_length(
    index: infgram.Index, pattern: str, best: str
) -> None:
    found = infill(pattern, index, Counts(), seed=0)
    check(pattern, found)
    assert found[0].text == best


def test_several_holes_are_filled(index: infgram.Index) -> None:
    pattern = "{2} be or {2..4} to {}, that is"
    found = infill(pattern, index, Counts(), n=3, seed=0)
    check(pattern, found)
    assert len(found) == 3
    assert found[0].text == "to be or not to be, that is"


def test_holes_may_be_all_there_is(index: infgram.Index) -> None:
    for pattern in ("{3}", "{1..2}{2}", "a{2}", "{2}a"):
        check(pattern, infill(pattern, index, Counts(), seed=0))


@settings(max_examples=examples(20))
@given(seed=st.integers(0, 2**32), n=st.integers(1, 9))
def test_the_same_seed_fills_the_same(index: infgram.Index, seed: int, n: int) -> None:
    first, second = (infill("to {1..3} or", index, Counts(), n=n, seed=seed) for _ in range(2))
    assert [(each.text, each.score) for each in first] == [
        (each.text, each.score) for each in second
    ]
    assert len(first) == n
    more = infill("to {1..3} or", index, Counts(), n=n + 1, seed=seed)
    assert [each.text for each in more[:n]] == [each.text for each in first]


def test_a_score_is_that_of_the_hole_and_what_is_around_it_with_a_credit_for_length(
    index: infgram.Index,
) -> None:
    judge = Counts()
    for each in infill("or {1..5} to be, that is the question", index, judge, seed=1):
        (hole,) = each.holes
        text = each.text.encode()
        judged = range(max(hole.begin - 10, 0), hole.end + 10)
        assert each.score == pytest.approx(
            sum(judge.nats(text, i) for i in judged)
            + (hole.end - hole.begin) * judge.usual / 4
            - 3 * (hole.proposer == "fill")
        )


def test_a_hole_within_a_word_takes_no_words_of_the_lexicon(index: infgram.Index) -> None:
    for pattern, takes in (("to {2} or", True), ("qu{2}tion", False), ("to {2}t", False)):
        found = infill(pattern, index, Counts(), n=99, seed=0)
        proposers = {hole.proposer for each in found for hole in each.holes}
        assert ("lexicon" in proposers) == takes


def test_a_network_that_knows_better_than_the_index_is_heard(
    index: infgram.Index,
) -> None:
    class Writes(Counts):
        def fill(self, texts: Any, holes: Any, **_: Any) -> Any:
            return [np.where(hole, ord("q"), text) for text, hole in zip(texts, holes, strict=True)]

        def nats(self, text: Sequence[int], at: int) -> float:
            return 9.0 * (text[at] == ord("q"))

    (best,) = infill("to {2} or", index, Writes(), n=1, seed=0)
    assert (best.text, best.holes[0].proposer) == ("to qq or", "fill")


def test_what_the_refiner_does_not_know_is_named(index: infgram.Index) -> None:
    for unknown in ("X", "é"):
        with pytest.raises(InvalidParameter, match=f"has {unknown!r}, which the refiner does not"):
            infill(f"to {unknown} {{2}}", index, Counts())


def test_a_refiner_of_other_tokens_is_refused(index: infgram.Index) -> None:
    with pytest.raises(RefinerMismatch):
        infill("to {2}", index, Counts(known=b"to be"))


def test_a_hole_that_the_refiner_cannot_see_at_once_is_refused(index: infgram.Index) -> None:
    with pytest.raises(InvalidParameter, match=r"character 4 .* expected at most 8: .* sees 28"):
        infill("to {4..9} or", index, Counts(window=28))
    check("to {4..8} or", infill("to {4..8} or", index, Counts(window=28), seed=0))


def test_fewer_than_one_result_is_refused(index: infgram.Index) -> None:
    with pytest.raises(InvalidParameter, match="n is 0"):
        infill("{2}", index, Counts(), n=0)


# the command --------------------------------------------------------------------------------------


@pytest.fixture
def command(index: infgram.Index, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr("infgram_cli.infill.open_refiner", lambda path, device: Counts())
    return ["infill", "or {1..5} to be", "-i", str(index.path), "--refiner", "r", "--seed", "0"]


def test_the_best_fillings_are_listed_first(command: list[str]) -> None:
    listed = run(*command, "-n", "2").stdout.splitlines()
    assert len(listed) == 3 and listed[0].split() == ["nats", "by", "text"]
    assert listed[1].rstrip().endswith("or not to be")


def test_json_has_a_line_a_result(command: list[str], index: infgram.Index) -> None:
    records = lines(run(*command, "-n", "2", "--json"))
    found = infill("or {1..5} to be", index, Counts(), n=2, seed=0)
    assert [(r["text"], r["score"]) for r in records] == [(f.text, f.score) for f in found]
    assert records[0]["holes"] == [
        {"begin": 3, "end": 6, "text": "not", "proposer": found[0].holes[0].proposer}
    ]


def test_the_command_reads_escapes(command: list[str]) -> None:
    command[1] = r"question\n{3} be"
    records = lines(run(*command, "-e", "--json"))
    assert all(json.dumps(r["text"]).startswith(r'"question\n') for r in records)


def test_a_malformed_pattern_is_an_error_before_anything_is_opened() -> None:
    result = run("infill", "to be {8", "-i", "none", "--refiner", "none", exit_code=2)
    assert "character 7 of the pattern" in result.stderr
    assert not Path("none").exists()
