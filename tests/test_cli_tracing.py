"""infgram ngrams, overlap and dedup, and the ways to count, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import run

import infgram


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def index(in_a_folder: None) -> infgram.Index:
    Path("corpus.txt").write_text("To be, or not to be.\nThat is to say: to bed.\n")
    return infgram.build(Path("corpus.txt"), "corpus.infgram")


def test_ngrams(index: infgram.Index) -> None:
    assert run("ngrams", "2", "--limit", "2").output == "4\to \n3\t b\n"
    assert run("ngrams", "6", "--min-count", "2", "--in-documents").output == "2\t1\t to be\n"
    listed = run("ngrams", "3", "--every", "--json").output.splitlines()
    assert [json.loads(line)["text"] for line in listed] == [
        str(e) for e in infgram.ngrams(index, 3)
    ]
    nothing = run("ngrams", "60", exit_code=1)
    assert nothing.output == ""
    assert "LENGTH" in run("ngrams", "0", exit_code=2).stderr


def test_count_of_spellings(index: infgram.Index) -> None:
    assert run("count", "--ignore-case", "to be", "to", "x").output == "3\tto be\n4\tto\n0\tx\n"
    assert run("count", "--ignore-case", "--whole-words", "to be").output == "2\tto be\n"
    (line,) = run("count", "--ignore-case", "to", "--json").output.splitlines()
    assert json.loads(line) == {"ngram": "to", "count": 4, "variants": {"to": 3, "To": 1}}
    assert "neither --text" in run("count", "--whole-words", "--text", "to", exit_code=2).stderr


def test_count_of_a_formula(index: infgram.Index) -> None:
    formula = ["--all", "say", "--any", "bed", "--any", "not"]
    assert run("count", *formula).output == "1\tsay AND (bed OR not)\n"
    assert (
        run("count", *formula, "--within", "3", exit_code=1).output == "0\tsay AND (bed OR not)\n"
    )
    assert json.loads(run("count", *formula, "--json").output)["count"] == 1
    assert "one formula" in run("count", "to", "--all", "be", exit_code=2).stderr


def test_overlap(index: infgram.Index) -> None:
    Path("test.jsonl").write_text('{"text": "He says: not to be!"}\n{"text": "nothing"}\n')
    found = run("overlap", "test.jsonl", "--min-length", "9")
    assert found.stdout == (
        "test.jsonl:1: 52.6% in 1 run, the longest 10 tokens, at corpus.txt:1:10: ' not to be'\n"
    )
    assert "1 of 2 texts have a run of 9 tokens" in found.stderr
    shown = run("overlap", "test.jsonl", "--min-length", "9", "--json").stdout.splitlines()
    records = [json.loads(line) for line in shown]
    assert [(r["line"], r["n_found"], len(r["runs"])) for r in records] == [(1, 10, 1), (2, 0, 0)]
    assert records[0]["runs"][0]["sources"][0]["line"] == 1
    assert run("overlap", "test.jsonl", exit_code=1).stdout == ""


def test_dedup(index: infgram.Index) -> None:
    index = infgram.build(
        ["to be or not", "or not to be", "what to be?"], "corpus.infgram", overwrite=True
    )
    shown = run("dedup", "--min-length", "5", "--limit", "1")
    assert shown.stdout == "memory:2: 6 tokens, first at memory:1: 'or not'\n"
    assert "first 1" in shown.stderr
    assert run("dedup", "--min-length", "9", exit_code=1).stdout == ""
    done = run("dedup", "--min-length", "7", "-o", "kept.jsonl")
    assert "cut 1 repeat, 7 of 35 tokens (20.00%); 0 of 3 documents" in done.stderr
    kept = [json.loads(line)["text"] for line in Path("kept.jsonl").read_text().splitlines()]
    assert kept == ["to be or not", "or not to be", "wha?"]
    assert "cut 0 repeats" in run("dedup", "--min-length", "8", "-o", "kept.jsonl").stderr
    same = ("--against", "corpus.infgram", "-o", "none.jsonl", "--json")
    report = json.loads(run("dedup", "--min-length", "7", *same).stdout)
    assert report["n_emptied"] == index.n_documents and Path("none.jsonl").read_text() == ""
