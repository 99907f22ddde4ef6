"""An index built in parts, on one machine or many, and joined.

`build(part=...)` makes a part. docs/howto/parts.md tells how it is used, store/joining.py what a
joined index is.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from .checks import whole
from .create import build
from .errors import IndexExists, InvalidParameter
from .index import Index, open
from .store.joining import join_parts, merge_parts, open_parts
from .store.storage import Progress, note_links


def join(
    parts: Iterable[str | os.PathLike[str]],
    path: str | os.PathLike[str],
    *,
    one_piece: bool = False,
    jobs: int = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Index:
    """Makes one index of all parts of a build, and opens it.

    - `parts`: the indexes that `build(part=...)` made, all of them, in any order. They stay what
      they are, and may be removed: their files are linked, or copied to another file system.
    - `path`: the index folder to make. It appears when it is whole, or not at all.
    - `one_piece`: sort all of it anew, into what a build of all documents makes. Otherwise each
      part is a segment, as in an index that has grown: counts, next-token distributions, levels,
      finds and SBIS are those of a build of all; what `add` says of all else holds.
    - `jobs`: as in `build`, for `one_piece`.
    - `overwrite`: replace an index that stands there.
    - `progress`: called with (stage, done, total).

    The same parts make the same index, byte for byte, and where it stands at `path` already,
    nothing is done. Raises PartsDoNotFit if a part is missing, double, or of another build or other
    settings; CorruptIndex, IndexExists, StorageError.

    >>> from pathlib import Path
    >>> import infgram
    >>> files = [Path("a.txt"), Path("b.txt")]
    >>> files[0].write_text("to be"), files[1].write_text("or not to be")
    (5, 12)
    >>> for i in (1, 2):
    ...     part = infgram.build(files, f"part-{i}.infgram", part=(i, 2))
    >>> infgram.join(["part-1.infgram", "part-2.infgram"], "both.infgram").count("to be")
    2
    """
    if isinstance(parts, str):
        raise InvalidParameter(f"parts is {parts!r}, expected a list of paths: [{parts!r}]")
    found = open_parts([Path(part) for part in parts])
    if not one_piece:
        joined = join_parts(found, path, overwrite=overwrite, progress=progress)
        return Index.of(joined, Path(path))
    merged = merge_parts(
        found,
        path,
        tokenizer=Index.of(found[0], found[0].folder).tokenizer,
        jobs=jobs,
        overwrite=overwrite,
        progress=progress,
    )
    return Index.of(merged, Path(path))


def build_parts(
    inputs: Any,
    path: str | os.PathLike[str],
    n: int,
    *,
    overwrite: bool = False,
    **options: Any,
) -> Index:
    """Builds an index in n parts, one after another, joins them, and opens it.

    It takes the memory of the largest part, and is the index that `join` makes of parts that were
    built elsewhere, byte for byte. Parts stand in the folder PATH.parts until all are joined: where
    a build was killed, the next one goes on with those that are whole.

    `inputs`, `options`: as `build` takes them. Raises as `build` and `join` do.

    >>> from pathlib import Path
    >>> import infgram
    >>> files = [Path("a.txt"), Path("b.txt")]
    >>> files[0].write_text("to be"), files[1].write_text("or not to be")
    (5, 12)
    >>> infgram.build_parts(files, "both.infgram", 2, overwrite=True).count("to be")
    2
    """
    whole(1, n=n)
    if os.path.exists(path) and not overwrite:
        raise IndexExists(
            f"{path} already exists: choose another path, or replace it with overwrite=True "
            "(--overwrite)"
        )
    folder = Path(f"{os.fspath(path)}.parts")
    folder.mkdir(exist_ok=True)
    parts: list[Path] = []
    try:
        for i in range(1, n + 1):
            parts.append(folder / f"{i}-of-{n}.infgram")
            build(inputs, parts[-1], part=(i, n), overwrite=True, **options)
        joined = join(parts, path, overwrite=overwrite, progress=options.get("progress"))
        for part in parts:
            shutil.rmtree(part)
    finally:
        with suppress(OSError):  # something is in it: parts that the next build goes on with
            folder.rmdir()
    for segment in joined.segments.segments:
        note_links(segment.stored)
    return open(path)
