"""infgram.cluster.build: the parts of a corpus, each a task."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..checks import whole
from ..create import build as build_index
from ..errors import EmptyCorpus, InvalidParameter, StorageError
from ..queries import several
from . import engine


def build(
    paths: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    n_parts: int | None = None,
    **options: Any,
) -> list[Path]:
    """Builds a corpus in parts, each an index of its own, as tasks of Ray. Returns their paths.

    - `paths`: files and folders; each is in one part, whole. Every machine has to see them, and
      `out`, by the same names.
    - `out`: a folder, made where it is missing; parts are `part-00000.infgram` and so on in it.
    - `n_parts`: as many as there are paths, or fewer; then they are shared out by size.
    - `options`: of `infgram.build`, the same for every part.

    A task whose process dies is run again: a part appears when it is whole, or not at all. What
    stands there is replaced. Raises InvalidParameter, StorageError, what `infgram.build` raises,
    MissingExtra, and WorkerLost where a task dies again and again.

    >>> import infgram.cluster
    >>> infgram.cluster.build([], "parts")
    Traceback (most recent call last):
    infgram.errors.EmptyCorpus: there is nothing to build: give at least one path
    """
    given = [Path(os.path.abspath(path)) for path in several("cluster.build", paths)]
    if not given:
        raise EmptyCorpus("there is nothing to build: give at least one path")
    n = len(given) if n_parts is None else n_parts
    whole(1, n_parts=n)
    if n > len(given):
        raise InvalidParameter(
            f"n_parts is {n}, expected at most {len(given)}, one a path: give more paths"
        )
    folder = Path(os.path.abspath(out))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shares = _shared_out(given, n)
    except OSError as error:
        raise StorageError(f"{error.filename}: {error.strerror}; check the path") from error
    made = [folder / f"part-{i:05d}.infgram" for i in range(n)]
    engine.run_all(build_part, [(*each, options) for each in zip(shares, made, strict=True)])
    return made


def build_part(inputs: Sequence[Path], path: Path, options: dict[str, Any]) -> str:
    """Builds a part; returns its identity. Safe to run again."""
    return build_index(list(inputs), path, overwrite=True, **options).identity


def _shared_out(paths: Sequence[Path], n: int) -> list[list[Path]]:
    """Paths in n shares of about one size, each in the order given."""
    sizes = {path: _size(path) for path in paths}
    shares: list[list[Path]] = [[] for _ in range(n)]
    held = [0] * n
    for path in sorted(paths, key=lambda path: -sizes[path]):
        least = min(range(n), key=lambda i: (held[i], len(shares[i])))
        shares[least].append(path)
        held[least] += sizes[path]
    return [sorted(share, key=paths.index) for share in shares]


def _size(path: Path) -> int:
    """Bytes of a file, or of all in a folder; one at least, so that no share is left empty."""
    if path.is_dir():
        return 1 + sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return 1 + path.stat().st_size
