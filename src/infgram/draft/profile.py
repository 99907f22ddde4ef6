"""What a step of a model costs with more or fewer drafted tokens: measured, kept as a small file.

A draft pays where the tokens that it is expected to give are worth what reading it costs. That
depends on the model and on the machine, so it is measured there once: see `cost` of `Drafter`.
Files are JSON, and are read without torch.
"""

from __future__ import annotations

import json
import os
import platform
import reprlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import whole
from ..errors import InvalidParameter
from ..store.directory import replacing
from ..values.value import Value

if TYPE_CHECKING:
    from .engines.huggingface import OneByOne

_FORMAT = "infgram cost of a step"
_VERSION = 1
_CONTEXT_TOKENS = 256
_TEXTS = ("model", "machine", "date")


@dataclass(frozen=True, eq=False, repr=False)
class Cost(Value):
    """What a step of a model costs.

    - `seconds`: with 0, 1, 2, ... drafted tokens; never falls.
    - `context_tokens`: that were before the draft.
    - `model`, `machine`, `date`: what was measured, where and when.

    >>> Cost((0.01, 0.012), context_tokens=256, model="a", machine="b", date="2026-01-01").curve
    array([0.01 , 0.012])
    """

    seconds: tuple[float, ...]
    context_tokens: int
    model: str
    machine: str
    date: str

    @property
    def curve(self) -> NDArray[np.float64]:
        """For `Drafter(cost=...)`: seconds, of shape (max_tokens + 1,)."""
        return np.array(self.seconds)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the file as a whole or not at all. Raises StorageError."""
        content = {"format": _FORMAT, "version": _VERSION, **vars(self)}
        with replacing(path) as file:
            file.write((json.dumps(content, indent=2) + "\n").encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Cost:
        """Raises OSError, and InvalidParameter for a file that is something else."""
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
        except ValueError as error:
            raise _malformed(path, f"no JSON: {error}") from None
        except RecursionError:
            raise _malformed(path, "JSON that is nested too deeply") from None
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise _malformed(path, "something else")
        if content.get("version") != _VERSION:
            raise _malformed(path, f"version {content.get('version')!r}")
        seconds, context_tokens = content.get("seconds"), content.get("context_tokens")
        if not _is_curve(seconds):
            raise _malformed(path, f"seconds = {reprlib.repr(seconds)}")
        if type(context_tokens) is not int or context_tokens < 1:
            raise _malformed(path, f"context_tokens = {context_tokens!r}")
        for name in _TEXTS:
            if not isinstance(content.get(name), str):
                raise _malformed(path, f"{name} = {content.get(name)!r}")
        texts = {name: content[name] for name in _TEXTS}
        return cls(tuple(map(float, seconds)), context_tokens, **texts)


def measure_cost(
    model: Any, *, context_tokens: int | None = None, max_tokens: int = 32, rounds: int = 9
) -> Cost:
    """Times steps of a model of transformers, on its device and with as many threads as torch has.

    Steps of 0, 1, 2, 4, 8, ... and `max_tokens` drafted tokens behind `context_tokens` others; of
    each size the median of `rounds`, which take turns so that a disturbance hits all sizes. Sizes
    between them are interpolated. Takes rounds * log2(max_tokens) steps, about. context_tokens:
    None for 256, or fewer where the model has no positions for more.

    Raises InvalidParameter, and MissingExtra without torch or transformers.

    >>> import infgram
    >>> from infgram.draft import Drafter
    >>> from transformers import GPT2Config, GPT2LMHeadModel
    >>> model = GPT2LMHeadModel(GPT2Config(vocab_size=256, n_embd=8, n_layer=1, n_head=1)).eval()
    >>> cost = measure_cost(model, context_tokens=16, max_tokens=4, rounds=1)
    >>> Drafter(infgram.build(["to be or not to be"]), cost=cost.curve).cost.shape
    (5,)
    """
    from .engines.huggingface import OneByOne, most_tokens
    from .engines.huggingface.refusals import check_causal

    check_causal(model)
    whole(0, max_tokens=max_tokens)
    whole(1, rounds=rounds)
    if context_tokens is None:
        context_tokens = int(max(1, min(_CONTEXT_TOKENS, most_tokens(model) - max_tokens - 1)))
    whole(1, context_tokens=context_tokens)
    if context_tokens + max_tokens + 1 > most_tokens(model):
        raise InvalidParameter(
            f"context_tokens is {context_tokens} and max_tokens {max_tokens}, expected at most "
            f"{most_tokens(model) - 1} together: the model has no more positions"
        )
    vocab_size = model.config.get_text_config().vocab_size
    step = _stepper(OneByOne(model), vocab_size, context_tokens, max_tokens)
    return Cost(
        seconds=measure_steps(step, max_tokens=max_tokens, rounds=rounds),
        context_tokens=context_tokens,
        model=f"{type(model).__name__}, {model.num_parameters():,} parameters, {model.dtype}",
        machine=f"{platform.node()}, {_device(model)}",
        date=date.today().isoformat(),
    )


def measure_steps(
    step: Callable[[int], object], *, max_tokens: int = 32, rounds: int = 9
) -> tuple[float, ...]:
    """The same for a loop of your own: seconds of step(n), with n from 0 to max_tokens.

    step(n) reads a token and a draft of n behind it, waits until that is done, and forgets it.

    Raises InvalidParameter.

    >>> len(measure_steps(range, max_tokens=4))
    5
    """
    whole(0, max_tokens=max_tokens)
    whole(1, rounds=rounds)
    sizes = _sizes(int(max_tokens))
    for size in sizes:
        step(size)  # the first time, memory is fetched and kernels are chosen
    rounds_taken = [[_seconds(step, size) for size in sizes] for _ in range(rounds)]
    return _between(sizes, np.median(rounds_taken, axis=0))


def _stepper(
    reader: OneByOne, vocab_size: int, context_tokens: int, max_tokens: int
) -> Callable[[int], None]:
    """What takes a step with so many drafted tokens, and waits for it."""
    import torch

    random = torch.Generator().manual_seed(0)
    shape = (context_tokens + max_tokens + 1,)
    ids = torch.randint(vocab_size, shape, generator=random).tolist()
    reader.read(ids[:context_tokens], [])
    reader.keep(context_tokens)

    def step(size: int) -> None:
        token, *drafted = ids[context_tokens : context_tokens + size + 1]
        rows = reader.read([token], drafted)
        float(rows[-1, -1])  # waits for the device
        reader.keep(0)

    return step


def _seconds(step: Callable[[int], object], size: int) -> float:
    start = time.perf_counter()
    step(size)
    return time.perf_counter() - start


def _device(model: Any) -> str:
    import torch

    if model.device.type == "cuda":
        return str(torch.cuda.get_device_name(model.device))
    return f"{model.device.type}, {torch.get_num_threads()} threads"


def _sizes(max_tokens: int) -> list[int]:
    powers = (1 << i for i in range(max_tokens.bit_length()))
    return sorted({0, max_tokens, *powers})


def _between(sizes: list[int], seconds: ArrayLike) -> tuple[float, ...]:
    """For every size up to the last: more tokens never cost less, whatever a clock says."""
    rising = np.maximum.accumulate(seconds)
    return tuple(np.interp(np.arange(sizes[-1] + 1), sizes, rising).tolist())


def _is_curve(seconds: Any) -> TypeGuard[list[float]]:
    return (
        isinstance(seconds, list)
        and len(seconds) > 0
        and all(type(s) in (int, float) and 0.0 < s <= sys.float_info.max for s in seconds)
        and seconds == sorted(seconds)
    )


def _malformed(path: str | os.PathLike[str], found: str) -> InvalidParameter:
    return InvalidParameter(
        f"{path}: found {found}, expected what a step costs as Cost.save writes it, version "
        f"{_VERSION}: measure it again"
    )
