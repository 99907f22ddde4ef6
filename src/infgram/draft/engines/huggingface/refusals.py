"""What `decode` cannot do right is refused before anything is written."""

from __future__ import annotations

from typing import Any

import torch
from transformers import (
    DynamicCache,
    GenerationConfig,
    GenerationMixin,
    LogitsProcessorList,
    StoppingCriteriaList,
    UnbatchedClassifierFreeGuidanceLogitsProcessor,
)
from transformers.generation import MaxLengthCriteria
from transformers.generation.configuration_utils import GenerationMode
from transformers.generation.streamers import BaseStreamer

from ....errors import InvalidParameter, TokenizerUnavailable
from ...drafter import Drafter
from ...text_drafter import TextDrafter, check_drafter
from .library import CACHE


def check_texts(input_ids: torch.Tensor, config: GenerationConfig) -> None:
    """Raises InvalidParameter for what is not sampling or greedy writing, or asks for too much."""
    if input_ids.ndim != 2 or not input_ids.numel():
        raise InvalidParameter(
            f"input_ids has the shape {tuple(input_ids.shape)}, expected texts of at least one "
            "token each: (texts, tokens)"
        )
    mode = config.get_generation_mode()
    if mode not in (GenerationMode.GREEDY_SEARCH, GenerationMode.SAMPLE):
        raise InvalidParameter(
            f"the generation mode is {mode.value!r}, expected greedy search or sampling with "
            "num_beams=1: drafts are verified token by token; leave out what asks for "
            f"{mode.value!r}, or generate without drafts"
        )
    asked = [
        name
        for name in ("output_attentions", "output_hidden_states")
        if config.return_dict_in_generate and getattr(config, name)
    ]
    if asked:
        raise InvalidParameter(
            f"found {', '.join(asked)}, which are not kept for drafts: leave it out, or generate "
            "without drafts"
        )


def check_batch(
    input_ids: torch.Tensor,
    config: GenerationConfig,
    processors: LogitsProcessorList,
    criteria: StoppingCriteriaList,
    streamer: BaseStreamer | None,
) -> None:
    """Raises InvalidParameter for what looks at several texts at once."""
    if len(input_ids) == 1:
        return
    if streamer is not None:
        raise InvalidParameter(
            f"found stream_to for {len(input_ids)} texts, expected one text: a streamer cannot "
            "tell texts apart"
        )
    for processor in processors:
        if isinstance(processor, UnbatchedClassifierFreeGuidanceLogitsProcessor):
            raise InvalidParameter(
                f"found guidance_scale for {len(input_ids)} texts, expected one text: it reads all "
                "texts at each token, and drafts are accepted for each text on its own"
            )
    stops = [each for each in criteria if not isinstance(each, MaxLengthCriteria)]
    if stops and getattr(config, "_pad_token_tensor", None) is None:
        raise InvalidParameter(
            f"found {type(stops[0]).__name__} for {len(input_ids)} texts and no pad_token_id, "
            "expected one: the texts may end at different lengths"
        )


def check_causal(model: Any) -> None:
    """Raises InvalidParameter for what is no model that writes a text from left to right."""
    if not isinstance(model, GenerationMixin):
        raise InvalidParameter(
            f"model is a {type(model).__name__}, expected a causal model of transformers, as "
            "AutoModelForCausalLM.from_pretrained(name) gives one"
        )
    _check_decoder(model)


def check_model(model: Any, drafter: Drafter | TextDrafter) -> None:
    """Raises InvalidParameter, TokenizerUnavailable."""
    check_drafter(drafter=drafter)
    _check_decoder(model)
    vocab_size = model.config.get_text_config().vocab_size
    if drafter.vocab_size != vocab_size:
        raise TokenizerUnavailable(
            f"the drafter is for {drafter.vocab_size:,} tokens, but the model has {vocab_size:,}: "
            f"make it with vocab_size={vocab_size}, over an index that was built with the model's "
            "tokenizer"
        )


def _check_decoder(model: Any) -> None:
    if model.config.is_encoder_decoder:
        raise InvalidParameter(f"{type(model).__name__} has an encoder, expected a decoder alone")


def check_inputs(
    model: Any, input_ids: torch.Tensor, config: GenerationConfig, model_kwargs: dict[str, Any]
) -> None:
    """Raises InvalidParameter for anything beside token ids, masks of padding and empty caches."""
    given = dict(model_kwargs)
    for harmless in ("use_cache", "logits_to_keep"):
        given.pop(harmless, None)
    _check_cache(model, config, given.pop(CACHE, None))
    mask = given.pop("attention_mask", None)
    _check_padding(input_ids, mask)
    _check_positions(input_ids, mask, given.pop("position_ids", None))
    others = [name for name, value in given.items() if value is not None]
    if "streamer" in others:
        raise InvalidParameter("found streamer, expected stream_to: give the streamer as that")
    if others:
        raise InvalidParameter(
            f"found {', '.join(others)}, expected token ids alone: a draft is of text"
        )


def _check_cache(model: Any, config: GenerationConfig, cache: Any) -> None:
    if cache is None and config.use_cache is False:
        return  # what it would read again each time is what drafts are read behind
    if cache is None:
        raise InvalidParameter(
            f"transformers makes no cache for {type(model).__name__}, which has its own kind: what "
            "is read of a draft in vain cannot be taken back from it; generate without drafts"
        )
    if type(cache) is not DynamicCache:
        found = f"a {type(cache).__name__}"
    elif _has_read(cache):
        found = "a cache that has read something"
    elif getattr(cache, "offloading", False):
        found = "a cache that is offloaded"
    else:
        return
    raise InvalidParameter(
        f"found {found}, expected an empty DynamicCache: leave out {CACHE} and cache_implementation"
    )


def _has_read(cache: DynamicCache) -> bool:
    """Keys of attention, and states of what is recurrent, one or several a layer."""
    for layer in cache.layers:
        for name in ("keys", "conv_states", "recurrent_states"):
            state = getattr(layer, name, None)
            states = state.values() if isinstance(state, dict) else [state]
            if any(each is not None and each.numel() for each in states):
                return True
    return False


def _check_padding(input_ids: torch.Tensor, mask: torch.Tensor | None) -> None:
    if mask is None:
        return
    if mask.shape != input_ids.shape:
        raise InvalidParameter(
            f"attention_mask has the shape {tuple(mask.shape)}, expected that of input_ids, "
            f"{tuple(input_ids.shape)}"
        )
    seen = mask != 0
    if not bool(seen[:, -1].all()) or bool((seen[:, :-1] & ~seen[:, 1:]).any()):
        raise InvalidParameter(
            "attention_mask hides tokens that are not in front of a prompt, expected padding on "
            "the left: tokenizer.padding_side = 'left', or attention_mask="
            "torch.ones_like(input_ids) where nothing is padding"
        )


def _check_positions(
    input_ids: torch.Tensor, mask: torch.Tensor | None, positions: torch.Tensor | None
) -> None:
    if positions is None:
        return
    seen = torch.ones_like(input_ids) if mask is None else (mask != 0).long()
    usual = seen.cumsum(1) - 1
    same = (positions == usual) | (seen == 0) if positions.ndim == 2 else torch.zeros(1)
    if not bool(same.all()):
        raise InvalidParameter("found position_ids that do not count from 0: leave them out")
