"""Models of many kinds write with drafts what they write without; the page of all of them is kept.

`make architectures` tries every family; here is a handful, one for each way that things can go.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch
from weakref import ref

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs torch, the extra `draft`")
pytest.importorskip("transformers", reason="needs transformers, the extra `draft`")

import architectures
from architectures import VOCAB, model_of, outcome_of, page

from infgram.draft import Drafter
from infgram.draft.engines.huggingface import Report, decode, ways
from infgram.draft.engines.huggingface.library import TELLS_SLOTS
from infgram.draft.engines.huggingface.readers import Together
from infgram.errors import InvalidParameter

PAGE = Path(__file__).parents[1] / "docs" / "drafting-architectures.md"
WAYS = ("tree", "path", "refused", "not made", "not tried")


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("kind", "way"),
    [
        ("gpt2", "tree"),
        ("gpt_neo", "path"),  # windows by slots, of which the cache knows nothing
        ("mpt", "path"),  # distances by slots
        ("bloom", "path"),
        ("mistral", "path"),  # a cache of a window
        ("rwkv", "refused"),  # a state of its own kind
    ],
)
def test_a_kind_of_model_is_read_in_its_way(kind: str, way: str) -> None:
    found = outcome_of(kind, n_prompts=2)
    assert (found.way, bool(found.note)) == (way, way != "tree"), found


@pytest.mark.parametrize("kind", ["jamba", "lfm2", "qwen3_next", "gemma2", "llama4_text", "mamba"])
def test_states_windows_and_chunks_change_no_text(kind: str) -> None:
    """Some releases of transformers read a draft behind a recurrent state right, others do not."""
    assert outcome_of(kind, n_prompts=2).way in ("path", "refused")


def context_of(n: int) -> list[int]:
    ids: list[int] = torch.randint(1, VOCAB, (n,), generator=torch.Generator()).tolist()
    return ids


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("window", [60, 180])
def test_a_window_shows_before_a_text_fills_it(window: int, dtype: Any) -> None:
    """The context of the check is shorter than the window; the text will not be."""
    model = model_of("gpt_neo", window_size=window).to(dtype)
    assert ways.way_of(model, context_of(9), window * 2 / 3, tree=True) == "tree"
    assert ways.way_of(model, context_of(9), window + 8, tree=True) == "path"
    assert "behind a long text" in ways.why_no_trees(model)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_rounding_is_no_difference(dtype: Any) -> None:
    for kind in ("gpt2", "llama", "opt"):
        assert ways.way_of(model_of(kind).to(dtype), context_of(9), 200, tree=True) == "tree"


def test_a_reader_that_hides_nothing_is_found_out() -> None:
    """Siblings see each other: the check would notice."""

    def mask(self: Together, drafts: list[Any]) -> Any:
        n = 1 + max(map(len, drafts))
        shape = (len(drafts), 1, n, self.cache.get_seq_length() + n)
        return torch.zeros(shape, dtype=torch.float64).tril(shape[-1] - n)

    with patch.object(Together, "_mask", mask):
        assert ways.way_of(model_of("llama"), context_of(9), 100, tree=True) == "path"


def test_a_model_is_looked_at_once() -> None:
    model, passes = model_of("llama"), []
    model.register_forward_pre_hook(lambda *_: passes.append(1))
    ways.way_of(model, context_of(9), 100, tree=True)
    n = len(passes)
    assert 0 < n < 40
    ways.way_of(model, context_of(30), 90, tree=True)
    assert len(passes) == n
    ways.way_of(model, context_of(9), 101, tree=True)  # longer texts may show more
    assert len(passes) > n


class Interrupt(BaseException):
    pass


def stop_at(model: Any, n: int, error: BaseException) -> Any:
    """Raises in the n-th pass from now."""
    passes = itertools.count(1)

    def look(*_: Any) -> None:
        if next(passes) == n:
            raise error

    return model.register_forward_pre_hook(look)


@pytest.mark.parametrize("n", [1, 2, 4, 8, 12, 16, 20])
def test_a_check_that_is_interrupted_has_found_nothing(n: int) -> None:
    model = model_of("gpt_neo", window_size=16)
    hook = stop_at(model, n, Interrupt())
    with suppress(Interrupt):
        ways.way_of(model, context_of(9), 100, tree=True)
    hook.remove()
    assert ways.way_of(model, context_of(9), 100, tree=True) == "path"


def test_threads_that_ask_at_once_get_the_same_answer() -> None:
    model = model_of("gpt_neo", window_size=16)
    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(ways.way_of, model, context_of(9), 100, tree=True) for _ in range(4)]
    assert [each.result() for each in found] == ["path"] * 4


def test_what_went_wrong_once_is_tried_again() -> None:
    model = model_of("llama")
    hook = stop_at(model, 3, RuntimeError("can't allocate memory"))
    with pytest.raises(InvalidParameter, match="can't allocate memory"):
        ways.way_of(model, context_of(9), 100, tree=True)
    hook.remove()
    assert ways.way_of(model, context_of(9), 100, tree=True) == "tree"


def test_what_goes_wrong_twice_is_a_finding() -> None:
    model, passes = model_of("llama"), []

    def fail(*_: Any) -> None:
        passes.append(1)
        raise RuntimeError("never")

    model.register_forward_pre_hook(fail)
    for _ in range(4):
        with pytest.raises(InvalidParameter, match="never"):
            ways.way_of(model, context_of(9), 100, tree=True)
    assert len(passes) == 2


def test_a_model_that_computes_otherwise_is_looked_at_again() -> None:
    model = model_of("llama", attention_dropout=0.5).train()
    with pytest.raises(InvalidParameter, match="several tokens at once"):
        ways.way_of(model, context_of(9), 100, tree=True)
    assert ways.way_of(model.eval(), context_of(9), 100, tree=True) == "tree"


def test_what_is_wrong_with_long_texts_is_not_held_against_short_ones() -> None:
    model = model_of("gpt_neo", window_size=60)
    for limit, way in ((80, "path"), (40, "tree"), (90, "path"), (41, "tree")):
        assert ways.way_of(model, context_of(9), limit, tree=True) == way


def test_one_long_text_at_a_time_is_made_up() -> None:
    made: list[Any] = []
    make = ways._far

    def far(*given: Any) -> Together:
        assert not any(each() for each in made)
        made.append(ref(reader := make(*given)))
        return reader

    with patch.object(ways, "_far", far):
        assert ways.way_of(model_of("llama"), context_of(9), 100, tree=True) == "tree"
    assert len(made) == 3


@pytest.mark.parametrize("vocab_size", [2, 3])
def test_a_small_vocabulary_will_do(vocab_size: int) -> None:
    model = model_of("llama", vocab_size=vocab_size)
    assert ways.way_of(model, [0, 1, 1, 0], 100, tree=True) == "tree"


# Frequencies that change with the length ----------------------------------------------------------


def rope_of(kind: str) -> dict[str, Any]:
    """Of 8 dimensions, which change behind 40 tokens."""
    if kind == "dynamic":
        parameters = {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10000.0}
        return {"rope_parameters": parameters, "max_position_embeddings": 40}
    factors = {"short_factor": [1.0] * 4, "long_factor": [1.5, 3.0, 7.0, 11.0]}
    parameters = {"rope_type": "longrope", "rope_theta": 10000.0, **factors}
    return {
        "rope_parameters": {**parameters, "original_max_position_embeddings": 40},
        "original_max_position_embeddings": 40,
        "max_position_embeddings": 160,
    }


@pytest.mark.parametrize("n_prompt", [10, 33, 40, 41, 60])
@pytest.mark.parametrize(("family", "kind"), [("phi3", "longrope"), ("llama", "dynamic")])
def test_a_text_goes_on_over_a_change_of_frequencies(family: str, kind: str, n_prompt: int) -> None:
    model = model_of(family, **rope_of(kind))
    assert ways.turns(model) == ([40] if kind == "longrope" else [])
    assert ways.ends(model) == ([40] if kind == "dynamic" else [])
    prompt = torch.tensor([context_of(n_prompt)])
    given = {"max_new_tokens": 60, "do_sample": False, "pad_token_id": 0}
    plain = model.generate(prompt, **given)
    drafter, report = Drafter(vocab_size=VOCAB), Report()
    if TELLS_SLOTS and kind == "dynamic":
        pytest.skip("with this transformers a text has the frequencies of the one before")
    if TELLS_SLOTS:
        with pytest.raises(InvalidParameter, match="install a later transformers"):
            model.generate(prompt, **given, custom_generate=decode, drafter=drafter)
        return
    for _ in range(2):
        model(torch.ones(1, 1, dtype=torch.long))  # or frequencies stay as the last text left them
        text = model.generate(
            prompt, **given, custom_generate=decode, drafter=drafter, report=report
        )
        assert torch.equal(text, plain)
    drafts = kind == "longrope" or n_prompt < 40
    assert (report.n_accepted > 0) == drafts  # behind it, they are right again or never


# The page -----------------------------------------------------------------------------------------


def test_the_page_says_of_every_family_what_becomes_of_it() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\w.-]+) \| ([a-zA-Z ]+) \| ([\d.]*) \| (.*) \|$", text, re.MULTILINE)
    names = [name for name, *_ in rows]
    assert len(names) == len(set(names)) > 100
    assert names == sorted(names)
    for name, way, tokens, note in rows:
        assert way in WAYS, name
        assert bool(tokens) == (way in ("tree", "path")), name
        assert bool(note) == (way != "tree"), name
    counts = dict(re.findall(r"^\| (\d+) \| ([a-z ]+) \|$", text, re.MULTILINE))
    for n, way in counts.items():
        assert sum(each == way for _, each, *_ in rows) == int(n)
    version = re.search(r"transformers (\S+) is made", text)
    import transformers

    if version and version[1] == transformers.__version__:
        assert set(names) == set(architectures.families())


def test_the_page_is_written_from_outcomes() -> None:
    outcomes = [
        architectures.Outcome("a", "tree", "", 40, 2.5),
        architectures.Outcome("b", "refused", "a | b"),
    ]
    text = page(outcomes, 20)
    assert "| a | tree | 2.50 |  |" in text and "| b | refused |  | a \\| b |" in text
    assert "| 1 | tree |" in text and "20 prompts" in text
