"""infgram build --part, build --parts, join: what they make, and what they say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from infgram_cli.main import cli

import infgram


@pytest.fixture(autouse=True)
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("texts").mkdir()
    for i, text in enumerate(["to be", "or not", "to be"]):
        Path("texts", f"{i}.txt").write_text(text)


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, list(arguments))
    assert result.exit_code == code, result.output
    return result


def test_parts_are_built_joined_and_one_piece() -> None:
    for i in (3, 1, 2):
        said = run("build", "texts", "--part", f"{i}/3", "-o", f"{i}.infgram").stdout
        assert "join PART... -o INDEX" in said
    said = run("build", "texts", "--part", "2/3", "-o", "2.infgram").stdout
    assert said == "2.infgram: part 2 of 3 is there already\n"
    said = run("join", "1.infgram", "2.infgram", "3.infgram", "-o", "all.infgram").stdout
    assert said.startswith("all.infgram: 16 tokens of 3 parts")
    assert run("count", "to be", "-i", "all.infgram").stdout == "2\tto be\n"
    assert "in 3 parts, joined" in run("info", "all.infgram").stdout
    assert "part 1 of 3" in run("info", "1.infgram").stdout
    parts = ["3.infgram", "2.infgram", "1.infgram"]
    joined = json.loads(run("join", *parts, "-o", "one.infgram", "--one-piece", "--json").stdout)
    assert (joined["n_segments"], joined["n_parts"], joined["n_documents"]) == (1, 3, 3)
    here = json.loads(run("build", "texts", "--parts", "3", "-o", "here.infgram", "--json").stdout)
    assert (here["n_tokens"], here["n_shards"]) == (16, 3)
    identities = {infgram.open(f"{name}.infgram").identity for name in ("here", "all")}
    assert len(identities) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["build", "texts", "--part", "3/2", "-o", "x"], "found 3/2, expected I/N"),
        (["build", "texts", "--part", "0/2", "-o", "x"], "found 0/2, expected I/N"),
        (["build", "texts", "--part", "two", "-o", "x"], "found two, expected I/N"),
        (["build", "texts", "--part", "1/2"], "--part needs -o PATH"),
        (["build", "texts", "--part", "1/2", "--parts", "2", "-o", "x"], "give one of the two"),
        (["build", "texts", "--part", "1/4", "-o", "x"], "4 parts of 3 files"),
        (["build", "texts", "--parts", "2", "--calibrate", "-o", "x"], "calibrate is True"),
        (["join", "texts", "-o", "x"], "texts"),
        (["join", "-o", "x"], "Missing argument"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert said in result.output
    assert not Path("x").exists()
