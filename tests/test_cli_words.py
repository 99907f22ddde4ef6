"""Whatever is typed, a command ends with a message in the words of the command line."""

from __future__ import annotations

import errno
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from command_line import ENVIRONMENT, invoke, run
from infgram_cli import words
from infgram_cli.main import cli
from waiting import TIMEOUT

import infgram
from infgram.errors import InvalidParameter

# What Python says and a command should not. Names in quotes or paths are the user's own.
PYTHON = re.compile(
    r"\[Errno|\[WinError|NoneType|\b[A-Z]\w+(?:Error|Exception)\b|\bNone\b|\bTrue\b|\bFalse\b"
    r"|invalid literal|object at 0x|codec can't|Traceback|\bfloat\b|\bint\b|\bstr\b|\bdict\b"
    r"|[\[(]'|PosixPath|\b(?<![/.'\"-])[a-z]+(?:_[a-z]+)+\b(?![/.'\"(])"
)
SLOW = {
    "demo",
    "bench",
    "train",
    "calibrate",
    "corpus-size",
    "quality",
    "reliability",
    "levels",
    "profile",
}
NEEDS_MORE = {"completion": ["bash"], "find": ["be"], "next": ["to"], "infill": ["be {2}"]}
ARGUMENTS = {
    **NEEDS_MORE,
    "build": ["corpus.txt", "--overwrite", "-o", "new.infgram"],
    "count": ["be"],
    "generate": ["to", "-n", "5"],
    "perplexity": ["corpus.txt"],
    "novelty": ["corpus.txt"],
    "trace": ["corpus.txt"],
    "polish": ["corpus.txt"],
    "lint": ["corpus.txt", "--refiner", "r"],
    "animate": ["corpus.txt"],
    "text": ["corpus.txt", "--refiner", "r"],
    "train": ["corpus.txt", "-o", "r"],
    "profile": ["model", "-o", "cost.json"],
    "simulate": ["answers.jsonl"],
    "levels": ["corpus.txt"],
    "reliability": ["corpus.txt"],
    "corpus-size": ["corpus.txt", "corpus.txt"],
    "quality": ["--judge", "corpus.infgram"],
}
for grows in ("add", "remove", "merge"):
    ARGUMENTS[grows] = ["-i", "more/grows.infgram"]
ARGUMENTS["add"] += ["corpus.txt"]
ARGUMENTS["infill"] = ["be {2}", "--refiner", "r"]
NUMBERS = ["-1", "0", "9" * 30, "nan", "", "many"]
ENDLESS = {"--max-tokens", "--samples"}  # with so many: what is asked for is done
PATHS = ["absent", "folder", "binary", "empty", "nul", "", "corpus.txt", "a" * 300]
TEXTS = ["", "\\q", "x" * 3000, "\udcff", "no-such"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("INFGRAM_INDEX", raising=False)
    Path("corpus.txt").write_text("to be or not to be\nthat is the question\n" * 3)
    Path("folder").mkdir()
    Path("binary").write_bytes(bytes(range(256)) * 8)
    Path("nul").write_bytes(b"a\0b\0" * 9)
    Path("empty").write_bytes(b"")
    Path("answers.jsonl").write_text('{"prompt": "to", "output": " be or not"}\n')
    infgram.build("corpus.txt", "corpus.infgram", two_sided=True)
    Path("more").mkdir()
    infgram.build("corpus.txt", "more/grows.infgram")

    def taken(*_: object, **__: object) -> socket.socket:
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))

    monkeypatch.setattr(socket, "create_server", taken)  # or `serve` would never come back


def leaves(
    command: click.Command = cli, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from leaves(inner, (*path, name))
    else:
        yield path, command


LEAVES = {" ".join(path): command for path, command in leaves()}


def nonsense(command: click.Command) -> Iterator[list[str]]:
    for param in command.params:
        if not isinstance(param, click.Option):
            continue
        kind, name = type(param.type).__name__, max(param.opts, key=len)
        if param.is_flag:
            yield [name]
        elif kind.endswith(("Path", "File")):
            yield from ([f"{name}={value}"] for value in PATHS)
        elif kind.startswith(("Int", "Float")):
            fit = [value for value in NUMBERS if name not in ENDLESS or len(value) < 9]
            yield from ([f"{name}={value}"] for value in fit)
        else:
            yield from ([f"{name}={value}"] for value in TEXTS)


def judge(arguments: list[str], **more: str | bytes) -> int:
    result = invoke(*arguments, **more)
    said = result.stderr
    assert result.exception is None or isinstance(result.exception, SystemExit), arguments
    assert result.exit_code in (0, 1, 2), (arguments, said)
    if result.exit_code == 2:
        assert said.strip(), arguments
        assert not result.stdout or "--json" in arguments, (arguments, result.stdout[:200])
    said = said.replace("x" * 3000, "")
    bad = PYTHON.search(said)
    assert not bad, (arguments, bad[0], said[-400:])
    assert len(said) < 2000, (arguments, len(said))
    return result.exit_code


@pytest.mark.parametrize("path", [path for path in LEAVES if path.split()[-1] not in SLOW])
def test_no_option_makes_a_command_speak_python(path: str) -> None:
    base = [*path.split(), *ARGUMENTS.get(path.split()[-1], [])]
    codes = {judge([*base, *each]) for each in nonsense(LEAVES[path])}
    assert codes - {0, 1} or not list(nonsense(LEAVES[path]))


@pytest.mark.parametrize(
    "path", ["build", "perplexity", "novelty", "polish", "count --file", "find --prompt-file"]
)
@pytest.mark.parametrize("given", PATHS)
def test_no_input_makes_a_command_speak_python(path: str, given: str) -> None:
    more = ["-o", "new.infgram"] if path == "build" else []
    judge([*path.split(), given, *more])
    if path == "perplexity":
        for option in ("--format=parquet", "--format=jsonl", "--format=npy", "--encoding=utf-16"):
            judge([*path.split(), given, option])


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a user who is refused")
def test_what_may_not_be_read_is_named() -> None:
    Path("corpus.txt").chmod(0)
    for command in (["build", "corpus.txt", "-o", "x.infgram"], ["perplexity", "corpus.txt"]):
        assert judge(command) == 2


@pytest.mark.parametrize("target", ["folder/absent/x.infgram", "corpus.txt/x.infgram", "/dev/null"])
def test_a_place_that_cannot_be_written_is_named(target: str) -> None:
    assert judge(["build", "corpus.txt", "-o", target, "--overwrite"]) in (0, 2)
    assert judge(["generate", "to", "-n", "5", "--html", target]) in (0, 2)


def test_a_reader_that_is_gone_is_no_error_for_any_command_that_asks() -> None:
    for command in ("count be", "find be", "next to", "info", "generate to", "novelty corpus.txt"):
        line = f'"{sys.executable}" -m infgram_cli {command} | true; exit ${{PIPESTATUS[0]}}'
        done = subprocess.run(
            ["bash", "-c", line], capture_output=True, text=True, env=ENVIRONMENT, timeout=TIMEOUT
        )
        assert (done.returncode, done.stderr) == (0, ""), command


def test_parameters_are_options_in_messages() -> None:
    for typed, said in [
        ("--top-p 2", "--top-p is 2.0, expected a number above 0 and up to 1"),
        ("--max-copy 999", "--max-copy is 999, expected at most 200"),
        ("-k 0", "-k is 0, expected a number of levels or -1 for all"),
        ("--weight 1 --weight 2", "--weight are 1.0, 2.0"),
    ]:
        assert said in run("generate", *typed.split(), exit_code=2).stderr


def wrong_utf_8() -> str:
    with pytest.raises(UnicodeDecodeError) as raised:
        b"a\xff".decode()
    return str(raised.value)


def test_messages_of_the_library_become_the_command_lines() -> None:
    @click.command()
    @click.option("--max-tokens")
    @click.option("--format")
    @click.option("--encoding")
    @click.option("--two-sided", is_flag=True)
    @click.pass_context
    def command(ctx: click.Context, **_: object) -> None:
        words.remember(ctx)
        for message, expected in [
            ("max_tokens is -1, expected more", "--max-tokens is -1, expected more"),
            ("a.txt: max_tokens is odd", "a.txt: --max-tokens is odd"),
            ("my_file.txt has max_tokens", "my_file.txt has --max-tokens"),
            ("--format bytes (format='bytes') takes it", "--format bytes takes it"),
            ("name it (--encoding, encoding=)", "name it (--encoding)"),
            ("give two_sided=True", "give --two-sided"),
            ("[Errno 2] No such file or directory: 'x'", "No such file or directory: 'x'"),
            ("stop is ['', 'a'], expected text", "stop is '', 'a', expected text"),
            (f"not so: {wrong_utf_8()}; see", "not so: it is not utf-8 at byte 1; see"),
            ("nothing to_change here", "nothing to_change here"),
        ]:
            assert words.in_words(message) == expected

    command.main([], standalone_mode=False)
    assert words.of_error(FileNotFoundError(2, "No such file or directory", "x")) == (
        "x: no such file or directory"
    )
    assert words.of_error(MemoryError()) == "there is not enough memory"
    assert words.of_error(InvalidParameter("k is 0")) == "k is 0"
