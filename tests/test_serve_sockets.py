"""The server over real sockets: slow and many clients, those that leave, and its end."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from command_line import ENVIRONMENT
from infgram_bench.serving import measure
from served import Server, server
from waiting import TIMEOUT, is_running, wait_until

import infgram

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

COUNT = {"query_type": "count", "query": "to be"}
HEAD = b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n"
LONG = {"model": "play@kneser-ney", "prompt": "", "max_tokens": 100_000, "temperature": 2}


@pytest.fixture(scope="module")
def path(memory_folder: Path) -> Path:
    """An index that writes until it is stopped: a text that is one word for ever."""
    words = " ".join(["to be or not to be"] * 2000)
    return infgram.build([words], memory_folder / "play.infgram", overwrite=True).path


@pytest.fixture(scope="module")
def running(path: Path) -> Iterator[Server]:
    with server(str(path)) as found:
        yield found


def tokens_written(running: Server) -> float:
    _, text = running.ask("/metrics")
    lines = [line for line in text.splitlines() if line.startswith("infgram_tokens_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def connected(running: Server) -> socket.socket:
    return socket.create_connection(running.place, timeout=TIMEOUT)


def test_a_server_answers_where_it_says(running: Server) -> None:
    assert running.address.startswith("http://127.0.0.1:")
    assert running.ask("/health") == (200, {"status": "ok"})
    status, found = running.ask("/", COUNT)
    assert status == 200 and found["count"] == 4000


def test_the_command_names_a_token_by_its_variable(path: Path) -> None:
    with server(str(path), environment={"INFGRAM_TOKEN": "secret"}) as found:
        assert found.ask("/", COUNT)[0] == 401
        assert found.ask("/", COUNT, headers={"authorization": "Bearer secret"})[0] == 200


def test_a_request_for_another_host_is_refused(running: Server) -> None:
    assert running.ask("/", COUNT, headers={"host": "evil.example.org"})[0] == 421


def test_a_body_of_100_mb_is_refused_without_being_read(running: Server) -> None:
    with closing(connected(running)) as client:
        head = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 104857600\r\n\r\n"
        client.sendall(head + b"x" * 1000)
        answer = client.recv(1 << 16)
    assert answer.startswith(b"HTTP/1.1 413") and b"connection: close" in answer.lower()


def test_chunks_without_end_are_refused(running: Server) -> None:
    with closing(connected(running)) as client:
        client.sendall(b"POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        sent = 0
        try:
            while sent < 100:
                client.sendall(chunk)
                sent += 1
        except OSError:
            pass  # the server has closed it
        assert sent < 100 or client.recv(100).startswith(b"HTTP/1.1 413")
    assert running.ask("/health")[0] == 200


@pytest.fixture(scope="module")
def hasty(path: Path) -> Iterator[Server]:
    """A server with little patience, and room for few."""
    code = f"""
import infgram
from infgram.serve.run import serve
from infgram.serve.settings import Limits, Settings
limits = Limits(body_seconds=0.3, idle_seconds=0.3, connections=40, seconds=0.5)
serve([infgram.open({str(path)!r})], Settings(limits=limits), port=0,
      started=lambda address: print("at", address, flush=True))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield Server(process, process.stdout.readline().split()[-1])  # type: ignore[arg-type]
    finally:
        process.kill()
        process.wait(TIMEOUT)
        process.stdout.close()


def test_a_body_that_comes_too_slowly_is_status_408(hasty: Server) -> None:
    with closing(connected(hasty)) as client:
        client.sendall(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{")
        answer = client.recv(1 << 16)
        assert answer.startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("sent", [b"", b"POST / HT", b"GET /health HTTP/1.1\r\nhost: local"])
def test_a_connection_that_says_nothing_or_half_a_request_is_closed(
    hasty: Server, sent: bytes
) -> None:
    with closing(connected(hasty)) as client:
        client.sendall(sent)
        assert client.recv(100) == b""


def test_half_a_request_behind_a_whole_one_is_closed_too(hasty: Server) -> None:
    whole = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"
    with closing(connected(hasty)) as client:
        client.sendall(whole)
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 200")
        client.sendall(whole[:20])
        while found := client.recv(1 << 16):
            assert b"ok" in found


def test_more_connections_than_allowed_are_closed_and_the_others_answered(hasty: Server) -> None:
    many = [connected(hasty) for _ in range(120)]
    try:

        def fresh() -> bool:
            try:
                return hasty.ask("/health")[0] == 200
            except (OSError, http.client.HTTPException):
                return False

        wait_until(fresh)
    finally:
        for each in many:
            each.close()


def test_ten_thousand_connections_do_not_stop_it(running: Server) -> None:
    """As many of them as this system lets a process open."""
    if sys.platform == "win32":
        pytest.skip("Windows has other limits")
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    n = min(10_000, hard - 500)
    many: list[socket.socket] = []
    try:
        for i in range(n):
            many.append(connected(running))
            if i % 500 == 499:
                assert is_running(running.process.pid)
    finally:
        for each in many:
            each.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def answers() -> bool:
        try:
            return bool(running.ask("/", COUNT)[0] == 200)
        except (OSError, http.client.HTTPException):
            return False

    wait_until(answers)


@pytest.mark.parametrize("stream", [True, False])
def test_a_generation_that_is_left_by_its_client_stops(path: Path, stream: bool) -> None:
    with server(str(path), "--timeout", "600") as found:
        given = {**LONG, "max_tokens": 400, "n": 16, "prompt": [""] * 15, "logprobs": 20}
        given |= {"echo": True, "stream": stream}
        body = json.dumps(given).encode()
        with closing(connected(found)) as client:
            client.sendall(HEAD % len(body) + body)
            if stream:
                assert client.recv(1000)
            wait_until(lambda: tokens_written(found) > 0)
        seen = -1.0

        def stands() -> bool:
            nonlocal seen
            before, seen = seen, tokens_written(found)
            time.sleep(0.3)
            return before == seen

        wait_until(stands)
        assert seen < 400 * 16 * 15


def test_what_runs_too_long_ends_and_leaves_its_thread(hasty: Server) -> None:
    given = {**LONG, "prompt": [""] * 100, "max_tokens": 1000, "logprobs": 20}
    for _ in range(3):
        status, answer = hasty.ask("/v1/completions", given)
        assert status == 504 and answer["error"]["type"] == "timeout_error"
    assert hasty.ask("/", COUNT)[0] == 200


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_soon_when_it_is_told_to(path: Path, workers: str, number: int) -> None:
    with server(str(path), "--workers", workers, "--timeout", "600") as found:
        body = json.dumps({**LONG, "stream": True, "n": 16, "max_tokens": 6000}).encode()
        with closing(connected(found)) as client:
            client.sendall(HEAD % len(body) + body)
            assert client.recv(10)
            children = _children(found.process.pid)
            assert len(children) >= int(workers) * (workers != "1")
            found.process.send_signal(number)
            assert found.process.wait(TIMEOUT) in (128 + number, -number)
    wait_until(lambda: not any(map(is_running, children)))


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(each) for each in listed.read_text().split()] if listed.exists() else []


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
def test_workers_answer_in_turn_and_one_that_dies_is_replaced(path: Path) -> None:
    with server(str(path), "--workers", "2") as found:

        def processes() -> set[str]:
            seen = set()
            for _ in range(40):
                _, text = found.ask("/metrics")
                seen.add(text.partition('process="')[2].partition('"')[0])
            return seen

        wait_until(lambda: len(processes()) == 2)
        victim = int(next(iter(processes())))
        maps = Path(f"/proc/{victim}/maps").read_text()
        assert str(path) in maps  # mapped, and so shared
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: len(processes() - {str(victim)}) == 2)
        assert found.ask("/", COUNT)[1]["count"] == 4000


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_the_benchmark_of_serving_meets_no_errors(path: Path) -> None:
    found = measure(path, 0.6, n_connections=4)
    assert found.keys() == {"count", "batch", "generate"}
    for each in found.values():
        assert each.requests >= 4 and each.errors == 0
        assert 0 <= each.p50_ms <= each.p99_ms and each.memory_after > 0
