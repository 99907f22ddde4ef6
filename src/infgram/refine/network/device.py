"""Where torch computes, with how many threads, and what it says when the memory is too small."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ...checks import MOST_THREADS, one_of, whole
from ...errors import InvalidParameter, OutOfMemory

_OUT_OF_MEMORY = ("can't allocate memory", "bad_alloc")  # a processor's has no type in torch


def best_device(name: str) -> torch.device:
    """The device of that name; "auto" is a GPU where torch has one. Raises InvalidParameter."""
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(device for device, is_there in there.items() if is_there)
    one_of(["auto", *there], device=name)
    if not there[name]:
        raise InvalidParameter(f"torch finds no {name} here: use the device 'auto' or 'cpu'")
    return torch.device(name)


@contextmanager
def use_threads(n: int | None) -> Iterator[None]:
    """Within the block torch computes with n threads; None leaves it as it is."""
    before = torch.get_num_threads()
    if n is not None:
        whole(1, MOST_THREADS, threads=n)
        torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def enough_memory(device: torch.device, advice: str) -> Iterator[None]:
    """Raises OutOfMemory where the block finds too little; `advice` says what to do then."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        is_typed = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not is_typed and not any(said in str(error) for said in _OUT_OF_MEMORY):
            raise
        asked = re.search(r"allocate ([\d.]+ \w+)", str(error))
        more = f" for {asked[1]} more" if asked else ""
        raise OutOfMemory(f"{device.type} has too little memory{more}: {advice}") from error
