"""Who may come in: what every request is asked before anything of it is read.

In this order: the name that it calls the server by, the page that it comes from, the token, and
whether there is room. What is sent back says what browsers may do with it.
"""

from __future__ import annotations

import hmac
import ipaddress
import time
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping
from functools import lru_cache

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .metrics import Metrics
from .refusals import Refusal
from .settings import Settings

OPEN = "/health"
"""The one path that needs no token."""

_LOCAL = {"localhost", "127.0.0.1", "::1"}
_ASKS = {"www-authenticate": 'Bearer realm="infgram", Basic realm="infgram"'}
_PREFLIGHT = {
    "access-control-allow-methods": "GET, POST",
    "access-control-allow-headers": "authorization, content-type",
    "access-control-max-age": "600",
}
Headers = Mapping[bytes, bytes]


class Guard:
    """An ASGI application in front of another one."""

    def __init__(
        self, app: ASGIApp, settings: Settings, metrics: Metrics, paths: Mapping[object, str]
    ) -> None:
        """`paths`: of endpoints, by which requests are counted."""
        self._app = app
        self._paths = paths
        self._settings = settings
        self._metrics = metrics
        self._hosts = {host.lower() for host in settings.hosts}
        self._token = None if settings.token is None else settings.token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, of whatever kind."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers: Headers = dict(scope["headers"])
        origin = self._allowed_origin(headers)
        status = 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                sent = message["headers"]
                sent.append((b"x-content-type-options", b"nosniff"))
                if self._settings.origins:
                    sent.append((b"vary", b"origin"))
                if origin:
                    sent.append((b"access-control-allow-origin", origin))
            await send(message)

        self._metrics.running += 1
        try:
            refused = self._refused(scope, headers, origin)
            await (refused or self._app)(scope, receive, answer)
        finally:
            self._metrics.running -= 1
            path = self._paths.get(scope.get("endpoint"), "other")
            self._metrics.request(path, status, time.perf_counter() - started)

    def _refused(self, scope: Scope, headers: Headers, origin: bytes | None) -> Response | None:
        """What is answered in place of the application."""
        try:
            self._check_host(headers)
            self._check_origin(headers, origin)
            if scope["method"] == "OPTIONS" and origin:
                return Response(status_code=204, headers=_PREFLIGHT)
            if scope["path"] != OPEN:
                self._check_token(headers)
                if self._metrics.running > self._settings.limits.requests:
                    raise Refusal(
                        f"{self._settings.limits.requests} requests are being answered: try again",
                        429,
                        headers={"retry-after": "1"},
                    )
        except Refusal as refusal:
            return refusal.response(scope["path"])
        return None

    def _check_host(self, headers: Headers) -> None:
        """A page whose name was made to lead here calls the server by that name."""
        name = name_of(headers.get(b"host", b""))
        if name in _LOCAL or name in self._hosts or _is_address(name):
            return
        raise Refusal(
            f"the request is for the host {name!r:.80}, which is not known here: name it with "
            "--allow-host",
            421,
        )

    def _allowed_origin(self, headers: Headers) -> bytes | None:
        """The page of another origin that a request comes from, if it may."""
        origin = headers.get(b"origin")
        if origin and origin.decode("latin-1") in self._settings.origins:
            return origin
        return None

    def _check_origin(self, headers: Headers, allowed: bytes | None) -> None:
        origin = headers.get(b"origin")
        crossing = headers.get(b"sec-fetch-site", b"") in (b"cross-site", b"same-site")
        if origin:
            _, _, host = origin.partition(b"://")
            crossing = host.lower() != headers.get(b"host", b"").lower()
        elif headers.get(b"sec-fetch-mode") == b"navigate":
            crossing = False  # somebody followed a link
        if crossing and not allowed:
            raise Refusal(
                "a web page of another origin asks: --allow-origin lets it, if it should", 403
            )

    def _check_token(self, headers: Headers) -> None:
        if self._token is None:
            return
        given = headers.get(b"authorization", b"")
        kind, _, value = given.partition(b" ")
        if kind.lower() == b"basic":  # what browsers ask people for
            try:
                value = b64decode(value, validate=True).partition(b":")[2]
            except NotBase64:
                value = b""
        elif kind.lower() != b"bearer":
            value = b""
        if not hmac.compare_digest(value.strip(), self._token):
            told = "is wrong" if given else "is missing"
            raise Refusal(
                f"the token {told}, expected the header `Authorization: Bearer TOKEN`",
                401,
                headers=_ASKS,
            )


@lru_cache(maxsize=1000)
def name_of(header: bytes) -> str:
    """What a Host header names, without its port.

    >>> name_of(b"[::1]:8000"), name_of(b"Localhost:80")
    ('::1', 'localhost')
    """
    host = header.decode("latin-1")
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _is_address(name: str) -> bool:
    """An address leads where it leads: only names can be made to lead elsewhere."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server there.

    >>> is_loopback("127.0.0.1"), is_loopback("0.0.0.0")
    (True, False)
    """
    if host in _LOCAL:
        return True
    return _is_address(host) and ipaddress.ip_address(host).is_loopback
