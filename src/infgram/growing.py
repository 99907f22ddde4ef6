"""An index that grows: documents added, removed, and merged into one build again.

What is on the disk never changes: a small list of its parts is replaced. docs/howto/growing.md
tells how it is used, store/segments.py what it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import methodcaller
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checks import instance
from .create import documents_of
from .errors import IndexReplaced, InvalidParameter
from .index import Index, open
from .store.building import MAX_SHARD_TOKENS
from .store.documents import ShardDocuments
from .store.growing import add_documents, merge_segments, remove_documents
from .store.segments import Segments
from .store.storage import Progress
from .text.corpus import Format, Split, TokenDtype


def add(
    index: Index | str | os.PathLike[str],
    inputs: Any,
    *,
    documents: Split = "file",
    glob: str = "**/*",
    exclude: Sequence[str] = (),
    gitignore: bool = True,
    text_field: str = "text",
    format: Format | None = None,
    encoding: str | None = None,
    token_dtype: TokenDtype | None = None,
    separator: int | None = None,
    shard_tokens: int = MAX_SHARD_TOKENS,
    jobs: int = 1,
    skip_bad: bool = False,
    progress: Progress | None = None,
) -> Index:
    """Adds documents to an index, behind those that it has, and opens what it is now.

    - `index`: an index or the path of one. One that is open stays as it was: take what is returned,
      or `Index.refresh`.
    - `inputs` and all else: as `build` takes them. The tokenizer and the layout are the index's.

    Every count, next-token distribution, level, occurrence and match length is what an index built
    afresh of all documents would tell, and so is what SBIS and Longest generate. All else (Kneser-
    Ney, `Mix`, drafts, `repeats` and more) raises NeedsMerge until `merge` with `purge=True`.

    O(what is added), however large the index is; but where its token ids need codes of more bits,
    which happens twice in its life at most, all of it is written anew. Several processes may add at
    the same time. Raises InputError, TokenError, StorageError, UnsupportedFormat for a two-sided
    index.

    >>> import infgram
    >>> index = infgram.build(["to be"])
    >>> infgram.add(index, ["or not to be"]).count("to be")
    2
    """
    opened = index if isinstance(index, Index) else open(index)
    found, _, on_bad = documents_of(
        inputs,
        opened.tokenizer,
        skip_bad=skip_bad,
        progress=progress,
        documents=documents,
        glob=glob,
        exclude=exclude,
        gitignore=gitignore,
        text_field=text_field,
        format=format,
        encoding=encoding,
        token_dtype=token_dtype,
        separator=separator,
    )
    grown = add_documents(
        found,
        opened.path,
        tokenizer=opened.tokenizer,
        shard_tokens=shard_tokens,
        jobs=jobs,
        on_bad=on_bad,
        progress=progress,
    )
    return opened.become(grown)


def remove(
    index: Index | str | os.PathLike[str],
    *,
    documents: Iterable[int] = (),
    sources: Iterable[str] = (),
    where: Mapping[str, object] | None = None,
) -> Index:
    """Removes documents from an index, and opens what it is now.

    - `documents`: their numbers, as `find` and `document` have them in `index`. Give all at once:
      the documents behind a removed one move up, as if it had never been there.
    - `sources`: the names of their files, as `document` has them.
    - `where`: fields of their metadata and the values that all of these must have.

    What is named by any of the three is removed, and nothing counts it any more; the text stays on
    the disk until `merge` with `purge=True`. What `add` says of answers and of several processes is
    so here, too. O(what is removed), `where` O(n_documents).

    Raises InvalidParameter where nothing is named so, IndexReplaced if `index` is open and has
    changed since, so that the numbers mean others; EmptyCorpus if no token would be left.

    >>> import infgram
    >>> index = infgram.build(["to be", "or not to be"])
    >>> infgram.remove(index, documents=[0]).count("to be")
    1
    """
    numbers = list(documents)
    names = [sources] if isinstance(sources, str) else list(sources)
    opened = index if isinstance(index, Index) else open(index)

    def choose(base: Segments) -> NDArray[np.int64]:
        found = [_numbered(base, opened, numbers)] if numbers else []
        for name in names:
            instance(str, "sources are names of files, as Index.document has them", source=name)
            of_source = methodcaller("of_source", name)
            found.append(_chosen(base, of_source, f"the source {name!r}"))
        if where:
            said = ", ".join(f"{field}={value!r}" for field, value in where.items())
            found.append(_chosen(base, methodcaller("where", where), f"the metadata {said}"))
        if not found:
            raise InvalidParameter("nothing is to be removed: give documents, sources or where")
        return np.concatenate(found)

    left, _ = remove_documents(opened.path, choose, tokenizer=opened.tokenizer)
    return opened.become(left)


def merge(
    index: Index | str | os.PathLike[str],
    *,
    purge: bool = False,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Index:
    """Makes fewer segments of an index that has grown, and opens what it is now.

    It answers as before, faster; no document gets another number. Small segments are joined, the
    last ones first, until each is at least four times as large as all behind it.

    - `purge`: makes one build of all of it, as `build` would of the documents that are left: then
      Kneser-Ney and all else work again, and what was removed is not on the disk any more.
    - `jobs`, `progress`: as in `build`.

    Readers are not disturbed. A change that another process makes in the meantime is kept: the
    merge begins again. Raises StorageError, OutOfMemory.

    >>> import infgram
    >>> index = infgram.add(infgram.build(["to be"]), ["or not to be"])
    >>> infgram.merge(index, purge=True).count("to be")
    2
    """
    opened = index if isinstance(index, Index) else open(index)
    merged = merge_segments(
        opened.path, tokenizer=opened.tokenizer, purge=purge, jobs=jobs, progress=progress
    )
    return opened.become(merged)


def _numbered(base: Segments, opened: Index, numbers: Sequence[int]) -> NDArray[np.int64]:
    if base.identity != opened.identity:
        raise IndexReplaced(
            f"{opened.path} has changed since it was opened, and documents have other numbers now: "
            "open it again (Index.refresh) and look them up"
        )
    for number in numbers:
        if not isinstance(number, (int, np.integer)) or not 0 <= number < opened.n_documents:
            raise InvalidParameter(
                f"there is no document {number!r}: the index has {opened.n_documents}, from 0"
            )
    return np.array(numbers, np.int64)


def _chosen(
    base: Segments, chosen: Callable[[ShardDocuments], NDArray[np.int64]], what: str
) -> NDArray[np.int64]:
    """Numbers of the documents of which something is true. Raises InvalidParameter if of none."""
    found = [np.zeros(0, np.int64)]
    for shard in base.shards():
        local = chosen(shard.documents)
        found.append(shard.numbers(local[~shard.are_removed(local)]))
    if not sum(map(len, found)):
        raise InvalidParameter(
            f"no document of {base.root} has {what}: `Index.document` and `infgram find` tell what "
            "documents have"
        )
    return np.concatenate(found)
