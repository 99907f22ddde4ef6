"""A web server for tests that has the files of a folder, and fails as it is told to."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class FaultyServer(ThreadingHTTPServer):
    """Serves `folder` with ranges, entity tags and If-Match. `asked` counts requests by path.

    - `fault`: called with the path of every GET before it is answered; gives "fail", "hang",
      "truncate" or None.
    - `tags`: whether files have entity tags, or times of change alone.
    """

    daemon_threads = True
    folder: Path
    fault: Callable[[str], str | None]
    tags = True
    asked: list[str]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: FaultyServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        path = self.path.partition("?")[0].lstrip("/")
        self.server.asked.append(path)
        fault = self.server.fault(path) if with_body else None
        if fault == "hang":
            time.sleep(2)
            self.close_connection = True
            return
        file = self.server.folder / path
        if fault == "fail" or not file.is_file():
            self._head(500 if fault == "fail" else 404, 0)
            return
        content = file.read_bytes()
        tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        if self.server.tags and self.headers.get("If-Match", tag) != tag:
            self._head(412, 0)
            return
        total, status, extra = len(content), 200, {}
        if found := re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")):
            begin, end = int(found[1]), min(int(found[2]) + 1, total)
            content, status = content[begin:end], 206
            extra["Content-Range"] = f"bytes {begin}-{end - 1}/{total}"
        if self.server.tags:
            extra["ETag"] = tag
        extra["Last-Modified"] = self.date_time_string(int(file.stat().st_mtime))
        self._head(status, len(content), extra)
        if with_body:
            self.wfile.write(content[: len(content) // 2] if fault == "truncate" else content)
            self.close_connection = fault == "truncate"

    def _head(self, status: int, n_bytes: int, extra: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(n_bytes), **(extra or {})}.items():
            self.send_header(name, value)
        self.end_headers()


@contextmanager
def serving(folder: Path) -> Iterator[FaultyServer]:
    """A server of a folder, until the end."""
    server = FaultyServer(("127.0.0.1", 0), _Handler)
    server.folder, server.fault, server.asked = folder, lambda _: None, []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
