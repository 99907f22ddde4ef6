"""`infgram perplexity`, `novelty` and `plot`: what they read, print and write."""

from __future__ import annotations

import gzip
import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import run
from infgram_cli.output import json_able

import infgram
from infgram.extras import how_to_install

CORPUS = b"to be or not to be\nthat is the question\n" * 40
TEXT = "to be that is not\n"


@pytest.fixture(autouse=True)
def in_folder_with_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The only index in the current folder is corpus.infgram."""
    monkeypatch.chdir(tmp_path)
    Path("corpus.txt").write_bytes(CORPUS)
    Path("text.txt").write_text(TEXT)
    infgram.build("corpus.txt", "corpus.infgram")


@pytest.fixture
def other_index() -> str:
    """In a folder of its own, so that it is not taken for the only one."""
    Path("other").mkdir()
    Path("other.txt").write_text("the question is not to be asked\n" * 40)
    infgram.build("other.txt", "other/other.infgram")
    return "other/other.infgram"


def record(*arguments: str, stdin: str | bytes | None = None) -> dict[str, Any]:
    (line,) = run(*arguments, "--json", stdin=stdin).stdout.splitlines()

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    found: dict[str, Any] = json.loads(line, parse_constant=refuse)
    return found


# perplexity ---------------------------------------------------------------------------------------


def test_perplexity_is_that_of_the_library() -> None:
    expected = infgram.perplexity(infgram.Model(infgram.open("corpus.infgram")), TEXT)
    found = record("perplexity", "text.txt")
    assert found["perplexity"] == expected.perplexity
    assert found["n_tokens"] == found["n_bytes"] == len(TEXT)
    assert found["n_zero"] == 0
    assert found["estimator"] == "KneserNey(max_order=None, apart=False)"
    shown = run("perplexity", "text.txt").stdout
    assert f"{expected.perplexity:.4f}" in shown
    assert f"{expected.bits_per_byte:.4f}" in shown


def test_text_is_read_in_every_kind_of_file_and_from_standard_input() -> None:
    expected = record("perplexity", "text.txt")
    Path("text.txt.gz").write_bytes(gzip.compress(TEXT.encode()))
    Path("text.jsonl").write_text(json.dumps({"text": TEXT}))
    assert record("perplexity", "text.txt.gz") == expected
    assert record("perplexity", "text.jsonl") == expected
    assert record("perplexity", "-", stdin=TEXT) == expected
    twice = record("perplexity", "text.txt", "text.jsonl")
    assert twice["n_tokens"] == 2 * len(TEXT)
    assert twice["perplexity"] == pytest.approx(expected["perplexity"])
    Path("lines.txt").write_text(TEXT + TEXT)
    lines = record("perplexity", "lines.txt", "--documents", "line")
    assert lines["n_tokens"] == 2 * (len(TEXT) - 1)


@pytest.mark.parametrize(
    ("options", "estimator"),
    [
        (["--estimator", "longest", "--window", "3"], infgram.Longest(window=3)),
        (
            ["--estimator", "sbis", "-k", "-1", "--decay", "0.3", "--weighting", "distributions"],
            infgram.SBIS(k=-1, decay=0.3, weighting="distributions"),
        ),
        (
            ["--estimator", "sbis", "--floor", "1e-4", "--window", "9"],
            infgram.SBIS(window=9, floor=1e-4),
        ),
        (["--max-order", "4"], infgram.KneserNey(max_order=4)),
    ],
)
@pytest.mark.parametrize("adapt", [False, True])
def test_options_make_the_model(options: list[str], estimator: Any, adapt: bool) -> None:
    model = infgram.Model(infgram.open("corpus.infgram"), estimator, adapt=adapt)
    found = record("perplexity", "text.txt", *options, *(["--adapt"] if adapt else []))
    expected = infgram.perplexity(model, TEXT)
    assert found["estimator"] == repr(estimator)
    assert found["adapt"] == adapt
    assert found["n_zero"] == expected.n_zero
    assert found["perplexity_nonzero"] == expected.perplexity_nonzero


def test_indexes_are_mixed_by_weight(other_index: str) -> None:
    both = ["perplexity", "text.txt", "-i", "corpus.infgram", "-i", other_index]
    indexes = [infgram.open("corpus.infgram"), infgram.open(other_index)]
    for options, weights in (([], None), (["--weight", "3", "--weight", "1"], [3, 1])):
        expected = infgram.perplexity(infgram.Model(indexes, weights=weights), TEXT)
        assert record(*both, *options)["perplexity"] == expected.perplexity
    assert "expected one for each of 2 indexes" in run(*both, "--weight", "1", exit_code=2).stderr


def test_infinite_perplexity_is_said_and_is_null_in_json() -> None:
    found = record("perplexity", "text.txt", "--estimator", "longest")
    assert found["n_zero"] > 0
    assert found["perplexity"] is found["nats_per_token"] is found["bits_per_byte"] is None
    assert found["perplexity_nonzero"] > 1
    shown = run("perplexity", "text.txt", "--estimator", "longest").stdout
    assert "infinite" in shown
    assert f"{found['n_zero']} tokens; the others have perplexity" in shown


def test_figures_without_unknown_tokens_stand_beside_those_with_them() -> None:
    Path("odd.txt").write_text(TEXT + "\r" + TEXT)
    found, plain = record("perplexity", "odd.txt"), record("perplexity", "text.txt")
    assert (found["n_unknown"], found["n_zero"], plain["n_unknown"]) == (1, 0, 0)
    assert found["perplexity"] > found["perplexity_known"] > 1
    shown = run("perplexity", "odd.txt").stdout
    assert f"1 tokens; without them perplexity {found['perplexity_known']:.4f}" in shown
    assert "unknown" not in run("perplexity", "text.txt").stdout


def test_documents_are_counted_from_their_beginning_to_their_end() -> None:
    Path("lines.txt").write_text("to be\nthat is the question\n")
    Path("sub").mkdir()
    infgram.build("corpus.txt", "sub/lines.infgram", documents="line")
    lines = ["perplexity", "lines.txt", "-i", "sub/lines.infgram", "--documents", "line"]
    model = infgram.Model(infgram.open("sub/lines.infgram"))
    texts = ["to be", "that is the question"]
    found = record(*lines, "--bos", "--eos", "--per-document", "--reliability")
    expected = infgram.perplexity(model, *texts, bos=True, eos=True)
    assert (found["bos"], found["eos"]) == (True, True)
    assert found["perplexity"] == expected.perplexity
    assert found["n_tokens"] == found["n_bytes"] + 2
    assert found["reliability"]["actual_perplexity"] == pytest.approx(expected.perplexity)
    for line, (text, document) in enumerate(zip(texts, found["documents"], strict=True), 1):
        alone = infgram.perplexity(model, text, bos=True, eos=True)
        assert document["models"] == [json_able(alone)]
        assert (document["source"], document["line"]) == ("lines.txt", line)
    shown = run(*lines, "--per-document").stdout
    assert "lines.txt:1" in shown and "lines.txt:2" in shown
    assert record(*lines)["n_tokens"] == found["n_bytes"]


def test_the_index_that_explains_a_text_better_is_marked(other_index: str) -> None:
    Path("texts.txt").write_text("to be or not to be\nthe question is not to be asked\n")
    both = ["perplexity", "texts.txt", "--documents", "line", "--compare"]
    both += ["-i", "corpus.infgram", "-i", other_index]
    models = [infgram.Model(infgram.open(path)) for path in ("corpus.infgram", other_index)]
    texts = ["to be or not to be", "the question is not to be asked"]
    expected = infgram.compare(models, *texts)
    found = record(*both)
    assert [document["best"] for document in found["documents"]] == [0, 1] == [*expected.best]
    assert found["total"] == json_able(expected.total)
    assert found["best"] == expected.best_in_total
    first, second, total = run(*both).stdout.splitlines()[1:4]
    assert first.split()[:3] == [
        "texts.txt:1",
        f"{expected.documents[0][0].bits_per_byte:.4f}",
        "*",
    ]
    assert second.split()[-1] == "*" and total.startswith("all")
    assert "corpus.infgram 1, other.infgram 1, of 2" in run(*both).stdout


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--compare"], "--compare has 0 indexes, expected at least 2"),
        (["--compare", "--published"], "leave out --published"),
        (["--compare", "--levels", "1"], "leave out --levels"),
        (["--compare", "--reliability"], "leave out --reliability"),
        (["--compare", "--weight", "1"], "leave out --weight"),
        (["--published", "--eos"], "leave out --bos, --eos"),
        (["--floor", "1e-5"], "not kneser-ney, which gives every token a probability"),
        (["--estimator", "longest", "--floor", "1e-5"], "sbis -k 1 is the same with a floor"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: list[str], says: str) -> None:
    assert says in " ".join(run("perplexity", "text.txt", *options, exit_code=2).stderr.split())


def test_the_published_protocol_is_one_option_away() -> None:
    expected = infgram.published_perplexity(infgram.open("corpus.infgram"), TEXT, k=3)
    found = record("perplexity", "text.txt", "--published", "-k", "3")
    assert (found["perplexity"], found["n_zero"]) == (expected.perplexity, expected.n_zero)
    assert found["n_tokens"] == len(TEXT) - 1
    assert "window=100" in found["estimator"]
    assert "here taken for 1e-10" in run("perplexity", "text.txt", "--published", "-k", "1").stdout


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--published", "--decay", "0.3"], "--decay"),
        (["--published", "--adapt"], "--adapt"),
        (["--published", "--estimator", "longest"], "--estimator longest"),
        (["--published", "-i", "a", "-i", "b"], "second --index"),
        (["-k", "3"], "-k is for --estimator sbis, not kneser-ney"),
        (["--estimator", "sbis", "--max-order", "3"], "--max-order is for --estimator kneser-ney"),
        (["--window", "3"], "--window is for --estimator longest or sbis"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(options: list[str], named: str) -> None:
    assert named in run("perplexity", "text.txt", *options, exit_code=2).stderr


def test_a_parameter_outside_its_range_names_the_range() -> None:
    for options, message in [
        (["--estimator", "sbis", "-k", "0"], "-k is 0"),
        (["--max-order", "1"], "--max-order is 1, expected a whole number from 2 to"),
        (["--estimator", "sbis", "--decay", "2"], "--decay is 2.0, expected a number from 0 to 1"),
    ]:
        assert message in run("perplexity", "text.txt", *options, exit_code=2).stderr


def test_an_empty_text_and_a_missing_one_are_errors() -> None:
    Path("empty.txt").touch()
    assert "no token to predict" in run("perplexity", "empty.txt", exit_code=2).stderr
    assert "gone.txt" in run("perplexity", "gone.txt", exit_code=2).stderr


def test_reliability_is_shown_when_asked_for() -> None:
    found = record("perplexity", "text.txt", "--reliability")
    reliability = found["reliability"]
    assert sum(reliability["top"]["counts"]) == len(TEXT)
    assert reliability["actual_perplexity"] == pytest.approx(found["perplexity"])
    assert 0 <= reliability["ece"] <= 1
    shown = run("perplexity", "text.txt", "--reliability").stdout
    assert "expected calibration error" in shown
    assert "every token of the alphabet" in shown
    assert "nan" not in shown
    assert "reliability" not in record("perplexity", "text.txt")


def test_levels_are_shown_when_asked_for(other_index: str) -> None:
    both = ["perplexity", "text.txt", "-i", "corpus.infgram", "-i", other_index, "--levels", "2"]
    levels = record(*both)["levels"]
    paths = [str(infgram.open(path).path) for path in ("corpus.infgram", other_index)]
    assert list(levels) == paths
    first, second = levels[paths[0]]
    assert (first["level"], second["level"]) == (1, 2)
    expected = infgram.level_statistics(infgram.open("corpus.infgram"), TEXT, k=2)
    assert first["n"]["median"] == expected[0].n.median
    shown = run(*both).stdout
    assert "levels of corpus.infgram" in shown and "levels of other.infgram" in shown


# export -------------------------------------------------------------------------------------------


def test_export_writes_what_the_library_does() -> None:
    model = infgram.Model(infgram.open("corpus.infgram"), infgram.KneserNey(max_order=3))
    infgram.export_arpa(model, "library.arpa")
    shown = run("export", "--arpa", "--order", "3", "-o", "x.arpa")
    assert Path("x.arpa").read_bytes() == Path("library.arpa").read_bytes()
    assert "x.arpa" in shown.stderr and "of order 3" in shown.stderr
    assert run("export", "--arpa", "--order", "3", "-q").stdout == Path("x.arpa").read_text()
    assert not run("export", "--arpa", "--order", "3", "-q", "-o", "x.arpa").stderr


def test_export_asks_for_a_form_and_an_order() -> None:
    assert "--arpa" in run("export", "--order", "3", exit_code=2).stderr
    assert "--order" in run("export", "--arpa", exit_code=2).stderr
    assert "2<=x<=253" in run("export", "--arpa", "--order", "254", exit_code=2).stderr
    assert infgram.models.arpa.MAX_ORDER == 254


# novelty ------------------------------------------------------------------------------------------


def test_novelty_is_that_of_the_library_and_shows_the_longest_run() -> None:
    Path("mixed.txt").write_text("be question\nto be or rot")
    found = record("novelty", "mixed.txt", "--gram", "4")
    assert found.pop("longest_run_text") == "e question\nto be or "
    expected = infgram.novelty(
        infgram.open("corpus.infgram"), Path("mixed.txt").read_bytes(), gram=4
    )
    assert found == json_able(expected)
    assert (found["longest_run"], found["longest_run_begin"]) == (20, 1)


def test_novelty_reads_what_generate_writes() -> None:
    written = run("generate", "to ", "-n", "200", "-k", "1", "--seed", "0").stdout
    found = record("novelty", "-", stdin=written)
    assert found["n_tokens"] == len(written)
    assert found["known_words"] > 0.9
    shown = run("novelty", "-", stdin=written).stdout
    assert f"{found['found_grams']:.2%}" in shown
    assert "The longest run: " in shown


def test_novelty_of_bare_ids_knows_no_words() -> None:
    import numpy as np

    np.save("ids.npy", np.array([12, 7, 9, 12, 7], np.uint32))
    infgram.build("ids.npy", "ids.infgram", tokenizer="ids", vocab_size=20)
    found = record("novelty", "ids.npy", "-i", "ids.infgram", "--gram", "2")
    assert found["known_words"] is None
    assert found["longest_run_text"] == "12 7 9 12 7"
    assert "words" not in run("novelty", "ids.npy", "-i", "ids.infgram").stdout


def test_novelty_of_an_empty_text_is_none() -> None:
    Path("empty.txt").touch()
    assert record("novelty", "empty.txt")["found_grams"] == 0.0
    assert "longest run" in run("novelty", "empty.txt").stdout


# plot ---------------------------------------------------------------------------------------------


@pytest.fixture
def _matplotlib() -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib, the extra `plot`")


@pytest.mark.usefixtures("_matplotlib")
@pytest.mark.parametrize(
    "arguments",
    [
        ["levels", "text.txt"],
        ["reliability", "text.txt", "-k", "1", "-k", "-1"],
        ["corpus-size", "corpus.txt", "text.txt", "--halvings", "1", "-k", "2"],
    ],
)
@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_plot_writes_the_picture_and_prints_its_name(arguments: list[str], suffix: str) -> None:
    before = {path.name for path in Path().iterdir()}
    assert run("plot", *arguments, "-o", f"x.{suffix}").stdout == f"x.{suffix}\n"
    assert Path(f"x.{suffix}").stat().st_size > 5_000
    assert {path.name for path in Path().iterdir()} - before == {f"x.{suffix}"}
    named = f"{arguments[0]}.png"
    assert run("plot", *arguments).stdout == f"{named}\n"
    assert Path(named).is_file()


@pytest.mark.usefixtures("_matplotlib")
def test_plot_quality_draws_every_estimator_and_repeats_for_a_seed(other_index: str) -> None:
    options = ["plot", "quality", "--judge", other_index, "-n", "300", "-k", "1", "-k", "2"]
    for name in ("one.svg", "other.svg"):
        run(*options, "--decay", "0.2", "--seed", "1", "-o", name)
    assert Path("one.svg").read_bytes() == Path("other.svg").read_bytes()


@pytest.mark.usefixtures("_matplotlib")
def test_plot_quality_refuses_a_judge_with_other_tokens() -> None:
    Path("sub").mkdir()
    infgram.build("corpus.txt", "sub/chars.infgram", tokenizer="chars")
    stderr = run("plot", "quality", "--judge", "sub/chars.infgram", exit_code=2).stderr
    assert "another tokenizer" in stderr


def test_plot_without_matplotlib_names_the_extra_before_it_measures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr(infgram, "level_statistics", None)  # is not called
    assert how_to_install("plot") in run("plot", "levels", "text.txt", exit_code=2).stderr


@pytest.mark.usefixtures("_matplotlib")
def test_plot_refuses_an_unknown_format_before_it_measures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(infgram, "level_statistics", None)  # is not called
    assert "'.gif'" in run("plot", "levels", "text.txt", "-o", "x.gif", exit_code=2).stderr


@pytest.mark.parametrize("command", ["levels", "reliability", "corpus-size", "quality"])
def test_every_picture_explains_itself_with_an_example(command: str) -> None:
    assert "Example" in run("plot", command, "--help").stdout


# JSON ---------------------------------------------------------------------------------------------


def test_what_is_not_finite_is_null_wherever_it_stands() -> None:
    from infgram.models.evaluate import Summary

    found = json_able({"a": [math.nan, (math.inf, 1.5)], "b": Summary(1.0, math.nan, 2.0)})
    assert found == {"a": [None, [None, 1.5]], "b": {"mean": 1.0, "std": None, "median": 2.0}}
