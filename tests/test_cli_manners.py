"""The command line as a whole: one meaning a name, one way to show defaults, colours, shells."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import pytest
from command_line import ENVIRONMENT, drawn, ended, lines, run, start
from infgram_cli.exits import MEANINGS
from infgram_cli.main import cli
from infgram_cli.option import Option
from infgram_cli.options import AnyPath, TokenizerName
from waiting import TIMEOUT

ROOT = Path(__file__).parents[1]
TEXT = "to be or not to be\nthat is the question\n"
ESCAPE = "\x1b["


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "INFGRAM_INDEX"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def index(in_empty_folder: None) -> Path:
    """The only index in the current folder."""
    Path("corpus.txt").write_text(TEXT)
    run("build", "corpus.txt", "--quiet")
    return Path("corpus.infgram")


def walk(
    command: click.Command, path: str, parent: click.Context | None = None
) -> Iterator[tuple[str, click.Context]]:
    """All commands, those of other distributions too."""
    ctx = click.Context(command, parent, path, **command.context_settings)
    yield path, ctx
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            inner = command.get_command(ctx, name)
            assert inner is not None
            yield from walk(inner, f"{path} {name}", ctx)


COMMANDS = dict(walk(cli, "infgram"))


def options() -> Iterator[tuple[str, click.Context, click.Option]]:
    for path, ctx in COMMANDS.items():
        for param in ctx.command.get_params(ctx):
            if isinstance(param, click.Option):
                yield path, ctx, param


# Help ---------------------------------------------------------------------------------------------


def test_an_empty_path_is_nowhere_taken_for_this_folder() -> None:
    met = set()
    for path, ctx in COMMANDS.items():
        for param in ctx.command.params:
            if isinstance(param.type, (click.Path, TokenizerName)):
                met.add(type(param.type).__name__)
                with pytest.raises(click.BadParameter, match="empty path"):
                    param.type.convert("", param, ctx)
                assert isinstance(param.type, (AnyPath, TokenizerName)), path
    assert met >= {"AnyPath", "IndexPath", "InputPath", "TokenizerName"}
    Path("corpus.txt").write_text(TEXT)
    for arguments in (
        ("build", ""),
        ("build", "corpus.txt", "-o", ""),
        ("build", "corpus.txt", "--tokenizer", ""),
        ("count", "be", "-i", ""),
        ("info", ""),
    ):
        assert "empty path" in run(*arguments, exit_code=2).stderr
    assert os.listdir() == ["corpus.txt"]


def test_the_walk_meets_commands_of_all_kinds() -> None:
    assert {"infgram build", "infgram draft simulate", "infgram bench"} <= set(COMMANDS)
    assert len(list(options())) > 200


def meaning(option: click.Option) -> tuple[str, str, str]:
    """What it is: its help up to where it says what that means for this command; its kind."""
    kind = "flag" if option.is_flag else type(option.type).__name__.removesuffix("ParamType")
    kind = {"IntRange": "Int", "FloatRange": "Float", "IndexPath": "Path", "AnyPath": "Path"}.get(
        kind, kind
    )
    kind = {"Choice": "String", "TokenizerName": "String"}.get(kind, kind)
    return re.split(r"[:;.,]", option.help or "")[0], kind, option.metavar or ""


def test_a_name_of_an_option_has_one_meaning() -> None:
    found = defaultdict(set)
    for _, _, option in options():
        for name in (*option.opts, *option.secondary_opts):
            found[name].add(meaning(option))
    assert {name: told for name, told in found.items() if len(told) > 1} == {}


def test_a_letter_belongs_to_one_name() -> None:
    found = defaultdict(set)
    for _, _, option in options():
        for name in option.opts:
            if not name.startswith("--"):
                found[name].add(max(option.opts, key=len))
    assert {letter: names for letter, names in found.items() if len(names) > 1} == {}
    assert len(found) >= 8


def test_every_option_has_help_and_shows_its_default_in_one_way() -> None:
    for path, ctx, option in options():
        where = f"{path} {option.opts[0]}"
        record = option.get_help_record(ctx)
        assert record is not None and option.help, where
        assert option.help.endswith("."), where
        assert "by default" not in option.help and "default:" not in option.help, where
        shown = re.findall(r"\[([^\]]*)\]$", record[1])
        assert all(re.fullmatch(r"(default|env var): [^(].*|required", each) for each in shown), (
            where,
            record,
        )
        if not option.is_flag and not option.required and option.default not in (None, ()):
            assert (
                "default: " in record[1]
                or option.show_default is False
                or not str(option.default).strip()
                or "UNSET" in str(option.default)
            ), where


def test_the_list_of_commands_fits_a_screen_with_nothing_cut_off() -> None:
    done = ended(start("--help", environment={"COLUMNS": "80"}))
    assert done[0] == 0
    shown = done[1].decode().splitlines()
    assert len(shown) <= 52
    assert max(map(len, shown)) <= 80
    assert not [line for line in shown if line.endswith("...") and "[ARGS]" not in line]
    listed = shown[shown.index("Commands:") + 1 :]
    for name in cli.list_commands(click.Context(cli)):
        (line,) = [line for line in listed if f" {name} " in line[:30]]
        assert line.endswith("."), line  # its whole first sentence, on one line
    assert re.search(r"^  Measure +perplexity", "\n".join(listed), re.MULTILINE)
    (bench,) = [i for i, line in enumerate(listed) if " bench " in line]
    (edit,) = [i for i, line in enumerate(listed) if line.startswith("  Edit ")]
    assert bench < edit  # in its group, though another distribution has it


@pytest.mark.parametrize("path", [path for path in COMMANDS if path.count(" ") == 1])
def test_no_help_is_wider_than_a_terminal(path: str) -> None:
    done = ended(start(*path.split()[1:], "--help", environment={"COLUMNS": "80"}))
    assert max(map(len, done[1].decode().splitlines())) <= 100
    for line in done[1].decode().splitlines():
        assert len(line) <= 80 or line.startswith("    infgram "), line  # an example


def test_the_exit_codes_in_the_help_are_those_that_are_used() -> None:
    assert set(MEANINGS) == {0, 1, 2, 130}
    assert "1 nothing found, 2 an error, 130" in run("--help").stdout


# Old names ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(
    ("command", "old", "now"),
    [
        ("find be", "-n 1", "-m 1"),
        ("next to", "--rows 1", "--limit 1"),
        ("next to", "-n 1", "-m 1"),
        ("perplexity corpus.txt", "--levels 2", "--max-levels 2"),
    ],
)
def test_an_old_name_does_what_the_new_one_does_and_says_so(
    command: str, old: str, now: str
) -> None:
    if command.startswith("find"):
        command += " --seed 1"
    before, after = run(*command.split(), *old.split()), run(*command.split(), *now.split())
    assert before.stdout == after.stdout
    assert old.split()[0] in before.stderr.splitlines()[0]
    assert f"{now.split()[0]}" in before.stderr.splitlines()[0]
    assert old.split()[0] not in run(command.split()[0], "--help").stdout.split()
    both = run(*command.split(), *old.split(), *now.split(), exit_code=2)
    assert "give it once" in both.stderr


def test_an_old_name_that_took_a_value_gives_the_new_flag() -> None:
    seen: list[bool] = []

    @click.command()
    @click.option("--json", is_flag=True, cls=Option, old=["--format"], old_values={"json": True})
    def command(json: bool) -> None:
        seen.append(json)

    command.main(["--format", "json"], standalone_mode=False)
    command.main([], standalone_mode=False)
    assert seen == [True, False]
    with pytest.raises(click.UsageError, match="--format yaml is unknown"):
        command.main(["--format", "yaml"], standalone_mode=False)


@pytest.mark.usefixtures("index")
def test_the_flag_color_of_before_names_shade() -> None:
    for arguments in (["to", "--color"], ["--color", "to"], ["to", "--color", "--max-copy", "3"]):
        result = run("generate", *arguments, exit_code=2)
        assert "give --shade" in result.stderr


# Colours ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(
    ("where", "environment", "option", "coloured"),
    [
        ("pipe", {}, "", False),
        ("pipe", {}, "--color always", True),
        ("pipe", {"NO_COLOR": "1"}, "--color always", True),
        ("pipe", {"FORCE_COLOR": "1"}, "", True),
        ("pipe", {"FORCE_COLOR": ""}, "", False),
        ("pipe", {"CLICOLOR_FORCE": "1"}, "", True),
        ("pipe", {"CLICOLOR_FORCE": "0"}, "", False),
        ("pipe", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, "", False),
        ("pipe", {"FORCE_COLOR": "1"}, "--color never", False),
        ("pipe", {"CLICOLOR": "1"}, "", False),
        ("terminal", {}, "", True),
        ("terminal", {}, "--color never", False),
        ("terminal", {}, "--color auto", True),
        ("terminal", {"NO_COLOR": "1"}, "", False),
        ("terminal", {"NO_COLOR": ""}, "", True),
        ("terminal", {"CLICOLOR": "0"}, "", False),
        ("terminal", {"TERM": "dumb"}, "", False),
        ("terminal", {"NO_COLOR": "1"}, "--color always", True),
    ],
)
def test_there_are_colours_where_they_are_wanted(
    where: str, environment: dict[str, str], option: str, coloured: bool
) -> None:
    every = (
        [*option.split(), "find", "be"],
        ["find", "be", *option.split()],
        ["generate", "to", "-n", "9", *option.split()],
        ["info", *option.split()],
    )
    # Settings of the environment are read in one place, which two commands show as well as all.
    for arguments in every[1:3] if environment else every:
        if where == "terminal":
            shown, _ = drawn(*arguments, environment=environment)
        else:
            code, stdout, _ = ended(start(*arguments, environment=environment))
            assert code == 0
            shown = stdout.decode()
        assert (ESCAPE in shown) == coloured, arguments


def test_errors_are_coloured_as_all_else() -> None:
    for option, coloured in (("never", False), ("always", True)):
        _, _, stderr = ended(start("--color", option, "info", "none.infgram"))
        assert (ESCAPE.encode() in stderr) == coloured


# Texts that are given -----------------------------------------------------------------------------

RAW = b"be\nthat \xff"  # with an end of a line, and not UTF-8


@pytest.mark.parametrize("command", ["count", "find", "next", "generate"])
def test_a_text_is_typed_or_read_byte_for_byte(command: str) -> None:
    Path("corpus.txt").write_bytes(b"to " + RAW + b" is\n")
    run("build", "corpus.txt", "--format", "bytes")
    Path("prompt").write_bytes(RAW)
    more = ["-n", "2", "-T", "0"] if command == "generate" else []
    typed = run(command, r"be\nthat \xff", *more)
    assert typed.exit_code == 0
    for arguments in (["-"], ["--prompt-file", "-"], ["--prompt-file", "prompt"]):
        stdin = RAW if "-" in arguments else None
        read = run(command, *arguments, *more, stdin=stdin)
        assert (read.stdout_bytes, read.stderr) == (typed.stdout_bytes, typed.stderr), arguments


@pytest.mark.usefixtures("index")
def test_a_text_that_is_given_twice_or_not_at_all_is_wrong_usage() -> None:
    Path("prompt").write_text("to")
    for command in ("find", "next", "generate"):
        assert "twice" in run(command, "be", "--prompt-file", "prompt", exit_code=2).stderr
    for command in ("find", "next"):
        assert "--prompt-file" in run(command, exit_code=2).stderr
    assert "once" in run("count", "-", "-", stdin="be", exit_code=2).stderr
    assert run("count", r"\x2d", exit_code=1).stdout == "0\t-\n"


@pytest.mark.usefixtures("index")
def test_stop_reads_escapes_as_all_texts_do() -> None:
    whole = run("generate", "to be", "-n", "60", "-k", "1", "--no-prompt", "--seed", "1").stdout
    stopped = run(
        *("generate", "to be", "-n", "60", "-k", "1", "--no-prompt", "--seed", "1"),
        *("--stop", r"\nthat"),
    ).stdout
    assert "\nthat" in whole
    assert stopped == whole[: whole.index("\nthat")] + "\n"


# Exit codes, the index ----------------------------------------------------------------------------


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_what_is_not_found_ends_with_1(as_json: list[str]) -> None:
    for arguments in (
        ["count", "zz", "qq"],
        ["count", "zz", "--text"],
        ["find", "zz"],
        ["next", "zz"],
        ["next", "zz", "--levels"],
    ):
        levels = "--levels" in arguments
        code = 0 if levels and run("next", "z", "--levels", exit_code=1) is None else 1
        run(*arguments, *as_json, exit_code=code)
    for arguments in (["count", "zz", "be"], ["find", "be"], ["next", "to"]):
        run(*arguments, *as_json)


@pytest.mark.usefixtures("index")
def test_find_prints_a_line_an_occurrence_as_grep_does() -> None:
    found = run("find", "be", "--context", "3", "--seed", "1").stdout.splitlines()
    assert sorted(found) == ["corpus.txt:1:17: to be\\nth", "corpus.txt:1:4: to be or"]
    (line,) = run("find", "question").stdout.splitlines()
    grepped = [i for i, text in enumerate(TEXT.splitlines(), 1) if "question" in text]
    assert line.startswith(f"corpus.txt:{grepped[0]}:13: ")


def test_find_tells_of_ids_which_record_and_of_what_has_no_lines_which_token() -> None:
    import numpy as np
    from infgram_cli.find import rendered

    import infgram

    np.save("ids.npy", np.array([[1, 2, 3], [4, 1, 2]], np.uint32))
    run("build", "ids.npy", "--tokenizer", "ids", "--vocab-size", "9")
    assert sorted(run("find", "1 2").stdout.splitlines()) == [
        "ids.npy:1: 1 2 3",
        "ids.npy:2: 4 1 2",
    ]
    (match, *_) = infgram.open("ids.infgram").find([4, 1])
    assert rendered(replace(match, line=0), joint=" ").plain == (
        "ids.npy:document 1, token 0: 4 1 2"
    )


def test_the_index_comes_from_i_then_the_variable_then_the_folder(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("other.txt").write_text("bebebe")
    Path("elsewhere").mkdir()
    run("build", "other.txt", "-o", "elsewhere/other.infgram")
    assert run("count", "be").stdout == "2\tbe\n"
    monkeypatch.setenv("INFGRAM_INDEX", "elsewhere/other.infgram")
    assert run("count", "be").stdout == "3\tbe\n"
    assert Path(lines(run("info", "--json"))[0]["path"]).name == "other.infgram"
    assert run("count", "be", "-i", str(index)).stdout == "2\tbe\n"
    assert Path(lines(run("info", str(index), "--json"))[0]["path"]).name == index.name
    assert run("generate", "be", "-n", "2", "-k", "1").stdout.startswith("bebe")
    monkeypatch.setenv("INFGRAM_INDEX", "")
    assert run("count", "be").stdout == "2\tbe\n"
    assert "$INFGRAM_INDEX" in run("count", "--help").stdout


# Pages, shells, the manual ------------------------------------------------------------------------


@pytest.mark.usefixtures("index")
def test_generated_text_is_a_page_in_shades() -> None:
    options = ("generate", "to <b> be", "-n", "40", "--seed", "1", "-k", "1")
    page = run(*options, "--html", "-").stdout
    result = run(*options, "--html", "out.html")
    assert Path("out.html").read_text() == page
    assert (result.stdout, "out.html" in result.stderr) == ("", True)
    assert "http" not in page.split("</head>")[1] and "<script src" not in page
    text = re.search(r"<pre>(.*?)</pre>", page, re.DOTALL)
    assert text
    made = json.loads(run(*options, "--json").stdout)["text"]
    assert re.sub("<.*?>", "", text[1]).replace("&lt;", "<").replace("&gt;", ">") == (
        "to <b> be" + made
    )
    assert "<b class='h1'>" in text[1]
    assert page.count("<pre>") * 3 == run(*options, "--samples", "3", "--html", "-").stdout.count(
        "<pre>"
    )


BASH = r"""
. ./script
COMP_WORDS=({words}); COMP_CWORD={last}
_infgram_completion infgram
printf '%s\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("infgram gen", ["generate"]),
        ("infgram generate --estim", ["--estimator"]),
        ("infgram generate --estimator k", ["kneser-ney"]),
        ("infgram count -i cor", ["corpus.infgram"]),
        ("infgram info cor", ["corpus.infgram"]),
        ("infgram build --format js", ["jsonl", "json"]),
        ("infgram build --tokenizer ch", ["chars"]),
        ("infgram draft sim", ["simulate"]),
        ("infgram completion z", ["zsh"]),
    ],
)
@pytest.mark.usefixtures("index")
def test_bash_completes(words: str, expected: list[str]) -> None:
    Path("script").write_text(run("completion", "bash").stdout)
    Path("infgram").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m infgram_cli "$@"\n')
    Path("infgram").chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", BASH.format(words=words, last=words.count(" "))],
        capture_output=True,
        text=True,
        env={**ENVIRONMENT, "PATH": f".{os.pathsep}{os.environ['PATH']}"},
        timeout=TIMEOUT,
    )
    assert (done.stdout.split(), done.stderr) == (expected, "")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_read_what_is_printed_for_them(shell: str) -> None:
    script = run("completion", shell).stdout
    assert "_INFGRAM_COMPLETE" in script
    if not shutil.which(shell):
        pytest.skip(f"needs {shell}")
    Path("script").write_text(script)
    subprocess.run([shell, "-n", "script"], check=True, timeout=TIMEOUT)


@pytest.mark.usefixtures("index")
def test_completing_reads_no_standard_input() -> None:
    variables = {
        "_INFGRAM_COMPLETE": "bash_complete",
        "COMP_WORDS": "infgram count - --js",
        "COMP_CWORD": "3",
    }
    process = start(environment=variables, stdin=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.read().split() == [b"plain,--json"]
        assert process.wait(TIMEOUT) == 0
    finally:
        process.kill()
        process.communicate()


def test_the_manual_that_is_shipped_is_that_of_the_commands() -> None:
    """`make man` writes it."""
    shipped = ROOT / "docs" / "infgram.1"
    assert shipped.read_text() == run("man").stdout


def test_the_manual_has_all_commands_and_options_and_no_markup_of_others() -> None:
    page = run("man").stdout.replace("\\-", "-").replace("\\e", "\\")
    for path, ctx, option in options():
        if not path.startswith("infgram bench"):
            assert path in page
            assert max(option.opts, key=len) in page, (path, ctx, option)
    assert "\x08" not in page
    for line in page.splitlines():
        assert not line.startswith((".", "'")) or re.match(
            r"\.(\\\"|[A-Z]{1,2} |[A-Z]{2}$|nf|fi)", line
        )


@pytest.mark.skipif(not shutil.which("groff"), reason="needs groff")
def test_groff_finds_nothing_wrong_with_the_manual() -> None:
    done = subprocess.run(
        ["groff", "-man", "-ww", "-b", "-Tutf8"],
        input=run("man").stdout,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.stderr == ""
    shown = re.sub(r".\x08|\x1b\[[\d;]*m", "", done.stdout)
    assert r"--stop '\n\n'" in shown.replace("‐", "-")
    assert "EXIT STATUS" in shown
