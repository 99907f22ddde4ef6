"""Round trips and bytes of an index that is asked in place, on a server of S3 of this machine.

python bench/remote.py corpus.infgram       # needs moto[server] and the extra `remote`
"""

from __future__ import annotations

import logging
import os
import random
import sys
import urllib.request
from collections.abc import Callable

from moto.server import ThreadedMotoServer

import infgram

N = 60  # questions of a kind


def main(path: str) -> None:
    """Prints a line a kind of question; every answer has to be that of the index."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    os.environ.update(
        AWS_ENDPOINT_URL=address,
        AWS_ACCESS_KEY_ID="key",
        AWS_SECRET_ACCESS_KEY="secret",
        AWS_REGION="us-east-1",
        AWS_ALLOW_HTTP="true",
    )
    bucket = urllib.request.Request(f"{address}/bucket", method="PUT")
    urllib.request.urlopen(bucket).close()
    local = infgram.open(path)
    infgram.push(local, "s3://bucket/index")
    index = infgram.open_remote("s3://bucket/index")
    print(f"open: {index.traffic.trips} round trips, {index.traffic.n_bytes / 1e3:.1f} kB")
    rng = random.Random(0)

    def ngram(least: int, most: int) -> bytes:
        document = b""
        while len(document) <= most:
            document = local.document(rng.randrange(local.n_documents)).text.encode()
        begin = rng.randrange(len(document) - most)
        found = document[begin : begin + rng.randint(least, most)]
        return found[:-1] + bytes([rng.randrange(256)]) if rng.random() < 0.2 else found

    def measure(name: str, asked: list[bytes], ask: Callable[..., object]) -> None:
        told = []
        for each in asked:
            before = (index.traffic.trips, index.traffic.n_bytes)
            ask(each)
            told.append((index.traffic.trips - before[0], index.traffic.n_bytes - before[1]))
        trips, n_bytes = ([each[i] for each in told] for i in range(2))
        print(
            f"{name}: round trips {sum(trips) / len(told):.1f}, at most {max(trips)}; "
            f"kB {sum(n_bytes) / len(told) / 1e3:.1f}, at most {max(n_bytes) / 1e3:.1f}"
        )

    def same(name: str) -> Callable[[bytes], None]:
        def ask(each: bytes) -> None:
            how = {"seed": 1} if name == "find" else {}
            assert getattr(index, name)(each, **how) == getattr(local, name)(each, **how), each

        return ask

    for least, most in ((1, 4), (3, 15), (15, 40), (40, 120), (200, 400)):
        asked = [ngram(least, most) for _ in range(N)]
        measure(f"count of {least} to {most} tokens", asked, same("count"))
    asked = [ngram(1, 20) for _ in range(N)]
    measure("ntd of 1 to 20", asked, same("ntd"))
    measure("find of 1 to 20", asked, same("find"))
    measure("levels of up to 200", [ngram(1, 200) for _ in range(N // 6)], same("levels"))
    several = [ngram(1, 20) for _ in range(300)]

    def batch(_: bytes) -> None:
        assert index.count_batch(several).tolist() == local.count_batch(several).tolist()

    measure("300 counts in one call", [b""], batch)
    server.stop()


if __name__ == "__main__":
    main(sys.argv[1])
