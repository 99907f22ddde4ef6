"""The documents of a shard: where each stands, where it came from, what came with it.

Columns may hold anything, from an index that nobody checked: what contradicts itself is
CorruptIndex where it is met.
"""

from __future__ import annotations

import bisect
import json
import os
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CorruptIndex
from .layout import ShardLayout
from .storage import StoredIndex, Strings

PLAIN_TEXT, RECORDS = 0, 1
"""What `source_kinds` says of a source: its documents are parts of it as it stands, or not."""


class ShardDocuments:
    """Documents are numbered from 0 inside the shard; positions are places of the shard's text."""

    def __init__(self, stored: StoredIndex, shard: ShardLayout) -> None:
        self._stored = stored
        self._shard = shard

    # Columns, when they are first asked for.

    @cached_property
    def _boundaries(self) -> NDArray[np.uint32]:
        """The position of each document's boundary, then n_rows."""
        return self._stored.column(f"{self._shard.name}/documents")

    @cached_property
    def _sources(self) -> NDArray[np.uint32]:
        return self._stored.column(f"{self._shard.name}/document_sources")

    @cached_property
    def _lines(self) -> NDArray[np.uint32]:
        return self._stored.column(f"{self._shard.name}/document_lines")

    @cached_property
    def _names(self) -> Strings:
        return self._stored.strings("sources")

    @cached_property
    def _kinds(self) -> NDArray[np.uint8] | None:
        has = "source_kinds" in self._stored.columns
        return self._stored.column("source_kinds") if has else None

    @cached_property
    def _metadata(self) -> Strings | None:
        name = f"{self._shard.name}/metadata"
        return self._stored.strings(name) if name in self._stored.columns else None

    def __len__(self) -> int:
        return self._shard.n_documents

    def bounds(self, document: int) -> tuple[int, int]:
        """Positions [begin, end) of a document's tokens."""
        begin, end = int(self._boundaries[document]) + 1, int(self._boundaries[document + 1])
        if not begin <= end <= self._shard.n_rows:
            raise self._corrupt("documents are out of order")
        return begin, end

    def at_all(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """The document that holds each position."""
        documents = np.searchsorted(self._boundaries, positions.astype(np.uint32), "right") - 1
        outside = (positions < 0) | (positions >= self._shard.n_rows)
        if (outside | (documents < 0) | (documents >= len(self))).any():
            raise self._corrupt("a match lies outside every document")
        return documents

    def bounds_of_all(
        self, documents: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Of each document the positions [begin, end) of its tokens."""
        begins = self._boundaries[documents].astype(np.int64) + 1
        ends = self._boundaries[documents + 1].astype(np.int64)
        if ((begins > ends) | (ends > self._shard.n_rows)).any():
            raise self._corrupt("documents are out of order")
        return begins, ends

    def locate(self, n_before: int) -> tuple[int, int]:
        """The document, and the offset in it, of the token that has so many before it. O(log n)."""
        document = bisect.bisect_right(range(len(self)), n_before, key=self._tokens_until)
        if document < len(self):
            begin, end = self.bounds(document)
            offset = n_before - (begin - 1 - document)
            if 0 <= offset < end - begin:
                return document, offset
        raise self._corrupt("documents are out of order")

    def _tokens_until(self, document: int) -> int:
        """Tokens of the documents up to and including this one."""
        return int(self._boundaries[document + 1]) - (document + 1)

    def tokens_before(self, positions: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Tokens before positions of the text, boundaries not counted."""
        n_boundaries = np.searchsorted(self._boundaries[:-1], positions, side="right")
        return positions.astype(np.int64) - n_boundaries

    def provenance(self, document: int) -> tuple[str, int, dict[str, Any]]:
        """Source, line where it begins (0: the whole file), and what came with it."""
        source = os.fsdecode(self._names[int(self._sources[document])])
        return source, int(self._lines[document]), self._metadata_of(document)

    def is_plain_text(self, document: int) -> bool:
        """Whether lines of a document are lines of its source: it is a part of it as it stands.

        In an index that does not say, only of a document that is its whole source.
        """
        if self._kinds is None:
            return not self._lines[document]
        source = int(self._sources[document])
        if source >= len(self._kinds):
            raise self._corrupt("a document has a source of no kind")
        return bool(self._kinds[source] == PLAIN_TEXT)

    def of_source(self, source: str) -> NDArray[np.int64]:
        """The documents that came from a source, rising."""
        name = os.fsencode(source)
        known = [i for i in range(len(self._names)) if self._names[i] == name]
        return np.flatnonzero(np.isin(self._sources, known))

    def where(self, fields: Mapping[str, object]) -> NDArray[np.int64]:
        """The documents whose metadata has all of these fields with these values, rising. O(n)."""
        if self._metadata is None:
            return np.zeros(0, np.int64)
        return np.array(
            [
                document
                for document in range(len(self))
                if fields.items() <= self._metadata_of(document).items()
            ],
            np.int64,
        )

    def _metadata_of(self, document: int) -> dict[str, Any]:
        raw = self._metadata[document] if self._metadata is not None else b""
        if not raw:
            return {}
        try:
            metadata = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise self._corrupt(f"metadata is not JSON: {error}") from error
        if not isinstance(metadata, dict):
            raise self._corrupt(f"metadata is {metadata!r:.80}, expected an object")
        return metadata

    def _corrupt(self, what: str) -> CorruptIndex:
        return CorruptIndex(
            f"{self._stored.folder}: of {self._shard.name}, {what}; build the index again"
        )
