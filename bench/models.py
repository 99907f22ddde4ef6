"""What the estimators predict, and how fast: perplexity on held-out text, scoring, generation.

Each corpus is split in its first 90 % and last 10 % of bytes, and an index of the first part
predicts the second; nothing is fitted on the second. KenLM (its `lmplz`, built by the
user, and its Python module) is trained on the same bytes as tokens, a text as one sentence. The
published SBIS program, built by the user with its call of `measurePerplexity` not commented out and
any k, is believed about its own time: "Validation Perplexity (k=K): P (took S s)".
"""

from __future__ import annotations

import argparse
import math
import re
import subprocess
import sysconfig
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import infgram
from infgram import SBIS, KneserNey, Longest, Model

from .common import SHAKESPEARE, Contender, arguments, interleave, pin
from .report import Report

_STDLIB_BYTES = 4_000_000
_N_GENERATED = 50_000
_VALIDATION = re.compile(r"Validation Perplexity \(k=(-?\d+)\): ([\d.]+) \(took ([\d.]+)s\)")
_PUBLISHED = {1: 4036.1918, 2: 97.7349, 3: 18.2353, 5: 7.1026, -1: 6.0625}


@dataclass(frozen=True)
class Split:
    """A corpus, its first 90 % indexed."""

    name: str
    text: bytes
    index: infgram.Index

    @property
    def training(self) -> bytes:
        return self.text[: int(0.9 * len(self.text))]

    @property
    def validation(self) -> bytes:
        return self.text[int(0.9 * len(self.text)) :]


def main() -> None:
    """Measures and prints."""
    parser = arguments(__doc__)
    parser.add_argument("--text", type=Path, action="append", default=[], help="another corpus")
    parser.add_argument("--kenlm", type=Path, help="the folder of KenLM's lmplz")
    parser.add_argument(
        "--tiny", type=Path, action="append", default=[], help="the published program"
    )
    args = parser.parse_args()
    pinned = pin(args)
    report = Report("Language models", pinned)
    with tempfile.TemporaryDirectory() as temp:
        folder = Path(temp)
        splits = [
            _split(path.stem, path.read_bytes(), folder)
            for path in [args.corpus or SHAKESPEARE, *args.text]
            if path.is_file()
        ]
        splits.append(_split("standard library", _standard_library(), folder))
        for split in splits:
            _perplexities(split, args.kenlm, folder, report)
        if splits[0].name == SHAKESPEARE.stem:
            _published(splits[0], report)
            _bars(splits[0], report)
        _speed(splits[0], report, args, folder)
    report.emit(args)


def _standard_library() -> bytes:
    root = Path(sysconfig.get_path("stdlib"))
    skipped = {"test", "tests", "site-packages", "dist-packages", "__pycache__", "idlelib"}
    files = [f for f in sorted(root.rglob("*.py")) if not skipped & set(f.relative_to(root).parts)]
    return b"".join(f.read_bytes() for f in files)[:_STDLIB_BYTES]


def _split(name: str, text: bytes, folder: Path) -> Split:
    stem = name.replace(" ", "-")
    source = folder / f"{stem}.train"
    source.write_bytes(text[: int(0.9 * len(text))])
    return Split(name, text, infgram.build(source, folder / f"{stem}.infgram"))


def _perplexity(model: Model, text: bytes) -> tuple[float, int]:
    log_prob = model.score(text).log_prob
    zero = np.isneginf(log_prob)
    return float(np.exp(-log_prob[~zero].mean())), int(zero.sum())


def _perplexities(split: Split, kenlm: Path | None, folder: Path, report: Report) -> None:
    index = split.index
    models = [
        ("Kneser-Ney, adapting", Model(index, adapt=True)),
        ("Kneser-Ney", Model(index)),
        ("Kneser-Ney, max_order 6", Model(index, KneserNey(max_order=6))),
        ("SBIS k=-1, adapting, floor 1e-10", Model(index, SBIS(-1, floor=1e-10), adapt=True)),
        ("SBIS k=-1, floor 1e-10", Model(index, SBIS(-1, floor=1e-10))),
        (
            "SBIS k=-1, decay 0.5, distributions, floor 1e-10",
            Model(index, SBIS(-1, 0.5, "distributions", floor=1e-10)),
        ),
        ("SBIS k=2, floor 1e-10", Model(index, SBIS(2, floor=1e-10))),
        ("longest", Model(index, Longest())),
    ]
    rows = []
    for name, model in models:
        perplexity, n_zero = _perplexity(model, split.validation)
        rows.append([name, *_figures(perplexity), f"{n_zero:,}"])
    if kenlm:
        rows += [
            [
                f"KenLM, modified Kneser-Ney, order {n}",
                *_figures(_kenlm(kenlm, n, split, folder)),
                "0",
            ]
            for n in (6, 8, 10)
        ]
    else:
        report.note("KenLM: not measured, since --kenlm does not name it")
    rows.sort(key=lambda row: float(row[1].replace(",", "")))
    report.table(
        f"{split.name}: {len(split.training):,} bytes predict {len(split.validation):,}",
        ["", "perplexity of a byte", "nats", "bits", "of probability 0, left out"],
        rows,
    )


def _figures(perplexity: float) -> list[str]:
    nats = math.log(perplexity)
    return [f"{perplexity:,.4f}", f"{nats:.4f}", f"{nats / math.log(2):.4f}"]


def _kenlm(folder: Path, order: int, split: Split, temp: Path) -> float:
    """Bytes as numbers, all of a text one sentence, whose end is not scored.

    Its module's scores, because its `query` adds up a sentence in single precision.
    """
    import kenlm

    source, arpa = temp / "kenlm.txt", temp / "kenlm.arpa"
    source.write_text(" ".join(map(str, split.training)) + "\n")
    with open(source, "rb") as text, open(arpa, "wb") as model:
        subprocess.run(
            [folder / "lmplz", "-o", str(order), "--discount_fallback", "-S", "1G", "-T", temp],
            stdin=text,
            stdout=model,
            stderr=subprocess.PIPE,
            check=True,
        )
    scores = kenlm.Model(str(arpa)).full_scores(
        " ".join(map(str, split.validation)), bos=True, eos=False
    )
    log10 = [score for score, _, _ in scores]
    return float(10 ** (-math.fsum(log10) / len(log10)))


def _published(split: Split, report: Report) -> None:
    """The table of the write-up: window 100, floor 1e-10."""
    rows = []
    for k, published in _PUBLISHED.items():
        row = [f"k = {k}"]
        for weighting in ("counts", "distributions"):
            model = Model(split.index, SBIS(k, weighting=weighting, window=100, floor=1e-10))
            row.append(f"{_perplexity(model, split.validation)[0]:,.4f}")
            row.append(f"{_perplexity(model, split.training)[0]:,.4f}")
            if weighting == "counts":
                found = _perplexity(model, split.validation)[0]
                report.at_most(
                    f"SBIS k={k}, away from the published {published}",
                    abs(found / published - 1) * 100,
                    0.01,
                    "%",
                )
        rows.append(row)
    report.table(
        "SBIS as published (window 100, floor 1e-10)",
        ["", "counts: validation", "training", "distributions: validation", "training"],
        rows,
    )


def _bars(split: Split, report: Report) -> None:
    for name, adapt, bar in [("static", False, 4.43), ("adapting", True, 3.98)]:
        found = _perplexity(Model(split.index, adapt=adapt), split.validation)[0]
        report.at_most(f"Kneser-Ney, {name}", found, bar, "perplexity")
    report.at_most(
        "Kneser-Ney, static, the goal",
        _perplexity(Model(split.index), split.validation)[0],
        4.348,
        "perplexity",
    )
    report.at_most(
        "Kneser-Ney, adapting, the goal",
        _perplexity(Model(split.index, adapt=True), split.validation)[0],
        3.85,
        "perplexity",
    )


def _speed(split: Split, report: Report, args: argparse.Namespace, folder: Path) -> None:
    validation = split.validation
    index = split.index
    # of the window and floor of the published program
    scoring = {
        "Kneser-Ney": Model(index),
        "Kneser-Ney, adapting": Model(index, adapt=True),
        **{f"SBIS k={k}": Model(index, SBIS(k, window=100, floor=1e-10)) for k in (2, 5, -1)},
    }
    contenders = [
        Contender(name, lambda model=model: model.score(validation), len(validation))
        for name, model in scoring.items()
    ]
    interleave(contenders, rounds=args.rounds, seconds=0.2)
    report.timings("scoring, bytes", contenders, rate="a second")
    rates = {c.name: 1e-3 / (c.timing.cpu_seconds or math.nan) for c in contenders}
    report.at_least("scoring with Kneser-Ney", rates["Kneser-Ney"], 300, "thousand/s of CPU time")
    report.at_least(
        "scoring, adapting", rates["Kneser-Ney, adapting"], 100, "thousand/s of CPU time"
    )
    for program in args.tiny:
        _tiny(program, split, rates, folder, report)
    writing = {
        "Kneser-Ney, temperature 0.8": (Model(index), {}),
        "Kneser-Ney, temperature 1": (Model(index), {"temperature": 1.0}),
        "Kneser-Ney, adapting": (Model(index, adapt=True), {}),
        "SBIS k=2": (Model(index, SBIS(2)), {}),
        "SBIS k=2, adapting": (Model(index, SBIS(2), adapt=True), {}),
        "SBIS k=2, max_copy=40": (Model(index, SBIS(2)), {"max_copy": 40}),
        "SBIS k=2, top_p=0.9": (Model(index, SBIS(2)), {"top_p": 0.9}),
    }
    contenders = [
        Contender(
            name,
            lambda model=model, options=options: model.generate(
                "ROMEO:", max_tokens=_N_GENERATED, seed=1, **options
            ),
            _N_GENERATED,
        )
        for name, (model, options) in writing.items()
    ]
    interleave(contenders, rounds=args.rounds, seconds=0.2)
    report.timings("generating, bytes, temperature 0.8 unless said", contenders, rate="a second")
    rate = 1e-3 / (contenders[0].timing.cpu_seconds or math.nan)
    report.at_least("generating with Kneser-Ney", rate, 200, "thousand/s of CPU time")
    if args.no_pin:
        _threads(index, report)
    else:
        report.note("two threads: not measured on one core; --no-pin does")


def _tiny(
    program: Path, split: Split, rates: dict[str, float], folder: Path, report: Report
) -> None:
    (folder / "data.txt").write_bytes(split.text)
    done = subprocess.run(
        [program.resolve()], cwd=folder, capture_output=True, check=True, text=True
    )
    for k, perplexity, seconds in _VALIDATION.findall(done.stdout):
        own = len(split.validation) / (1000 * rates[f"SBIS k={k}"])
        report.note(f"the published program, k={k}: perplexity {perplexity}, {seconds} s")
        report.at_least(f"SBIS k={k} perplexity, to its time", float(seconds) / own, 100)


def _threads(index: infgram.Index, report: Report) -> None:
    """Eight texts by one thread and by two, in turn."""
    model = Model(index)
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for repeat in range(6):
        for threads, taken in seconds.items():
            started = time.perf_counter()
            model.samples(8, "ROMEO:", max_tokens=_N_GENERATED, threads=threads, seed=repeat)
            taken.append(time.perf_counter() - started)
    ratio = float(np.median(seconds[1]) / np.median(seconds[2]))
    report.at_least("two threads generate, to one", ratio, 1.7)


if __name__ == "__main__":
    main()
