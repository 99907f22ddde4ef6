"""The animation: infgram and nanoGPT write side by side, at the speeds that they have here."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import infgram

from . import machine
from .animate import write
from .animation import Excerpt, Race, Track, characters_needed, excerpts
from .findings import duration
from .neural import load_nanogpt, missing
from .processes import run_job
from .question import CannotMeasure, Progress
from .settings import Settings
from .timing import Contender, interleave

_RECIPE = "SHAKESPEARE_CHAR"
_N_TIMED = 200_000
_N_SHOWN = 12_000  # of nanoGPT's characters; many more than it writes in the time
_N_TIMED_NANOGPT = 500
_ROUNDS = 3
_CHUNK = 1 << 20
_WINDOW = 200


def animate(settings: Settings, path: Path, progress: Progress) -> None:
    """Trains nanoGPT as far as the settings allow, lets both write, and draws it.

    Raises CannotMeasure, ValueError for a suffix that is no animation, and what `animate.write`
    raises.
    """
    if reason := missing():
        raise CannotMeasure(reason)
    with tempfile.TemporaryDirectory() as temp, machine.pinned(settings.core):
        folder = Path(temp)
        text, training, index = (folder / name for name in ("text", "training.txt", "index"))
        text.write_bytes(settings.corpus.text)
        training.write_bytes(settings.corpus.training)

        def report(line: dict[str, Any]) -> None:
            stage = f"training, {line['seconds_left'] / 60:.0f} minutes left"
            progress(stage, line["step"], line["max_iters"])

        limit = str(settings.train_minutes * 60)
        trained = run_job("neural_train", _RECIPE, text, limit, on_line=report).result
        ready = run_job("build", training, index).result["seconds"]
        progress("both write", 0, 0)
        written = run_job("race", text, index).result
    left, right = (
        Track(
            name,
            detail,
            [Excerpt(**each) for each in side["excerpts"]],
            side["seconds_per_character"],
        )
        for name, detail, side in [
            (
                "infgram",
                f"SBIS, k = 2 \N{MIDDLE DOT} one CPU core "
                f"\N{MIDDLE DOT} built in {duration(ready)}",
                written["left"],
            ),
            (
                "nanoGPT",
                f"10.65 M \N{MIDDLE DOT} one CPU core \N{MIDDLE DOT} key-value cache "
                f"\N{MIDDLE DOT} trained {trained['seconds'] / 60:.0f} min",
                written["right"],
            ),
        ]
    )
    about = machine.description()
    footer = f"{about['CPU']}, one core for each in turn \N{MIDDLE DOT} {machine.today()[:10]}"
    write(
        Race(left, right, footer),
        path,
        on_progress=lambda done, total: progress("drawing", done, total),
    )


# In a process of its own --------------------------------------------------------------------------


def texts(text: Path, index_path: Path) -> dict[str, Any]:
    """What both write, and how fast; of infgram's long run what is shown of it."""
    from . import gpt

    index = infgram.open(index_path)
    model, split = load_nanogpt(_RECIPE, text)
    prompt = split.encode("\n")

    def ours() -> None:
        infgram.generate(index, "\n", max_tokens=_N_TIMED, k=2, decay=0.1, seed=1)

    def theirs() -> None:
        gpt.generate(model, prompt, _N_TIMED_NANOGPT, seed=1, use_cache=True)

    left = Contender("infgram", ours, _N_TIMED)
    right = Contender("nanoGPT", theirs, _N_TIMED_NANOGPT)
    with gpt.use_threads(1):
        interleave([left, right], rounds=_ROUNDS, seconds=0)

    def lengths(written: str) -> list[int]:
        """Of each character, whose last byte counts."""
        last_bytes = np.cumsum([len(c.encode()) for c in written]) - 1
        found: list[int] = index.match_lengths(written, window=_WINDOW)[last_bytes].tolist()
        return found

    pace = left.timing.seconds
    shown = excerpts(_run(index, characters_needed(pace)), lengths, pace)
    ids = gpt.generate(model, prompt, _N_SHOWN, seed=1, use_cache=True)
    made = split.decode(ids)
    return {
        "left": {"seconds_per_character": pace, "excerpts": [asdict(each) for each in shown]},
        "right": {
            "seconds_per_character": right.timing.seconds,
            "excerpts": [{"begin": 0, "text": made, "match_lengths": lengths(made)}],
        },
    }


def _run(index: infgram.Index, n_characters: int) -> Iterator[str]:
    """One run: where the text ends, or a million characters on, it begins anew."""
    n = 0
    for seed in itertools.count():
        for piece in infgram.stream(index, "\n", max_tokens=_CHUNK, k=2, decay=0.1, seed=seed):
            yield piece
            n += len(piece)
            if n >= n_characters:
                return
