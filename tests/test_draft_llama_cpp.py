"""llama-cpp-python itself, where it is installed, with a tiny model: the text it writes without
drafts is the one that it writes with them.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import make_index
from tiny_gguf import N_SPECIAL, VOCAB_SIZE, write_tiny_model

import infgram
from infgram.draft import Drafter
from infgram.draft.engines.llama_cpp import DraftModel

pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(
        importlib.util.find_spec("llama_cpp") is None,
        reason="needs llama-cpp-python, which `make test-engines` builds",
    ),
]

N_POSITIONS = 512
N_WRITTEN = 200
N_PROMPTS = 10
GREEDY: dict[str, Any] = {"temp": 0.0, "repeat_penalty": 1.0}
PENALIZED: dict[str, Any] = {"temp": 0.0, "repeat_penalty": 1.1, "frequency_penalty": 0.2}


@pytest.fixture(scope="module")
def path(memory_folder: Path) -> Path:
    path = memory_folder / "tiny.gguf"
    write_tiny_model(path, N_POSITIONS)
    return path


@pytest.fixture(scope="module")
def plain(path: Path) -> Iterator[Any]:
    llama = made(path)
    yield llama
    llama.close()


@pytest.fixture(scope="module")
def index(plain: Any, memory_folder: Path) -> infgram.Index:
    """Of half of what the model writes; it never had the ids of the other half."""
    texts = [[*prompt, *written(plain, prompt)] for prompt in PROMPTS[: N_PROMPTS // 2]]
    return make_index(memory_folder / "written.infgram", [_ascii(text) for text in texts])


@pytest.fixture
def drafting(path: Path, index: infgram.Index) -> Iterator[Any]:
    llama = made(path, DraftModel(Drafter(index, vocab_size=VOCAB_SIZE, tree=False)))
    yield llama
    llama.close()


def _prompts() -> list[list[int]]:
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 40, N_PROMPTS)
    return [[1, *rng.integers(N_SPECIAL, VOCAB_SIZE, n).tolist()] for n in lengths.tolist()]


PROMPTS = _prompts()


def _ascii(ids: list[int]) -> list[int]:
    """What of it an index of half of the ids has."""
    return [token for token in ids if token < 128]


def made(path: Path, draft_model: DraftModel | None = None) -> Any:
    from llama_cpp import Llama

    return Llama(
        str(path),
        n_ctx=N_POSITIONS,
        n_threads=1,
        n_threads_batch=1,
        draft_model=draft_model,
        verbose=False,
    )


def written(
    llama: Any, prompt: list[int], n: int = N_WRITTEN, how: dict[str, Any] = GREEDY
) -> list[int]:
    return list(islice(llama.generate(prompt, **how), n))


class Counted:
    """Counts the steps of a model: each begins with the reading of tokens."""

    def __init__(self, llama: Any) -> None:
        self.n = 0
        self._eval = llama.eval
        llama.eval = self

    def __call__(self, tokens: list[int]) -> None:
        self.n += 1
        self._eval(tokens)


@pytest.mark.parametrize("how", [GREEDY, PENALIZED], ids=["greedy", "penalized"])
def test_the_text_is_that_without_drafts(plain: Any, drafting: Any, how: dict[str, Any]) -> None:
    steps = Counted(drafting)
    for prompt in PROMPTS:
        expected = written(plain, prompt, how=how)
        assert written(drafting, prompt, how=how) == expected
    n_written = N_PROMPTS * N_WRITTEN
    assert steps.n < (0.6 * n_written if how is GREEDY else n_written)


def test_ids_that_the_index_never_had_are_written(
    plain: Any, drafting: Any, index: infgram.Index
) -> None:
    known = set(index.alphabet.tolist())
    unknown = [prompt for prompt in PROMPTS if not set(written(plain, prompt)) <= known]
    assert unknown
    for prompt in unknown:
        assert written(drafting, prompt) == written(plain, prompt)


def test_a_vocabulary_that_is_too_small_changes_nothing(
    plain: Any, path: Path, index: infgram.Index
) -> None:
    drafting = made(path, DraftModel(Drafter(index, tree=False)))
    outside = [p for p in PROMPTS if max(p + written(plain, p)) >= index.tokenizer.vocab_size]
    assert outside
    for prompt in outside:
        assert written(drafting, prompt) == written(plain, prompt)
    drafting.close()


def test_a_request_that_is_given_up_leaves_the_next_ones_as_they_are(
    plain: Any, drafting: Any
) -> None:
    for i, prompt in enumerate(PROMPTS):
        request = drafting.generate(prompt, **GREEDY)
        for _ in range(3 * i + 1):
            next(request)
        if i % 2:
            request.close()  # the others are left standing
        following = PROMPTS[(i + i % 3) % N_PROMPTS]  # the same prompt among them
        assert written(drafting, following) == written(plain, following)


def test_a_conversation_goes_on(plain: Any, drafting: Any) -> None:
    def said(llama: Any) -> list[int]:
        text = list(PROMPTS[0])
        for turn in PROMPTS[1:4]:
            text += written(llama, text, 60) + turn[1:]
        return text

    assert said(drafting) == said(plain)


def test_the_last_position_is_reached(plain: Any, drafting: Any) -> None:
    room = N_POSITIONS - len(PROMPTS[0])
    assert written(drafting, PROMPTS[0], room) == written(plain, PROMPTS[0], room)


def test_a_prompt_that_is_too_long_is_refused_as_without_drafts(plain: Any, drafting: Any) -> None:
    prompt = (PROMPTS[0] * N_POSITIONS)[: N_POSITIONS + 1]
    for llama in (plain, drafting):
        with pytest.raises(ValueError, match="exceed context window of 512"):
            llama.create_completion(prompt, max_tokens=8)
        assert written(llama, PROMPTS[1]) == written(plain, PROMPTS[1])


def test_completions_are_those_without_drafts(plain: Any, drafting: Any) -> None:
    options: dict[str, Any] = {"max_tokens": 60, "temperature": 0.0, "stop": ["e"], "echo": True}
    for prompt in ["to be", "or not to be", "the question"]:
        answers = [llama.create_completion(prompt, **options) for llama in (plain, drafting)]
        assert answers[0]["choices"] == answers[1]["choices"]
        assert answers[0]["usage"] == answers[1]["usage"]


def test_a_seed_draws_the_same_text(plain: Any, drafting: Any) -> None:
    for seed, prompt in enumerate(PROMPTS[:3]):
        texts = []
        for llama in (plain, drafting):
            llama.set_seed(seed)
            texts.append(written(llama, prompt, how={"temp": 1.0, "top_k": 0, "min_p": 0.0}))
        assert texts[0] == texts[1]
