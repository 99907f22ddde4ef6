"""What a request to `infgram serve` costs, and whether the server bears load.

    python -m infgram_bench.serving corpus.infgram --seconds 120

Starts a server, asks it over so many connections at once, each of which asks again when it was
answered, and prints as JSON: requests, errors, latency in milliseconds (p50, p99), processor time
of the server in microseconds a request, and its memory in bytes at the begin and at the end. First
counts, one a request; then batches of them; then generations. For Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import infgram

CONNECTIONS = 16
BATCH = 1000


@dataclass(frozen=True)
class Load:
    """What was measured of one kind of request."""

    requests: int
    errors: int
    p50_ms: float
    p99_ms: float
    cpu_us: float
    memory_before: int
    memory_after: int


@contextmanager
def started(*arguments: str) -> Iterator[tuple[int, tuple[str, int]]]:
    """A server at a free port: its process and its address."""
    command = [sys.executable, "-m", "infgram_cli", "serve", *arguments, "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        told = ""
        while not (found := re.search(r"at http://([\d.]+):(\d+)", told)):
            line = process.stderr.readline()
            if not line:
                raise RuntimeError(f"the server did not start: {told}")
            told += line
        yield process.pid, (found[1], int(found[2]))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        process.stderr.close()


def asked(path: str, body: Mapping[str, Any]) -> bytes:
    """A request.

    >>> asked("/", {}).endswith(b"content-length: 2\\r\\n\\r\\n{}")
    True
    """
    text = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(text)}\r\n\r\n"
    return head.encode() + text


class _Connection:
    """One that asks again and again."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.begun = 0.0
        self._seen = b""

    def ask(self, request: bytes) -> None:
        self._seen = b""
        self.begun = time.perf_counter()
        self.socket.sendall(request)

    def answered(self) -> int | None:
        """The status, once all of the answer is there; 0 of a connection that was closed."""
        piece = self.socket.recv(1 << 20)
        self._seen += piece
        head, found, body = self._seen.partition(b"\r\n\r\n")
        if not piece:
            return 0
        size = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        if not found or not size or len(body) < int(size[1]):
            return None
        return int(head.split()[1])


def load(
    pid: int, address: tuple[str, int], requests: list[bytes], seconds: float, n_connections: int
) -> Load:
    """Asks one request after another, from the first again, for so long."""
    connections = [_Connection(address) for _ in range(n_connections)]
    waiting = selectors.DefaultSelector()
    for connection in connections:
        waiting.register(connection.socket, selectors.EVENT_READ, connection)
    latencies: list[float] = []
    errors = n = 0
    memory, cpu = _memory(pid), _cpu(pid)
    end = time.perf_counter() + seconds
    for connection in connections:
        connection.ask(requests[n % len(requests)])
        n += 1
    open_ = len(connections)
    while open_:
        for key, _ in waiting.select():
            connection = key.data
            status = connection.answered()
            if status is None:
                continue
            latencies.append(time.perf_counter() - connection.begun)
            errors += status != 200
            if status and time.perf_counter() < end:
                connection.ask(requests[n % len(requests)])
                n += 1
            else:
                waiting.unregister(connection.socket)
                connection.socket.close()
                open_ -= 1
    p50, p99 = np.percentile(latencies, [50, 99]) * 1000
    spent = (_cpu(pid) - cpu) / len(latencies) * 1e6
    return Load(len(latencies), errors, float(p50), float(p99), spent, memory, _memory(pid))


def _cpu(pid: int) -> float:
    """Seconds of processor time."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))


def _memory(pid: int) -> int:
    found = re.search(r"VmRSS:\s*(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


def measure(path: Path, seconds: float, n_connections: int = CONNECTIONS) -> dict[str, Load]:
    """All three kinds of requests, each for a third of the time."""
    index = infgram.open(path)
    rng = np.random.default_rng(0)
    ids = index.document(0, end=1 << 20).token_ids
    ngrams = [
        index.decode(ids[at : at + size])
        for at, size in zip(
            rng.integers(0, max(len(ids) - 20, 1), BATCH).tolist(),
            rng.integers(3, 16, BATCH).tolist(),
            strict=True,
        )
    ]
    counts = [asked("/", {"query_type": "count", "query": ngram}) for ngram in ngrams]
    batch = asked("/", {"query_type": "count", "queries": ngrams})
    texts = [
        asked("/v1/completions", {"prompt": ngram, "max_tokens": 64, "seed": i})
        for i, ngram in enumerate(ngrams[:100])
    ]
    with started(str(path), "--estimator", "sbis-2") as (pid, address):
        load(pid, address, [*counts[:100], batch, *texts], seconds / 30, n_connections)  # warm
        return {
            name: load(pid, address, requests, seconds / 3, n_connections)
            for name, requests in (("count", counts), ("batch", [batch]), ("generate", texts))
        }


def main() -> None:
    """Prints what was measured."""
    parser = argparse.ArgumentParser(description="What a request to `infgram serve` costs.")
    parser.add_argument("index", type=Path)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    given = parser.parse_args()
    found = measure(given.index, given.seconds, given.connections)
    print(json.dumps({name: asdict(each) for name, each in found.items()}, indent=2))


if __name__ == "__main__":
    main()
