"""Characters a second: SBIS against tokengrams' sampling and the published SBIS program.

The index is of the first 90 % of the text, as the published program splits it. That program, built
by the user with k = 2, is run in a folder where `data.txt` is the whole text, and its own line
"Generated N chars in S s" is believed: it leaves out reading and indexing.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Literal

import infgram

from .findings import Findings
from .processes import JobFailed, run_job, run_program
from .question import Bench, Question
from .rivals import Tokengrams
from .timing import Contender, interleave

_PROMPT = "First Citizen:"
_N_TOKENS = 200_000
_N_TOKENS_TOKENGRAMS = 20_000
_GENERATED = re.compile(r"^Generated (\d+) chars in ([\d.]+)s", re.MULTILINE)


def _answer(bench: Bench) -> None:
    corpus, findings = bench.settings.corpus, bench.findings
    findings.setting["text"] = f"first {len(corpus.training):,} bytes of {corpus.name}"
    source = bench.folder / "training.txt"
    source.write_bytes(corpus.training)
    (bench.folder / "data.txt").write_bytes(corpus.text)
    index = infgram.build(source, bench.folder / "training.infgram", calibrate=False)
    bench.progress("with rivals", 0, 2)
    _rivals(index, bench)
    bench.progress("settings", 1, 2)
    _settings(index, findings, bench.settings.rounds)


QUESTION = Question(
    "generation",
    "Characters a second",
    _answer,
    minutes=lambda settings: 0.2 if settings.quick else 0.8,
    in_quick=True,
)


def _rivals(index: infgram.Index, bench: Bench) -> None:
    """k = 2 at temperature 0.8: the setting of the bars."""
    findings = bench.findings
    own = _infgram("infgram", index, k=2)
    contenders = [own]
    tokengrams = tiny = None
    try:
        tokengrams = _tokengrams(bench.folder)
        contenders.append(tokengrams)
    except JobFailed as reason:
        findings.note(f"tokengrams: {reason}")
    if program := bench.settings.tiny:
        tiny = published_program(program, bench.folder)
        try:
            tiny.run()
        except JobFailed as reason:
            findings.note(f"the published program: {reason}")
            tiny = None
        else:
            contenders.append(tiny)
    else:
        findings.note("the published program: not measured, since --tiny does not name it")
    interleave(contenders, rounds=bench.settings.rounds, seconds=0.1)
    findings.timing_table("characters, k=2, temperature 0.8", contenders, rate=True)
    if tiny:
        ratio = tiny.timing.seconds / own.timing.seconds
        findings.at_least("generate, to the published program", ratio, 330)
    if tokengrams:
        ratio = tokengrams.timing.seconds / own.timing.seconds
        findings.at_least("generate, to tokengrams' sample_unsmoothed(n=8)", ratio, 5)
    findings.figures["seconds a character"] = own.timing.seconds
    if tiny:
        findings.figures["published program"] = tiny.timing.seconds / own.timing.seconds
    if tokengrams:
        findings.figures["tokengrams"] = tokengrams.timing.seconds / own.timing.seconds
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
            raise SystemExit(f"{name}: {len(made.token_ids)} characters instead of {n_tokens}")

    return Contender(name, run, n_tokens)


def _tokengrams(folder: Path) -> Contender:
    """Raises JobFailed."""
    home = folder / Tokengrams.name
    home.mkdir()
    built = run_job("peer_build", Tokengrams.name, folder / "training.txt", home).result
    if absent := built.get("absent"):
        raise JobFailed(absent)
    sample = Tokengrams(home).index.sample_unsmoothed
    prompt = list(_PROMPT.encode())

    def run() -> None:
        (made,) = sample(prompt, n=8, k=_N_TOKENS_TOKENGRAMS, num_samples=1)
        if len(made) != len(prompt) + _N_TOKENS_TOKENGRAMS:
            raise SystemExit(f"tokengrams: {len(made)} tokens, the prompt with them")

    return Contender("tokengrams, sample_unsmoothed(n=8)", run, _N_TOKENS_TOKENGRAMS)


def published_program(program: Path, folder: Path, *, limit: float = 600.0) -> Contender:
    """Runs it on `data.txt` in the folder. A run raises JobFailed."""

    def run() -> float:
        found = _GENERATED.findall(run_program(program, folder, limit=limit))
        if not found:
            raise JobFailed(f"{program.name} printed no line 'Generated N chars in S s'")
        n_chars, seconds = found[-1]  # the text before it may hold such a line too
        return float(seconds) / (int(n_chars) - len(_PROMPT))

    return Contender("the published program", run)
