"""How a refiner learns: to fill holes, to tell what was written by SBIS, to weigh an index's word.

Stage 1 trains the trunk on hidden tokens. Stage 2 leaves the trunk as it is and trains the detector
on the same text with spans written anew (`corrupt`); what it is to find are tokens that differ.
Stage 3 takes seconds: `evidence` learns to find them from the detector and an index together.

The number of steps decides everything that is random: a run that was killed goes on from its last
checkpoint and has the same losses as one that was not.
"""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...checks import number, one_of
from ...errors import EmptyCorpus, InvalidParameter, MissingExtra, NotARefiner, StorageError
from ...extras import how_to_install
from ...store.directory import need_folder_of
from ...store.storage import Progress
from ...text.characters import check_tokenizer
from ...text.corpus import plan
from ...text.tokens import TokenArray, load
from ...values.value import Value
from ..vocabulary import Vocabulary
from .corrupt import Flawed, Noise, corrupt, cross_fitted, index_of
from .masks import draw_masks

try:
    import torch
    import torch.nn.functional as F
    from torch import Tensor

    from . import checkpoint
    from .device import best_device, enough_memory, use_threads
    from .evidence import seen_in
    from .model import SIZES, Refiner, Shape
    from .muon import Muon
except ImportError as error:
    raise MissingExtra(
        f"a refiner needs torch and safetensors: {how_to_install('refine')}"
    ) from error

_STEPS_TO_COMPILE = 500  # compiling takes half a minute, and a step a third less time then
_STATE = "infgram-refiner-training/1"
_SAVE_SECONDS = 60.0
_PACE_STEPS = (4, 12)  # steps that are measured to learn how many there is time for
_DETECTOR_SHARE = 0.22  # of the minutes
_WARMUP_STEPS = 30
_EVAL_RATES = (0.15, 0.5)
_EVAL_WINDOWS = 512
_COPIES = 4  # of the text, each with flaws of its own; two more are for the evidence
_EVIDENCE_TOKENS = 1 << 16
# A tenth as much text with passages as long as a reader would ask for. The detector's spans are
# short, and what is known of them alone says nothing of a run of 100 tokens.
_PASSAGE_LENGTHS = (24, 300)
_PASSAGE_GAPS = (24, 200)


@dataclass(frozen=True)
class Recipe:
    """All that decides what a training comes to, besides its text.

    - `window`, `batch`, `micro_batch`: tokens of a piece of text, pieces of a step, and pieces that
      are computed at once, so few that a core's cache holds them.
    - `lr`, `embedding_lr`, `head_lr`: of matrices by Muon, of tables and of outputs by AdamW; they
      rise for 30 steps and fall to 0 at the last one. Those of the detector are its own.
    - `evidence_steps`: of the third stage, which takes a hundredth of a second for each.
    """

    size: str = "nano"
    window: int = 144
    batch: int = 24
    micro_batch: int = 8
    lr: float = 0.02
    embedding_lr: float = 0.01
    head_lr: float = 0.003
    detector_lr: float = 0.01
    detector_head_lr: float = 0.01
    evidence_steps: int = 600
    seed: int = 0


RECIPES = {
    "nano": Recipe("nano"),
    "base": Recipe(
        "base", window=288, batch=64, micro_batch=64, lr=0.01, embedding_lr=0.005, head_lr=0.002
    ),
}


@dataclass(frozen=True, eq=False, repr=False)
class Trained(Value):
    """What a training came to.

    - `steps`, `detector_steps`: of the two stages; `n_tokens_seen`: by the first.
    - `val_loss`: nats a hidden token of the held-out text, by the share of hidden tokens.
    - `auroc`: of the detector, on the held-out text with spans written anew from an index of the
      training text; `auroc_with_index`: with what that index tells.
    """

    path: Path
    steps: int
    detector_steps: int
    n_tokens_seen: int
    seconds: float
    val_loss: dict[str, float]
    auroc: float
    auroc_with_index: float
    losses: list[float]
    detector_losses: list[float]
    evidence_losses: list[float]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Step(Value):
    """A step of a training.

    - `stage`: "trunk" or "detector"; `done`, `total`: its steps, 0 in all until they are known.
    - `loss`: of this step, in nats: of a hidden token, or of a verdict.
    - `seconds`: of the training until then; `seconds_left`: of both stages, None until it is known.
    """

    stage: str
    done: int
    total: int
    loss: float
    seconds: float
    seconds_left: float | None


def train(
    token_ids: TokenArray,
    path: str | os.PathLike[str],
    *,
    tokenizer: str = "bytes",
    size: str = "nano",
    minutes: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    held_out: float = 0.1,
    shape: Shape | None = None,
    recipe: Recipe | None = None,
    noise: Noise | None = None,
    progress: Progress | None = None,
    on_step: Callable[[Step], None] | None = None,
) -> Trained:
    """Trains a refiner on a text and writes it to `path`.

    - `token_ids`: the text; the last `held_out` of it is not trained on, and measures the result.
    - `minutes`, `steps`: how long; a quarter as many steps train the detector. Minutes are turned
      into steps once the first ones were measured. Without either: 18 minutes.
    - `shape`, `recipe`: instead of those of `size`.
    - `progress`: called with (stage, done, total); stages are "trunk", "detector", "evidence" and
      "evaluate".
    - `on_step`: called after each step of the trunk and of the detector.

    What was reached stands in `path`.partial until the end, and a later call with the same
    arguments goes on from there.

    Raises EmptyCorpus, InvalidParameter, OutOfMemory, StorageError.
    """
    check_tokenizer(tokenizer)
    recipe = _recipe(size, seed) if recipe is None else replace(recipe, seed=seed)
    shape = SIZES[recipe.size] if shape is None else shape
    if minutes is not None and steps is not None:
        raise InvalidParameter("both minutes and steps are given: give one of them")
    for name, value in (("minutes", minutes), ("steps", steps)):
        if value is not None:
            number(0, above=True, **{name: value})
    if not 0 < held_out < 1:
        raise InvalidParameter(f"held_out is {held_out}, expected between 0 and 1")
    if steps is None and minutes is None:
        minutes = 18.0
    target = Path(path)
    if target.is_dir():
        raise StorageError(f"{target} is a folder: name a file to write, as in refiner.safetensors")
    need_folder_of(target)
    text = _Text(token_ids, tokenizer, held_out, recipe.window)
    with use_threads(threads):
        run = _Run(text, recipe, shape, noise or Noise(), best_device(device), target)
        run.on_step = on_step
        advice = "end what else uses it, or train with a smaller size or on another device"
        with enough_memory(run.device, advice):
            return run.go(minutes, steps, progress or (lambda _stage, _done, _total: None))


def read_text(inputs: Sequence[str | os.PathLike[str]], tokenizer: str = "bytes") -> TokenArray:
    """Token ids of the documents in files and folders, one after the other, as one text.

    Raises InputError, UndecodableText, InvalidParameter.
    """
    check_tokenizer(tokenizer)
    encoder = load(tokenizer)
    contents = [document.content for document in plan(list(inputs)).documents()]
    texts = [
        encoder.encode(content) if isinstance(content, bytes) else encoder.check(content)
        for content in contents
    ]
    return np.concatenate([np.zeros(0, encoder.dtype), *texts])


def _recipe(size: str, seed: int) -> Recipe:
    one_of(RECIPES, size=size)
    return replace(RECIPES[size], seed=seed)


class _Text:
    """What is trained on, what is held out, and what both are made of."""

    def __init__(self, token_ids: TokenArray, tokenizer: str, held_out: float, window: int) -> None:
        if not len(token_ids):
            raise EmptyCorpus("there is nothing to train on: the corpus has no tokens")
        self.n_training = int(len(token_ids) * (1 - held_out))
        shortest = min(self.n_training, len(token_ids) - self.n_training)
        if shortest < window:
            raise InvalidParameter(
                f"of {len(token_ids)} tokens {self.n_training} would be trained on and "
                f"{len(token_ids) - self.n_training} held out, expected {window} at least of "
                "both: train on a longer text"
            )
        self.tokenizer = tokenizer
        self.vocabulary = Vocabulary.of_text(tokenizer, token_ids)
        self.training, self.held_out = np.split(token_ids, [self.n_training])
        self.sha256 = hashlib.sha256(np.ascontiguousarray(token_ids, "<u4").tobytes()).hexdigest()


@dataclass(frozen=True)
class _Marked:
    """A text with flaws: its codes, where they are others than before, runs that the index has."""

    codes: NDArray[np.int64]
    flaws: NDArray[np.bool_]
    run_lengths: NDArray[np.float32]

    def rows(self, places: NDArray[np.int64]) -> _Marked:
        """Some of its places, which are rows of neighbours."""
        return _Marked(self.codes[places], self.flaws[places], seen_in(self.run_lengths[places]))


def _marked(flawed: Flawed, codes: NDArray[np.int64], vocabulary: Vocabulary) -> _Marked:
    """`codes` are those of the text as it was."""
    written = vocabulary.codes(flawed.token_ids)
    return _Marked(written, written != codes, flawed.run_lengths)


class _Run:
    """A training as it stands."""

    def __init__(
        self,
        text: _Text,
        recipe: Recipe,
        shape: Shape,
        noise: Noise,
        device: torch.device,
        path: Path,
    ) -> None:
        self.text, self.recipe, self.noise = text, recipe, noise
        self.device, self.path = device, path
        self.partial = path.with_name(f"{path.name}.partial")
        with torch.random.fork_rng([]):
            torch.manual_seed(recipe.seed)
            self.network = Refiner(len(text.vocabulary), shape)
        self.network.to(device)
        self.codes = text.vocabulary.codes(text.training)
        self.key = ""
        self.is_compiled = False
        self.steps = [0, 0]  # of both stages, 0 until they are known
        self.losses: list[list[float]] = [[], []]
        self.seconds = 0.0
        self.optimizers: list[torch.optim.Optimizer] = []
        self.evidence_losses: list[float] = []
        self.copies: dict[int, _Marked] = {}
        self.on_step: Callable[[Step], None] | None = None
        self.begun = (0, 0.0)  # of this stage and run: steps then, seconds then

    def go(self, minutes: float | None, steps: int | None, progress: Progress) -> Trained:
        self.optimizers = self.trunk_optimizers()
        parts = (self.recipe, self.network.shape, self.noise, self.text.sha256, minutes, steps)
        self.key = hashlib.sha256(repr(parts).encode()).hexdigest()
        if self.partial.exists():
            self.load()
        elif steps is None or steps >= _STEPS_TO_COMPILE:
            self.is_compiled = _can_compile()
        self.saved = time.perf_counter()
        self.started = self.saved - self.seconds
        if steps is not None:
            self.steps = [steps, max(1, steps // 4)]
        if self.is_compiled:
            for layer in (*self.network.layers, *self.network.detector):
                layer.compile(dynamic=False)
        shares = (1 - _DETECTOR_SHARE, 1.0)
        for stage, name in enumerate(("trunk", "detector")):
            if stage == 1 and not self.losses[1]:
                self.network.begin_detector()
                self.optimizers = self.detector_optimizers()
            until = None if minutes is None else 60 * minutes * shares[stage]
            self.run_stage(stage, name, until, progress)
        self.weigh(progress)
        return self.finish(progress)

    # Steps

    def run_stage(self, stage: int, name: str, until: float | None, progress: Progress) -> None:
        losses = self.losses[stage]
        micro = self.recipe.micro_batch if self.device.type == "cpu" else self.recipe.batch
        compute = self.hole_loss if stage == 0 else self.flaw_loss
        pace_from = 0.0
        self.begun = (len(losses), time.perf_counter() - self.started)
        while not self.steps[stage] or len(losses) < self.steps[stage]:
            step = len(losses)
            self.set_rates(stage, step)
            rows, targets = self.batch(stage, step)
            total = 0.0
            for at in range(0, len(rows), micro):
                loss = compute(rows[at : at + micro], targets[at : at + micro], targets)
                loss.backward()
                total += float(loss.item())
            for optimizer in self.optimizers:
                optimizer.step()
                optimizer.zero_grad()
            losses.append(total)
            self.seconds = time.perf_counter() - self.started
            if not self.steps[stage] and until is not None:
                first, last = _PACE_STEPS
                if step + 1 == first:
                    pace_from = self.seconds
                elif step + 1 == last:
                    pace = (self.seconds - pace_from) / (last - first)
                    self.steps[stage] = max(last, int((until - self.seconds) / pace) + last)
            if self.steps[stage] and time.perf_counter() - self.saved > _SAVE_SECONDS:
                self.save()
            progress(name, len(losses), self.steps[stage])
            if self.on_step:
                left = self.seconds_left(stage, until)
                self.on_step(Step(name, len(losses), self.steps[stage], total, self.seconds, left))

    def seconds_left(self, stage: int, until: float | None) -> float | None:
        """Of both stages, as fast as this one has been; None until that can be told."""
        first, since = self.begun
        n_done, n_steps = len(self.losses[stage]), self.steps[stage]
        if not n_steps or n_done < first + _PACE_STEPS[0]:
            return None
        pace = (self.seconds - since) / (n_done - first)
        left = pace * (n_steps - n_done)
        if stage == 0:  # what the detector takes is known only where its end is
            left += _DETECTOR_SHARE / (1 - _DETECTOR_SHARE) * (until or pace * n_steps)
        return left

    def set_rates(self, stage: int, step: int) -> None:
        """A line up over the first steps, a line down to 0 at the end."""
        n = self.steps[stage]
        warmup = min(_WARMUP_STEPS, max(1, n // 5)) if n else _WARMUP_STEPS
        height = min((step + 1) / warmup, 1 - step / n if n else 1.0)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = height * group["full_lr"]

    def batch(self, stage: int, step: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Codes of shape (batch, window), and which places are asked for.

        The text is cut into windows anew in every epoch, and all of them are read, in any order.
        """
        recipe = self.recipe
        n_windows = len(self.codes) // recipe.window - 1 or 1
        numbers = step * recipe.batch + np.arange(recipe.batch)
        starts = np.empty(recipe.batch, np.int64)
        for epoch in np.unique(numbers // n_windows).tolist():
            rng = np.random.default_rng([recipe.seed, stage, epoch])
            first = int(rng.integers(min(recipe.window, len(self.codes) - recipe.window) + 1))
            of_epoch = numbers // n_windows == epoch
            order = first + recipe.window * rng.permutation(n_windows)
            starts[of_epoch] = order[numbers[of_epoch] % n_windows]
            copy = epoch % _COPIES
        starts = np.minimum(starts, len(self.codes) - recipe.window)
        places = starts[:, None] + np.arange(recipe.window)
        if stage == 1:
            flawed = self.flawed(copy)
            return flawed.codes[places], flawed.flaws[places]
        rng = np.random.default_rng([recipe.seed, 2, step])
        return self.codes[places], draw_masks(recipe.batch, recipe.window, rng)

    def flawed(self, copy: int) -> _Marked:
        """The training text with flaws, of a copy the same every time."""
        if copy not in self.copies:
            text = self.text
            rng = np.random.default_rng([self.recipe.seed, 3, copy])
            noise = self.noise
            if copy > _COPIES:
                noise = replace(noise, lengths=_PASSAGE_LENGTHS, gaps=_PASSAGE_GAPS)
            written = cross_fitted(text.training, text.tokenizer, rng, noise)
            self.copies[copy] = _marked(written, self.codes, text.vocabulary)
        return self.copies[copy]

    def hole_loss(
        self, rows: NDArray[np.int64], holes: NDArray[np.bool_], of_batch: NDArray[np.bool_]
    ) -> Tensor:
        """Cross entropy of hidden tokens, its share of the batch's mean."""
        codes, hidden = self.on_device(rows), self.on_device(holes)
        with self.autocast():
            states, _ = self.network.trunk(codes.masked_fill(hidden, self.network.mask))
            logits = self.network.logits(states[hidden])
        return F.cross_entropy(logits.float(), codes[hidden], reduction="sum") / of_batch.sum()

    def flaw_loss(
        self, rows: NDArray[np.int64], flaws: NDArray[np.bool_], of_batch: NDArray[np.bool_]
    ) -> Tensor:
        with self.autocast():
            logits = self.network.detect(self.on_device(rows))
        targets = self.on_device(flaws).float()
        loss = F.binary_cross_entropy_with_logits(logits.float(), targets, reduction="sum")
        return loss / of_batch.size

    def on_device(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    def autocast(self) -> torch.autocast:
        """bfloat16 on a GPU; few processors compute in it faster than in float32."""
        is_gpu = self.device.type == "cuda"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=is_gpu)

    def trunk_optimizers(self) -> list[torch.optim.Optimizer]:
        network, recipe = self.network, self.recipe
        tables = [network.embedding.weight, network.neighbours.weight]
        return _optimizers(
            list(network.layers.parameters()),
            [(tables, recipe.embedding_lr), ([network.head.weight], recipe.head_lr)],
            recipe.lr,
        )

    def detector_optimizers(self) -> list[torch.optim.Optimizer]:
        network, recipe = self.network, self.recipe
        head = list(network.detector_head.parameters())
        return _optimizers(
            list(network.detector.parameters()),
            [(head, recipe.detector_head_lr)],
            recipe.detector_lr,
        )

    # The index's word

    def weigh(self, progress: Progress) -> None:
        """Trains the evidence, from the start and to the end, on flaws that are new to all."""
        window = self.recipe.window
        rng = np.random.default_rng([self.recipe.seed, 6])
        n_windows = len(self.codes) // window
        n = min(n_windows, max(1, _EVIDENCE_TOKENS // window))
        parts = []
        for copy, n_of_copy in ((_COPIES, n), (_COPIES + 1, -(-n // 10))):
            begins = window * rng.permutation(n_windows)[:n_of_copy]
            parts.append(self.flawed(copy).rows(begins[:, None] + np.arange(window)))
        self.evidence_losses = self.network.evidence.fit(
            torch.cat([self.suspects(part.codes) for part in parts]),
            torch.cat([self.on_device(part.run_lengths) for part in parts]),
            torch.cat([self.on_device(part.flaws) for part in parts]),
            self.recipe.evidence_steps,
            rng,
            lambda done, total: progress("evidence", done, total),
        )
        self.seconds = time.perf_counter() - self.started

    def suspects(self, rows: NDArray[np.int64]) -> Tensor:
        """The detector's logits, of the shape of rows."""
        # any number of rows: not worth compiling
        with torch.no_grad(), torch.compiler.set_stance("force_eager"):
            return torch.cat([self.network.detect(self.on_device(part)) for part in _parts(rows)])

    # The result

    def finish(self, progress: Progress) -> Trained:
        self.network.eval()
        window = self.recipe.window
        held_out = self.text.held_out[: len(self.text.held_out) // window * window]
        progress("evaluate", 0, 1)
        with index_of([self.text.training], self.text.tokenizer) as index:
            rng = np.random.default_rng([self.recipe.seed, 4])
            written = corrupt(held_out, index, rng, self.noise)
        codes = self.text.vocabulary.codes(held_out)
        # windows of all sizes, a few of each: not worth compiling
        with torch.inference_mode(), torch.compiler.set_stance("force_eager"):
            val_loss = {str(rate): self.loss_at(codes, rate) for rate in _EVAL_RATES}
        flawed = _marked(written, codes, self.text.vocabulary)
        rows = flawed.rows(np.arange(len(codes)).reshape(-1, window))
        logits = self.suspects(rows.codes)
        with torch.no_grad():
            weighed = self.network.evidence(logits, self.on_device(rows.run_lengths))
        auroc, auroc_with_index = (
            area_under_roc(found.flatten().cpu().numpy(), flawed.flaws)
            for found in (logits, weighed)
        )
        progress("evaluate", 1, 1)
        self.write(val_loss, auroc, auroc_with_index)
        return Trained(
            path=self.path,
            steps=self.steps[0],
            detector_steps=self.steps[1],
            n_tokens_seen=self.n_tokens_seen,
            seconds=self.seconds,
            val_loss=val_loss,
            auroc=auroc,
            auroc_with_index=auroc_with_index,
            losses=self.losses[0],
            detector_losses=self.losses[1],
            evidence_losses=self.evidence_losses,
        )

    @property
    def n_tokens_seen(self) -> int:
        return self.steps[0] * self.recipe.batch * self.recipe.window

    def loss_at(self, codes: NDArray[np.int64], rate: float) -> float:
        """Of the held-out text, this share of it hidden, the same places every time."""
        rng = np.random.default_rng(5)
        rows = codes.reshape(-1, self.recipe.window)[:_EVAL_WINDOWS]
        total, n = 0.0, 0
        for part in _parts(rows):
            holes = rng.random(part.shape) < rate
            total += float(self.hole_loss(part, holes, holes).item()) * int(holes.sum())
            n += int(holes.sum())
        return total / n

    def write(self, val_loss: dict[str, float], auroc: float, auroc_with_index: float) -> None:
        text, recipe = self.text, self.recipe
        metadata = {
            "shape": asdict(self.network.shape),
            "tokenizer": text.tokenizer,
            "token_ids": text.vocabulary.token_ids,
            "vocabulary_sha256": text.vocabulary.sha256,
            "corpus_sha256": text.sha256,
            "n_corpus_tokens": len(text.training) + len(text.held_out),
            "n_training_tokens": text.n_training,
            "recipe": asdict(recipe),
            "noise": asdict(self.noise),
            "steps": self.steps,
            "n_tokens_seen": self.n_tokens_seen,
            "val_loss": val_loss,
            "auroc": auroc,
            "auroc_with_index": auroc_with_index,
            "versions": {name: version(name) for name in ("infgram", "torch", "safetensors")},
        }
        checkpoint.write(self.path, self.network.state_dict(), metadata)
        self.partial.unlink(missing_ok=True)

    # Going on after a kill

    def save(self) -> None:
        self.saved = time.perf_counter()
        tensors = {f"network.{n}": t for n, t in self.network.state_dict().items()}
        for i, optimizer in enumerate(self.optimizers):
            for j, state in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{i}.{j}.{name}": t for name, t in state.items()}
        metadata = {
            "key": self.key,
            "steps": self.steps,
            "losses": self.losses,
            "is_compiled": self.is_compiled,
            "seconds": self.seconds,
        }
        checkpoint.write(self.partial, tensors, metadata, kind=_STATE)

    def load(self) -> None:
        tensors, metadata = checkpoint.read(self.partial, kind=_STATE)
        if metadata.get("key") != self.key:
            raise NotARefiner(
                f"{self.partial} is of another training, with other arguments or another text: "
                "remove it, or write to another path"
            )
        self.steps, self.losses = metadata["steps"], metadata["losses"]
        self.is_compiled, self.seconds = metadata["is_compiled"], metadata["seconds"]
        network = {n[8:]: t for n, t in tensors.items() if n.startswith("network.")}
        self.network.load_state_dict(network)
        if self.losses[1]:
            self.optimizers = self.detector_optimizers()
        for i, optimizer in enumerate(self.optimizers):
            state: dict[int, dict[str, Tensor]] = {}
            for name, tensor in tensors.items():
                if name.startswith(f"optimizer.{i}."):
                    _, _, j, key = name.split(".")
                    state.setdefault(int(j), {})[key] = tensor
            optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def area_under_roc(scores: NDArray[Any], labels: NDArray[np.bool_]) -> float:
    """How often a positive has a higher score than a negative; ties count half.

    >>> area_under_roc(np.array([0.1, 0.9, 0.5]), np.array([False, True, True]))
    1.0
    """
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    n_positive = int(labels.sum())
    n_negative = len(labels) - n_positive
    if not n_positive or not n_negative:
        return math.nan
    above = ranks[labels].sum() - n_positive * (n_positive + 1) / 2
    return float(above / (n_positive * n_negative))


def _optimizers(
    matrices: list[Tensor], others: Sequence[tuple[list[Tensor], float]], lr: float
) -> list[torch.optim.Optimizer]:
    made: list[torch.optim.Optimizer] = [
        Muon(matrices, lr=lr, momentum=0.95),
        torch.optim.AdamW(
            [{"params": params, "lr": rate} for params, rate in others],
            betas=(0.9, 0.95),
            weight_decay=0.0,
        ),
    ]
    for optimizer in made:
        for group in optimizer.param_groups:
            group["full_lr"] = group["lr"]
    return made


def _can_compile() -> bool:
    """Whether torch.compile works here: on a processor it needs a C++ compiler."""
    try:
        torch.compile(lambda x: x.sin().cos(), dynamic=False)(torch.zeros(64))
    except Exception:  # whatever the compiler, or the lack of one, comes to
        return False
    return True


def _parts(rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for at in range(0, len(rows), 32):
        yield rows[at : at + 32]
