"""Mutations of arrays: values, runs, order, length, width; at the borders of what is legal."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .folders import Folder, Unit

_Column = NDArray[Any]
_Change = Callable[[random.Random, _Column, Sequence[int]], tuple[_Column, str]]


def mutate(rng: random.Random, folder: Folder) -> str:
    """Mutates a column, and says how."""
    unit = rng.choice(folder.units)
    name = _chosen(rng, unit)
    column = unit.read(name)
    borders = _borders(unit, column)
    change = rng.choices(list(_CHANGES), weights=list(_CHANGES.values()))[0]
    if change is _other:
        changed, told = _other(rng, column, unit)
    else:
        changed, told = change(rng, column, borders)
    padding = rng.choice([b"\xff", b"\x01", b"\0\xff"]) if rng.random() < 0.03 else b""
    unit.write(name, changed, padding=padding)
    if padding:
        told += f", padded with {padding!r}"
    return (
        f"{_place(folder, unit)}{name}: {told}{', padded with ' + repr(padding) if padding else ''}"
    )


def swap_files(rng: random.Random, folder: Folder) -> str:
    """A column is another's, with its length and width."""
    unit = rng.choice(folder.units)
    name, other = rng.sample(unit.names, 2)
    one, two = unit.read(name), unit.read(other)
    unit.write(name, two)
    if both := rng.random() < 0.5:
        unit.write(other, one)
    return f"{_place(folder, unit)}{name} {'swapped with' if both else 'is'} {other}"


def swap_sides(rng: random.Random, folder: Folder) -> str:
    """A column of one side is that of the other, or columns of two shards change places."""
    name = _chosen(rng, folder.outer)
    if len(folder.units) > 1 and rng.random() < 0.6:
        one, other = rng.sample(folder.units, 2)
        one.write(name, other.read(name))
        return f"{_place(folder, one)}{name} is that of the other side"
    unit = rng.choice(folder.units)
    column = name.rpartition("/")[2]
    others = [n for n in unit.names if n.endswith(f"/{column}") and n != name]
    if not others:
        return swap_files(rng, folder)
    other_name = rng.choice(others)
    unit.write(name, unit.read(other_name))
    return f"{_place(folder, unit)}{name} is {other_name}"


def recode(rng: random.Random, folder: Folder) -> str:
    """Other text under the same counts: codes change places, and rows with them or not."""
    unit = rng.choice(folder.units)
    shard = rng.choice(sorted({n.split("/")[0] for n in unit.names if "/" in n}))
    codes = unit.read(f"{shard}/codes")
    picked = np.array(rng.sample(range(len(codes)), min(len(codes), rng.randint(2, 40))), int)
    codes[np.sort(picked)] = codes[picked]
    unit.write(f"{shard}/codes", codes)
    told = f"{_place(folder, unit)}{shard}/codes: {len(picked)} of them shuffled"
    if rng.random() < 0.5:
        sa = unit.read(f"{shard}/sa")
        unit.write(f"{shard}/next", np.append(codes, codes.dtype.type(0))[sa])
        told += ", next from codes and sa"
    if rng.random() < 0.5 and codes.max(initial=0) < unit.n_codes:
        counts = np.bincount(codes, minlength=unit.n_codes)
        unit.write(f"{shard}/buckets", np.append(0, np.cumsum(counts)).astype(np.uint32))
        told += ", buckets from codes"
    return told


def _place(folder: Folder, unit: Unit) -> str:
    inside = unit.path.relative_to(folder.path)
    return "" if str(inside) == "." else f"{inside}/"


def _chosen(rng: random.Random, unit: Unit) -> str:
    """A column; what each shard has is as likely as what there is once, however many there are."""
    kinds: dict[str, list[str]] = {}
    for name in unit.names:
        kinds.setdefault(name.rpartition("/")[2], []).append(name)
    weights = [1 if "/" not in kinds[kind][0] else 2 for kind in kinds]
    kind = rng.choices(list(kinds), weights=weights)[0]
    return rng.choice(kinds[kind])


def _borders(unit: Unit, column: _Column) -> list[int]:
    top = int(np.iinfo(column.dtype).max)
    near = [n + d for n in [*unit.numbers, len(column)] for d in (-1, 0, 1)]
    plain = [0, 1, 2, 254, 255, 256, 65535, 65536, 2**31 - 2, 2**31 - 1, 2**31, top - 1, top]
    return sorted({n for n in [*near, *plain] if 0 <= n <= top})


def _value(rng: random.Random, column: _Column, borders: Sequence[int], at: int = 0) -> int:
    """A value that may hurt: at a border, near the present one, or another place's."""
    top = int(np.iinfo(column.dtype).max)
    present = int(column[at]) if len(column) else 0
    kind = rng.random()
    if kind < 0.4:
        return rng.choice(borders)
    if kind < 0.6:
        return (present + rng.choice([-2, -1, 1, 2])) % (top + 1)
    if kind < 0.7:
        return present ^ (1 << rng.randrange(column.dtype.itemsize * 8))
    if kind < 0.9 and len(column):
        return int(column[rng.randrange(len(column))])
    return rng.randint(0, top)


def _at(rng: random.Random, column: _Column) -> int:
    """A place; the ends are likely."""
    return rng.choice([0, len(column) - 1]) if rng.random() < 0.2 else rng.randrange(len(column))


def _some(rng: random.Random, column: _Column, borders: Sequence[int]) -> tuple[_Column, str]:
    if not len(column):
        return _resized(rng, column, borders)
    n = 1 if rng.random() < 0.6 else rng.randint(2, 30)
    told = []
    for _ in range(n):
        at = _at(rng, column)
        value = _value(rng, column, borders, at)
        told.append(f"[{at}] {column[at]} -> {value}")
        column[at] = value
    return column, ", ".join(told[:6]) + (", ..." if n > 6 else "")


def _slice(rng: random.Random, column: _Column) -> slice:
    begin = _at(rng, column)
    return slice(begin, begin + rng.choice([2, 3, 8, 50, len(column)]))


def _run(rng: random.Random, column: _Column, borders: Sequence[int]) -> tuple[_Column, str]:
    if not len(column):
        return _resized(rng, column, borders)
    part = _slice(rng, column)
    kind = rng.choice(
        ["one value", "random", "copied", "shuffled", "reversed", "sorted", "shifted"]
    )
    n = len(column[part])
    top = int(np.iinfo(column.dtype).max)
    if kind == "one value":
        column[part] = value = _value(rng, column, borders, part.start)
        kind = f"all {value}"
    elif kind == "random":
        bound = min(top, rng.choice([1, 3, max(len(column), 1), int(column.max()), top]))
        column[part] = np.random.default_rng(rng.getrandbits(64)).integers(
            0, bound + 1, n, np.uint64
        )
        kind = f"random up to {bound}"
    elif kind == "copied":
        begin = rng.randrange(len(column) - n + 1)
        column[part] = column[begin : begin + n].copy()
        kind = f"copied from {begin}"
    elif kind == "shuffled":
        column[part] = np.random.default_rng(rng.getrandbits(64)).permutation(column[part])
    elif kind == "reversed":
        column[part] = column[part][::-1].copy()
    elif kind == "sorted":
        column[part] = np.sort(column[part])
    else:
        by = rng.choice([-2, -1, 1, 2, 64, top // 2])
        column[part] = (column[part].astype(np.int64) + by).astype(np.uint64) & np.uint64(top)
        kind = f"shifted by {by}"
    return column, f"[{part.start}:{part.start + n}] {kind}"


def _swapped(rng: random.Random, column: _Column, borders: Sequence[int]) -> tuple[_Column, str]:
    if len(column) < 2:
        return _resized(rng, column, borders)
    pairs = [(_at(rng, column), _at(rng, column)) for _ in range(rng.choice([1, 1, 2, 10]))]
    for a, b in pairs:
        column[[a, b]] = column[[b, a]]
    return column, f"swapped {pairs[:4]}"


def _whole(rng: random.Random, column: _Column, borders: Sequence[int]) -> tuple[_Column, str]:
    kind = rng.choice(["zero", "max", "value", "random", "arange", "reversed", "sorted", "rolled"])
    top = int(np.iinfo(column.dtype).max)
    made = column
    if kind == "zero":
        made = np.zeros_like(column)
    elif kind == "max":
        made = np.full_like(column, top)
    elif kind == "value":
        value = rng.choice(borders)
        made, kind = np.full_like(column, value), f"all {value}"
    elif kind == "random":
        numbers = np.random.default_rng(rng.getrandbits(64))
        bound = min(top, rng.choice([1, 3, max(len(column), 1), top]))
        made = numbers.integers(0, bound + 1, len(column), np.uint64).astype(column.dtype)
        kind = f"random up to {bound}"
    elif kind == "arange":
        made = np.arange(len(column)).astype(column.dtype)
    elif kind == "reversed":
        made = column[::-1].copy()
    elif kind == "sorted":
        made = np.sort(column)
    else:
        by = rng.choice([-1, 1, 7])
        made, kind = np.roll(column, by), f"rolled by {by}"
    return made, f"all of it {kind}"


def _resized(rng: random.Random, column: _Column, borders: Sequence[int]) -> tuple[_Column, str]:
    n = len(column)
    size = rng.choice([0, 1, n - 1, n // 2, n + 1, n + 2, n + 64, 2 * n, 2 * n + 1])
    size = max(size, 0)
    if size <= n:
        made = column[:size] if rng.random() < 0.7 else column[n - size :]
    else:
        filling = rng.choice(["zeros", "last", "again", "value"])
        more = size - n
        if filling == "again" and n:
            made = np.resize(column, size)
        else:
            value = column[-1] if filling == "last" and n else 0
            value = rng.choice(borders) if filling == "value" else value
            made = np.append(column, np.full(more, value, column.dtype))
    return made.astype(column.dtype), f"{n} -> {size} values"


def _retyped(rng: random.Random, column: _Column, _: Sequence[int]) -> tuple[_Column, str]:
    others = [d for d in ("uint8", "uint16", "uint32", "uint64") if d != column.dtype.name]
    dtype = rng.choice(others)
    if rng.random() < 0.5:
        made = column.astype(dtype)
    else:
        raw = column.tobytes()
        size = np.dtype(dtype).itemsize
        made = np.frombuffer(raw[: len(raw) // size * size], dtype)
    return made, f"{column.dtype.name} -> {dtype}, {len(made)} values"


def _other(rng: random.Random, column: _Column, unit: Unit) -> tuple[_Column, str]:
    name = rng.choice(unit.names)
    other = unit.read(name)
    if not len(other):
        return np.zeros_like(column), "all of it zero"
    made = np.resize(other, len(column)).astype(np.uint64)
    return (made & np.uint64(np.iinfo(column.dtype).max)).astype(column.dtype), f"values of {name}"


_CHANGES: dict[Any, int] = {
    _some: 10,
    _run: 5,
    _swapped: 3,
    _whole: 3,
    _resized: 2,
    _retyped: 1,
    _other: 1,
}
