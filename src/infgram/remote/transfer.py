"""infgram.push and infgram.pull: an index to an address, and back."""

from __future__ import annotations

import os
from pathlib import Path

from ..index import Index, check_index
from ..store.pushing import pull_index, push_index
from ..store.storage import Progress


def push(
    index: Index,
    url: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Writes an index to an address: s3://, gs://, az://, http:// (WebDAV) or hf://.

    - `overwrite`: replace an index that stands there. Whoever has it open gets IndexReplaced.
    - `progress`: called with ("push", bytes done, bytes).

    Columns come first, manifests behind them, and what names the build last: until then nobody sees
    any of it. Beside an index in the fast layout comes a summary of its rows, a third of a byte a
    token, by which `open_remote` asks it in place. What was fitted to the index (discounts, what
    `Mix` learnt) is not taken along.

    Raises IndexExists, NeedsMerge, RemoteFailure, StorageError, MissingExtra.

    >>> import infgram
    >>> infgram.push(infgram.build(["to be or not to be"]), "corpus.infgram")
    Traceback (most recent call last):
    infgram.errors.StorageError: corpus.infgram is no address of an index: expected one of s3://, \
gs://, az://, http://, https://, hf://
    """
    check_index(index=index)
    index.need_one_piece("push")
    push_index(index.stored, os.fspath(url), overwrite=overwrite, progress=progress)


def pull(
    url: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Index:
    """Copies the index at an address into a folder, and opens it.

    - `path`: the index folder to make. It appears when all of it is there and every checksum has
      been compared, or not at all.
    - `overwrite`: replace an index that stands there.
    - `progress`: called with ("pull", bytes done, bytes).

    Raises NotAnIndex, IndexExists, IndexReplaced, CorruptIndex, RemoteFailure, StorageError,
    MissingExtra.

    >>> import infgram
    >>> infgram.pull("corpus.infgram", "mine.infgram")
    Traceback (most recent call last):
    infgram.errors.StorageError: corpus.infgram is no address of an index: expected one of s3://, \
gs://, az://, http://, https://, hf://
    """
    target = Path(path)
    return Index.of(
        pull_index(os.fspath(url), target, overwrite=overwrite, progress=progress), target
    )
