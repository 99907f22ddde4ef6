"""What memory a process may still take, and one error where it finds too little.

A limit on a process's address space (`ulimit -v`) is where that shows: without one the system
gives memory until it has none, and then ends somebody.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import OutOfMemory

_THREAD_BYTES = 12 << 20  # a stack, and what a thread's first allocation reserves


def require(n_bytes: int, *, n_threads: int = 0) -> None:
    """Raises MemoryError unless so much is left, and the stacks of so many threads.

    For libraries that end the process where they find too little.
    """
    left = _left()
    needed = n_bytes + n_threads * _THREAD_BYTES
    if left is not None and needed > left:
        raise MemoryError(f"{needed >> 20:,} MB more, of which {max(0, left) >> 20:,} left")


if sys.platform == "win32":

    def _left() -> int | None:
        """None: the system has no such limit."""
        return None

else:
    import resource

    def _left() -> int | None:
        """Bytes under the limit of this process's address space; None where there is none."""
        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit == resource.RLIM_INFINITY:
            return None
        try:
            used = Path("/proc/self/statm").read_bytes().split()[0]
        except OSError:  # a system that does not tell
            return None
        return limit - int(used) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def enough(doing: str, advice: str) -> Iterator[None]:
    """Turns whatever says that memory is short into OutOfMemory."""
    try:
        yield
    except OutOfMemory:
        raise
    except MemoryError as error:
        raise _out_of_memory(doing, error, advice) from error
    except RuntimeError as error:  # how Python says that there is no room for a thread
        if "start new thread" not in str(error):
            raise
        raise _out_of_memory(doing, error, advice) from error


def _out_of_memory(doing: str, error: Exception, advice: str) -> OutOfMemory:
    found = f" ({error})" if str(error) else ""
    return OutOfMemory(f"{doing} takes more memory than this process may have{found}: {advice}")
