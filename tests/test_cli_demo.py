"""`infgram demo`: what it prints can be typed, and it leaves its folder or nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from command_line import ENVIRONMENT, run
from infgram_cli import demo, english, typed

import infgram

MODULES = ["bisect", "cmd", "colorsys", "fnmatch", "glob", "shlex", "textwrap"]


@pytest.fixture(autouse=True)
def small_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Few modules for the library, and a folder to start the demo from."""
    library = tmp_path / "the library"
    library.mkdir()
    for module in MODULES:
        shutil.copy(Path(sysconfig.get_path("stdlib")) / f"{module}.py", library)
    (library / "zone.py").write_text("raise ValueError('behind s')")
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(library))
    monkeypatch.setattr(demo, "_N_TEXTS", 20)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return library


def test_the_commands_that_the_demo_prints_can_be_typed_and_print_what_it_showed() -> None:
    shown = run("demo", "-o", "made by demo", "--seed", "3").stdout
    commands = re.findall(r"^\$ (.*)$", shown, re.MULTILINE)
    subcommands = [re.findall(r"-m infgram_cli (\w+)", command)[0] for command in commands]
    assert set(subcommands) >= {"build", "generate", "next", "count", "find", "novelty"}
    assert subcommands.index("generate") < min(map(subcommands.index, ("next", "count", "find")))
    for command, subcommand in zip(commands, subcommands, strict=True):
        done = subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, env=ENVIRONMENT
        )
        assert done.returncode == 0, (command, done.stderr)
        if subcommand in ("next", "count", "find", "novelty") or "--seed" in command:
            suggested = command in shown.partition("## Your turn")[2]
            assert suggested or done.stdout in shown, command


def test_the_code_is_of_the_modules_that_are_learnt_from(small_library: Path) -> None:
    run("demo", "-o", "made")
    index = infgram.open("made/library.infgram")
    sources = {index.document(i).source for i in range(index.n_documents)}
    assert sources == {str(small_library / f"{each}.py") for each in MODULES[:-1]}


def test_another_seed_gives_another_text_in_the_place_of_the_old_one() -> None:
    first = run("demo", "-o", "made", "--seed", "1").stdout
    text = Path("made/written.txt").read_text()
    Path("made/mine.txt").touch()
    assert run("demo", "-o", "made", "--seed", "2").stdout != first
    assert Path("made/written.txt").read_text() != text
    assert not Path("made/mine.txt").exists()
    assert [each.name for each in Path().iterdir()] == ["made"]


def test_a_folder_that_no_demo_has_made_is_refused_and_stays() -> None:
    for tag in (None, "Signature: 8a477f597d28d172789f06886806bc55\n# by somebody else\n"):
        shutil.rmtree("mine", ignore_errors=True)
        Path("mine").mkdir()
        Path("mine/own.txt").write_text("mine")
        if tag:
            Path("mine/CACHEDIR.TAG").write_text(tag)
        before = sorted(Path("mine").iterdir())
        error = run("demo", "-o", "mine", exit_code=2).stderr
        assert "mine holds files that no demo has made" in error and "-o" in error
        assert sorted(Path("mine").iterdir()) == before
        assert Path("mine/own.txt").read_text() == "mine"


@pytest.mark.parametrize("at", ["texts", "first build", "second build", "last command"])
def test_an_interrupted_demo_leaves_nothing(monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    n_builds = 0
    build = infgram.build

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    def count_builds(*arguments: object, **options: object) -> object:
        nonlocal n_builds
        n_builds += 1
        if n_builds == ["first build", "second build"].index(at) + 1:
            interrupt()
        return build(*arguments, **options)  # type: ignore[arg-type]

    if at == "texts":
        monkeypatch.setattr(english, "write", interrupt)
    elif at == "last command":
        monkeypatch.setattr("infgram.draft.simulate", interrupt)
    else:
        monkeypatch.setattr(infgram, "build", count_builds)
    Path("old").mkdir()
    run("demo", "-o", "old/new/newer", exit_code=130)
    assert [each.name for each in Path().rglob("*")] == ["old"]


def test_without_a_folder_the_demo_stays_in_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    shown = run("demo").stdout
    assert "Everything is in ~/cache/infgram/demo: " in shown
    assert infgram.open(tmp_path / "cache/infgram/demo/english.infgram").n_tokens > 1000
    assert list(Path().iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_error_that_says_what_to_do() -> None:
    Path("file").touch()
    error = run("demo", "-o", "file/folder", exit_code=2).stderr
    assert "file/folder cannot be made (Not a directory): name another folder with -o" in error


def test_a_python_without_sources_is_an_error_that_says_so(small_library: Path) -> None:
    (small_library / "textwrap.py").unlink()
    error = run("demo", "-o", "made", exit_code=2).stderr
    assert "textwrap.py: the demo reads the sources of the library" in error
    assert list(Path().iterdir()) == []


# English ------------------------------------------------------------------------------------------


def test_prose_is_taken_a_paragraph_a_line_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentence = "This is a sentence of quite enough words to be taken."
    (tmp_path / "module.py").write_text(
        f'"""This stands on two lines, and is\none sentence of a paragraph.\n\n{sentence}"""\n'
        f'def f():\n    """{sentence}\n\n    >>> no_prose(1)\n    1\n\n    Too short.\n    """\n'
        'class C:\n    def g(self):\n        "Methods have something to say for themselves, too."\n'
    )
    topics = {
        "topic": f"A title\n*******\n\n   x = 1\n\nIt is said twice. {sentence}\n\n{sentence}"
    }
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", type(sys)("topics"))
    sys.modules["pydoc_data.topics"].topics = topics  # type: ignore[attr-defined]
    n_bytes = english.write(tmp_path / "made", [tmp_path / "module.py"])
    made = {str(p.relative_to(tmp_path)): p.read_text() for p in (tmp_path / "made").rglob("*.txt")}
    assert made == {
        "made/manual/topic.txt": f"It is said twice. {sentence}\n\n{sentence}\n\n",
        "made/docstrings/module.txt": (
            "This stands on two lines, and is one sentence of a paragraph.\n\n"
            "Methods have something to say for themselves, too.\n\n"
        ),
    }
    assert n_bytes == sum(map(len, made.values()))


def test_a_python_without_its_manual_has_docstrings(
    tmp_path: Path, small_library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    assert english.write(tmp_path / "made", [small_library / "textwrap.py"]) > 100
    assert [each.name for each in (tmp_path / "made").iterdir()] == ["docstrings"]


# Typed --------------------------------------------------------------------------------------------


def script(folder: Path) -> Path:
    folder.mkdir(parents=True)
    made = folder / "infgram"
    made.write_text("#!/bin/sh\necho ran\n")
    made.chmod(0o755)
    return made


@pytest.mark.parametrize(
    ("where", "searched", "expected"),
    [
        ("bin", True, "infgram"),
        ("bin", False, "bin/infgram"),
        ("../a b/bin", False, "'{above}/a b/bin/infgram'"),
        ("../home/bin", False, "~/bin/infgram"),
    ],
)
def test_the_program_is_typed_as_this_shell_finds_it(
    monkeypatch: pytest.MonkeyPatch, where: str, searched: bool, expected: str
) -> None:
    above = Path.cwd().parent
    made = script(Path(where))
    monkeypatch.setenv("HOME", str(above / "home"))
    monkeypatch.setenv("PATH", f"{made.parent.absolute()}:/bin:/usr/bin" if searched else "/bin")
    monkeypatch.setattr(sys, "argv", [str(made), "demo"])
    assert typed.program() == expected.format(above=above)
    done = subprocess.run(["/bin/bash", "-c", typed.program()], capture_output=True, text=True)
    assert done.stdout == "ran\n"


def test_another_infgram_on_the_path_is_not_taken_for_this_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, other = script(Path("ours")), script(Path("other"))
    monkeypatch.setenv("PATH", str(other.parent.absolute()))
    monkeypatch.setattr(sys, "argv", [str(ours)])
    assert typed.program() == "ours/infgram"


def test_a_program_in_this_very_folder_is_typed_with_a_slash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.move(script(Path("bin")), "infgram")
    monkeypatch.setattr(sys, "argv", ["./infgram"])
    monkeypatch.setenv("PATH", "/bin")
    assert typed.program() == "./infgram"


def test_who_is_no_script_is_typed_as_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/infgram_cli/__main__.py"])
    done = subprocess.run(
        ["bash", "-c", f"{typed.program()} --version"],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    assert done.stdout.startswith("infgram, version ")


@pytest.mark.parametrize("name", ["plain.txt", "with space", "it's", "~", "$HOME", "-x", "*"])
def test_paths_mean_the_same_to_a_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for folder in (Path(), tmp_path / "home", tmp_path / "else where"):
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(str(folder))
        said = subprocess.run(
            ["bash", "-c", f"cat -- {typed.path(folder / name)}"], capture_output=True, text=True
        )
        assert said.stdout == str(folder), said.stderr


def test_the_command_that_a_build_names_next_can_be_typed() -> None:
    Path("a corpus.txt").write_text("to be or not to be\n" * 100)
    last = run("build", "a corpus.txt").stdout.splitlines()[-1]
    assert last.startswith("Next: ")
    done = subprocess.run(
        ["bash", "-c", last.removeprefix("Next: ")], capture_output=True, text=True, env=ENVIRONMENT
    )
    assert done.returncode == 0 and done.stdout
