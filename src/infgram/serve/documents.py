"""Documents as clients show them: the tokens around a place, and where the document comes from."""

from __future__ import annotations

import json
import ntpath
from dataclasses import dataclass

import numpy as np

from ..index import Index
from ..results import IndexedDocument
from .settings import Settings


@dataclass(frozen=True)
class Window:
    """Tokens of a document around a place.

    - `begin`: the first of them in the document. `place`: what they are around, counted from there.
    - `length`: tokens of the document.
    """

    shown: IndexedDocument
    begin: int
    place: int
    length: int


def window(index: Index, document: int, offset: int, before: int, behind: int) -> Window:
    """Up to `before` tokens in front of a place of a document, and `behind` from there on.

    >>> import infgram
    >>> found = window(infgram.build(["to be or not to be"]), 0, 3, 2, 4)
    >>> found.shown.text, found.begin, found.place, found.length
    ('o be o', 1, 2, 18)
    """
    begin = max(offset - before, 0)
    shown = index.document(document, begin=begin, end=offset + behind)
    return Window(shown, begin, offset - begin, index.document_length(document))


def place_of(index: Index, shard: int, position: int) -> tuple[int, int]:
    """The document at a position of a shard, and the token of it.

    >>> import infgram
    >>> place_of(infgram.build(["to be", "or not"]), 0, 7)
    (1, 0)
    """
    before = index.source_offsets(np.array([shard]), np.array([position], np.uint32))
    return index.locate(int(before[0]))


def source_of(source: str, settings: Settings) -> str:
    """A source as it is told: the name of a file, unless paths are to be shown.

    >>> source_of("/home/ann/corpus.txt", Settings())
    'corpus.txt'
    """
    return source if settings.show_paths else ntpath.basename(source)


def metadata_of(document: IndexedDocument, settings: Settings) -> str:
    """Where a document comes from, as infini-gram's indexes have it: JSON in a string."""
    return json.dumps(
        {
            "path": source_of(document.source, settings),
            "linenum": document.line,
            "metadata": document.metadata,
        }
    )
