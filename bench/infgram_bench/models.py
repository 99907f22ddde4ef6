"""What the estimators predict, and how fast: perplexity on held-out text, scoring, generation.

Each corpus is split in its first 90 % and last 10 % of bytes (of the standard library those are
other modules), and an index of the first part predicts the second; nothing is fitted on the second.
`Mix` has weights that are learnt from the first part, 20 s (adapting: 55 s; full: 35 and 110 s) of
CPU time a megabyte, before anything is timed. KenLM (its `lmplz`, built by the user, and its Python
module, built for as high an order) is trained on the same bytes as tokens, a text as one sentence.
A compressor reads both parts (compressors.py). The published SBIS program, built by the user with
its call of `measurePerplexity` not commented out and any k, is believed about its own time:
"Validation Perplexity (k=K): P (took S s)".
"""

from __future__ import annotations

import math
import re
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import infgram
from infgram import SBIS, KneserNey, Longest, Mix, Model

from . import compressors, machine
from .corpora import Corpus, standard_library
from .failures import Trial
from .findings import Findings, duration
from .processes import JobFailed, run_job, run_program
from .question import Bench, Question
from .rivals import Absent
from .settings import Settings
from .timing import Contender, interleave

_N_GENERATED = 50_000
_COMPRESSORS_PATIENCE = 12  # times as long as other rivals may take
_SCORING_BARS = [  # thousand bytes/s
    *[("Kneser-Ney", 300), ("Kneser-Ney, adapting", 100)],
    *[("Mix", 70), ("Mix, adapting", 25)],
]
_VALIDATION = re.compile(r"Validation Perplexity \(k=(-?\d+)\): ([\d.]+) \(took ([\d.]+)s\)")
_PUBLISHED = {1: 4036.1918, 2: 97.7349, 3: 18.2353, 5: 7.1026, -1: 6.0625}


_BARS: list[
    tuple[KneserNey | Mix, str, bool, float, float]
] = [  # the estimator, whether it adapts, what its perplexity should be, and might be
    (KneserNey(), "static", False, 4.43, 4.348),
    (KneserNey(), "adapting", True, 3.98, 3.85),
    (Mix(), "static", False, 3.96, 3.80),
    (Mix(), "adapting", True, 3.42, 3.30),
    (Mix(size="full"), "static", False, 3.89, 3.80),
    (Mix(size="full"), "adapting", True, 3.36, 3.30),
]


@dataclass(frozen=True)
class Split:
    """A corpus, and the index of its first 90 %."""

    corpus: Corpus
    index: infgram.Index


def _answer(bench: Bench) -> None:
    settings = bench.settings
    splits = []
    for corpus in [
        settings.corpus,
        *([] if settings.quick else [*settings.others, standard_library()]),
    ]:
        bench.progress(f"index of {corpus.name}", 0, 0)
        splits.append(_split(corpus, bench.folder))
        if corpus.held_out:
            bench.findings.note(f"{corpus.name}, held out: {', '.join(corpus.held_out)}")
        bench.progress(f"perplexities of {corpus.name}", 0, 0)
        _perplexities(splits[-1], bench)
    if settings.corpus.is_shakespeare:
        _published(splits[0], bench)
        _bars(splits[0], bench.findings, quick=settings.quick)
    bench.progress("scoring and generating", 0, 0)
    _speed(splits[0], bench)


def _minutes(settings: Settings) -> float:
    minutes = 1.0 if settings.quick else 20.0 + 6.0 * len(settings.others)
    if settings.kenlm and not settings.quick:
        minutes += 1.5 * (2 + len(settings.others))
    if settings.compressors and not settings.quick:  # but cmix takes far longer
        minutes += 3.0 * len(settings.compressors) * (2 + len(settings.others))
    return minutes + 2.5 * len(settings.tiny_perplexity) * (not settings.quick)


QUESTION = Question("models", "Perplexity and its speed", _answer, _minutes, in_quick=True)


def _split(corpus: Corpus, folder: Path) -> Split:
    home = Path(tempfile.mkdtemp(dir=folder))  # names may be equal
    source = home / "training.txt"
    source.write_bytes(corpus.training)
    return Split(corpus, infgram.build(source, home / "training.infgram", format="bytes"))


def _perplexity(model: Model, text: bytes) -> tuple[float, int]:
    log_prob = model.score(text).log_prob
    zero = np.isneginf(log_prob)
    return float(np.exp(-log_prob[~zero].mean())), int(zero.sum())


def _perplexities(split: Split, bench: Bench) -> None:
    index, corpus = split.index, split.corpus
    models = [
        *([] if bench.settings.quick else _mixtures(index)),
        ("Mix", Model(index, Mix())),
        ("Kneser-Ney, adapting", Model(index, adapt=True)),
        ("Kneser-Ney", Model(index)),
        ("Kneser-Ney, max_order 6", Model(index, KneserNey(max_order=6))),
        (
            "SBIS k=-1, adapting, floor 1e-10",
            Model(index, SBIS(-1, 0.1, floor=1e-10), adapt=True),
        ),
        ("SBIS k=-1, floor 1e-10", Model(index, SBIS.published(-1, floor=1e-10))),
        (
            "SBIS k=-1, decay 0.5, distributions, floor 1e-10",
            Model(index, SBIS(-1, 0.5, "distributions", floor=1e-10)),
        ),
        ("SBIS k=2, floor 1e-10", Model(index, SBIS.published(2, floor=1e-10))),
        ("longest", Model(index, Longest())),
    ]
    rows = []
    for name, model in models:
        perplexity, n_zero = _perplexity(model, corpus.validation)
        cells = [name, *_figures(perplexity), f"{n_zero:,}"]
        rows.append(((n_zero > 0, perplexity), cells))  # last: what leaves something out
    trial = Trial()
    for order in (6, 8, 10) if not bench.settings.quick else ():
        name = f"KenLM, modified Kneser-Ney, order {order}"
        with trial.of(name, "perplexity"):
            try:
                perplexity = _kenlm(order, split, bench)
            except Absent as reason:
                bench.findings.note(f"{name}: {reason}")
                continue
            rows.append(((False, perplexity), [name, *_figures(perplexity), "0"]))
            if corpus == bench.settings.corpus:
                bench.findings.figures[f"perplexity of KenLM-{order}"] = perplexity
    for program in bench.settings.compressors if not bench.settings.quick else ():
        name = f"{compressors.name_of(program)}, adapting"
        bench.progress(f"{name}: archives of {corpus.name}", 0, 0)
        with trial.of(name, "perplexity"):
            perplexity = compressors.perplexity(
                *(program, corpus.training, corpus.validation),
                limit=_COMPRESSORS_PATIENCE * bench.settings.patience,
            )
            rows.append(((False, perplexity), [name, *_figures(perplexity), "0"]))
            if corpus == bench.settings.corpus:
                bench.findings.figures[f"perplexity of {name}"] = perplexity
    bench.findings.table(
        f"{corpus.name}: {len(corpus.training):,} bytes predict {len(corpus.validation):,}",
        ["perplexity of a byte", "nats", "bits", "of probability 0, left out"],
        [
            *(row for _, row in sorted(rows)),
            *([name, failed.cell, "", "", ""] for name, failed in trial.failed.items()),
        ],
    )


def _mixtures(index: infgram.Index) -> list[tuple[str, Model]]:
    """What takes minutes to fit."""
    full = Mix(size="full")
    return [
        ("Mix, adapting", Model(index, Mix(), adapt=True)),
        ("Mix, full", Model(index, full)),
        ("Mix, full, adapting", Model(index, full, adapt=True)),
    ]


def _name(estimator: KneserNey | Mix) -> str:
    if not isinstance(estimator, Mix):
        return "Kneser-Ney"
    return "Mix, full" if estimator.size == "full" else "Mix"


def _figures(perplexity: float) -> list[str]:
    nats = math.log(perplexity)
    return [f"{perplexity:,.4f}", f"{nats:.4f}", f"{nats / math.log(2):.4f}"]


def _kenlm(order: int, split: Split, bench: Bench) -> float:
    """Raises JobFailed, Absent."""
    corpus, held_out = bench.folder / "kenlm.train", bench.folder / "kenlm.validation"
    corpus.write_bytes(split.corpus.training)
    held_out.write_bytes(split.corpus.validation)
    how = (str(bench.settings.kenlm or ""), corpus, bench.folder, held_out, str(order))
    found = run_job("kenlm", *how, limit=bench.settings.patience).result
    if absent := found.get("absent"):
        raise Absent(absent)
    return float(found["perplexity"])


def _published(split: Split, bench: Bench) -> None:
    """The table of the write-up: window 100, floor 1e-10."""
    texts = {"validation": split.corpus.validation, "training": split.corpus.training}
    if bench.settings.quick:
        del texts["training"]
    rows = []
    for k, published in _PUBLISHED.items():
        row = [f"k = {k}"]
        for weighting in ("counts", "distributions"):
            model = Model(split.index, SBIS(k, 0.1, weighting, 100, 1e-10))
            perplexities = [_perplexity(model, text)[0] for text in texts.values()]
            row += [f"{perplexity:,.4f}" for perplexity in perplexities]
            if weighting == "counts":
                bench.findings.at_most(
                    f"SBIS k={k}, away from the published {published}",
                    abs(perplexities[0] / published - 1) * 100,
                    0.01,
                    "%",
                )
        rows.append(row)
    header = [f"{weighting}: {name}" for weighting in ("counts", "distributions") for name in texts]
    bench.findings.table("SBIS as published (window 100, floor 1e-10)", header, rows)


def _bars(split: Split, findings: Findings, *, quick: bool) -> None:
    for estimator, name, adapt, bar, goal in _BARS:
        if quick and isinstance(estimator, Mix) and (adapt or estimator.size == "full"):
            continue
        model = Model(split.index, estimator, adapt=adapt)
        found = _perplexity(model, split.corpus.validation)[0]
        who = f"{_name(estimator)}, {name}"
        findings.figures[f"perplexity of {who}"] = found
        findings.at_most(who, found, bar, "perplexity")
        findings.at_most(f"{who}, the goal", found, goal, "perplexity")


def _speed(split: Split, bench: Bench) -> None:
    validation, index, findings = split.corpus.validation, split.index, bench.findings
    # of the window and floor of the published program
    scoring = {
        "Mix": Model(index, Mix()),
        **({} if bench.settings.quick else {"Mix, adapting": Model(index, Mix(), adapt=True)}),
        "Kneser-Ney": Model(index),
        "Kneser-Ney, adapting": Model(index, adapt=True),
        **{f"SBIS k={k}": Model(index, SBIS(k, 0.1, window=100, floor=1e-10)) for k in (2, 5, -1)},
    }
    contenders = [
        Contender(name, partial(model.score, validation), len(validation))
        for name, model in scoring.items()
    ]
    interleave(contenders, rounds=bench.settings.rounds, seconds=0.2)
    findings.timing_table("scoring, bytes", contenders, rate=True)
    rates = {c.name: 1e-3 / (c.timing.cpu_seconds or math.nan) for c in contenders}
    for name, bar in _SCORING_BARS:
        if name not in rates:
            continue
        findings.figures[f"scoring with {name}"] = 1000 * rates[name]
        findings.at_least(f"scoring, {name}", rates[name], bar, "thousand/s of CPU time")
    if not bench.settings.quick:
        for program in bench.settings.tiny_perplexity:
            _tiny(program, split, rates, bench)
    writing: dict[str, tuple[Model, dict[str, Any]]] = {
        "Kneser-Ney, temperature 0.8": (Model(index), {}),
        "Mix, temperature 0.8": (Model(index, Mix()), {}),
        "Mix, temperature 1": (Model(index, Mix()), {"temperature": 1.0}),
        "Kneser-Ney, temperature 1": (Model(index), {"temperature": 1.0}),
        "Kneser-Ney, adapting": (Model(index, adapt=True), {}),
        "SBIS k=2": (Model(index, SBIS.published(2)), {}),
        "SBIS k=2, adapting": (Model(index, SBIS.published(2), adapt=True), {}),
        "SBIS k=2, max_copy=40": (Model(index, SBIS.published(2)), {"max_copy": 40}),
        "SBIS k=2, top_p=0.9": (Model(index, SBIS.published(2)), {"top_p": 0.9}),
    }
    contenders = [
        Contender(
            name,
            partial(model.generate, "ROMEO:", max_tokens=_N_GENERATED, seed=1, **options),
            _N_GENERATED,
        )
        for name, (model, options) in writing.items()
    ]
    interleave(contenders, rounds=bench.settings.rounds, seconds=0.2)
    title = "generating, bytes, temperature 0.8 unless said"
    findings.timing_table(title, contenders, rate=True)
    rate = 1 / (contenders[0].timing.cpu_seconds or math.nan)
    findings.figures["generating with Kneser-Ney"] = rate
    findings.at_least("generating with Kneser-Ney", rate / 1000, 200, "thousand/s of CPU time")
    _threads(index, bench)


def _tiny(program: Path, split: Split, rates: dict[str, float], bench: Bench) -> None:
    (bench.folder / "data.txt").write_bytes(split.corpus.text)
    bench.progress(f"{program.name}, the published program", 0, 0)
    trial = Trial()
    rows = []
    with trial.of(program.name, "perplexity"):
        found = _VALIDATION.findall(run_program(program, bench.folder))
        if not found:
            raise JobFailed("printed no line 'Validation Perplexity (k=K): P (took S s)'")
        for k, perplexity, took in found:
            seconds = float(took)
            rows.append([f"{program.name}, k={k}", f"{float(perplexity):,.4f}", duration(seconds)])
            if rate := rates.get(f"SBIS k={k}"):
                own = len(split.corpus.validation) / (1000 * rate)
                what = f"SBIS k={k} perplexity, to the published program's time"
                bench.findings.at_least(what, seconds / own, 100)
    rows += [[name, failed.cell, ""] for name, failed in trial.failed.items()]
    bench.findings.table("the published program", ["validation perplexity", "in"], rows)


def _threads(index: infgram.Index, bench: Bench) -> None:
    """Eight texts by one thread and by two, in turn, on any two cores."""
    if len(machine.ALL_CORES) < 2 or bench.settings.quick:
        bench.findings.note("two threads: measured in the full run, where there are two cores")
        return
    model = Model(index)
    seconds: dict[int, list[float]] = {1: [], 2: []}
    with machine.unpinned():
        for repeat in range(6):
            for threads, taken in seconds.items():
                started = time.perf_counter()
                model.samples(8, "ROMEO:", max_tokens=_N_GENERATED, threads=threads, seed=repeat)
                taken.append(time.perf_counter() - started)
    ratio = float(np.median(seconds[1]) / np.median(seconds[2]))
    bench.findings.at_least("two threads generate, to one", ratio, 1.7)
