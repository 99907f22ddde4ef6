"""An index that grows: segments added, documents removed, segments merged.

A writer reads the current list, writes a segment beside it, and puts a new list in its place, if
the one that it read is still current; otherwise it looks again. So writers do not wait for each
other's sorting, and none undoes what another has done.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import CorruptIndex, EmptyCorpus, UnsupportedFormat
from ..text.reading.document import Document
from ..text.tokens import Tokenizer
from .building import MAX_SHARD_TOKENS, Encoded, encoded, write_index
from .directory import Directory
from .documents import ShardDocuments
from .generations import Building, building
from .memory import enough
from .segments import Segment, Segments, end_of, of_one, open_segments
from .storage import Progress, StoredIndex, bind
from .verification import sorted_rows

RATIO = 4
"""After a merge, each segment is at least so many times as large as all behind it together."""

_Numbers = NDArray[np.int64]


def add_documents(
    documents: Iterable[Document],
    path: str | os.PathLike[str],
    *,
    tokenizer: Tokenizer,
    shard_tokens: int = MAX_SHARD_TOKENS,
    jobs: int = 1,
    on_bad: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> Segments:
    """Adds documents to an index, behind all others, as a segment of its own.

    Options as in `build_index`. O(what is added), but once or twice in the life of an index: where
    its codes need more bits, and where it is of format 1, all of it is written anew.

    Raises EmptyCorpus, InputError, TokenError, StorageError, UnsupportedFormat, OutOfMemory.
    """
    root = Path(path)
    pairs: Iterable[Encoded] = encoded(documents, tokenizer)
    while True:
        base = _base(root)
        known = base.newest.column("token_ids")
        with _new(root) as new:
            codes = write_index(
                pairs,
                new.folder,
                tokenizer=tokenizer,
                known=known,
                shard_tokens=shard_tokens,
                jobs=jobs,
                layout=base.layout,
                on_bad=on_bad,
                progress=progress,
            )
            while _fits(base, *codes):
                if (grown := _listed(new, base, partial(_with_added, base))) is not None:
                    return grown
                base = _base(root)
            with Directory.open(new.folder) as folder:
                pairs = list(_documents(bind(folder, verify=False), tokenizer))
        if base.name is None or codes[1] != base.newest.layout.code_bits:
            anew = chain(_left(base.segments, tokenizer), pairs)
            if (whole := _whole(root, base, anew, tokenizer, jobs, progress)) is not None:
                return whole


def remove_documents(
    path: str | os.PathLike[str],
    choose: Callable[[Segments], _Numbers],
    *,
    tokenizer: Tokenizer,
) -> tuple[Segments, int]:
    """Removes the documents whose numbers `choose` gives; also returns how many they are.

    O(what is removed), and the length of the last document that is left. Their text stays on the
    disk until `merge_segments` purges it. `choose` is asked again where the index has changed.

    Raises EmptyCorpus if no token would be left, StorageError, and what `choose` raises.
    """
    root = Path(path)
    while True:
        base = _base(root)
        chosen = np.unique(choose(base))
        if not len(chosen):
            return base, 0
        left = _without(base.segments, chosen)
        gone = [
            np.setdiff1d(after.removed, before.removed)
            for before, after in zip(base.segments, left, strict=True)
        ]
        pairs = list(
            chain.from_iterable(
                _documents(segment.stored, tokenizer, numbers)
                for segment, numbers in zip(base.segments, gone, strict=True)
            )
        )
        n_gone = sum(len(ids) for _, ids in pairs if not isinstance(ids, Exception))
        if n_gone == base.n_tokens:
            raise EmptyCorpus(
                f"{root} would have no tokens left: remove the folder, or add documents first"
            )
        if base.name is None:
            found = _whole(root, base, _left(left, tokenizer), tokenizer)
        else:
            with _new(root) as new:
                write_index(
                    pairs,
                    new.folder,
                    tokenizer=tokenizer,
                    known=base.newest.column("token_ids"),
                    layout=base.layout,
                )
                found = _listed(new, base, partial(_with_removed, base, left))
        if found is not None:
            return found, len(chosen)


def merge_segments(
    path: str | os.PathLike[str],
    *,
    tokenizer: Tokenizer,
    purge: bool = False,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Segments:
    """Makes fewer segments of many, which answer the same.

    Joins the last ones until each segment is at least `RATIO` times as large as all behind it, and
    removals likewise: an index to which n segments of a size were added has O(log n), and each
    token was sorted O(log n) times. `purge`: makes one build of all, without what was removed.

    Raises StorageError, OutOfMemory.
    """
    root = Path(path)
    while True:
        base = open_segments(root)
        if base.is_one:
            return base
        if purge:
            anew = _left(base.segments, tokenizer)
            if (whole := _whole(root, base, anew, tokenizer, jobs, progress)) is not None:
                return whole
            continue
        stored: Sequence[StoredIndex] = [segment.stored for segment in base.segments]
        parts = _with_joined
        if _first_to_join(stored) == len(stored) - 1:
            stored, parts = base.removals, _with_joined_removals
        first = _first_to_join(stored)
        if first >= len(stored) - 1:
            return base
        with _new(root) as new:
            write_index(
                chain.from_iterable(_documents(each, tokenizer) for each in stored[first:]),
                new.folder,
                tokenizer=tokenizer,
                known=base.newest.column("token_ids"),
                layout=base.layout,
                jobs=jobs,
                progress=progress,
            )
            _listed(new, base, partial(parts, base, first))


def _first_to_join(stored: Sequence[StoredIndex]) -> int:
    """From which one on all must become one, so that each is `RATIO` times as large as the rest."""
    sizes = [each.layout.n_tokens for each in stored]
    first = len(sizes) - 1
    behind = 0
    for i in range(len(sizes) - 1, 0, -1):
        behind += sizes[i]
        if sizes[i - 1] < RATIO * behind:
            first = i - 1
    return first


# Lists --------------------------------------------------------------------------------------------

_Parts = tuple[tuple[Segment, ...], tuple[StoredIndex, ...]]


def _listed(
    new: Building, base: Segments, parts: Callable[[StoredIndex], _Parts]
) -> Segments | None:
    """Makes a list current, one segment of which was just written; None if another came first."""

    def bound(folder: Directory) -> Segments:
        segments, removals = parts(bind(folder, path=base.root / new.name))
        return Segments(base.root, None, segments, removals, end_of(segments))

    found = new.succeed(base.name, bound, listed=lambda it: (it.listed(), it.names()))
    return None if found is None else replace(found[1], name=found[0])


def _with_added(base: Segments, stored: StoredIndex) -> _Parts:
    return (*base.segments, Segment(stored)), base.removals


def _with_removed(base: Segments, left: Sequence[Segment], stored: StoredIndex) -> _Parts:
    return tuple(left), (*base.removals, stored)


def _with_joined(base: Segments, first: int, stored: StoredIndex) -> _Parts:
    """What was removed from segments is removed from the one that they have become."""
    joined = base.segments[first:]
    firsts = np.cumsum([0, *(segment.stored.layout.n_documents for segment in joined)])
    removed = [segment.removed + n for segment, n in zip(joined, firsts, strict=False)]
    return (*base.segments[:first], Segment(stored, np.concatenate(removed))), base.removals


def _with_joined_removals(base: Segments, first: int, stored: StoredIndex) -> _Parts:
    return base.segments, (*base.removals[:first], stored)


def _without(segments: Sequence[Segment], chosen: _Numbers) -> list[Segment]:
    """Segments without documents of these numbers, counted through what is left of them."""
    left = []
    for segment in segments:
        mine = chosen[(chosen >= 0) & (chosen < segment.n_documents)]
        chosen = chosen - segment.n_documents
        removed = np.union1d(segment.removed, segment.left[mine])
        left.append(Segment(segment.stored, removed))
    return left


# Parts --------------------------------------------------------------------------------------------


def _base(root: Path) -> Segments:
    """What is to grow. Raises UnsupportedFormat for a two-sided index."""
    base = open_segments(root)
    if any(stored.other_side is not None for stored in base.all_stored()):
        raise UnsupportedFormat(
            f"{root} is two-sided, and such an index does not grow: build it again from all of its "
            "documents, or leave the other side out if it has to grow"
        )
    return base


@contextmanager
def _new(root: Path) -> Iterator[Building]:
    with (
        enough("writing a segment", "use smaller shards or fewer jobs, or raise the limit"),
        building(root, overwrite=True) as new,
    ):
        yield new


def _fits(base: Segments, token_ids: NDArray[np.uint32], code_bits: int) -> bool:
    """Whether a segment with these codes can stand beside those of the index."""
    newest = base.newest
    known = newest.column("token_ids")
    return (
        base.name is not None
        and np.array_equal(token_ids[: len(known)], known)
        and code_bits == newest.layout.code_bits
    )


def _whole(
    root: Path,
    base: Segments,
    documents: Iterable[Encoded],
    tokenizer: Tokenizer,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Segments | None:
    """Makes one build of documents current; None if another came first."""
    with _new(root) as new:
        write_index(
            documents,
            new.folder,
            tokenizer=tokenizer,
            layout=base.layout,
            jobs=jobs,
            progress=progress,
        )
        found = new.succeed(base.name, partial(bind, path=root / new.name))
    return None if found is None else of_one(found[1], root)


def _left(segments: Iterable[Segment], tokenizer: Tokenizer) -> Iterator[Encoded]:
    """All documents that were not removed."""
    for segment in segments:
        yield from _documents(segment.stored, tokenizer, segment.left)


def all_documents(builds: Iterable[StoredIndex], tokenizer: Tokenizer) -> Iterator[Encoded]:
    """The documents of builds, one build after another, as they were when each was written."""
    return chain.from_iterable(_documents(stored, tokenizer) for stored in builds)


def _documents(
    stored: StoredIndex, tokenizer: Tokenizer, numbers: _Numbers | None = None
) -> Iterator[Encoded]:
    """Documents of a build, all or those of rising numbers, as they were when it was written."""
    ids = stored.column("token_ids")
    first = 0
    for layout in stored.layout.shards:
        local = np.arange(layout.n_documents)
        if numbers is not None:
            local = numbers[(numbers >= first) & (numbers < first + layout.n_documents)] - first
        first += layout.n_documents
        if not len(local):
            continue
        codes = sorted_rows(stored, layout)[0]
        documents = ShardDocuments(stored, layout)
        for number in local.tolist():
            begin, end = documents.bounds(number)
            found = codes[begin:end]
            if len(found) and not 0 < found.min() <= found.max() <= len(ids):
                raise CorruptIndex(
                    f"{stored.folder / layout.name} has a document with an impossible token; "
                    "build the index again"
                )
            source, line, metadata = documents.provenance(number)
            document = Document(b"", source, line, metadata, documents.is_plain_text(number))
            yield document, ids[found - found.dtype.type(1)].astype(tokenizer.dtype)
