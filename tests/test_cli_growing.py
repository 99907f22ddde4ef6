"""infgram add, remove, merge: what they do to an index, and what they say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from infgram_cli.main import cli

import infgram


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("to be or not to be")
    Path("b.jsonl").write_text('{"text": "to be", "author": "x"}\n{"text": "be", "year": 1600}\n')
    run("build", "a.txt", "-o", "x.infgram", "-q")
    return tmp_path


def run(*arguments: str, code: int = 0, given: str = "") -> Result:
    result = CliRunner().invoke(cli, list(arguments), input=given)
    assert result.exit_code == code, result.output
    return result


def count(ngram: str) -> int:
    return infgram.open("x.infgram").count(ngram)


@pytest.mark.usefixtures("corpus")
def test_an_index_grows_shrinks_and_is_merged() -> None:
    added = json.loads(run("add", "b.jsonl", "-i", "x.infgram", "--json").stdout)
    assert (added["n_documents"], added["n_segments"], added["n_tokens"]) == (3, 2, 25)
    assert count("be") == 4
    assert "`infgram merge --purge` makes one piece" in run("info", "x.infgram").stdout
    removed = json.loads(run("remove", "--where", "author=x", "--json").stdout)
    assert (removed["n_removed"], removed["n_documents"]) == (1, 2)
    run("remove", "--where", "year=1600", "-q")
    assert count("be") == 2
    assert json.loads(run("info", "--json").stdout)["has_removed"]
    run("verify", "x.infgram", "-q")
    merged = json.loads(run("merge", "--purge", "--json").stdout)
    assert merged["n_segments"] == 1
    assert not json.loads(run("info", "--json").stdout)["has_removed"]
    assert count("be") == 2


@pytest.mark.usefixtures("corpus")
@pytest.mark.parametrize("listed", ["1\n", '{"document": 1, "text": "to be"}\n\n'])
def test_documents_are_removed_by_a_list(listed: str) -> None:
    run("add", "b.jsonl", "-q")
    said = run("remove", "--listed", "-", given=listed).stdout
    assert "1 document removed" in said
    assert count("be") == 3


@pytest.mark.usefixtures("corpus")
def test_what_find_prints_is_a_list() -> None:
    run("add", "b.jsonl", "-q")
    found = run("find", "or not", "--json").stdout
    run("remove", "--listed", "-", "--document", "2", "-q", given=found)
    assert count("be") == 1


@pytest.mark.usefixtures("corpus")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["remove"], "nothing is to be removed"),
        (["remove", "--where", "author"], "expected FIELD=VALUE"),
        (["remove", "--listed", "a.txt"], "expected a document's number"),
        (["remove", "--source", "z.txt"], "no document of"),
        (["remove", "--source", "a.txt"], "no tokens left"),
        (["add", "nowhere.txt"], "nowhere.txt"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: list[str], said: str) -> None:
    before = infgram.open("x.infgram").identity
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code != 0
    assert said in result.output
    assert infgram.open("x.infgram").identity == before


@pytest.mark.usefixtures("corpus")
def test_kneser_ney_takes_segments_as_they_are_if_it_may_count_them_apart() -> None:
    run("add", "b.jsonl", "-q")
    kneser_ney = ["perplexity", "a.txt", "-i", "x.infgram", "--estimator", "kneser-ney"]
    assert "(--apart)" in run(*kneser_ney, code=2).output
    apart = json.loads(run(*kneser_ney, "--apart", "--json").stdout)
    assert 1 < apart["perplexity"] < 257
    assert (
        "--apart is for --estimator kneser-ney"
        in run("perplexity", "a.txt", "--estimator", "sbis", "--apart", code=2).output
    )
