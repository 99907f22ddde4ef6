"""All that `gpu` measures, in processes of its own: on the best device there is, with one thread.

`how` is "quick" for models of a moment, and else empty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from infgram import refine as refining

from . import gpt, refining_drafts, refining_judges, training
from .gpt import Recipe
from .neural import ways_to_write
from .refining_drafts import N_PROMPT, Setting
from .refining_measure import Row, real_of
from .refining_metrics import Real, measures, run_lengths
from .timing import interleave

Say = Callable[[dict[str, Any]], None]

# Half of ten minutes for nanoGPT, a third for the refiners; the rest for losses, writing and edits.
_SECONDS = 270.0
_MINUTES = {"nano": 1.0, "base": 2.0}
_N_PROMPTS = 64
_STARTS = (3, -1)
_N_WRITTEN = 500
_ROUNDS = 3

_QUICK: dict[str, Any] = {
    **{"n_layer": 1, "n_head": 2, "n_embd": 32, "block_size": 64, "batch_size": 4},
    **{"max_iters": 20, "lr_decay_iters": 20, "eval_interval": 10, "eval_iters": 2},
    **{"warmup_iters": 3, "published": None},
}
_QUICK_STEPS = 6
_QUICK_REFINER: dict[str, Any] = {"window": 48, "batch": 4, "micro_batch": 4, "evidence_steps": 20}


def device() -> dict[str, Any]:
    """What torch computes on here."""
    name = training.device_name(training.best_device())
    return {"is_gpu": training.best_device() == "cuda", "name": name}


def nanogpt(folder: Path, how: str, say: Say) -> dict[str, Any]:
    """nanoGPT as its README trains it on a GPU, its losses in nats, and seconds a character."""
    trained = _nanogpt(folder, how, _SECONDS, say)
    text = _text(real_of(folder))
    model, recipe = trained.model, trained.recipe
    loss = None
    writers = ways_to_write(model, text.encode("\n"), 20 if how else _N_WRITTEN)
    with gpt.use_threads(1):
        if trained.finished:
            context = text.training[-recipe.block_size :]
            stride = recipe.block_size // 4
            loss = gpt.validation_loss(model, text.validation, stride=stride, context=context)
        interleave(list(writers.values()), rounds=1 if how else _ROUNDS, seconds=0)
    return {
        **{"step": trained.step, "max_iters": recipe.max_iters, "seconds": trained.seconds},
        **{"loss": loss, "loss_apart": trained.validation_loss, "published": recipe.published},
        **{"parameters": gpt.n_parameters(model), "peak_bytes": trained.peak_bytes},
        "writing": {name: writer.timing.wall for name, writer in writers.items()},
    }


def refiner(folder: Path, size: str, how: str, say: Say) -> dict[str, Any]:
    """Trains a refiner of a size into the folder; what it came to."""
    from infgram.refine.network import checkpoint
    from infgram.refine.network.model import SIZES, Shape
    from infgram.refine.network.training import RECIPES, train

    real = real_of(folder)
    whole = np.frombuffer(real.training + real.held_out, np.uint8)
    path = _path(folder, size)
    length: dict[str, Any] = {"minutes": _MINUTES[size]}
    shape = SIZES[size]
    if how:
        length = {"steps": _QUICK_STEPS, "recipe": replace(RECIPES[size], **_QUICK_REFINER)}
        shape = Shape(shape.width // 4, n_layers=2, n_heads=2, n_detector_layers=1)
    trained = train(
        whole,
        path,
        size=size,
        shape=shape,
        threads=1,
        held_out=len(real.held_out) / len(whole),
        progress=lambda stage, done, total: say({"stage": stage, "step": done, "max_iters": total}),
        **length,
    )
    tensors, _ = checkpoint.read(path)
    told = {name: value for name, value in vars(trained).items() if "losses" not in name}
    return {
        **told,
        "path": path.name,
        "parameters": sum(tensor.numel() for tensor in tensors.values()),
    }


def edits(folder: Path, how: str, say: Say) -> dict[str, Any]:
    """Drafts, and what the refiners in the folder make of them; nanoGPT judges once it is ready."""
    real = real_of(folder)
    judge = _nanogpt(folder, how, 0.0, say)
    n = 2 if how else _N_PROMPTS
    places = refining_drafts.offsets(len(real.held_out), "reporting", n)
    prompts = refining_drafts.windows(real.held_out, places).token_ids[:, :N_PROMPT]
    n_judged = min(refining_drafts.N_WRITTEN, judge.recipe.block_size + 1 - N_PROMPT)
    text = _text(real)

    def row(name: str, k: int, made: Any, drafts: Any) -> Row:
        made, drafts = (each[:, : N_PROMPT + n_judged] for each in (made, drafts))
        characters = text.encode(made.tobytes().decode("latin-1")).reshape(made.shape)
        nats = refining_judges.nats(judge.model, characters, N_PROMPT) if judge.finished else None
        by_judge = {} if nats is None else {"nanoGPT": nats}
        written, before = made[:, N_PROMPT:], drafts[:, N_PROMPT:]
        found = measures(written, before, by_judge, real)
        longest = int(run_lengths(real.index, written).max())
        return Row(name, "raw" if name == "draft" else "refined", k, found, longest, None, None)

    rows = []
    for k in _STARTS:
        drafts = refining_drafts.write(real.index, Setting(k), prompts, (1,)).token_ids
        draft = row("draft", k, drafts, drafts)
        rows.append(draft.record(None))
        for size in _MINUTES:
            made = refining.refine_many(
                real.index,
                refining.Scorer(_path(folder, size), threads=1),
                list(drafts[:, N_PROMPT:].astype(np.uint32)),
                prompts=list(prompts.astype(np.uint32)),
                seed=0,
            )
            texts = np.concatenate([prompts, [each.token_ids for each in made]], axis=1)
            rows.append(row(size, k, texts.astype(np.uint8), drafts).record(draft))
    return {"rows": rows, "n": len(prompts), "n_prompt": N_PROMPT, "n_judged": n_judged}


def _nanogpt(folder: Path, how: str, seconds: float, say: Say) -> training.Trained:
    """Trained for at most so many seconds in all, earlier runs included."""
    recipe: Recipe = gpt.SHAKESPEARE_CHAR
    if how:
        recipe = replace(recipe, name="nanogpt-of-a-moment", **_QUICK)
    return training.train(
        recipe,
        _text(real_of(folder)),
        device=training.best_device(),
        seconds=seconds,
        folder=folder if how else None,
        on_progress=training.telling(say),
    )


def _text(real: Real) -> gpt.Text:
    """Of Tiny Shakespeare what nanoGPT has: a byte is a character."""
    return refining_judges.text_of(real.training, real.held_out)


def _path(folder: Path, size: str) -> Path:
    return folder / f"{size}.safetensors"
