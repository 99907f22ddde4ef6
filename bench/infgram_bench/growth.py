"""What infgram costs as the corpus grows: build, count, cursor, distribution, generation.

The exponent of a cost is the slope of a straight line through log(cost) against log(size): 1 for
what grows with the corpus, near 0 for what grows with its logarithm.

Memory hides in such curves: a 1 MiB corpus lies in the processor's cache, a 128 MiB one does not.
So questions are asked in three ways. *Hot*: each one many times in a row, which shows the algorithm
alone. *Warm*: the same 100 of them in turn, whose rows the cache keeps at every size, but not the
addresses of their pages. *Cold*: each question once, from all over the corpus, which shows what the
first question costs.
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np

import infgram

from .failures import Trial
from .findings import Curve, Picture, duration
from .large import large_name, large_text
from .processes import run_job
from .question import Bench, CannotMeasure, Question
from .settings import Settings
from .timing import Contender, interleave

_MIB = 1 << 20
_N_WARM = 100
_N_TEXTS = 20
_N_IN_A_ROW = 50
_N_COLD = 50_000
_N_TOKENS = 50
_N_WRITTEN = 50_000
_ROUNDS = 7
_BUILDS = 3
_REPEATED = (
    *("count, hot", "count, warm", "cursor, hot", "cursor, warm", "distribution, warm"),
    "a character by SBIS, k=2",
)
_COLD = "count, cold"
_SORT = "its suffix sort alone"
_BARS = {"build": 1.1, "count, hot": 0.1, "cursor, hot": 0.1}


def _answer(bench: Bench) -> None:
    sizes = _sizes(bench.settings)
    if len(sizes) < 2:
        raise CannotMeasure(
            "growth needs a --large-size of 2 MiB or more, and does not run with --quick"
        )
    builds: dict[int, list[float]] = {mib: [] for mib in sizes}
    sorts: dict[int, list[float]] = {mib: [] for mib in sizes}
    trial = Trial()
    for repeat in range(_BUILDS):
        for i, mib in enumerate(sizes):
            bench.progress(f"build of {mib} MiB", repeat * len(sizes) + i, _BUILDS * len(sizes))
            index = bench.folder / f"{mib}.infgram"
            if index.exists():
                shutil.rmtree(index)
            text = large_text(bench, mib)
            builds[mib].append(run_job("build", text, index).result["seconds"])
            if _SORT not in trial.failed:
                with trial.of(_SORT, f"{mib} MiB"):
                    sorted_in = run_job("sort", text, limit=bench.settings.patience)
                    sorts[mib].append(sorted_in.result["seconds"])
    bench.progress("questions", 0, 0)
    found = run_job("growth", bench.folder).result
    costs = {
        "build": [float(np.median(builds[mib])) for mib in sizes],
        **({} if trial.failed else {_SORT: [float(np.median(sorts[mib])) for mib in sizes]}),
        **{name: [by_size[str(mib)] for mib in sizes] for name, by_size in found.items()},
    }
    findings = bench.findings
    findings.setting["text"] = f"beginnings of {large_name(bench)}"
    n_bytes = [float(mib * _MIB) for mib in sizes]
    exponents = {name: exponent(n_bytes, seconds) for name, seconds in costs.items()}
    findings.table(
        "cost, each",
        [*(f"{mib} MiB" for mib in sizes), "exponent"],
        [
            [name, *map(duration, seconds), f"{exponents[name]:.3f}"]
            for name, seconds in costs.items()
        ]
        + [[name, each.cell, *[""] * len(sizes)] for name, each in trial.failed.items()],
    )
    for name, bar in _BARS.items():
        findings.at_most(f"exponent of {name}", exponents[name], bar, "")
    findings.figures.update({f"exponent, {name}": value for name, value in exponents.items()})
    findings.figures["largest MiB"] = sizes[-1]
    curves = [Curve(f"{n} (exponent {exponents[n]:.2f})", n_bytes, costs[n]) for n in costs]
    findings.pictures.append(
        Picture("growth", "Cost as the corpus grows", "bytes", "seconds", curves, True, True)
    )


def _sizes(settings: Settings) -> list[int]:
    """Powers of two up to the largest size."""
    largest = max(settings.sizes)
    return [1 << i for i in range(largest.bit_length()) if 1 << i <= largest]


QUESTION = Question(
    "growth",
    "How costs grow",
    _answer,
    minutes=lambda settings: 1 + 0.04 * max(settings.sizes),
    in_quick=False,
)


def exponent(sizes: list[float], costs: list[float]) -> float:
    """The slope of the straight line that fits best, both axes logarithmic.

    >>> round(exponent([1.0, 2.0, 4.0], [3.0, 6.0, 12.0]), 9)
    1.0
    """
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


# In a process of its own --------------------------------------------------------------------------


def costs(folder: Path) -> dict[str, dict[str, float]]:
    """Median seconds of one question each by size, of the indexes in the folder, asked in turn."""
    found: dict[str, dict[str, float]] = {}
    by_size = {path.stem: _contenders(path) for path in folder.glob("*.infgram")}
    for name in _REPEATED:
        contenders = [by_size[size][name] for size in by_size]
        interleave(contenders, rounds=_ROUNDS, seconds=0.02)
        found[name] = {s: by_size[s][name].timing.seconds for s in by_size}
    interleave([by_size[size][_COLD] for size in by_size], rounds=_ROUNDS, seconds=0)
    found[_COLD] = {s: by_size[s][_COLD].timing.seconds for s in by_size}
    return found


def _contenders(folder: Path) -> dict[str, Contender]:
    index = infgram.open(folder)
    data = index.document(0).token_ids.astype(np.uint8)
    rng = random.Random(1)

    def slices(n: int, shortest: int, longest: int, end: int = _MIB) -> list[bytes]:
        starts = [rng.randrange(end - longest) for _ in range(n)]
        return [data[s : s + rng.randint(shortest, longest)].tobytes() for s in starts]

    few = slices(_N_WARM, 3, 20)  # of the first MiB: the same at every size
    texts = slices(_N_TEXTS, _N_TOKENS, _N_TOKENS)
    contexts = slices(100, 6, 6)
    many = iter(slices((_ROUNDS + 2) * _N_COLD, 3, 20, len(data)))

    def count_cold() -> None:
        index.count_batch([next(many) for _ in range(_N_COLD)])

    def count_hot() -> None:
        for ngram in few:
            index.count_batch([ngram] * _N_IN_A_ROW)

    def move(n_times: int) -> None:
        for text in texts:
            for _ in range(n_times):
                index.match_lengths(text)

    def write() -> None:
        infgram.generate(index, texts[0], max_tokens=_N_WRITTEN, k=2, decay=0.1, seed=1)

    hot, warm, hot_cursor, warm_cursor, distribution, character = _REPEATED
    n_moved = _N_TEXTS * _N_TOKENS
    contenders = [
        Contender(hot, count_hot, _N_WARM * _N_IN_A_ROW),
        Contender(warm, lambda: index.count_batch(few), _N_WARM),
        Contender(hot_cursor, lambda: move(_N_IN_A_ROW), n_moved * _N_IN_A_ROW),
        Contender(warm_cursor, lambda: move(1), n_moved),
        Contender(distribution, lambda: list(map(index.ntd, contexts)), len(contexts)),
        Contender(character, write, _N_WRITTEN),
        Contender(_COLD, count_cold, _N_COLD),
    ]
    return {each.name: each for each in contenders}
