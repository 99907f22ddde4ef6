"""The animation: infgram and nanoGPT write side by side, at the speeds that they have here.

The text is that of a training that is finished: nanoGPT's CPU recipe, all its steps. Its 10.65 M
model would take a day of one core; it is there for its speed alone, and none of its text is shown.
"""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
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

_RECIPE = "CPU_RECIPE"
_LARGE = "SHAKESPEARE_CHAR"
_N_TIMED = 200_000
_N_SHOWN = 200_000  # of nanoGPT's characters, at most: where it writes more, the race ends sooner
_N_TIMED_NANOGPT = 500
_ROUNDS = 3
_CHUNK = 1 << 20
_WINDOW = 200


def animate(settings: Settings, path: Path, progress: Progress) -> None:
    """Trains nanoGPT's CPU recipe to its end, lets both write, and draws it.

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

        trained = run_job("neural_train", _RECIPE, text, "inf", on_line=report).result
        progress("its exact loss", 0, 0)
        loss = run_job("neural_nanogpt_loss", _RECIPE, text).result["loss"]
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
                f"its CPU recipe, loss {loss:.2f} \N{MIDDLE DOT} one CPU core "
                f"\N{MIDDLE DOT} trained in {duration(trained['seconds'])}",
                written["right"],
            ),
        ]
    )
    about = machine.description()
    large = 1 / written["large_seconds_per_character"]
    footer = (
        f"{about['CPU']}, one core for each in turn \N{MIDDLE DOT} nanoGPT with a key-value cache "
        f"\N{MIDDLE DOT} its 10.65 M model: {large:,.0f} characters/s \N{MIDDLE DOT} "
        f"{machine.today()[:10]}"
    )
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
    large, _ = load_nanogpt(_LARGE, text)
    prompt = split.encode("\n")

    def ours() -> None:
        infgram.generate(index, "\n", max_tokens=_N_TIMED, k=2, decay=0.1, seed=1)

    def theirs(which: Any) -> None:
        gpt.generate(which, prompt, _N_TIMED_NANOGPT, seed=1, use_cache=True)

    left = Contender("infgram", ours, _N_TIMED)
    right = Contender("nanoGPT", partial(theirs, model), _N_TIMED_NANOGPT)
    beside = Contender("nanoGPT, 10.65 M", partial(theirs, large), _N_TIMED_NANOGPT)
    with gpt.use_threads(1):
        interleave([left, right, beside], rounds=_ROUNDS, seconds=0)

    def lengths(written: str) -> list[int]:
        """Of each character, whose last byte counts."""
        last_bytes = np.cumsum([len(c.encode()) for c in written]) - 1
        found: list[int] = index.match_lengths(written, window=_WINDOW)[last_bytes].tolist()
        return found

    pace = left.timing.seconds
    n_needed = characters_needed(pace)
    shown = excerpts(_run(index, n_needed), lengths, pace)
    n_shown = min(_N_SHOWN, math.ceil(n_needed * pace / right.timing.seconds) + 1)
    ids = gpt.generate(model, prompt, n_shown, seed=1, use_cache=True)
    made = split.decode(ids)
    return {
        "left": {"seconds_per_character": pace, "excerpts": [asdict(each) for each in shown]},
        "right": {
            "seconds_per_character": right.timing.seconds,
            "excerpts": [{"begin": 0, "text": made, "match_lengths": lengths(made)}],
        },
        "large_seconds_per_character": beside.timing.seconds,
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
