"""`infgram generate`, `calibrate` and what `build` says of it: what they print, and refuse."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from command_line import drawn, ended, lines, run, start
from conftest import generation

import infgram

ESCAPE = "\x1b"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], infgram.Index]:
    """Copies an index of that name, and its text, into the current folder; each is built once."""
    folder = tmp_path_factory.mktemp("made")

    def copy(name: str) -> infgram.Index:
        if not (folder / name).exists():
            (folder / name).mkdir()
            build(name)
            for suffix in ("txt", "infgram"):
                shutil.move(f"{name}.{suffix}", folder / name / f"{name}.{suffix}")
        shutil.copytree(folder / name, ".", dirs_exist_ok=True)
        return infgram.open(f"{name}.infgram")

    return copy


@pytest.fixture
def index(made: Callable[[str], infgram.Index]) -> infgram.Index:
    """The only index in the current folder: made-up sentences."""
    return made("corpus")


@pytest.fixture
def pair(made: Callable[[str], infgram.Index]) -> tuple[infgram.Index, infgram.Index]:
    """Two indexes of different text."""
    return made("one"), made("two")


def build(name: str) -> None:
    random = Random(name)
    words = ["to", "be", "or", "not", "that", "is", "the", "question", "whether", "nobler"]
    sentences = [" ".join(random.choices(words, k=random.randint(3, 9))) for _ in range(120)]
    Path(f"{name}.txt").write_text("".join(f"{s.capitalize()}.\n" for s in sentences))
    infgram.build(f"{name}.txt", f"{name}.infgram")


def made_text(*options: str) -> str:
    return run("generate", "To be", "-n", "80", "--seed", "3", *options).stdout


def same_as_the_library(options: Sequence[str], model: infgram.Model, **sampling: Any) -> bool:
    text = model.generate("To be", max_tokens=80, seed=3, **sampling).text
    return made_text(*options).removesuffix("\n") == f"To be{text}".removesuffix("\n")


# Estimators and sampling --------------------------------------------------------------------------


def test_help_names_every_option_and_its_default() -> None:
    shown = " ".join(run("generate", "--help").stdout.split())
    for option in [
        *["--estimator", "--decay", "--weighting", "--window", "--max-order", "--published"],
        *["--temperature", "--top-k", "--top-p", "--min-p", "--max-copy", "--stop", "--adapt"],
        *["--seed", "--samples", "--threads", "--shade", "--trace", "--sources", "--weight"],
    ]:
        assert f"{option} " in shown
    assert "[default: sbis]" in shown
    assert "[default: kneser-ney]" in " ".join(run("perplexity", "--help").stdout.split())


def test_without_options_the_text_is_that_of_the_library(index: infgram.Index) -> None:
    text = infgram.generate(index, "To be", max_tokens=80, seed=3).text
    assert made_text().removesuffix("\n") == f"To be{text}".removesuffix("\n")


def test_every_estimator_is_that_of_the_library(index: infgram.Index) -> None:
    model, kneser_ney = infgram.Model, infgram.KneserNey(5)
    assert same_as_the_library(
        ["--estimator", "longest", "--window", "7"], model(index, infgram.Longest(7))
    )
    assert same_as_the_library(
        ["-k", "3", "--decay", "0.5", "--weighting", "distributions", "--window", "9"],
        model(index, infgram.SBIS(3, 0.5, "distributions", 9)),
    )
    assert same_as_the_library(
        ["--floor", "0.001", "-T", "2"],
        model(index, infgram.SBIS(2, 0.3, floor=0.001)),
        temperature=2.0,
    )
    assert same_as_the_library(
        ["--estimator", "kneser-ney", "--max-order", "5", "--adapt"],
        model(index, kneser_ney, adapt=True),
    )


def test_limits_are_those_of_the_library(index: infgram.Index) -> None:
    model = infgram.Model(index)
    kneser_ney = ["--estimator", "kneser-ney"]
    for options, sampling in [
        (["-T", "1.5", "--top-k", "3"], {"temperature": 1.5, "top_k": 3}),
        (["-T", "1", "--top-p", "0.7"], {"temperature": 1.0, "top_p": 0.7}),
        (["-T", "1", "--min-p", "0.2"], {"temperature": 1.0, "min_p": 0.2}),
        (["-T", "0"], {"temperature": 0.0}),
    ]:
        assert same_as_the_library([*kneser_ney, *options], model, **sampling)


def test_published_is_one_word_for_four_options(index: infgram.Index) -> None:
    model = infgram.Model(index, infgram.SBIS(2, 0.1, "counts"))
    assert same_as_the_library(["--published"], model, temperature=0.8)
    assert same_as_the_library(
        ["--published", "--window", "3"],
        infgram.Model(index, infgram.SBIS(2, 0.1, window=3)),
        temperature=0.8,
    )


def test_no_run_is_longer_than_max_copy(index: infgram.Index) -> None:
    def longest_run(*options: str) -> int:
        (found,) = lines(run("generate", "-n", "2000", "--seed", "1", "--json", *options))
        return int(index.match_lengths(found["text"]).max())

    for estimator in ("sbis", "kneser-ney", "longest"):
        assert longest_run("--estimator", estimator, "--max-copy", "12") <= 12
    assert longest_run() > 12


def test_the_text_ends_before_a_stop_string(index: infgram.Index) -> None:
    text = made_text("--no-prompt").rstrip("\n")
    word = text.split()[3]
    (found,) = lines(
        run(
            *["generate", "To be", "-n", "80", "--seed", "3", "--json"],
            *["--stop", "no such text", "--stop", word],
        )
    )
    assert found["text"] == text[: text.index(word)]
    assert (found["finish_reason"], found["n_tokens"]) == ("stop", len(found["text"]))
    assert "\n" not in made_text("--no-prompt", "-e", "--stop", r"\n").rstrip("\n")


def test_adapt_changes_what_is_written(index: infgram.Index) -> None:
    options = ("--estimator", "kneser-ney")
    assert made_text(*options) != made_text(*options, "--adapt")


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(
    "options", [(), ("--estimator", "kneser-ney", "--adapt"), ("--samples", "3"), ("--trace",)]
)
def test_a_seed_repeats_the_output(options: Sequence[str]) -> None:
    assert made_text(*options) == made_text(*options)
    other = run("generate", "To be", "-n", "80", "--seed", "4", *options).stdout
    assert made_text(*options) != other


# Usage --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--estimator longest -k 3", "-k is for --estimator sbis, not longest"),
        ("--estimator kneser-ney --decay 0.3", "--decay is for --estimator sbis"),
        ("--estimator kneser-ney --weighting counts", "--weighting is for --estimator sbis"),
        ("--estimator kneser-ney --window 5", "--window is for --estimator longest or sbis"),
        ("--max-order 4", "--max-order is for --estimator kneser-ney, not sbis"),
        ("--published -k 2", "leave out -k"),
        ("--published -T 0.8", "leave out --temperature"),
        ("--published --adapt", "leave out --adapt"),
        ("--published --estimator kneser-ney", "leave out --estimator kneser-ney"),
        ("--threads 2", "--threads is for --samples"),
        ("--sources 2", "--sources is for --trace"),
        ("--trace --samples 2", "--trace does not go with --samples"),
        ("--shade --json", "--shade does not go with --json"),
        ("--estimator markov", "'markov' is not one of"),
        ("-k 1.5", "'1.5' is not a whole number"),
        ("-T warm", "'warm' is not a number"),
        ("--max-copy 0", "x>=1"),
        ("--samples 0", "x>=1"),
        ("--seed -1", "x>=0"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(options: str, said: str) -> None:
    result = run("generate", *options.split(), exit_code=2)
    assert result.stdout == ""
    assert said in result.stderr.splitlines()[-1]


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("-T -1", "--temperature is -1.0"),
        ("-T inf", "temperature is inf"),
        ("--top-p 2", "--top-p is 2.0"),
        ("--top-p nan", "--top-p is nan"),
        ("--min-p -1", "--min-p is -1.0"),
        ("--decay 3", "decay is 3.0"),
        ("--floor 1", "floor is 1.0"),
        ("-k 0", "-k is 0"),
        ("--max-copy 500", "--max-copy is 500, expected at most 200"),
        ("--estimator kneser-ney --max-order 1", "--max-order is 1"),
        ("--weight 2 --weight 3", "--weight are 2.0, 3.0"),
        ("--stop=", "--stop is"),
        ("-i absent.infgram", "absent.infgram"),
    ],
)
def test_what_the_library_refuses_is_one_line_and_exit_code_2(options: str, said: str) -> None:
    result = run("generate", *options.split(), exit_code=2)
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("infgram: error: ")
    assert said in line


# Several indexes, samples -------------------------------------------------------------------------


def test_indexes_are_mixed_by_weight(pair: tuple[infgram.Index, infgram.Index]) -> None:
    both = ["-i", "one.infgram", "-i", "two.infgram"]
    model = infgram.Model(pair, infgram.SBIS(2, 0.3), weights=[3, 1])
    assert same_as_the_library([*both, "--weight", "3", "--weight", "1"], model)
    # at temperatures from 0.5 to 1, one index alone is drawn from in another way
    cold = ["--temperature", "0.4"]
    one = made_text("-i", "one.infgram", *cold)
    assert made_text(*both, "--weight", "1", "--weight", "0", *cold) == one


@pytest.mark.usefixtures("pair")
def test_indexes_with_different_tokenizers_are_refused() -> None:
    run("build", "one.txt", "-o", "chars.infgram", "--tokenizer", "chars")
    stderr = run("generate", "-i", "one.infgram", "-i", "chars.infgram", exit_code=2).stderr
    assert "another tokenizer" in stderr


def test_samples_are_a_line_each_and_do_not_depend_on_threads(index: infgram.Index) -> None:
    options = ("generate", "To be", "-n", "30", "--seed", "5", "--samples", "3")
    expected = infgram.Model(index, infgram.SBIS(2, 0.3)).samples(3, "To be", max_tokens=30, seed=5)
    for threads in ("1", "2"):
        found = lines(run(*options, "--json", "--threads", threads))
        assert [each["text"] for each in found] == [each.text for each in expected]
        assert all(each.keys() == found[0].keys() for each in found)
    assert set(found[0]) == {"text", "n_tokens", "finish_reason", "seconds"}
    shown = run(*options).stdout
    for i, each in enumerate(expected, 1):
        assert f"## text {i} of 3\nTo be{each.text}" in shown
    assert "##" not in run(*options[:-1], "1").stdout


# Trace --------------------------------------------------------------------------------------------


def test_trace_is_an_object_a_token(index: infgram.Index) -> None:
    options = ("generate", "To be", "-n", "12", "--seed", "3", "--trace", "--json")
    found = lines(run(*options))
    assert "".join(step["token"] for step in found) == made_text("-n", "12", "--no-prompt")[:12]
    assert set(found[0]) == {"token", "token_id", "prob", "n", "m", "match_length", "levels"}
    for step in found:
        assert sum(level["weight"] for level in step["levels"]) == pytest.approx(1)
        given = sum(level["weight"] * level["prob"] for level in step["levels"])
        assert step["prob"] == pytest.approx(given)
    first = index.levels("To be")[0]
    assert (found[0]["n"], found[0]["m"]) == (first.n, first.m)


def test_trace_names_sources_that_hold_the_match(index: infgram.Index) -> None:
    options = ("generate", "To be", "-n", "12", "--seed", "3", "--trace")
    text = index.document(0).text
    read = "To be"
    for step in lines(run(*options, "--json", "--sources", "2")):
        read += step["token"]
        match = read[-step["match_length"] :]
        assert 1 <= len(step["sources"]) <= 2
        for source in step["sources"]:
            assert source["source"] == "corpus.txt"
            assert text[source["offset"] :].startswith(match)
            before = text[: source["offset"]]
            assert source["line"] == before.count("\n") + 1
            assert source["column"] == len(before) - before.rfind("\n")
    shown = run(*options, "--sources", "1").stdout
    assert len(re.findall(r"corpus\.txt:\d+ token ", shown)) == 12


@pytest.mark.usefixtures("index")
def test_trace_is_a_row_a_token() -> None:
    shown = run("generate", "To be", "-n", "5", "--seed", "3", "--trace").stdout
    text, _, rows = shown.partition("\n\n")
    assert text.startswith("To be")
    header, *body = rows.splitlines()
    assert header.split()[:4] == ["token", "prob", "n", "m"]
    assert len(body) == 5
    assert re.match(r"'.+' +[01]\.\d{4} +\d+ +\d+ +\d+: \d\.\d{3} x \d\.\d{3}", body[0])


@pytest.mark.usefixtures("index")
def test_a_trace_of_kneser_ney_ends_in_any_token_and_knows_live_levels() -> None:
    options = ["generate", "To be or", "-n", "20", "--seed", "1", "--trace", "--json"]
    steps = lines(run(*options, "--estimator", "kneser-ney", "--adapt"))
    assert all(step["levels"][-1]["m"] == 0 for step in steps)
    assert any(level["live"] for step in steps for level in step["levels"])


# Colour and terminals -----------------------------------------------------------------------------


def test_color_needs_a_terminal_unless_forced(
    index: infgram.Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("generate", "To be", "-n", "80", "--seed", "3", "--shade")
    plain = run(*options)
    assert plain.stdout == made_text()
    assert "--color always" in plain.stderr
    code, stdout, stderr = ended(start(*options, environment={"FORCE_COLOR": "1"}))
    assert code == 0
    assert COLOURS.sub("", stdout.decode()) == made_text()
    assert ESCAPE in stdout.decode()
    assert "64+" in stderr.decode()
    both = {"FORCE_COLOR": "1", "NO_COLOR": "1"}
    code, stdout, stderr = ended(start(*options, environment=both))
    assert (code, stdout.decode(), stderr.decode()) == (0, made_text(), plain.stderr)


@pytest.mark.usefixtures("index")
def test_a_terminal_is_coloured_only_when_asked_to() -> None:
    options = ("generate", "To be", "-n", "80", "--seed", "3")
    plain, _ = drawn(*options, "--no-prompt")
    assert ESCAPE not in plain
    shaded, legend = drawn(*options, "--no-prompt", "--shade")
    assert COLOURS.sub("", shaded) == plain
    assert ESCAPE in shaded
    assert legend.startswith("verbatim from the corpus, in tokens:")
    shown, _ = drawn(*options, "--no-prompt", "--shade", environment={"NO_COLOR": "1"})
    assert shown == plain


def test_shades_are_those_of_match_lengths(index: infgram.Index) -> None:
    options = ("generate", "To be", "-n", "300", "--seed", "3", "--shade", "--no-prompt")
    shaded, _ = drawn(*options)
    colours = {"34": 0, "36": 8, "32": 16, "33": 32, "31": 64}
    least = []
    for codes, text in re.findall(r"((?:\x1b\[[\d;]+m)+)([^\x1b]+)", shaded):
        for code in set(re.findall(r"\d+", codes)) & set(colours):
            least += [colours[code]] * len(text)
    (found,) = lines(run(*options[:-2], "--json"))
    lengths = index.match_lengths("To be" + found["text"])[5:]
    expected = [max(least for least in colours.values() if least <= n) for n in lengths]
    assert least == expected
    assert len(set(least)) > 2


def test_shading_keeps_characters_of_several_tokens_and_bytes_that_are_none() -> None:
    raw = (
        "Größe für Übergänge 猫 — naïve\n".encode() * 30
        + b"caf\xe9 \xff\xfe\xff\xfe\xff caf\xe9\n" * 30
    )
    Path("corpus.txt").write_bytes(raw)
    run("build", "corpus.txt")
    for seed in "123":
        options = ("generate", "-n", "200", "--seed", seed)
        _, shaded, _ = ended(start(*options, "--shade", environment={"FORCE_COLOR": "1"}))
        assert COLOURS.sub("", shaded.decode()) == run(*options).stdout


def test_bare_ids_are_shaded_and_traced() -> None:
    np.save("ids.npy", np.array([12, 7, 9, 12, 7, 8] * 30, np.uint32))
    run("build", "ids.npy", "--tokenizer", "ids", "--vocab-size", "20")
    options = ("generate", "12 7", "-n", "40", "--seed", "1")
    _, shaded, _ = ended(start(*options, "--shade", environment={"FORCE_COLOR": "1"}))
    assert COLOURS.sub("", shaded.decode()) == run(*options).stdout
    found = lines(run(*options, "--trace", "--json"))
    assert {step["token_id"] for step in found} <= {7, 8, 9, 12}


@pytest.mark.parametrize(
    "options", [[], ["--shade"], ["--samples", "2"], ["--trace", "--sources", "1"], ["--published"]]
)
def test_a_corpus_never_commands_the_terminal(options: Sequence[str]) -> None:
    Path("evil\x1b]0;title\x07.txt").write_bytes(b"a\x1b[2Jb\x07c\x9b31md\n" * 50)
    run("build", "evil\x1b]0;title\x07.txt", "-o", "evil.infgram", "--format", "bytes")
    shown, _ = drawn("generate", "a", "-n", "60", "--seed", "1", *options)
    left = COLOURS.sub("", shown)
    assert not {c for c in left if ord(c) < 32 or 127 <= ord(c) < 160} - set("\n\r\t")
    assert "[2J" in left


# calibrate, build ---------------------------------------------------------------------------------


def test_calibrate_stores_the_fit_that_the_library_makes(index: infgram.Index) -> None:
    static, adapting = infgram.calibrate(index, save=False)
    run("build", "corpus.txt", "--overwrite")
    stored = generation(Path("corpus.infgram")) / "calibration.npz"
    assert not stored.exists()
    (found,) = lines(run("calibrate", "--json"))
    assert stored.is_file()
    assert found["path"] == str(Path("corpus.infgram").absolute())
    assert found["n_tokens"] == static.n_tokens > 0
    for name, fit in (("static", static), ("adapting", adapting)):
        assert found[name]["nats_per_token"] == pytest.approx(fit.nats)
        assert found[name]["perplexity"] == pytest.approx(math.exp(fit.nats))
    assert found["seconds"] > 0


def test_calibrate_prints_both_fits(index: infgram.Index) -> None:
    static, adapting = infgram.calibrate(index, save=False)
    for arguments in (["calibrate"], ["calibrate", "corpus.infgram"]):
        first, _, *rows = run(*arguments).stdout.splitlines()
        assert first.startswith(f"corpus.infgram: {static.n_tokens:,} tokens predicted in ")
        assert rows[0].split() == ["static", f"{static.nats:.4f}", f"{math.exp(static.nats):.4f}"]
        assert rows[1].split()[:2] == ["adapting", f"{adapting.nats:.4f}"]
    assert run("calibrate", "--quiet").output == ""


def test_a_corpus_too_small_to_calibrate_says_so() -> None:
    Path("tiny.txt").write_text("to be")
    run("build", "tiny.txt")
    assert "too small" in run("calibrate").stdout
    (found,) = lines(run("calibrate", "--json"))
    assert (found["n_tokens"], found["static"], found["adapting"]) == (0, None, None)
    assert run("generate", "to", "-n", "3", "--estimator", "kneser-ney").exit_code == 0


def test_calibrating_what_is_no_index_is_an_error() -> None:
    Path("folder.infgram").mkdir()
    (line,) = run("calibrate", exit_code=2).stderr.splitlines()
    assert "folder.infgram" in line


@pytest.mark.usefixtures("index")
def test_build_calibrates_if_it_is_told_to() -> None:
    again = ("build", "corpus.txt", "--overwrite")
    (found,) = lines(run(*again, "--json", "--calibrate"))
    assert found["calibrated"] is True
    assert found["calibration_seconds"] > 0
    assert (generation(Path("corpus.infgram")) / "calibration.npz").is_file()
    assert "s to calibrate" in run(*again, "--calibrate").stdout
    (found,) = lines(run(*again, "--json"))
    assert (found["calibrated"], found["calibration_seconds"]) == (False, 0)
    assert not (generation(Path("corpus.infgram")) / "calibration.npz").exists()
    assert "calibrate" not in run(*again).stdout


@pytest.mark.usefixtures("index")
def test_who_waits_at_a_terminal_is_told_that_a_model_is_fitted_for_the_first_time() -> None:
    run("build", "corpus.txt", "--overwrite")
    ask = ("generate", "a", "-n", "5", "--seed", "1", "--estimator", "kneser-ney")
    said = "infgram: fitting Kneser-Ney to "
    assert said in " ".join(drawn(*ask, stream="stderr")[0].split())
    assert said not in drawn(*ask, stream="stderr")[0]
    run("build", "corpus.txt", "--overwrite")
    assert run(*ask).stderr == ""


@pytest.mark.usefixtures("index")
def test_an_index_without_calibration_generates_the_same() -> None:
    options = ("--estimator", "kneser-ney")
    calibrated = made_text(*options)
    run("build", "corpus.txt", "--overwrite")
    assert made_text(*options) == calibrated


@pytest.mark.usefixtures("index")
def test_calibrate_draws_its_progress_in_a_terminal_only() -> None:
    bars, stdout = drawn("calibrate", stream="stderr")
    assert "calibrate" in bars
    assert "static" in stdout
    assert run("calibrate").stderr == ""
    json.loads(drawn("calibrate", "--json", stream="stderr")[1])
