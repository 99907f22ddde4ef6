"""Replays of drafts: counted by hand, within their budgets, the same every time, rivals or not."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import make_index
from infgram_bench import (
    drafting,
    drafting_hindsight,
    drafting_replay,
    drafting_speed,
    drafting_traces,
    jobs,
    neural,
)
from infgram_bench.corpora import Corpus
from infgram_bench.drafting_hindsight import hindsight
from infgram_bench.drafting_replay import BUDGETS, Replay, follow, measure, replay
from infgram_bench.drafting_rivals import (
    SYSTEMS,
    Arctic,
    DraftingSystem,
    Options,
    Proposal,
    Session,
    Way,
)
from infgram_bench.drafting_speed import SessionDrafter
from infgram_bench.drafting_traces import Ids, Material, Trace
from infgram_bench.failures import Failure, Trial
from infgram_bench.findings import Findings
from infgram_bench.processes import JobFailed, Run
from infgram_bench.question import Bench
from infgram_bench.settings import Settings

_WORDS = b"the cat and that dog then saw this other man with both their hats".split()
TEXT = b"".join(
    b" ".join(_WORDS[(i * i + 3 * j * i) % len(_WORDS)] for j in range(7)) + b"\n"
    for i in range(500)
)
NEEDS = {
    "prompt lookup": ["torch", "transformers"],
    "Arctic": ["arctic_inference"],
    "SGLang": ["sglang.srt.speculative.cpp_ngram.ngram_corpus"],
}
MARKS = {"prompt lookup": [pytest.mark.torch]}


@dataclass(frozen=True)
class Drafted:
    token_ids: Sequence[int] = ()
    parents: Sequence[int] = ()
    probs: Sequence[float] = ()


class Scripted(Session):
    """Proposes what it was told to; keeps what it heard."""

    def __init__(self, drafts: Sequence[Drafted]) -> None:
        self.drafts = list(drafts)
        self.heard: list[tuple[str, list[int]]] = []

    def start(self, prompt: Ids) -> None:
        self.heard.append(("start", prompt.tolist()))

    def propose(self) -> Proposal:
        return self.drafts.pop(0)

    def accept(self, ids: Ids) -> None:
        self.heard.append(("accept", ids.tolist()))

    def stop(self) -> None:
        self.heard.append(("stop", []))


class Knowing(Session):
    """Knows the document, or gets every token of it wrong."""

    def __init__(self, document: Ids, max_tokens: int, *, wrong: bool) -> None:
        self.document, self.max_tokens, self.wrong = document, max_tokens, wrong
        self.at = 0

    def start(self, prompt: Ids) -> None:
        self.at = len(prompt)

    def propose(self) -> Proposal:
        ids = self.document[self.at :][: self.max_tokens] + self.wrong
        return Drafted(ids.tolist(), range(-1, len(ids) - 1), [1.0] * len(ids))

    def accept(self, ids: Ids) -> None:
        self.at += len(ids)

    def stop(self) -> None:
        pass


def resident() -> dict[str, int]:
    return {"own": 1000}


@pytest.fixture
def material(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Material:
    """Words, bytes, an index, and short documents."""
    monkeypatch.setattr(drafting_traces, "_TEXT_TOKENS", 200)
    monkeypatch.setattr(drafting_traces, "_N_TEXTS", {"held-out": 3, "tuning": 2})
    made = Material(tmp_path / "text")
    drafting_traces.add_text(Corpus("words", TEXT), made)
    made.build()
    return made


# The loop -----------------------------------------------------------------------------------------


def test_a_tree_is_followed_as_far_as_it_has_the_text() -> None:
    #      -1
    #    7     8
    #   9 7    9
    ids, parents = [7, 8, 9, 7, 9], [-1, -1, 0, 0, 1]
    assert follow(ids, parents, [7, 7, 7]) == [0, 3]
    assert follow(ids, parents, [8, 9]) == [1, 4]
    assert follow(ids, parents, [9]) == []
    assert follow(ids, parents, []) == []
    assert follow([], [], [7]) == []


def test_a_replay_counts_what_can_be_counted_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafting_replay, "N_PROMPT", 2)
    document = np.array([0, 0, 1, 2, 3, 4, 5], np.uint32)
    session = Scripted(
        [
            Drafted([1, 9, 2], [-1, -1, 0], [0.5, 0.25, 0.5]),  # 1 and 2, and 3 of its own
            Drafted(),  # 4 of its own
            Drafted([5, 6], [-1, 0], [0.9, 0.9]),  # 5, and nobody knows what of 6
        ]
    )
    found = replay(session, [document], 3, {"share": 1})
    assert session.heard == [
        ("start", [0, 0]),
        *[("accept", ids) for ids in ([1, 2, 3], [4], [5])],
        ("stop", []),
    ]
    assert (found.steps, found.tokens, found.nodes) == ([3], [5], 5)
    assert found.tokens_a_step == pytest.approx(5 / 3)
    assert found.promised == pytest.approx((0.5 + 0.25 + 0.5 + 0.9) / 3)
    assert found.accepted == pytest.approx(3 / 3)
    assert found.error == pytest.approx((abs(1.0 - 2) + 0.25 + 0.1) / 4)
    assert found.options == {"share": 1}


@pytest.mark.parametrize("max_tokens", BUDGETS)
def test_who_knows_the_text_gives_a_token_more_than_it_may_draft(max_tokens: int) -> None:
    document = np.arange(drafting_traces.N_PROMPT + 10 * (max_tokens + 1), dtype=np.uint32)
    found = replay(Knowing(document, max_tokens, wrong=False), [document], max_tokens, {})
    assert found.tokens_a_step == max_tokens + 1
    assert found.error == 0


def test_who_is_always_wrong_gives_a_token_a_step() -> None:
    document = np.arange(200, dtype=np.uint32)
    found = replay(Knowing(document, 8, wrong=True), [document], 8, {})
    assert found.tokens_a_step == 1
    assert found.accepted == 0
    assert found.error == 1


def test_who_promises_nothing_has_no_error() -> None:
    document = np.arange(70, dtype=np.uint32)
    session = Scripted([Drafted([1], [-1])] * 6)
    assert replay(session, [document], 1, {}).error is None


def test_a_draft_above_its_budget_is_refused() -> None:
    document = np.arange(100, dtype=np.uint32)
    with pytest.raises(ValueError, match="5 tokens, expected at most 4"):
        replay(Knowing(document, 5, wrong=False), [document], 4, {})


# Systems ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "system", [pytest.param(each, marks=MARKS.get(each.name, ())) for each in SYSTEMS]
)
def test_every_system_is_as_good_again(system: type[DraftingSystem], material: Material) -> None:
    for module in NEEDS.get(system.name, []):
        pytest.importorskip(module, reason=f"needs {module}")
    (trace,) = material.traces
    made = system(material)

    def run(way: Way, max_tokens: int) -> tuple[list[int], int]:
        found = drafting_replay._run(made, trace.held_out, max_tokens, way.trials[-1])
        assert found.tokens == [200 - drafting_traces.N_PROMPT] * 3
        return found.steps, found.nodes

    first = {(way.name, n): run(way, n) for way in system.ways for n in BUDGETS}
    again = {(way.name, n): run(way, n) for way in system.ways for n in BUDGETS}
    assert first == again
    assert min(nodes for _, nodes in first.values()) > 0


@pytest.mark.parametrize("way", SYSTEMS[0].ways)
def test_more_drafted_tokens_are_never_worse_for_infgram(way: Way, material: Material) -> None:
    (trace,) = material.traces
    system = SYSTEMS[0](material)
    found = [
        drafting_replay._run(system, trace.held_out, n, way.trials[0]).tokens_a_step
        for n in (0, 1, *BUDGETS)
    ]
    assert found[0] == 1
    assert found == sorted(found)


def test_settings_are_chosen_on_the_tuning_documents(material: Material) -> None:
    (trace,) = material.traces

    class Lengths(DraftingSystem):
        name = "lengths"
        ways = (Way("lengths", ({"n": 1}, {"n": 3}, {"n": 2}, {"n": 4})),)

        def __init__(self, material: Material) -> None:
            pass

        def session(self, max_tokens: int, options: Options) -> Session:
            wrong = options["n"] == 4
            return Knowing(trace.tuning[0], min(options["n"], max_tokens), wrong=wrong)

    tuned = replace(trace, tuning=trace.tuning[:1])
    found = drafting_replay._replays(Lengths(material), Lengths.ways[0], tuned)
    assert [each["options"] for each in found.values()] == [{"n": 3}] * len(BUDGETS)
    assert list(found) == [str(n) for n in BUDGETS]


def test_settings_that_were_chosen_are_told_whether_number_or_name() -> None:
    told = drafting._options_cell({"options": {"n": 3, "decay": 0.5, "match_type": "BFS"}})
    assert told == "n 3, decay 0.5, match_type BFS"


def test_a_rival_that_is_not_there_says_so(
    material: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "arctic_inference.suffix_decoding", None)
    found = measure(Arctic.name, material, resident)
    assert list(found) == ["absent"]
    assert found["absent"].startswith("not measured: ")


# Traces -------------------------------------------------------------------------------------------


def test_materials_are_read_as_they_were_written(tmp_path: Path) -> None:
    material = Material(tmp_path / "m")
    documents = [np.array(ids, np.uint32) for ids in ([1, 2**32 - 2], [3], [4, 5, 6])]
    material.add_corpus(documents)
    material.add(Trace("b", documents[:1], documents[1:]))
    material.add(Trace("a, T = 0.8", documents, []))
    assert [ids.tolist() for ids in material.corpus] == [ids.tolist() for ids in documents]
    first, second = material.traces
    assert (first.name, second.name) == ("a, T = 0.8", "b")
    assert [len(ids) for ids in second.tuning] == [1, 3]
    assert first.tuning == []


def test_documents_of_text_are_held_out_and_apart(material: Material) -> None:
    (trace,) = material.traces
    corpus = Corpus("words", TEXT)
    (training,) = material.corpus
    assert bytes(training.tolist()) == corpus.training
    starts = range(0, len(corpus.validation) - 200, 200)
    documents = [corpus.validation[start : start + 200] for start in starts]
    assert [bytes(ids.tolist()) for ids in trace.held_out] == documents[:3]
    assert [bytes(ids.tolist()) for ids in trace.tuning] == documents[-2:]
    assert len(documents) > 5


def library(folder: Path) -> None:
    """Files of Python, one of which stands in another one, too."""
    rng = np.random.default_rng(1)
    names = ["alpha", "beta", "gamma", "delta", "value", "result", "total", "index"]
    for i in range(40):
        lines = [
            f"    {names[a]} = {names[b]}.{names[c]}({d})"
            for a, b, c, d in rng.integers(0, 8, (40, 4)).tolist()
        ]
        (folder / f"m{i:02}.py").write_text("def f():\n" + "\n".join(lines) + "\n")


def test_code_that_shares_a_long_span_with_the_corpus_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tokenizers")
    library(tmp_path)
    monkeypatch.setattr(drafting_traces.sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setattr(drafting_traces, "_CODE_VOCAB", 400)
    monkeypatch.setattr(drafting_traces, "_CODE_TOKENS", (70, 100))
    corpus, others = drafting_traces._split_code()
    assert len(corpus) > len(others) > 2
    assert (corpus, others) == drafting_traces._split_code()
    copied = others[0][0]
    (tmp_path / copied).write_text(corpus[0][1])
    material = Material(tmp_path / "code")
    found = drafting_traces.add_code(material)
    assert found["candidates"] == len(others)
    assert found["dropped"] == 1
    assert found["tokens"] == sum(map(len, material.corpus))
    (trace,) = material.traces
    assert {len(ids) for ids in trace.held_out} == {100}
    assert len(trace.held_out) == len(others) - 1
    material.build()
    known = [ids.tolist() for ids in material.corpus]
    for ids in trace.held_out:
        assert not any(
            ids.tolist()[i : i + 50] == each[j : j + 50]
            for each in known
            for i in range(0, 51, 10)
            for j in range(len(each))
        )


HISTORY = """
# aider chat started at 2024-08-09 10:11:12

> Aider v0.49
> Repo-map: using 1024 tokens
#### make it faster

{first}

> Applied edit to fast.py
#### and again
{second}
#### /map
fast.py:
⋮...
│def fast():
{third}
> Tokens: 3k sent
{first}
"""


def test_of_chats_the_answers_are_drafted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tokenizers", reason="needs tokenizers")
    monkeypatch.setattr(drafting_traces, "_CODE_TOKENS", (60, 100))
    monkeypatch.setattr(drafting_traces, "_N_CHATS", {"held-out": 1, "tuning": 1})
    material = Material(tmp_path / "code")
    code = TEXT.decode()
    material.folder.mkdir()
    tokenizer = drafting_traces._train_tokenizer([code])
    tokenizer.save(str(material.folder / "tokenizer.json"))
    material.add_corpus([drafting_traces._encode(tokenizer, code)])
    rng = np.random.default_rng(0)
    first, second, third = (
        "\n".join(" ".join(rng.permutation(code.split()[:60])) for _ in range(4)) for _ in range(3)
    )
    history = tmp_path / "history.md"
    history.write_text(HISTORY.format(first=first, second=second, third=third), encoding="utf-8")
    made = drafting_traces.add_chats(history, material)
    assert made == {"answers": 2, "dropped": 0, "chosen": 2}
    (trace,) = material.traces
    for (ids,), text in ((trace.tuning, first), (trace.held_out, second)):
        assert len(ids) == 100
        assert text.startswith(tokenizer.decode(ids.tolist()))
    history.write_text(HISTORY.format(first=code, second=second, third=third), encoding="utf-8")
    other = Material(tmp_path / "code")
    shutil.rmtree(other.folder / "traces")
    assert drafting_traces.add_chats(history, other)["dropped"] == 1


# The question -------------------------------------------------------------------------------------


def bench_in(folder: Path) -> Bench:
    for name in ("working", "texts"):
        (folder / name).mkdir()
    return Bench(
        Settings(Corpus("words", TEXT)),
        Findings(),
        folder / "working",
        folder / "texts",
        {},
        lambda stage, done, total: None,
    )


def naive_hindsight(
    corpus: Sequence[Sequence[int]], documents: Sequence[Sequence[int]], n_prompt: int, most: int
) -> tuple[list[int], int]:
    """Steps of each document and drafted tokens: every piece is looked for at every place."""
    steps, drafted = [], 0
    written: list[list[int]] = []
    for document in documents:
        at = n_prompt
        steps.append(0)
        while at < len(document):
            n = 0
            for k in range(1, min(most, len(document) - at) + 1):
                piece = list(document[at - 1 : at + k])
                places = [
                    text[i : i + k + 1] == piece
                    for text in (*map(list, corpus), *written)
                    for i in range(len(text))
                ]
                places += [list(document[i : i + k + 1]) == piece for i in range(at - 1)]
                n = k if any(places) else n
            drafted += n
            steps[-1] += 1
            at += n + 1
        written.append(list(document[n_prompt:]))
    return steps, drafted


@pytest.mark.parametrize("seed", range(10))
def test_hindsight_drafts_the_longest_pieces_that_were_read(
    memory_folder: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(drafting_hindsight, "N_PROMPT", 3)
    random = np.random.default_rng(seed)
    texts = [random.integers(0, 2 + seed % 3, n).astype(np.uint32) for n in (30, 8, 25, 40, 12)]
    index = make_index(memory_folder / "hindsight.infgram", texts[:2])
    for most in (1, 3, 8, 50):
        steps, tokens, drafted = hindsight(index, texts[2:], most)
        plain = [text.tolist() for text in texts]
        assert (steps, drafted) == naive_hindsight(plain[:2], plain[2:], 3, most)
        assert tokens == [22, 37, 9]


@pytest.fixture
def jobs_run_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_here(job: str, *arguments: object, **_: object) -> Run:
        result = jobs._JOBS[job](*map(str, arguments))
        return Run(json.loads(json.dumps(result)), 0.0, 1_000_000)

    monkeypatch.setattr(drafting, "run_job", run_here)
    monkeypatch.setattr(jobs, "_resident", resident)
    monkeypatch.setattr(drafting_traces, "_TEXT_TOKENS", 200)
    monkeypatch.setattr(drafting_traces, "_N_TEXTS", {"held-out": 3, "tuning": 2})


@pytest.mark.usefixtures("jobs_run_here")
def test_without_rivals_infgram_is_measured_and_the_others_have_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("arctic_inference.suffix_decoding", "torch"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(drafting, "missing", lambda: "torch not installed")
    monkeypatch.setattr(drafting.importlib.util, "find_spec", lambda _: None)
    bench = bench_in(tmp_path)
    drafting.QUESTION.answer(bench)
    found = bench.findings
    tables = {table.title: table for table in found.tables}
    (tokens,) = [table for title, table in tables.items() if title.startswith("held-out text")]
    cells = {row[0]: row[1] for row in tokens.rows}
    assert set(cells) == {
        *("hindsight", "infgram, tree", "infgram, path"),
        *("prompt lookup", "Arctic", "REST", "SGLang", "suffix-gpu"),
    }
    assert [name for name, cell in cells.items() if cell == "not measured"] == list(cells)[3:]
    for n in BUDGETS:
        assert 1 < found.figures[f"held-out text, hindsight, {n}"] <= n + 1
    figure = found.figures["held-out text, infgram, tree, 4"]
    assert cells["infgram, tree"].startswith(f"{figure:.3f} (")
    assert not [bar for bar in found.bars if "tokens a step" in bar.what]
    assert len([bar for bar in found.bars if not bar.at_least]) == 6
    assert sum("torch not installed" in note for note in found.notes) == 1
    assert Findings.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.usefixtures("jobs_run_here")
@pytest.mark.parametrize("who", ["Arctic", "infgram"])
def test_a_rival_that_fails_has_rows_and_infgram_that_fails_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    run_here = drafting.run_job

    def run_job(job: str, *arguments: object, **options: object) -> Run:
        if job == "drafting_replay" and arguments[0] == who:
            raise JobFailed("killed by SIGSEGV")
        return run_here(job, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(drafting, "run_job", run_job)
    monkeypatch.setattr(drafting, "missing", lambda: "torch not installed")
    monkeypatch.setattr(drafting.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setitem(sys.modules, "torch", None)
    bench = bench_in(tmp_path)
    if who == "infgram":
        with pytest.raises(JobFailed):
            drafting.QUESTION.answer(bench)
        return
    drafting.QUESTION.answer(bench)
    tables = [{row[0]: row[1:] for row in table.rows} for table in bench.findings.tables]
    with_arctic = [rows["Arctic"] for rows in tables if "Arctic" in rows]
    assert [row[0] for row in with_arctic] == ["failed: killed by SIGSEGV"] * 2
    (tokens,) = [rows for rows in tables if "REST" in rows]
    assert tokens["prompt lookup"][0] == tokens["REST"][0] == "not measured"
    assert float(tokens["infgram, tree"][0].split()[0]) > 1
    assert {len(row) for rows in tables for row in rows.values()} <= {1, 3, 4, 5}


@pytest.mark.usefixtures("jobs_run_here")
def test_a_target_that_cannot_be_trained_leaves_the_held_out_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_here = drafting.run_job

    def run_job(job: str, *arguments: object, **options: object) -> Run:
        if job == "neural_train":
            raise JobFailed("out of memory")
        return run_here(job, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(drafting, "run_job", run_job)
    monkeypatch.setattr(drafting, "missing", lambda: "")
    monkeypatch.setattr(drafting.importlib.util, "find_spec", lambda _: None)
    for module in ("arctic_inference.suffix_decoding", "torch"):
        monkeypatch.setitem(sys.modules, module, None)
    bench = bench_in(tmp_path)
    drafting.QUESTION.answer(bench)
    notes = bench.findings.notes
    assert "what a GPT writes: not measured: the target failed: out of memory" in notes
    assert any("held-out text, infgram, tree" in name for name in bench.findings.figures)


@pytest.mark.usefixtures("jobs_run_here")
def test_infgram_is_compared_with_the_best_rival_on_every_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("arctic_inference", reason="needs arctic_inference")
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(drafting, "missing", lambda: "torch not installed")
    monkeypatch.setattr(drafting.importlib.util, "find_spec", lambda _: None)
    bench = bench_in(tmp_path)
    drafting.QUESTION.answer(bench)
    bars = {bar.what: bar for bar in bench.findings.bars if bar.at_least}
    assert [bar.asked for bar in bars.values()] == [1.0, 1.3]
    figures = bench.findings.figures
    for budget, (what, bar) in zip(("8", "16"), bars.items(), strict=True):
        rivals = [
            value
            for name, value in figures.items()
            if "Arctic" in name and name.endswith(f", {budget}")
        ]
        assert f"at {budget} nodes" in what
        ours = figures[f"held-out text, infgram, tree, {budget}"]
        assert bar.found == pytest.approx(ours / max(rivals))


@pytest.mark.torch
@pytest.mark.usefixtures("jobs_run_here")
def test_what_a_gpt_writes_is_drafted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="needs torch, the extra `neural`")
    pytest.importorskip("transformers", reason="needs transformers, the extra `neural`")
    from infgram_bench import gpt, training

    small = replace(
        getattr(gpt, drafting_traces.TARGET),
        **{"name": "small", "n_layer": 1, "n_head": 2, "n_embd": 16, "block_size": 16},
        **{"batch_size": 4, "max_iters": 5, "lr_decay_iters": 5, "warmup_iters": 1},
    )
    monkeypatch.setattr(gpt, drafting_traces.TARGET, small)
    monkeypatch.setattr(training, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(drafting_traces, "_N_WRITTEN", {"held-out": 4, "tuning": 2})
    monkeypatch.setattr(drafting_traces, "_WRITTEN_TOKENS", 20)
    text = tmp_path / "text.txt"
    text.write_bytes(TEXT)
    neural.train(drafting_traces.TARGET, text, float("inf"), lambda line: None)
    written = []
    for name in ("a", "b"):
        material = Material(tmp_path / name)
        drafting_traces.add_written(text, material)
        written.append([ids.tolist() for each in material.traces for ids in each.held_out])
        assert [each.name for each in material.traces] == ["GPT, T = 0.8", "GPT, greedy"]
        assert [(len(each.held_out), len(each.tuning)) for each in material.traces] == [(4, 2)] * 2
    assert written[0] == written[1]
    assert {len(ids) for ids in written[0]} == {drafting_traces.N_PROMPT + 20}


def test_an_interval_is_of_documents() -> None:
    one: dict[str, Any] = {"tokens": [100, 100], "steps": [50, 25], "nodes": 8}
    means = drafting._resampled(one)
    assert set(means.round(3)) == {2.0, 2.667, 4.0}
    assert drafting._tokens_cell(one) == "2.667 (2.00 to 4.00), 0.1"


def test_replays_are_json(material: Material) -> None:
    found = measure("infgram", material, resident)
    again = json.loads(json.dumps(found))
    (ways,) = again["replays"].values()
    assert Replay(**ways["infgram, tree"]["8"]).tokens_a_step > 1


# By the clock -------------------------------------------------------------------------------------


def test_a_session_drafts_in_the_place_of_a_drafter() -> None:
    session = Scripted([Drafted([5, 6, 7], [-1, 0, -1]), Drafted([5, 6, 7], [-1, 0, -1])])
    drafter = SessionDrafter(session, vocab_size=10, tree=True, max_tokens=8)
    drafter.start("a", [1, 2])
    whole, part = drafter.propose("a", 8), drafter.propose("a", 2)
    assert (whole.token_ids.tolist(), whole.parents.tolist()) == ([5, 6, 7], [-1, 0, -1])
    assert (part.token_ids.tolist(), part.parents.tolist()) == ([5, 6], [-1, 0])
    assert len(drafter.propose("a", 0)) == 0  # and the session is not asked
    drafter.accept("a", [5, 9], 1)
    drafter.stop("a")
    assert session.heard[:2] == [("start", [1, 2]), ("accept", [5, 9])]


def test_drafts_are_compared_with_the_fastest_of_the_others(tmp_path: Path) -> None:
    bench = bench_in(tmp_path)
    seconds = {
        "transformers": [3.0],
        "no drafts": [2.0],
        "infgram, tree": [1.6, 1.4, 1.0],
        "infgram, path": [1.0],
        "prompt lookup, by transformers": [4.0],
        "Arctic, path, 8 tokens": [1.5],
    }
    told = {"tokens_per_step": {"greedy": {}}, "different": {"greedy": {"infgram, path": 1}}}
    trial = Trial({"prompt lookup, 8 tokens": Failure("writing", "ValueError: no")})
    drafting_speed._compare("greedy", seconds, told, trial, bench)
    (table,) = bench.findings.tables
    assert ["prompt lookup, 8 tokens", "failed: ValueError: no", "", "", ""] in table.rows
    bars = {bar.what: bar.found for bar in bench.findings.bars}
    assert bars == {
        "greedy: drafts, to none": 2.0,
        "greedy: drafts, to Arctic, path, 8 tokens": 1.5,
    }
    assert "greedy: other texts than without drafts: infgram, path: 1" in bench.findings.notes


def _measured_speed(
    n_prompts: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trial: Trial
) -> dict[str, Any]:
    """What is measured of a few short texts of a model that was hardly trained."""
    pytest.importorskip("torch", reason="needs torch, the extra `neural`")
    pytest.importorskip("transformers", reason="needs transformers, the extra `neural`")
    from infgram_bench import gpt, training

    monkeypatch.setattr(training, "cache_folder", lambda: tmp_path)
    sizes = {"_N_PROMPTS": n_prompts, "_WRITTEN": 6, "_PROMPT": 8, "_ROUNDS": 2}
    for name, value in sizes.items():
        monkeypatch.setattr(drafting_speed, name, value)
    small = replace(gpt.DRAFTING_TARGET, n_layer=1, n_head=2, n_embd=32, block_size=64)
    monkeypatch.setattr(gpt, "DRAFTING_TARGET", small)
    (tmp_path / "text").write_bytes(TEXT)
    return drafting_speed.measure(tmp_path / "text", tmp_path / "speed", trial)


@pytest.mark.torch
def test_all_ways_to_write_are_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arctic is not there."""
    monkeypatch.setitem(sys.modules, "arctic_inference.suffix_decoding", None)
    trial = Trial()
    found = _measured_speed(2, tmp_path, monkeypatch, trial)
    assert trial.failed == {}
    assert found["absent"].keys() == {"Arctic"}
    assert {len(cost) for cost in found["cost"].values()} == {drafting_speed._MAX_TOKENS + 1}
    for subject, ways in found["seconds"].items():
        assert {len(taken) for taken in ways.values()} == {2}
        own = {name for name in ways if name.startswith("infgram,")}
        is_greedy = subject.startswith("greedy")
        drawn = set() if is_greedy else {"infgram, tree, drawn", "infgram, path, drawn"}
        assert own == {"infgram, tree", "infgram, path"} | drawn
        assert not any(name.startswith("infgram") for name in found["different"][subject])
    both = [found["seconds"][f"{manner}, a lean loop"] for manner in drafting_speed._MANNERS]
    assert all("no drafts" in ways for ways in both)
    json.dumps(found)


@pytest.mark.torch
def test_ways_to_write_that_fail_are_left_out_and_the_others_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A drafter that cannot be made, and one that fails while it drafts."""

    class Broken(DraftingSystem):
        name = "Arctic"

        def __init__(self, material: Material) -> None:
            raise ImportError("libcuda.so: cannot open")

        def session(self, max_tokens: int, options: Options) -> Session:
            raise NotImplementedError

    class Breaking(Broken):
        name = "prompt lookup"

        def __init__(self, material: Material) -> None:
            pass

        def session(self, max_tokens: int, options: Options) -> Session:
            return Scripted([])  # nothing to propose: IndexError

    monkeypatch.setattr(drafting_speed, "Arctic", Broken)
    monkeypatch.setattr(drafting_speed, "PromptLookup", Breaking)
    trial = Trial()
    found = _measured_speed(1, tmp_path, monkeypatch, trial)
    assert trial.failed == {
        "Arctic": Failure("getting ready", "ImportError: libcuda.so: cannot open"),
        "prompt lookup, 8 tokens": Failure("writing", "IndexError: pop from empty list"),
    }
    assert len(found["seconds"]) == 4
    for subject, ways in found["seconds"].items():
        assert not ways.keys() & trial.failed.keys()
        assert {"infgram, tree", "infgram, path"} <= ways.keys()
        assert not found["tokens_per_step"][subject].keys() & trial.failed.keys()
    json.dumps(found)
