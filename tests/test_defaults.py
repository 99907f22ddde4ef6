"""A default is the same on the command line and in Python: as declared, and by what it does."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from infgram_cli.main import cli

import infgram
from infgram.draft import Drafter
from infgram.models.sampling import Plan
from infgram.pages.film import film_page
from infgram.refine import infill, polish, refine

# What each command calls, and what its options are called there if not the same.
CALLED: dict[str, tuple[list[Callable[..., Any]], dict[str, str]]] = {
    "build": ([infgram.build], {}),
    "find": ([infgram.Index.find], {}),
    "generate": ([infgram.generate, Plan], {}),
    "perplexity": ([infgram.perplexity], {}),
    "novelty": ([infgram.novelty], {}),
    "infill": ([infill], {"n_results": "n"}),
    "polish": ([polish], {}),
    "refine text": ([refine], {}),
    "animate": ([film_page], {"order": ""}),  # a name there, what it names here
    "plot levels": ([infgram.level_statistics], {"k": ""}),
    "draft bench": ([Drafter], {}),
}


def declared(command: str) -> dict[str, object]:
    """Defaults that a command declares, by the names of its options; none is as in Python."""
    found: click.Command | None = cli
    context = click.Context(cli)
    for name in command.split():
        assert isinstance(found, click.Group), command
        found = found.get_command(context, name)
    assert found is not None, command
    defaults = {
        option.name: option.get_default(context)
        for option in found.params
        if isinstance(option, click.Option) and option.name and not option.multiple
    }
    return {name: value for name, value in defaults.items() if type(value) in (str, int, float)}


def in_python(called: list[Callable[..., Any]]) -> dict[str, object]:
    return {
        name: parameter.default
        for function in called
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }


def pairs() -> Iterator[tuple[str, str, object, object]]:
    for command, (called, names) in CALLED.items():
        theirs = in_python(called)
        for name, value in declared(command).items():
            name = names.get(name, name)
            if name in theirs:
                yield command, name, value, theirs[name]


def test_defaults_that_are_declared_twice_are_the_same() -> None:
    compared = list(pairs())
    assert len(compared) > 15
    assert {command for command, *_ in compared} >= {"build", "generate", "find", "polish"}
    for command, name, here, there in compared:
        is_empty = here == "" and there == ()  # a query without a token
        assert here == there or is_empty or there is None, (command, name)


@pytest.fixture(scope="module")
def path(part_index: infgram.Index) -> Path:
    return part_index.path


def printed(*arguments: str) -> str:
    made = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert made.exit_code == 0, made.output
    return made.stdout


def test_the_same_seed_writes_the_same_text_in_both(part_index: infgram.Index, path: Path) -> None:
    shown = printed("generate", "The ", "-i", str(path), "--seed", "3", "--json")
    made = infgram.generate(part_index, "The ", seed=3)
    assert json.loads(shown)["text"] == made.text and len(made.text) > 100


@pytest.mark.parametrize(
    ("name", "estimator"),
    [
        ("longest", infgram.Longest()),
        ("sbis", infgram.SBIS()),
        ("kneser-ney", infgram.KneserNey()),
        (None, None),
    ],
)
def test_the_same_estimator_finds_the_same_text_as_probable(
    part_index: infgram.Index, path: Path, tmp_path: Path, name: str | None, estimator: Any
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("The class statement is a definition. ")
    named = ["--estimator", name] if name else []
    shown = json.loads(printed("perplexity", str(text), "-i", str(path), "--json", *named))
    found = infgram.perplexity(infgram.Model(part_index, estimator), text.read_text())
    assert shown["n_tokens"] == found.n_tokens and shown["n_zero"] == found.n_zero
    if found.n_zero:
        assert shown["perplexity"] is None or shown["perplexity"] == float("inf")
        assert shown["perplexity_nonzero"] == pytest.approx(found.perplexity_nonzero)
    else:
        assert shown["perplexity"] == pytest.approx(found.perplexity)
