"""Suspicion of characters and words, from a detector that suspects as it is told."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import run
from conftest import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import infgram
from infgram.errors import InvalidParameter, UndecodableText
from infgram.pages.heat import heat_page, level
from infgram.refine.linting import Lint, lint
from infgram.refine.vocabulary import Vocabulary


class Suspects:
    """Suspects a token as much as its id says: id 0 not at all, id 99 nearly with certainty."""

    def __init__(self, tokenizer: str = "bytes", known: Sequence[int] = range(256)) -> None:
        self.vocabulary = Vocabulary(tokenizer, tuple(sorted(known)))

    def suspicion(
        self, texts: Sequence[NDArray[Any]], index: infgram.Index | None = None
    ) -> list[NDArray[np.float32]]:
        if index is not None:  # what it has is suspicious
            return [index.match_lengths(text) / np.float32(9) for text in texts]
        return [(np.asarray(text) % 100 / 100).astype(np.float32) for text in texts]


def of_byte(byte: int) -> float:
    return byte % 100 / 100


# the library --------------------------------------------------------------------------------------


@settings(max_examples=examples(100))
@given(text=st.text("aé語𝒜'’ 1_\n-", max_size=40))
def test_characters_and_words_are_as_suspicious_as_their_bytes(text: str) -> None:
    found = lint(text, Suspects())
    assert found.text == text
    each = [max(of_byte(byte) for byte in character.encode()) for character in text]
    assert found.suspicion.tolist() == pytest.approx(each)
    at, expected = 0, []
    for in_word, run_ in groupby(text, lambda c: c.isalpha() or c in "'’"):
        word = "".join(run_)
        if in_word and any(c.isalpha() for c in word):
            before = text[:at]
            mean = sum(each[at : at + len(word)]) / len(word)
            line, column = before.count("\n") + 1, at - (before.rfind("\n") + 1) + 1
            expected.append((word, at, at + len(word), line, column, pytest.approx(mean, abs=1e-6)))
        at += len(word)
    words = [(w.text, w.begin, w.end, w.line, w.column, w.suspicion) for w in found.words]
    assert words == expected


@settings(max_examples=examples(50))
@given(raw=st.binary(max_size=30))
def test_every_byte_that_is_not_utf8_is_a_character(raw: bytes) -> None:
    found = lint(raw, Suspects())
    assert len(found.text) == len(found.suspicion)
    assert found.text.replace("\ufffd", "") == raw.decode(errors="ignore").replace("\ufffd", "")
    single = [c.encode("utf-8", "surrogateescape") for c in raw.decode("utf-8", "surrogateescape")]
    assert found.suspicion.tolist() == pytest.approx([max(map(of_byte, c)) for c in single])


def test_the_worst_words_come_first_and_equal_ones_as_they_stand() -> None:
    found = lint("ba ab zz aa", Suspects())
    assert [word.text for word in found.worst(3)] == ["ba", "ab", "aa"]
    assert len(found.worst(9)) == 4 and found.worst(0) == []
    with pytest.raises(InvalidParameter, match="n is -1"):
        found.worst(-1)


def test_what_the_refiner_does_not_know_is_suspicious_with_certainty() -> None:
    assert lint("ad", Suspects(known=b"abc")).suspicion.tolist() == [pytest.approx(0.97), 1]


def test_characters_are_judged_by_a_refiner_of_characters() -> None:
    found = lint("né", Suspects("chars", [ord("n"), ord("é")]))
    assert found.suspicion.tolist() == pytest.approx([0.10, 0.33])
    with pytest.raises(UndecodableText):
        lint(b"n\xff", Suspects("chars", [ord("n")]))


def test_an_empty_text_has_nothing_suspicious() -> None:
    found = lint("", Suspects())
    assert (found.text, len(found.suspicion), found.words) == ("", 0, ())


# the page -----------------------------------------------------------------------------------------


def test_the_page_shades_each_character_by_its_level_and_fetches_nothing() -> None:
    suspicion = np.array([0.0, 0.19, 0.2, 0.45, 0.6, 0.99, 1.0], np.float32)
    page = heat_page(Lint("<script", suspicion, ()), name="<i>&")
    (text,) = re.findall(r"<pre>(.*?)</pre>", page, re.S)
    assert (
        text == "&lt;s<b class='h1'>c</b><b class='h2'>r</b><b class='h3'>i</b><b class='h4'>pt</b>"
    )
    assert "<i>" not in page and "&lt;i&gt;&amp;" in page
    assert not re.search(r"url\(|@import|https?:|src=|<script", page)


@given(st.floats(0, 1))
def test_a_level_is_a_fifth(suspicion: float) -> None:
    assert level(suspicion) == sum(suspicion >= least for least in (0.2, 0.4, 0.6, 0.8))


# the command --------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def fake_refiner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("infgram_cli.lint.open_refiner", lambda path, device: Suspects())
    Path("text.txt").write_text("dc <b>\nba xy\n")


def test_an_index_is_used_where_one_is_named_and_none_is_searched_for(tmp_path: Path) -> None:
    infgram.build(tmp_path / "text.txt", tmp_path / "only.infgram")
    arguments = ["lint", "text.txt", "--refiner", "r", "--format", "json"]
    alone, told = (
        json.loads(run(*arguments, *index).stdout)["suspicion"]
        for index in ([], ["-i", "only.infgram"])
    )
    assert alone == [round(of_byte(byte), 4) for byte in b"dc <b>\nba xy\n"]
    assert told == [round((at + 1) / 9, 4) for at in range(13)]
    assert "none.infgram" in run(*arguments, "-i", "none.infgram", exit_code=2).stderr


def test_without_a_terminal_the_worst_words_are_listed() -> None:
    result = run("lint", "text.txt", "--refiner", "r", "--worst", "2")
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["line:column", "suspicion", "word"],
        ["1:5", "98%", "b"],
        ["2:1", "98%", "ba"],
    ]


def test_standard_input_is_a_text_too() -> None:
    result = run("lint", "-", "--refiner", "r", stdin="ab\n")
    assert result.stdout.split() == ["line:column", "suspicion", "word", "1:1", "98%", "ab"]


def test_json_has_a_suspicion_for_each_character_and_word() -> None:
    (line,) = run("lint", "text.txt", "--refiner", "r", "--json").stdout.splitlines()
    record = json.loads(line)
    assert record["text"] == "dc <b>\nba xy\n"
    assert record["suspicion"] == [round(of_byte(byte), 4) for byte in record["text"].encode()]
    assert record["words"][1] == {
        **{"text": "b", "begin": 4, "end": 5, "line": 1, "column": 5},
        "suspicion": pytest.approx(0.98),
    }


def test_a_terminal_shows_the_text_in_shades_with_a_legend() -> None:
    result = run("lint", "text.txt", "--refiner", "r", color=True, env={"FORCE_COLOR": "1"})
    plain = re.sub(r"\x1b\[[0-9;]*m", "", result.stdout)
    assert plain == "dc <b>\nba xy\n"
    assert "\x1b[1;37;41mb" in result.stdout  # 0.98
    assert "80–100 %" in result.stderr


def test_the_heat_map_is_written_as_a_page() -> None:
    result = run("lint", "text.txt", "--refiner", "r", "--html", "out.html")
    assert result.stdout == "" and "out.html" in result.stderr
    found = lint(Path("text.txt").read_bytes(), Suspects())
    assert Path("out.html").read_text(encoding="utf-8") == heat_page(found, name="text.txt")


def test_a_missing_file_or_refiner_is_named() -> None:
    assert "none.txt" in run("lint", "none.txt", "--refiner", "r", exit_code=2).stderr
    assert "--refiner" in run("lint", "text.txt", exit_code=2).stderr
