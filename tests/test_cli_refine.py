"""`infgram refine` and `infgram generate --refiner`: what a refiner does to a text, for people."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from command_line import lines, run
from infgram_cli.output import StepLines, stderr
from infgram_cli.refine import text as text_command
from refiner import Bigrams
from test_cli_polish import DRAFT, TEXT

import infgram
from infgram.extras import how_to_install
from infgram.refine import Trace, refine
from infgram.refine.strategies import STRATEGIES

SCORER: Any = Bigrams(TEXT)
REFINE = ("refine", "draft.txt", "--refiner", "r", "--seed", "3")
SAMPLING = ("--estimator", "kneser-ney", "-T", "2", "--seed", "0")
GENERATE = ("generate", "KING: the c", "-n", "90", *SAMPLING)


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> infgram.Index:
    monkeypatch.chdir(tmp_path)
    Path("draft.txt").write_bytes(DRAFT)
    Path("corpus.txt").write_bytes(TEXT)
    return infgram.build("corpus.txt", "corpus.infgram")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, str]]:
    """What was opened: each is the same refiner."""
    asked: list[tuple[Path, str]] = []

    def open_refiner(path: Path, device: str) -> Any:
        asked.append((path, device))
        return SCORER

    for module in ("refine", "generate"):
        monkeypatch.setattr(f"infgram_cli.{module}.open_refiner", open_refiner)
    return asked


@pytest.mark.usefixtures("opened")
def test_the_text_is_printed_as_it_was_edited(index: infgram.Index) -> None:
    expected = refine(index, SCORER, DRAFT, seed=3).text
    assert "cxt" not in expected and len(expected) == len(DRAFT)
    assert run(*REFINE).stdout == expected
    options = ("--refiner", "r", "--seed", "3")
    assert run("refine", *options, stdin=DRAFT).stdout == expected
    assert run("refine", "-", *options, "-i", "corpus.infgram", stdin=DRAFT).stdout == expected
    assert run("refine", *options, "draft.txt").stdout == expected
    assert run("refine", "text", "draft.txt", *options).stdout == expected
    assert run("refine", *options, stdin=b"").stdout == ""
    odd = b"\xff\x00 \x01\n"
    assert run("refine", *options, "--rounds", "0", stdin=odd).stdout_bytes == odd


def test_the_refiner_is_opened_where_it_is_told_to(opened: list[tuple[Path, str]]) -> None:
    run(*REFINE, "--device", "cpu")
    run(*REFINE)
    run(*GENERATE, "--refiner", "r")
    assert opened == [(Path("r"), "cpu"), (Path("r"), "auto"), (Path("r"), "auto")]


@pytest.mark.usefixtures("opened")
def test_the_prompt_and_what_is_protected_stay() -> None:
    found = run(*REFINE, "--prompt", r"KING: the cxt\x20", "-e").stdout
    assert found.startswith("KING: the cxt sat")
    assert "szt" not in found
    assert run(*REFINE, "--protect", "c.t", "--protect", "s.t").stdout_bytes == DRAFT
    assert "does not begin with the prompt 'x'" in run(*REFINE, "--prompt", "x", exit_code=2).stderr


@pytest.mark.usefixtures("opened")
def test_edits_are_listed_and_kept_and_shown(index: infgram.Index) -> None:
    result = run(*REFINE, "--edits", "--trace", "trace.jsonl")
    assert "'cxt'" in result.stderr and "'szt'" in result.stderr
    assert "2 edits in 1 rounds" in result.stderr
    trace = Trace.load("trace.jsonl")
    assert bytes(trace.replay().tolist()) == result.stdout_bytes
    assert (trace.settings["seed"], trace.settings["tokenizer"]) == (3, "bytes")
    assert run("animate", "trace.jsonl").stdout == result.stdout
    run("animate", "trace.jsonl", "--html", "film.html")
    assert "<html" in Path("film.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("opened")
def test_json_has_the_text_and_all_its_edits(index: infgram.Index) -> None:
    (found,) = lines(run(*REFINE, "--prompt", "KING: ", "--max-copy", "12", "--json"))
    expected = refine(index, SCORER, DRAFT[6:], prompt="KING: ", max_copy=12, seed=3)
    assert found.pop("seconds") >= 0
    assert found == {
        "text": expected.text,
        "n_tokens": len(DRAFT) - 6,
        "n_edited": expected.n_edited,
        "n_rounds": expected.n_rounds,
        "n_unjudged": 0,
        "longest_run": expected.longest_run,
        "runs": [list(run) for run in expected.runs],
        "edits": [
            {
                **{"start": edit.start, "end": edit.end, "old": list(edit.old)},
                **{"new": list(edit.new), "gain": pytest.approx(edit.gain)},
                **{"proposer": edit.proposer, "source_offset": edit.source_offset},
                "round": edit.round,
            }
            for edit in expected.edits
        ],
    }
    assert expected.edits


@pytest.mark.usefixtures("opened")
def test_rounds_and_strategies_are_those_of_the_library(index: infgram.Index) -> None:
    assert run(*REFINE, "--rounds", "0").stdout_bytes == DRAFT
    (choice,) = (p.type for p in text_command.params if p.name == "strategy")
    assert list(choice.choices) == list(STRATEGIES)
    for name in STRATEGIES:
        expected = refine(index, SCORER, DRAFT, strategy=name, rounds=1, seed=3).token_ids
        found = run(*REFINE, "--strategy", name, "--rounds", "1").stdout_bytes
        assert found == bytes(expected.tolist())
    assert "spell" in run(*REFINE, "--strategy", "spell", exit_code=2).stderr


@pytest.mark.usefixtures("opened")
def test_copies_that_are_left_are_told_of() -> None:
    limited = ("--max-copy", "9", "--rounds", "0", "--protect", "(?s).*", "--refiner", "r")
    result = run("refine", "corpus.txt", *limited)
    assert result.stdout_bytes == TEXT
    assert "1 runs of more than 9 tokens" in result.stderr
    assert run("refine", "corpus.txt", *limited, "-q").stderr == ""


@pytest.mark.usefixtures("opened")
def test_text_that_is_no_text_is_refused_in_characters() -> None:
    infgram.build("corpus.txt", "chars.infgram", tokenizer="chars")
    result = run("refine", "--refiner", "r", "-i", "chars.infgram", stdin=b"\xff", exit_code=2)
    assert "UTF-8" in result.stderr and len(result.stderr.splitlines()) <= 2
    other = run("refine", "--refiner", "r", "-i", "chars.infgram", stdin=DRAFT, exit_code=2)
    assert "infgram refine train" in other.stderr


def test_help_tells_of_both_commands() -> None:
    told = run("refine", "--help").stdout
    assert "train CORPUS..." in told and "infgram refine text --help" in told
    assert "--strategy" in run("refine", "text", "--help").stdout
    assert "--minutes" in run("refine", "train", "--help").stdout
    assert "CORPUS..." in run("refine", "train", exit_code=2).stderr
    assert "--refiner" in run("refine", exit_code=2).stderr


@pytest.mark.parametrize(
    "order", [("draft.txt", "b.safetensors"), ("b.safetensors",), ("text", "b.safetensors", "-q")]
)
def test_a_refiner_in_the_place_of_a_text_is_told_where_it_belongs(order: tuple[str, ...]) -> None:
    error = run("refine", *order, exit_code=2).stderr
    assert "b.safetensors looks like a refiner" in error
    assert "--refiner b.safetensors" in error


@pytest.mark.usefixtures("opened")
def test_a_refiner_behind_its_option_is_no_text() -> None:
    plain = run(*REFINE).stdout
    for given in (("--refiner", "b.safetensors"), ("--refiner=b.safetensors",)):
        assert run("refine", "draft.txt", *given, "--seed", "3").stdout == plain


def test_a_training_tells_how_far_it_is_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr("infgram_cli.output.time.perf_counter", lambda: now[0])
    console = stderr()
    told = io.StringIO()
    console.file = told
    steps = StepLines(console)
    for done in range(1, 101):
        total = 0 if done < 10 else 100
        left = None if done < 10 else 6.0 * (100 - done)
        step: Any = SimpleNamespace(stage="trunk", done=done, total=total, loss=9 / done)
        step.seconds_left = left
        steps(step)
        now[0] += 6.0
    found = told.getvalue().splitlines()
    assert found[0] == "trunk: step 1, loss 9.000"
    assert found[-1] == "trunk: step 100 of 100, loss 0.090, about 1 minute left"
    assert len(found) == 26
    assert "trunk: step 13 of 100, loss 0.692, about 9 minutes left" in found


@pytest.mark.torch
def test_a_file_that_is_no_refiner_is_named() -> None:
    pytest.importorskip("torch", reason="needs torch, the extra `refine`")
    pytest.importorskip("safetensors", reason="needs safetensors, the extra `refine`")
    for command in (
        ("refine", "draft.txt", "--refiner", "corpus.txt"),
        (*GENERATE, "--refiner", "corpus.txt"),
    ):
        result = run(*command, exit_code=2)
        assert result.stdout == ""
        assert "corpus.txt" in result.stderr and len(result.stderr.splitlines()) == 1


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("score", "training"):
        monkeypatch.delitem(sys.modules, f"infgram.refine.network.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    for command in (
        ("refine", "draft.txt", "--refiner", "r"),
        ("refine", "train", "corpus.txt", "-o", "r"),
        (*GENERATE, "--refiner", "r"),
    ):
        result = run(*command, exit_code=2)
        assert how_to_install("refine") in result.stderr
        assert result.stdout == "" and len(result.stderr.splitlines()) == 1
    assert not Path("r").exists()


# infgram generate --refiner -----------------------------------------------------------------------


def refined(index: infgram.Index, written: str, **how: Any) -> str:
    return refine(index, SCORER, written, prompt="KING: the c", seed=0, **how).text


@pytest.mark.usefixtures("opened")
def test_what_is_generated_is_refined(index: infgram.Index) -> None:
    (plain,) = lines(run(*GENERATE, "--json"))
    expected = refined(index, plain["text"])
    assert expected != plain["text"]
    assert run(*GENERATE, "--refiner", "r").stdout.removesuffix("\n") == "KING: the c" + expected
    alone = run(*GENERATE, "--refiner", "r", "--no-prompt").stdout
    assert alone.removesuffix("\n") == expected.removesuffix("\n")
    (found,) = lines(run(*GENERATE, "--refiner", "r", "--json"))
    assert (found["text"], found["n_tokens"]) == (expected, plain["n_tokens"])
    assert found["finish_reason"] == plain["finish_reason"]


@pytest.mark.usefixtures("opened")
def test_samples_are_refined_all_together(index: infgram.Index) -> None:
    samples = ("--samples", "3", "--threads", "1", "--json")
    plain = lines(run(*GENERATE, *samples))
    found = lines(run(*GENERATE, *samples, "--refiner", "r"))
    expected = infgram.refine.refine_many(
        index, SCORER, [each["text"] for each in plain], prompts=["KING: the c"] * 3, seed=0
    )
    assert [each["text"] for each in found] == [each.text for each in expected]
    printed = run(*GENERATE, *samples[:-1], "--refiner", "r")
    assert all(each.text in printed.stdout for each in expected)


@pytest.mark.usefixtures("opened")
def test_the_limit_to_copying_holds_for_what_is_refined() -> None:
    result = run(*GENERATE, "--max-copy", "8", "--refiner", "r", "--json")
    text = json.loads(result.stdout)["text"].encode()
    left = [i for i in range(len(text) - 8) if text[i : i + 9] in TEXT]
    assert bool(left) == ("more than 8 tokens" in result.stderr)


@pytest.mark.usefixtures("opened")
def test_a_trace_of_tokens_is_not_of_what_was_refined() -> None:
    result = run(*GENERATE, "--refiner", "r", "--trace", exit_code=2)
    assert "--trace does not go with --refiner" in result.stderr
