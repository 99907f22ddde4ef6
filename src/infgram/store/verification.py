"""The proof that an index is what a build makes of its text: what opening it takes on trust.

Every column is computed anew from the text and the suffix array, and compared; that the suffix
array sorts the text is proved without sorting it. Checksums are storage's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import native
from ..errors import CorruptIndex, InvalidParameter
from .deriving import COMPACT_NEXT, compact_columns, expanded, fast_columns
from .documents import ShardDocuments
from .layout import FAST, ShardLayout
from .storage import StoredIndex


def verify_columns(stored: StoredIndex) -> None:
    """Whether the columns of every shard follow from its text. Raises CorruptIndex."""
    n_codes = len(stored.column("token_ids")) + 1
    for shard in stored.layout.shards:
        _verify_documents(stored, shard, _verified_text(stored, shard, n_codes))


def verify_other_side(stored: StoredIndex, other: StoredIndex) -> None:
    """Whether the other index has the same documents, each read backwards. Raises CorruptIndex."""
    layout = stored.layout
    same = ["token_ids", *(f"{shard.name}/documents" for shard in layout.shards)]
    sound = all(np.array_equal(stored.column(name), other.column(name)) for name in same)
    for s, shard in enumerate(layout.shards) if sound else ():
        codes = sorted_rows(stored, shard)[0]
        reverse = sorted_rows(other, other.layout.shards[s])[0]
        documents = ShardDocuments(stored, shard)
        sound &= all(
            np.array_equal(codes[begin:end], reverse[begin:end][::-1])
            for begin, end in map(documents.bounds, range(len(documents)))
        )
    if not sound:
        raise CorruptIndex(
            f"{other.folder} does not hold the text backwards; build the index again"
        )


def sorted_rows(
    stored: StoredIndex, shard: ShardLayout
) -> tuple[NDArray[Any], NDArray[np.uint32], NDArray[Any]]:
    """The text of a shard, its suffix array and `next`, whatever the layout.

    Of the compact layout they are computed, and not proved. Raises CorruptIndex.
    """

    def column(name: str) -> NDArray[Any]:
        return stored.column(f"{shard.name}/{name}", with_padding=name == "next_blocks")

    layout = stored.layout
    if layout.kind == FAST:
        return column("codes"), column("sa"), column("next")
    columns = {name: column(name) for name in (*COMPACT_NEXT, "buckets")}
    return expanded(columns, layout.code_bits, shard.n_rows, shard.end_row)


def check_sorted(
    stored: StoredIndex,
    shard: ShardLayout,
    rows: tuple[NDArray[Any], NDArray[np.uint32], NDArray[Any]],
) -> None:
    """Raises CorruptIndex unless the suffix array sorts the text."""
    codes, sa, next_ = rows
    if not native.is_sorted(codes, sa, next_, stored.column(f"{shard.name}/buckets")):
        raise CorruptIndex(f"{stored.folder}: {shard.name} is not sorted; build the index again")


def _verified_text(stored: StoredIndex, shard: ShardLayout, n_codes: int) -> NDArray[Any]:
    """The text of a shard, all of whose columns follow from it."""

    def compare(name: str, values: NDArray[Any]) -> NDArray[Any]:
        if not np.array_equal(values, stored.column(f"{shard.name}/{name}")):
            raise CorruptIndex(
                f"{stored.folder / shard.name / name} does not follow from the text; build the "
                "index again"
            )
        return values

    layout = stored.layout
    try:
        rows = codes, sa, next_ = sorted_rows(stored, shard)
        check_sorted(stored, shard, rows)
        if layout.kind == FAST:
            end_row = fast_columns(
                compare, codes, sa, n_codes=n_codes, block_rows=layout.block_rows
            )
            if end_row != shard.end_row:
                raise InvalidParameter(f"the end of the text is row {end_row}, not {shard.end_row}")
        else:
            compact_columns(compare, next_, sa, np.asarray(native.count_buckets(codes, n_codes)))
    except InvalidParameter as error:  # codes outside the alphabet
        raise CorruptIndex(
            f"{stored.folder}: {shard.name}: {error}; build the index again"
        ) from error
    return codes


def _verify_documents(stored: StoredIndex, shard: ShardLayout, codes: NDArray[Any]) -> None:
    """Whether documents stand between the boundaries of the text, and all that is told of them can
    be read."""
    boundaries = np.flatnonzero(codes == 0)
    expected = np.append(boundaries[: shard.n_documents], shard.n_tokens + shard.n_documents)
    if not np.array_equal(stored.column(f"{shard.name}/documents"), expected):
        raise CorruptIndex(
            f"{stored.folder / shard.name / 'documents'} does not follow from the text; build the "
            "index again"
        )
    documents = ShardDocuments(stored, shard)
    for document in range(len(documents)):
        documents.provenance(document)
        documents.is_plain_text(document)
