"""How a text is cut into tokens, and how it is cut where other text stands in front of it."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import InfgramError
from .tokens import ABSENT, Tokenizer

# A blank may be carried by the token behind it; other characters show how text goes on.
_IN_FRONT = ("", "\n", "a", ".", "(")


def other_cuts(tokenizer: Tokenizer, text: str) -> Iterator[list[int]]:
    """The tokens of a text behind a blank, and behind other characters, where they are others.

    A tokenizer cuts a text that it is given as the beginning of one; in the middle of another
    text, the same characters can be other tokens. Not all ways are tried.

    >>> from infgram.text.tokens import load
    >>> [bytes(ids) for ids in other_cuts(load("bytes"), "be")]
    [b' be']
    """
    seen = [_ids(tokenizer, text)]
    begun = [(_ids(tokenizer, front), front) for front in _IN_FRONT]
    for before, front in [([], " "), *begun]:
        ids = _ids(tokenizer, front + text)
        if ids[: len(before)] != before or (front.strip() and not before):
            continue
        ids = ids[len(before) :]
        if ids and ids not in seen and ABSENT not in ids:
            seen.append(ids)
            yield ids


def pieces_of(tokenizer: Tokenizer, token_ids: list[int]) -> list[str]:
    """Each token as the vocabulary has it; what the tokenizer does not know, as its name for that.

    >>> from infgram.text.tokens import load
    >>> pieces_of(load("bytes"), [98, 101])
    ['b', 'e']
    """
    unknown = tokenizer.unknown_id
    ids = [unknown if i == ABSENT and unknown is not None else i for i in token_ids]
    return [tokenizer.piece(i) for i in ids]


def _ids(tokenizer: Tokenizer, text: str) -> list[int]:
    try:
        ids: list[int] = tokenizer.encode_ngram(text).tolist()
    except InfgramError:  # words without a token
        return []
    return ids
