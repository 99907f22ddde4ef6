"""Requests without an id, as engines have them: known by their tokens."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidParameter, NothingProposed, UnknownRequest
from ...text.tokens import check_ids
from ..drafter import Draft, Drafter

Tokens = NDArray[np.integer[Any]]

_COMPARED = 256  # contexts reach no further back


class Follower:
    """A running request of a drafter that is known by its tokens.

    A text is given by its last tokens, as many as there are at hand, and by how many it has in all.

    - `n_written`: how many of the tokens the model wrote; the others are the prompt.

    Raises TokenOutOfRange.

    >>> import infgram
    >>> drafter = Drafter(infgram.build(["to be or not to be"]), tree=False)
    >>> text = np.frombuffer(b"to be or not", np.uint8)
    >>> follower = Follower(drafter, text[:9], 9, n_written=1)
    >>> bytes(follower.propose(3).path().tolist())
    b'not'
    >>> follower.continues(text, 12), follower.continues(text[::-1], 12)
    (True, False)
    >>> follower.read(text, 12)
    """

    def __init__(self, drafter: Drafter, text: Tokens, n_tokens: int, n_written: int) -> None:
        check_ids(text, drafter.vocab_size)
        self._drafter = drafter
        drafter.start(self, text[: len(text) - n_written])
        drafter.extend(self, text[len(text) - n_written :])
        self._remember(text, n_tokens)

    def continues(self, text: Tokens, n_tokens: int) -> bool:
        """Whether a text goes on from what was read, judged by the last 256 tokens of it. O(1)."""
        end = self._end(text, n_tokens)
        if not 0 < end <= len(text):
            return False
        n = min(end, len(self._tail))
        return np.array_equal(text[end - n : end], self._tail[-n:])

    def read(self, text: Tokens, n_tokens: int) -> None:
        """Reads what is new of a text that goes on.

        Raises TokenOutOfRange; the request is then as it was.
        """
        new = text[self._end(text, n_tokens) :]
        if not len(new):
            return
        try:
            self._drafter.accept(self, new, len(new) - 1)
        except (NothingProposed, InvalidParameter):  # not what one step makes of a draft
            self._drafter.extend(self, new)
        except UnknownRequest:  # forgotten, since others were used later
            self._drafter.start(self, text)
        self._remember(text, n_tokens)

    def propose(self, max_tokens: int, batch_size: int = 1) -> Draft:
        """What may come next; batch_size: texts that the step reads."""
        try:
            return self._drafter.propose(self, max_tokens, batch_size=batch_size)
        except UnknownRequest:
            self._drafter.start(self, self._tail)
            return self._drafter.propose(self, max_tokens, batch_size=batch_size)

    def stop(self) -> None:
        """Ends the request; what the model wrote becomes part of the session."""
        with suppress(UnknownRequest):
            self._drafter.stop(self)

    def _end(self, text: Tokens, n_tokens: int) -> int:
        """Where in the text at hand what was read ends."""
        return self._n_tokens - (n_tokens - len(text))

    def _remember(self, text: Tokens, n_tokens: int) -> None:
        self._n_tokens = n_tokens
        self._tail = text[-_COMPARED:].copy()  # engines write on into their arrays
