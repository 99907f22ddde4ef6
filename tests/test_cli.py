"""The command line: what it prints, where, and how it ends."""

from __future__ import annotations

import gzip
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from command_line import (
    ENVIRONMENT,
    drawn,
    ended,
    interrupted,
    lines,
    run,
    start,
)
from infgram_cli.given import unescaped
from infgram_cli.main import cli
from infgram_cli.output import escaped, si
from waiting import TIMEOUT, wait_until

TEXT = "to be or not to be\nthat is the question\n"


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def index(in_empty_folder: None) -> Path:
    """The only index in the current folder."""
    Path("corpus.txt").write_text(TEXT)
    run("build", "corpus.txt", "--quiet")
    return Path("corpus.infgram")


# Help and errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", sorted(cli.commands))
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    for flag in ("--help", "-h"):
        assert "Example" in run(command, flag).stdout


def test_help_imports_neither_numpy_nor_rich() -> None:
    code = (
        "import sys; from infgram_cli.main import cli; cli(['--help'], standalone_mode=False);"
        "print({'numpy', 'rich', 'infgram'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=TIMEOUT,
    )
    assert done.stdout.splitlines()[-1] == "set()"


def test_version_is_that_of_the_package() -> None:
    from importlib.metadata import version

    assert version("infgram") in run("--version").stdout


def test_an_error_is_one_line_on_stderr_and_exit_code_2() -> None:
    result = run("build", "no [bold]such[/bold] file.txt", exit_code=2)
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("infgram: error: no [bold]such[/bold] file.txt")


@pytest.mark.parametrize("switch", [{"INFGRAM_DEBUG": "1"}, {}])
def test_debug_shows_the_traceback(switch: dict[str, str]) -> None:
    options = () if switch else ("--debug",)
    code, _, stderr = ended(start(*options, "build", "absent.txt", environment=switch))
    assert code == 2
    assert b"Traceback" in stderr
    assert b"InputError" in stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["build"],
        ["count", "-i", "x.infgram"],
        ["unknown"],
        ["next", "a", "--levels", "--infgram"],
        ["generate", "--seed", "-1"],
        ["build", "corpus.txt", "--jobs", "0"],
        ["info", "a.infgram", "-i", "b.infgram"],
    ],
)
def test_wrong_usage_ends_with_exit_code_2(arguments: Sequence[str]) -> None:
    assert run(*arguments, exit_code=2).stdout == ""


# The index ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["info"],
        ["verify"],
        ["calibrate"],
        ["fit"],
        ["count", "a"],
        ["next", "a"],
        ["find", "a"],
        ["generate"],
    ],
)
def test_without_an_index_every_command_says_how_to_make_one(arguments: Sequence[str]) -> None:
    assert "infgram build" in run(*arguments, exit_code=2).stderr


def test_among_two_indexes_none_is_chosen(index: Path) -> None:
    shutil.copytree(index, "other.infgram")
    stderr = run("count", "be", exit_code=2).stderr
    assert "corpus.infgram, other.infgram" in stderr
    assert run("count", "be", "-i", "other.infgram").stdout == "2\tbe\n"


@pytest.mark.usefixtures("index")
def test_an_index_that_is_missing_is_an_error_of_its_own() -> None:
    assert "gone.infgram" in run("info", "gone.infgram", exit_code=2).stderr


# build --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("corpus.txt", "corpus.infgram"),
        ("some.jsonl.gz", "some.infgram"),
        ("v1.2", "v1.infgram"),
        ("folder.d", "folder.d.infgram"),
        ("[x] y.txt", "[x] y.infgram"),
    ],
)
def test_build_names_the_index_after_its_first_input(name: str, expected: str) -> None:
    path = Path("inputs", name)
    path.parent.mkdir()
    if name == "folder.d":
        path.mkdir()
        (path / "a.txt").write_text(TEXT)
    elif name.endswith(".gz"):
        path.write_bytes(gzip.compress(json.dumps({"text": TEXT}).encode()))
    else:
        path.write_text(TEXT)
    stdout = run("build", str(path)).stdout
    assert stdout.startswith(f"{expected}\n")
    assert Path(expected).is_dir()


def test_build_reads_standard_input() -> None:
    process = start("build", "-", "--json", stdin=subprocess.PIPE)
    stdout, stderr = process.communicate(TEXT.encode(), timeout=TIMEOUT)
    assert stderr == b""
    assert json.loads(stdout)["n_tokens"] == len(TEXT)
    assert Path("stdin.infgram").is_dir()


@pytest.mark.usefixtures("index")
def test_build_passes_on_what_it_is_told() -> None:
    report = run(
        *["build", "corpus.txt", "-o", "lines.infgram", "--documents", "line", "--json"],
        *["--tokenizer", "chars", "--shard-tokens", "30", "--jobs", "2"],
    )
    (found,) = lines(report)
    assert (found["n_documents"], found["n_shards"], found["tokenizer"]) == (2, 2, "chars")


@pytest.mark.usefixtures("index")
def test_build_replaces_an_index_only_when_told_to() -> None:
    Path("corpus.txt").write_text("new")
    assert "corpus.infgram" in run("build", "corpus.txt", exit_code=2).stderr
    assert run("count", "be").stdout == "2\tbe\n"
    run("build", "corpus.txt", "--overwrite")
    assert run("count", "be", exit_code=1).stdout == "0\tbe\n"


@pytest.mark.usefixtures("index")
def test_a_quiet_build_prints_nothing() -> None:
    assert run("build", "corpus.txt", "-o", "quiet.infgram", "--quiet").output == ""


def test_skipped_records_are_named_ten_at_most_and_counted() -> None:
    good = json.dumps({"text": TEXT})
    Path("a.jsonl").write_text("\n".join([good, *["{not [b]json}"] * 12]))
    result = run("build", "a.jsonl", "--skip-bad", "--json")
    assert lines(result)[0]["n_skipped"] == 12
    *named, total = result.stderr.splitlines()
    assert len(named) == 10
    assert named[0].startswith("infgram: skipped: a.jsonl:2: ")
    assert total == "infgram: skipped 12 broken records in all"
    assert "a.jsonl:2" in run("build", "a.jsonl", "-o", "b.infgram", exit_code=2).stderr


def test_an_interrupted_build_leaves_nothing() -> None:
    process = start("build", "-", "-o", "x.infgram", stdin=subprocess.PIPE)
    assert process.stdin
    process.stdin.write(TEXT.encode())
    process.stdin.flush()
    wait_until(lambda: len(list(Path().glob("*/*"))) == 2)  # a lock, a spool
    code, stdout, stderr = interrupted(process)
    assert code == 130
    assert stdout == b""
    assert b"Traceback" not in stderr
    assert list(Path().iterdir()) == []


@pytest.mark.usefixtures("index")
def test_progress_is_drawn_in_a_terminal_only() -> None:
    bars, stdout = drawn(
        "build", "corpus.txt", "--overwrite", "--calibrate", "--json", stream="stderr"
    )
    for stage in ("read", "sort", "calibrate"):
        assert stage in bars
    json.loads(stdout)
    assert run("build", "corpus.txt", "--overwrite").stderr == ""


# Queries ------------------------------------------------------------------------------------------


def test_info_tells_what_the_index_holds(index: Path) -> None:
    for arguments in (["info"], ["info", str(index)], ["info", "-i", str(index)]):
        assert "40" in run(*arguments).stdout
    (found,) = lines(run("info", "--json"))
    assert found["n_tokens"] == len(TEXT)
    assert found["build"]["inputs"] == ["corpus.txt"]


def test_info_tells_the_rest_where_a_file_beside_the_index_is_damaged(index: Path) -> None:
    for options in ((), ("--adapt",), ("--mix-size", "full")):
        run("fit", *options)
    (folder,) = index.glob("generation-*")

    def mixtures(found: dict[str, Any]) -> list[tuple[str, bool]]:
        return [(each["size"], each["adapts"]) for each in found["mixtures"]]

    whole = lines(run("info", "--json"))[0]
    assert mixtures(whole) == [("lean", False), ("lean", True), ("full", False)]
    assert whole["damaged"] == []
    for name, command, left in (
        ("mixture.npz", "infgram fit", [("full", False)]),
        ("mixture-adapting.npz", "infgram fit --adapt", [("lean", False), ("full", False)]),
        ("mixture-full.npz", "infgram fit --mix-size full", [("lean", False), ("lean", True)]),
        ("calibration.npz", "infgram calibrate", []),
    ):
        file = folder / name
        file.write_bytes(file.read_bytes()[:-100])
        (found,) = lines(run("info", "--json"))
        (damaged,) = found["damaged"]
        assert (damaged["file"], damaged["run"]) == (name, command)
        assert found["n_tokens"] == len(TEXT)
        assert mixtures(found) == left
        assert found["calibrated"] == (name != "calibration.npz")
        shown = run("info").stdout
        assert f"{name}: run `{command}`" in " ".join(shown.split())
        assert "version" in shown
        assert name in run("verify", exit_code=2).stderr
        run(*command.split()[1:])
        assert lines(run("info", "--json")) == [whole]


def test_verify_fails_on_a_changed_index(index: Path) -> None:
    assert "sound" in run("verify").stdout
    assert lines(run("verify", "--json"))[0]["ok"] is True
    changed = next(index.rglob("codes"))
    damage = bytearray(changed.read_bytes())
    damage[3] ^= 1
    changed.write_bytes(damage)
    assert "codes" in run("verify", exit_code=2).stderr
    (found,) = lines(run("verify", "--json", exit_code=2))
    assert found["ok"] is False
    assert "codes" in str(found["error"])


@pytest.mark.usefixtures("index")
def test_count_prints_a_line_an_ngram() -> None:
    assert run("count", "to be", "zzz", "").stdout == "2\tto be\n0\tzzz\n40\t\n"
    assert lines(run("count", "to be", "zzz", "--json")) == [
        {"ngram": "to be", "count": 2},
        {"ngram": "zzz", "count": 0},
    ]


@pytest.mark.usefixtures("index")
def test_count_reads_ngrams_from_a_file_and_standard_input() -> None:
    Path("ngrams").write_bytes(b"be\nto be\r\n\xff")
    assert run("count", "-f", "ngrams").stdout == "2\tbe\n2\tto be\n0\t\\xff\n"
    assert run("count", "or", "-f", "-", stdin="be\n").stdout == "1\tor\n2\tbe\n"


@pytest.mark.usefixtures("index")
def test_escapes_are_read_in_what_is_typed_unless_told_not_to() -> None:
    for option in ([], ["-e"], ["--escape"]):
        assert run("count", r"be\nthat", *option).stdout == "1\tbe\\nthat\n"
        assert r"write \\ for a backslash" in run("count", r"\q", *option, exit_code=2).stderr
    literal = run("count", r"be\nthat", "--no-escape", exit_code=1).stdout
    assert literal == "0\tbe\\\\nthat\n"  # as --escape reads it
    assert run("count", "be\nthat").stdout == "1\tbe\\nthat\n"
    Path("code.txt").write_text(r"print('a\n')")
    run("build", "code.txt")
    for typed in ([r"a\n", "--no-escape"], [r"a\\n"]):
        assert run("count", *typed, "-i", "code.infgram").stdout.startswith("1\t")
    missed = run("count", r"a\n", "-i", "code.infgram", exit_code=1)
    assert "--no-escape" in missed.stderr
    assert "--no-escape" not in run("count", r"a\n", "-e", "-i", "code.infgram", exit_code=1).stderr


def test_what_escaped_writes_the_option_reads() -> None:
    text = "tab\t line\n return\r nul\0 byte\udcff あ"
    assert escaped(text) == r"tab\t line\n return\r nul\x00 byte\xff あ"
    assert unescaped(escaped(text)) == text
    assert unescaped(r"\\n\xe3\x81\x82") == "\\nあ"


@pytest.mark.usefixtures("index")
def test_next_shows_the_most_frequent_tokens_first() -> None:
    stdout = run("next", "to b").stdout
    assert "matched 4 of 4 tokens; matches: 2" in stdout
    assert stdout.splitlines()[-1].split() == ["'e'", "2", "1.0000"]
    first, *_ = found = lines(run("next", "o", "-m", "2", "--json"))
    assert len(found) == 2
    assert (first["token"], first["count"], first["prompt_cnt"]) == (" ", 2, 5)


@pytest.mark.usefixtures("index")
def test_next_backs_off_only_when_told_to() -> None:
    missed = run("next", "xxto b", exit_code=1)
    assert (missed.stdout, "nothing follows" in missed.stderr) == ("", True)
    assert run("next", "xxto b", "--json", exit_code=1).stdout == ""
    assert "matched 4 of 6 tokens" in run("next", "xxto b", "--infgram").stdout
    assert lines(run("next", "xxto b", "--infgram", "--json"))[0]["suffix_len"] == 4


@pytest.mark.usefixtures("index")
def test_next_levels_are_nested_and_longest_first() -> None:
    found = lines(run("next", "not to b", "--levels", "--json"))
    assert [(level["n"], level["m"]) for level in found] == [(8, 1), (4, 2)]
    assert "'e' 2" in run("next", "not to b", "--levels").stdout


def test_find_shows_place_text_and_metadata() -> None:
    record = {"text": TEXT, "author": "[red]WS[/red]"}
    Path("a.jsonl").write_text(json.dumps(record))
    run("build", "a.jsonl")
    stdout = run("find", "or").stdout
    assert stdout.startswith("a.jsonl:1: ")
    assert "[red]WS[/red]" in stdout
    assert r"to be or not to be\nthat is" in stdout
    (found,) = lines(run("find", "or", "--context", "3", "--json"))
    assert (found["before"], found["match"], found["after"]) == ("be ", "or", " no")
    assert found["metadata"] == {"author": "[red]WS[/red]"}


@pytest.mark.usefixtures("index")
def test_find_repeats_its_choice_for_a_seed() -> None:
    first, second = (run("find", "t", "-m", "2", "--seed", "5") for _ in range(2))
    assert first.stdout == second.stdout
    assert len(first.stdout.splitlines()) == 2
    assert "2 of 7 occurrences" in first.stderr


def test_bare_ids_are_queried_as_ids() -> None:
    import numpy as np

    np.save("ids.npy", np.array([12, 7, 9, 12, 7], np.uint32))
    run("build", "ids.npy", "--tokenizer", "ids", "--vocab-size", "20")
    assert run("count", "12 7", "7,9").stdout == "2\t12 7\n1\t7,9\n"
    assert run("next", "12").stdout.splitlines()[-1].split() == ["7", "2", "1.0000"]
    assert run("generate", "12 7 9", "-n", "2", "-T", "0", "-k", "1").stdout == "12 7 9 12 7\n"
    assert "12 7 9" in run("find", "9").stdout
    assert "token ids" in run("count", "twelve", exit_code=2).stderr
    assert "99" in run("count", "99", exit_code=2).stderr


@pytest.mark.usefixtures("index")
def test_a_text_index_reads_ids_when_asked_to() -> None:
    assert run("count", "98 101", "--ids").stdout == "2\t98 101\n"


# generate -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("index")
def test_generate_repeats_for_a_seed_and_begins_with_the_prompt() -> None:
    options = ("generate", "to ", "-n", "30", "--seed", "3")
    first, second = run(*options).stdout, run(*options).stdout
    assert first == second
    assert first.startswith("to ")
    new = run(*options, "--no-prompt").stdout
    assert "to " + new == first
    (found,) = lines(run(*options, "--json"))
    assert str(found["text"]).rstrip("\n") == new.rstrip("\n")
    assert (found["n_tokens"], found["finish_reason"]) == (30, "length")


@pytest.mark.usefixtures("index")
def test_generate_says_what_an_option_should_be() -> None:
    assert "k is 0" in run("generate", "-k", "0", exit_code=2).stderr
    assert "temperature" in run("generate", "-T", "nan", exit_code=2).stderr


@pytest.mark.usefixtures("index")
def test_generate_prints_text_as_it_is_made_and_ends_with_its_reader() -> None:
    process = start("generate", "to ", "-n", "1000000000000", "--seed", "1")
    assert process.stdout
    assert process.stdout.read(5000).startswith(b"to be")
    process.stdout.close()
    assert process.stderr
    stderr = process.stderr.read()
    assert (process.wait(TIMEOUT), stderr) == (0, b"")
    process.stderr.close()


@pytest.mark.usefixtures("index")
def test_an_interrupt_ends_generate_quietly_with_130() -> None:
    process = start("generate", "-n", "1000000000000", stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.read(5000)
    code, _, stderr = interrupted(process)
    assert (code, stderr.strip()) == (130, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.usefixtures("index")
def test_output_that_cannot_be_written_is_an_error() -> None:
    with Path("/dev/full").open("wb") as full:
        code, _, stderr = ended(start("generate", stdout=full))
    assert code == 2
    (line,) = stderr.splitlines()
    assert line.startswith(b"infgram: error: ")


def test_a_reader_that_has_seen_enough_is_no_error(index: Path) -> None:
    python = shlex.quote(sys.executable)
    for command in ("next 'to' --levels", "find 'o' --context 9", "generate -k 1", "info"):
        done = subprocess.run(
            [
                "bash",
                "-c",
                f"{python} -m infgram_cli {command} | true; exit ${{PIPESTATUS[0]}}",
            ],
            capture_output=True,
            text=True,
            env=ENVIRONMENT,
            timeout=TIMEOUT,
        )
        assert (done.returncode, done.stderr) == (0, ""), command


# Encodings ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("environment", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}])
def test_bytes_that_are_no_text_are_counted_and_shown(environment: dict[str, str]) -> None:
    source = os.fsdecode(b"caf\xe9.txt")
    Path(source).write_bytes(b"caf\xe9 caf\xe9 \xf0\x9f\x98\x80")
    for arguments, expected in [
        (("build", source, "-o", "x.infgram", "--format", "bytes"), b"x.infgram"),
        (("info",), b"caf\\xe9.txt"),
        (("count", b"caf\xe9"), b"2\tcaf\\xe9"),
        (("count", rb"\xe9", "-e"), b"2\t\\xe9"),
        (("next", "f"), b"'\\xe9'"),
        (("find", b"\xe9", "-m", "3"), b"caf\\xe9.txt"),
        (("generate", b"\xe9 c", "-n", "5", "-k", "1"), b"af"),
    ]:
        code, stdout, stderr = ended(start(*arguments, environment=environment))
        assert (code, stderr) == (0, b"")
        assert expected in stdout


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_a_prompt_is_written_byte_for_byte(encoding: str) -> None:
    for options in ((), ("--samples", "1"), ("--shade",)):
        command = ("generate", b"caf\xff\xe9 to ", "-n", "0", *options)
        code, stdout, _ = ended(start(*command, environment={"PYTHONIOENCODING": encoding}))
        assert (code, stdout) == (0, b"caf\xff\xe9 to \n")
    seen, _ = drawn("generate", b"\x9b2J to ", "-n", "0", environment={"TERM": "dumb"})
    assert seen == "\ufffd2J to \n"


@pytest.mark.parametrize("name", [b"caf\xff", b"it's \xff", b"two words", "caf\u00e9".encode()])
def test_what_build_says_to_type_next_can_be_typed(name: bytes) -> None:
    source = os.fsdecode(name + b".txt")
    Path(source).write_text(TEXT)
    code, stdout, _ = ended(start("build", source, "--format", "bytes"))
    assert code == 0
    assert b"udc" not in stdout
    (command,) = [line for line in stdout.splitlines() if line.startswith(b"Next: ")]
    done = subprocess.run(
        ["/bin/bash", "-c", command.removeprefix(b"Next: ") + b" -n 3 be"],
        capture_output=True,
        env=ENVIRONMENT,
        timeout=TIMEOUT,
    )
    assert (done.returncode, done.stdout[:2]) == (0, b"be")


def test_characters_are_tokens_of_any_script() -> None:
    Path("ja.txt").write_text("吾輩は猫である。名前はまだ無い。", encoding="utf-8")
    run("build", "ja.txt", "--tokenizer", "chars")
    assert "'猫'" in run("next", "吾輩は").stdout
    assert run("count", "は").stdout == "2\tは\n"
    assert lines(run("next", "輩は", "--json"))[0]["token"] == "猫"


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0, "0 B"), (999, "999 B"), (999.7, "1 kB"), (1_115_394, "1.12 MB"), (68.3e6, "68.3 MB")],
)
def test_sizes_have_three_digits(number: float, expected: str) -> None:
    assert si(number, "B") == expected
