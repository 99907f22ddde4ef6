"""What takes long, in threads: a few at once, until a deadline, and only while somebody waits.

Native code cannot be interrupted. What may take long is therefore made of small steps, and asks
between them whether to go on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from .refusals import Refusal
from .settings import Limits

_Made = TypeVar("_Made")
_END: Any = object()


class Watch:
    """Of one request: until when it may compute, and whether its client is still there.

    >>> watch = Watch(30.0)
    >>> watch.left = True
    >>> watch.check()
    Traceback (most recent call last):
    infgram.serve.refusals.Refusal: the client left
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self.left = False

    def check(self) -> None:
        """Raises Refusal if there is no time left, or nobody waits."""
        if self.left:
            raise Refusal("the client left")
        if time.monotonic() > self._end:
            raise Refusal(
                f"it took longer than {self._seconds:g} seconds: ask for less at a time", 504
            )


class Threads:
    """A few threads that all requests share."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._limiter: anyio.CapacityLimiter | None = None

    def watch(self) -> Watch:
        """For a request that begins now."""
        return Watch(self._limits.seconds)

    async def run(self, work: Callable[[], _Made]) -> _Made:
        """In a thread, as soon as one is free."""
        if self._limiter is None:  # it belongs to the loop that runs
            self._limiter = anyio.CapacityLimiter(self._limits.threads)
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)

    async def watched(
        self, receive: Callable[[], Awaitable[Any]], work: Callable[[Watch], _Made]
    ) -> _Made:
        """In a thread, with a watch that knows when the client leaves."""
        watch = self.watch()
        listening = asyncio.ensure_future(_listen(receive, watch))
        try:
            return await self.run(lambda: work(watch))
        finally:
            listening.cancel()

    async def each(self, pieces: Iterator[_Made]) -> AsyncIterator[_Made]:
        """Each piece made in a thread. Whoever leaves in between ends it."""
        while True:
            piece = await self.run(lambda: next(pieces, _END))
            if piece is _END:
                return
            yield piece


async def _listen(receive: Callable[[], Awaitable[Any]], watch: Watch) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    watch.left = True
