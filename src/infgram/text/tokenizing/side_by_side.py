"""Alone in knowing how many texts are encoded on all cores: in batches, a bounded number at once.

A text comes as one piece or as several, and its token ids come out whole and in order, an error in
place of those of a text that has one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError, TokenError
from .ids import TokenArray

Encoded = TokenArray | InputError | TokenError
"""Of one text: its token ids, or why it has none."""

Piece = tuple[str | Encoded, bool]
"""Of a text: to be encoded, or encoded already; and whether it is the last one of its text."""

_SMALL = 64  # what a piece takes of a batch besides its characters


def encode_side_by_side(
    pieces: Iterable[Piece],
    encode: Callable[[list[str]], Sequence[Encoded]],
    *,
    at_once: int,
    room: int,
) -> Iterator[Encoded]:
    """What every text of `pieces` is encoded to, in their order.

    `encode` is called by `at_once` threads with batches of about `room` characters. Reads a batch
    more than that ahead.

    >>> def spell(texts):
    ...     return [np.array(list(text.encode()), np.uint8) for text in texts]
    >>> pieces = [("to ", False), ("be", True), ("or", True)]
    >>> [bytes(ids) for ids in encode_side_by_side(pieces, spell, at_once=2, room=100)]
    [b'to be', b'or']
    """
    parts: list[Encoded] = []
    begun: deque[tuple[list[Piece], Future[Sequence[Encoded]]]] = deque()

    def ended() -> Iterator[Encoded]:
        batch, future = begun.popleft()
        results = iter(future.result())
        for content, is_last in batch:
            parts.append(next(results) if isinstance(content, str) else content)
            if is_last:
                yield _joined(parts)
                parts.clear()

    # One batch more than there are threads is in the making, so that none waits for the next one.
    with ThreadPoolExecutor(at_once) as workers:
        for batch in _batches(pieces, room):
            texts = [content for content, _ in batch if isinstance(content, str)]
            begun.append((batch, workers.submit(encode, texts)))
            if len(begun) > at_once:
                yield from ended()
        while begun:
            yield from ended()


def _joined(parts: Sequence[Encoded]) -> Encoded:
    arrays: list[NDArray[np.uint8 | np.uint32]] = []
    for part in parts:
        if not isinstance(part, np.ndarray):
            return part
        arrays.append(part)
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _batches(pieces: Iterable[Piece], room: int) -> Iterator[list[Piece]]:
    batch: list[Piece] = []
    size = 0
    for content, is_last in pieces:
        batch.append((content, is_last))
        size += _SMALL + (len(content) if isinstance(content, str) else 0)
        if size >= room:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
