"""Writing new text: tokens are drawn one after another, and read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidParameter
from .tokens import Ids

_CHUNK_TOKENS = 4096
_CHUNK_TOKENS_TO_STOP = 128
_OVERLAP_TOKENS = 32
_MAX_TOKENS_OF_A_CHARACTER = 4

Reason = Literal["length", "end_of_text", "stop", "max_copy"]
Decode = Callable[[Ids], str]


@dataclass(frozen=True, slots=True)
class TraceLevel:
    """What one level had to say about a token: its weight in the mixture, its own probability.

    `m` is 0 for the uniform distribution behind all levels; `live` levels are of the text itself.
    """

    n: int
    m: int
    live: bool
    weight: float
    prob: float


@dataclass(frozen=True, slots=True)
class TokenTrace:
    """Where a token came from.

    - `token_id`, `text`: the token.
    - `prob`: its probability under the estimator, at temperature 1 and without limits.
    - `n`, `m`: of the longest level of the corpus.
    - `levels`: the mixture, longest level first.
    - `match`: the longest context of the token, and the token: what `Index.find` takes to tell its
      source documents.
    """

    token_id: int
    text: str
    prob: float
    n: int
    m: int
    levels: tuple[TraceLevel, ...]
    match: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Generation:
    """Generated text, without its prompt.

    - `text`: the text; bytes that are not UTF-8 show as U+FFFD.
    - `token_ids`: uint32 array of shape (n_tokens,), an end of text not among them.
    - `finish_reason`: "length" after max_tokens, "end_of_text" where a document ended, "stop"
      before a stop string, "max_copy" where every next token would have made a run too long.
    - `trace`: one entry a token, if it was asked for.
    """

    text: str
    token_ids: NDArray[np.uint32]
    finish_reason: Reason
    trace: tuple[TokenTrace, ...] | None = None


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn.

    - `max_tokens`: how many, unless the text ends before.
    - `temperature`: probabilities are raised to its inverse; 0 takes the most probable token.
    - `top_k`: only so many of the most probable tokens; 0 for all.
    - `top_p`: only the most probable of those that together have this probability.
    - `min_p`: only those with at least this share of the most probable one's probability.
    - `max_copy`: no run of more generated tokens stands in the corpus, except across the end of a
      document: where one would, the next token is drawn from what never followed it, if need be
      after shorter contexts. None for no limit.
    - `stop`: strings before which the text ends.

    >>> Sampling(stop="ROMEO:").stops
    ('ROMEO:',)
    """

    max_tokens: int = 500
    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    max_copy: int | None = None
    stop: str | Sequence[str] = ()

    def __post_init__(self) -> None:
        _check_whole("max_tokens", self.max_tokens, 0)
        _check_whole("top_k", self.top_k, 0)
        if self.max_copy is not None:
            _check_whole("max_copy", self.max_copy, 1)
        for name in ("temperature", "top_p", "min_p"):
            value = getattr(self, name)
            if not isinstance(value, (int, float, np.number)):
                raise InvalidParameter(f"{name} is {value!r}, expected a number")
        if not 0 <= self.temperature < math.inf:
            raise InvalidParameter(
                f"temperature is {self.temperature}, expected a number of at least 0"
            )
        if not 0 < self.top_p <= 1:
            raise InvalidParameter(f"top_p is {self.top_p}, expected above 0 and up to 1")
        if not 0 <= self.min_p <= 1:
            raise InvalidParameter(f"min_p is {self.min_p}, expected 0 to 1")
        if not all(isinstance(stop, str) and stop for stop in self.stops):
            raise InvalidParameter(f"stop is {self.stop!r}, expected strings that are not empty")

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop strings."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)


class Sampler(Protocol):
    """Draws tokens from a context that it reads on."""

    def sample(self, n: int) -> tuple[NDArray[np.uint32], str]:
        """Up to n tokens, and why there are fewer: "", "end_of_text" or "max_copy"."""


def run(sampler: Sampler, sampling: Sampling, decode: Decode) -> Generation:
    """All of a text."""
    chunks: list[NDArray[np.uint32]] = []
    reasons: list[Reason] = []
    pieces = _texts(_chunks(sampler, sampling, chunks, reasons), decode)
    text = "".join(_until_stop(pieces, sampling))
    token_ids = np.concatenate([np.zeros(0, np.uint32), *chunks])
    reason: Reason = reasons[0] if reasons else "stop"
    if sampling.stops and len(decode(token_ids)) > len(text):
        token_ids = token_ids[: _n_tokens_of(text, token_ids, decode)]
        reason = "stop"
    return Generation(text, token_ids, reason)


def stream(sampler: Sampler, sampling: Sampling, decode: Decode) -> Iterator[str]:
    """The text of `run`, piece by piece as it is made."""
    return _until_stop(_texts(_chunks(sampler, sampling, [], []), decode), sampling)


def _chunks(
    sampler: Sampler,
    sampling: Sampling,
    made: list[NDArray[np.uint32]],
    reasons: list[Reason],
) -> Iterator[NDArray[np.uint32]]:
    left = sampling.max_tokens
    while left:
        wanted = min(left, _CHUNK_TOKENS_TO_STOP if sampling.stops else _CHUNK_TOKENS)
        chunk, ended = sampler.sample(wanted)
        made.append(chunk)
        if ended:
            reasons.append("max_copy" if ended == "max_copy" else "end_of_text")
        yield chunk
        if ended:
            return
        left -= wanted
    reasons.append("length")


def _texts(chunks: Iterator[NDArray[np.uint32]], decode: Decode) -> Iterator[str]:
    """Chunks as text, where a character, or what a decoder joins, may lie across two of them.

    Each chunk is decoded behind the last tokens before it. U+FFFD at the end may be half a
    character, so it waits for the next chunk.
    """
    tail = np.zeros(0, np.uint32)
    shown = 0  # characters of the tail's text that were yielded
    for chunk in chunks:
        token_ids = np.concatenate([tail, chunk])
        text = decode(token_ids)
        waiting = min(len(text) - len(text.rstrip("\ufffd")), _MAX_TOKENS_OF_A_CHARACTER)
        yield text[shown : len(text) - waiting]
        tail = token_ids[-_OVERLAP_TOKENS:]
        shown = len(decode(tail)) - waiting
    yield decode(tail)[shown:]


def _until_stop(pieces: Iterator[str], sampling: Sampling) -> Iterator[str]:
    """Pieces up to the first stop string; what may be the beginning of one waits."""
    longest = max(map(len, sampling.stops), default=1)
    waiting = ""
    for piece in pieces:
        waiting += piece
        # the one that ends first, wherever pieces end
        found = [(at + len(s), at) for s in sampling.stops if (at := waiting.find(s)) >= 0]
        if found:
            yield waiting[: min(found)[1]]
            return
        settled = max(len(waiting) - longest + 1, 0)
        yield waiting[:settled]
        waiting = waiting[settled:]
    yield waiting


def _n_tokens_of(text: str, token_ids: NDArray[np.uint32], decode: Decode) -> int:
    """The fewest tokens whose text reaches as far."""
    low, high = 0, len(token_ids)
    while low < high:
        middle = (low + high) // 2
        if len(decode(token_ids[:middle])) < len(text):
            low = middle + 1
        else:
            high = middle
    while low < len(token_ids) and not decode(token_ids[:low]).startswith(text):
        low += 1  # half a character is as long as a whole one
    return low


def _check_whole(name: str, value: object, least: int) -> None:
    if not isinstance(value, (int, np.integer)) or value < least:
        raise InvalidParameter(f"{name} is {value!r}, expected a whole number of at least {least}")
