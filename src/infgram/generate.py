"""Writing new text: a prompt is read, then tokens are drawn one after another."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from . import _core
from .errors import InvalidParameter
from .estimators import SBIS
from .index import Index, Query, generator

_SAMPLERS = {
    _core.Cursor8: _core.Sampler8,
    _core.Cursor16: _core.Sampler16,
    _core.Cursor32: _core.Sampler32,
}
_CHUNK_TOKENS = 4096
_OVERLAP_TOKENS = 32
_MAX_TOKENS_OF_A_CHARACTER = 4


@dataclass(frozen=True, slots=True)
class Generation:
    """Generated text, without its prompt.

    - `text`: the text; bytes that are not UTF-8 show as U+FFFD.
    - `token_ids`: uint32 array of shape (n_tokens,), an end of text not among them.
    - `finish_reason`: "length" after max_tokens, "end_of_text" where a document ended.
    """

    text: str
    token_ids: NDArray[np.uint32]
    finish_reason: Literal["length", "end_of_text"]


def generate(
    index: Index,
    prompt: Query = (),
    *,
    max_tokens: int = 500,
    k: int = 2,
    decay: float = 0.1,
    weighting: Literal["counts", "distributions"] = "counts",
    window: int = 200,
    temperature: float = 0.8,
    seed: int | np.random.Generator | None = None,
) -> Generation:
    """Generates up to `max_tokens` tokens after `prompt` by SBIS.

    An empty prompt begins a document. Text ends early where a document would. Where nothing of the
    context occurs in the corpus, the next token is drawn from all of it. The same seed gives the
    same text. `k`, `decay`, `weighting` and `window` are those of `SBIS`.

    Raises InvalidParameter and, for a prompt of ids, TokenOutOfRange.

    >>> import infgram
    >>> generate(infgram.open(demo_index), "not to", max_tokens=3, k=1, seed=0).text
    ' be'
    """
    estimator = SBIS(k, decay, weighting, window)
    chunks = list(_sample(index, prompt, max_tokens, estimator, temperature, seed))
    token_ids = np.concatenate([np.zeros(0, np.uint32), *chunks])
    reason: Literal["length", "end_of_text"] = "length"
    if len(token_ids) < max_tokens:
        reason = "end_of_text"
    return Generation(index.decode(token_ids), token_ids, reason)


def stream(
    index: Index,
    prompt: Query = (),
    *,
    max_tokens: int = 500,
    k: int = 2,
    decay: float = 0.1,
    weighting: Literal["counts", "distributions"] = "counts",
    window: int = 200,
    temperature: float = 0.8,
    seed: int | np.random.Generator | None = None,
) -> Iterator[str]:
    """The text of `generate`, piece by piece as it is made.

    >>> import infgram
    >>> "".join(stream(infgram.open(demo_index), "not to", max_tokens=3, k=1, seed=0))
    ' be'
    """
    estimator = SBIS(k, decay, weighting, window)
    return _texts(index, _sample(index, prompt, max_tokens, estimator, temperature, seed))


def _sample(
    index: Index,
    prompt: Query,
    max_tokens: int,
    estimator: SBIS,
    temperature: float,
    seed: int | np.random.Generator | None,
) -> Iterator[NDArray[np.uint32]]:
    """Token ids in chunks, max_tokens in all unless a document ends; its end is not yielded.

    Arguments are checked now, and not when the first chunk is asked for.
    """
    if max_tokens < 0:
        raise InvalidParameter(f"max_tokens is {max_tokens}, expected at least 0")
    if not 0 <= temperature < math.inf:
        raise InvalidParameter(f"temperature is {temperature}, expected a number of at least 0")
    if len(prompt):
        cursor = index.cursor(prompt, window=estimator.window)
    else:
        cursor = index.start_of_document(window=estimator.window)
    bit_generator = generator(seed).bit_generator
    sampler = _SAMPLERS[type(cursor.native)](
        cursor.native,
        k=estimator.k,
        decay=estimator.decay,
        normalise=estimator.weighting == "distributions",
        window=estimator.window,
        temperature=temperature,
        bit_generator=bit_generator.capsule,
    )

    def chunks() -> Iterator[NDArray[np.uint32]]:
        left = max_tokens
        while left:
            wanted = min(left, _CHUNK_TOKENS)
            with bit_generator.lock:
                chunk = sampler.sample(wanted)
            yield chunk
            if len(chunk) < wanted:
                return
            left -= wanted

    return chunks()


def _texts(index: Index, chunks: Iterator[NDArray[np.uint32]]) -> Iterator[str]:
    """Chunks as text, where a character, or what a decoder joins, may lie across two of them.

    Each chunk is decoded behind the last tokens before it. U+FFFD at the end may be half a
    character, so it waits for the next chunk.
    """
    tail = np.zeros(0, np.uint32)
    shown = 0  # characters of the tail's text that were yielded
    for chunk in chunks:
        token_ids = np.concatenate([tail, chunk])
        text = index.decode(token_ids)
        waiting = min(len(text) - len(text.rstrip("\ufffd")), _MAX_TOKENS_OF_A_CHARACTER)
        yield text[shown : len(text) - waiting]
        tail = token_ids[-_OVERLAP_TOKENS:]
        shown = len(index.decode(tail)) - waiting
    yield index.decode(tail)[shown:]
