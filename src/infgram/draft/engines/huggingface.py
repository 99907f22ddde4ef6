"""Drafts for the models of Hugging Face transformers, through public hooks of `generate`.

`decode` is transformers' own loop with several tokens a step: logits processors, samplers and
stopping criteria see one token after another, with the same ids before it, as they do without
drafts. `DraftModel` is for callers who are bound to `assistant_model=`: paths only, and verified by
transformers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import InvalidParameter, MissingExtra, TokenizerUnavailable
from ...extras import how_to_install
from .. import verify_torch
from ..drafter import Draft, Drafter
from ..text_drafter import TextDrafter

OLDEST_TRANSFORMERS = (5, 3)  # as in pyproject; before, `generate` hands on no cache

try:
    import torch
    import transformers
    from transformers import (
        DynamicCache,
        GenerationConfig,
        GenerationMixin,
        LogitsProcessorList,
        PretrainedConfig,
        PreTrainedModel,
        StoppingCriteriaList,
    )
    from transformers.cache_utils import Cache, DynamicLayer
    from transformers.generation import GenerateDecoderOnlyOutput
    from transformers.generation.streamers import BaseStreamer

    if tuple(map(int, transformers.__version__.split(".")[:2])) < OLDEST_TRANSFORMERS:
        raise ImportError(f"found transformers {transformers.__version__}")
except ImportError as error:
    raise MissingExtra(
        "drafts for transformers need torch, and transformers {}.{} or later ({}): {}".format(
            *OLDEST_TRANSFORMERS, error, how_to_install("draft")
        )
    ) from error

# What transformers calls a cache among arguments and results: `past_key_values` before 5.24. Models
# of later versions warn of the old name, and `generate` hands the cache on under the new one alone.
CACHE = "cache" if hasattr(GenerateDecoderOnlyOutput, "cache") else "past_key_values"

# What chooses a token: from scores after a token of the draft, the draft, that token's place (-1
# for the context).
_Choose = Callable[[torch.Tensor, Draft, int], int]

_TREE_ATTENTION = ("eager", "sdpa")  # others take no mask of four dimensions
_LEAST_ROOM = 64


@dataclass
class Report:
    """What `decode` did, added up over the texts that it was given to.

    - `n_steps`: forward passes of the model, that of the prompt among them.
    - `n_tokens`: that were written; `n_drafted`, `n_accepted`: of drafts.
    """

    n_steps: int = 0
    n_tokens: int = 0
    n_drafted: int = 0
    n_accepted: int = 0

    @property
    def tokens_per_step(self) -> float:
        """NaN before the first step."""
        return self.n_tokens / self.n_steps if self.n_steps else float("nan")


# The loop -----------------------------------------------------------------------------------------


def decode(
    model: Any,
    input_ids: torch.Tensor,
    logits_processor: LogitsProcessorList,
    stopping_criteria: StoppingCriteriaList,
    generation_config: GenerationConfig,
    *,
    drafter: Drafter | TextDrafter,
    sample_drafts: bool = True,
    stream_to: BaseStreamer | None = None,
    report: Report | None = None,
    **model_kwargs: Any,
) -> torch.Tensor | GenerateDecoderOnlyOutput:
    """Generates with drafts: the same text as without them where it is greedy, else the same law.

    For `model.generate(input_ids, custom_generate=decode, drafter=drafter, ...)` with whatever else
    `generate` takes: everything that is not named here comes from there.

    - `drafter`: of the model's vocabulary. The text is a request of it, and ends as one that is
      kept, even where an exception ends it.
    - `sample_drafts`: where the model samples, tokens are drawn for drafts too, and verified by
      rejection: more of them are accepted. Without, tokens are chosen for drafts, and the same seed
      of torch gives the same text as without drafts.
    - `stream_to`: what `streamer` is to `generate`, which does not hand that on to a function.
      Gets the prompt, then one token after another.
    - `report`: where to count.

    One text at a time, with a cache that keeps everything: no beams, no static cache, no layers of
    a sliding window. Where results come as a dictionary, it has `sequences` and the cache.

    Source of the mask that lets a model read a tree: SpecInfer (Miao et al. 2024).

    Raises InvalidParameter, TokenizerUnavailable, before anything is generated.

    >>> import infgram
    >>> from transformers import GPT2Config, GPT2LMHeadModel
    >>> config = GPT2Config(vocab_size=256, n_embd=8, n_layer=1, n_head=1, eos_token_id=None)
    >>> model = GPT2LMHeadModel(config).eval()
    >>> drafter = Drafter(infgram.build(["to be or not to be"]))
    >>> prompt = torch.tensor([list(b"to be or ")])
    >>> text = model.generate(
    ...     prompt, max_new_tokens=20, do_sample=False, custom_generate=decode, drafter=drafter
    ... )
    >>> torch.equal(text, model.generate(prompt, max_new_tokens=20, do_sample=False))
    True
    """
    _check(model, drafter, input_ids, generation_config, model_kwargs)
    text = _Text(input_ids, logits_processor, stopping_criteria, stream_to)
    reader = Reader(model)
    limit = min(generation_config.max_length, most_tokens(model))
    drawing, choose = _manner(generation_config, sample_drafts and drafter.draws)
    report = report or Report()
    request = object()
    drafter.start(request, input_ids[0].tolist())
    try:
        unread, room = input_ids, 0  # nothing is drafted while the prompt is read
        while not text.has_ended:
            draft = drafter.propose(request, room, **drawing)
            rows = reader.read(unread, draft).to(input_ids.device)
            written, places = text.write(rows, draft, choose)
            drafter.accept(request, written, len(places))
            reader.keep(len(draft), places[: len(written) - 1])
            unread = text.ids[:, -1:]
            room = int(max(0, min(drafter.max_tokens, limit - text.ids.shape[1] - 1)))
            report.n_steps += 1
            report.n_tokens += len(written)
            report.n_drafted += len(draft)
            report.n_accepted += len(places)
    finally:
        drafter.stop(request)
    if stream_to is not None:
        stream_to.end()
    if generation_config.return_dict_in_generate:
        return GenerateDecoderOnlyOutput(sequences=text.ids, **{CACHE: reader.cache})
    return text.ids


def _manner(config: GenerationConfig, sample_drafts: bool) -> tuple[dict[str, Any], _Choose]:
    """How drafts are made, as arguments of `propose`, and how tokens are chosen."""
    if not config.do_sample:
        return {}, _choose_likeliest
    if not sample_drafts:
        return {}, _choose_at_random
    return _drawing(config), _choose_drawn


def _drawing(config: GenerationConfig) -> dict[str, Any]:
    """Arguments of `propose` where tokens are drawn: torch's seed decides about them too."""
    rng = np.random.default_rng(int(torch.randint(2**62, ())))
    return {"sample": True, "temperature": config.temperature or 1.0, "rng": rng}


def _choose_likeliest(scores: torch.Tensor, draft: Draft, at: int) -> int:
    return int(scores.argmax(-1))


def _choose_at_random(scores: torch.Tensor, draft: Draft, at: int) -> int:
    return int(torch.multinomial(scores.softmax(-1), 1))


def _choose_drawn(scores: torch.Tensor, draft: Draft, at: int) -> int:
    law = scores.softmax(-1)
    if draft.children(at):
        accepted, law = verify_torch.reject(law, [(draft, at)])
        token = int(accepted)
        if token >= 0:
            return token
    return int(torch.multinomial(law, 1))


class _Text:
    """What is written, and what looks at every token of it."""

    def __init__(
        self,
        prompt: torch.Tensor,
        processors: LogitsProcessorList,
        criteria: StoppingCriteriaList,
        streamer: BaseStreamer | None,
    ) -> None:
        self.ids = prompt
        self.has_ended = False
        self._processors = processors
        self._criteria = criteria
        self._streamer = streamer
        if streamer is not None:
            streamer.put(prompt.cpu())

    def write(
        self, rows: torch.Tensor, draft: Draft, choose: _Choose
    ) -> tuple[list[int], list[int]]:
        """Goes down a draft until its model goes another way, or the text ends.

        rows: logits after the context and after each token of the draft, (n + 1, vocab_size).
        Returns the tokens written, and the places in the draft of those that were there.
        """
        edges = zip(draft.parents.tolist(), draft.token_ids.tolist(), strict=True)
        below = {edge: place for place, edge in enumerate(edges)}
        written: list[int] = []
        places: list[int] = []
        place: int | None = -1
        while place is not None and not self.has_ended:
            # float32 and a copy, as in transformers: processors may write into it
            logits = rows[place + 1].to(torch.float32, copy=True)[None]
            token = choose(self._processors(self.ids, logits), draft, place)
            self._append(token)
            written.append(token)
            place = below.get((place, token))
            if place is not None:
                places.append(place)
        return written, places

    def _append(self, token: int) -> None:
        new = self.ids.new_tensor([[token]])
        self.ids = torch.cat([self.ids, new], 1)
        if self._streamer is not None:
            self._streamer.put(new[0].cpu())
        self.has_ended = bool(self._criteria(self.ids, None).all())


# The model ----------------------------------------------------------------------------------------


class Reader:
    """A model and what it has read."""

    def __init__(self, model: Any) -> None:
        self.cache = Cache(layer_class_to_replicate=_Layer)
        self._model = model

    def read(self, unread: torch.Tensor, draft: Draft) -> torch.Tensor:
        """Reads tokens (1, m) of the text and a draft of n behind them.

        Returns the logits after the last one and after each token of the draft, (n + 1, vocab).
        A draft that branches is read behind a single token.
        """
        drafted = torch.from_numpy(draft.token_ids)[None].to(unread)
        more = {} if _is_path(draft) else self._tree(draft)
        return self.forward(torch.cat([unread, drafted], 1), len(draft) + 1, **more)

    def forward(self, ids: torch.Tensor, n_rows: int, **more: torch.Tensor) -> torch.Tensor:
        """Reads tokens (1, m). Returns the logits after the last of them, (n_rows, vocab)."""
        with torch.no_grad():
            outputs = self._model(
                input_ids=ids.to(self._model.device),
                use_cache=True,
                logits_to_keep=n_rows,
                return_dict=True,
                **{CACHE: self.cache},
                **more,
            )
        return outputs.logits[0, -n_rows:]

    def keep(self, n_drafted: int, places: list[int]) -> None:
        """Forgets what was read of a draft but for these tokens of it; their places rise."""
        start = self.cache.get_seq_length() - n_drafted
        is_prefix = places == list(range(len(places)))
        moved = None if is_prefix else start + torch.tensor(places)
        for layer in self.cache.layers:
            layer.keep(start, start + len(places), moved)

    def _tree(self, draft: Draft) -> dict[str, torch.Tensor]:
        """Lets each token see the text, its parents and itself, at its depth below the text."""
        n_read = self.cache.get_seq_length()
        hidden = torch.ones(len(draft) + 1, len(draft) + 1, dtype=torch.bool)
        hidden[:, 0] = False
        hidden[1:, 1:] = torch.from_numpy(~draft.mask())
        device, dtype = self._model.device, self._model.dtype
        mask = torch.zeros(1, 1, len(draft) + 1, n_read + len(draft) + 1, dtype=dtype)
        mask[0, 0, :, n_read:].masked_fill_(hidden, torch.finfo(dtype).min)
        positions = np.concatenate([[n_read], draft.positions(n_read + 1)])
        return {
            "attention_mask": mask.to(device),
            "position_ids": torch.from_numpy(positions)[None].to(device),
        }


class _Layer(DynamicLayer):
    """Keys and values with room behind them: a step costs what it adds, and keeps what it likes."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._all_keys = key_states[:, :, :0]
            self._all_values = value_states[:, :, :0]
        start = self.get_seq_length()
        end = start + key_states.shape[2]
        if end > self._all_keys.shape[2]:
            self._all_keys = _enlarged(self._all_keys, start, end)
            self._all_values = _enlarged(self._all_values, start, end)
        self._all_keys[:, :, start:end] = key_states
        self._all_values[:, :, start:end] = value_states
        return self._cut(end)

    def keep(self, start: int, end: int, moved: torch.Tensor | None) -> None:
        """Forgets what stands from `end` on; before that, what is moved comes to `start`."""
        if moved is not None:
            for kept in (self._all_keys, self._all_values):
                kept[:, :, start:end] = kept.index_select(2, moved.to(kept.device))
        self._cut(end)

    def _cut(self, end: int) -> tuple[torch.Tensor, torch.Tensor]:
        self.keys = self._all_keys[:, :, :end]
        self.values = self._all_values[:, :, :end]
        return self.keys, self.values


def _enlarged(states: torch.Tensor, n_used: int, n_needed: int) -> torch.Tensor:
    """With room for more than is needed, so that growing costs O(1) a token."""
    shape = list(states.shape)
    shape[2] = n_needed + n_needed // 2 + _LEAST_ROOM
    larger = states.new_empty(shape)
    larger[:, :, :n_used] = states[:, :, :n_used]
    return larger


def _is_path(draft: Draft) -> bool:
    return np.array_equal(draft.parents, np.arange(-1, len(draft) - 1))


def most_tokens(model: Any) -> float:
    """What a model has positions for, draft and all."""
    return getattr(_text_config(model), "max_position_embeddings", None) or math.inf


def _text_config(model: Any) -> Any:
    return model.config.get_text_config()


# What is refused ----------------------------------------------------------------------------------


def _check(
    model: Any,
    drafter: Drafter | TextDrafter,
    input_ids: torch.Tensor,
    config: GenerationConfig,
    model_kwargs: dict[str, Any],
) -> None:
    _check_texts(input_ids, config)
    _check_model(model, drafter)
    given = dict(model_kwargs)
    given.pop("use_cache", None)
    given.pop("logits_to_keep", None)
    _check_cache(model, given.pop(CACHE, None))
    _check_positions(input_ids, given.pop("attention_mask", None), given.pop("position_ids", None))
    others = [name for name, value in given.items() if value is not None]
    if others:
        raise InvalidParameter(
            f"found {', '.join(others)}, expected token ids alone: a draft is of text"
        )


def _check_texts(input_ids: torch.Tensor, config: GenerationConfig) -> None:
    if config.num_beams > 1:
        raise InvalidParameter(
            f"num_beams is {config.num_beams}, expected 1: drafts are verified for a single text"
        )
    if len(input_ids) != 1 or not input_ids.numel():
        raise InvalidParameter(
            f"input_ids has the shape {tuple(input_ids.shape)}, expected one text of at least one "
            "token: call generate for each text, with num_return_sequences=1"
        )
    asked = [
        name
        for name in ("output_scores", "output_logits", "output_attentions", "output_hidden_states")
        if config.return_dict_in_generate and getattr(config, name)
    ]
    if asked:
        raise InvalidParameter(
            f"found {', '.join(asked)}, which are not kept for drafts: leave it out, or generate "
            "without drafts"
        )


def _check_model(model: Any, drafter: Drafter | TextDrafter) -> None:
    if model.config.is_encoder_decoder:
        raise InvalidParameter(f"{type(model).__name__} has an encoder, expected a decoder alone")
    vocab_size = _text_config(model).vocab_size
    if drafter.vocab_size != vocab_size:
        raise TokenizerUnavailable(
            f"the drafter is for {drafter.vocab_size:,} tokens, but the model has {vocab_size:,}: "
            f"make it with vocab_size={vocab_size}, over an index that was built with the model's "
            "tokenizer"
        )
    attention = model.config._attn_implementation
    if drafter.tree and attention not in _TREE_ATTENTION:
        raise InvalidParameter(
            f"the model's attention is {attention!r}, expected one of {_TREE_ATTENTION} for drafts "
            "that are trees: Drafter(..., tree=False) makes paths, which any attention reads"
        )


def _check_cache(model: Any, cache: Any) -> None:
    if type(cache) is not DynamicCache or cache.get_seq_length():
        found = "no cache" if cache is None else f"a {type(cache).__name__}"
        raise InvalidParameter(
            f"found {found}, expected an empty DynamicCache: leave out {CACHE}, use_cache and "
            "cache_implementation"
        )
    kinds = {type(layer).__name__ for layer in DynamicCache(config=model.config).layers}
    if kinds - {"DynamicLayer"}:
        raise InvalidParameter(
            f"the model's cache has {', '.join(sorted(kinds))}, expected DynamicLayer alone: what "
            "a sliding window or a recurrent layer forgets of a draft cannot be taken back"
        )


def _check_positions(
    input_ids: torch.Tensor, mask: torch.Tensor | None, positions: torch.Tensor | None
) -> None:
    if mask is not None and not bool(mask.all()):
        raise InvalidParameter(
            f"attention_mask hides {int((mask == 0).sum())} tokens of the prompt, expected none: "
            "leave padding out, or give attention_mask=torch.ones_like(input_ids) where it is none"
        )
    plain = torch.arange(input_ids.shape[1], device=input_ids.device)[None]
    if positions is not None and not torch.equal(positions, plain):
        raise InvalidParameter("found position_ids that do not count from 0: leave them out")


# As an assistant ----------------------------------------------------------------------------------


class _DraftConfig(PretrainedConfig):
    model_type = "infgram-draft"


class DraftModel(PreTrainedModel, GenerationMixin):
    """A drafter in the place of the small model of assisted generation.

    For `model.generate(input_ids, assistant_model=DraftModel(drafter), ...)`. Where the model
    samples, tokens are drawn, and their laws go with them as log-probabilities: transformers
    accepts or rejects them as those of any assistant. The text is a request of the drafter until
    one comes that does not continue it, or until `finish`.

    `decode` is faster, and takes trees.

    Raises InvalidParameter for a drafter of trees.

    >>> import infgram
    >>> from transformers import GPT2Config, GPT2LMHeadModel
    >>> config = GPT2Config(vocab_size=256, n_embd=8, n_layer=1, n_head=1, eos_token_id=None)
    >>> model = GPT2LMHeadModel(config).eval()
    >>> assistant = DraftModel(Drafter(infgram.build(["to be or not to be"]), tree=False))
    >>> prompt = torch.tensor([list(b"to be or ")])
    >>> text = model.generate(
    ...     prompt, max_new_tokens=20, do_sample=False, assistant_model=assistant
    ... )
    >>> torch.equal(text, model.generate(prompt, max_new_tokens=20, do_sample=False))
    True
    """

    config_class = _DraftConfig

    def __init__(self, drafter: Drafter) -> None:
        if drafter.tree:
            raise InvalidParameter(
                "the drafter makes trees, expected one of paths for assisted generation: "
                "Drafter(..., tree=False)"
            )
        super().__init__(_DraftConfig(vocab_size=drafter.vocab_size))
        self._drafter = drafter
        self._text: list[int] = []
        self._request: object | None = None

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def generate(
        self,
        input_ids: torch.Tensor,
        generation_config: GenerationConfig,
        max_new_tokens: int,
        **_: Any,
    ) -> GenerateDecoderOnlyOutput:
        """What assisted generation asks of an assistant: a draft of 1 to max_new_tokens tokens."""
        self._read(input_ids[0].tolist())
        drawing = _drawing(generation_config) if generation_config.do_sample else {}
        n_tokens = min(max_new_tokens, self._drafter.max_tokens)
        draft = self._drafter.propose(self._request, n_tokens, **drawing)
        tokens, scores = _of_laws(draft, self._drafter.vocab_size)
        if not tokens:  # something has to be said: any token, as one of all that are alike
            tokens = [int(torch.randint(self._drafter.vocab_size, ())) if drawing else 0]
            scores = torch.zeros(1, self._drafter.vocab_size)
        return GenerateDecoderOnlyOutput(
            sequences=torch.cat([input_ids, input_ids.new_tensor([tokens])], 1),
            scores=tuple(scores[:, None]),
        )

    def finish(self) -> None:
        """Ends the text: what was written of it becomes part of the drafter's session."""
        if self._request is not None:
            self._drafter.stop(self._request)
        self._request = None
        self._text = []

    def _read(self, text: list[int]) -> None:
        n = len(self._text)
        if self._request is None or len(text) <= n or text[:n] != self._text:
            self.finish()
            self._request = object()
            self._drafter.start(self._request, text)
        else:
            self._drafter.accept(self._request, text[n:])
        self._text = text


def _of_laws(draft: Draft, vocab_size: int) -> tuple[list[int], torch.Tensor]:
    """The tokens of a path, and the logarithms of what they were drawn from: (n, vocab_size).

    A token that was chosen counts as one that nothing else could come in place of.
    """
    scores = torch.full((len(draft), vocab_size), -torch.inf)
    for i, token in enumerate(draft.token_ids.tolist()):
        ids, law = draft.q.get(i - 1, (np.array([token]), np.ones(1)))
        scores[i, ids.astype(np.int64)] = torch.from_numpy(law).log().to(scores.dtype)
    return draft.token_ids.tolist(), scores
