"""Training a recipe: steps as nanoGPT takes them, and checkpoints from which it goes on.

A run that is killed loses a minute; taken up again it is the run it would have been, bit for bit on
a CPU with as many threads. Checkpoints lie in the user's cache, under a name with a hash of all
that decides the result, so that another text or recipe never meets them.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from platformdirs import user_cache_path
from torch import Tensor

from infgram.refine.network.muon import Muon

from . import machine
from .gpt import Recipe, Text, use_threads, validation_loss

_FORMAT = "infgram-bench-training-1"
_SAVE_SECONDS = 60.0
_MUON_MOMENTUM = 0.95


class CheckpointError(ValueError):
    """A checkpoint is torn, or is not of this training."""


class Point(NamedTuple):
    """An estimate on the way. Losses in nats per character.

    - `seconds`: of training until then, evaluations not counted.
    - `train_loss`: mean over the steps since the last estimate, dropout and all.
    - `val_loss`: mean over batches of the validation split, the same ones every time.
    """

    seconds: float
    step: int
    train_loss: float
    val_loss: float


@dataclass(frozen=True)
class Progress:
    """After a step. `seconds_left`: to the last step, or to the end of the time it may take."""

    step: int
    max_iters: int
    seconds: float
    loss: float
    seconds_left: float


@dataclass(frozen=True)
class Trained:
    """A model as far as it was trained, and what that took.

    - `model`: the weights of the estimate with the lowest validation loss, as nanoGPT keeps them;
      of step `best_step`.
    - `validation_loss`: of `model`, exact, of windows that do not overlap, in nats per character.
    - `step`: steps taken, in `seconds`; `evaluation_seconds` come on top.
    - `peak_bytes`: the largest memory of a process that trained, or of the GPU where there is one.
    """

    recipe: Recipe
    model: Any
    validation_loss: float
    best_step: int
    step: int
    seconds: float
    evaluation_seconds: float
    curve: list[Point]
    peak_bytes: int
    machine: str
    versions: dict[str, str]
    checkpoint: Path

    @property
    def finished(self) -> bool:
        return self.step >= self.recipe.max_iters


def best_device() -> str:
    """For `train`: the GPU where torch has one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def cache_folder() -> Path:
    """Where checkpoints lie unless the caller says otherwise."""
    return Path(user_cache_path("infgram")) / "bench"


def checkpoint_path(recipe: Recipe, text: Text, folder: Path | None = None) -> Path:
    """Of this recipe on this text; the file is there if the training ever began."""
    return (folder or cache_folder()) / f"{recipe.name}-{_key(recipe, text)[:12]}.pt"


def train(
    recipe: Recipe,
    text: Text,
    *,
    device: str = "cpu",
    threads: int = 1,
    seconds: float | None = None,
    folder: Path | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Trained:
    """Trains to the last step, or until `seconds` of training are used up, earlier runs included.

    Goes on from the checkpoint if there is one, saves one every minute, at the end, and on
    KeyboardInterrupt: 16 bytes a parameter. A training that is over costs no more than reading it.
    `device` is "cpu", in float32, or "cuda", in bfloat16 where nanoGPT has it. The random state of
    the process is left as it was.

    Raises CheckpointError, ValueError for a text without room for a block in either split, and
    OSError where the folder cannot be written.
    """
    path = checkpoint_path(recipe, text, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    gpus = [torch.cuda.current_device()] if device == "cuda" else []
    with use_threads(threads), torch.random.fork_rng(gpus):
        run = _Run(recipe, text, torch.device(device), path)
        if path.exists():
            run.load()
        try:
            run.go(math.inf if seconds is None else seconds, on_progress)
        except KeyboardInterrupt:
            if run.whole:
                run.save()
            raise
        return run.result()


def telling(say: Callable[[dict[str, Any]], None]) -> Callable[[Progress], None]:
    """For `on_progress`: how far it is, at most once a second."""
    last_said = 0.0

    def report(progress: Progress) -> None:
        nonlocal last_said
        if time.perf_counter() - last_said > 1:
            last_said = time.perf_counter()
            say(
                {
                    "step": progress.step,
                    "max_iters": progress.max_iters,
                    "seconds_left": progress.seconds_left,
                }
            )

    return report


def learning_rate(recipe: Recipe, step: int) -> float:
    """A line up to the full rate, half a cosine down to the least, then level."""
    if step < recipe.warmup_iters:
        return recipe.learning_rate * (step + 1) / (recipe.warmup_iters + 1)
    decay = (step - recipe.warmup_iters) / (recipe.lr_decay_iters - recipe.warmup_iters)
    height = (1 + math.cos(math.pi * min(decay, 1.0))) / 2
    return recipe.min_lr + height * (recipe.learning_rate - recipe.min_lr)


@dataclass
class _Record:
    """What a run knows of itself, apart from tensors."""

    step: int = 0
    seconds: float = 0.0
    evaluation_seconds: float = 0.0
    loss_sum: float = 0.0  # of the steps since the last estimate that was due
    n_losses: int = 0
    curve: list[tuple[float, int, float, float]] = field(default_factory=list)
    best_step: int = 0
    best_loss: float = math.inf
    validation_loss: float | None = None  # exact, of the best weights, once it was asked for
    peak_bytes: int = 0
    machine: str = ""
    versions: dict[str, str] = field(default_factory=dict)


class _Run:
    """A training as it stands. `whole` is False while a step writes the weights."""

    def __init__(self, recipe: Recipe, text: Text, device: torch.device, path: Path) -> None:
        if min(len(text.training), len(text.validation)) <= recipe.block_size:
            raise ValueError(f"the text is too short for {recipe.name}, blocks of which do not fit")
        self.recipe, self.text, self.device, self.path = recipe, text, device, path
        torch.manual_seed(recipe.seed)
        self.model = recipe.build(len(text.characters)).to(device)
        matrices, self.muon_rate = recipe.muon(self.model)
        self.optimizers = _optimizers(self.model, recipe, matrices)
        self.batches = torch.Generator().manual_seed(recipe.seed)
        self.best = _copy(self.model)
        self.record = _Record()
        self.whole = True
        self.random = self._random()
        self.training = torch.from_numpy(text.training.copy())
        self.validation = torch.from_numpy(text.validation.copy())

    # Steps

    def go(self, seconds: float, on_progress: Callable[[Progress], None]) -> None:
        record, recipe = self.record, self.recipe
        saved = time.perf_counter()
        self.model.train()
        while True:
            is_over = record.step >= recipe.max_iters or record.seconds >= seconds
            is_due = record.step > 0 and record.step % recipe.eval_interval == 0
            if (is_due or is_over) and (not record.curve or record.curve[-1][1] < record.step):
                self.estimate(is_due)
            if is_over:
                break
            loss = self.advance()
            if time.perf_counter() - saved > _SAVE_SECONDS:
                self.save()
                saved = time.perf_counter()
            pace = record.seconds / record.step
            left = min((recipe.max_iters - record.step) * pace, seconds - record.seconds)
            on_progress(
                Progress(record.step, recipe.max_iters, record.seconds, loss, max(left, 0.0))
            )
        self.model.eval()

    def advance(self) -> float:
        """One step; its loss before it."""
        started = time.perf_counter()
        recipe, record = self.recipe, self.record
        rate = learning_rate(recipe, record.step)
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = rate * (self.muon_rate if name == "muon" else 1.0)
        loss = self.loss(self.training, self.batches)
        self.model.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), recipe.grad_clip)
        self.whole = False
        for optimizer in self.optimizers.values():
            optimizer.step()
        value = float(loss.item())  # waits for a GPU
        record.step += 1
        record.loss_sum += value
        record.n_losses += 1
        record.seconds += time.perf_counter() - started
        record.validation_loss = None
        self.random = self._random()
        self.whole = True
        return value

    def loss(self, ids: Tensor, generator: torch.Generator) -> Tensor:
        """Of a batch of contiguous pieces from anywhere in `ids`."""
        block, batch = self.recipe.block_size, self.recipe.batch_size
        starts = torch.randint(len(ids) - block, (batch, 1), generator=generator)
        pieces = ids[starts + torch.arange(block + 1)].to(self.device, torch.long)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            logits = self.model(pieces[:, :-1], use_cache=False).logits
            return F.cross_entropy(logits.flatten(0, 1), pieces[:, 1:].flatten())

    # Evaluations

    def estimate(self, is_due: bool) -> None:
        """A point of the curve. One that was not due leaves no trace in those that follow."""
        started = time.perf_counter()
        record = self.record
        generator = torch.Generator().manual_seed(self.recipe.seed + 1)
        self.model.eval()
        with torch.inference_mode():
            losses = [self.loss(self.validation, generator) for _ in range(self.recipe.eval_iters)]
            val_loss = float(torch.stack(losses).double().mean())
        self.model.train()
        if val_loss < record.best_loss:
            self.best = _copy(self.model)
            record.best_step, record.best_loss = record.step, val_loss
        train_loss = record.loss_sum / record.n_losses if record.n_losses else math.nan
        record.curve.append((record.seconds, record.step, train_loss, val_loss))
        if is_due:
            record.loss_sum, record.n_losses = 0.0, 0
        record.evaluation_seconds += time.perf_counter() - started

    def result(self) -> Trained:
        """The best weights, evaluated exactly and saved if that was not done before."""
        record = self.record
        model = self.recipe.build(len(self.text.characters)).to(self.device)
        model.load_state_dict(self.best)
        if record.validation_loss is None:
            started = time.perf_counter()
            record.validation_loss = validation_loss(
                model,
                self.text.validation,
                stride=self.recipe.block_size,
                context=self.text.training[-self.recipe.block_size :],
            )
            record.evaluation_seconds += time.perf_counter() - started
            self.save()
        return Trained(
            recipe=self.recipe,
            model=model,
            validation_loss=record.validation_loss,
            best_step=record.best_step,
            step=record.step,
            seconds=record.seconds,
            evaluation_seconds=record.evaluation_seconds,
            curve=[Point(*point) for point in record.curve],
            peak_bytes=record.peak_bytes,
            machine=record.machine,
            versions=record.versions,
            checkpoint=self.path,
        )

    # Checkpoints

    def save(self) -> None:
        """In the place of the old one, and only when it is all on the disk."""
        record = self.record
        record.peak_bytes = max(record.peak_bytes, _peak_bytes(self.device))
        record.machine = device_name(self.device)
        record.versions = {name: version(name) for name in ("torch", "transformers")}
        temporary = self.path.with_suffix(".tmp")
        with open(temporary, "wb") as file:
            torch.save(
                {
                    "format": _FORMAT,
                    "key": _key(self.recipe, self.text),
                    "record": asdict(record),
                    "model": self.model.state_dict(),
                    "best": self.best,
                    **{name: each.state_dict() for name, each in self.optimizers.items()},
                    "random": self.random,
                },
                file,
            )
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.path)

    def load(self) -> None:
        found = _read(self.path, self.device)
        if found.get("key") != _key(self.recipe, self.text):
            raise CheckpointError(
                f"{self.path} is not a checkpoint of {self.recipe.name} on this text; move it"
                " away or delete it, and the training begins anew"
            )
        self.model.load_state_dict(found["model"])
        self.best = found["best"]
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(found[name])
        self.record = _Record(**found["record"])
        self.random = found["random"]
        self.batches.set_state(self.random["batches"].cpu())
        torch.set_rng_state(self.random["cpu"].cpu())
        if self.device.type == "cuda" and "cuda" in self.random:
            torch.cuda.set_rng_state(self.random["cuda"].cpu())

    def _random(self) -> dict[str, Tensor]:
        """The generators as they are between two steps, a few kB each."""
        states = {"batches": self.batches.get_state(), "cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state()
        return states


def _optimizers(
    model: Any, recipe: Recipe, matrices: list[Tensor]
) -> dict[str, torch.optim.Optimizer]:
    """AdamW, whose matrices decay and scales of norms do not, but for Muon's matrices."""
    by_muon = {id(matrix) for matrix in matrices}
    rest = [p for p in model.parameters() if p.requires_grad and id(p) not in by_muon]
    adam = torch.optim.AdamW(
        [
            {"params": [p for p in rest if p.dim() > 1], "weight_decay": recipe.weight_decay},
            {"params": [p for p in rest if p.dim() == 1], "weight_decay": 0.0},
        ],
        betas=(recipe.beta1, recipe.beta2),
        fused=True,
    )
    return {
        "optimizer": adam,
        **({"muon": Muon(matrices, lr=0.0, momentum=_MUON_MOMENTUM)} if matrices else {}),
    }


def _copy(model: Any) -> dict[str, Tensor]:
    return {name: weight.clone() for name, weight in model.state_dict().items()}


def _key(recipe: Recipe, text: Text) -> str:
    """Of the recipe, the text and its split, the vocabulary, and the format."""
    digest = hashlib.sha256(json.dumps([_FORMAT, asdict(recipe), text.characters]).encode())
    for ids in (text.training, text.validation):
        digest.update(hashlib.sha256(ids.tobytes()).digest())
    return digest.hexdigest()


def _read(path: Path, device: torch.device) -> dict[str, Any]:
    """A file that claims to be a checkpoint. Nothing in it is executed."""
    try:
        found = torch.load(path, map_location=device, weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch stumbles over a broken file in any way it likes
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint ({type(error).__name__}): it is torn, or"
            " something else; delete it, and the training begins anew"
        ) from error
    return found if isinstance(found, dict) else {}


def _peak_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def device_name(device: str | torch.device) -> str:
    """What is computed on, in words."""
    if torch.device(device).type == "cuda":
        return str(torch.cuda.get_device_name(device))
    threads = torch.get_num_threads()
    return f"{machine.description()['CPU']}, {threads} thread{'s' if threads > 1 else ''}"
