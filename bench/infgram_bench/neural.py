"""No training against training: infgram beside nanoGPT, from one run.

Everything runs in processes of its own, each of which has only the memory it needs: an index is
built, a model trained, both predict the same held-out text, both write. Generation is timed in one
process, in turn.
"""

from __future__ import annotations

import contextlib
import importlib.util
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import infgram
from infgram.extras import how_to_install

from . import machine
from .corpora import Corpus
from .failures import Trial
from .findings import Curve, Findings, Picture, duration, per_second, size
from .processes import Run, bytes_in, run_beside, run_job
from .question import Bench, Question
from .settings import Settings
from .timing import Contender, Timing, interleave
from .truth import WrongAnswers

if TYPE_CHECKING:
    from .gpt import Recipe

_N_WRITTEN = 500  # characters, as nanoGPT's sample.py writes by default
_N_WRITTEN_QUICK = 50
_ROUNDS = 3
_BATCH = 64
_SCORING: dict[str, tuple[Any, bool]] = {  # of the window and floor of the published perplexities
    "SBIS k=2": (infgram.SBIS.published(2, window=100, floor=1e-10), False),
    "SBIS k=3": (infgram.SBIS.published(3, window=100, floor=1e-10), False),
    "SBIS k=-1": (infgram.SBIS.published(-1, window=100, floor=1e-10), False),
    "Kneser-Ney": (infgram.KneserNey(), False),
    "Kneser-Ney, adapting": (infgram.KneserNey(), True),
    "Mix": (infgram.Mix(), False),
    "Mix, adapting": (infgram.Mix(), True),
}
_WRITING: dict[str, Any] = {
    "SBIS k=2": infgram.SBIS.published(2),
    "SBIS k=3": infgram.SBIS.published(3),
    "SBIS k=-1": infgram.SBIS.published(-1),
    "Kneser-Ney": infgram.KneserNey(),
    "Mix": infgram.Mix(),
}
_BUILDS = {  # what must be there before they predict: jobs, by the beginning of their names
    "Mix, adapting": "build_fitted_adapting",
    "Mix": "build_fitted",
    "Kneser-Ney": "build_calibrated",
    "SBIS": "build",
}
_PUBLISHED = {"SBIS k=2": 97.7349, "SBIS k=3": 18.2353, "SBIS k=-1": 6.0625}
_RECIPES = {"SHAKESPEARE_CHAR": "10.65 M", "CPU_RECIPE": "CPU recipe"}  # as ways are named
_NANOGPT = "nanoGPT"
_OWN_WAY = "its own model.py"
_PACKAGES = ("torch", "transformers")


def missing() -> str:
    """What the neural questions lack here, or nothing."""
    lacking = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    return (
        f"{', '.join(lacking)} not installed: "
        + how_to_install("neural", distribution="infgram-bench")
        if lacking
        else ""
    )


@dataclass(frozen=True)
class System:
    """A row: what it took until it could predict, and how well it then does.

    A training that did not come to its end has neither (NaN): how long it takes and how well the
    model then predicts is not known.
    """

    name: str
    ready_seconds: float
    loss: float
    peak_bytes: int
    disk_bytes: int
    published: float | None
    joules: float | None
    recipe: str = ""  # of nanoGPT

    @property
    def is_ready(self) -> bool:
        return not math.isnan(self.loss)


def _answer(bench: Bench) -> None:
    corpus, findings = bench.settings.corpus, bench.findings
    findings.setting["text"] = (
        f"{corpus.name}: {len(corpus.training):,} bytes for building and training, "
        f"{len(corpus.validation):,} held out"
    )
    text = bench.folder / "corpus.txt"
    text.write_bytes(corpus.text)
    systems = _infgram(corpus, bench)
    curves: dict[str, list[tuple[float, float]]] = {}
    trial = Trial()
    reason = missing()
    if reason:
        findings.note(f"nanoGPT: {reason}")
    elif not bench.settings.quick:
        for name in reversed(_RECIPES):
            with trial.of(f"nanoGPT, {_RECIPES[name]}", "training and its loss"):
                system, curve = _nanogpt(name, text, bench)
                systems.append(system)
                if system.is_ready:
                    curves[system.name] = curve
    seconds, silent = ({}, Trial()) if reason else _writing_seconds(text, bench)
    _readiness(systems, seconds, trial, findings)
    if seconds:
        _generation(seconds, silent, bench)
    if curves:
        _overtaking(systems, curves, findings)
    if all(system.joules is None for system in systems):
        findings.note("joules: this machine does not tell")


def _minutes(settings: Settings) -> float:
    if missing():
        return 0.5
    return 0.4 if settings.quick else 12 + settings.train_minutes


QUESTION = Question(
    "neural", "No training against training", _answer, minutes=_minutes, in_quick=True
)


# infgram ------------------------------------------------------------------------------------------


def _infgram(corpus: Corpus, bench: Bench) -> list[System]:
    """Built as each needs it, before its clock stops."""
    training = bench.folder / "training.txt"
    training.write_bytes(corpus.training)
    held_out = bench.folder / "validation.txt"
    held_out.write_bytes(corpus.validation)
    builds: dict[str, tuple[Run, float | None, Path]] = {}
    names = _estimators(bench.settings)
    for job in dict.fromkeys(map(_build_of, names)):
        bench.progress(job.replace("_", ", "), 0, 0)
        index = bench.folder / f"{job}.infgram"
        with machine.energy() as energy:
            builds[job] = run_job(job, training, index), energy.joules, index
    systems = []
    for name in names:
        bench.progress(f"perplexity of {name}", 0, 0)
        run, joules, index = builds[_build_of(name)]
        scored = run_job("neural_infgram_loss", name, index, held_out)
        published = _PUBLISHED.get(name) if corpus.is_shakespeare else None
        systems.append(
            System(
                f"infgram, {name}",
                run.result["seconds"],
                scored.result["loss"],
                max(run.peak_bytes, scored.peak_bytes),
                bytes_in(index),
                published and math.log(published),
                joules,
            )
        )
    return systems


def _build_of(estimator: str) -> str:
    return next(job for name, job in _BUILDS.items() if estimator.startswith(name))


def _estimators(settings: Settings) -> list[str]:
    """By `--quick` those that need nothing but the index: `models` has the others."""
    return [name for name in _SCORING if not settings.quick or _build_of(name) == "build"]


def infgram_loss(name: str, index: Path, held_out: Path) -> float:
    """Nats a byte."""
    estimator, adapt = _SCORING[name]
    model = infgram.Model(infgram.open(index), estimator, adapt=adapt)
    return -float(model.score(held_out.read_bytes()).log_prob.mean())


# nanoGPT ------------------------------------------------------------------------------------------


def _nanogpt(recipe: str, text: Path, bench: Bench) -> tuple[System, list[tuple[float, float]]]:
    """Trained, or trained on; and its losses on the way.

    The 10.65 M model is there for its speed. Its loss counts only if it was trained to the end.
    """
    limit = bench.settings.train_minutes * 60 if recipe == "SHAKESPEARE_CHAR" else math.inf

    def report(line: dict[str, Any]) -> None:
        stage = f"training {recipe}, {line['seconds_left'] / 60:.0f} minutes left"
        bench.progress(stage, line["step"], line["max_iters"])

    with machine.energy() as energy:
        trained = run_job("neural_train", recipe, text, str(limit), on_line=report).result
    steps = f"{trained['step']:,} of {trained['max_iters']:,} steps"
    name = f"nanoGPT, {trained['parameters'] / 1e6:.2f} M, {steps}"
    bench.findings.figures[f"{recipe} step"] = trained["step"]
    loss = ready = math.nan
    if trained["step"] == trained["max_iters"]:
        bench.progress(f"exact loss of {recipe}", 0, 0)
        loss = run_job("neural_nanogpt_loss", recipe, text).result["loss"]
        ready = trained["seconds"]
        bench.findings.figures |= {f"{recipe} seconds": ready, f"{recipe} loss": loss}
    else:
        name = f"nanoGPT, {trained['parameters'] / 1e6:.2f} M, speed alone"
        pace = trained["seconds"] / max(trained["step"], 1)
        bench.findings.note(
            f"{name}: {steps} were taken in the time that --train-minutes gives, so its loss is "
            "not shown"
            + (f"; all of them take {pace * trained['max_iters'] / 3600:.1f} hours" if pace else "")
        )
    bench.findings.note(f"{name}: trained on {trained['machine']}")
    system = System(
        name,
        ready,
        loss,
        trained["peak_bytes"],
        trained["disk_bytes"],
        trained["published"],
        energy.joules if trained["was_trained_now"] else None,
        recipe,
    )
    return system, [(seconds, val_loss) for seconds, _, _, val_loss in trained["curve"]]


def train(
    recipe_name: str, text: Path, limit: float, say: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Trains until `limit` seconds in all; a record of how far it came."""
    from . import gpt, training

    recipe: Recipe = getattr(gpt, recipe_name)
    split = gpt.Text.split(text.read_bytes())
    tell = training.telling(say)
    first_step = None

    def report(progress: training.Progress) -> None:
        nonlocal first_step
        first_step = first_step or progress.step
        tell(progress)

    found = training.train(
        recipe,
        split,
        device=training.best_device(),
        threads=1,
        seconds=None if math.isinf(limit) else limit,
        on_progress=report,
    )
    return {
        "step": found.step,
        "max_iters": recipe.max_iters,
        "seconds": found.seconds,
        "curve": found.curve,
        "published": recipe.published,
        "parameters": gpt.n_parameters(found.model),
        "peak_bytes": found.peak_bytes,
        "disk_bytes": sum(p.numel() * 4 for p in found.model.parameters() if p.requires_grad),
        "machine": found.machine,
        "was_trained_now": first_step == 1,
    }


def nanogpt_loss(recipe_name: str, text: Path) -> float:
    """Nats a character, exact; each has at least three quarters of the block before it."""
    from . import gpt

    model, split = load_nanogpt(recipe_name, text)
    block = model.config.n_positions
    return gpt.validation_loss(
        model, split.validation, stride=block // 4, context=split.training[-block:]
    )


def load_nanogpt(recipe_name: str, text: Path, *, unfinished: bool = True) -> tuple[Any, Any]:
    """A model as far as it was trained, and its text.

    If it was not trained to its end: as it is, which costs the same time, or None.
    """
    from . import gpt, training

    recipe: Recipe = getattr(gpt, recipe_name)
    split = gpt.Text.split(text.read_bytes())
    if training.checkpoint_path(recipe, split).exists():
        found = training.train(recipe, split, seconds=0)
        return found.model if found.finished or unfinished else None, split
    return gpt.build_model(recipe, len(split.characters)) if unfinished else None, split


# Writing ------------------------------------------------------------------------------------------


def _writing_seconds(text: Path, bench: Bench) -> tuple[dict[str, list[float]], Trial]:
    """Seconds a character by way of writing, once a round, and which ways failed."""
    quick, trial = bench.settings.quick, Trial()
    n = str(_N_WRITTEN_QUICK if quick else _N_WRITTEN)
    nanogpt = str(bench.settings.nanogpt or "")
    index = bench.folder / ("build.infgram" if quick else "build_fitted.infgram")
    names = ",".join(name for name in _estimators(bench.settings) if name in _WRITING)

    def taken(rounds: int, *how: str | Path, all_cores: bool = False) -> dict[str, list[float]]:
        job, limit = "neural_write", bench.settings.patience
        run = run_beside(
            job, text, n, str(rounds), *how, trial=trial, limit=limit, all_cores=all_cores
        )
        return dict(run.result["seconds"])

    bench.progress("writing, one thread", 0, 0)
    seconds = taken(1 if quick else _ROUNDS, nanogpt, "one thread", index, names)
    if not quick:
        bench.progress("writing, all threads", 0, 0)
        seconds |= taken(1, "", "all threads", "", "", all_cores=True)
    return seconds, trial


def write(
    text: Path,
    n: int,
    rounds: int,
    nanogpt: Path | None,
    threads: str,
    index_path: Path | None,
    estimators: Sequence[str],
    trial: Trial,
) -> dict[str, list[float]]:
    """Everyone writes n characters after a new line, in turn, infgram many times as many."""
    contenders = []
    if index_path is not None:
        index = infgram.open(index_path)
        for name in estimators:
            model = infgram.Model(index, _WRITING[name])
            n_written = n * (4000 if "SBIS k=2" in name else 400)  # about half a second
            contenders.append(_infgram_writer(name, model, n_written))
    contenders += _nanogpt_writers(text, n, nanogpt, threads, trial)
    n_threads = 1 if threads == "one thread" else len(machine.ALL_CORES) or 1
    with _use_threads(n_threads, trial):
        interleave(contenders, rounds=rounds, seconds=0, trial=trial, doing="writing")
    measured = [contender for contender in contenders if contender.rival not in trial.failed]
    return {contender.name: contender.timing.wall for contender in measured}


@contextlib.contextmanager
def _use_threads(n: int, trial: Trial) -> Iterator[None]:
    """Where there is a neural model, it gets so many threads."""
    if _NANOGPT in trial.failed:
        yield
        return
    from . import gpt

    with gpt.use_threads(n):
        yield


def _nanogpt_writers(
    text: Path, n: int, nanogpt: Path | None, threads: str, trial: Trial
) -> list[Contender]:
    """Every way of every model; each of them may fail without the others."""
    devices = ["cpu"]
    if _NANOGPT not in trial.failed:
        with trial.of(_NANOGPT, "importing"):
            from . import gpt, training

            if training.best_device() == "cuda":
                devices.append("cuda")
    contenders: list[Contender] = []
    for device, (recipe, size_name) in product(devices, _RECIPES.items()):
        on = f"GPU, {threads}" if device == "cuda" else threads
        model_name = f"{size_name}, {on}"
        if trial.failed.keys() & {_NANOGPT, model_name}:
            continue
        ways: dict[str, Contender] = {}
        with trial.of(model_name, "loading"):
            model, split = load_nanogpt(recipe, text)
            prompt = split.encode("\n")
            ways = ways_to_write(model.to(device), prompt, n)
        own = f"{size_name}, {_OWN_WAY}, {on}"
        if nanogpt and ways and own not in trial.failed:
            with trial.of(own, "loading"):
                theirs = gpt.load_nanogpt(nanogpt, model)
                call = partial(gpt.generate_by_nanogpt, theirs, prompt, n, seed=1)
                ways[_OWN_WAY] = Contender("", call, n)
        for way, contender in ways.items():
            contender.name = contender.rival = f"{size_name}, {way}, {on}"
            contenders.append(contender)
    return contenders


def ways_to_write(model: Any, prompt: Any, n: int) -> dict[str, Contender]:
    from . import gpt

    def plain() -> None:
        gpt.generate(model, prompt, n, seed=1, use_cache=False)

    def cached() -> None:
        gpt.generate(model, prompt, n, seed=1, use_cache=True)

    def batch() -> None:
        gpt.generate_batch(model, prompt, n // 5, n_texts=_BATCH, seed=1)

    return {
        "no cache": Contender("", plain, n),
        "key-value cache": Contender("", cached, n),
        f"key-value cache, {_BATCH} texts at once": Contender("", batch, n // 5 * _BATCH),
    }


def _infgram_writer(name: str, model: infgram.Model, n: int) -> Contender:
    def run() -> None:
        made = model.generate("\n", max_tokens=n, temperature=0.8, seed=1)
        if len(made.token_ids) != n:
            raise WrongAnswers(f"{name} wrote {len(made.token_ids)} characters, expected {n}")

    return Contender(f"infgram, {name}, one thread", run, n)


# What it comes to ---------------------------------------------------------------------------------


def _readiness(
    systems: list[System], seconds: dict[str, list[float]], trial: Trial, findings: Findings
) -> None:
    rows = []
    for system in systems:
        rows.append(
            [
                system.name,
                *_how_good(system),
                _rate(system, seconds),
                size(system.peak_bytes),
                size(system.disk_bytes),
                "" if system.joules is None else f"{system.joules:,.0f} J",
                "" if system.published is None else f"{system.published:.4f}",
            ]
        )
        if system.is_ready:
            findings.figures[f"{system.name}: ready seconds"] = system.ready_seconds
            findings.figures[f"{system.name}: loss"] = system.loss
    header = [
        *("ready in", "held-out loss, nats", "perplexity", "bits a byte"),
        *("characters a second", "memory", "on disk", "energy", "published loss"),
    ]
    rows += [[name, each.cell, *[""] * (len(header) - 1)] for name, each in trial.failed.items()]
    findings.table("system", header, rows)
    recipe = next((s for s in systems if s.recipe == "CPU_RECIPE"), None)
    if recipe:
        better = [s for s in systems if not s.recipe and s.loss < recipe.loss]
        first = min(better, key=lambda s: s.ready_seconds, default=None)
        if first:
            findings.at_least(
                f"{first.name}: ready sooner than nanoGPT's CPU recipe, with a lower loss",
                recipe.ready_seconds / first.ready_seconds,
                100,
            )
        else:
            findings.note("nothing of infgram has a lower loss than nanoGPT's CPU recipe")


def _how_good(system: System) -> list[str]:
    """When it was ready, and what it then predicts; nothing of who was not trained to the end."""
    if not system.is_ready:
        return [""] * 4
    return [
        duration(system.ready_seconds),
        f"{system.loss:.4f}",
        f"{math.exp(system.loss):,.3f}",
        f"{system.loss / math.log(2):.4f}",
    ]


def _rate(system: System, seconds: dict[str, list[float]]) -> str:
    """Of the fastest way to write one text on one thread."""
    if not system.recipe:
        found = seconds.get(f"{system.name}, one thread")
        return per_second(float(np.median(found))) if found else ""
    model = _RECIPES[system.recipe]
    ways = [
        float(np.median(found))
        for way, found in seconds.items()
        if way.startswith(model) and way.endswith(", one thread") and "texts at once" not in way
    ]
    return per_second(min(ways)) if ways else ""


def _generation(seconds: dict[str, list[float]], trial: Trial, bench: Bench) -> None:
    findings = bench.findings
    n = _N_WRITTEN_QUICK if bench.settings.quick else _N_WRITTEN
    contenders = [Contender(name, str, timing=Timing(taken)) for name, taken in seconds.items()]
    title = f"{n} characters after a new line (a fifth of it {_BATCH} times where so many at once)"
    findings.timing_table(title, contenders, rate=True, failed=trial.failed)
    if bench.settings.quick:
        findings.note(
            f"writing by --quick: one round of {n} characters, whose short contexts are cheap for "
            f"a transformer: the bars are about the full run's {_N_WRITTEN}; untrained weights "
            "where there is no checkpoint, which cost the same"
        )
    own = float(np.median(seconds["infgram, SBIS k=2, one thread"]))
    findings.figures["infgram seconds a character"] = own
    for way, bar in [("no cache", 300_000), ("key-value cache", 15_000)]:
        taken = seconds.get(f"10.65 M, {way}, one thread")
        if taken is None:
            continue
        found = float(np.median(taken))
        findings.figures[f"nanoGPT, {way}: seconds a character"] = found
        if not bench.settings.quick:
            what = f"SBIS k=2 writes, to the 10.65 M model with {way}, one thread"
            findings.at_least(what, found / own, bar)


def _overtaking(
    systems: list[System], curves: dict[str, list[tuple[float, float]]], findings: Findings
) -> None:
    """Loss against time: infgram is a point, and stays there; nanoGPT is a curve."""
    end = max(seconds for curve in curves.values() for seconds, _ in curve)
    drawn = []
    for system in systems:
        if not system.recipe and system.loss < 3.5:
            ready = system.ready_seconds
            drawn.append(Curve(system.name, [ready, max(end, ready)], [system.loss] * 2))
    for name, curve in curves.items():
        drawn.append(Curve(name, [s for s, _ in curve], [loss for _, loss in curve]))
        for system in systems:
            if not system.recipe:
                sooner = next((s for s, loss in curve if loss < system.loss), None)
                when = f"after {duration(sooner)}" if sooner else "not within its training here"
                findings.note(f"{name} overtakes {system.name}: {when}")
    findings.pictures.append(
        Picture(
            "loss",
            "Held-out loss against time on this machine",
            "seconds since the start",
            "nats a character",
            drawn,
            log_x=True,
        )
    )
