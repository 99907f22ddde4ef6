"""The proof that an index is what a build makes of its text: what opening it takes on trust.

Every column is computed anew from the text and the suffix array, and compared; that the suffix
array sorts the text is proved without sorting it. Checksums are storage's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import native
from ..errors import CorruptIndex, InvalidParameter
from .documents import ShardDocuments
from .layout import Layout, ShardLayout
from .storage import StoredIndex


def verify_columns(stored: StoredIndex) -> None:
    """Whether the columns of every shard follow from its text. Raises CorruptIndex."""
    layout = stored.layout
    token_ids = stored.column("token_ids")
    for shard in layout.shards:
        _verify_shard(stored, layout, shard, len(token_ids) + 1)
        _verify_documents(stored, shard)


def verify_other_side(stored: StoredIndex, other: StoredIndex) -> None:
    """Whether the other index has the same documents, each read backwards. Raises CorruptIndex."""
    layout = stored.layout
    same = ["token_ids", *(f"{shard.name}/documents" for shard in layout.shards)]
    sound = all(np.array_equal(stored.column(name), other.column(name)) for name in same)
    for shard in layout.shards if sound else ():
        codes, reverse = (side.column(f"{shard.name}/codes") for side in (stored, other))
        documents = ShardDocuments(stored, shard)
        sound &= all(
            np.array_equal(codes[begin:end], reverse[begin:end][::-1])
            for begin, end in map(documents.bounds, range(len(documents)))
        )
    if not sound:
        raise CorruptIndex(
            f"{other.folder} does not hold the text backwards; build the index again"
        )


def _verify_shard(stored: StoredIndex, layout: Layout, shard: ShardLayout, n_codes: int) -> None:
    def column(name: str) -> NDArray[Any]:
        return stored.column(f"{shard.name}/{name}")

    codes, sa = column("codes"), column("sa")
    try:
        if not native.is_sorted(codes, sa, column("next"), column("buckets")):
            raise CorruptIndex(
                f"{stored.folder}: {shard.name} is not sorted; build the index again"
            )
        for name, values in _computed(codes, sa, layout, shard, n_codes):
            if not np.array_equal(values, column(name)):
                raise CorruptIndex(
                    f"{stored.folder / shard.name / name} does not follow from the text; build the "
                    "index again"
                )
    except InvalidParameter as error:  # codes outside the alphabet
        raise CorruptIndex(
            f"{stored.folder}: {shard.name}: {error}; build the index again"
        ) from error


def _computed(
    codes: NDArray[Any], sa: NDArray[np.uint32], layout: Layout, shard: ShardLayout, n_codes: int
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Columns as a build makes them."""
    buckets = native.count_buckets(codes, n_codes)
    yield "buckets", buckets
    next_ = np.empty_like(codes)
    same = np.empty(len(codes), np.uint8)
    shared = native.shared_contexts(codes, sa)
    end_row = native.fill_next_and_same(codes, sa, shared, next_, same)
    del shared
    yield "next", next_
    yield "same", same
    if end_row != shard.end_row:
        raise InvalidParameter(f"the end of the text is row {end_row}, not {shard.end_row}")
    if layout.code_bits == 8:
        blocks, supers = native.block_ranks(next_, buckets, layout.block_rows)
        yield "rank_blocks", blocks
        yield "rank_supers", supers
    else:
        yield "psi", native.psi(next_, buckets)


def _verify_documents(stored: StoredIndex, shard: ShardLayout) -> None:
    """Whether documents stand between the boundaries of the text, and all that is told of them can
    be read."""
    codes = stored.column(f"{shard.name}/codes")
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
