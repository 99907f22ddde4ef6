"""A model with drafts and without, timed in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import MOST_THREADS, number, several, whole
from ..errors import InputError, InvalidParameter, MissingExtra
from ..extras import how_to_install
from ..text import tokens
from ..values.value import Value
from .drafter import Drafter
from .text_drafter import TextDrafter, check_drafter

_DRAFTS = "infgram, drafts"


def load_model(name: str, *, threads: int | None = None) -> Any:
    """A causal model of transformers, by its folder or its name, on a GPU where there is one.

    threads: of torch, on a CPU; at most 1,024.

    Raises MissingExtra, InputError, InvalidParameter.
    """
    try:
        import torch
        from transformers import AutoModelForCausalLM
    except ImportError as error:
        raise MissingExtra(
            f"models need torch and transformers: {how_to_install('draft')}"
        ) from error
    if threads is not None:
        whole(1, MOST_THREADS, threads=threads)
        torch.set_num_threads(threads)
    try:
        model = AutoModelForCausalLM.from_pretrained(name).eval()
    except Exception as error:  # of any library that reads a file of it
        said = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InputError(
            f"{name!r} is no causal model of transformers that can be loaded: {said}"
        ) from error
    return model.to("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True, eq=False, repr=False)
class Way(Value):
    """One way to write the same texts. seconds: of each round, for all prompts."""

    name: str
    seconds: tuple[float, ...]
    n_tokens: int
    tokens_per_step: float

    @property
    def median(self) -> float:
        """Tokens a second."""
        return self.n_tokens / float(np.median(self.seconds))


@dataclass(frozen=True, eq=False, repr=False)
class Speed(Value):
    """What drafts are worth.

    - `ways`: transformers' own loop, infgram's without drafts, infgram's with them.
    - `n_different`: prompts whose text was not the same in all ways and rounds. Drafts that are
      drawn give other texts of the same law, and are not compared.
    """

    ways: tuple[Way, ...]
    n_different: int

    @property
    def speed_up(self) -> float:
        """With drafts, to the faster of the others."""
        *plain, drafted = (way.median for way in self.ways)
        return drafted / max(plain)


def measure_speed(
    model: Any,
    drafter: Drafter | TextDrafter,
    prompts: Sequence[tokens.Ids],
    *,
    max_new_tokens: int = 200,
    rounds: int = 5,
    temperature: float = 0.0,
) -> Speed:
    """Writes after every prompt, with drafts and without, in turn; a round before that warms up.

    - `prompts`: token ids, at least one each.
    - `max_new_tokens`: behind each prompt; the model must have positions for them.
    - `temperature`: 0 takes the likeliest tokens.

    The drafter's session is forgotten before each round, so that it cannot know a text that it
    drafted a round before; within a round it may learn from one prompt's text for the next one's.

    Raises InvalidParameter, TokenError, MissingExtra, and what `decode` raises.
    """
    from .engines.huggingface import Report
    from .engines.huggingface.refusals import check_causal, check_model

    check_causal(model)
    check_drafter("forget_session", drafter=drafter)
    check_model(model, drafter)
    whole(1, max_new_tokens=max_new_tokens, rounds=rounds)
    number(0, temperature=temperature)
    ids = _prompts(prompts, drafter.vocab_size)
    _check_room(model, ids, max_new_tokens)
    writers = _writers(model, drafter, max_new_tokens, temperature)
    seconds: dict[str, list[float]] = {name: [] for name in writers}
    reports = {name: Report() for name in writers}
    texts: list[set[tuple[int, ...]]] = [set() for _ in ids]
    n_tokens = 0
    for turn in range(rounds + 1):
        for name, write in writers.items():
            drafter.forget_session()
            report = Report()
            started = time.perf_counter()
            written = [write(prompt, report) for prompt in ids]
            if turn:
                seconds[name].append(time.perf_counter() - started)
            reports[name] = report
            n_tokens = sum(map(len, written))
            if name != _DRAFTS or temperature == 0 or not drafter.draws:
                for known, text in zip(texts, written, strict=True):
                    known.add(text)
    return Speed(
        tuple(
            Way(name, tuple(taken), n_tokens, reports[name].tokens_per_step)
            for name, taken in seconds.items()
        ),
        sum(len(known) > 1 for known in texts),
    )


def _prompts(given: Sequence[tokens.Ids], vocab_size: int) -> list[tokens.TokenArray]:
    several("lists of token ids", prompts=given)
    prompts = [tokens.check_ids(prompt, vocab_size) for prompt in given]
    if not prompts:
        raise InvalidParameter("found 0 prompts, expected at least one")
    for place, prompt in enumerate(prompts):
        if not len(prompt):
            raise InvalidParameter(f"prompt {place} is empty, expected at least one token")
    return prompts


def _check_room(model: Any, prompts: Sequence[tokens.TokenArray], max_new_tokens: int) -> None:
    from .engines.huggingface import most_tokens

    longest = max(map(len, prompts))
    if longest + max_new_tokens > most_tokens(model):
        raise InvalidParameter(
            f"max_new_tokens is {max_new_tokens} behind a prompt of {longest} tokens, expected at "
            f"most {most_tokens(model)} together: the model has no more positions"
        )


def _writers(
    model: Any, drafter: Drafter | TextDrafter, max_new_tokens: int, temperature: float
) -> dict[str, Callable[[tokens.Ids, Any], tuple[int, ...]]]:
    import torch

    from .engines.huggingface import decode

    sampling = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
    how = sampling if temperature > 0 else {"do_sample": False}
    nothing = Drafter(vocab_size=drafter.vocab_size, max_tokens=0, session_tokens=0)

    def write(prompt: tokens.Ids, report: Any, **drafts: Any) -> tuple[int, ...]:
        ids = torch.as_tensor(np.asarray(prompt, np.int64), device=model.device)[None]
        torch.manual_seed(0)
        more = {"custom_generate": decode, "report": report, **drafts} if drafts else {}
        text = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=max_new_tokens, **how, **more
        )
        if not drafts:
            report.n_steps = report.n_tokens = text.shape[1] - ids.shape[1]
        return tuple(text[0, ids.shape[1] :].tolist())

    return {
        "transformers": write,
        "infgram, no drafts": lambda prompt, report: write(
            prompt, report, drafter=nothing, sample_drafts=False
        ),
        _DRAFTS: lambda prompt, report: write(prompt, report, drafter=drafter),
    }
