"""What a question costs across workers of Ray, beside the same parts asked in this process.

    python bench/cluster.py corpus.txt          # or folders; 8 parts, 4 workers

It is best run where nothing beyond the machine can be reached (docs/howto/cluster.md).
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import ray

import infgram
import infgram.cluster


def median(ask: Callable[[], object], n: int) -> float:
    """Seconds that a call takes, the median of n."""
    ask()
    taken = []
    for _ in range(n):
        begun = time.perf_counter()
        ask()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def main(path: str) -> None:
    """Prints a line a question: what was asked, locally, across workers, their ratio."""
    text = Path(path).read_bytes()
    size = len(text) // 8
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, f"{i}.txt") for i in range(8)]
        for i, file in enumerate(files):
            file.write_bytes(text[i * size : (i + 1) * size])
        parts = infgram.cluster.build(files, Path(folder, "parts"))
        local = [infgram.open(part) for part in parts]
        rng = random.Random(0)
        begins = [rng.randrange(len(text) - 20) for _ in range(1000)]
        asked = [text[begin : begin + rng.randint(3, 15)] for begin in begins]
        model = infgram.Model(local[0], infgram.SBIS())
        with infgram.cluster.open(parts, n_workers=4) as cluster:
            assert (
                cluster.count_batch(asked).tolist()
                == sum(part.count_batch(asked) for part in local).tolist()
            )
            rows = [
                (
                    "one count",
                    200,
                    lambda: [p.count(asked[0]) for p in local],
                    lambda: cluster.count(asked[0]),
                ),
                (
                    "1,000 counts in one call",
                    50,
                    lambda: [p.count_batch(asked) for p in local],
                    lambda: cluster.count_batch(asked),
                ),
                (
                    "one distribution",
                    100,
                    lambda: [p.ntd(asked[0]) for p in local],
                    lambda: cluster.ntd(asked[0]),
                ),
            ]
            for name, n, here, there in rows:
                a, b = median(here, n), median(there, n)
                print(f"{name}: {1e6 * a:,.0f} µs here, {1e6 * b:,.0f} µs there, {b / a:.1f} times")
            for n_texts in (1, 64):
                prompts = [text[begin : begin + 20] for begin in begins[:n_texts]]
                begun = time.perf_counter()
                made = cluster.generate(prompts, max_tokens=50, seed=0)
                seconds = time.perf_counter() - begun
                n = sum(len(each.token_ids) for each in made)
                print(f"a token, {n_texts} texts at once: {1e6 * seconds / n:,.0f} µs there")
            here = median(lambda: model.generate(prompts[0], max_tokens=50, seed=0), 20)
            print(f"a token of a text, of one part: {1e6 * here / 50:,.1f} µs here")
    ray.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
