"""The server's answers: to infini-gram's, OpenAI's and Ai2's clients, and to whoever abuses it."""

from __future__ import annotations

import asyncio
import base64
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from conftest import make_index

import infgram
from infgram.errors import InvalidParameter
from infgram.models.mix.fitting import stored_fit

pytest.importorskip("starlette")
pytest.importorskip("httpx")

from starlette.testclient import TestClient

from infgram.serve.app import application
from infgram.serve.catalogue import ESTIMATORS
from infgram.serve.run import serve
from infgram.serve.settings import Limits, Settings

DOCUMENTS = ["to be or not to be, that is the question", "to see or not to see: naïve", "or not"]
TOKEN = "secret-of-ours"
Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def index(memory_folder: Path) -> infgram.Index:
    return infgram.build(DOCUMENTS, memory_folder / "play.infgram", overwrite=True)


@pytest.fixture(scope="module")
def shards(memory_folder: Path) -> infgram.Index:
    """The same in several shards."""
    documents = [np.frombuffer(each.encode(), np.uint8) for each in DOCUMENTS]
    return make_index(memory_folder / "shards.infgram", documents, shard_tokens=45)


@pytest.fixture(scope="module")
def client(index: infgram.Index, shards: infgram.Index) -> TestClient:
    return TestClient(application([index, shards]), base_url="http://localhost")


@pytest.fixture(scope="module")
def ask(client: TestClient) -> Ask:
    """infini-gram's API: a query of the index, whose answer is no error."""

    def asked(query_type: str, query: Any, index: str = "play", **more: Any) -> Any:
        name = "query" if isinstance(query, str) else "query_ids"
        given = {"index": index, "query_type": query_type, name: query, **more}
        answer = client.post("/", json=given)
        assert answer.status_code == 200
        found = answer.json()
        assert "error" not in found, found
        return found

    return asked


def completed(client: TestClient, **given: Any) -> Any:
    answer = client.post("/v1/completions", json={"model": "play@sbis-2", **given})
    assert answer.status_code == 200, answer.text
    return answer.json()


def events(client: TestClient, **given: Any) -> list[Any]:
    """What a stream sends, without its end."""
    request = {"model": "play@sbis-2", "stream": True, **given}
    answer = client.post("/v1/completions", json=request)
    assert answer.headers["content-type"].startswith("text/event-stream")
    *lines, last = answer.text.strip().split("\n\n")
    assert last == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines]


# infini-gram's API --------------------------------------------------------------------------------

INDEXES = pytest.mark.parametrize("name", ["play", "shards"])
NGRAMS = ["to", "not to be", "e", "n", "or not", "xyz", "ïv", "question", "or notx", ""]


def counted(ngram: str) -> int:
    """Occurrences in the documents, looked for one by one."""
    text = [document.encode() for document in DOCUMENTS]
    if not ngram:
        return sum(len(each) + 1 for each in text)
    wanted = ngram.encode()
    return sum(each[i : i + len(wanted)] == wanted for each in text for i in range(len(each)))


def followed(prompt: str) -> dict[int, int]:
    """What stands behind a prompt in the documents; 256 where one ends."""
    found: dict[int, int] = {}
    wanted = prompt.encode()
    for document in DOCUMENTS:
        text = [*document.encode(), 256]
        for i in range(len(text) - len(wanted)):
            if bytes(text[i : i + len(wanted)]) == wanted:
                next_id = text[i + len(wanted)]
                found[next_id] = found.get(next_id, 0) + 1
    return found


@INDEXES
@pytest.mark.parametrize("ngram", NGRAMS)
def test_counts_are_those_of_the_text(ask: Ask, name: str, ngram: str) -> None:
    found = ask("count", ngram, name)
    assert (found["count"], found["approx"]) == (counted(ngram), False)
    assert found["token_ids"] == list(ngram.encode())
    assert len(found["tokens"]) == len(ngram.encode()) and found["latency"] >= 0
    assert ask("count", list(ngram.encode()), name)["count"] == counted(ngram)


@INDEXES
@pytest.mark.parametrize("ngram", NGRAMS)
def test_what_follows_is_what_stands_there_with_the_ends_of_documents(
    ask: Ask, name: str, ngram: str
) -> None:
    found = ask("ntd", ngram, name)
    expected = followed(ngram)
    counts = {int(i): each["cont_cnt"] for i, each in found["result_by_token_id"].items()}
    assert counts == expected
    assert found["prompt_cnt"] == sum(expected.values()) == counted(ngram)
    probs = [each["prob"] for each in found["result_by_token_id"].values()]
    assert not expected or math.isclose(sum(probs), 1)
    for token_id, count in [*expected.items(), (0, 0)]:
        prob = ask("prob", [*ngram.encode(), token_id], name)
        n = sum(expected.values())
        assert prob["prompt_cnt"] == n and prob["cont_cnt"] == count
        assert prob["prob"] == (count / n if n else -1.0)


@INDEXES
@pytest.mark.parametrize("ngram", NGRAMS)
def test_the_longest_suffix_is_the_longest_that_occurs(ask: Ask, name: str, ngram: str) -> None:
    ids = list(ngram.encode())
    suffix = next(ids[i:] for i in range(len(ids) + 1) if reference_count(ids[i:]))
    found = ask("infgram_ntd", ngram, name)
    assert found["suffix_len"] == len(suffix)
    assert found["longest_suffix"] == bytes(suffix).decode(errors="replace")
    assert found["result_by_token_id"] == ask("ntd", suffix, name)["result_by_token_id"]
    prob = ask("infgram_prob", [*ids, 32], name)
    assert prob["suffix_len"] == len(suffix)
    assert prob["prob"] == ask("prob", [*suffix, 32], name)["prob"]


def reference_count(ids: list[int]) -> int:
    documents = [list(document.encode()) for document in DOCUMENTS]
    return sum(
        document[i : i + len(ids)] == ids for document in documents for i in range(len(document))
    )


@INDEXES
def test_every_occurrence_is_found_with_its_document(ask: Ask, name: str) -> None:
    found = ask("find", "to", name)
    seen = []
    for s, (begin, end) in enumerate(found["segment_by_shard"]):
        for rank in range(begin, end):
            one = ask("get_doc_by_rank", "to", name, s=s, rank=rank, max_disp_len=4)
            text = bytes(one["token_ids"]).decode()
            assert text[one["needle_offset"] :].startswith("to")
            assert "".join(span for span, _ in one["spans"]) == text
            assert ["to", "0"] in one["spans"] and one["disp_len"] == len(one["token_ids"]) <= 4
            assert one["doc_len"] == len(DOCUMENTS[one["doc_ix"]].encode())
            assert json.loads(one["metadata"])["path"] and one["blocked"] is False
            seen.append((one["doc_ix"], text))
    places = [
        (i, document[max(at - 2, 0) : at + 2])
        for i, document in enumerate(DOCUMENTS)
        for at in range(len(document))
        if document.startswith("to", at)
    ]
    assert sorted(seen) == sorted(places) and found["cnt"] == len(places)


@INDEXES
@pytest.mark.parametrize("query", ["to AND not", "be OR see AND or", "to OR or", "x AND to"])
def test_and_and_or_are_counted_as_the_library_does(
    ask: Ask, client: TestClient, index: infgram.Index, query: str, name: str
) -> None:
    cnf = [clause.split(" OR ") for clause in query.split(" AND ")]
    which = index if name == "play" else infgram.open(index.path.parent / "shards.infgram")
    expected = infgram.count_cnf(which, cnf, max_diff_tokens=30)
    assert ask("count", query, name, max_diff_tokens=30)["count"] == expected
    found = ask("find_cnf", query, name, max_diff_tokens=30)
    assert found["cnt"] == sum(map(len, found["ptrs_by_shard"])) == expected
    ids = [[list(term.encode()) for term in clause] for clause in cnf]
    assert found["token_ids"] == ids
    by_ids = ask("find_cnf", ids, name, max_diff_tokens=30)
    assert by_ids["ptrs_by_shard"] == found["ptrs_by_shard"]
    for s, ptrs in enumerate(found["ptrs_by_shard"]):
        for ptr in ptrs:
            one = ask("get_doc_by_ptr", query, name, s=s, ptr=ptr)
            labels = {label for _, label in one["spans"]}
            assert labels >= {str(i) for i in range(len(cnf))} or len(cnf) == 1
            text = bytes(one["token_ids"][one["needle_offset"] :]).decode()
            assert text.startswith(tuple(term for clause in cnf for term in clause))
    shown = ask("search_docs", query, name, maxnum=3, max_diff_tokens=30)
    assert shown["cnt"] == expected and len(shown["documents"]) == min(3, expected)


def test_documents_are_searched_without_the_same_place_twice(ask: Ask) -> None:
    found = ask("search_docs", "to", maxnum=10)
    assert found["idxs"] == list(range(4)) and found["cnt"] == 4
    assert "4 occurrences" in found["message"]
    assert ask("search_docs", "xyz")["documents"] == []


@pytest.mark.parametrize("text", ["to be that not", "xx or noty", "t", "zzz"])
def test_creativity_is_the_end_of_the_longest_run_from_each_token(ask: Ask, text: str) -> None:
    ids = list(text.encode())
    expected = [
        max(r for r in range(i, len(ids) + 1) if reference_count(ids[i:r]) or r == i)
        for i in range(len(ids))
    ]
    assert ask("creativity", text)["rs"] == expected


def test_many_counts_come_in_one_answer(client: TestClient) -> None:
    given = {"index": "play", "query_type": "count", "queries": NGRAMS}
    assert client.post("/", json=given).json()["counts"] == [counted(each) for each in NGRAMS]
    given = {"query_type": "count", "queries_ids": [list(each.encode()) for each in NGRAMS]}
    assert client.post("/", json=given).json()["counts"] == [counted(each) for each in NGRAMS]


@pytest.mark.parametrize(
    ("given", "status", "told"),
    [
        ({"query_type": "count", "query": "a", "index": "other"}, 400, "no index 'other'"),
        ({"query_type": "cnt", "query": "a"}, 400, "query_type is 'cnt'"),
        ({"query_type": "count"}, 400, "query and query_ids"),
        ({"query_type": "count", "query": "a", "query_ids": [1]}, 400, "query and query_ids"),
        ({"query_type": "count", "query": "a", "fuzzy": True}, 400, "'fuzzy' is unknown"),
        ({"query_type": "count", "queries": "ab"}, 400, "a list of strings"),
        ({"query_type": "ntd", "queries": ["ab"]}, 400, "'count' for many"),
        ({"query_type": "count", "query": 3}, 200, "query is 3"),
        ({"query_type": "count", "query_ids": [-1]}, 200, "-1"),
        ({"query_type": "count", "query_ids": [257]}, 200, "257"),
        ({"query_type": "count", "query_ids": [True]}, 200, "token ids"),
        ({"query_type": "count", "query_ids": [[1]]}, 200, "token ids"),
        ({"query_type": "count", "query_ids": [[[]]]}, 200, "empty n-gram"),
        ({"query_type": "count", "query": " AND a"}, 200, "empty n-gram"),
        ({"query_type": "count", "query": "a AND b", "max_diff_tokens": 0}, 200, "max_diff"),
        ({"query_type": "prob", "query": ""}, 200, "empty"),
        ({"query_type": "find", "query": ""}, 200, "empty"),
        ({"query_type": "prob", "query": "a OR b"}, 200, "one n-gram"),
        ({"query_type": "ntd", "query": "a", "max_support": 1001}, 200, "max_support"),
        ({"query_type": "get_doc_by_rank", "query": "to", "rank": 0}, 200, "s is -1"),
        ({"query_type": "get_doc_by_rank", "query": "to", "s": 0, "rank": 0}, 200, "rank is 0"),
        ({"query_type": "get_doc_by_ptr", "query": "to", "s": 0, "ptr": 10**9}, 200, "ptr is"),
        ({"query_type": "search_docs", "query": "to", "maxnum": 11}, 200, "maxnum"),
    ],
)
def test_wrong_queries_are_told_as_infini_grams_clients_expect(
    client: TestClient, given: dict[str, Any], status: int, told: str
) -> None:
    answer = client.post("/", json=given)
    assert answer.status_code == status
    assert answer.json().keys() == {"error"} and told in answer.json()["error"]


# OpenAI's API -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if not name.startswith("mix")])
def test_a_completion_is_what_the_model_generates(
    client: TestClient, index: infgram.Index, name: str
) -> None:
    model = infgram.Model(index, ESTIMATORS[name]())
    found = completed(
        client, model=f"play@{name}", prompt="to ", max_tokens=20, seed=5, temperature=0.7
    )
    made = model.generate("to ", max_tokens=20, seed=5, temperature=0.7)
    (choice,) = found["choices"]
    assert choice["text"] == made.text and choice["logprobs"] is None
    assert choice["finish_reason"] == ("length" if made.finish_reason == "length" else "stop")
    assert found["usage"] == {
        "prompt_tokens": 3,
        "completion_tokens": len(made.token_ids),
        "total_tokens": 3 + len(made.token_ids),
    }
    assert (found["object"], found["model"]) == ("text_completion", f"play@{name}")


def test_several_texts_are_those_of_samples_prompt_after_prompt(
    client: TestClient, index: infgram.Index
) -> None:
    found = completed(client, prompt=["to ", "or"], n=3, max_tokens=9, seed=2, temperature=1)
    model = infgram.Model(index, infgram.SBIS(k=2))
    expected = [
        made.text
        for prompt in ("to ", "or")
        for made in model.samples(3, prompt, max_tokens=9, seed=2, temperature=1.0)
    ]
    assert [choice["text"] for choice in found["choices"]] == expected
    assert [choice["index"] for choice in found["choices"]] == list(range(6))


@pytest.mark.parametrize("prompt", ["to b", list(b"to b"), [list(b"to b")], ["to b"]])
def test_a_prompt_is_text_or_ids_alone_or_in_a_list(client: TestClient, prompt: Any) -> None:
    found = completed(client, prompt=prompt, max_tokens=1, temperature=0, echo=True)
    assert [choice["text"] for choice in found["choices"]] == ["to be"]


def test_the_end_of_text_in_a_prompt_begins_a_document(
    client: TestClient, index: infgram.Index
) -> None:
    end = index.end_of_text
    for prompt, expected in [([end], ""), ([*b"not", end], ""), ([end, *b"to"], "to")]:
        found = completed(
            client, prompt=prompt, max_tokens=5, seed=1, echo=True, logprobs=1, model="play"
        )
        (choice,) = found["choices"]
        model = infgram.Model(index)
        made = model.generate(np.array(prompt), max_tokens=5, seed=1, temperature=1.0)
        assert choice["text"].endswith(expected + made.text)
        begun = prompt[len(prompt) - prompt[::-1].index(end) :]
        expected_scores = model.score(made.token_ids, context=begun, bos=True).log_prob
        n = len(made.token_ids)
        told = choice["logprobs"]["token_logprobs"][len(prompt) :][:n]
        np.testing.assert_allclose(told, expected_scores, atol=1e-9)


def test_logprobs_are_those_of_the_model_and_the_best_are_the_best(
    client: TestClient, index: infgram.Index
) -> None:
    model = infgram.Model(index)
    prompt, end = "to be\u00efx~", index.end_of_text
    found = completed(
        client, model="play", prompt=prompt, max_tokens=4, seed=3, logprobs=3, echo=True
    )
    (choice,) = found["choices"]
    told = choice["logprobs"]
    written = choice["text"][len(prompt) :]
    ids = [*prompt.encode(), *written.encode()] + [end] * (choice["finish_reason"] == "stop")
    scores = model.score(ids[1:], context=ids[:1])
    assert told["token_logprobs"][0] is None and told["top_logprobs"][0] is None
    np.testing.assert_allclose(told["token_logprobs"][1:], scores.log_prob, atol=1e-9)
    distributions = np.concatenate(
        [rows for _, rows in model.distributions(ids[1:], context=ids[:1])]
    )
    for row, tops, own in zip(
        distributions[:, :-1], told["top_logprobs"][1:], told["token_logprobs"][1:], strict=True
    ):
        best = np.sort(row)[::-1][:3]
        assert np.allclose(sorted(tops.values(), reverse=True)[:3], np.log(best))
        assert max(tops.values()) >= own and own in tops.values()
    text = choice["text"].encode()
    assert told["text_offset"] == [len(text[:i].decode(errors="ignore")) for i in range(len(ids))]
    assert "bytes:\\xc3" in told["tokens"]


def test_one_token_follows_even_where_the_text_ends(client: TestClient) -> None:
    """lm-evaluation-harness drops the last token, whatever it is."""
    given = {"max_tokens": 1, "logprobs": 1, "echo": True, "temperature": 0}
    found = completed(client, model="play@longest", prompt=[list(b"the question")], **given)
    told = found["choices"][0]["logprobs"]
    assert told["tokens"][-1] == "<|endoftext|>" and len(told["tokens"]) == 13
    assert told["token_logprobs"][-1] == 0.0


def test_only_what_was_written_is_told_without_echo(client: TestClient) -> None:
    found = completed(client, prompt="to ", max_tokens=3, logprobs=0, seed=0)
    told = found["choices"][0]["logprobs"]
    assert len(told["tokens"]) == 3 and told["text_offset"] == [0, 1, 2]
    assert all(len(tops) == 1 for tops in told["top_logprobs"])
    assert completed(client, prompt="to ", max_tokens=0, echo=True)["choices"][0]["text"] == "to "


def test_an_impossible_token_has_a_number(client: TestClient) -> None:
    found = completed(client, prompt="to~", max_tokens=0, logprobs=1, echo=True)
    assert found["choices"][0]["logprobs"]["token_logprobs"][-1] == -9999.0


@pytest.mark.parametrize("stop", ["or", ["question", "not"]])
def test_a_text_ends_before_a_stop_string(client: TestClient, stop: Any) -> None:
    found = completed(client, prompt="to be ", max_tokens=60, stop=stop, temperature=0)
    (choice,) = found["choices"]
    assert choice["finish_reason"] == "stop"
    assert not any(each in choice["text"] for each in ([stop] if isinstance(stop, str) else stop))


def test_a_stream_is_the_same_text_in_pieces(client: TestClient) -> None:
    given = {"prompt": ["to ", "or"], "n": 2, "seed": 4, "max_tokens": 300, "echo": True}
    given |= {"logprobs": 2, "temperature": 1}
    whole = completed(client, **given)
    sent = events(client, **given, stream_options={"include_usage": True})
    assert sent[-1]["choices"] == [] and sent[-1]["usage"] == whole["usage"]
    for choice in whole["choices"]:
        mine = [e["choices"][0] for e in sent[:-1] if e["choices"][0]["index"] == choice["index"]]
        assert "".join(each["text"] for each in mine) == choice["text"]
        reasons = [each["finish_reason"] for each in mine]
        assert reasons == [None] * (len(mine) - 1) + [choice["finish_reason"]]
        assert mine[-1]["logprobs"] == choice["logprobs"]
    assert {each["id"] for each in sent} == {sent[0]["id"]}


def test_a_long_stream_comes_in_many_pieces(client: TestClient) -> None:
    sent = events(client, model="play@kneser-ney", prompt="", max_tokens=2000, seed=1, top_k=3)
    assert len(sent) > 3 or sent[-1]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"n": 17}, "n"),
        ({"n": 0}, "n"),
        ({"n": True}, "n"),
        ({"best_of": 2}, "best_of"),
        ({"logprobs": 21}, "logprobs"),
        ({"logprobs": "many"}, "logprobs"),
        ({"max_tokens": 100_001}, "max_tokens"),
        ({"max_tokens": 50_001, "n": 2}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": 2}, "top_p"),
        ({"prompt": "a" * 100_001}, "prompt"),
        ({"prompt": ["a"] * 129}, "prompt"),
        ({"prompt": [1, "a"]}, "prompt"),
        ({"prompt": {"text": "a"}}, "prompt"),
        ({"prompt": [[1], [1.5]]}, "prompt"),
        ({"stop": ["a"] * 17}, "stop"),
        ({"stop": [""]}, "stop"),
        ({"stop": "a" * 1001}, "stop"),
        ({"seed": -1}, "seed"),
        ({"max_copy": 0}, "max_copy"),
        ({"suffix": "b"}, "suffix"),
        ({"logit_bias": {"1": 2}}, "logit_bias"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"echo": "yes"}, "echo"),
        ({"stream_options": 3}, "stream_options"),
        ({"messages": []}, "messages"),
        ({"model": 3}, "model"),
        ({"model": "play@gpt"}, "model"),
    ],
)
def test_what_is_wrong_with_a_completion_is_named(
    client: TestClient, given: dict[str, Any], param: str
) -> None:
    answer = client.post("/v1/completions", json={"model": "play", "prompt": "to", **given})
    assert answer.status_code == (404 if param == "model" else 400)
    error = answer.json()["error"]
    assert error["param"] == param and error["message"]
    assert error.keys() == {"message", "type", "param", "code"}


def test_ids_outside_the_vocabulary_are_refused(client: TestClient) -> None:
    for prompt in ([257], [[-1]], [2**70]):
        answer = client.post("/v1/completions", json={"model": "play", "prompt": prompt})
        assert answer.status_code == 400 and "vocabulary" in answer.json()["error"]["message"]


def test_models_are_listed_and_can_be_asked_for(client: TestClient) -> None:
    listed = client.get("/v1/models").json()
    names = [each["id"] for each in listed["data"]]
    assert names[:2] == ["play", "play@kneser-ney"] and "shards@sbis-3" in names
    for name in names:
        assert client.get(f"/v1/models/{name}").json()["id"] == name
    assert client.get("/v1/models/other").status_code == 404
    assert client.post("/v1/chat/completions", json={}).status_code == 404


@pytest.mark.parametrize(("name", "size"), [("mix", "lean"), ("mix-full", "full")])
def test_a_mixture_is_offered_where_it_was_fitted_or_asked_for(
    prose: bytes, memory_folder: Path, name: str, size: Literal["lean", "full"]
) -> None:
    text = prose[:3000].decode()
    index = infgram.build([text], memory_folder / "fitted.infgram", overwrite=True)
    assert stored_fit(index, size=size) is None
    assert not any("@mix" in name for name in application_names(index))
    assert application_names(index, estimator=name)[:2] == ["fitted", f"fitted@{name}"]
    infgram.fit(index, size=size)
    offered = application_names(infgram.open(index.path))
    assert [each for each in offered if "@mix" in each] == [f"fitted@{name}"]


def application_names(index: infgram.Index, **more: Any) -> list[str]:
    client = TestClient(application([index], **more), base_url="http://localhost")
    return [each["id"] for each in client.get("/v1/models").json()["data"]]


def test_the_tokenizer_is_that_of_the_index(client: TestClient, index: infgram.Index) -> None:
    found = client.post("/tokenize", json={"prompt": "naïve", "add_special_tokens": False}).json()
    assert found["tokens"] == list("naïve".encode()) and found["count"] == 6
    back = client.post("/detokenize", json={"tokens": [*found["tokens"], 256]}).json()
    assert back == {"prompt": "naïve"}
    info = client.get("/tokenizer_info").json()
    ends = client.post("/tokenize", json={"prompt": info["eos_token"]}).json()["tokens"]
    assert ends == [info["eos_token_id"]] == [index.end_of_text]
    assert client.post("/detokenize", json={"tokens": [300]}).status_code == 400
    assert client.post("/tokenize", json={"prompt": 3}).status_code == 400


# Attribution --------------------------------------------------------------------------------------


def test_attribution_is_that_of_the_library_in_ai2s_form(
    client: TestClient, index: infgram.Index
) -> None:
    text = "He said: naïve or not to be, or not to see"
    given = {"response": text, "minimumSpanLength": 4, "maximumSpanDensity": 1.0}
    found = client.post("/play/attribution", json=given).json()
    expected = infgram.attribute(
        index, text, min_length=4, max_count=10, whole_words=True, density=1.0, seed=0
    )
    assert found["index"] == "play" and len(found["inputTokens"]) == expected.n_tokens
    raw = text.encode()
    for told, span in zip(found["spans"], expected.spans, strict=True):
        assert (told["text"], told["count"]) == (span.text, span.count)
        assert raw[told["left"] : told["right"]].decode() == span.text
        assert told["tokenIds"] == list(span.text.encode()) and told["length"] == span.n_tokens
        assert told["unigramLogprobSum"] == pytest.approx(span.log_prob)
        assert len(told["documents"]) == min(span.count, 10)
        for document in told["documents"]:
            whole = DOCUMENTS[document["documentIndex"]]
            assert document["documentLength"] == len(whole.encode())
            shown = bytes(document["tokenIds"])
            assert shown[document["needleOffset"] :].startswith(span.text.encode())
            assert document["text"] == shown.decode() == whole
            assert document["displayLength"] == len(shown) and not document["blocked"]
    assert found["spans"]


def test_wrong_attributions_are_refused(client: TestClient) -> None:
    for given, told in [
        ({}, "response is missing"),
        ({"response": "a" * 20_001}, "20,001 characters"),
        ({"response": "a", "spanRankingMethod": "luck"}, "'luck'"),
        ({"response": "a", "delimiters": "."}, "delimiters"),
        ({"response": "a", "maximumDocumentsPerSpan": 11}, "maximumDocumentsPerSpan is 11"),
        ({"response": "a", "other": 1}, "'other' is unknown"),
    ]:
        answer = client.post("/play/attribution", json=given)
        assert answer.status_code == 400 and told in answer.json()["error"]
    assert client.post("/other/attribution", json={"response": "a"}).status_code == 404


# The page's questions -----------------------------------------------------------------------------


def test_levels_are_those_of_the_index(client: TestClient, index: infgram.Index) -> None:
    found = client.post("/api/levels", json={"index": "play", "text": "or not to b"}).json()
    levels = index.levels("or not to b")
    assert [(each["n"], each["m"]) for each in found["levels"][:-1]] == list(levels)
    for each in found["levels"]:
        assert [tuple(pair) for pair in each["next"]] == index.ntd(each["suffix"]).most_common(8)
    assert found["levels"][-1]["n"] == 0


def test_spans_are_those_of_attribute(client: TestClient, index: infgram.Index) -> None:
    found = client.post("/api/spans", json={"text": "xx or not to xx", "min_length": 5}).json()
    expected = infgram.attribute(index, "xx or not to xx", min_length=5)
    assert [tuple(run) for run in found["runs"]] == list(expected.runs())
    assert [(s["start"], s["end"], s["count"]) for s in found["spans"]] == [
        (s.start, s.end, s.count) for s in expected.spans
    ]


def test_a_trace_is_that_of_the_last_token(client: TestClient, index: infgram.Index) -> None:
    given = {"model": "play@sbis-2", "text": "not to b"}
    found = client.post("/api/trace", json=given).json()
    (traced,) = infgram.Model(index, infgram.SBIS(k=2)).trace("b", context="not to ")
    assert (found["text"], found["prob"], found["n"]) == ("b", traced.prob, traced.n)
    assert sum(level["share"] for level in found["levels"]) == pytest.approx(1)
    assert found["match"] == "not to b" and found["count"] == index.count("not to b")
    assert found["documents"][0]["match"] == "not to b"
    assert client.post("/api/trace", json={"text": "t"}).status_code == 200
    assert client.post("/api/trace", json={"text": ""}).status_code == 400


# Who may ask --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(index: infgram.Index) -> TestClient:
    limits = Limits(body_bytes=1000)
    settings = Settings(
        TOKEN, hosts=("models.example.org",), origins=("https://friend.org",), limits=limits
    )
    return TestClient(application([index], settings), base_url="http://localhost")


PATHS = [
    *("/", "/metrics", "/v1/models", "/tokenizer_info", "/api/about", "/favicon.ico"),
    *("/page/page.js", "/nothing", "/v1/nothing"),
]


@pytest.mark.parametrize("path", PATHS)
def test_the_token_guards_every_path(guarded: TestClient, path: str) -> None:
    right = base64.b64encode(f"me:{TOKEN}".encode()).decode()
    wrong = base64.b64encode(b"me:other").decode()
    for given in (None, "", "Bearer", "Bearer other", f"Token {TOKEN}", TOKEN, f"Basic {wrong}"):
        headers = {} if given is None else {"authorization": given}
        for method in ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"):
            answer = guarded.request(method, path, headers=headers)
            assert answer.status_code == 401, (method, given)
            assert "Bearer" in answer.headers["www-authenticate"]
    for given in (f"Bearer {TOKEN}", f"bearer {TOKEN}", f"Basic {right}"):
        assert guarded.get(path, headers={"authorization": given}).status_code in (200, 404)
    assert guarded.get("/health").status_code == 200
    assert TOKEN not in repr(Settings(TOKEN))


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:1234", 200),
        ("127.0.0.1:80", 200),
        ("[::1]:80", 200),
        ("192.168.1.5", 200),
        ("models.example.org:8000", 200),
        ("evil.example.org", 421),
        ("localhost.evil.org", 421),
        ("127.0.0.1.evil.org", 421),
        ("", 421),
    ],
)
def test_a_name_that_is_not_the_servers_own_leads_nowhere(
    guarded: TestClient, host: str, status: int
) -> None:
    """So a page whose name was made to lead to this machine sees nothing of it."""
    assert guarded.get("/health", headers={"host": host}).status_code == status


def test_pages_of_other_origins_may_not_ask(guarded: TestClient) -> None:
    mine = {"authorization": f"Bearer {TOKEN}"}
    for headers, status in [
        ({"origin": "http://localhost"}, 200),
        ({"origin": "https://friend.org"}, 200),
        ({"origin": "https://evil.org"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost:9999"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
    ]:
        answer = guarded.get("/v1/models", headers=mine | headers)
        assert answer.status_code == status, headers
        allowed = answer.headers.get("access-control-allow-origin")
        friend = headers.get("origin") == "https://friend.org"
        assert allowed == ("https://friend.org" if friend else None)
    asks = {"access-control-request-method": "POST"}
    allowed = guarded.options("/", headers={"origin": "https://friend.org"} | asks)
    assert allowed.status_code == 204 and "POST" in allowed.headers["access-control-allow-methods"]
    assert guarded.options("/", headers={"origin": "https://evil.org"} | asks).status_code == 403


def test_nothing_is_allowed_to_other_origins_unless_asked(client: TestClient) -> None:
    assert client.get("/v1/models", headers={"origin": "https://friend.org"}).status_code == 403
    headers = client.get("/v1/models").headers
    assert not [name for name in headers if name.startswith("access-control")]
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    ["/../../etc/passwd", "/page/../__init__.py", "/page/%2e%2e%2fapp.py", "/page//etc/passwd",
     "/page/..%5capp.py", "/page/index.html%00", "/page/", "/etc/passwd"],
)  # fmt: skip
def test_no_path_of_a_request_is_opened(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404 and answer.json().keys() == {"error"}


@pytest.mark.parametrize("path", ["/", "/v1/completions", "/tokenize", "/play/attribution"])
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"3", b"null", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000,
     b'{"query": ' + b"9" * 10_000 + b"}"],
)  # fmt: skip
def test_broken_json_is_status_400(client: TestClient, path: str, body: bytes) -> None:
    answer = client.post(path, content=body)
    assert answer.status_code == 400 and "error" in answer.json()


def test_half_of_a_pair_of_surrogates_is_no_fault_of_the_server(client: TestClient) -> None:
    for path, field in [("/", "query"), ("/v1/completions", "prompt"), ("/tokenize", "prompt")]:
        body = json.dumps(
            {"query_type": "count", field: "\ud800"} if path == "/" else {field: "\ud800"}
        )
        answer = client.post(path, content=body.encode())
        assert answer.status_code in (200, 400) and answer.json()


def test_long_bodies_are_refused_before_they_are_read(guarded: TestClient) -> None:
    mine = {"authorization": f"Bearer {TOKEN}"}
    answer = guarded.post("/", content=b"x" * 1001, headers=mine)
    assert answer.status_code == 413 and answer.headers["connection"] == "close"
    pieces = (b"x" * 100 for _ in range(20))
    assert guarded.post("/", content=pieces, headers=mine).status_code == 413


def test_more_requests_at_once_than_allowed_are_status_429(index: infgram.Index) -> None:
    app = application([index], Settings(limits=Limits(requests=1)))
    sent: list[dict[str, Any]] = []
    headers = [(b"host", b"localhost")]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    async def ask_twice() -> None:
        whole = asyncio.Event()

        async def slow() -> Any:
            await whole.wait()
            return {"type": "http.request", "body": b'{"query_type": "count", "query": "to"}'}

        first = asyncio.ensure_future(app(dict(scope), slow, send))
        await asyncio.sleep(0)
        await app(dict(scope), slow, send)
        assert sent[0]["status"] == 429 and (b"retry-after", b"1") in sent[0]["headers"]
        await app({**scope, "method": "GET", "path": "/health"}, slow, send)
        whole.set()
        await first

    asyncio.run(ask_twice())
    starts = [message["status"] for message in sent if message["type"] == "http.response.start"]
    assert starts == [429, 200, 200]


def test_what_takes_too_long_is_status_504(index: infgram.Index) -> None:
    settings = Settings(limits=Limits(seconds=0.001))
    hurried = TestClient(application([index], settings), base_url="http://localhost")
    given = {"model": "play@sbis-1", "prompt": [[]] * 100, "max_tokens": 1000, "logprobs": 20}
    answer = hurried.post("/v1/completions", json=given)
    assert answer.status_code == 504 and "0.001 seconds" in answer.json()["error"]["message"]
    sent = hurried.post("/v1/completions", json=given | {"stream": True}).text
    *_, last, end = sent.strip().split("\n\n")
    assert '"timeout_error"' in last and end == "data: [DONE]"


def test_paths_of_files_are_told_only_if_they_may_be(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("to be or not to be")
    index = infgram.build(tmp_path / "secret.txt", tmp_path / "a.infgram")
    for shown in (False, True):
        app = application([index], Settings(show_paths=shown))
        client = TestClient(app, base_url="http://localhost")
        found = [
            client.post("/", json={"query_type": "search_docs", "query": "to"}),
            client.post("/a/attribution", json={"response": "to be", "maximumSpanDensity": 1.0}),
            client.post("/api/spans", json={"text": "to be", "min_length": 2}),
            client.post("/api/trace", json={"text": "to be"}),
        ]
        assert all("secret.txt" in each.text for each in found)
        assert [str(tmp_path) in each.text for each in found] == [shown] * 4
        told = "".join(client.get(path).text for path in ("/", "/v1/models", "/metrics"))
        assert str(tmp_path) not in told


def test_a_fault_of_the_server_says_no_more(
    index: infgram.Index, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client = TestClient(application([index]), base_url="http://localhost")
    monkeypatch.setattr(
        "infgram.serve.infinigram.total", lambda *_: (_ for _ in ()).throw(OSError("/secret"))
    )
    answer = client.post("/", json={"query_type": "count", "query": "to"})
    assert answer.status_code == 500 and "/secret" not in answer.text
    assert "/secret" in caplog.text


def test_metrics_count_by_paths_that_there_are(client: TestClient) -> None:
    client.get("/nothing/at/all")
    completed(client, prompt="to", max_tokens=3, seed=1)
    text = client.get("/metrics").text
    assert 'path="other",status="404"' in text and 'path="/v1/completions",status="200"' in text
    assert "/nothing" not in text
    values = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    assert all(float(value) >= 0 for _, _, value in values)
    assert any(name.startswith("infgram_tokens_total") and float(v) >= 3 for name, _, v in values)


# Settings -----------------------------------------------------------------------------------------


def test_an_index_that_others_can_reach_needs_a_token(index: infgram.Index) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.5", "example.org"):
        with pytest.raises(InvalidParameter, match=r"there is no token"):
            serve([index], host=host)


def test_wrong_settings_are_refused(index: infgram.Index) -> None:
    for wrong in (
        lambda: Limits(n=0),
        lambda: Limits(seconds=0),
        lambda: Settings(""),
        lambda: application([]),
        lambda: application([index, index]),
        lambda: application([index], estimator="gpt"),
        lambda: serve([index], workers=0),
        lambda: serve([index], port=70_000),
    ):
        with pytest.raises(InvalidParameter, match=r"expected"):
            wrong()


# The library beneath ------------------------------------------------------------------------------


def test_a_part_of_a_document_is_its_tokens(index: infgram.Index) -> None:
    for number, text in enumerate(DOCUMENTS):
        raw = text.encode()
        assert index.document_length(number) == len(raw)
        for begin, end in [(0, None), (3, 7), (3, None), (0, 10**9), (10**6, None), (5, 2)]:
            part = index.document(number, begin=begin, end=end)
            assert bytes(part.token_ids.tolist()) == raw[begin:end]


def test_a_stream_ends_with_the_generation(index: infgram.Index) -> None:
    model = infgram.Model(index, infgram.SBIS(k=2))
    for chunk in (None, 1, 7):
        pieces, made = [], None
        stream = model.stream("to ", max_tokens=40, seed=3, chunk=chunk, stop="q")
        while made is None:
            try:
                pieces.append(next(stream))
            except StopIteration as end:
                made = end.value
        assert made == model.generate("to ", max_tokens=40, seed=3, stop="q")
        assert "".join(pieces) == made.text
    with pytest.raises(InvalidParameter, match=r"chunk is 0"):
        model.stream("to", chunk=0)
