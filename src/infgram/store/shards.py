"""A shard of an open index: what the manifest says of it, its columns, its documents."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from .deriving import COMPACT_NEXT, SAMPLES
from .documents import ShardDocuments
from .layout import ShardLayout
from .storage import StoredIndex


class Shard:
    """- `layout`: what the manifest says of it; `documents`: where each stands in it.
    - `first_document`: the number of its first document in the whole index.
    """

    def __init__(self, stored: StoredIndex, layout: ShardLayout, first_document: int) -> None:
        self._stored = stored
        self.layout = layout
        self.documents = ShardDocuments(stored, layout)
        self.first_document = first_document

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
