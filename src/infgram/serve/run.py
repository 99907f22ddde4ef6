"""A server that runs: its socket, its processes, how it ends."""

from __future__ import annotations

import multiprocessing
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any

import uvicorn

from ..checks import whole
from ..errors import InvalidParameter
from ..index import Index
from .app import application
from .catalogue import DEFAULT_ESTIMATOR
from .connections import impatient
from .guard import is_loopback
from .settings import Settings

_BACKLOG = 2048
_SECONDS_TO_END = 1


def serve(
    indexes: Sequence[Index],
    settings: Settings | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int = 1,
    estimator: str = DEFAULT_ESTIMATOR,
    started: Callable[[str], object] = lambda address: None,
) -> None:
    """Serves indexes until the process is told to end, which takes a second.

    `port`: 0 takes one that is free. `workers`: processes that share the port and, in memory, the
    pages of the indexes. `started` is called with the address. Other arguments as `application` has
    them.

    Raises InvalidParameter, also for a host that others can reach without a token; OSError if the
    port is taken.
    """
    settings = settings or Settings()
    whole(1, 256, workers=workers)
    whole(0, 65_535, port=port)
    if settings.token is None and not is_loopback(host):
        raise InvalidParameter(
            f"host is {host!r}, which others can reach, and there is no token: give one, or serve "
            "on 127.0.0.1"
        )
    if not is_loopback(host):
        settings = replace(settings, hosts=(*settings.hosts, host))
    _allow_many_files()
    with socket.create_server(
        (host, port), family=_family(host), backlog=_BACKLOG, reuse_port=False
    ) as listening:
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listening.getsockname()[1]}"
        if workers == 1:
            _run(indexes, settings, estimator, listening, lambda: started(address))
        else:
            _run_many(indexes, settings, estimator, listening, workers, lambda: started(address))


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _allow_many_files() -> None:
    """Lets this process have as many connections as the system lets it."""
    if sys.platform != "win32":
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _run(
    indexes: Sequence[Index],
    settings: Settings,
    estimator: str,
    listening: socket.socket,
    started: Callable[[], object],
) -> None:
    app = application(indexes, settings, estimator=estimator)
    config = uvicorn.Config(
        app,
        http=impatient(settings.limits),
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_SECONDS_TO_END,
    )
    server = uvicorn.Server(config)
    started()
    server.run(sockets=[listening])


# Several processes --------------------------------------------------------------------------------


def _run_many(
    indexes: Sequence[Index],
    settings: Settings,
    estimator: str,
    listening: socket.socket,
    n: int,
    started: Callable[[], object],
) -> None:
    """Keeps n processes running; one that dies is started anew."""
    context = multiprocessing.get_context("spawn")

    def start() -> BaseProcess:
        process = context.Process(
            target=_work, args=(list(indexes), settings, estimator, listening), daemon=True
        )
        process.start()
        return process

    told: list[int] = []

    def end(number: int, frame: FrameType | None) -> Any:
        told.append(number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    processes = [start() for _ in range(n)]
    started()
    try:
        while not told:
            time.sleep(0.05)
            for i, process in enumerate(processes):
                if not process.is_alive() and not told:
                    time.sleep(1)  # one that dies at once would be started all the time
                    processes[i] = start()
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join(2 * _SECONDS_TO_END)
            process.kill()
        for number, handler in before.items():
            signal.signal(number, handler)
    signal.raise_signal(told[0])


def _work(
    indexes: Sequence[Index], settings: Settings, estimator: str, listening: socket.socket
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal tells all; the first one decides
    _run(indexes, settings, estimator, listening, lambda: None)
