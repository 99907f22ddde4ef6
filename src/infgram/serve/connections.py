"""Connections: how many there may be, and for how long they may say nothing.

uvicorn waits for the next request of a connection only so long, and for a first one, or the rest of
a half one, for ever.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from .settings import Limits


def impatient(limits: Limits) -> type[asyncio.Protocol]:
    """uvicorn's protocol, with limits.

    >>> impatient(Limits()).__mro__[1] is AutoHTTPProtocol
    True
    """

    class Impatient(AutoHTTPProtocol):  # type: ignore[misc,valid-type]
        """Closes connections that are too many, or that have nothing to say."""

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            # head and body are written one after the other: the second must not wait for an answer
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._silent_since = self.loop.time()
            self._look_at = self.loop.call_later(limits.idle_seconds, self._look)
            if len(self.connections) > limits.connections:
                transport.abort()

        def connection_lost(self, exc: Exception | None) -> None:
            self._look_at.cancel()
            super().connection_lost(exc)

        def on_response_complete(self) -> None:
            self._silent_since = self.loop.time()
            super().on_response_complete()

        def _look(self) -> None:
            """Closes the connection if no whole request has come for so long."""
            answering = self.cycle is not None and not self.cycle.response_complete
            left = self._silent_since + limits.idle_seconds - self.loop.time()
            if answering or left > 0:
                wait = limits.idle_seconds if answering else left
                self._look_at = self.loop.call_later(wait, self._look)
            elif not self.transport.is_closing():
                self.transport.close()

    return Impatient
