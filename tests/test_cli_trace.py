"""`infgram trace`: what it prints, marks, writes, and how it ends."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import drawn, run

import infgram
from infgram.pages.attribution import attribution_page

CORPUS = "to be or not to be\nthat is the question\n"
TEXT = "He said: to be or not\nto see, that is the question <b>\n"


@pytest.fixture(autouse=True)
def in_folder_with_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The only index in the current folder is corpus.infgram."""
    monkeypatch.chdir(tmp_path)
    for variable in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "INFGRAM_INDEX"):
        monkeypatch.delenv(variable, raising=False)
    Path("corpus.txt").write_text(CORPUS)
    Path("text.txt").write_text(TEXT)
    infgram.build("corpus.txt", "corpus.infgram")


def record(*arguments: str, **more: Any) -> dict[str, Any]:
    (line,) = run("trace", *arguments, "--json", **more).stdout.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


def test_a_span_is_a_line_and_its_documents_stand_below() -> None:
    done = run("trace", "text.txt", "--min-length", "12", "--context", "3")
    assert done.stdout == (
        "text.txt:1:10: 12 tokens, once in the corpus: to be or not\n"
        "    corpus.txt:1:1: to be or not to\n"
        "text.txt:2:9: 20 tokens, once in the corpus: that is the question\n"
        "    corpus.txt:2:1: be\\nthat is the question\\n\n"
    )
    assert done.stderr == "infgram: text.txt: 2 spans, 58.2% of the text\n"


def test_json_has_all_that_the_library_says() -> None:
    expected = infgram.attribute(
        infgram.open("corpus.infgram"), TEXT, min_length=5, whole_words=True, context=9
    )
    found = record("text.txt", "--min-length", "5", "--whole-words", "--context", "9")
    assert (found["source"], found["text"]) == ("text.txt", TEXT)
    assert found["covered"] == expected.covered and found["n_tokens"] == len(TEXT)
    assert len(found["spans"]) == len(expected.spans) > 1
    for one, other in zip(found["spans"], expected.spans, strict=True):
        for name in ("start", "end", "text", "n_tokens", "count", "log_prob"):
            assert one[name] == getattr(other, name)
        for told, match in zip(one["documents"], other.documents, strict=True):
            for name in ("document", "offset", "source", "line", "column", "before", "match"):
                assert told[name] == getattr(match, name)


@pytest.mark.parametrize(
    ("options", "wishes"),
    [
        (["--limit", "2"], {"limit": 2}),
        (["--density", "0.02", "--rank-by", "log-prob"], {"density": 0.02, "rank": "log_prob"}),
        (["--delimiters", r"\n,"], {"delimiters": "\n,"}),
        (["--delimiters", r"\n", "--no-escape"], {"delimiters": r"\n"}),
        (["--max-count", "1"], {"max_count": 1}),
        (["--whole-words"], {"whole_words": True}),
        (["--max-documents", "0"], {"max_documents": 0}),
        (["--max-documents", "1", "--seed", "3"], {"max_documents": 1, "seed": 3}),
    ],
)
def test_options_are_the_arguments_of_the_library(
    options: list[str], wishes: dict[str, Any]
) -> None:
    index = infgram.open("corpus.infgram")
    expected = infgram.attribute(index, TEXT, **{"min_length": 2, **wishes})
    found = record("text.txt", "--min-length", "2", *options)
    assert [(span["start"], span["end"]) for span in found["spans"]] == [
        (span.start, span.end) for span in expected.spans
    ]
    assert [[match["offset"] for match in span["documents"]] for span in found["spans"]] == [
        [match.offset for match in span.documents] for span in expected.spans
    ]


def test_spans_that_overlap_can_be_merged() -> None:
    Path("other.txt").write_text("or not\nto see")
    run("build", "corpus.txt", "other.txt", "--overwrite", "-o", "corpus.infgram")
    plain = run("trace", "text.txt", "--min-length", "8").stdout
    merged = run("trace", "text.txt", "--min-length", "8", "--merge").stdout
    assert "text.txt:1:10: 2 spans: to be or not\\nto see\n" in merged
    places = [line.split(":")[0].strip() for line in merged.splitlines() if line[0] == " "]
    assert {"corpus.txt", "other.txt"} <= set(places)
    assert plain.count("in the corpus") > merged.count("span")
    passages = record("text.txt", "--min-length", "8", "--merge")["passages"]
    assert "to be or not\nto see" in [passage["text"] for passage in passages]
    assert {m["source"] for m in passages[0]["documents"]} == {"corpus.txt", "other.txt"}


def test_nothing_found_ends_with_1() -> None:
    for options in ([], ["--json"], ["--html", "out.html"]):
        run("trace", "-", *options, stdin="xyzzy", exit_code=1)
    assert "0 spans" in run("trace", "-", stdin="", exit_code=1).stderr
    run("trace", "-", "--min-length", "9", stdin="that is the question")


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (["--min-length", "0"], "--min-length"),
        (["--density", "2"], "--density is 2.0, expected a number above 0 and up to 1"),
        (["--density", "0"], "--density is 0.0"),
        (["--limit", "0"], "--limit"),
        (["--rank-by", "beauty"], "--rank-by"),
        (["--delimiters", r"\q"], r"found \q"),
    ],
)
def test_wrong_wishes_are_said_in_the_words_of_the_command(option: list[str], said: str) -> None:
    assert said in run("trace", "text.txt", *option, exit_code=2).stderr


def test_each_text_is_traced_on_its_own() -> None:
    done = run("trace", "text.txt", "-", "--min-length", "12", "--json", stdin="or not to be")
    one, other = map(json.loads, done.stdout.splitlines())
    assert one["spans"][0]["text"] == "to be or not" and other["source"] == "-"
    Path("lines.jsonl").write_text('{"text": "or not to be"}\n{"text": "is the question"}\n')
    told = run("trace", "lines.jsonl", "--min-length", "12").stdout
    assert re.findall(r"^lines.jsonl:\d+: character \d+", told, re.MULTILINE) == [
        "lines.jsonl:1: character 0",
        "lines.jsonl:2: character 0",
    ]


def test_several_indexes_are_asked_together() -> None:
    Path("elsewhere").mkdir()
    Path("other.txt").write_text("He said: to be blunt")
    run("build", "other.txt", "-o", "elsewhere/other.infgram")
    both = ("-i", "corpus.infgram", "-i", "elsewhere/other.infgram")
    found = record("text.txt", "--min-length", "9", *both)
    assert [span["text"] for span in found["spans"]] == [
        "He said: to be ",
        "to be or not",
        "that is the question",
    ]
    assert [[m["source"] for m in span["documents"]] for span in found["spans"]] == [
        ["other.txt"],
        ["corpus.txt"],
        ["corpus.txt"],
    ]


def test_token_ids_are_traced_as_numbers() -> None:
    np.save("ids.npy", np.array([1, 2, 3, 4, 5, 6], np.uint32))
    np.save("text.npy", np.array([9, 2, 3, 4, 5, 7], np.uint32))
    ids = ("--tokenizer", "ids", "--vocab-size", "10", "-o", "ids.infgram")
    run("build", "ids.npy", *ids)
    done = run("trace", "text.npy", "-i", "ids.infgram", "--min-length", "3")
    assert done.stdout == (
        "text.npy:1:3: 4 tokens, once in the corpus: 2 3 4 5\n"
        "    ids.npy:document 0, token 1: 1 2 3 4 5 6\n"
    )


def test_in_colours_the_text_is_shown_first() -> None:
    shown, legend = drawn("trace", "text.txt", "--min-length", "12")
    assert shown.startswith("He said: \x1b[36mto be or not\x1b[0m\nto see, \x1b[32mthat is")
    assert "verbatim from the corpus, in tokens" in legend
    plain, _ = drawn("trace", "text.txt", "--min-length", "12", environment={"NO_COLOR": "1"})
    assert plain.startswith("text.txt:1:10:") and "\x1b[" not in plain
    Path("bell.txt").write_bytes(b"\x1b[2Jthat is the question")
    assert "\x1b[2J" not in drawn("trace", "bell.txt")[0]


# The page -----------------------------------------------------------------------------------------


def test_the_page_is_one_file_and_what_it_shows_is_text() -> None:
    page = run("trace", "text.txt", "--min-length", "5", "--html", "-").stdout
    done = run("trace", "text.txt", "--min-length", "5", "--html", "out.html")
    assert Path("out.html").read_text() == page and "out.html" in done.stderr
    assert "default-src 'none'" in page and not re.search(r"(src|href)=['\"]?http", page)
    text = re.search(r"<pre>(.*?)</pre>", page, re.DOTALL)
    assert text and "<b class='h2'>that is the question</b> &lt;b&gt;" in text[1]
    assert "<title>text.txt: what stands in corpus.infgram</title>" in page
    raw = re.search(r'<script type="application/json" id="data">(.*?)</script>', page)
    assert raw and "<" not in raw[1]
    (told,) = json.loads(raw[1])
    assert "".join(part for part, _ in told["runs"]) == TEXT
    found = record("text.txt", "--min-length", "5")["spans"]
    assert len(told["spans"]) == len(found)
    for (shade, words, shown, documents, _), span in zip(told["spans"], found, strict=True):
        assert 1 <= shade <= 4 and f"{span['n_tokens']} tokens" in words
        assert shown == " ".join(span["text"].split())
        assert [each[2] for each in documents] == [m["match"] for m in span["documents"]]


def test_what_the_page_leaves_out_is_counted_and_names_are_escaped() -> None:
    index = infgram.build([{"text": "needle in hay", "by": "</script>"}] * 9)
    found = infgram.attribute(index, "a needle", min_length=6, max_documents=2)
    page = attribution_page([("<i>.txt", found), ("b", found)], name="<i>", corpus="<u>")
    assert "&lt;i&gt;.txt" in page and "<i>" not in page and "<u>" not in page
    assert page.count("7 more") == 2 and page.count("</script>") == 2
