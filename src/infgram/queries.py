"""What is asked of an index, as token ids: of one that is mapped here, and of those elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from .errors import InfgramError, InvalidParameter
from .text.tokens import ABSENT, Query, Tokenizer

Queries: TypeAlias = Iterable[Query] | NDArray[Any]
_Given = TypeVar("_Given")


class TakesQueries:
    """Reads queries as its tokenizer does."""

    tokenizer: Tokenizer

    @property
    def end_of_text(self) -> int:
        """The id that stands for the end of a document: the first one outside the vocabulary."""
        return self.tokenizer.vocab_size

    def ids(self, query: Query) -> NDArray[Any]:
        """A query as token ids. Raises TokenOutOfRange and what the tokenizer raises."""
        if isinstance(query, (str, bytes)):
            return self.tokenizer.encode(query)
        return self.tokenizer.check(query)

    def _looked_up(self, query: Query) -> NDArray[Any]:
        """A query as token ids that are compared: what a tokenizer does not know equals nothing."""
        if isinstance(query, (str, bytes)):
            return self.tokenizer.encode_ngram(query)
        return self.ids(query)

    def ngram_ids(self, query: Query) -> NDArray[Any]:
        """An n-gram as the token ids that are looked up: what has no token occurs nowhere.

        Only an empty query is the empty n-gram, not text without a token. Raises as `ids` does.

        >>> import infgram
        >>> infgram.build(["to be"]).ngram_ids("be").tolist()
        [98, 101]
        """
        ids = self._looked_up(query)
        if len(ids) or not len(query):
            return ids
        return np.array([ABSENT], np.uint32)

    def _looked_for(self, ngram: Query) -> NDArray[Any]:
        ids = self.ngram_ids(ngram)
        if not len(ids):
            raise InvalidParameter("cannot find the empty n-gram: give at least one token")
        return ids


def several(asked: str, queries: Iterable[_Given]) -> list[_Given]:
    """Queries, but not the parts of one. Raises InvalidParameter."""
    if isinstance(queries, (str, bytes)) or not isinstance(queries, Iterable):
        raise InvalidParameter(f"{asked} takes several, got {queries!r}: give a list of them")
    return list(queries)


@contextmanager
def numbered(i: int) -> Iterator[None]:
    """What is raised says which of many queries it is of."""
    try:
        yield
    except InfgramError as error:
        raise type(error)(f"query {i}, from 0: {error}") from error
