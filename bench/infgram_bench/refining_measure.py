"""All that `refining` measures, in a process of its own: raw text, refined text, speed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

import infgram

from . import machine, refining_drafts, refining_judges, training
from .gpt import Text, use_threads
from .refining_detection import DETECTORS, auroc, corrupted
from .refining_drafts import N_PROMPT, N_WRITTEN, SEEDS, Drafts, Ids, Setting
from .refining_metrics import GRAM, Floats, Measure, Real, measures, run_lengths
from .refining_systems import (
    SCORERS,
    SYSTEMS,
    Material,
    System,
    by_network,
    refined,
    refiner_path,
)
from .rivals import Absent
from .timing import Contender, interleave

STARTS = (2, 3, -1)
N_PROMPTS = 256
_N_DRAFTS = 4  # to choose the best of
_MINUTES = 18.0  # for the refiner
_ROUNDS = 5  # of what is timed
_N_AT_ONCE = 64  # drafts, for the throughput
_COPIED = "copied grams"

# What one could do instead of refining: the drafts that are refined, and other ways to write them.
SWEEP: tuple[Setting, ...] = (
    *(Setting(k) for k in STARTS),
    *(Setting(k, decay=0.3) for k in STARTS),
    *(Setting(2, temperature) for temperature in (1.0, 1.5)),
    *(Setting(k, 1.0, 0.3) for k in (2, 3)),
    Setting(2, 1.2, 0.3),
    Setting(3, 0.6, 0.3),
    *(Setting(-1, temperature) for temperature in (0.4, 0.6)),
    *(Setting(k, decay=0.3, max_copy=GRAM) for k in (2, 3)),
    *(Setting(k, decay=0.3, max_copy=GRAM - 1) for k in (2, 3)),
    Setting(2, max_copy=GRAM),
    *(Setting(None, temperature) for temperature in (0.6, 0.7, 0.8)),
    *(Setting(None, temperature, other=infgram.Mix) for temperature in (0.6, 0.7, 0.8, 1.0)),
    Setting(None, max_copy=GRAM, other=infgram.Mix),
)
Say = Callable[[dict[str, Any]], None]
Kind = Literal["real", "raw", "refined"]


@dataclass(frozen=True, eq=False)
class Row:
    """A set of texts as measured.

    - `start`: the k of the drafts that were refined.
    - `longest`: bytes of the longest run that stands in the training text.
    - `seconds`: a byte, all drafts at once; `one_seconds`: for a draft alone.
    """

    name: str
    kind: Kind
    start: int | None
    found: dict[str, Measure]
    longest: int
    seconds: float | None
    one_seconds: float | None

    def record(self, draft: Row | None) -> dict[str, Any]:
        """As JSON has it, with the differences to the draft that it was made from."""
        found = self.found.items() if draft else ()
        differences = {name: each.difference(draft.found[name]) for name, each in found if draft}
        return {
            **{"name": self.name, "kind": self.kind, "start": self.start},
            **{"longest": self.longest, "seconds": self.seconds, "one_seconds": self.one_seconds},
            "values": {name: each.value for name, each in self.found.items()},
            "differences": differences,
        }


class Reader:
    """The judges, and all that texts are held against."""

    def __init__(self, real: Real) -> None:
        self.real = real
        self.text: Text = refining_judges.text_of(real.training, real.held_out)
        self.judges = {
            name: training.train(recipe, self.text, seconds=0)
            for name, recipe in refining_judges.JUDGES.items()
        }

    def nats(self, texts: Ids) -> dict[str, Floats]:
        """By judge, of what stands after the prompts: (n, N_WRITTEN)."""
        characters = self.text.encode(texts.tobytes().decode("latin-1")).reshape(texts.shape)
        return {
            name: refining_judges.nats(judge.model, characters, N_PROMPT)
            for name, judge in self.judges.items()
        }

    def row(
        self,
        name: str,
        kind: Kind,
        texts: Drafts,
        *,
        before: Drafts | None = None,
        start: int | None = None,
        seconds: float | None = None,
        one_seconds: float | None = None,
    ) -> Row:
        """`before`: the texts as they were, if they were others; the rest is Row's."""
        drafts = texts if before is None else before
        found = measures(texts.written, drafts.written, self.nats(texts.token_ids), self.real)
        longest = int(run_lengths(self.real.index, texts.written).max())
        return Row(name, kind, start, found, longest, seconds, one_seconds)


def real_of(folder: Path) -> Real:
    """The folder has training.txt, held_out.txt, and training.infgram, the first one's index."""
    return Real(
        infgram.open(folder / "training.infgram"),
        (folder / "training.txt").read_bytes(),
        (folder / "held_out.txt").read_bytes(),
    )


def train_judge(name: str, folder: Path, say: Say) -> dict[str, float]:
    """Trains to the end, if it was not; the held-out loss."""
    real = real_of(folder)
    text = refining_judges.text_of(real.training, real.held_out)
    recipe = refining_judges.JUDGES[name]
    trained = training.train(recipe, text, threads=1, on_progress=training.telling(say))
    return {"loss": trained.validation_loss, "seconds": trained.seconds}


def train_refiner(folder: Path, say: Say) -> dict[str, float]:
    """Trains a nano refiner on one core for 18 minutes, if it was not; what it came to."""
    from infgram.refine.network import checkpoint
    from infgram.refine.network.training import train

    real = real_of(folder)
    path = refiner_path(real.training)
    seconds = {}
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = np.frombuffer(real.training + real.held_out, np.uint8)
        trained = train(
            whole,
            path,
            minutes=_MINUTES,
            device="cpu",
            threads=1,
            held_out=len(real.held_out) / len(whole),
            progress=lambda stage, done, total: say(
                {"stage": stage, "step": done, "max_iters": total}
            ),
        )
        seconds["refiner: seconds of training"] = trained.seconds
    _, metadata = checkpoint.read(path)
    trunk, detector = metadata["steps"]
    return {
        **seconds,
        **{"refiner: steps of the trunk": trunk, "refiner: steps of the detector": detector},
        **{f"refiner: loss with {at} hidden": loss for at, loss in metadata["val_loss"].items()},
    }


def measure(folder: Path, say: Say) -> dict[str, Any]:
    """Of `real_of` the folder, once both judges are trained."""
    real = real_of(folder)
    with use_threads(1):
        return _measure(Reader(real), Material(real.index, real.training, folder), say)


def throughput(folder: Path) -> dict[str, float]:
    """A round of the editor for many drafts at once, on every core; nothing without a refiner."""
    real = real_of(folder)
    places = refining_drafts.offsets(len(real.held_out), "reporting", _N_AT_ONCE)
    prompts = refining_drafts.windows(real.held_out, places).token_ids[:, :N_PROMPT]
    drafts = refining_drafts.write(real.index, Setting(3), prompts, SEEDS[:1])
    threads = len(machine.ALL_CORES) or 1
    material = Material(real.index, real.training, folder)
    try:
        refine = by_network(material, threads=threads, rounds=1)
    except Absent:
        return {}
    seconds = _seconds(partial(refine, drafts.token_ids, drafts.prompt_lengths, 0))
    return {"rate": drafts.written.size / seconds, "threads": threads}


def _seconds(run: Callable[[], object]) -> float:
    """The median of some runs after a first one."""
    contender = Contender("", run)
    interleave([contender], rounds=_ROUNDS, seconds=0.0)
    return contender.timing.seconds


def _measure(reader: Reader, material: Material, say: Say) -> dict[str, Any]:
    real = reader.real
    places = refining_drafts.offsets(len(real.held_out), "reporting", N_PROMPTS)
    held_out = refining_drafts.windows(real.held_out, places)
    prompts = held_out.token_ids[:, :N_PROMPT]
    seen = refining_drafts.spread(real.training, len(places))
    rows = [
        reader.row("real text, held out", "real", held_out),
        reader.row("real text, training", "real", refining_drafts.windows(real.training, seen)),
    ]
    n_rows = (
        len(rows)
        + len(SWEEP)
        + len(STARTS) * len(SCORERS)
        + sum(len(each.starts) for each in SYSTEMS)
    )
    starts: dict[int, Drafts] = {}

    def add(row: Row) -> None:
        rows.append(row)
        say({"step": len(rows), "max_iters": n_rows, "stage": row.name})

    for setting in SWEEP:
        drafts = refining_drafts.write(real.index, setting, prompts, SEEDS)
        if setting.k is not None and setting == Setting(setting.k):
            starts[setting.k] = drafts
        add(reader.row(setting.name, "raw", drafts))
    absent: dict[str, str] = {}
    for name, make in SCORERS.items():
        try:
            scorer = make(material)
        except Absent as reason:
            absent[name] = str(reason)
            continue
        for k in STARTS:
            best = refining_drafts.best_of(
                _N_DRAFTS, scorer, real.index, Setting(k), prompts, SEEDS
            )
            add(reader.row(f"{Setting(k).name}, best of {_N_DRAFTS} by {name}", "raw", best))
    for system in SYSTEMS:
        try:
            for row in _refine(system, material, starts, reader):
                add(row)
        except Absent as reason:
            absent[system.name] = str(reason)
    raw = {row.name: row for row in rows if row.kind == "raw"}
    controls = {system.name for system in SYSTEMS if system.is_control}
    return {
        **{"n_prompts": len(places), "n_prompt": N_PROMPT},
        **{"n_seeds": len(SEEDS), "n_written": N_WRITTEN},
        "drafts": {k: Setting(k).name for k in STARTS},
        "losses": {name: judge.validation_loss for name, judge in reader.judges.items()},
        "rows": [
            row.record(raw[Setting(row.start).name] if row.start is not None else None)
            for row in rows
        ],
        "rivals": [
            _rival(row, list(raw.values()))
            for row in rows
            if row.kind == "refined" and row.name not in controls
        ],
        "detection": _detect(material, held_out, absent),
        "absent": absent,
    }


def _refine(
    system: System, material: Material, starts: dict[int, Drafts], reader: Reader
) -> Iterator[Row]:
    refine = system.make(material)
    for k in system.starts:
        drafts = starts[k]
        one = Drafts(drafts.token_ids[:1])
        alone = _seconds(partial(refined, system, refine, one, 0))
        started = time.perf_counter()
        made = refined(system, refine, drafts, 0)
        seconds = (time.perf_counter() - started) / drafts.written.size
        yield reader.row(
            system.name,
            "refined",
            made,
            before=drafts,
            start=k,
            seconds=seconds,
            one_seconds=alone,
        )


def _rival(row: Row, raw: list[Row]) -> dict[str, Any]:
    """By judge, the likeliest raw text that copies no more, and how much likelier this one is."""
    as_new = [each for each in raw if each.found[_COPIED].value <= row.found[_COPIED].value]
    beside = {}
    for judge in refining_judges.JUDGES if as_new else ():
        nats = f"nats, {judge}"
        best = min(as_new, key=lambda each: each.found[nats].value)
        beside[judge] = {
            "rival": best.name,
            "copied": best.found[_COPIED].value,
            "difference": row.found[nats].difference(best.found[nats]),
        }
    return {"name": row.name, "start": row.start, "beside": beside}


def _detect(material: Material, held_out: Drafts, absent: dict[str, str]) -> dict[str, float]:
    """By detector, the chance that it finds a wrong byte more suspicious than a right one."""
    damaged, wrong = corrupted(material.index, held_out, seed=0)
    found = {}
    for detector in DETECTORS:
        try:
            detect = detector.make(material)
        except Absent as reason:
            absent[detector.name] = str(reason)
            continue
        suspicion = detect(damaged.token_ids, damaged.prompt_lengths)
        found[detector.name] = auroc(suspicion[:, N_PROMPT:].ravel(), wrong.ravel())
    return found
