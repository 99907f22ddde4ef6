"""What is computed from an index once and kept: beside the index, or in the user's cache.

Where the index cannot be written, as one of somebody else's, the cache has a file that bears the
identity of the build. Of several processes that find nothing, one computes and the others wait.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from numpy.typing import NDArray

from ..errors import IndexReplaced, StorageError
from . import system
from .directory import Directory
from .generations import MANIFEST
from .storage import MOST_EXTRA, StoredIndex, arrays_of, packed

_Arrays = dict[str, NDArray[Any]]
_FOLDER = "calibrations"


def kept(stored: StoredIndex) -> _Arrays | None:
    """What was kept for this build, if anything was. Raises CorruptIndex."""
    found = stored.read_extra()
    return _cached(stored) if found is None else found


def keep(stored: StoredIndex, arrays: Mapping[str, NDArray[Any]]) -> bool:
    """Keeps arrays for whoever asks next, if it can: beside the index or else in the cache."""
    try:
        stored.write_extra(arrays)
    except IndexReplaced:
        return False  # nobody will open this build again
    except StorageError:
        return _cache(stored, arrays)
    return True


@contextmanager
def alone(stored: StoredIndex) -> Iterator[None]:
    """Waits until no other thread or process is in such a block for the same build.

    Where there is nothing to lock, as in the folder of a build that was replaced, it does not wait.
    """
    with ExitStack() as cleanup:
        with suppress(OSError, StorageError):
            folder = cleanup.enter_context(Directory.open(stored.folder))
            # closed, and so unlocked, when the block ends; nothing else locks a manifest
            system.lock(cleanup.enter_context(folder.file(MANIFEST)), wait=True)
        yield


def _cached(stored: StoredIndex) -> _Arrays | None:
    cache = system.cache_folder()
    if cache is None:
        return None
    try:
        with Directory.open(cache / _FOLDER) as folder:
            arrays = arrays_of(folder.read(_name(stored), most=MOST_EXTRA))
    except (OSError, ValueError, StorageError):
        return None  # not there, or of no use: it is computed anew
    return arrays if str(arrays.pop("identity", "")) == stored.identity else None


def _cache(stored: StoredIndex, arrays: Mapping[str, NDArray[Any]]) -> bool:
    cache = system.cache_folder()
    if cache is None:
        return False
    try:
        (cache / _FOLDER).mkdir(parents=True, exist_ok=True)
        with Directory.open(cache / _FOLDER) as folder, folder.replacing(_name(stored)) as file:
            file.write(packed(stored.identity, arrays))
    except OSError:
        return False
    return True


def _name(stored: StoredIndex) -> str:
    return f"{stored.identity}.npz"
