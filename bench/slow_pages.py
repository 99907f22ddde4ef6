"""How long a first count over 50 shards takes where each page of memory takes milliseconds to come.

    python bench/slow_pages.py TEXT [--pause 0.002]

An index in memory (/dev/shm) whose pages answer late: Linux tells this process of each first touch
of a page, and it lets the toucher go on after the pause (userfaultfd, as root). One after another,
the shards would take a pause a page.
"""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import os
import platform
import random
import select
import struct
import tempfile
import threading
import time
from collections import deque
from pathlib import Path
from unittest.mock import patch

import infgram
from infgram.store import system

N_SHARDS = 50
PAGE = 4096
SYS_USERFAULTFD = {"x86_64": 323, "aarch64": 282}
# of linux/userfaultfd.h
API, MINOR_SHMEM, REGISTER_MINOR, PAGEFAULT = 0xAA, 1 << 10, 4, 0x12
UFFDIO_API, UFFDIO_REGISTER, UFFDIO_WAKE, UFFDIO_CONTINUE = (
    0xC018AA3F,
    0xC020AA00,
    0x8010AA02,
    0xC020AA07,
)


class SlowPages:
    """Maps whose pages come late. `n`: how many have come."""

    def __init__(self, pause: float) -> None:
        self.n = 0
        self._pause = pause
        number = SYS_USERFAULTFD[platform.machine()]
        self._descriptor = ctypes.CDLL(None, use_errno=True).syscall(number, os.O_NONBLOCK)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "userfaultfd is not to be had: are you root?")
        fcntl.ioctl(self._descriptor, UFFDIO_API, struct.pack("QQQ", API, MINOR_SHMEM, 0))
        threading.Thread(target=self._answer, daemon=True).start()

    def slow_down(self, address: int, n_bytes: int) -> None:
        """From now on, pages of a map come late that nobody has touched."""
        n_bytes = -(-n_bytes // PAGE) * PAGE
        ctypes.CDLL(None).madvise(ctypes.c_void_p(address), ctypes.c_size_t(n_bytes), 4)  # let go
        registered = struct.pack("QQQQ", address, n_bytes, REGISTER_MINOR, 0)
        fcntl.ioctl(self._descriptor, UFFDIO_REGISTER, registered)

    def _answer(self) -> None:
        due: deque[tuple[float, int]] = deque()
        while True:
            wait = max(due[0][0] - time.monotonic(), 0.0) if due else None
            if select.select([self._descriptor], [], [], wait)[0]:
                messages = os.read(self._descriptor, 64 * 32)
                for i in range(0, len(messages), 32):
                    event, address = struct.unpack_from("B15xQ", messages, i)
                    if event == PAGEFAULT:
                        due.append((time.monotonic() + self._pause, address & -PAGE))
            while due and due[0][0] <= time.monotonic():
                page = due.popleft()[1]
                try:
                    come = struct.pack("QQQq", page, PAGE, 0, 0)
                    fcntl.ioctl(self._descriptor, UFFDIO_CONTINUE, come)
                    self.n += 1
                except FileExistsError:  # two have waited for it
                    fcntl.ioctl(self._descriptor, UFFDIO_WAKE, struct.pack("QQ", page, PAGE))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", type=Path)
    parser.add_argument("--pause", type=float, default=0.002, help="seconds a page")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rng = random.Random(asked.seed)
    text = asked.text.read_bytes()
    cuts = [rng.randrange(len(text) // 2) for _ in range(N_SHARDS)]
    size = len(text) // 3
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        path = Path(folder, "slow.infgram")
        infgram.build([text[cut : cut + size] for cut in cuts], path, shard_tokens=size + 9)

        def open_file(name: str | Path, within: int | None = None) -> int:
            return os.open(name, os.O_RDWR, dir_fd=within)  # or its map could not be registered

        with patch.object(system, "open_file", open_file):
            index = infgram.open(path, verify=False)
        pages = SlowPages(asked.pause)
        for stored in index.segments.all_stored():
            for column in stored.columns.values():
                pages.slow_down(column.__array_interface__["data"][0], column.nbytes)
        start = rng.randrange(len(text) - 12)
        began = time.perf_counter()
        index.count(text[start : start + 12])
        seconds = time.perf_counter() - began
        serial = pages.n * asked.pause
        print(
            f"{index.n_shards} shards, {pages.n} pages of {asked.pause * 1e3:g} ms: "
            f"{serial:.3f} s one after another, {seconds:.3f} s as it is ({serial / seconds:.1f})"
        )


if __name__ == "__main__":
    main()
