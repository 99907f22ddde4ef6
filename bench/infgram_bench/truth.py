"""The right answers, by scanning the text: what everyone's answers are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infgram.errors import InfgramError


class WrongAnswers(InfgramError):
    """Who gave them is out, or, if it is infgram, has a fault that must be mended."""


def check(what: str, answers: Sequence[Any], right: Sequence[Any]) -> None:
    """Raises WrongAnswers."""
    if len(answers) != len(right):
        raise WrongAnswers(f"{what}: {len(answers):,} answers to {len(right):,} questions")
    wrong = sum(bool(a != b) for a, b in zip(answers, right, strict=True))
    if wrong:
        raise WrongAnswers(f"{what}: {wrong:,} of {len(right):,} answers are WRONG")


def count(data: bytes, ngram: bytes) -> int:
    """Occurrences, overlapping ones too."""
    found, position = 0, data.find(ngram)
    while position >= 0:
        found, position = found + 1, data.find(ngram, position + 1)
    return found


def next_counts(data: bytes, context: bytes) -> dict[int, int]:
    """How often each byte follows the context."""
    matches = _matches(data, context)
    return _tally(data, matches[-1]) if len(matches) == len(context) else {}


def levels(data: bytes, context: bytes) -> list[tuple[int, int]]:
    """(n, m) of every back-off level, longest first: n bytes of context, m matches with a next."""
    found: list[tuple[int, int]] = []
    for n, positions in reversed(list(enumerate(_matches(data, context), start=1))):
        if not found or len(positions) > found[-1][1]:
            found.append((n, len(positions)))
    return found


def longest(data: bytes, context: bytes) -> tuple[int, dict[int, int]]:
    """The longest suffix that has a next byte: its length, and how often each byte follows it."""
    matches = _matches(data, context)
    return len(matches), _tally(data, matches[-1]) if matches else {}


def _matches(data: bytes, context: bytes) -> list[NDArray[np.int64]]:
    """For n = 1, 2, ... the positions after the context's last n bytes, while there are any."""
    text = np.frombuffer(data, np.uint8)
    positions: NDArray[np.int64] | None = None
    matches = []
    for n, byte in enumerate(reversed(context), start=1):
        if positions is None:
            positions = np.flatnonzero(text[:-1] == byte) + 1
        else:
            positions = positions[positions >= n]
            positions = positions[text[positions - n] == byte]
        if not len(positions):
            break
        matches.append(positions)
    return matches


def _tally(data: bytes, positions: NDArray[np.int64]) -> dict[int, int]:
    counts = np.bincount(np.frombuffer(data, np.uint8)[positions], minlength=256)
    return {byte: int(counts[byte]) for byte in np.flatnonzero(counts).tolist()}
