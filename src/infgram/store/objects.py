"""Objects below an address: read whole or in part, and written. Alone in importing obstore.

Object stores and web servers know files by their keys, and versions of a file by an entity tag or
the time of the last change. What is read in parts is read of one version: if another has taken its
place, that is an error, and never bytes of both. Keys, environment variables and retries are
obstore's own (https://developmentseed.org/obstore).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ..errors import IndexReplaced, RemoteFailure, StorageError
from .hub import HUB, commit, first_line, missing, web_address

TIMEOUT = 30.0
"""Seconds that a server has for an answer."""
RETRIES = 3
"""How often it is asked again where it fails or does not answer."""
_AT_ONCE = 32
_CHUNK = 1 << 23  # bytes of a large object that are asked for at once
_CHUNKS = 4  # and how many of those
_PUTS = 4  # objects that are written at once, each in several parts
_T = TypeVar("_T")


class Version(NamedTuple):
    """An object as it was when it was first looked at."""

    n_bytes: int
    tag: str | None
    changed: datetime | None
    """None where there is a tag, which alone counts then."""


class Part(NamedTuple):
    """Bytes [begin, end) of an object."""

    name: str
    begin: int
    end: int


@dataclass
class Traffic:
    """What was asked of a server: round trips, requests, and bytes that came back."""

    trips: int = 0
    requests: int = 0
    n_bytes: int = 0


@dataclass
class Objects:
    """All objects below an address. Safe to use from many threads.

    Reading raises FileNotFoundError for what is not there, IndexReplaced for what has changed since
    its version was looked up, and RemoteFailure where the server fails, does not answer in time or
    sends less than it should.
    """

    url: str
    traffic: Traffic = field(default_factory=Traffic)
    _versions: dict[str, Version] = field(default_factory=dict)

    @cached_property
    def _library(self) -> Any:
        try:
            import obstore
            import obstore.exceptions
            import obstore.store
        except ImportError as error:
            raise missing("obstore", self.url) from error
        return obstore

    @cached_property
    def _store(self) -> Any:
        """Made when it is first used, and not taken into other processes."""
        url, headers = web_address(self.url) if self.url.startswith(HUB) else (self.url, {})
        options: dict[str, Any] = {
            "timeout": timedelta(seconds=TIMEOUT),
            "connect_timeout": timedelta(seconds=TIMEOUT),
            "allow_http": url.startswith("http://")
            or os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true"),
            **({"default_headers": headers} if headers else {}),
        }
        retries: Any = {
            "max_retries": RETRIES,
            "retry_timeout": timedelta(seconds=(RETRIES + 1) * TIMEOUT),
        }
        try:
            return self._library.store.from_url(url, client_options=options, retry_config=retries)
        except Exception as error:
            raise StorageError(f"{self.url} cannot be asked: {first_line(error)}") from error

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="infgram-remote")

    def __reduce__(self) -> tuple[Any, ...]:
        return Objects, (self.url,)

    # Reading --------------------------------------------------------------------------------------

    def read(self, name: str, *, most: int) -> bytes:
        """All of an object of at most `most` bytes, as it is now."""
        self.traffic.trips += 1
        content, found = self._get(name, {"range": (0, most + 1)}, None)
        if found.n_bytes > most or len(content) != found.n_bytes:
            raise RemoteFailure(
                f"{self.url}/{name} came with {len(content):,} of {found.n_bytes:,} bytes, "
                f"expected all of at most {most:,}: ask again, or look at what the server has"
            )
        return content

    def look_up(self, names: Sequence[str]) -> list[Version]:
        """The version of each object, which all parts are read of from now on. One round trip."""
        self.traffic.trips += 1
        for name, version in zip(names, self._threads.map(self._head, names), strict=True):
            self._versions.setdefault(name, version)
        return [self._versions[name] for name in names]

    def parts(self, wanted: Sequence[Part]) -> list[bytes]:
        """Parts of objects that were looked up. One round trip: all are asked for at once."""
        self.traffic.trips += 1
        if len(wanted) == 1:
            return [self._part(wanted[0])]
        return list(self._threads.map(self._part, wanted))

    def stream(self, name: str) -> Iterator[bytes]:
        """A whole object that was looked up, in pieces."""
        n_bytes = self._versions[name].n_bytes
        wanted = [
            Part(name, begin, min(begin + _CHUNK, n_bytes)) for begin in range(0, n_bytes, _CHUNK)
        ]
        for at in range(0, len(wanted), _CHUNKS):
            yield from self.parts(wanted[at : at + _CHUNKS])

    def _head(self, name: str) -> Version:
        self.traffic.requests += 1
        return _version(self._told(name, lambda: self._library.head(self._store, name)))

    def _part(self, part: Part) -> bytes:
        version = self._versions[part.name]
        if part.begin == part.end:
            return b""
        options: dict[str, Any] = {"range": (part.begin, part.end)}
        if version.tag is None:
            options["if_unmodified_since"] = version.changed
        elif not version.tag.startswith("W/"):
            options["if_match"] = version.tag
        content, found = self._get(part.name, options, version)
        if found != version:
            raise self._changed(part.name)
        if len(content) != part.end - part.begin:
            raise RemoteFailure(
                f"{self.url}/{part.name}: the server sent {len(content):,} bytes of the "
                f"{part.end - part.begin:,} from {part.begin:,} on: ask again later"
            )
        return content

    def _get(
        self, name: str, options: dict[str, Any], version: Version | None
    ) -> tuple[bytes, Version]:
        def get() -> tuple[bytes, Version]:
            answer = self._library.get(self._store, name, options=options)
            return bytes(answer.bytes()), _version(answer.meta)

        content, found = self._told(name, get, was_there=version is not None)
        self.traffic.requests += 1
        self.traffic.n_bytes += len(content)
        return content, found

    def _told(self, name: str, ask: Callable[[], _T], *, was_there: bool = False) -> _T:
        """What the server says; in our words where it is an error."""
        errors = self._library.exceptions

        try:
            return ask()
        except FileNotFoundError as error:
            if was_there:
                raise self._changed(name) from error
            raise
        except errors.PreconditionError as error:
            raise self._changed(name) from error
        except (errors.PermissionDeniedError, errors.UnauthenticatedError) as error:
            raise RemoteFailure(
                f"{self.url}/{name} must not be read or written: {first_line(error)}; give keys of "
                "somebody who may, in the environment (docs/howto/remote.md)"
            ) from error
        except errors.NotSupportedError as error:
            raise RemoteFailure(
                f"{self.url}/{name}: the server cannot do what is needed ({first_line(error)}): "
                "expected one that sends parts of files"
            ) from error
        except (errors.BaseError, OSError) as error:
            raise RemoteFailure(
                f"{self.url}/{name}: the server failed, did not answer within {TIMEOUT:g} s, or "
                f"cut its answer short, {RETRIES + 1} times ({first_line(error)}): ask again later"
            ) from error

    def _changed(self, name: str) -> IndexReplaced:
        return IndexReplaced(
            f"{self.url}/{name} was changed or removed since the index was opened: open it again"
        )

    # Writing --------------------------------------------------------------------------------------

    def publish(
        self,
        files: Sequence[tuple[str, Path | bytes]],
        last: Sequence[tuple[str, bytes]],
        on_file: Callable[[str], None],
    ) -> None:
        """Writes files, in any order, and then those of `last`, one after another.

        A hub takes all of them at once, as a commit.
        """
        if self.url.startswith(HUB):
            commit(self.url, [*files, *last])
            for name, _ in files:
                on_file(name)
            return
        with ThreadPoolExecutor(_PUTS) as threads:
            for (name, _), _done in zip(files, threads.map(self._put, files), strict=True):
                on_file(name)
        for each in last:
            self._put(each)

    def _put(self, file: tuple[str, Path | bytes]) -> None:
        name, content = file
        self._told(name, lambda: self._library.put(self._store, name, content))

    def remove(self, names: Sequence[str]) -> None:
        """Removes objects; on a hub they stay in its history, and where they are."""
        if not self.url.startswith(HUB):
            self._told("", lambda: self._library.delete(self._store, list(names)))


def _version(meta: Any) -> Version:
    tag = meta.get("e_tag")
    return Version(int(meta["size"]), tag, None if tag else meta["last_modified"])
