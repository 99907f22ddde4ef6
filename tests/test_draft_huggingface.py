"""With drafts, transformers' models write what they write without: every token, or its law."""

from __future__ import annotations

import copy
import doctest
import importlib
import inspect
import itertools
import math
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from threading import Lock
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from bounds import bounds, projects
from conftest import examples, make_index
from numpy.typing import NDArray
from test_draft_verify import VOCAB as TOY_VOCAB
from test_draft_verify import Toy

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs torch, the extra `draft`")
pytest.importorskip("transformers", reason="needs transformers, the extra `draft`")

from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import (
    DynamicCache,
    GenerationConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    LogitsProcessor,
    LogitsProcessorList,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    RepetitionPenaltyLogitsProcessor,
    StoppingCriteria,
    StoppingCriteriaList,
    StopStringCriteria,
    SynthIDTextWatermarkingConfig,
    T5Config,
    T5ForConditionalGeneration,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)
from transformers.generation import MaxLengthCriteria

import infgram
from infgram.draft import Drafter, profile, verify_torch
from infgram.draft.engines.huggingface import (
    DraftModel,
    Report,
    assistant,
    decode,
    library,
    loop,
    ways,
)
from infgram.draft.engines.huggingface.library import CACHE
from infgram.draft.engines.huggingface.readers import Together
from infgram.draft.profile import measure_cost
from infgram.errors import InvalidParameter, MissingExtra, TokenizerUnavailable
from infgram.extras import how_to_install

VOCAB = 48
N_PROMPT = 12
N_NEW = 200
N_POSITIONS = 256
ARCHITECTURES = ["gpt2", "llama"]
SMALL = {  # a model as Llama's
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def model_of(architecture: str, attention: str = "sdpa") -> Any:
    """Random, with weights so large that it does not write one token for ever; in float64, where
    one token's forward and that of several agree on the likeliest."""
    torch.manual_seed(7)
    tokens = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    if architecture == "gpt2":
        shape = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": N_POSITIONS}
        config = GPT2Config(vocab_size=VOCAB, **shape, **tokens, attn_implementation=attention)
        model = GPT2LMHeadModel(config)
    else:
        config = LlamaConfig(
            **SMALL,
            max_position_embeddings=N_POSITIONS,
            attn_implementation=attention,
            **tokens,
        )
        model = LlamaForCausalLM(config)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.data.mul_(5.0)
    return model.double().eval()


@cache
def prompt_of(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(1, VOCAB, (1, N_PROMPT), generator=generator)  # 0 is for padding


@cache
def plain_text(architecture: str, attention: str, seed: int) -> torch.Tensor:
    model = model_of(architecture, attention)
    return model.generate(prompt_of(seed), max_new_tokens=N_NEW, do_sample=False)


@pytest.fixture(scope="module")
def index(memory_folder: Path) -> infgram.Index:
    """What the models write after other prompts than those that are tested."""
    others = itertools.product(ARCHITECTURES, (-1, -2))
    texts = [plain_text(architecture, "sdpa", seed)[0].tolist() for architecture, seed in others]
    return make_index(memory_folder / "huggingface.infgram", texts)


def drafter_of(index: infgram.Index, **options: Any) -> Drafter:
    return Drafter(index, vocab_size=VOCAB, **options)


def write(model: Any, seed: int, drafter: Drafter, **options: Any) -> torch.Tensor:
    return model.generate(prompt_of(seed), custom_generate=decode, drafter=drafter, **options)


# The same text ------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("tree", [False, True], ids=["path", "tree"])
def test_greedy_writes_the_same_text(
    index: infgram.Index, architecture: str, attention: str, tree: bool
) -> None:
    model = model_of(architecture, attention)
    drafter = drafter_of(index, tree=tree)
    report = Report()
    n_texts = examples(5 if attention == "sdpa" else 1)
    for seed in range(n_texts):
        plain = plain_text(architecture, attention, seed)
        text = write(model, seed, drafter, max_new_tokens=N_NEW, do_sample=False, report=report)
        assert torch.equal(text, plain)
        assert len(set(plain[0].tolist())) > 8  # it does not just repeat itself
    assert report.n_tokens == n_texts * N_NEW
    assert report.n_steps < report.n_tokens  # drafts were of use
    assert 0 < report.n_accepted < report.n_drafted  # and were not always right
    assert len(drafter) == 0


def test_branches_that_are_not_the_first_are_accepted_too(index: infgram.Index) -> None:
    """Or nothing above says that their keys and values are moved to where they belong."""
    kept = []
    keep = Together.keep

    def spy(self: Together, places: list[list[int]]) -> None:
        kept.extend(places)
        keep(self, places)

    with patch.object(Together, "keep", spy):
        for seed in range(10):
            write(model_of("llama"), seed, drafter_of(index), max_new_tokens=50, do_sample=False)
    assert any(places != list(range(len(places))) for places in kept)


SAMPLING = [
    {"temperature": 0.3},
    {"temperature": 0.5, "top_k": 5},
    {"top_p": 0.7, "repetition_penalty": 1.1},
    {"temperature": 0.4, "no_repeat_ngram_size": 3, "min_new_tokens": 10, "eos_token_id": 5},
]


@pytest.mark.parametrize("tree", [False, True], ids=["path", "tree"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_same_seed_samples_the_same_text(
    index: infgram.Index, architecture: str, tree: bool
) -> None:
    model = model_of(architecture)
    drafter = drafter_of(index, tree=tree)
    for seed, options in enumerate(SAMPLING * examples(1)):
        given = {"max_new_tokens": 60, "do_sample": True, **options}
        torch.manual_seed(seed)
        plain = model.generate(prompt_of(seed), **given)
        torch.manual_seed(seed)
        text = write(model, seed, drafter, sample_drafts=False, **given)
        assert torch.equal(text, plain)


@pytest.mark.parametrize(
    "options", [{"repetition_penalty": 1.3}, {"no_repeat_ngram_size": 2}, {"bad_words_ids": [[3]]}]
)
def test_greedy_with_processors_writes_the_same_text(
    index: infgram.Index, options: dict[str, Any]
) -> None:
    model = model_of("gpt2")
    given = {"max_new_tokens": 60, "do_sample": False, **options}
    for seed in range(3):
        plain = model.generate(prompt_of(seed), **given)
        assert torch.equal(write(model, seed, drafter_of(index), **given), plain)


class Watch(LogitsProcessor, StoppingCriteria):  # type: ignore[misc]
    """Notes every text that it is shown, as a processor and as a criterion."""

    def __init__(self) -> None:
        self.processed: list[list[int]] = []
        self.judged: list[list[int]] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor | None) -> Any:
        if scores is None:
            self.judged.append(input_ids[0].tolist())
            return torch.tensor([len(self.judged) == 37])
        self.processed.append(input_ids[0].tolist())
        return scores


def test_processors_and_criteria_see_what_they_see_without_drafts(index: infgram.Index) -> None:
    watches = []
    for options in ({}, {"custom_generate": decode, "drafter": drafter_of(index)}):
        watches.append(Watch())
        text = model_of("gpt2").generate(
            prompt_of(0),
            max_new_tokens=N_NEW,
            do_sample=False,
            logits_processor=LogitsProcessorList([watches[-1]]),
            stopping_criteria=StoppingCriteriaList([watches[-1]]),
            **options,
        )
        assert text.shape == (1, N_PROMPT + 37)
    assert watches[0].processed == watches[1].processed
    assert watches[0].judged == watches[1].judged


@pytest.mark.parametrize("tree", [False, True], ids=["path", "tree"])
def test_a_text_ends_where_it_ends_without_drafts(index: infgram.Index, tree: bool) -> None:
    model = model_of("llama")
    drafter = drafter_of(index, tree=tree)
    written = plain_text("llama", "sdpa", 0)
    for n in range(1, 12):
        text = write(model, 0, drafter, max_new_tokens=n, do_sample=False)
        assert torch.equal(text, written[:, : N_PROMPT + n])
    for eos in sorted(set(written[0, N_PROMPT:].tolist()))[::4]:
        given = {"max_new_tokens": N_NEW, "do_sample": False, "eos_token_id": eos}
        plain = model.generate(prompt_of(0), **given, pad_token_id=0)
        assert torch.equal(write(model, 0, drafter, **given, pad_token_id=0), plain)


def test_a_text_may_fill_every_position_of_the_model(index: infgram.Index) -> None:
    drafter = drafter_of(index, tree=False, max_tokens=20)
    given = {"max_length": N_POSITIONS, "do_sample": False}
    plain = model_of("gpt2").generate(prompt_of(0), **given)
    assert torch.equal(write(model_of("gpt2"), 0, drafter, **given), plain)


class Stream:
    def __init__(self) -> None:
        self.put_there: list[list[int]] = []
        self.has_ended = False

    def put(self, ids: torch.Tensor) -> None:
        self.put_there.append(ids.flatten().tolist())

    def end(self) -> None:
        self.has_ended = True


def test_a_stream_gets_what_it_gets_without_drafts(index: infgram.Index) -> None:
    plain, stream = Stream(), Stream()
    given = {"max_new_tokens": 60, "do_sample": False}
    model_of("gpt2").generate(prompt_of(0), streamer=plain, **given)
    write(model_of("gpt2"), 0, drafter_of(index), stream_to=stream, **given)
    assert stream.put_there == plain.put_there
    assert stream.has_ended and plain.has_ended


def test_a_text_that_fails_is_remembered_and_its_request_ended(index: infgram.Index) -> None:
    class Broken(Stream):
        def put(self, ids: torch.Tensor) -> None:
            super().put(ids)
            if len(self.put_there) == 80:
                raise OSError("nobody listens")

    drafter = Drafter(vocab_size=VOCAB)
    stream = Broken()
    with pytest.raises(OSError, match="nobody listens"):
        write(model_of("gpt2"), 0, drafter, stream_to=stream, max_new_tokens=N_NEW, do_sample=False)
    assert len(drafter) == 0
    drafter.start("next", list(itertools.chain(*stream.put_there[20:30])))
    assert drafter.propose("next").sources[0] == "session"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_cache_has_the_name_that_models_and_results_have_for_it(architecture: str) -> None:
    """Or `decode` takes every model for one without a cache."""
    assert CACHE in inspect.signature(model_of(architecture).forward).parameters
    given = {"max_new_tokens": 2, "do_sample": False, "return_dict_in_generate": True}
    assert CACHE in model_of(architecture).generate(prompt_of(0), **given)


@pytest.mark.parametrize("tree", [False, True], ids=["path", "tree"])
def test_results_may_come_as_a_dictionary_with_the_cache(index: infgram.Index, tree: bool) -> None:
    given = {"max_new_tokens": 50, "do_sample": False, "return_dict_in_generate": True}
    model = model_of("llama")
    plain = model.generate(prompt_of(0), **given)
    found = write(model, 0, drafter_of(index, tree=tree), **given)
    assert torch.equal(found.sequences, plain.sequences)
    assert found[CACHE].get_seq_length() == plain[CACHE].get_seq_length()
    for mine, theirs in zip(found[CACHE].layers, plain[CACHE].layers, strict=True):
        assert torch.allclose(mine.keys, theirs.keys)
        assert torch.allclose(mine.values, theirs.values)


# Several texts ------------------------------------------------------------------------------------

LENGTHS = (9, 30, 17, 24)
PADDED = {"pad_token_id": 0, "eos_token_id": VOCAB - 1}  # without the second, nothing is padded


def batch_of(lengths: tuple[int, ...] = LENGTHS) -> dict[str, torch.Tensor]:
    """Prompts with padding on the left."""
    ids = torch.zeros(len(lengths), max(lengths), dtype=torch.long)
    mask = torch.zeros_like(ids)
    rng = torch.Generator().manual_seed(5)
    for row, n in enumerate(lengths):
        ids[row, -n:] = torch.randint(1, VOCAB, (n,), generator=rng)
        mask[row, -n:] = 1
    return {"input_ids": ids, "attention_mask": mask}


@pytest.mark.parametrize("tree", [False, True], ids=["path", "tree"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_texts_are_read_together_and_written_as_without_drafts(
    index: infgram.Index, architecture: str, tree: bool
) -> None:
    model, drafter, report = model_of(architecture), drafter_of(index, tree=tree), Report()
    passes = 0

    def count(*_: Any) -> None:
        nonlocal passes
        passes += 1

    given = {**batch_of(), "max_new_tokens": 60, "do_sample": False}
    model.generate(**batch_of(), max_new_tokens=2, custom_generate=decode, drafter=drafter)
    for options in (
        {},
        {"eos_token_id": [5, 9], "pad_token_id": 0},
        {"repetition_penalty": 1.2},
        {"no_repeat_ngram_size": 2},
        {"prefix_allowed_tokens_fn": lambda row, ids: range(row, VOCAB - row)},
    ):
        plain = model.generate(**given, **options)
        hook = model.register_forward_pre_hook(count)
        text = model.generate(
            **given, **options, custom_generate=decode, drafter=drafter, report=report
        )
        hook.remove()
        assert torch.equal(text, plain), options
    assert report.way == "tree" and report.n_accepted > 0
    assert passes < report.n_steps / 2  # most of them read several texts
    assert len(drafter) == 0


def test_a_batch_gets_what_a_text_of_it_gets_alone(index: infgram.Index) -> None:
    """Where a model reads no trees, texts are written one after another."""
    batch, report = batch_of(), Report()
    given = {"max_new_tokens": 40, "do_sample": False, "report": report}
    how = {"custom_generate": decode, "drafter": drafter_of(index)}
    with patch.object(ways, "_TREE_ATTENTION", ()), patch.object(ways, "_KNOWN", {}):
        texts = model_of("llama").generate(**batch, **given, **how)
    assert report.way == "path"
    for row, n in enumerate(LENGTHS):
        plain = model_of("llama").generate(
            batch["input_ids"][row, None, -n:], max_new_tokens=40, do_sample=False
        )
        assert torch.equal(texts[row, -n - 40 :], plain[0])


def test_several_texts_of_a_prompt_are_drawn(index: infgram.Index) -> None:
    texts = model_of("gpt2").generate(
        prompt_of(0),
        do_sample=True,
        num_return_sequences=3,
        max_new_tokens=20,
        custom_generate=decode,
        drafter=drafter_of(index),
    )
    assert texts.shape == (3, N_PROMPT + 20)
    assert len({tuple(text) for text in texts.tolist()}) == 3


@pytest.mark.parametrize("lengths", [LENGTHS, (12,)], ids=["batch", "one"])
def test_scores_and_log_probabilities_are_those_without_drafts(
    index: infgram.Index, lengths: tuple[int, ...]
) -> None:
    model = model_of("llama")
    given = {
        **batch_of(lengths),
        **{"max_new_tokens": 30, "do_sample": False, "repetition_penalty": 1.1},
        **{"return_dict_in_generate": True, "output_scores": True, "output_logits": True},
    }
    plain = model.generate(**given)
    found = model.generate(**given, custom_generate=decode, drafter=drafter_of(index))
    assert torch.equal(found.sequences, plain.sequences)
    for mine, theirs in ((found.scores, plain.scores), (found.logits, plain.logits)):
        assert len(mine) == len(theirs) == 30
        assert torch.allclose(torch.stack(mine), torch.stack(theirs), atol=1e-4)
    log_probs = [
        model.compute_transition_scores(each.sequences, each.scores, normalize_logits=True)
        for each in (found, plain)
    ]
    assert torch.allclose(*log_probs, atol=1e-4)


def test_scores_behind_the_end_of_a_text_are_nothing(index: infgram.Index) -> None:
    found = model_of("llama").generate(
        **batch_of(),
        max_new_tokens=40,
        do_sample=False,
        eos_token_id=list(range(1, 9)),
        pad_token_id=0,
        return_dict_in_generate=True,
        output_scores=True,
        custom_generate=decode,
        drafter=drafter_of(index),
    )
    scores = torch.stack(found.scores, 1)
    ended = found.sequences[:, max(LENGTHS) :] == 0
    assert ended.any() and not ended.all()
    assert scores.shape == (*ended.shape, VOCAB)
    assert torch.equal((scores == 0).all(-1), ended)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"stream_to": object()}, "stream_to for 4 texts"),
        ({"guidance_scale": 1.5}, "guidance_scale for 4 texts"),
    ],
)
def test_what_looks_at_several_texts_is_refused(
    index: infgram.Index, options: dict[str, Any], said: str
) -> None:
    drafter = drafter_of(index)
    with pytest.raises(InvalidParameter, match=said):
        model_of("llama").generate(
            **batch_of(), max_new_tokens=3, custom_generate=decode, drafter=drafter, **options
        )
    assert len(drafter) == 0


def test_a_batch_that_may_end_at_several_lengths_needs_padding(index: infgram.Index) -> None:
    criteria = StoppingCriteriaList([Watch()])
    with pytest.raises(InvalidParameter, match="Watch for 4 texts and no pad_token_id"):
        model_of("llama").generate(
            **batch_of(),
            max_new_tokens=3,
            stopping_criteria=criteria,
            custom_generate=decode,
            drafter=drafter_of(index),
        )


class Budget(LogitsProcessor):
    """Counts its calls, as a budget of tokens does."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self.seen.append(input_ids.shape[1])
        if len(self.seen) <= 5:
            scores[:, VOCAB // 2 :] = -torch.inf
        return scores


@pytest.mark.parametrize("attention", [("eager", "sdpa"), ()], ids=["tree", "path"])
def test_what_counts_counts_for_each_text(index: infgram.Index, attention: tuple[str, ...]) -> None:
    model = model_of("llama")
    batch = batch_of((12, 12, 12))
    mark = SynthIDTextWatermarkingConfig(keys=[654, 400, 836, 123], ngram_len=3)
    for options in (
        {"logits_processor": LogitsProcessorList([Budget()])},
        {"watermarking_config": mark},
    ):
        given = {**batch, **copy.deepcopy(options), "max_new_tokens": 30, "do_sample": False}
        plain = model.generate(**given)
        given = {**given, **options, "custom_generate": decode, "drafter": drafter_of(index)}
        with patch.object(ways, "_TREE_ATTENTION", attention), patch.object(ways, "_KNOWN", {}):
            assert torch.equal(model.generate(**given), plain), options


def test_a_function_of_prefixes_is_shown_each_text_as_itself(index: infgram.Index) -> None:
    batch = batch_of((12, 12, 12))
    prompts = batch["input_ids"]

    def allowed(row: int, ids: torch.Tensor) -> list[int]:
        assert torch.equal(ids[:12], prompts[row])
        return list(range(row, VOCAB - row))

    given = {**batch, "max_new_tokens": 20, "do_sample": False, "prefix_allowed_tokens_fn": allowed}
    plain = model_of("llama").generate(**given)
    text = model_of("llama").generate(**given, custom_generate=decode, drafter=drafter_of(index))
    assert torch.equal(text, plain)


def test_a_criterion_sees_scores_of_all_rows(index: infgram.Index) -> None:
    class Sure(StoppingCriteria):
        def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
            last = torch.stack([scores[-1][row] for row in range(len(input_ids))])
            return (last.argmax(-1) % 5 == 0) & (input_ids.shape[1] > 40)

    given = {**batch_of(), "max_new_tokens": 60, "do_sample": False, **PADDED}
    given |= {"return_dict_in_generate": True, "output_scores": True}
    given["stopping_criteria"] = StoppingCriteriaList([Sure()])
    plain = model_of("llama").generate(**given).sequences
    given |= {"custom_generate": decode, "drafter": drafter_of(index)}
    assert torch.equal(model_of("llama").generate(**given).sequences, plain)
    assert (plain[:, 40:] == 0).any()


def test_what_cannot_be_copied_is_refused_for_several_texts(index: infgram.Index) -> None:
    processor = Budget()
    processor.lock = Lock()  # type: ignore[attr-defined]
    drafter = drafter_of(index)
    given = {"max_new_tokens": 3, "do_sample": False, "custom_generate": decode, "drafter": drafter}
    given["logits_processor"] = LogitsProcessorList([processor])
    with pytest.raises(InvalidParameter, match="Budget cannot be copied"):
        model_of("llama").generate(**batch_of(), **given)
    assert len(drafter) == 0 and not processor.seen
    model_of("llama").generate(**batch_of((12,)), **given)
    assert len(processor.seen) == 3


def test_texts_that_time_may_end_need_padding(index: infgram.Index) -> None:
    given = {**batch_of(), "max_time": 60.0, "max_new_tokens": 3, "custom_generate": decode}
    with pytest.raises(InvalidParameter, match="MaxTimeCriteria for 4 texts and no pad_token_id"):
        model_of("llama").generate(**given, drafter=drafter_of(index))
    model_of("llama").generate(**given, drafter=drafter_of(index), pad_token_id=0)


@pytest.mark.parametrize("lengths", [(12,), LENGTHS], ids=["one", "batch"])
def test_a_cache_of_a_result_goes_on(index: infgram.Index, lengths: tuple[int, ...]) -> None:
    config = MistralConfig(
        **SMALL,
        sliding_window=16,
        **dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id")),
    )
    torch.manual_seed(3)
    for model in (MistralForCausalLM(config).double().eval(), model_of("llama")):
        how = {"max_new_tokens": 30, "do_sample": False, "return_dict_in_generate": True}
        plain = model.generate(**batch_of(lengths), **how)
        how |= {"custom_generate": decode, "drafter": drafter_of(index)}
        found = model.generate(**batch_of(lengths), **how)
        assert torch.equal(found.sequences, plain.sequences) or len(lengths) > 1
        if len(lengths) > 1:
            assert getattr(found, CACHE) is None
            continue
        longer = [
            model.generate(
                each.sequences, max_new_tokens=30, do_sample=False, **{CACHE: getattr(each, CACHE)}
            )
            for each in (found, plain)
        ]
        assert torch.equal(*longer)
        cache = getattr(model.generate(**batch_of(lengths), **how), CACHE)
        cache.batch_repeat_interleave(2)
        twice = found.sequences.repeat(2, 1)
        with torch.no_grad():
            logits = model(twice[:, -1:], use_cache=True, **{CACHE: cache}).logits
        assert logits.shape == (2, 1, VOCAB) and torch.equal(logits[0], logits[1])


@pytest.mark.parametrize("n_texts", [1, 2])
def test_text_that_ends_a_text_comes_as_a_criterion(index: infgram.Index, n_texts: int) -> None:
    """`generate` keeps `tokenizer` from whom it calls, which `stop_strings` needs."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())[:VOCAB]
    alphabet = [*"abcdef", *(letter for letter in alphabet if letter not in "abcdef")][:VOCAB]
    letters = {letter: i for i, letter in enumerate(alphabet)}
    tokenizer = Tokenizer(BPE(letters, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokenizer)
    given = {**batch_of((12,) * n_texts), "max_new_tokens": 60, "do_sample": False}
    model = model_of("llama")
    end = tokenizer.decode(model.generate(**given)[0, 20:22])
    given |= PADDED
    plain = model.generate(**given, stop_strings=[end], tokenizer=tokenizer)
    given["stopping_criteria"] = StoppingCriteriaList([StopStringCriteria(tokenizer, [end])])
    text = model.generate(**given, custom_generate=decode, drafter=drafter_of(index))
    assert torch.equal(text, plain) and plain.shape[1] < 72


# Requests -----------------------------------------------------------------------------------------


def test_a_request_that_others_push_out_is_begun_again(index: infgram.Index) -> None:
    """There may be more texts in a batch than a drafter remembers requests."""
    given = {**batch_of(), "max_new_tokens": 30, "do_sample": False}
    plain = model_of("llama").generate(**given)
    drafter = drafter_of(index, max_requests=2)
    text = model_of("llama").generate(**given, custom_generate=decode, drafter=drafter)
    assert torch.equal(text, plain)
    assert len(drafter) == 0


def test_texts_may_name_their_indexes(index: infgram.Index) -> None:
    started = []

    class Spy(Drafter):
        def start(self, *given: Any, **options: Any) -> None:
            started.append(options)
            super().start(*given, **options)

    for indexes in ([index], [], None):
        text = write(
            model_of("gpt2"),
            0,
            Spy(index, vocab_size=VOCAB),
            indexes=indexes,
            max_new_tokens=20,
            do_sample=False,
        )
        assert torch.equal(text, plain_text("gpt2", "sdpa", 0)[:, : N_PROMPT + 20])
    assert started == [{"indexes": [index]}, {"indexes": []}, {}]


def test_a_prompt_without_room_behind_it_is_written_as_without_drafts(
    index: infgram.Index,
) -> None:
    """Positions run out, or have run out: no draft may make that worse."""
    model = model_of("llama")  # its positions are angles, of which there are always more
    prompt = torch.randint(1, VOCAB, (1, N_POSITIONS - 3), generator=torch.Generator())
    for ids in (prompt, torch.cat([prompt, prompt], 1)):
        plain = model.generate(ids, max_new_tokens=8, do_sample=False)
        text = model.generate(
            ids,
            max_new_tokens=8,
            do_sample=False,
            custom_generate=decode,
            drafter=drafter_of(index),
        )
        assert torch.equal(text, plain)


def test_without_use_of_a_cache_the_text_is_the_same(index: infgram.Index) -> None:
    given = {"max_new_tokens": 20, "do_sample": False, "use_cache": False}
    plain = model_of("gpt2").generate(prompt_of(0), **given)
    assert torch.equal(write(model_of("gpt2"), 0, drafter_of(index), **given), plain)


# The same law -------------------------------------------------------------------------------------


class ToyModel:
    """A `Toy` as a model of transformers: it finds the two tokens before each by what attention
    lets it see, and by the positions that it is told."""

    device = torch.device("cpu")
    dtype = torch.float64

    def __init__(self, toy: Toy) -> None:
        self._laws = torch.from_numpy(toy.laws).log()
        self.config = GPT2Config(vocab_size=TOY_VOCAB, n_layer=1, attn_implementation="eager")

    def __call__(self, **inputs: Any) -> Any:
        return self.forward(**inputs)

    def prepare_inputs_for_generation(
        self, ids: torch.Tensor, next_sequence_length: int | None, **more: Any
    ) -> dict[str, Any]:
        n = next_sequence_length or ids.shape[1]
        position_ids = more["position_ids"][:, -n:]
        return {"input_ids": ids[:, -n:], "position_ids": position_ids, CACHE: more[CACHE]}

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        **more: Any,
    ) -> Any:
        kept = more[CACHE]
        n_new = input_ids.shape[1]
        start = kept.get_seq_length()
        positions = position_ids
        if positions is None:
            positions = torch.arange(start, start + n_new)[None]
        tokens, places = kept.update(
            input_ids[:, None, :, None].double(), positions[:, None, :, None].double(), 0
        )
        tokens, places = tokens.flatten().long(), places.flatten().long()
        visible = torch.ones(n_new, len(tokens), dtype=torch.bool).tril(start)
        if attention_mask is not None:
            visible = attention_mask[0, 0] == 0.0
        at = positions[0][:, None]
        before, last = ((tokens * (visible & (places == at - back))).sum(1) for back in (1, 0))
        return SimpleNamespace(logits=self._laws[before % TOY_VOCAB, last % TOY_VOCAB][None])


class Warp:
    """Transformers' samplers. The toy has 16 laws, each of which goes through them once, unless
    they depend on the text."""

    def __init__(
        self,
        temperature: float = 1.0,
        top_k: int = TOY_VOCAB,
        top_p: float = 1.0,
        typical_p: float | None = None,
        repetition_penalty: float | None = None,
    ) -> None:
        self._warpers = LogitsProcessorList(
            [
                TemperatureLogitsWarper(temperature),
                TopKLogitsWarper(top_k),
                TopPLogitsWarper(top_p),
            ]
        )
        if typical_p is not None:
            self._warpers.append(TypicalLogitsWarper(typical_p))
        if repetition_penalty is not None:
            self._warpers.insert(0, RepetitionPenaltyLogitsProcessor(repetition_penalty))
        self._is_of_text = repetition_penalty is not None
        self._known: dict[tuple[float, ...], torch.Tensor] = {}

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if self._is_of_text:
            return self._warpers(input_ids, scores)
        law = tuple(scores[0].tolist())
        if law not in self._known:
            self._known[law] = self._warpers(input_ids, scores)
        return self._known[law]


WARPS = [
    {"temperature": 0.8, "top_k": 3, "top_p": 1.0},
    {"temperature": 1.0, "top_k": TOY_VOCAB, "top_p": 0.9},
    {"temperature": 0.8, "top_k": TOY_VOCAB, "top_p": 1.0},
]
N_DRAWS = 3000
N_WRITTEN = 4  # of which the first, that comes without a draft, is not judged


def exact_law(toy: Toy, prompt: list[int], warp: Warp) -> NDArray[np.float64]:
    """Of the second, the third and the fourth token."""
    law = np.zeros((TOY_VOCAB,) * 3)
    for outcome in itertools.product(range(TOY_VOCAB), repeat=4):
        path, prob = list(prompt), 1.0
        for token in outcome:
            logits = torch.from_numpy(toy.after(path)).log().float()[None]
            prob *= float(warp(torch.tensor([path]), logits).softmax(-1)[0, token])
            path.append(token)
        law[outcome[1:]] += prob
    return law


def limit(n_outcomes: int) -> float:
    """The 99.99th percentile of chi-square, by Wilson and Hilferty: one test in 10,000."""
    df = n_outcomes - 1
    return float(df * (1 - 2 / (9 * df) + 3.719 * math.sqrt(2 / (9 * df))) ** 3)


def surprise(counts: NDArray[np.float64], law: NDArray[np.float64]) -> float:
    """Chi-square over its limit. Outcomes that are expected less than twice count as one."""
    if counts[law == 0.0].any():
        return math.inf
    expected = law * counts.sum()
    is_rare = expected < 2.0
    pairs = [*zip(counts[~is_rare], expected[~is_rare], strict=True)]
    if expected[is_rare].sum() > 0.0:
        pairs.append((counts[is_rare].sum(), expected[is_rare].sum()))
    return sum((n - e) ** 2 / e for n, e in pairs) / limit(len(pairs))


@pytest.fixture(scope="module")
def toy_index(memory_folder: Path) -> infgram.Index:
    """What another model wrote: drafts are good, but not of the law that is asked for."""
    return make_index(memory_folder / "toy-huggingface.infgram", [Toy(1).write(3000, 1)])


def surprise_of_decode(
    index: infgram.Index,
    options: dict[str, Any],
    seed: int,
    *,
    tree: bool,
    drawn: bool = True,
    n_draws: int = N_DRAWS,
) -> float:
    """Of 3,000 texts against the exact law of the model."""
    warp = Warp(**options)
    toy = Toy(1, sharpness=0.7)
    prompt = toy.write(20, 5)
    config = GenerationConfig(do_sample=True, max_length=len(prompt) + 20, **options)
    end = StoppingCriteriaList([MaxLengthCriteria(len(prompt) + N_WRITTEN)])
    drafter = Drafter(index, vocab_size=TOY_VOCAB, max_tokens=8, tree=tree, session_tokens=0)
    model, ids, report = ToyModel(toy), torch.tensor([prompt]), Report()
    counts = np.zeros((TOY_VOCAB,) * 3)
    torch.manual_seed(seed)
    for _ in range(n_draws):
        text = decode(
            model,
            ids,
            warp,
            end,
            config,
            drafter=drafter,
            sample_drafts=drawn,
            report=report,
            **{CACHE: DynamicCache(config=model.config)},
        )
        counts[tuple(text[0, -3:].tolist())] += 1
    assert report.way == ("tree" if tree else "path")
    assert report.n_drafted > n_draws
    return surprise(counts, exact_law(toy, prompt, warp))


@pytest.mark.parametrize(("tree", "options"), [(False, WARPS[0]), (True, WARPS[1])])
def test_what_is_sampled_has_the_law_of_the_model(
    toy_index: infgram.Index, tree: bool, options: dict[str, Any]
) -> None:
    """Where tokens are drawn for drafts. Where they are not, the same seed gives the same text."""
    for seed in range(examples(1)):
        assert surprise_of_decode(toy_index, options, seed, tree=tree) < 1.0


@pytest.mark.parametrize(
    "options", [{"temperature": 0.15}, {"typical_p": 0.7}, {"repetition_penalty": 1.6}]
)
@pytest.mark.parametrize("tree", [False, True], ids=["path", "tree"])
def test_the_law_is_kept_cold_typical_and_penalised(
    toy_index: infgram.Index, tree: bool, options: dict[str, Any]
) -> None:
    n_draws = examples(800)
    assert surprise_of_decode(toy_index, options, 1, tree=tree, n_draws=n_draws) < 1.0


@pytest.mark.parametrize("tree", [False, True], ids=["path", "tree"])
def test_chosen_drafts_have_the_law_of_the_model_too(toy_index: infgram.Index, tree: bool) -> None:
    n_draws = examples(500)
    assert surprise_of_decode(toy_index, WARPS[2], 1, tree=tree, drawn=False, n_draws=n_draws) < 1.0


def accept_the_first(laws: Any, offers: Any, generator: Any = None) -> Any:
    [(draft, parent)] = offers
    return torch.tensor([draft.token_ids[draft.children(parent)[0]]]), laws.double()


def redraw_from_the_whole(
    laws: Any, offers: Any, generator: Any = None, right: Callable[..., Any] = verify_torch.reject
) -> Any:
    return right(laws, offers, generator)[0], laws.double()


@pytest.mark.parametrize(
    ("broken", "n_draws"), [(accept_the_first, 500), (redraw_from_the_whole, 2500)]
)
def test_a_broken_rule_is_found_out(
    toy_index: infgram.Index, broken: Callable[..., Any], n_draws: int
) -> None:
    with patch.object(verify_torch, "reject", broken):
        assert surprise_of_decode(toy_index, WARPS[2], 1, tree=True, n_draws=n_draws) > 1.0


def test_a_model_that_sees_too_much_is_found_out(toy_index: infgram.Index) -> None:
    """The toy model does depend on the mask that it is given."""
    blind = patch.object(Together, "_mask", sees_all)
    with blind, patch.object(ways, "way_of", lambda *_, **__: "tree"):
        assert surprise_of_decode(toy_index, WARPS[1], 1, tree=True, n_draws=500) > 1.0


def sees_all(reader: Together, drafts: list[Any]) -> torch.Tensor:
    n = 1 + max(map(len, drafts))
    return torch.zeros(len(drafts), 1, n, reader.cache.get_seq_length() + n)


@pytest.mark.parametrize("tree", [False, True], ids=["path", "tree"])
def test_drawn_drafts_give_the_same_again_for_the_same_seed(
    index: infgram.Index, tree: bool
) -> None:
    texts = []
    for _ in range(2):
        torch.manual_seed(3)
        options = {"max_new_tokens": 60, "do_sample": True, "temperature": 0.5}
        texts.append(write(model_of("gpt2"), 0, drafter_of(index, tree=tree), **options))
    assert torch.equal(*texts)


# What is refused ----------------------------------------------------------------------------------


def refused(drafter: Drafter, model: Any, ids: torch.Tensor, **options: Any) -> None:
    """Calls decode, and expects that it leaves no request."""
    given = {"max_new_tokens": 3, "pad_token_id": 0, **options}
    try:
        model.generate(ids, custom_generate=decode, drafter=drafter, **given)
    finally:
        assert len(drafter) == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"num_beams": 2}, "'beam_search'"),
        ({"penalty_alpha": 0.6, "top_k": 4}, "'contrastive_search'"),
        ({"dola_layers": "low"}, "'dola_generation'"),
        ({"prompt_lookup_num_tokens": 3}, "'assisted_generation'"),
        ({"cache_implementation": "static"}, "StaticCache"),
        ({"return_dict_in_generate": True, "output_attentions": True}, "output_attentions"),
        ({"attention_mask": torch.tensor([[1] * (N_PROMPT - 1) + [0]])}, "padding on the left"),
        ({"attention_mask": torch.tensor([[1, 0] * (N_PROMPT // 2)])}, "padding on the left"),
        ({"position_ids": torch.arange(N_PROMPT)[None] + 1}, "position_ids"),
        ({"token_type_ids": torch.zeros(1, N_PROMPT, dtype=torch.long)}, "token_type_ids"),
    ],
)
def test_what_drafts_cannot_do_is_refused(
    index: infgram.Index, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidParameter, match=said):
        refused(drafter_of(index), model_of("gpt2"), prompt_of(0), **options)


def test_a_cache_that_has_something_is_refused(index: infgram.Index) -> None:
    cached = DynamicCache(config=model_of("gpt2").config)
    model_of("gpt2")(prompt_of(0)[:, :5], **{CACHE: cached})
    with pytest.raises(InvalidParameter, match="empty DynamicCache"):
        refused(drafter_of(index), model_of("gpt2"), prompt_of(0), **{CACHE: cached})


def test_a_cache_that_is_offloaded_is_refused(index: infgram.Index) -> None:
    cache = DynamicCache(config=model_of("gpt2").config)
    cache.offloading = True  # to make one needs a device
    with pytest.raises(InvalidParameter, match="a cache that is offloaded"):
        refused(drafter_of(index), model_of("gpt2"), prompt_of(0), **{CACHE: cache})


@pytest.mark.parametrize("vocab_size", [VOCAB - 1, VOCAB + 1])
def test_another_vocabulary_is_refused(vocab_size: int) -> None:
    with pytest.raises(TokenizerUnavailable, match=f"for {vocab_size} tokens.* has {VOCAB}"):
        refused(Drafter(vocab_size=vocab_size), model_of("gpt2"), prompt_of(0))


def test_other_kinds_of_models_are_refused(index: infgram.Index) -> None:
    shape = {"num_layers": 1, "d_model": 8, "d_kv": 4, "d_ff": 8, "num_heads": 2}
    encoder = T5ForConditionalGeneration(
        T5Config(vocab_size=VOCAB, **shape, decoder_start_token_id=0)
    )
    with pytest.raises(InvalidParameter, match="has an encoder"):
        refused(drafter_of(index), encoder, prompt_of(0))


@pytest.mark.parametrize("found", [None, "x", Drafter])
def test_what_is_no_drafter_is_refused(found: Any) -> None:
    with pytest.raises(InvalidParameter, match=r"drafter is .*, expected a Drafter"):
        model_of("gpt2").generate(
            prompt_of(0), max_new_tokens=3, custom_generate=decode, drafter=found
        )


def test_indexes_of_a_text_are_several(index: infgram.Index) -> None:
    for found in (index, 5):
        with pytest.raises(InvalidParameter, match=r"indexes is .*, expected several"):
            refused(drafter_of(index), model_of("gpt2"), prompt_of(0), indexes=found)


def test_an_attention_that_reads_no_trees_gets_paths(index: infgram.Index) -> None:
    report = Report()
    given = {"max_new_tokens": 50, "do_sample": False, "report": report}
    with patch.object(ways, "_TREE_ATTENTION", ()), patch.object(ways, "_KNOWN", {}):
        text = write(model_of("gpt2"), 0, drafter_of(index), **given)
    assert report.way == "path"
    assert torch.equal(text, plain_text("gpt2", "sdpa", 0)[:, : N_PROMPT + 50])


def forget_the_engine(patched: pytest.MonkeyPatch) -> None:
    """So that it is imported anew."""
    for name in [*sys.modules]:
        if name.startswith("infgram.draft.engines.huggingface"):
            patched.delitem(sys.modules, name)


def test_without_torch_or_transformers_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for missing in ("torch", "transformers"):
        with monkeypatch.context() as patched:
            forget_the_engine(patched)
            patched.setitem(sys.modules, missing, None)
            with pytest.raises(MissingExtra, match=re.escape(how_to_install("draft"))):
                importlib.import_module("infgram.draft.engines.huggingface")
            with pytest.raises(MissingExtra, match=re.escape(how_to_install("draft"))):
                measure_cost(None)


def test_an_older_transformers_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or each of its models is refused for a reason that is none."""
    oldest = bounds(projects(), ["infgram[draft]"])["transformers"]
    assert oldest == "{}.{}".format(*library.OLDEST_TRANSFORMERS)
    forget_the_engine(monkeypatch)
    monkeypatch.setattr("transformers.__version__", "5.2.9")
    with pytest.raises(MissingExtra, match=rf"{oldest} or later \(found transformers 5\.2\.9\)"):
        importlib.import_module("infgram.draft.engines.huggingface")


# As an assistant ----------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_assistant_changes_no_greedy_text(index: infgram.Index, architecture: str) -> None:
    drafter = drafter_of(index, tree=False)
    assistant = DraftModel(drafter)
    for seed in range(examples(3)):
        text = model_of(architecture).generate(
            prompt_of(seed), max_new_tokens=N_NEW, do_sample=False, assistant_model=assistant
        )
        assert torch.equal(text, plain_text(architecture, "sdpa", seed))
        assert len(drafter) == 1  # transformers does not say that a text has ended
    assistant.finish()
    assert len(drafter) == 0


def test_an_assistant_changes_no_law(toy_index: infgram.Index) -> None:
    config = GPT2Config(
        vocab_size=TOY_VOCAB,
        n_embd=8,
        n_layer=1,
        n_head=1,
        n_positions=32,
        bos_token_id=None,
        eos_token_id=None,
    )
    torch.manual_seed(1)
    model = GPT2LMHeadModel(config).eval()
    for parameter in model.parameters():
        parameter.data.mul_(20.0 if parameter.ndim > 1 else 1.0)
    prompt = torch.tensor([Toy(1).write(8, 5)])
    assistant = DraftModel(Drafter(toy_index, vocab_size=TOY_VOCAB, tree=False, session_tokens=0))
    texts = list(itertools.product(range(TOY_VOCAB), repeat=2))
    with torch.no_grad():
        paths = torch.tensor([[*prompt[0].tolist(), *text] for text in texts])
        laws = model(paths).logits.div(0.8).log_softmax(-1).double()
    n = prompt.shape[1]
    law = np.zeros((TOY_VOCAB, TOY_VOCAB))
    for text, rows in zip(texts, laws, strict=True):
        law[text] = float((rows[n - 1, text[0]] + rows[n, text[1]]).exp())
    counts: Counter[tuple[int, ...]] = Counter()
    torch.manual_seed(2)
    for _ in range(examples(600)):
        text = model.generate(
            prompt,
            max_new_tokens=2,
            do_sample=True,
            temperature=0.8,
            top_k=0,
            assistant_model=assistant,
        )
        counts[tuple(text[0, n:].tolist())] += 1
    table = np.array([[counts[i, j] for j in range(TOY_VOCAB)] for i in range(TOY_VOCAB)], float)
    assert surprise(table, law) < 1.0


def test_an_assistant_that_knows_nothing_offers_any_token() -> None:
    assistant = DraftModel(Drafter(vocab_size=VOCAB, tree=False, max_tokens=0))
    for do_sample in (False, True):
        offered = assistant.generate(
            torch.tensor([[1]]), GenerationConfig(do_sample=do_sample), max_new_tokens=5
        )
        assert offered.sequences.shape == (1, 2)
        assert torch.equal(offered.scores[0].softmax(-1), torch.full((1, VOCAB), 1 / VOCAB))


def test_an_assistant_says_what_its_tokens_were_drawn_from(toy_index: infgram.Index) -> None:
    assistant = DraftModel(Drafter(toy_index, vocab_size=TOY_VOCAB, tree=False))
    torch.manual_seed(0)
    prompt = torch.tensor([Toy(1).write(20, 5)])
    counts = np.zeros(TOY_VOCAB)
    for _ in range(500):
        offered = assistant.generate(prompt, GenerationConfig(do_sample=True), max_new_tokens=3)
        assert offered.sequences.shape[1] == prompt.shape[1] + len(offered.scores)
        counts[int(offered.sequences[0, prompt.shape[1]])] += 1
        law = offered.scores[0].softmax(-1)[0].double().numpy()
        assert law.sum() == pytest.approx(1.0)
    assert surprise(counts, law) < 1.0


def test_an_assistant_goes_on_where_its_request_was_pushed_out(index: infgram.Index) -> None:
    drafter = drafter_of(index, tree=False, max_requests=1)
    one, other = DraftModel(drafter), DraftModel(drafter)
    plain = plain_text("llama", "sdpa", 0)
    for each in (one, other, one, one):
        given = {"max_new_tokens": N_NEW, "do_sample": False}
        assert torch.equal(
            model_of("llama").generate(prompt_of(0), assistant_model=each, **given), plain
        )
    one.finish()
    other.finish()
    assert len(drafter) == 0


def test_an_assistant_takes_no_trees() -> None:
    with pytest.raises(InvalidParameter, match="tree=False"):
        DraftModel(Drafter(vocab_size=VOCAB))


# What a step costs --------------------------------------------------------------------------------


def test_a_step_with_more_tokens_costs_no_less() -> None:
    cost = measure_cost(model_of("gpt2"), context_tokens=20, max_tokens=6, rounds=2)
    assert cost.curve.shape == (7,)
    assert cost.curve[0] > 0.0
    assert np.all(np.diff(cost.curve) >= 0.0)
    assert "GPT2LMHeadModel" in cost.model
    assert Drafter(vocab_size=VOCAB, cost=cost.curve).cost is not None


def test_a_cost_is_measured_with_as_much_context_as_there_is_room_for() -> None:
    model = model_of("gpt2")
    cost = measure_cost(model, max_tokens=4, rounds=1)
    assert cost.context_tokens == min(256, model.config.n_positions - 5)


@pytest.mark.parametrize(
    "options",
    [
        *({"context_tokens": found} for found in (0, 250, 1.5, "x")),
        *({"max_tokens": found} for found in (-1, 1000, 1.5, "x", None)),
        *({"rounds": found} for found in (0, 1.5, "x")),
    ],
)
def test_what_cannot_be_measured_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter, match="expected"):
        measure_cost(model_of("gpt2"), **options)


def test_a_cost_is_that_of_a_causal_model() -> None:
    shape = {"num_layers": 1, "d_model": 8, "d_kv": 4, "d_ff": 8, "num_heads": 2}
    encoder = T5ForConditionalGeneration(T5Config(vocab_size=VOCAB, **shape))
    with pytest.raises(InvalidParameter, match="has an encoder"):
        measure_cost(encoder, max_tokens=2, rounds=1)
    for found in (model_of("gpt2").transformer, None, "gpt2"):
        with pytest.raises(InvalidParameter, match=r"model is .*, expected a causal model"):
            measure_cost(found, max_tokens=2, rounds=1)


@pytest.mark.parametrize("module", [loop, assistant, profile])
def test_examples_run(module: Any) -> None:
    result = doctest.testmod(module)
    assert result.failed == 0 and result.attempted > 0
