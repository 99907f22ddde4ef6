"""A server for tests: as a process of its own, and requests to it over real sockets."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from command_line import start
from waiting import TIMEOUT


@dataclass(frozen=True)
class Server:
    """One that runs; `address` begins with http://."""

    process: subprocess.Popen[bytes]
    address: str

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.address)
        assert parts.hostname and parts.port
        return parts.hostname, parts.port

    def ask(
        self, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and parsed answer: of a POST where there is a body."""
        connection = http.client.HTTPConnection(*self.place, timeout=TIMEOUT)
        try:
            given = None if body is None else json.dumps(body)
            connection.request("GET" if body is None else "POST", path, given, dict(headers or {}))
            answer = connection.getresponse()
            text = answer.read()
            is_json = "json" in (answer.getheader("content-type") or "")
            return answer.status, json.loads(text) if is_json else text.decode()
        finally:
            connection.close()


@contextmanager
def server(*arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """`infgram serve` at a free port, until the end."""
    process = start("serve", *arguments, "--port", "0", environment=environment)
    assert process.stderr is not None
    try:
        told = b""
        while not (found := re.search(rb"at (http://\S+)", told)):
            line = process.stderr.readline()
            assert line, told
            told += line
        yield Server(process, found[1].decode())
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(TIMEOUT)
        process.stderr.close()
        if process.stdout:
            process.stdout.close()
