"""Characters a second: SBIS against tokengrams' sampling and the published SBIS program, and its
ways of drawing against each other.

The index is of the first 90 % of the text, as the published program splits it. That program, built
by the user with k = 2, is run in a folder where `data.txt` is the whole text, and its own line
"Generated N chars in S s" is believed: it leaves out reading and indexing.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Literal

import numpy as np

import infgram

from .failures import Trial
from .findings import Findings
from .processes import JobFailed, run_beside, run_program
from .question import Bench, Question
from .rivals import Tokengrams, build_apart
from .timing import Contender, interleave
from .truth import WrongAnswers

_PROMPT = "First Citizen:"
_N_TOKENS = 200_000
_N_TOKENS_TOKENGRAMS = 20_000
_N_LAWS = 40  # contexts to draw from
_GENERATED = re.compile(r"^Generated (\d+) chars in ([\d.]+)s", re.MULTILINE)
PUBLISHED = "the published program"


def _answer(bench: Bench) -> None:
    corpus, findings, limit = bench.settings.corpus, bench.findings, bench.settings.patience
    findings.setting["text"] = f"first {len(corpus.training):,} bytes of {corpus.name}"
    source = bench.folder / "training.txt"
    source.write_bytes(corpus.training)
    (bench.folder / "data.txt").write_bytes(corpus.text)
    infgram.build(source, bench.folder / "training.infgram", format="bytes")
    trial = Trial()
    name = Tokengrams.name
    built = build_apart(Tokengrams, source, bench.folder / name, trial, limit=limit)
    if isinstance(built, str) and name not in trial.failed:
        findings.note(f"{name}: {built}")
    program = bench.settings.tiny
    if program is None:
        findings.note(f"{PUBLISHED}: not measured, since --tiny does not name it")
    bench.progress("writing", 0, 0)
    run = run_beside(
        "generation",
        *(bench.folder, str(program or ""), str(bench.settings.rounds), str(limit)),
        "500" if bench.settings.quick else "2000",
        trial=trial,
        limit=limit + 60,  # a program is stopped by its own limit
    )
    findings.take(Findings.from_json(run.result["findings"]))


QUESTION = Question(
    "generation",
    "Characters a second",
    _answer,
    minutes=lambda settings: 0.2 if settings.quick else 0.8,
    in_quick=True,
)


# In a process of its own --------------------------------------------------------------------------


def measure(
    folder: Path, program: str, rounds: int, limit: float, n_draws: int, trial: Trial
) -> Findings:
    """Of the index in the folder, and of what rivals have there; `n_draws` from each law."""
    findings = Findings()
    index = infgram.open(folder / "training.infgram")
    _beside_rivals(index, folder, program, rounds, limit, trial, findings)
    _settings(index, findings, rounds)
    _ways(index, findings, rounds)
    _law(index, n_draws, findings)
    return findings


def _beside_rivals(
    index: infgram.Index,
    folder: Path,
    program: str,
    rounds: int,
    limit: float,
    trial: Trial,
    findings: Findings,
) -> None:
    """k = 2 at temperature 0.8: the setting of the bars."""
    own = _infgram("infgram", index, k=2)
    contenders = [own]
    home = folder / Tokengrams.name
    if home.is_dir() and Tokengrams.name not in trial.failed:
        with trial.of(Tokengrams.name, "opening"):
            contenders.append(_tokengrams(home))
    if program:
        contenders.append(published_program(Path(program), folder, limit=limit))
    interleave(contenders, rounds=rounds, seconds=0.1, trial=trial, doing="writing")
    title = "characters, k=2, temperature 0.8"
    findings.timing_table(title, contenders, rate=True, failed=trial.failed)
    findings.figures["seconds a character"] = own.timing.seconds
    for name, figure, what, asked in (
        (PUBLISHED, "published program", PUBLISHED, 330),
        (Tokengrams.name, "tokengrams", "tokengrams' sample_unsmoothed(n=8)", 5),
    ):
        for rival in contenders:
            if rival.rival == name and name not in trial.failed:
                ratio = rival.timing.seconds / own.timing.seconds
                findings.at_least(f"generate, to {what}", ratio, asked)
                findings.figures[figure] = ratio
    if cpu := own.timing.cpu_seconds:
        unit = "million characters/s of CPU time"
        findings.at_least("generate, the goal", 1e-6 / cpu, 10, unit)


def _settings(index: infgram.Index, findings: Findings, rounds: int) -> None:
    """What other settings cost."""
    contenders = [
        _infgram("k=3", index, k=3),
        _infgram("k=1", index, k=1),
        _infgram("k=-1 (all levels)", index, k=-1, n_tokens=20_000),
        _infgram("k=2, decay 0.3", index, k=2, decay=0.3),
        _infgram("k=2, temperature 1", index, k=2, temperature=1),
        _infgram("k=2, weighting distributions", index, k=2, weighting="distributions"),
        _infgram("k=2, 1,000 characters a call", index, k=2, n_tokens=1000),
    ]
    interleave(contenders, rounds=rounds, seconds=0.05)
    findings.timing_table("characters, temperature 0.8 unless said", contenders, rate=True)
    for contender in contenders:
        findings.figures[f"seconds a character, {contender.name}"] = contender.timing.seconds


def _ways(index: infgram.Index, findings: Findings, rounds: int) -> None:
    """Rows proposed, and all weights counted, as SBIS does just above temperature 1."""
    all_weights = _infgram(
        "all weights counted (temperature 1.0001)", index, k=2, temperature=1.0001
    )
    one = _infgram("by rejection", index, k=2, temperature=1)
    cooler = _infgram("by rejection, temperature 0.8", index, k=2)
    contenders = [all_weights, one, cooler]
    interleave(contenders, rounds=rounds, seconds=0.1)
    findings.timing_table(
        "characters on one core, k=2, temperature 1 unless said", contenders, rate=True
    )
    ratio = all_weights.timing.seconds / one.timing.seconds
    findings.at_least("generate by rejection, to all weights counted", ratio, 2.2)
    findings.figures["rejection"] = ratio


def _law(index: infgram.Index, n_draws: int, findings: Findings) -> None:
    """How far what is drawn by rejection is from the law, beside what chance alone makes of it."""
    model = infgram.Model(index, infgram.SBIS(k=2, decay=0.1))
    rng = np.random.default_rng(0)
    text = index.document(0).token_ids
    distances, by_chance = [], []
    for place in rng.integers(20, len(text), _N_LAWS).tolist():
        context = text[place - int(rng.integers(1, 12)) : place]
        law = model.distribution(context) ** (1 / 0.8)
        law /= law.sum()
        drawn = np.zeros(len(law))
        for made in model.samples(n_draws, context, max_tokens=1, temperature=0.8, seed=rng):
            drawn[np.searchsorted(model.token_ids[1:-1], made.token_ids) + 1] += 1
        distances.append(np.abs(drawn / n_draws - law).sum() / 2)
        # half the mean absolute deviation of each count, which is nearly normal
        by_chance.append(np.sqrt(law * (1 - law) / (2 * np.pi * n_draws)).sum())
    found, expected = float(np.mean(distances)), float(np.mean(by_chance))
    findings.figures["total variation"] = found
    findings.at_most(
        "total variation of draws from their law, to chance", found / expected, 1.1, "x"
    )


def _infgram(
    name: str,
    index: infgram.Index,
    *,
    k: int,
    decay: float = 0.1,
    temperature: float = 0.8,
    weighting: Literal["counts", "distributions"] = "counts",
    n_tokens: int = _N_TOKENS,
) -> Contender:
    seeds = itertools.count()

    def run() -> None:
        made = infgram.generate(
            index,
            _PROMPT,
            max_tokens=n_tokens,
            k=k,
            decay=decay,
            temperature=temperature,
            weighting=weighting,
            seed=next(seeds),
        )
        if len(made.token_ids) != n_tokens:
            raise WrongAnswers(f"{name}: {len(made.token_ids)} characters instead of {n_tokens}")

    return Contender(name, run, n_tokens)


def _tokengrams(home: Path) -> Contender:
    sample = Tokengrams(home).index.sample_unsmoothed
    prompt = list(_PROMPT.encode())

    def run() -> None:
        (made,) = sample(prompt, n=8, k=_N_TOKENS_TOKENGRAMS, num_samples=1)
        if (n := len(made) - len(prompt)) != _N_TOKENS_TOKENGRAMS:
            raise WrongAnswers(f"{n} tokens instead of {_N_TOKENS_TOKENGRAMS}")

    name = "tokengrams, sample_unsmoothed(n=8)"
    return Contender(name, run, _N_TOKENS_TOKENGRAMS, rival=Tokengrams.name)


def published_program(program: Path, folder: Path, *, limit: float = 600.0) -> Contender:
    """Runs it on `data.txt` in the folder. A run raises JobFailed."""

    def run() -> float:
        found = _GENERATED.findall(run_program(program, folder, limit=limit))
        if not found:
            raise JobFailed(f"{program.name} printed no line 'Generated N chars in S s'")
        n_chars, seconds = found[-1]  # the text before it may hold such a line too
        return float(seconds) / (int(n_chars) - len(_PROMPT))

    return Contender(PUBLISHED, run, rival=PUBLISHED)
