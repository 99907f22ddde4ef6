"""Threads may share a numpy generator: who draws from it natively, or spawns, holds its lock."""

from __future__ import annotations

import ctypes
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar

import numpy as np
import pytest
from test_two_sided import make

import infgram
from infgram import native
from infgram.draft import Drafter
from infgram.refine import polish
from infgram.refine.propose import Proposer
from infgram.seeds import spawn

TEXT = b"to be or not to be that is the question whether tis nobler in the mind to suffer " * 5

_double = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_void_p)
_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype = ctypes.py_object
_new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


class Watched:
    """A bit generator, as numpy's Generator and the core take one, that notes for each double and
    each spawning whether its lock was held."""

    held: ClassVar[list[bool]]

    def __init__(self, seed: int | np.random.SeedSequence) -> None:
        self._numbers = np.random.default_rng(seed)
        self.lock = Lock()
        self._next_double = _double(self._draw)
        # numpy's bitgen_t: state, next_uint64, next_uint32, next_double, next_raw
        double = ctypes.cast(self._next_double, ctypes.c_void_p)
        self._functions = (ctypes.c_void_p * 5)(None, None, None, double, None)
        self.capsule = _new_capsule(ctypes.addressof(self._functions), b"BitGenerator", None)

    def spawn(self, n: int) -> list[Watched]:
        self.held.append(self.lock.locked())
        seeds = self._numbers.bit_generator.seed_seq.spawn(n)  # type: ignore[attr-defined]
        return [type(self)(seed) for seed in seeds]

    def _draw(self, state: int) -> float:
        self.held.append(self.lock.locked())
        return self._numbers.random()


@pytest.fixture
def watched() -> tuple[np.random.Generator, list[bool]]:
    """A generator, and what it and its children note."""
    held: list[bool] = []
    bits: Any = type("WatchedHere", (Watched,), {"held": held})(0)
    return np.random.Generator(bits), held


@pytest.fixture(scope="module")
def index(memory_folder: Path) -> infgram.Index:
    return make(memory_folder / "generators.infgram", [TEXT])


def generate(index: infgram.Index, rng: np.random.Generator) -> object:
    return infgram.generate(index, "to ", max_tokens=9, k=2, seed=rng).text


def generate_kneser_ney(index: infgram.Index, rng: np.random.Generator) -> object:
    return infgram.Model(index, infgram.KneserNey()).generate("to ", max_tokens=9, seed=rng).text


def samples(index: infgram.Index, rng: np.random.Generator) -> object:
    return [made.text for made in infgram.Model(index).samples(3, max_tokens=5, seed=rng)]


def draft(index: infgram.Index, rng: np.random.Generator) -> object:
    drafter = Drafter(index)
    drafter.start("a", list(b"to be or "))
    return drafter.propose("a", sample=True, temperature=2.0, rng=rng).token_ids.tolist()


def polished(index: infgram.Index, rng: np.random.Generator) -> object:
    return polish(index, TEXT[:40], rounds=0, max_copy=4, seed=rng).text


def proposed(index: infgram.Index, rng: np.random.Generator) -> object:
    text = np.frombuffer(b"to be or not to be", np.uint8)
    found = Proposer(index).propose(text, [(3, 5), (9, 12)], seed=rng)
    return found.token_ids.tolist()


# by the native function that is given the generator
DRAWING: dict[str, list[Callable[[infgram.Index, np.random.Generator], object]]] = {
    "sampler": [generate, generate_kneser_ney, samples],
    "draw": [draft],
    "polish": [polished],
    "propose": [proposed],
}
ALL = [each for some in DRAWING.values() for each in some]


def test_all_that_draws_natively_is_tested_here() -> None:
    classes = [each for each in vars(native).values() if isinstance(each, type)]
    methods = [pair for each in classes for pair in vars(each).items()]
    assert {n for n, method in methods if "bit_generator" in (method.__doc__ or "")} == set(DRAWING)


@pytest.mark.parametrize("made", ALL)
def test_the_lock_is_held_while_numbers_are_drawn(
    index: infgram.Index,
    watched: tuple[np.random.Generator, list[bool]],
    made: Callable[[infgram.Index, np.random.Generator], object],
) -> None:
    rng, held = watched
    made(index, rng)
    assert held and all(held)
    assert not rng.bit_generator.lock.locked()


@pytest.mark.parametrize("made", ALL)
def test_threads_that_share_a_generator_get_what_one_thread_would(
    index: infgram.Index, made: Callable[[infgram.Index, np.random.Generator], object]
) -> None:
    """In some order: each asks for the same, so what all of them got is the same in every order."""
    n = 40
    alone = np.random.default_rng(1)
    expected = Counter(repr(made(index, alone)) for _ in range(n))
    shared = np.random.default_rng(1)
    with often_switching(), ThreadPoolExecutor(8) as threads:
        found = Counter(threads.map(lambda _: repr(made(index, shared)), range(n)))
    assert found == expected and len(found) > 1


@contextmanager
def often_switching() -> Iterator[None]:
    """Threads take turns as often as they can, so that what is not locked is torn."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def test_no_two_threads_are_given_the_same_generators() -> None:
    shared = np.random.default_rng(1)
    with often_switching(), ThreadPoolExecutor(8) as threads:
        made = threads.map(lambda _: spawn(shared, 5), range(400))
    assert len({rng.bit_generator.seed_seq.spawn_key for some in made for rng in some}) == 2000
