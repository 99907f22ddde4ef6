"""infgram.cluster.build: the parts of a corpus, each a task."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..checks import whole
from ..create import build as build_index
from ..errors import EmptyCorpus, StorageError
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

    They are the parts that `infgram.build(paths, part=(i, n))` makes: `infgram.join` makes one
    index of them, and one that stands there whole is not built again.

    - `paths`: files and folders. Every machine has to see them, and `out`, by the same names.
    - `out`: a folder, made where it is missing; parts are `part-00000.infgram` and so on in it.
      What else stands there by these names is replaced.
    - `n_parts`: as many as there are paths, unless said; at most as many as there are files.
    - `options`: of `infgram.build`, the same for every part.

    A task whose process dies is run again: a part appears when it is whole, or not at all. Raises
    InvalidParameter, StorageError, what `infgram.build` raises, MissingExtra, and WorkerLost where
    a task dies again and again.

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
    folder = Path(os.path.abspath(out))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder}: {error.strerror}; check the path") from error
    made = [folder / f"part-{i:05d}.infgram" for i in range(n)]
    engine.run_all(build_part, [(given, path, (i, n), options) for i, path in enumerate(made, 1)])
    return made


def build_part(
    inputs: Sequence[Path], path: Path, part: tuple[int, int], options: dict[str, Any]
) -> str:
    """Builds a part; returns its identity. Safe to run again."""
    return build_index(list(inputs), path, part=part, overwrite=True, **options).identity
