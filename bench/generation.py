"""Characters a second: SBIS against tokengrams' sampling and the published SBIS program.

The index is of the first 90 % of the text, as the published program splits it. That program is
given by --tiny, built by the user; it is run in a temporary folder, where `data.txt` is the whole
text, and its own line "Generated N chars in S s" is believed: it leaves out reading and indexing.
"""

from __future__ import annotations

import itertools
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Literal

import infgram

from .common import Contender, arguments, corpus_path, interleave, pin
from .report import Report
from .rivals import Absent, Tokengrams

_PROMPT = "First Citizen:"
_N_TOKENS = 200_000
_N_TOKENS_TOKENGRAMS = 20_000
_GENERATED = re.compile(r"^Generated (\d+) chars in ([\d.]+)s", re.MULTILINE)
_RATE = "a second"


def main() -> None:
    """Measures and prints."""
    parser = arguments(__doc__)
    parser.add_argument("--tiny", type=Path, help="the published program, an executable")
    parser.add_argument(
        "--tiny-k", type=int, default=2, choices=[2, 3], help="the k it was built with"
    )
    args = parser.parse_args()
    if args.tiny and not args.tiny.is_file():
        raise SystemExit(f"there is no program at {args.tiny}: build it, then give its path")
    pinned = pin(args)
    corpus = corpus_path(args)
    data = corpus.read_bytes()
    training = data[: int(len(data) * 0.9)]
    report = Report("Generation", f"first {len(training):,} bytes of {corpus.name}, {pinned}")
    with tempfile.TemporaryDirectory() as temp:
        folder = Path(temp)
        (folder / "training.txt").write_bytes(training)
        (folder / "data.txt").write_bytes(data)
        index = infgram.build(folder / "training.txt", folder / "training.infgram")
        tiny = _tiny(args.tiny, args.tiny_k, folder) if args.tiny else None
        if not tiny:
            report.note("the published program: not measured, since --tiny does not name it")
        _rivals(index, folder, tiny if args.tiny_k == 2 else None, report, args.rounds)
        _settings(index, tiny if args.tiny_k == 3 else None, report, args.rounds)
    report.emit(args)


def _rivals(
    index: infgram.Index, folder: Path, tiny: Contender | None, report: Report, rounds: int
) -> None:
    """k = 2 at temperature 0.8: the setting of the bars."""
    contenders = [_infgram("infgram", index, k=2)]
    tokengrams = None
    try:
        tokengrams = _tokengrams(folder)
        contenders.append(tokengrams)
    except Absent as absent:
        report.note(f"tokengrams: {absent}")
    if tiny:
        contenders.append(tiny)
    interleave(contenders, rounds=rounds, seconds=0.1)
    report.timings("characters, k=2, temperature 0.8", contenders, rate=_RATE)
    own = contenders[0].timing
    if tiny:
        report.at_least(
            "generate, to the published program", tiny.timing.seconds / own.seconds, 330
        )
    if tokengrams:
        ratio = tokengrams.timing.seconds / own.seconds
        report.at_least("generate, to tokengrams' sample_unsmoothed(n=8)", ratio, 5)
    if own.cpu_seconds:
        found = 1e-6 / own.cpu_seconds
        report.at_least("generate, the goal", found, 10, "million characters/s of CPU time")


def _settings(index: infgram.Index, tiny: Contender | None, report: Report, rounds: int) -> None:
    """What other settings cost."""
    contenders = [_infgram("infgram, k=3", index, k=3)]
    if tiny:
        contenders.append(tiny)
    contenders += [
        _infgram("infgram, k=1", index, k=1),
        _infgram("infgram, k=-1 (all levels)", index, k=-1),
        _infgram("infgram, k=2, temperature 1", index, k=2, temperature=1),
        _infgram("infgram, k=2, weighting distributions", index, k=2, weighting="distributions"),
        _infgram("infgram, k=2, 1,000 characters a call", index, k=2, n_tokens=1000),
    ]
    interleave(contenders, rounds=rounds, seconds=0.05)
    report.timings("characters, temperature 0.8 unless said", contenders, rate=_RATE)


def _infgram(
    name: str,
    index: infgram.Index,
    *,
    k: int,
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
            decay=0.1,
            temperature=temperature,
            weighting=weighting,
            seed=next(seeds),
        )
        if len(made.token_ids) != n_tokens:
            raise SystemExit(f"{name}: {len(made.token_ids)} characters instead of {n_tokens}")

    return Contender(name, run, n_tokens)


def _tokengrams(folder: Path) -> Contender:
    home = folder / Tokengrams.name
    home.mkdir()
    Tokengrams.build(folder / "training.txt", home)
    sample = Tokengrams(home).index.sample_unsmoothed
    prompt = list(_PROMPT.encode())

    def run() -> None:
        (made,) = sample(prompt, n=8, k=_N_TOKENS_TOKENGRAMS, num_samples=1)
        if len(made) != len(prompt) + _N_TOKENS_TOKENGRAMS:
            raise SystemExit(f"tokengrams: {len(made)} tokens, the prompt with them")

    return Contender("tokengrams, sample_unsmoothed(n=8)", run, _N_TOKENS_TOKENGRAMS)


def _tiny(program: Path, k: int, folder: Path) -> Contender:
    command = [str(program.resolve())]

    def run() -> float:
        done = subprocess.run(command, cwd=folder, capture_output=True, check=True)
        found = _GENERATED.findall(done.stdout.decode(errors="replace"))
        if not found:
            raise SystemExit(f"{program} did not print a line 'Generated N chars in S s'")
        n_chars, seconds = found[-1]  # the text before it may hold such a line too
        return float(seconds) / (int(n_chars) - len(_PROMPT))

    return Contender(f"the published program, k={k}", run)


if __name__ == "__main__":
    main()
