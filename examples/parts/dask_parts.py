"""An index built in parts by the workers of Dask, and joined.

    python dask_parts.py texts corpus.infgram 16 --scheduler tcp://scheduler:8786

Without a scheduler, two workers of this machine do it. A part whose worker dies is built by
another; run it again, and finished parts are kept. All workers see the same files.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from distributed import Client

import infgram


def build_part(texts: str, path: str, i: int, n: int) -> str:
    """Part i of n; an index cannot travel, and its path can."""
    infgram.build(texts, path, part=(i, n), layout="compact")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("texts")
    parser.add_argument("output", type=Path)
    parser.add_argument("n", type=int)
    parser.add_argument("--scheduler")
    given = parser.parse_args()
    here = {"n_workers": 2, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    with Client(given.scheduler) if given.scheduler else Client(**here) as client:
        folder = given.output.with_suffix(".parts").absolute()
        folder.mkdir(exist_ok=True)
        texts = str(Path(given.texts).absolute())
        tasks = [
            client.submit(build_part, texts, f"{folder}/{i}.infgram", i, given.n, retries=3)
            for i in range(1, given.n + 1)
        ]
        print(infgram.join(client.gather(tasks), given.output))


if __name__ == "__main__":
    main()
