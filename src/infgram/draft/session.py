"""A session on disk: what requests wrote, and how well their drafts did.

A .npz of numpy: `token_ids` with 2^32 - 1 between requests, the two acceptance maps, the vocabulary
it is of. Its checksums are those of the zip format.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import NotASession
from ..store.archives import read_arrays
from ..store.directory import replacing

_FORMAT = 1
_MOST_BYTES = 1 << 30


@dataclass(frozen=True)
class Session:
    """token_ids: uint32; chosen, drawn: float64, as the engine has them."""

    vocab_size: int
    token_ids: NDArray[np.uint32]
    chosen: NDArray[np.float64]
    drawn: NDArray[np.float64]


def save(session: Session, path: str | os.PathLike[str]) -> None:
    """Writes the file as a whole or not at all. Raises StorageError."""
    with replacing(path) as file:
        np.savez(file, format=_FORMAT, **vars(session))


def load(path: str | os.PathLike[str]) -> Session:
    """Raises NotASession, OSError."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > _MOST_BYTES:
                raise ValueError(f"it has {size:,} bytes, expected at most {_MOST_BYTES:,}")
            found = read_arrays(file.read(size), most=_MOST_BYTES)
        if int(found.pop("format")) != _FORMAT:
            raise ValueError("another version's")
        session = Session(int(found.pop("vocab_size")), **found)
        kinds = [str(each.dtype) for each in (session.token_ids, session.chosen, session.drawn)]
        if kinds != ["uint32", "float64", "float64"]:
            raise ValueError(f"arrays of {', '.join(kinds)}")
    except (ValueError, TypeError, LookupError, OverflowError, MemoryError) as error:
        raise NotASession(
            f"{path} is not a session that a drafter saved ({error}): start without one, the next "
            "save_session() writes it anew"
        ) from error
    return session
