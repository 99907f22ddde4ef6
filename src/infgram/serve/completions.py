"""POST /v1/completions, as OpenAI's API and those that imitate it have it.

What would change the text and is not offered is refused, and not ignored.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from ..models.model import Seed
from ..models.sampling import Generation, Sampling
from ..seeds import spawn
from .answers import Json
from .catalogue import Catalogue, Served
from .fields import Fields, read_object
from .logprobs import Logprobs, logprobs_of
from .metrics import Metrics
from .refusals import Refusal
from .settings import Limits, Settings
from .streams import events
from .work import Threads, Watch

_DEFAULT_TOKENS = 16
_CHUNK = 64
"""Tokens between two looks at the clock, and of a piece of a stream."""

# Of no consequence to what is written.
_IGNORED = ("user", "metadata", "store", "service_tier", "timeout")
# What they must be, if they are there: nothing else is offered.
_FIXED: dict[str, object] = {
    "suffix": "",
    "logit_bias": {},
    "presence_penalty": 0,
    "frequency_penalty": 0,
}


@dataclass(frozen=True)
class Asked:
    """A request: prompts as text or token ids, the ends of documents among them."""

    served: Served
    name: str
    prompts: Sequence[str | list[int]]
    n: int
    seed: int | None
    logprobs: int | None
    echo: bool
    stream: bool
    include_usage: bool
    sampling: Sampling

    def ids(self, prompt: str | list[int]) -> list[int]:
        """A prompt in tokens."""
        if isinstance(prompt, list):
            return prompt
        found: list[int] = self.served.hosted.index.ids(prompt).tolist()
        return found

    def echoed(self, prompt: str | list[int]) -> str:
        """A prompt as the beginning of its answer, if that was asked for."""
        if not self.echo or isinstance(prompt, str):
            return str(prompt) if self.echo else ""
        index = self.served.hosted.index
        return index.decode([each for each in prompt if each != index.end_of_text])

    def seeds(self) -> list[Seed]:
        """Of the texts after a prompt: those of `generate` and `samples`."""
        return [self.seed] if self.n == 1 else list(spawn(self.seed, self.n))


def read(given: dict[str, Any], catalogue: Catalogue, limits: Limits) -> Asked:
    """A request, checked. Raises Refusal."""
    fields = Fields(given)
    for name in _IGNORED:
        fields.take(name)
    name = fields.take("model")
    served = catalogue.model(name)
    for field, only in _FIXED.items():
        if (value := fields.take(field, only)) != only:
            raise Refusal(
                f"{field} is {value!r:.80}, expected none: it is not offered", param=field
            )
    prompts = _prompts(fields.take("prompt", ""), served, limits)
    n = fields.whole("n", 1, 1, limits.n)
    if fields.whole("best_of", n, 1) != n:
        raise Refusal(f"best_of must be n, {n}: it is not offered", param="best_of")
    most = limits.max_tokens // (n * len(prompts))
    max_tokens = fields.whole("max_tokens", min(_DEFAULT_TOKENS, most), 0, most)
    options = fields.take("stream_options", {})
    if not isinstance(options, dict):
        raise Refusal("stream_options must be an object", param="stream_options")
    asked = Asked(
        served,
        str(name or catalogue.model_names()[0]),
        prompts,
        n,
        _seed(fields),
        _logprobs(fields, limits),
        fields.flag("echo"),
        fields.flag("stream"),
        bool(options.get("include_usage")),
        _sampling(fields, max_tokens, limits),
    )
    fields.end()
    return asked


def _prompts(prompt: Any, served: Served, limits: Limits) -> list[str | list[int]]:
    """One prompt or several, each text or ids."""
    several = isinstance(prompt, list) and prompt and isinstance(prompt[0], str | list)
    prompts = prompt if several else [prompt]
    if len(prompts) > limits.prompts:
        raise Refusal(
            f"prompt has {len(prompts)} prompts, expected at most {limits.prompts}", param="prompt"
        )
    for each in prompts:
        ids = isinstance(each, list) and all(type(token_id) is int for token_id in each)
        if not ids and not isinstance(each, str):
            raise Refusal(
                "prompt must be a string, a list of token ids, or a list of those", param="prompt"
            )
        if len(each) > limits.prompt_tokens:
            raise Refusal(
                f"a prompt of length {len(each):,} is too long, expected at most "
                f"{limits.prompt_tokens:,}",
                param="prompt",
            )
        if ids:
            served.model.tokenizer.check(each, ends=True)
    return list(prompts)


def _seed(fields: Fields) -> int | None:
    return fields.whole("seed", 0, 0, 2**64) if fields.has("seed") else None


def _logprobs(fields: Fields, limits: Limits) -> int | None:
    """How many are told of each token; some clients say `true` for one."""
    given = fields.take("logprobs")
    if given is None or given is False:
        return None
    return (
        1 if given is True else Fields({"logprobs": given}).whole("logprobs", 0, 0, limits.logprobs)
    )


def _sampling(fields: Fields, max_tokens: int, limits: Limits) -> Sampling:
    stop = fields.take("stop", [])
    stops = [stop] if isinstance(stop, str) else stop
    if not isinstance(stops, list) or not all(isinstance(each, str) and each for each in stops):
        raise Refusal("stop must be a string, or a list of strings, none empty", param="stop")
    if len(stops) > limits.stops or max(map(len, stops), default=0) > limits.stop_characters:
        raise Refusal(
            f"stop has {len(stops)} strings, expected at most {limits.stops} of "
            f"{limits.stop_characters:,} characters",
            param="stop",
        )
    sampling = Sampling(
        max_tokens=max_tokens,
        temperature=fields.number("temperature", 1.0, 0, 100),
        top_p=fields.number("top_p", 1.0, 0, 1),
        top_k=max(fields.whole("top_k", 0, -1, 2**32 - 1), 0),
        min_p=fields.number("min_p", 0.0, 0, 1),
        stop=stops,
    )
    if fields.has("max_copy"):
        sampling["max_copy"] = fields.whole("max_copy", 1, 1)
    return sampling


@dataclass(frozen=True)
class Choice:
    """A text that was written: how it ended, its tokens, and how probable they were."""

    made: Generation
    logprobs: Logprobs | None

    @property
    def finish_reason(self) -> str:
        """ "length" or "stop"."""
        return "length" if self.made.finish_reason == "length" else "stop"


class Completions:
    """The endpoint."""

    def __init__(
        self, catalogue: Catalogue, settings: Settings, threads: Threads, metrics: Metrics
    ) -> None:
        self._catalogue = catalogue
        self._settings = settings
        self._threads = threads
        self._metrics = metrics

    async def __call__(self, request: Request) -> Response:
        """Writes texts, whole or as a stream."""
        given = await read_object(request, self._settings.limits)
        asked = read(given, self._catalogue, self._settings.limits)
        head = {
            "id": f"cmpl-{secrets.token_hex(12)}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": asked.name,
            "system_fingerprint": asked.served.hosted.index.identity[:16],
        }
        if asked.stream:
            return events(self._streamed(asked, head), request.url.path)
        return Json(
            await self._threads.watched(
                request.receive, lambda watch: self._whole(asked, head, watch)
            )
        )

    def _whole(self, asked: Asked, head: dict[str, Any], watch: Watch) -> dict[str, Any]:
        choices: list[dict[str, Any]] = []
        n_prompt = n_written = 0
        for prompt in asked.prompts:
            n_prompt += len(asked.ids(prompt))
            for seed in asked.seeds():
                choice = _drained(self._write(asked, prompt, seed, watch.check))
                n_written += len(choice.made.token_ids)
                text = asked.echoed(prompt) + choice.made.text
                choices.append(_choice(len(choices), text, choice.finish_reason, choice.logprobs))
        return head | {"choices": choices, "usage": _usage(n_prompt, n_written)}

    async def _streamed(self, asked: Asked, head: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        watch = self._threads.watch()
        n_prompt = n_written = index = 0
        for prompt in asked.prompts:
            n_prompt += len(asked.ids(prompt))
            for seed in asked.seeds():
                if echoed := asked.echoed(prompt):
                    yield head | {"choices": [_choice(index, echoed)]}
                ended: list[Choice] = []
                pieces = _until_end(self._write(asked, prompt, seed, watch.check), ended)
                async for piece in self._threads.each(pieces):
                    if piece:
                        yield head | {"choices": [_choice(index, piece)]}
                (choice,) = ended
                n_written += len(choice.made.token_ids)
                last = _choice(index, "", choice.finish_reason, choice.logprobs)
                yield head | {"choices": [last]}
                index += 1
        if asked.include_usage:
            yield head | {"choices": [], "usage": _usage(n_prompt, n_written)}

    def _write(
        self, asked: Asked, prompt: str | list[int], seed: Seed, check: Callable[[], None]
    ) -> Generator[str, None, Choice]:
        """A text piece by piece; `check` is called between two."""
        check()
        given = prompt if isinstance(prompt, str) else np.array(prompt, np.uint32)
        pieces = asked.served.model.stream(given, seed=seed, chunk=_CHUNK, **asked.sampling)
        while True:
            try:
                piece = next(pieces)
            except StopIteration as end:
                made: Generation = end.value
                break
            yield piece
            check()
        self._metrics.tokens += len(made.token_ids)
        if asked.logprobs is None:
            return Choice(made, None)
        logprobs = logprobs_of(
            asked.served,
            asked.ids(prompt),
            _with_end(asked, made),
            asked.logprobs,
            echo=asked.echo,
            check=check,
        )
        return Choice(made, logprobs)


def _with_end(asked: Asked, made: Generation) -> list[int]:
    """The tokens that were drawn, the end of the text among them: clients count them."""
    ids: list[int] = made.token_ids.tolist()
    ended = made.finish_reason == "end_of_text"
    return [*ids, asked.served.model.end_of_text] if ended else ids


def _drained(pieces: Generator[str, None, Choice]) -> Choice:
    ended: list[Choice] = []
    for _ in _until_end(pieces, ended):
        pass
    return ended[0]


def _until_end(pieces: Generator[str, None, Choice], ended: list[Choice]) -> Iterator[str]:
    """The pieces; then `ended` has what they are in all."""
    ended.append((yield from pieces))


def _choice(
    index: int, text: str, finish_reason: str | None = None, logprobs: Logprobs | None = None
) -> dict[str, Any]:
    return {
        "index": index,
        "text": text,
        "logprobs": logprobs,
        "finish_reason": finish_reason,
    }


def _usage(n_prompt: int, n_written: int) -> dict[str, int]:
    return {
        "prompt_tokens": n_prompt,
        "completion_tokens": n_written,
        "total_tokens": n_prompt + n_written,
    }
