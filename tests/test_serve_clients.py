"""The server, asked by clients that others wrote, as they are published; and infini-gram beside it.

`make test-clients` installs them.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pasting import blocks
from served import Server, server
from waiting import TIMEOUT

import infgram

pytestmark = pytest.mark.clients
DOCS = Path(__file__).parents[1] / "docs"

WORDS = ["to", "be", "or", "not", "king", "romeo", "love", "death", "thou", "art", "my", "lord"]


def needs(package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        find_spec(package) is None, reason=f"needs {package}, which `make test-clients` installs"
    )


def play() -> list[str]:
    """Documents of a few words, which come again and again; the corpus ends as nothing else does.

    infini-gram takes what stands at the end of the corpus and of other documents for never followed
    by anything else.
    """
    rng = np.random.default_rng(5)
    documents = [
        " ".join(rng.choice(WORDS, rng.integers(3, 60)).tolist()) + rng.choice([".", "\n", ""])
        for _ in range(60)
    ]
    return [*documents[:-1], documents[-1] + "#"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clients")


@pytest.fixture(scope="module")
def index(folder: Path) -> infgram.Index:
    return infgram.build(play(), folder / "play.infgram")


@pytest.fixture(scope="module")
def running(index: infgram.Index) -> Iterator[Server]:
    with server(str(index.path)) as found:
        yield found


# OpenAI's client, LiteLLM -------------------------------------------------------------------------


@needs("openai")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_page_on_serving_shows_openais_client(folder: Path) -> None:
    infgram.build(play(), folder / "corpus.infgram")
    (block,) = [block for language, block in blocks(DOCS / "serving.md") if language == "python"]
    with server(str(folder / "corpus.infgram")) as found:
        exec(block.replace("http://127.0.0.1:8000", found.address), {})


@needs("openai")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_openais_client_works(running: Server, index: infgram.Index) -> None:
    import openai

    client = openai.OpenAI(base_url=f"{running.address}/v1", api_key="none", max_retries=0)
    model = infgram.Model(index, infgram.SBIS(k=2))
    expected = model.samples(2, "to be", max_tokens=30, seed=3, temperature=1.0)
    assert "play@sbis-2" in [each.id for each in client.models.list()]
    made = client.completions.create(
        model="play@sbis-2", prompt="to be", n=2, max_tokens=30, seed=3, logprobs=2, echo=True
    )
    assert [choice.text for choice in made.choices] == [f"to be{each.text}" for each in expected]
    logprobs = made.choices[0].logprobs
    assert logprobs and logprobs.token_logprobs and logprobs.top_logprobs
    scores = model.score(expected[0].token_ids, context="to be")
    told = logprobs.token_logprobs[5 : 5 + len(scores.log_prob)]
    np.testing.assert_allclose(told, scores.log_prob, atol=1e-9)  # type: ignore[arg-type]
    stream = client.completions.create(
        model="play@sbis-2", prompt=list(b"to be"), max_tokens=30, seed=3, stop="zz", stream=True
    )
    text = "".join(piece.choices[0].text for piece in stream)
    assert text == model.generate("to be", max_tokens=30, seed=3, temperature=1.0).text
    more = client.completions.create(
        model="play", prompt=["to", "be"], max_tokens=4, extra_body={"top_k": 1, "max_copy": 40}
    )
    assert [choice.index for choice in more.choices] == [0, 1] and more.usage
    with pytest.raises(openai.NotFoundError, match="no model"):
        client.completions.create(model="other", prompt="a")
    with pytest.raises(openai.BadRequestError, match="n is 99"):
        client.completions.create(model="play", prompt="a", n=99)
    with pytest.raises(openai.NotFoundError, match="template"):
        client.chat.completions.create(model="play", messages=[])


@needs("litellm")
def test_litellm_works(running: Server, index: infgram.Index) -> None:
    """In a process of its own: it warns of itself."""
    script = """
import json, sys, litellm
address = sys.argv[1]
given = dict(model="text-completion-openai/play@sbis-2", prompt="to be", api_base=address,
             api_key="none", max_tokens=30, seed=3, temperature=1)
whole = litellm.text_completion(**given)
pieces = [each.choices[0].text or "" for each in litellm.text_completion(**given, stream=True)]
print(json.dumps([whole.choices[0].text, "".join(pieces)]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, f"{running.address}/v1"],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    )
    assert done.returncode == 0, done.stderr
    model = infgram.Model(index, infgram.SBIS(k=2))
    made = model.generate("to be", max_tokens=30, seed=3, temperature=1.0).text
    assert json.loads(done.stdout.splitlines()[-1]) == [made, made]


# lm-evaluation-harness ----------------------------------------------------------------------------

TASK = """
task: {name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {data}
test_split: test
metadata:
  version: 1
"""
KINDS = {
    "choosing": """
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: "{{choices}}"
doc_to_target: "{{answer}}"
metric_list:
  - metric: acc
""",
    "rolling": """
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list:
  - metric: bits_per_byte
""",
    "writing": """
output_type: generate_until
doc_to_text: "{{prompt}}"
doc_to_target: "{{answer}}"
generation_kwargs:
  until: ["\\n"]
  max_gen_toks: 12
  do_sample: false
  temperature: 0
metric_list:
  - metric: exact_match
""",
}


@needs("lm_eval")
def test_lm_evaluation_harness_finds_what_infgram_finds(
    running: Server, index: infgram.Index, folder: Path
) -> None:
    model = infgram.Model(index)
    texts = ["to be or not to be, my lord", "good king romeo and god", "love\nand death"]
    questions = [
        {"question": "to be or", "choices": WORDS[i : i + 3], "answer": 0} for i in range(6)
    ]
    prompts = ["to be", "my lord", "thou art"]
    answers = [
        model.generate(prompt, max_tokens=12, temperature=0.0, stop="\n").text for prompt in prompts
    ]
    data: dict[str, list[dict[str, Any]]] = {
        "choosing": questions,
        "rolling": [{"text": text} for text in texts],
        "writing": [
            {"prompt": prompt, "answer": answer}
            for prompt, answer in zip(prompts, answers, strict=True)
        ],
    }
    tasks = folder / "tasks"
    tasks.mkdir()
    for name, kind in KINDS.items():
        path = tasks / f"{name}.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in data[name]))
        (tasks / f"{name}.yaml").write_text(TASK.format(name=name, data=path) + kind)
    address = f"base_url={running.address}/v1/completions"
    arguments = [
        *("--model", "local-completions", "--model_args", f"model=play,{address}"),
        *("--tasks", ",".join(KINDS), "--include_path", str(tasks)),
        *("--output_path", str(folder / "found"), "--batch_size", "4"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "lm_eval", "run", *arguments],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env={
            **os.environ,
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_OFFLINE": "1",
            "HF_HOME": str(folder / "cache"),
        },
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (written,) = (folder / "found").rglob("*.json")
    results = json.loads(written.read_text())["results"]
    bits = infgram.perplexity(model, *texts, bos=True).bits_per_byte
    assert bits is not None
    print("bits per byte:", results["rolling"]["bits_per_byte,none"], bits)
    assert round(results["rolling"]["bits_per_byte,none"], 4) == round(bits, 4)
    assert results["writing"]["exact_match,none"] == 1.0
    right = 0
    for record in questions:
        scores = [
            float(model.score(f" {choice}", context=record["question"]).log_prob.sum())
            for choice in record["choices"]
        ]
        right += int(np.argmax(scores)) == record["answer"]
    assert results["choosing"]["acc,none"] == pytest.approx(right / len(questions))


# infini-gram --------------------------------------------------------------------------------------

ITS_END, OUR_END = 254, 256  # it tells its separator, 255, as what its engine was given


@pytest.fixture(scope="module")
def engine(folder: Path) -> Any:
    """infini-gram's own engine, over its own index of the same documents."""
    data, temp, save = (folder / name for name in ("data", "temp", "save"))
    for each in (data, temp, save):
        each.mkdir()
    records = "".join(json.dumps({"text": text}) + "\n" for text in play())
    (data / "0.jsonl").write_text(records)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "infini_gram.indexing", "--token_dtype", "u8"),
            *("--data_dir", str(data), "--temp_dir", str(temp), "--save_dir", str(save)),
            *("--cpus", "1", "--mem", "1", "--shards", "1", "--ulimit", "1024"),
        ],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    from infini_gram.engine import InfiniGramEngine

    return InfiniGramEngine(
        index_dir=str(save),
        eos_token_id=254,
        vocab_size=255,
        version=4,
        token_dtype="u8",
        max_support=10**9,
        max_clause_freq=10**9,
        ds_prefetch_depth=0,
        sa_prefetch_depth=0,
        od_prefetch_depth=0,
    )


def queries() -> list[str]:
    """What documents hold, what they do not, and what they hold the end of."""
    rng = np.random.default_rng(1)
    text = play()
    found = [""]
    for _ in range(120):
        document = text[rng.integers(len(text))]
        at, size = rng.integers(len(document)), rng.integers(1, 25)
        found.append(document[at : at + size])
    return [*found, "xyz", "to bex", "zz to be", text[-1][-6:], text[0], "~"]


def answered(running: Server, query_type: str, query: Any, **more: Any) -> Any:
    given = {"index": "play", "query_type": query_type, "query_ids": query, **more}
    status, found = running.ask("/", given)
    assert status == 200 and "error" not in found, found
    return found


def ended(token_id: str | int) -> int:
    return OUR_END if int(token_id) == ITS_END else int(token_id)


@needs("infini_gram")
def test_counts_and_distributions_are_infini_grams(running: Server, engine: Any) -> None:
    for query in queries():
        ids = list(query.encode())
        mine = answered(running, "count", ids)
        assert mine["count"] == engine.count(ids)["count"], query
        for kind in ("ntd", "infgram_ntd"):
            mine, theirs = answered(running, kind, ids), getattr(engine, kind)(ids)
            counts = {
                ended(i): each["cont_cnt"] for i, each in theirs["result_by_token_id"].items()
            }
            found = mine["result_by_token_id"].items()
            assert {int(i): each["cont_cnt"] for i, each in found} == counts, (kind, query)
            probs = {ended(i): each["prob"] for i, each in theirs["result_by_token_id"].items()}
            assert {int(i): each["prob"] for i, each in found} == pytest.approx(probs)
            assert mine["prompt_cnt"] == theirs["prompt_cnt"]
            assert mine.get("suffix_len") == theirs.get("suffix_len"), query
        for kind in ("prob", "infgram_prob"):
            for token in b" eo":
                mine, theirs = (
                    answered(running, kind, [*ids, token]),
                    getattr(engine, kind)(ids, token),
                )
                assert {name: mine[name] for name in theirs} == theirs, (kind, query, token)
            # to it, the last document does not end here, though it does in its distributions
            mine, theirs = answered(running, kind, [*ids, OUR_END]), getattr(engine, kind)(ids, 255)
            suffix = ids[len(ids) - theirs.get("suffix_len", len(ids)) :]
            is_last = bool(suffix) and play()[-1].encode().endswith(bytes(suffix))
            assert mine["prompt_cnt"] == theirs["prompt_cnt"]
            assert mine["cont_cnt"] == theirs["cont_cnt"] + is_last, (kind, query)


@needs("infini_gram")
def test_documents_are_infini_grams(running: Server, engine: Any) -> None:
    fields = ("doc_ix", "doc_len", "disp_len", "needle_offset", "token_ids")
    n = 0
    for query in queries()[1:60:4]:
        ids = list(query.encode())
        mine, theirs = answered(running, "find", ids), engine.find(ids)
        assert mine["cnt"] == theirs["cnt"]
        sizes = [end - begin for begin, end in mine["segment_by_shard"]]
        assert sizes == [end - begin for begin, end in theirs["segment_by_shard"]]
        if not 0 < mine["cnt"] < 40:
            continue
        documents: list[Counter[str]] = []
        (own,), (other,) = mine["segment_by_shard"], theirs["segment_by_shard"]
        for size in (7, 50, 1000):
            documents = [
                Counter(
                    json.dumps([each[name] for name in fields])
                    for each in (
                        answered(running, "get_doc_by_rank", ids, s=0, rank=rank, max_disp_len=size)
                        for rank in range(*own)
                    )
                ),
                Counter(
                    json.dumps([each[name] for name in fields])
                    for each in (
                        engine.get_doc_by_rank(s=0, rank=rank, max_disp_len=size)
                        for rank in range(*other)
                    )
                ),
            ]
            assert documents[0] == documents[1], query
            n += documents[0].total()
    assert n > 100


@needs("infini_gram")
def test_formulas_are_infini_grams(running: Server, engine: Any) -> None:
    rng = np.random.default_rng(3)
    n = 0
    for _ in range(80):
        cnf = [
            [
                list(" ".join(rng.choice(WORDS, rng.integers(1, 3), replace=False)).encode())
                for _ in range(rng.integers(1, 4))
            ]
            for _ in range(rng.integers(1, 4))
        ]
        distance = int(rng.choice([5, 20, 100]))
        theirs = engine.find_cnf(cnf, max_diff_tokens=distance)
        mine = answered(running, "find_cnf", cnf, max_diff_tokens=distance)
        assert mine["cnt"] == theirs["cnt"]
        # its pointers are bytes, of which a token has one here
        found = [sorted(each) for each in theirs["ptrs_by_shard"]] or [[]]
        assert [sorted(each) for each in mine["ptrs_by_shard"]] == found
        counted = answered(running, "count", cnf, max_diff_tokens=distance)["count"]
        assert counted == engine.count_cnf(cnf, max_diff_tokens=distance)["count"]
        for ptr in (each for each in mine["ptrs_by_shard"][0][:6] if each % 2 == 0):
            # its engine takes even ones alone, whatever a token is
            one = answered(running, "get_doc_by_ptr", cnf, s=0, ptr=ptr, max_disp_len=30)
            other = engine.get_doc_by_ptr(s=0, ptr=ptr, max_disp_len=30)
            for name in ("doc_ix", "doc_len", "disp_len", "needle_offset", "token_ids"):
                assert one[name] == other[name]
            n += 1
    assert n > 50


@needs("infini_gram")
def test_searches_and_creativity_are_infini_grams(running: Server, engine: Any) -> None:
    for query in queries()[1::5]:
        ids = list(query.encode())
        mine, theirs = answered(running, "search_docs", ids), engine.search_docs(ids)
        assert (mine["cnt"], mine["approx"]) == (theirs["cnt"], theirs["approx"])
        assert len(mine["documents"]) == len(theirs["documents"]) == min(mine["cnt"], 1)
        for document in mine["documents"]:
            assert document["token_ids"][document["needle_offset"] :][: len(ids)] == ids
    for text in ("to be, or not my lord", "zz", "god and king ~ thou", play()[3] + "x"):
        ids = list(text.encode())
        assert answered(running, "creativity", ids)["rs"] == engine.creativity(ids)["rs"]
    assert math.isfinite(answered(running, "creativity", ids)["latency"])
