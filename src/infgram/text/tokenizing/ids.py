"""The gate that every token id from outside passes."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ... import native
from ...errors import TokenError, TokenOutOfRange

TokenArray = NDArray[np.uint8 | np.uint32]
"""Token ids that were checked: one-dimensional, of bytes or of 32-bit numbers."""

Ids = Sequence[int] | NDArray[np.integer[Any]]
"""Token ids as a caller may give them, before `check_ids`."""

ABSENT = 2**32 - 1
"""No token id: what no corpus has. Among probabilities, all tokens together that a corpus lacks."""


def check_ids(ids: Ids, vocab_size: int) -> TokenArray:
    """`ids` as a contiguous, aligned array of shape (n,), each id checked to be in the vocabulary.

    Takes integers of any width, tensors too, and never wraps one; copies nothing that already is
    uint32, or uint8 where `vocab_size` is at most 256, and returns uint32 for everything else.
    O(n).

    Raises TokenOutOfRange for the first id that is negative or not below `vocab_size`,
    TokenError for anything that is not a flat sequence of integers.

    >>> check_ids([5, 7], 10)
    array([5, 7], dtype=uint32)
    """
    plain: TokenArray | None = native.plain_ids(ids, vocab_size)
    if plain is not None:
        return plain
    array = ids if isinstance(ids, np.ndarray) else _array_of(ids, vocab_size)
    if array.ndim != 1:
        raise TokenError(f"token ids must be flat, of shape (n,); got shape {array.shape}")
    if array.dtype.kind not in "iu":
        raise TokenError(f"token ids must be integers; got an array of {array.dtype}")
    if array.size and (int(array.max()) >= vocab_size or int(array.min()) < 0):
        place = int(np.argmax((array < 0) | (array >= vocab_size)))
        _refuse(int(array[place]), place, vocab_size)
    narrow = array.dtype == np.uint8 and vocab_size <= 256
    return np.require(array, np.uint8 if narrow else np.uint32, ["C", "A"])


def _array_of(ids: Any, vocab_size: int) -> NDArray[Any]:
    """A Python sequence as an array. numpy alone would let True pass for 1 and round 2**63."""
    if hasattr(ids, "detach"):  # a tensor of torch, wherever it is
        return _array_of_tensor(ids)
    if isinstance(ids, str | bytes):
        raise TokenError("got text where token ids are expected: encode it first")
    if not isinstance(ids, Sequence):
        raise TokenError(f"expected text or a flat sequence of token ids; got {type(ids).__name__}")
    for kind in set(map(type, ids)):
        if kind is bool or not issubclass(kind, int | np.integer):
            raise TokenError(f"token ids must be integers; got {kind.__name__}")
    try:
        return np.fromiter(map(index, ids), np.int64, len(ids))
    except OverflowError:
        for place, number in enumerate(ids):
            if not 0 <= number < vocab_size:
                _refuse(int(number), place, vocab_size)
        raise


def _array_of_tensor(tensor: Any) -> NDArray[Any]:
    if tensor.is_floating_point():
        raise TokenError(f"token ids must be integers; got a tensor of {tensor.dtype}")
    array: NDArray[Any] = tensor.detach().cpu().numpy()
    return array


def _refuse(token: int, place: int, vocab_size: int) -> NoReturn:
    raise TokenOutOfRange(
        f"token id {token} at place {place} is outside the vocabulary: expected 0 to "
        f"{vocab_size - 1}; was the text encoded with another tokenizer?"
    )


def refuse_hole(name: str, token: int) -> NoReturn:
    """Raises TokenOutOfRange: below the size of the vocabulary, and no token."""
    raise TokenOutOfRange(f"token id {token} stands for nothing in the vocabulary of {name!r}")
