"""Mutations of the list of segments of an index that has grown."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

from .documents import NUMBERS, OTHERS, mutate_manifest
from .folders import Folder

_List = list[Any]


def mutate(rng: random.Random, folder: Folder) -> str:
    """Segments are missing, doubled, swapped, cut, others; removals belong to nothing."""
    listed = folder.listed
    if listed is None or not isinstance(listed.fields, dict):
        return mutate_manifest(rng, folder)
    listed.is_changed = True
    fields = listed.fields
    key = rng.choice(["segments", "segments", "removals"])
    entries = fields[key]
    kind = rng.choice([*_ENTRIES, "entry", "stop", "field", "file"])
    if kind == "entry":
        return f"{key}: {_change_entry(rng, rng.choice(entries), rng.choice(list(_other(fields))))}"
    if kind == "stop":
        fields["stop"] = rng.choice(
            [[rng.randrange(4), rng.choice(_ROWS)], [0], [0, 0, 0], [-1, 0], [0, -1], "0", {}]
        )
        return f"stop is {fields['stop']!r}"
    if kind == "field":
        name = rng.choice([*fields, "more"])
        fields[name] = rng.choice(OTHERS)
        return f"{name} is {fields[name]!r:.60}"
    if kind == "file":
        content = listed.path.read_bytes()
        listed.path.write_bytes(content[: rng.randrange(len(content))])
        listed.is_changed = False
        return "the list is cut off"
    _ENTRIES[kind](rng, entries)
    return f"{key}: {kind}"


_ROWS = [*range(40), *NUMBERS]


def _swap(rng: random.Random, entries: _List) -> None:
    rng.shuffle(entries)


def _drop(rng: random.Random, entries: _List) -> None:
    del entries[rng.randrange(len(entries))]


def _double(rng: random.Random, entries: _List) -> None:
    entries.insert(rng.randrange(len(entries) + 1), copy.deepcopy(rng.choice(entries)))


def _strange(rng: random.Random, entries: _List) -> None:
    entries[rng.randrange(len(entries))] = rng.choice(OTHERS)


def _empty(_: random.Random, entries: _List) -> None:
    entries.clear()


_ENTRIES: dict[str, Callable[[random.Random, _List], None]] = {
    "in another order": _swap,
    "one is missing": _drop,
    "one is doubled": _double,
    "one is something else": _strange,
    "none": _empty,
}


def _other(fields: dict[str, Any]) -> _List:
    """All segments and removals."""
    return [*fields["segments"], *fields["removals"]]


def _change_entry(rng: random.Random, entry: dict[str, Any], other: dict[str, Any]) -> str:
    name = rng.choice(["name", "identity", "both", "removed", "removed", "removed"])
    if name == "both":  # another segment in the place of this one
        entry.update(name=other["name"], identity=other["identity"])
    elif name != "removed":
        entry[name] = rng.choice([other[name], entry[name][:-1], entry[name].upper(), *OTHERS])
    else:
        cuts = sorted(rng.choices(range(8), k=2 * rng.randrange(3)))
        runs: Any = [[cuts[i], cuts[i + 1]] for i in range(0, len(cuts), 2)]
        entry["removed"] = rng.choice([runs, runs, runs, runs[::-1], [[0]], rng.choice(OTHERS)])
    return f"{name} is {entry.get(name)!r:.60}"
