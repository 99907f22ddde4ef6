"""Whoever checks types is told of what would fail: arguments misspelt, an index for a model."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import infgram
import infgram.draft
import infgram.refine
from infgram.errors import InvalidParameter
from infgram.refine import certify, infill, lint, polish, refine

api = pytest.importorskip("mypy.api", reason="needs mypy, which checks types")

# Behind a line: the code of the error that is expected there; nothing where there is none.
PROGRAM = """
from collections.abc import Mapping
from pathlib import Path
import infgram
from infgram.draft import Drafter, Trace, simulate
from infgram.errors import InvalidParameter
from infgram.refine import Scorer, certify, infill, lint, polish, refine

index = infgram.build(["to be"])
index = infgram.build(["to be"], Path("here.infgram"))
index = infgram.build(["to be"], overwrit=True)  # error: call-arg
model = infgram.Model(index, infgram.KneserNey())
infgram.Model([index, index], weights=[1, 2])
infgram.Model(model)  # error: arg-type
infgram.Model("a.infgram")  # error: arg-type
infgram.SBIS(k=2, deca=0.1)  # error: call-arg

infgram.generate(index, "to", max_tokens=4, top_k=1, stop="x", trace=True)
infgram.generate(index, "to", max_tokns=4)  # error: call-arg
infgram.generate(index, "to", temprature=1.0)  # error: call-arg
infgram.generate(index, "to", max_tokens="4")  # error: arg-type
infgram.generate(index, "to", weighting="count")  # error: arg-type
infgram.generate(model, "to")  # error: arg-type
infgram.stream(index, "to", max_tokns=4)  # error: call-arg
infgram.stream(model, "to")  # error: arg-type
model.generate("to", max_tokns=4)  # error: call-arg
model.stream("to", max_tokns=4)  # error: call-arg
model.samples(2, "to", max_tokns=4)  # error: call-arg
how = infgram.Sampling(max_tokens=3)
infgram.Sampling(max_tokns=3)  # error: typeddict-unknown-key
model.generate("to", **how)

infgram.perplexity(model, "to be").perplexity
infgram.perplexity(index, "to be")  # error: arg-type
infgram.perplexity(model, "to be", contxt="a")  # error: call-arg
infgram.published_perplexity(model, "to be")  # error: arg-type
infgram.reliability(index, "to be")  # error: arg-type
infgram.level_statistics(model, "to be")  # error: arg-type
infgram.novelty(model, "to be")  # error: arg-type
infgram.copied_share(model, "to be")  # error: arg-type
infgram.calibrate(model)  # error: arg-type
infgram.stored_calibration(model)  # error: arg-type
certify(model, "to be", max_copy=3)  # error: arg-type

polish(index, "to be", seed=1, max_copy=9)
polish(model, "to be")  # error: arg-type
polish(index, "to be", max_cpy=9)  # error: call-arg
def edit(scorer: Scorer) -> None:
    infill("to {3}", index, scorer, n=2, seed=0)
    infill("to {3}", index, scorer, m=2)  # error: call-arg
    infill("to {3}", model, scorer)  # error: arg-type
    lint("to be", scorer, index)
    lint("to be", scorer, model)  # error: arg-type
    refine(index, scorer, "to be", rounds=1)
    refine(index, scorer, "to be", round=1)  # error: call-arg
    refine(model, scorer, "to be")  # error: arg-type
drafter = Drafter(index, max_tokens=4)
Drafter(model)  # error: arg-type
Drafter(index, max_tokns=4)  # error: call-arg
simulate(drafter, [Trace([1], [2])])
simulate(index, [Trace([1], [2])])  # error: arg-type

ntd: Mapping[int, int] = index.ntd("to")
token, count = max(index.ntd("to").items(), key=lambda pair: pair[1])
index.ntd("to")["b"]  # error: index
index.ntd("to").items().oops  # error: attr-defined
index.find("to")[0].document + 1
index.find("to")[0].documnt  # error: attr-defined
index.find("to")[:2][0].source.upper()
index.levels("to")[0].n + index.ntd_batch(["to"])[0].prompt_cnt
index.find("to", limt=3)  # error: call-arg
index.find_batch(["to"], limt=3)  # error: call-arg
index.prob_batch(["to"], [" "])[0].prob
made = infgram.generate(index, trace=True)
if made.trace is not None:
    made.trace[0].levels[0].weight
    made.trace[0].levels[0].wait  # error: attr-defined
    made.trace.to_arrow()
made.text = "other"  # error: misc
hash(made) == hash(index.find("to")[0]) == hash(index.ntd("to"))
"""


def test_mypy_finds_what_is_misspelt_and_what_is_no_model(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    config = tmp_path / "mypy.ini"
    config.write_text(
        "[mypy]\nstrict = True\nfollow_imports = silent\n"
        "[mypy-torch.*,pyarrow.*,pandas.*,safetensors.*,tokenizers.*,tiktoken.*]\n"
        "ignore_missing_imports = True\n"
    )
    out, err, _ = api.run(
        ["--config-file", str(config), "--cache-dir", str(tmp_path / "cache"), str(program)]
    )
    assert not err, err
    found = {
        (int(line), code)
        for line, code in re.findall(r"program\.py:(\d+): error: .*\[([\w-]+)\]$", out, re.M)
    }
    expected = {
        (i, match[1])
        for i, line in enumerate(PROGRAM.splitlines(), 1)
        if (match := re.search(r"# error: ([\w-]+)$", line))
    }
    assert len(expected) > 35
    assert found == expected, out


@pytest.fixture(scope="module")
def index() -> infgram.Index:
    return infgram.build(["to be or not to be"], two_sided=True)


TAKE_MODELS = [
    lambda it: infgram.perplexity(it, "to be"),
    lambda it: infgram.reliability(it, "to be"),
    lambda it: infgram.compare([it], "to be"),
]
TAKE_INDEXES = [
    lambda it: infgram.Model(it),
    lambda it: infgram.Model([it]),
    lambda it: infgram.generate(it, "to"),
    lambda it: infgram.stream(it, "to"),
    lambda it: infgram.published_perplexity(it, "to be"),
    lambda it: infgram.level_statistics(it, "to be"),
    lambda it: infgram.novelty(it, "to be"),
    lambda it: infgram.copied_share(it, "to be"),
    lambda it: infgram.calibrate(it),
    lambda it: infgram.stored_calibration(it),
    lambda it: certify(it, "to be", max_copy=3),
    lambda it: polish(it, "to be"),
    lambda it: infill("to {3}", it, None),
    lambda it: refine(it, None, "to be"),
    lambda it: lint("to be", None, it),
    lambda it: infgram.draft.Drafter(it),
    lambda it: infgram.draft.TextDrafter(it, tokenizer="chars"),
    lambda it: infgram.refine.Proposer(it),
]


@pytest.mark.parametrize("ask", TAKE_MODELS)
def test_an_index_is_no_model(index: infgram.Index, ask: object) -> None:
    for wrong in (index, "corpus.infgram", None):
        with pytest.raises(
            InvalidParameter, match=r"^models? is .*, expected Model: infgram\.Model"
        ):
            ask(wrong)  # type: ignore[operator]


@pytest.mark.parametrize("ask", TAKE_INDEXES)
def test_a_model_is_no_index(index: infgram.Index, ask: object) -> None:
    for wrong in (infgram.Model(index), "corpus.infgram", 3):
        with pytest.raises(InvalidParameter, match=r"is .*, expected Index: infgram\.open"):
            ask(wrong)  # type: ignore[operator]


def test_a_drafter_is_what_is_simulated(index: infgram.Index) -> None:
    with pytest.raises(InvalidParameter, match="expected a Drafter or a TextDrafter"):
        infgram.draft.simulate(index, [])  # type: ignore[arg-type]


def test_several_may_be_no_index() -> None:
    with pytest.raises(InvalidParameter, match=r"^index is \[\], expected an index or several"):
        infgram.Model([])
