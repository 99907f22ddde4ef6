"""A shard of an open index: what the manifest says of it, its columns, its documents.

Documents have two numbers: in the shard, and in the whole index. There those that were removed have
none, and the others are counted as if they had never been.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .deriving import COMPACT_NEXT, SAMPLES
from .documents import ShardDocuments
from .layout import ShardLayout
from .storage import StoredIndex

_NONE: NDArray[np.int64] = np.zeros(0, np.int64)


class Shard:
    """- `layout`: what the manifest says of it; `documents`: where each stands in it.
    - `first_document`: the number of its first document in the whole index.
    - `removed`: numbers in the shard of documents that were removed, rising.
    - `n_documents`, `n_tokens`: without those.
    """

    def __init__(
        self,
        stored: StoredIndex,
        layout: ShardLayout,
        first_document: int,
        removed: NDArray[np.int64] = _NONE,
    ) -> None:
        self._stored = stored
        self.layout = layout
        self.documents = ShardDocuments(stored, layout)
        self.first_document = first_document
        self.removed = removed
        self.n_documents = layout.n_documents - len(removed)
        self.n_tokens = layout.n_tokens - (int(self._n_removed[-1]) if len(removed) else 0)

    def columns(self, block_rows: int) -> dict[str, object]:
        """What the native core borrows."""

        def column(name: str) -> NDArray[Any]:
            padded = name in ("next", "next_blocks")  # are read beyond their ends
            return self._stored.column(f"{self.layout.name}/{name}", with_padding=padded)

        fast = ["codes", "sa", "next", "same", "buckets", "rank_blocks", "rank_supers", "psi"]
        names = [*fast, *COMPACT_NEXT, *SAMPLES]
        present = [n for n in names if f"{self.layout.name}/{n}" in self._stored.columns]
        return {
            **{name: column(name) for name in present},
            "block_rows": block_rows,
            "n_rows": self.layout.n_rows,
            "end_row": self.layout.end_row,
        }

    def local(self, document: int) -> int:
        """The number in the shard of the i-th document that was not removed."""
        return document if not len(self.removed) else int(self._left[document])

    def numbers(self, local: NDArray[np.int64]) -> NDArray[np.int64]:
        """Numbers in the whole index, by those in the shard."""
        return self.first_document + local - np.searchsorted(self.removed, local)

    def are_removed(self, local: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each document was removed."""
        return np.isin(local, self.removed)

    def locate(self, n_before: int) -> tuple[int, int]:
        """The document, by its number in the whole index, and the offset in it, of the token that
        has so many before it in the shard; removed ones do not count."""
        if not len(self.removed):
            local, offset = self.documents.locate(n_before)
            return self.first_document + local, offset
        document = int(np.searchsorted(self._ends, n_before, side="right"))
        before = int(self._ends[document - 1]) if document else 0
        return self.first_document + document, n_before - before

    def tokens_before(self, positions: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Tokens before positions of the text, without boundaries and what was removed."""
        before = self.documents.tokens_before(positions)
        if not len(self.removed):
            return before
        begins, _ = self.documents.bounds_of_all(self.removed)
        return before - self._n_removed[np.searchsorted(begins, positions, side="right")]

    @cached_property
    def _n_removed(self) -> NDArray[np.int64]:
        """Tokens of the first i documents that were removed."""
        begins, ends = self.documents.bounds_of_all(self.removed)
        return np.concatenate([_NONE, [0], np.cumsum(ends - begins)])

    @cached_property
    def _left(self) -> NDArray[np.int64]:
        return np.delete(np.arange(self.layout.n_documents), self.removed)

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        """Tokens up to the end of each document that was not removed."""
        begins, ends = self.documents.bounds_of_all(self._left)
        return np.cumsum(ends - begins)
