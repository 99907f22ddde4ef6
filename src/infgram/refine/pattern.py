"""Text with holes in it, "To be, {8..14} that is": alone in knowing that notation."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import InvalidParameter

LENGTHS = (1, 12)  # of {}
MAX_LENGTH = 64
_FORMS = "a hole is {}, {8} or {8..14}, and {{ and }} are braces"
_HOLE = re.compile(r"\{\s*(?:(\d+)\s*(?:\.\.\s*(\d+)\s*)?)?\}")
_SHOWN = 12  # characters of what is wrong


@dataclass(frozen=True, slots=True)
class Hole:
    """From `least` to `most` tokens, both included, at character `at` of the pattern."""

    least: int
    most: int
    at: int


@dataclass(frozen=True, slots=True)
class Pattern:
    """What stands before, between and behind the holes: one text more than there are holes."""

    texts: tuple[str, ...]
    holes: tuple[Hole, ...]


def parse(pattern: str) -> Pattern:
    """Reads a pattern.

    - `{8}` is a hole of 8 tokens, `{8..14}` one of 8 to 14, `{}` one of 1 to 12, `{{` and `}}` are
      braces.

    Raises InvalidParameter, which says where.

    >>> parse("To be, {8..14} that is")
    Pattern(texts=('To be, ', ' that is'), holes=(Hole(least=8, most=14, at=7),))
    """
    texts, holes = [""], list[Hole]()
    at = 0
    while at < len(pattern):
        if pattern[at : at + 2] in ("{{", "}}"):
            texts[-1] += pattern[at]
            at += 2
        elif pattern[at] == "{":
            hole, at = _hole(pattern, at)
            holes.append(hole)
            texts.append("")
        elif pattern[at] == "}":
            raise _malformed(pattern, at, "a } without its {")
        else:
            texts[-1] += pattern[at]
            at += 1
    if not holes:
        raise InvalidParameter(f"the pattern has no hole to fill: {_FORMS}")
    return Pattern(tuple(texts), tuple(holes))


def _hole(pattern: str, at: int) -> tuple[Hole, int]:
    """The hole that begins there, and where it ends."""
    match = _HOLE.match(pattern, at)
    if not match:
        end = pattern.find("}", at)
        if end < 0:
            raise _malformed(pattern, at, "a { without its }")
        raise _malformed(pattern, at, "neither a length nor a range of lengths")
    first, last = match.groups()
    if first is None:
        return Hole(*LENGTHS, at), match.end()
    least, most = int(first), int(last or first)
    if least < 1:
        raise _malformed(pattern, at, "a hole of length 0, expected at least 1")
    if most < least:
        raise _malformed(
            pattern, at, f"an empty range, expected the larger of {least} and {most} last"
        )
    if most > MAX_LENGTH:
        raise _malformed(pattern, at, f"a hole that is too long, expected at most {MAX_LENGTH}")
    return Hole(least, most, at), match.end()


def _malformed(pattern: str, at: int, found: str) -> InvalidParameter:
    more = "..." if at + _SHOWN < len(pattern) else ""
    return InvalidParameter(
        f"character {at + 1} of the pattern, {pattern[at : at + _SHOWN] + more!r}: found {found}; "
        f"{_FORMS}"
    )
