"""Drafts for engines: our classes, driven as the engines drive them.

The engines are stand-ins written from their interfaces. Where their packages are (engines.py;
`make test-engines` fetches them), their own code loads, drives and reads ours as well, in every
version that is there; SGLang's needs PyTorch. test_draft_llama_cpp.py runs llama-cpp-python itself.
"""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import json
import os
import shutil
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, patch

import numpy as np
import pytest
from conftest import examples, make_index
from engines import VARIABLE, unpacked
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import infgram
from infgram.draft import Drafter
from infgram.draft.engines.follower import Follower
from infgram.draft.engines.llama_cpp import DraftModel, export_lookup_cache
from infgram.draft.engines.sglang import (
    INDEX,
    Corpus,
    CorpusWithLengths,
    export_external_corpus,
    plugin,
)
from infgram.draft.engines.vllm import Proposer
from infgram.errors import (
    InvalidParameter,
    NotAnIndex,
    StorageError,
    TokenizerUnavailable,
    TokenOutOfRange,
)
from infgram.text.tokens import load

SOME = b"to be or not to be that is the question whether tis nobler in the mind to suffer " * 3
SPOKEN = [
    b"whether it is nobler to suffer or not to suffer, that is the question of the mind",
    b"that is not to be in the mind to be that is that is that is the mind of the question",
    b"or to take arms against a sea of troubles and by opposing end them, to be or not to be",
    b"the question is the question is the question whether to be or not to be, to be or not",
    b"nobler nobler nobler in the mind in the mind to suffer to suffer to suffer slings",
]


@pytest.fixture(scope="module")
def index(memory_folder: Path) -> infgram.Index:
    return make_index(memory_folder / "engines.infgram", [list(SOME)])


class Request:
    """A model that writes a given text, whatever is drafted."""

    def __init__(self, text: bytes, n_prompt: int, name: str = "a") -> None:
        self.text = np.frombuffer(text, np.uint8).astype(np.int32)
        self.name = name
        self.n_prompt = self.n = n_prompt
        self.n_gained = 0
        self.draft: list[int] = []
        self.drafts: list[list[int]] = []

    @property
    def is_done(self) -> bool:
        return self.n == len(self.text)

    def step(self) -> list[int]:
        """What a step gives: the tokens of the draft that it writes too, and one more."""
        n = 0
        while n < len(self.draft) and self.n + n + 1 < len(self.text):
            if self.draft[n] != self.text[self.n + n]:
                break
            n += 1
        self.n_gained = n + 1
        self.n += n + 1
        self.draft = []
        return self.text[self.n - n - 1 : self.n].tolist()

    def take(self, draft: list[int]) -> None:
        self.draft = draft
        self.drafts.append(draft)


class Reference:
    """A drafter with ids that does what an adapter should do without."""

    def __init__(self, drafter: Drafter) -> None:
        self.drafter = drafter
        self.running: set[str] = set()

    def read(self, request: Request) -> None:
        if request.name in self.running:
            gained = request.text[request.n - request.n_gained : request.n]
            self.drafter.accept(request.name, gained, len(gained) - 1)
        else:
            self.drafter.start(request.name, request.text[: request.n - request.n_gained])
            gained = request.text[request.n - request.n_gained : request.n]
            self.drafter.extend(request.name, gained)
            self.running.add(request.name)

    def stop_all_but(self, requests: Iterable[Request]) -> None:
        for name in self.running - {request.name for request in requests}:
            self.drafter.stop(name)
            self.running.remove(name)


def with_packages_of(name: str) -> pytest.MarkDecorator:
    """Runs a test with each version of a package that is there, or skips it."""
    skip = pytest.mark.skip(f"needs {name}: make test-engines, or {VARIABLE}")
    engines = pytest.mark.engines
    found = [pytest.param(path, id=path.name, marks=engines) for path in unpacked(name)]
    return pytest.mark.parametrize(
        "package", found or [pytest.param(None, id=f"no {name}", marks=[engines, skip])]
    )


def load_module(path: Path, name: str, stubs: dict[str, Any]) -> ModuleType:
    """An engine's module with stand-ins for what it imports."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with patch.dict(sys.modules, stubs):
        spec.loader.exec_module(module)
    return module


def test_no_engine_is_imported() -> None:
    script = """
import sys, infgram
from infgram.draft.engines import llama_cpp, sglang, vllm
print([name for name in ("vllm", "llama_cpp", "sglang", "torch") if name in sys.modules])
"""
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert found == "[]\n"


@pytest.mark.parametrize("name", ["vllm", "llama_cpp", "sglang"])
def test_examples_in_docstrings_run(name: str) -> None:
    module = importlib.import_module(f"infgram.draft.engines.{name}")
    result = doctest.testmod(module)
    assert result.failed == 0 and result.attempted > 0


# vLLM ---------------------------------------------------------------------------------------------


def vllm_config(
    index: object, *, max_model_len: int = 200, vocab_size: int = 256, k: int = 4, **options: Any
) -> SimpleNamespace:
    """What a proposer may ask of a VllmConfig."""
    return SimpleNamespace(
        additional_config={"infgram": {"index": index, **options}},
        speculative_config=SimpleNamespace(
            model="infgram.draft.engines.vllm.Proposer", num_speculative_tokens=k
        ),
        model_config=SimpleNamespace(
            max_model_len=max_model_len, get_vocab_size=lambda: vocab_size
        ),
        scheduler_config=SimpleNamespace(max_num_seqs=8),
    )


def vllm_step(proposer: Any, rows: Sequence[Request], reading: Sequence[Request] = ()) -> None:
    """A step of the model for a batch: verify, write rows, ask for drafts."""
    sampled = [[] if request in reading else request.step() for request in rows]
    counts = np.zeros(8, np.int32)
    ids = np.random.default_rng(0).integers(0, 256, (8, 200), np.int32)  # what others left there
    for row, request in enumerate(rows):
        counts[row] = request.n
        ids[row, : request.n] = request.text[: request.n]
    drafts = proposer.propose(sampled, counts, ids, slot_mappings=None)
    assert len(drafts) == len(rows)
    for request, draft in zip(rows, drafts, strict=True):
        assert all(type(token) is int for token in draft)
        request.take(draft)
    ids[:] = 0  # the engine writes on into its arrays


def reference_step(
    reference: Reference, rows: Sequence[Request], reading: Sequence[Request] = (), k: int = 4
) -> None:
    """What `vllm_step` should have asked a drafter for, and that it got it."""
    written = [request for request in rows if request not in reading]
    reference.stop_all_but(written)
    for request in written:
        reference.read(request)
    for request in written:
        room = min(k, 200 - request.n - 1)
        draft = reference.drafter.propose(request.name, max(room, 0))
        assert request.draft == draft.path().tolist()


def test_vllm_gets_what_a_drafter_gives(index: infgram.Index) -> None:
    proposer = Proposer(vllm_config(str(index.path)))
    reference = Reference(Drafter(index, tree=False))
    request = Request(SPOKEN[0], 10)
    while not request.is_done:
        vllm_step(proposer, [request])
        reference_step(reference, [request])
    lengths = {len(draft) for draft in request.drafts}
    assert max(lengths) == 4
    assert len(request.drafts) < 0.8 * (len(request.text) - 10)


@given(st.integers(0, 10**6))
@settings(max_examples=examples(25))
def test_vllm_may_swap_rows_and_give_them_to_others(index: infgram.Index, seed: int) -> None:
    rng = np.random.default_rng(seed)
    proposer = Proposer(vllm_config(str(index.path)))
    reference = Reference(Drafter(index, tree=False))
    waiting = [Request(text, 12, name=text.decode()) for text in SPOKEN]
    rows: list[Request] = []
    while waiting or rows:
        if waiting and len(rows) < 3:
            rows.append(waiting.pop(0))
        reading = [r for r in rows if r.n == r.n_prompt and rng.random() < 0.4]
        vllm_step(proposer, rows, reading)
        reference_step(reference, rows, reading)
        assert len(proposer.drafter) == len(rows) - len(reading)
        event = rng.random()
        if event < 0.3:
            rows = [rows[i] for i in rng.permutation(len(rows))]
        elif event < 0.4 and not rows[0].is_done:
            waiting.append(rows.pop(0))  # it is preempted, and read again later
        rows = [request for request in rows if not request.is_done]


def test_vllm_may_run_the_same_prompt_in_several_rows(index: infgram.Index) -> None:
    proposer = Proposer(vllm_config(str(index.path)))
    rows = [Request(SPOKEN[0][:30] + end, 12) for end in (SPOKEN[1], SPOKEN[2], SPOKEN[1])]
    for _ in range(10):
        vllm_step(proposer, rows)
        assert len(proposer.drafter) == 3
        assert rows[0].draft == rows[2].draft


def test_a_finished_request_is_drafted_from(memory_folder: Path) -> None:
    proposer = Proposer(vllm_config([]))
    first, again = Request(SPOKEN[2], 1), Request(SPOKEN[2], 1)
    for request in (first, again):
        while not request.is_done:
            vllm_step(proposer, [request])
    assert len(again.drafts) < 0.5 * len(first.drafts)


def test_a_row_of_the_same_length_with_other_tokens_is_another_request(
    index: infgram.Index,
) -> None:
    proposer = Proposer(vllm_config(str(index.path)))
    other = Request(b"XYZXYZXYZXYZXYZXYZXY", 12)
    vllm_step(proposer, [Request(SPOKEN[0], 12)])
    vllm_step(proposer, [other])
    assert bytes(other.draft) == b"YZXY"
    assert len(proposer.drafter) == 1


def test_drafts_end_where_the_model_does(index: infgram.Index) -> None:
    proposer = Proposer(vllm_config(str(index.path), max_model_len=20))
    request = Request(SOME[:40], 15)
    for n_tokens, n_drafted in ((16, 3), (20, 0)):
        vllm_step(proposer, [request])
        assert (request.n, len(request.draft)) == (n_tokens, n_drafted)


def test_no_draft_has_more_tokens_than_vllm_verifies(index: infgram.Index) -> None:
    request = Request(SOME, 15)
    vllm_step(Proposer(vllm_config(str(index.path), k=3, max_tokens=6)), [request])
    vllm_step(Proposer(vllm_config(str(index.path), k=6, max_tokens=2)), [request])
    assert [len(draft) for draft in request.drafts] == [3, 2]


def test_ids_outside_the_vocabulary_cost_their_own_row_alone(index: infgram.Index) -> None:
    proposer = Proposer(vllm_config(str(index.path)))
    picture, plain = Request(SPOKEN[0], 12), Request(SPOKEN[1], 12)
    picture.text[3] = 256
    for _ in range(3):
        vllm_step(proposer, [picture, plain])
        assert picture.draft == [] and plain.draft != []
    plain.text[plain.n] = 300
    vllm_step(proposer, [picture, plain])
    assert plain.draft == [] and len(proposer.drafter) == 0


def test_vllm_requests_are_forgotten_when_they_leave(index: infgram.Index) -> None:
    proposer = Proposer(vllm_config(str(index.path), session_tokens=1000, request_tokens=1000))
    for i in range(200):
        text = np.random.default_rng(i).choice(list(SPOKEN[0]), 120).astype(np.uint8)
        vllm_step(proposer, [Request(text.tobytes(), n) for n in (20, 60, 90)])
        assert len(proposer.drafter) == 3
    vllm_step(proposer, [])
    assert len(proposer.drafter) == 0


@pytest.mark.parametrize(
    ("additional_config", "said"),
    [
        ({}, "names no index"),
        (None, "names no index"),
        ({"infgram": {"max_tokens": 4}}, "expected something like"),
        ({"infgram": {"index": "here", "depth": 4}}, "has 'depth', expected only index, weights"),
        ({"infgram": {"index": 5}}, "is 5, expected a path"),
        ({"infgram": {"index": [], "max_tokens": "4"}}, "max_tokens is '4'"),
        ({"infgram": {"index": [], "weights": "abc"}}, "weights is 'abc'"),
        ({"infgram": {"index": [], "weights": 0.5}}, "weights is 0.5"),
        ({"infgram": {"index": [], "session_tokens": 2**40}}, "session_tokens is"),
    ],
)
def test_vllms_configuration_is_checked(additional_config: object, said: str) -> None:
    config = vllm_config([])
    config.additional_config = additional_config
    with pytest.raises(InvalidParameter, match=said):
        Proposer(config)


def test_a_missing_index_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotAnIndex, match=r"nowhere does not exist: build it"):
        Proposer(vllm_config(str(tmp_path / "nowhere")))


def test_an_index_of_another_tokenizer_is_refused(index: infgram.Index) -> None:
    with pytest.raises(TokenizerUnavailable, match="has 100 tokens, but the index has token 119"):
        Proposer(vllm_config(str(index.path), vocab_size=100))


def vllms_own_call(package: Path) -> Callable[..., list[list[int]]]:
    """What vLLM's runner does with a custom proposer, cut out of the middle of its step."""
    source = (package / "vllm/v1/worker/gpu_model_runner.py").read_text()
    (branch,) = (
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.If)
        and ast.unparse(node.test) == "spec_config.method == 'custom_class'"
    )
    code = compile(ast.Module(branch.body, []), "gpu_model_runner.py", "exec")

    def propose(drafter: Any, sampled: list[list[int]], counts: Any, ids: Any) -> list[list[int]]:
        batch = SimpleNamespace(num_tokens_no_spec=counts, token_ids_cpu=ids)
        names: dict[str, Any] = {
            "self": SimpleNamespace(drafter=drafter, input_batch=batch),
            "cast": lambda _, value: value,
            "Any": Any,
            "sampled_token_ids": sampled,
            "slot_mappings": None,
        }
        exec(code, names)
        drafts: list[list[int]] = names["draft_token_ids"]
        return drafts

    return propose


@with_packages_of("vllm")
def test_vllms_own_loader_makes_the_proposer_and_its_runner_asks_it(
    package: Path, index: infgram.Index, tmp_path: Path
) -> None:
    loader = load_module(
        package / "vllm/v1/spec_decode/custom_class_proposer.py",
        "custom_class_proposer",
        {name: MagicMock() for name in ("vllm", "vllm.config", "vllm.logger")},
    )
    proposer = loader.create_custom_proposer(vllm_config(str(index.path)))
    asked = vllms_own_call(package)
    through_runner = SimpleNamespace(
        propose=lambda sampled, counts, ids, slot_mappings: asked(proposer, sampled, counts, ids)
    )
    reference = Reference(Drafter(index, tree=False))
    request = Request(SPOKEN[0], 10)
    while not request.is_done:
        vllm_step(through_runner, [request])
        reference_step(reference, [request])
    with pytest.raises(RuntimeError, match=r"nowhere does not exist: build it"):
        loader.create_custom_proposer(vllm_config(str(tmp_path / "nowhere")))


# llama-cpp-python ---------------------------------------------------------------------------------


def llama_generate(draft_model: DraftModel, request: Request) -> None:
    """The loop of `Llama.generate` with a draft model."""
    input_ids = np.full(1000, -1, np.intc)
    while not request.is_done:
        request.step()
        input_ids[: request.n] = request.text[: request.n]
        draft = draft_model(input_ids[: request.n])
        assert isinstance(draft, np.ndarray) and draft.dtype == np.intc and draft.ndim == 1
        request.take(draft.astype(int)[: 1000 - request.n].tolist())


def test_llama_cpp_gets_what_a_drafter_gives(index: infgram.Index) -> None:
    draft_model = DraftModel(Drafter(index, tree=False))
    reference = Reference(Drafter(index, tree=False))
    for i, text in enumerate(SPOKEN):
        request, again = (Request(text, 10, name=str(i)) for _ in range(2))
        llama_generate(draft_model, request)
        reference.stop_all_but([again])
        while not again.is_done:
            again.step()
            reference.read(again)
            again.take(reference.drafter.propose(again.name).path().tolist())
        assert request.drafts == again.drafts


def test_a_conversation_goes_on_where_it_was(index: infgram.Index) -> None:
    drafter = Drafter(index, tree=False)
    draft_model = DraftModel(drafter)
    llama_generate(draft_model, Request(SPOKEN[0], 10))
    with patch.object(drafter, "start", side_effect=AssertionError):
        llama_generate(draft_model, Request(SPOKEN[0] + SPOKEN[1], len(SPOKEN[0]) + 20))
    assert len(drafter) == 1


@pytest.mark.parametrize("change", ["cut", "edited", "other"])
def test_a_prompt_that_changed_is_read_anew(index: infgram.Index, change: str) -> None:
    drafter = Drafter(index, tree=False)
    draft_model = DraftModel(drafter)
    llama_generate(draft_model, Request(SPOKEN[0], 10))
    text = {
        "cut": SPOKEN[0][:-20],
        "edited": SPOKEN[0][:40].upper() + SPOKEN[0][40:],
        "other": SPOKEN[1],
    }[change]
    request = Request(text, 50)
    llama_generate(draft_model, request)
    expected = drafter.propose_ids(request.text, 8).path()
    assert request.drafts[-1] == expected.tolist()
    assert len(drafter) == 1


def test_a_text_is_known_by_the_last_256_tokens_that_were_read(index: infgram.Index) -> None:
    text = np.random.default_rng(0).integers(97, 123, 1000)
    follower = Follower(Drafter(index, tree=False), text[:500], 500, 1)
    assert follower.continues(text[:500], 500) and follower.continues(text, 1000)
    assert follower.continues(text[300:], 1000)  # as far as there is something to compare
    assert not follower.continues(text[:499], 499)
    assert not follower.continues(text[500:], 1000)
    for place in (244, 499):
        other = text.copy()
        other[place] += 1
        assert not follower.continues(other, 1000)


def test_a_follower_goes_on_where_its_request_was_pushed_out(index: infgram.Index) -> None:
    drafter = Drafter(index, tree=False, max_requests=1)
    text = np.frombuffer(SPOKEN[0], np.uint8)
    one, other = (Follower(drafter, text[:20], 20, 1) for _ in range(2))
    for n in range(21, 40):
        for each in (one, other):
            each.read(text[:n], n)
            assert each.propose(4).token_ids.tolist()
            assert each.continues(text, len(text))
    one.stop()
    other.stop()
    other.stop()
    assert len(drafter) == 0


def test_llama_cpp_needs_paths(index: infgram.Index) -> None:
    with pytest.raises(InvalidParameter, match="make it with tree=False"):
        DraftModel(Drafter(index))


def test_llama_cpp_needs_a_drafter(index: infgram.Index) -> None:
    for found in (None, "x", index):
        with pytest.raises(InvalidParameter, match=r"drafter is .*, expected a Drafter"):
            DraftModel(found)


def test_a_text_with_ids_outside_the_vocabulary_gets_no_drafts(index: infgram.Index) -> None:
    draft_model = DraftModel(Drafter(index, tree=False))
    text = np.frombuffer(SPOKEN[0], np.uint8).astype(np.intc)
    outside = np.append(text, 256).astype(np.intc)  # as a model with a larger vocabulary writes
    assert len(draft_model(text))
    for n in range(3):
        behind = np.append(outside, text[:n]).astype(np.intc)
        assert not len(draft_model(behind))
    assert len(draft_model(text)), "a new conversation"


@with_packages_of("llama-cpp-python")
def test_llama_cpp_pythons_own_class_has_this_form(package: Path) -> None:
    theirs = load_module(package / "llama_cpp/llama_speculative.py", "llama_speculative", {})
    abstract = theirs.LlamaDraftModel.__abstractmethods__
    assert abstract == {"__call__"}
    assert all(hasattr(DraftModel, name) for name in abstract)


# llama.cpp's lookup caches ------------------------------------------------------------------------

Cache = dict[tuple[int, ...], dict[int, int]]


def read_cache(path: Path) -> Cache:
    """By the format: int32 tokens[4], int32 n, n times (int32 token, int32 count)."""
    cache: Cache = {}
    data = path.read_bytes()
    at = 0
    while at < len(data):
        *tokens, n = struct.unpack_from("=5i", data, at)
        pairs = struct.unpack_from(f"={2 * n}i", data, at + 20)
        at += 20 + 8 * n
        ngram = tuple(tokens)
        assert n > 0 and ngram not in cache
        cache[ngram] = dict(zip(pairs[::2], pairs[1::2], strict=True))
        assert len(cache[ngram]) == n
    assert at == len(data)
    return cache


def counted(documents: Sequence[Sequence[int]], lengths: Iterable[int], min_count: int) -> Cache:
    """What llama.cpp counts in one document after another, of n-grams that occur often enough."""
    occurrences: Counter[tuple[int, ...]] = Counter()
    counts: dict[tuple[int, ...], Counter[int]] = {}
    for document in documents:
        for n in lengths:
            for i in range(n, len(document) + 1):
                ngram = (*document[i - n : i], *(-1,) * (4 - n))
                occurrences[ngram] += 1
                if i < len(document):
                    counts.setdefault(ngram, Counter())[document[i]] += 1
    return {
        ngram: dict(found) for ngram, found in counts.items() if occurrences[ngram] >= min_count
    }


DOCUMENTS = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=40), min_size=1, max_size=4)


@given(DOCUMENTS, st.integers(1, 3), st.sampled_from([8, 16, 32]), st.sampled_from([45, 1000]))
@settings(max_examples=examples(40))
def test_caches_have_the_counts_of_the_documents(
    memory_folder: Path, documents, min_count: int, code_bits: int, shard_tokens: int
) -> None:
    small = make_index(
        memory_folder / "cache.infgram", documents, code_bits=code_bits, shard_tokens=shard_tokens
    )
    path = memory_folder / "cache.bin"
    for kind, lengths in (("static", [2]), ("dynamic", [1, 2, 3, 4])):
        n = export_lookup_cache(small, path, kind, min_count=min_count)
        expected = counted(documents, lengths, min_count)
        assert read_cache(path) == expected
        assert n == len(expected)


@given(DOCUMENTS, st.integers(1, 60), st.sampled_from(["static", "dynamic"]))
@settings(max_examples=examples(30))
def test_a_cache_that_would_be_too_large_asks_for_more_occurrences(
    memory_folder: Path, documents, max_ngrams: int, kind
) -> None:
    small = make_index(memory_folder / "cache.infgram", documents)
    path = memory_folder / "cache.bin"
    n = export_lookup_cache(small, path, kind, min_count=1, max_ngrams=max_ngrams)
    lengths = [2] if kind == "static" else [1, 2, 3, 4]
    fits = (counted(documents, lengths, min_count) for min_count in range(1, 200))
    assert n <= max_ngrams
    assert read_cache(path) in fits
    full = len(counted(documents, lengths, 1))
    # Ends of documents are counted as n-grams before it is known that nothing follows them.
    assert n == full or full + 4 * len(documents) > max_ngrams


def test_a_cache_keeps_the_most_frequent_continuations_where_that_misleads_nobody(
    memory_folder: Path, tmp_path: Path
) -> None:
    often = [1, 2, 3] * 6 + [9] + [1, 2, 4] * 2 + [9, 1, 2, 5, 9, 1, 2, 6]  # 6 of 10
    seldom = [9, 11, 12, 13, 9, 11, 12, 13]  # and then all of these: 2 of 6
    for token in (14, 15, 16, 17):
        seldom += [9, 11, 12, token]
    index = make_index(memory_folder / "cache.infgram", [often, seldom])
    export_lookup_cache(index, tmp_path / "cache", max_continuations=1)
    cache = read_cache(tmp_path / "cache")
    assert cache[1, 2, -1, -1] == {3: 6}
    assert (11, 12, -1, -1) not in cache  # a third, which would look like all of them
    export_lookup_cache(index, tmp_path / "cache", max_continuations=10)
    assert read_cache(tmp_path / "cache")[11, 12, -1, -1] == {13: 2, 14: 1, 15: 1, 16: 1, 17: 1}


def test_large_counts_stay_in_proportion(memory_folder: Path, tmp_path: Path) -> None:
    text = [1, 2, 3] * 400 + [9] + [1, 2, 4] * 100 + [9, 1, 2, 5]
    index = make_index(memory_folder / "cache.infgram", [text])
    with patch("infgram.draft.engines.llama_cpp._LARGEST_COUNT", 100):
        export_lookup_cache(index, tmp_path / "cache")
    assert read_cache(tmp_path / "cache")[1, 2, -1, -1] == {3: 100, 4: 25, 5: 1}


def test_the_cache_of_a_corpus_of_single_tokens_is_empty(
    memory_folder: Path, tmp_path: Path
) -> None:
    index = make_index(memory_folder / "cache.infgram", [[1], [2]])
    assert export_lookup_cache(index, tmp_path / "cache", "dynamic") == 0
    assert (tmp_path / "cache").read_bytes() == b""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kind": "both"}, "kind is 'both', expected one of: static, dynamic"),
        ({"min_count": 0}, "min_count is 0"),
        ({"max_ngrams": 0}, "max_ngrams is 0"),
        ({"max_continuations": 0}, "max_continuations is 0"),
        ({"vocab_size": "x"}, "vocab_size is 'x'"),
        ({"vocab_size": 1.5}, "vocab_size is 1.5"),
        ({"vocab_size": 0}, "vocab_size is 0"),
    ],
)
def test_a_caches_limits_are_checked(
    index: infgram.Index, tmp_path: Path, options: Any, said: str
) -> None:
    with pytest.raises(InvalidParameter, match=said):
        export_lookup_cache(index, tmp_path / "cache", **options)
    assert list(tmp_path.iterdir()) == []


def test_ids_that_llama_cpp_cannot_have_are_refused(memory_folder: Path, tmp_path: Path) -> None:
    path = memory_folder / "cache.infgram"
    index = make_index(path, [[5, 2**31, 5]], tokenizer=load("ids", vocab_size=2**31 + 1))
    with pytest.raises(TokenOutOfRange, match=r"has token 2,147,483,648, and llama.cpp's ids end"):
        export_lookup_cache(index, tmp_path / "cache")
    with pytest.raises(TokenOutOfRange, match=r"vocabulary has 6 tokens, but cache.infgram has"):
        export_lookup_cache(index, tmp_path / "cache", vocab_size=6)


def test_an_export_that_fails_leaves_what_was_there(index: infgram.Index, tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"before")
    with (
        patch.object(infgram.Index, "ntd", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        export_lookup_cache(index, tmp_path / "cache")
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]
    assert (tmp_path / "cache").read_bytes() == b"before"
    with pytest.raises(StorageError, match="cannot be written: No such file"):
        export_lookup_cache(index, tmp_path / "nowhere" / "cache")


# Prints the n-grams of a cache with their continuations and counts, and then what is drafted from
# it behind a text.
CACHE_READER = """
#include "ngram-cache.h"

#include <cstdio>
#include <cstdlib>

extern "C" int64_t ggml_time_ms() { return 0; }
extern "C" void ggml_abort(const char*, int, const char*, ...) { std::abort(); }

int main(int, char** argv) {
    common_ngram_cache none, cache = common_ngram_cache_load(argv[1]);
    for (const auto& [ngram, part] : cache)
        for (const auto& [token, count] : part) {
            for (const llama_token each : ngram.tokens) std::printf("%d ", each);
            std::printf("%d %d\\n", token, count);
        }
    std::vector<llama_token> text, draft;
    for (char** each = argv + 2; *each != nullptr; ++each) text.push_back(std::atoi(*each));
    draft.push_back(text.back());
    common_ngram_cache_draft(text, draft, 8, 1, 4, none, none, cache);
    for (const llama_token each : draft) std::printf("%d ", each);
}
"""


@with_packages_of("llama-cpp-python")
def test_llama_cpps_own_reader_takes_a_cache_and_drafts_from_it(
    package: Path, index: infgram.Index, tmp_path: Path
) -> None:
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("needs a C++ compiler")
    theirs = package / "vendor/llama.cpp"
    for name in ("ngram-cache.cpp", "ngram-cache.h"):
        shutil.copy(theirs / "common" / name, tmp_path)
    (tmp_path / "log.h").write_text("#define LOG_DBG(...)")
    (tmp_path / "common.h").write_text('#include "llama.h"')
    (tmp_path / "main.cpp").write_text(CACHE_READER)
    headers = [f"-I{theirs / 'include'}", f"-I{theirs / 'ggml/include'}"]
    command = [compiler, "-std=c++17", *headers, "main.cpp", "ngram-cache.cpp", "-o", "reader"]
    subprocess.run(command, cwd=tmp_path, check=True)
    context = list(b"whether tis nob")
    for kind in ("static", "dynamic"):
        export_lookup_cache(index, tmp_path / "cache", kind)
        read = [tmp_path / "reader", tmp_path / "cache", *map(str, context)]
        told = subprocess.run(read, capture_output=True, text=True, check=True).stdout
        *lines, drafted = told.splitlines()
        cache: Cache = {}
        for *ngram, token, count in (map(int, line.split()) for line in lines):
            cache.setdefault(tuple(ngram), {})[token] = count
        assert cache == read_cache(tmp_path / "cache")
        last, *new = map(int, drafted.split())
        assert last == context[-1] and bytes(new).startswith(b"ler ")


# SGLang -------------------------------------------------------------------------------------------


class SglangWorker:
    """What SGLang's NGRAM worker does with its corpus; `n` tokens a tree, tails of `depth`."""

    def __init__(self, corpus: Any, n: int, depth: int = 4096) -> None:
        self.corpus = corpus
        self.n = n
        self.depth = depth
        self.before: set[str] = set()

    def step(self, requests: Sequence[Request]) -> list[list[int]]:
        self.corpus.synchronize()
        names = [request.name for request in requests]
        tails = [r.text[max(0, r.n - self.depth) : r.n].tolist() for r in requests]
        ids, mask, *_ = self.corpus.batch_get(names, tails, [request.n for request in requests])
        assert ids.dtype == mask.dtype == np.int64
        ids = ids.reshape(len(requests), self.n)
        mask = mask.reshape(len(requests), self.n, self.n)
        for request, tree, rows in zip(requests, ids, mask, strict=True):
            assert tree[0] == request.text[request.n - 1]
            request.draft = accepted(request, tree, rows)
            request.step()
        self.corpus.batch_put(tails)
        self.corpus.erase_match_state(list(self.before - set(names)))
        self.before = set(names)
        return ids.tolist()


def accepted(request: Request, tree: NDArray[np.int64], mask: NDArray[np.int64]) -> list[int]:
    """The path that is verified, found by the mask as SGLang's kernels find it."""
    n = len(tree)
    before = np.tril(mask, -1)
    parents = np.where(before.any(1), n - 1 - before[:, ::-1].argmax(1), -1)
    depths = before.sum(1)
    assert parents[0] == -1 and (parents[1:] >= 0).all()
    assert (depths[1:] == depths[parents[1:]] + 1).all()
    path, at = [], 0
    for token in request.text[request.n :].tolist():
        children = [i for i in range(n) if parents[i] == at and tree[i] == token]
        if not children:
            break
        at = children[0]
        path.append(token)
    return path


def test_sglang_gets_what_a_drafter_gives(index: infgram.Index) -> None:
    worker = SglangWorker(Corpus(index, draft_token_num=8), 8)
    drafter = Drafter(index, max_tokens=7)
    for text in SPOKEN:
        request = Request(text, 10, name=text.decode())
        request.step()  # its prompt was read
        drafter.start(request.name, request.text[: request.n - 1])
        drafter.extend(request.name, request.text[request.n - 1 : request.n])
        while not request.is_done:
            draft = drafter.propose(request.name)
            n = request.n
            tree = worker.step([request])[0]
            assert tree[1 : 1 + len(draft)] == draft.token_ids.tolist()
            assert not any(tree[1 + len(draft) :])
            if not request.is_done:  # SGLang does not tell what the last step gave
                drafter.accept(request.name, request.text[n : request.n])
        worker.corpus.erase_match_state([request.name])
        drafter.stop(request.name)


def test_sglang_may_take_requests_in_any_order(index: infgram.Index) -> None:
    rng = np.random.default_rng(5)
    worker = SglangWorker(Corpus(index, draft_token_num=8), 8)
    waiting = [Request(text, 12, name=text.decode()) for text in SPOKEN]
    running: list[Request] = []
    n_steps = n_tokens = 0
    while waiting or running:
        if waiting and len(running) < 3:
            running.append(waiting.pop(0))
        running = [running[i] for i in rng.permutation(len(running))]
        before = sum(request.n for request in running)
        worker.step(running)
        n_steps += len(running)
        n_tokens += sum(request.n for request in running) - before
        running = [request for request in running if not request.is_done]
    assert n_tokens > 1.5 * n_steps


def test_a_request_that_sglang_takes_up_again_is_read_again(index: infgram.Index) -> None:
    corpus = Corpus(index, draft_token_num=8)
    text = np.frombuffer(SPOKEN[0], np.uint8).astype(int).tolist()
    for n in (20, 60, 30):  # the second leaves a gap, the third goes back
        corpus.batch_get(["a"], [text[n - 5 : n]], [n])
        fresh = Corpus(index, draft_token_num=8)
        assert np.array_equal(
            corpus.batch_get(["a"], [text[n - 5 : n]], [n])[0],
            fresh.batch_get(["a"], [text[n - 5 : n]], [n])[0],
        )


def test_sglang_requests_are_forgotten_when_they_leave(index: infgram.Index) -> None:
    worker = SglangWorker(Corpus(index, draft_token_num=4, session_tokens=1000), 4)
    for i in range(300):
        worker.step([Request(SPOKEN[i % 5], 20 + i % 7, name=f"{i} {j}") for j in range(3)])
    assert len(worker.corpus._drafter) == len(worker.corpus._followers) == 3
    worker.corpus.reset()
    assert len(worker.corpus._drafter) == len(worker.corpus._followers) == 0


def test_reset_forgets_what_was_written() -> None:
    corpus = Corpus(draft_token_num=4, vocab_size=256)
    worker = SglangWorker(corpus, 4)
    request = Request(SPOKEN[2], 5)
    while not request.is_done:
        worker.step([request])
    corpus.erase_match_state(["a", "never seen"])
    text = list(b"sea of ")
    remembered = corpus.batch_get(["b"], [text], [len(text)])[0].tolist()
    corpus.reset()
    fresh = Corpus(draft_token_num=4, vocab_size=256)
    forgotten = corpus.batch_get(["b"], [text], [len(text)])[0].tolist()
    assert remembered != forgotten
    assert forgotten == fresh.batch_get(["b"], [text], [len(text)])[0].tolist()


def test_ids_outside_the_vocabulary_cost_their_own_tree_alone(index: infgram.Index) -> None:
    corpus = Corpus(index, draft_token_num=4)
    for n in (1, 2):
        ids, mask = corpus.batch_get(
            ["a", "b"], [[97, 256, *[97] * n], list(b"to be or")[: 7 + n]], [2 + n, 7 + n]
        )
        assert ids.reshape(2, 4)[0].tolist() == [97, 0, 0, 0]
        assert mask.reshape(2, 4, 4)[0].tolist() == [
            [1, 0, 0, 0],
            [1, 1, 0, 0],
            [1, 0, 1, 0],
            [1, 0, 0, 1],
        ]
        assert ids.reshape(2, 4)[1, 1:].all()


def test_a_later_sglang_gets_the_same_trees_and_how_long_the_matches_are(
    index: infgram.Index,
) -> None:
    two, three = (made(index, draft_token_num=8) for made in (Corpus, CorpusWithLengths))
    drafter = Drafter(index, max_tokens=7)
    texts = {"a": list(b"to be or not to be th"), "b": list(b"XYZ"), "c": [97, 256]}
    asked = (list(texts), list(texts.values()), [len(text) for text in texts.values()])
    ids, mask, match_lens = three.batch_get(*asked)
    assert [ids.tolist(), mask.tolist()] == [each.tolist() for each in two.batch_get(*asked)]
    assert match_lens.dtype == np.int64
    lengths = [drafter.propose_ids(texts[name]).match_len for name in "ab"]
    assert match_lens.tolist() == [*lengths, 0] and lengths[0] > 5


def test_trees_have_a_root() -> None:
    with pytest.raises(InvalidParameter, match="draft_token_num is 0"):
        Corpus(draft_token_num=0, vocab_size=10)


class Hooks:
    """SGLang's registry of hooks, of which the plug-in uses one."""

    registered: list[tuple[str, Any, str]]

    def __init__(self) -> None:
        self.registered = []

    def register(self, target: str, hook: Any, hook_type: str) -> None:
        self.registered.append((target, hook, hook_type))


@pytest.fixture
def hooks() -> Iterator[Hooks]:
    """What the plug-in finds where SGLang would be."""
    hooks = Hooks()
    registry = SimpleNamespace(HookRegistry=hooks, HookType=SimpleNamespace(AFTER="after"))
    packages = ["sglang", "sglang.srt", "sglang.srt.plugins"]
    stubs: dict[str, Any] = {name: MagicMock() for name in packages}
    with patch.dict(sys.modules, {**stubs, "sglang.srt.plugins.hook_registry": registry}):
        yield hooks


def worker_of(vocab_size: int = 256, corpora: tuple[str, ...] = (), n_arrays: int = 2) -> Any:
    """A worker as its constructor leaves it, with a corpus that gives so many arrays."""
    nothing = (np.zeros(0, np.int64),) * n_arrays
    return SimpleNamespace(
        draft_token_num=8,
        ngram_corpus=SimpleNamespace(batch_get=lambda *_: nothing),
        model_runner=SimpleNamespace(model_config=SimpleNamespace(vocab_size=vocab_size)),
        list_external_corpora=lambda: dict.fromkeys(corpora, 10),
    )


def test_the_plug_in_waits_to_be_asked(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(INDEX, raising=False)
    plugin()
    assert hooks.registered == []


def test_the_plug_in_gives_workers_its_corpus(
    hooks: Hooks, index: infgram.Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(INDEX, f"{index.path}{os.pathsep}{index.path}")
    plugin()
    ((target, hook, hook_type),) = hooks.registered
    assert target == "sglang.srt.speculative.ngram_worker.NGRAMWorker.__init__"
    assert hook_type == "after"
    worker = worker_of()
    assert hook(None, worker, server_args=None, target_worker=None) is None
    request = Request(SPOKEN[0], 20)
    tree = SglangWorker(worker.ngram_corpus, 8, worker.max_trie_depth).step([request])[0]
    assert all(tree)


@pytest.mark.parametrize("n_arrays", [2, 3])
def test_a_worker_gets_as_many_arrays_as_from_its_own_corpus(
    hooks: Hooks, index: infgram.Index, monkeypatch: pytest.MonkeyPatch, n_arrays: int
) -> None:
    monkeypatch.setenv(INDEX, str(index.path))
    plugin()
    worker = worker_of(n_arrays=n_arrays)
    hooks.registered[0][1](None, worker)
    assert len(worker.ngram_corpus.batch_get(["a"], [[97]], [1])) == n_arrays


@pytest.mark.parametrize("n_arrays", [1, 4])
def test_a_worker_that_expects_something_else_is_refused_before_it_drafts(
    hooks: Hooks, index: infgram.Index, monkeypatch: pytest.MonkeyPatch, n_arrays: int
) -> None:
    monkeypatch.setenv(INDEX, str(index.path))
    plugin()
    with pytest.raises(InvalidParameter, match=f"takes {n_arrays} arrays .*, expected 2 or 3"):
        hooks.registered[0][1](None, worker_of(n_arrays=n_arrays))


def test_the_plug_in_checks_what_it_is_given(
    hooks: Hooks, index: infgram.Index, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(INDEX, str(index.path))
    plugin()
    hook = hooks.registered[0][1]
    with pytest.raises(TokenizerUnavailable, match="has 100 tokens, but the index has token 119"):
        hook(None, worker_of(vocab_size=100))
    with pytest.raises(InvalidParameter, match=f"is set, and so is {INDEX}"):
        hook(None, worker_of(corpora=("corpus.jsonl",)))
    monkeypatch.setenv(INDEX, str(tmp_path / "nowhere"))
    with pytest.raises(NotAnIndex, match=r"nowhere does not exist: build it"):
        hook(None, worker_of())


def test_a_corpus_for_sglang_is_a_json_string_a_line(memory_folder: Path, tmp_path: Path) -> None:
    texts = ["one\nof two lines", 'and "quotes" \u2028 \\', "näïve ☃", "broken \ufffd"]
    documents = [list(text.encode()) for text in texts[:3]] + [list(b"broken \xff")]
    index = make_index(memory_folder / "corpus.infgram", documents)
    n = export_external_corpus(index, tmp_path / "corpus.jsonl")
    lines = (tmp_path / "corpus.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == texts
    assert n == 4


def test_a_corpus_for_sglang_ends_before_it_is_too_large(
    memory_folder: Path, tmp_path: Path
) -> None:
    index = make_index(memory_folder / "corpus.infgram", [[97] * 10, [98] * 10, [99] * 2])
    path = tmp_path / "corpus.jsonl"
    assert [export_external_corpus(index, path, max_tokens=n) for n in (11, 21, 22, 25)] == [
        1,
        1,
        2,
        3,
    ]
    with pytest.raises(InvalidParameter, match="max_tokens is 9, and the first document alone has"):
        export_external_corpus(index, path, max_tokens=9)
    assert len(path.read_text().splitlines()) == 3
    assert [each.name for each in tmp_path.iterdir()] == ["corpus.jsonl"]


@pytest.mark.parametrize("n", [0, -5, "x", float("nan"), 1.5, True])
def test_the_limit_of_a_corpus_for_sglang_is_checked(
    index: infgram.Index, tmp_path: Path, n: Any
) -> None:
    with pytest.raises(InvalidParameter, match=r"max_tokens is .*, expected a whole number"):
        export_external_corpus(index, tmp_path / "corpus.jsonl", max_tokens=n)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("export", [export_lookup_cache, export_external_corpus])
def test_what_is_no_index_is_not_written_down(
    tmp_path: Path, export: Callable[[Any, Path], int]
) -> None:
    for found in (None, "corpus.infgram"):
        with pytest.raises(InvalidParameter, match=r"index is .*, expected Index"):
            export(found, tmp_path / "export")
    assert list(tmp_path.iterdir()) == []


def test_bare_ids_are_no_text_for_sglang(memory_folder: Path, tmp_path: Path) -> None:
    index = make_index(
        memory_folder / "corpus.infgram", [[1, 2]], tokenizer=load("ids", vocab_size=10)
    )
    with pytest.raises(TokenizerUnavailable, match="has bare token ids, and SGLang takes text"):
        export_external_corpus(index, tmp_path / "corpus.jsonl")


@with_packages_of("sglang")
def test_sglangs_own_reader_takes_the_corpus(
    package: Path, memory_folder: Path, tmp_path: Path
) -> None:
    reader = load_module(
        package / "sglang/srt/speculative/cpp_ngram/external_corpus.py", "external_corpus", {}
    )
    documents = [list(text) for text in SPOKEN]
    index = make_index(memory_folder / "corpus.infgram", documents)
    path = tmp_path / "corpus.jsonl"
    limit = sum(map(len, documents)) + len(documents)
    assert export_external_corpus(index, path, max_tokens=limit) == 5
    tokenizer = SimpleNamespace(encode=lambda text, add_special_tokens: list(text.encode()))
    chunks = reader.iter_external_corpus_chunks(str(path), tokenizer, limit)
    ids = [token for chunk in chunks for token in chunk]
    expected = [token for document in documents for token in [reader.SEPARATOR_TOKEN, *document]]
    assert ids == expected[1:]


@pytest.mark.torch
@with_packages_of("sglang")
def test_sglangs_own_worker_drafts_with_the_plug_in(
    package: Path, index: infgram.Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its registry puts the hook in place, its worker makes the batches and gets the trees.

    It asks for one request after another, and each that it comes to tells what its last draft
    came to: the next one's draft may profit from that.
    """
    torch = pytest.importorskip("torch", reason="needs torch, the extra `draft`")
    srt = package / "sglang/srt"
    registry = load_module(srt / "plugins/hook_registry.py", "hook_registry", {})
    source = (srt / "speculative/ngram_worker.py").read_text()
    imported = [
        node.module
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(("sgl_", "sglang"))
    ]
    stubs: dict[str, Any] = {}
    for name in [*map(str, imported), "sglang.srt.plugins.hook_registry"]:
        parts = name.split(".")
        for n in range(1, len(parts) + 1):
            stubs.setdefault(".".join(parts[:n]), MagicMock())
    stubs["sglang.srt.plugins.hook_registry"] = registry
    stubs["sglang.srt.speculative.base_spec_worker"] = SimpleNamespace(
        BaseSpecWorker=object, EagleDraftWorkerBase=object
    )
    spec = MagicMock(
        speculative_num_draft_tokens=8,
        speculative_ngram_max_trie_depth=18,
        speculative_ngram_external_corpus_path=None,
    )
    stubs["sglang.srt.runtime_context"] = MagicMock(get_spec=lambda: spec)
    theirs = stubs["sglang.srt.speculative.cpp_ngram.ngram_corpus"].NgramCorpus()
    theirs.list_external_corpora.return_value = {}
    taken = source.split(" = self.ngram_corpus.batch_get(")[0].splitlines()[-1]
    theirs.batch_get.return_value = ((),) * len(taken.split(","))
    monkeypatch.setenv(INDEX, str(index.path))
    name = "sglang.srt.speculative.ngram_worker"
    with patch.dict(sys.modules, stubs):
        module = load_module(srt / "speculative/ngram_worker.py", name, {})
        sys.modules[name] = module
        plugin()
        registry.HookRegistry.apply_hooks()
    target = MagicMock()
    target.model_runner.model_config.vocab_size = 256
    given = dict.fromkeys(inspect.signature(module.NGRAMWorker).parameters, MagicMock())
    worker = module.NGRAMWorker(**{**given, "target_worker": target})
    assert isinstance(worker.ngram_corpus, (Corpus, CorpusWithLengths))
    worker.enable_overlap = False
    requests = [Request(text, 40, name=text.decode()) for text in SPOKEN[:3]]
    reference = Reference(Drafter(index, max_tokens=7))
    for request in requests:
        request.step()
    for _ in range(5):
        batch = MagicMock()
        batch.reqs = [
            SimpleNamespace(
                rid=request.name,
                origin_input_ids=request.text[:40].tolist(),
                origin_input_ids_unpadded=request.text[:40].tolist(),
                output_ids=request.text[40 : request.n].tolist(),
            )
            for request in requests
        ]
        ids, mask, *_ = worker._prepare_draft_tokens(batch)
        drafts = []
        for request in requests:
            reference.read(request)
            drafts.append(reference.drafter.propose(request.name))
        trees = ids.reshape(3, 8)
        masks = mask.reshape(3, 8, 8)
        next_token, next_sibling = module._derive_tree_links(mask, 3, 8)
        for i, (request, draft) in enumerate(zip(requests, drafts, strict=True)):
            assert trees[i, 1 : 1 + len(draft)].tolist() == draft.token_ids.tolist()
            for node in range(len(draft)):
                children = draft.children(node)
                expected = children[0] + 1 if children else -1
                assert next_token[i, node + 1] == expected
            siblings = [0]
            siblings += [child + 1 for child in draft.children(-1)]
            assert next_token[i, 0] == siblings[1]
            for one, other in pairwise(siblings[1:]):
                assert next_sibling[i, one] == other
            request.draft = accepted(request, trees[i], masks[i])
            request.step()
        worker._update_ngram_corpus(batch)
    assert torch.is_tensor(next_token)
    worker.clear_cache_pool()
    assert len(worker.ngram_corpus._drafter) == 0
