"""Tokens as they are shown: the text of token ids, whole and piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .tokens import Ids, Tokenizer

Decode = Callable[[Ids], str]

_OVERLAP_TOKENS = 32
_MAX_TOKENS_OF_A_CHARACTER = 4


def shown(tokenizer: Tokenizer, token_ids: Ids) -> str:
    """Token ids as text; bytes that are not UTF-8 show as U+FFFD, bare ids as numbers.

    >>> from infgram.text.tokens import load
    >>> shown(load("bytes"), [110, 195, 169]), shown(load("ids", vocab_size=9), [3, 7])
    ('né', '3 7')
    """
    if tokenizer.name == "ids":
        return " ".join(str(int(token_id)) for token_id in token_ids)
    return tokenizer.decode(token_ids).decode(errors="replace")


def in_pieces(chunks: Iterator[NDArray[Any]], decode: Decode) -> Iterator[str]:
    """Chunks as text, where a character, or what a decoder joins, may lie across two of them.

    Each chunk is decoded behind the last tokens before it. U+FFFD at the end may be half a
    character, so it waits for the next chunk.

    >>> from infgram.text.tokens import load
    >>> chunks = iter([np.array([110, 195]), np.array([169, 33])])
    >>> list(in_pieces(chunks, lambda ids: shown(load("bytes"), ids)))
    ['n', 'é!', '']
    """
    tail = np.zeros(0, np.uint32)
    n_shown = 0  # characters of the tail's text that were yielded
    for chunk in chunks:
        token_ids = np.concatenate([tail, chunk])
        text = decode(token_ids)
        waiting = min(len(text) - len(text.rstrip("\ufffd")), _MAX_TOKENS_OF_A_CHARACTER)
        yield text[n_shown : len(text) - waiting]
        tail = token_ids[-_OVERLAP_TOKENS:]
        n_shown = len(decode(tail)) - waiting
    yield decode(tail)[n_shown:]
