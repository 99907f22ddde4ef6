"""infgram ngrams, overlap and dedup, and the ways to count, as they are typed."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
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


def test_ngrams_are_printed_as_count_reads_them() -> None:
    Path("n.txt").write_bytes("é€\\n\u202e\u009b\n".encode())
    infgram.build(Path("n.txt"), "n.infgram")
    for n in ("1", "2", "3"):
        listed = run("ngrams", n, "--every").stdout
        again = run(
            "count", "--escape", "--file", "-", stdin=re.sub(r"(?m)^\d+\t", "", listed)
        ).stdout
        assert again == listed
        assert "\u202e" not in listed and "\u009b" not in listed


def test_standard_input_is_read_once(index: infgram.Index) -> None:
    for given in (["-", "--prompt-file", "-"], ["-", "-f", "-"], ["--all", "-", "--any", "-"]):
        said = run("count", *given, stdin="to be", exit_code=2).stderr
        assert "only once" in said, given


def test_options_that_would_say_nothing_are_refused(index: infgram.Index) -> None:
    assert "--within" in run("count", "to", "--within", "5", exit_code=2).stderr
    assert "--every" in run("ngrams", "2", "--every", "--limit", "2", exit_code=2).stderr
    assert "an empty one" in run("count", "--all", "", exit_code=2).stderr
    assert "no text" in run("count", "--ignore-case", "", exit_code=2).stderr
    assert "/dev/stdout" in run("dedup", "-o", "-", exit_code=2).stderr
    assert run("ngrams", "2", "--min-count", str(2**64), exit_code=1).stdout == ""
    far = run("count", "--all", "say", "--all", "bed", "--within", str(2**63)).stdout
    assert far == run("count", "--all", "say", "--all", "bed").stdout


def test_places_of_parts_of_a_file_are_those_of_the_file(index: infgram.Index) -> None:
    Path("p.txt").write_text("nothing\n\nx\nyy not to be.\n")
    whole = run("trace", "p.txt", "--min-length", "9").stdout.splitlines()[0]
    assert whole.startswith("p.txt:4:3:")
    for split in ("line", "paragraph"):
        found = run("trace", "p.txt", "--min-length", "9", "--documents", split).stdout
        assert found.startswith("p.txt:4:3: ")
    Path("p.jsonl").write_text('{"text": "x\\nyy not to be."}\n')
    found = run("trace", "p.jsonl", "--min-length", "9").stdout
    assert found.startswith("p.jsonl:1: character 4:")


def test_a_page_is_utf_8_and_never_written_over_what_is_read(index: infgram.Index) -> None:
    Path("e.txt").write_text("é😀 not to be.\n")
    page = run("trace", "e.txt", "--min-length", "9", "--html", "-").stdout_bytes.decode("utf-8")
    assert "<html" in page and "😀" in page
    assert "is read" in run("trace", "e.txt", "--html", "e.txt", exit_code=2).stderr
    assert Path("e.txt").read_text() == "é😀 not to be.\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_closed_streams(index: infgram.Index, closed: str) -> None:
    commands = {
        "<&-": "infgram count - <&-",
        ">&-": "infgram ngrams 2 >&-",
        "2>&-": "infgram ngrams 2 2>&-",
    }
    python = f"{shlex.quote(sys.executable)} -m infgram_cli"
    done = subprocess.run(
        ["bash", "-c", commands[closed].replace("infgram", python, 1)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr + done.stdout
    assert done.returncode == (0 if closed == "2>&-" else 2)
    assert closed == "2>&-" or "closed" in done.stderr
    assert (closed == "2>&-") == bool(done.stdout)
