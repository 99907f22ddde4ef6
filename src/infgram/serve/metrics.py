"""What a server counts of itself, in the text format of Prometheus."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable

_BOUNDS = (0.001, 0.01, 0.1, 1.0, 10.0)


class Metrics:
    """Requests by path and status, how long they took, and what was written.

    Each process counts its own, and says so: the label `process`.

    >>> metrics = Metrics()
    >>> metrics.request("/health", 200, 0.002)
    >>> 'path="/health",status="200"} 1' in metrics.text()
    True
    """

    def __init__(self) -> None:
        self.running = 0
        self.tokens = 0
        self._requests: dict[tuple[str, int], int] = defaultdict(int)
        self._took = [0] * (len(_BOUNDS) + 1)
        self._seconds = 0.0

    def request(self, path: str, status: int, seconds: float) -> None:
        """One was answered. path: of a route, or another name of few."""
        self._requests[path, status] += 1
        self._took[sum(seconds > bound for bound in _BOUNDS)] += 1
        self._seconds += seconds

    def text(self) -> str:
        """All of it."""
        process = f'process="{os.getpid()}"'
        lines: list[str] = []

        def add(name: str, kind: str, told: str, values: Iterable[tuple[str, float]]) -> None:
            lines.extend((f"# HELP infgram_{name} {told}", f"# TYPE infgram_{name} {kind}"))
            for suffix, value in values:
                lines.append(
                    f"infgram_{name}{suffix} {value:g}"
                    if value % 1
                    else f"infgram_{name}{suffix} {value:.0f}"
                )

        requests = [
            (f'_total{{{process},path="{path}",status="{status}"}}', n)
            for (path, status), n in sorted(self._requests.items())
        ]
        add("requests", "counter", "Requests that were answered.", requests)
        reached, buckets = 0, []
        for bound, n in zip((*map(str, _BOUNDS), "+Inf"), self._took, strict=True):
            reached += n
            buckets.append((f'_bucket{{{process},le="{bound}"}}', reached))
        sums = [(f"_sum{{{process}}}", self._seconds), (f"_count{{{process}}}", reached)]
        add("request_seconds", "histogram", "How long requests took.", [*buckets, *sums])
        add("requests_running", "gauge", "Requests that run.", [(f"{{{process}}}", self.running)])
        written = [(f"_total{{{process}}}", self.tokens)]
        add("tokens", "counter", "Tokens that completions were made of.", written)
        return "\n".join([*lines, ""])
