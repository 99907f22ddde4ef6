"""The JSON object of a request: read within limits, its fields checked one by one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.requests import ClientDisconnect, Request

from .. import checks
from ..errors import InvalidParameter
from .refusals import CLOSE, Refusal
from .settings import Limits


async def read_object(request: Request, limits: Limits) -> dict[str, Any]:
    """The body of a request, which must be an object.

    Raises Refusal: 413 for one that is too long, 408 for one that comes too slowly, 400 for what is
    not JSON.
    """
    told = request.headers.get("content-length", "0")
    if told.isdecimal() and int(told[:19]) > limits.body_bytes:
        raise _too_long(limits)
    try:
        async with asyncio.timeout(limits.body_seconds):
            body = await _read(request, limits)
    except TimeoutError:
        raise Refusal(
            f"the body did not come within {limits.body_seconds:g} seconds", 408, headers=CLOSE
        ) from None
    except ClientDisconnect:
        raise Refusal("the client left", 400) from None
    return parsed(body)


async def _read(request: Request, limits: Limits) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limits.body_bytes:
            raise _too_long(limits)
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_long(limits: Limits) -> Refusal:
    return Refusal(
        f"the body is longer than {limits.body_bytes:,} bytes: send less at a time",
        413,
        headers=CLOSE,
    )


def parsed(body: bytes) -> dict[str, Any]:
    """A JSON object. Raises Refusal.

    >>> parsed(b'{"n": 1}')
    {'n': 1}
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(f"the body is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise Refusal(f"the body is a JSON {type(found).__name__}, expected an object")
    return found


class Fields:
    """The fields of an object; each is taken once, and what nobody took is unknown.

    A field that is null is as good as none. Raises Refusal, which names the field.

    >>> fields = Fields({"n": 3, "m": 1})
    >>> fields.whole("n", 1, 1, 16)
    3
    >>> fields.end()
    Traceback (most recent call last):
    infgram.serve.refusals.Refusal: the field 'm' is unknown
    """

    def __init__(self, given: dict[str, Any]) -> None:
        self._left = dict(given)

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def has(self, name: str) -> bool:
        """Whether it is there and is not null."""
        return self._left.get(name) is not None

    def take(self, name: str, default: Any = None) -> Any:
        """Whatever it is."""
        value = self._left.pop(name, None)
        return default if value is None else value

    def whole(self, name: str, default: int, least: int, most: int | None = None) -> int:
        """A whole number."""
        value = self.take(name, default)
        with _of(name):
            checks.whole(least, most, **{name: _no_boolean(value)})
        return int(value)

    def number(self, name: str, default: float, least: float, most: float) -> float:
        """A number."""
        value = self.take(name, default)
        with _of(name):
            checks.number(least, most, **{name: _no_boolean(value)})
        return float(value)

    def flag(self, name: str, default: bool = False) -> bool:
        """True or false."""
        return bool(self._instance(name, bool, default, "true or false"))

    def text(self, name: str, default: str | None = None, most: int | None = None) -> str:
        """A string of at most so many characters; without a default it must be there."""
        value = self._instance(name, str, default, "a string")
        if most is not None and len(value) > most:
            raise Refusal(
                f"{name} has {len(value):,} characters, expected at most {most:,}", param=name
            )
        return str(value)

    def _instance(self, name: str, kind: type, default: Any, expected: str) -> Any:
        value = self.take(name, default)
        if not isinstance(value, kind):
            found = "missing" if value is None else f"{value!r:.80}"
            raise Refusal(f"{name} is {found}, expected {expected}", param=name)
        return value

    def end(self) -> None:
        """Nothing else was given."""
        for name in self._left:
            raise Refusal(f"the field {name!r:.80} is unknown", param=name[:80])


def _no_boolean(value: Any) -> Any:
    """To Python, True is 1; in JSON it is not."""
    return json.dumps(value) if isinstance(value, bool) else value


@contextmanager
def _of(name: str) -> Iterator[None]:
    try:
        yield
    except InvalidParameter as error:
        raise Refusal(str(error), param=name) from None
