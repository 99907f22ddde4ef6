"""What is computed from an index once and kept: beside the index, or in the user's cache.

Where the index cannot be written, as one of somebody else's, the cache has a file that bears the
identity of the build. Of several processes that find nothing, one computes and the others wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import IndexReplaced, StorageError
from . import system
from .directory import Directory
from .generations import MANIFEST
from .storage import CALIBRATION, StoredIndex, arrays_of, content_of, packed

_Arrays = dict[str, NDArray[Any]]
_FOLDER = "calibrations"
_Found = TypeVar("_Found")


def kept(stored: StoredIndex, name: str = CALIBRATION) -> _Arrays | None:
    """What was kept for this build in the file of that name, if anything. Raises CorruptIndex."""
    found = stored.read_extra(name)
    return _cached(stored, name) if found is None else found


def keep(stored: StoredIndex, arrays: Mapping[str, NDArray[Any]], name: str = CALIBRATION) -> bool:
    """Keeps arrays for whoever asks next, if it can: beside the index or else in the cache."""
    try:
        stored.write_extra(arrays, name)
    except IndexReplaced:
        return False  # nobody will open this build again
    except StorageError:
        return _cache(stored, arrays, name)
    return True


def column(arrays: _Arrays, name: str, dtype: Any) -> NDArray[Any]:
    """One of the arrays, aligned. Raises LookupError; ValueError unless it has one dimension."""
    array = arrays[name]
    if array.ndim != 1 or array.dtype != dtype:
        raise ValueError(f"{name} is {array.dtype} of shape {array.shape}, expected {dtype}")
    # to NumPy an empty one is aligned wherever it lies
    return np.require(array, requirements="A") if array.size else np.zeros(0, dtype)


def number(arrays: _Arrays, name: str, kinds: str = "iuf") -> float:
    """The only number of an array without dimensions; `kinds`: of dtypes. Raises LookupError,
    ValueError."""
    array = arrays[name]
    if array.shape != () or array.dtype.kind not in kinds or not np.isfinite(array):
        raise ValueError(f"{name} is {array.dtype} of shape {array.shape}, expected a number")
    found: float = array.item()
    return found


def once(
    stored: StoredIndex,
    known: Callable[[], _Found | None],
    make: Callable[[], _Found],
    *,
    prepare: Callable[[], object] = lambda: None,
) -> _Found:
    """What is known of a build, or else is made now; of several that ask at once, one makes it.

    `prepare` comes before `make`, which may not ask for anything else of this kind itself: it would
    wait for itself.
    """
    if (found := known()) is not None:
        return found
    prepare()
    with _alone(stored):
        return make() if (found := known()) is None else found


@contextmanager
def _alone(stored: StoredIndex) -> Iterator[None]:
    """Waits until no other thread or process is in such a block for the same build.

    Where there is nothing to lock, as in the folder of a build that was replaced, it does not wait.
    """
    with ExitStack() as cleanup:
        with suppress(OSError, StorageError):
            folder = cleanup.enter_context(Directory.open(stored.folder))
            # closed, and so unlocked, when the block ends; nothing else locks a manifest
            system.lock(cleanup.enter_context(folder.file(MANIFEST)), wait=True)
        yield


def _cached(stored: StoredIndex, name: str) -> _Arrays | None:
    cache = system.cache_folder()
    if cache is None:
        return None
    try:
        with Directory.open(cache / _FOLDER) as folder:
            arrays = arrays_of(content_of(folder, _name(stored, name), name), name)
    except (OSError, ValueError, StorageError):
        return None  # not there, or of no use: it is computed anew
    return arrays if str(arrays.pop("identity", "")) == stored.identity else None


def _cache(stored: StoredIndex, arrays: Mapping[str, NDArray[Any]], name: str) -> bool:
    cache = system.cache_folder()
    if cache is None:
        return False
    try:
        (cache / _FOLDER).mkdir(parents=True, exist_ok=True)
        with (
            Directory.open(cache / _FOLDER) as folder,
            folder.replacing(_name(stored, name)) as file,
        ):
            file.write(packed(stored.identity, arrays, name))
    except OSError:
        return False
    return True


def _name(stored: StoredIndex, name: str) -> str:
    return f"{stored.identity}.npz" if name == CALIBRATION else f"{stored.identity}-{name}"
