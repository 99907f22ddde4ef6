"""Folder entries that are no columns: links, pipes, devices, folders, names that lead elsewhere.

A mutation here says what must be refused: where anything would be read from outside of the folder,
or a column from what is no file.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
from pathlib import Path
from typing import NamedTuple

from .folders import CALIBRATION, CURRENT, MANIFEST, VERIFIED, Folder, Unit


class Told(NamedTuple):
    """`must_refuse`: "index", "other side", "calibration"; "" where nothing need be."""

    what: str
    must_refuse: str


def replace_column(rng: random.Random, folder: Folder) -> Told:
    """A column, or the manifest, is something else than a file of the folder."""
    unit = folder.outer
    name = rng.choice([*unit.names, MANIFEST])
    kind = rng.choice(
        ["out", "out", "dangling", "loop", "zero", "null", "pipe", "folder", "socket"]
    )
    _put(rng, folder, unit.path / name, kind)
    return Told(f"{name} is {_KINDS[kind]}", must_refuse="index")


def replace_folder(rng: random.Random, folder: Folder) -> Told:
    """A shard's folder, or the other side, is a link out of the index."""
    unit = folder.outer
    names = sorted({name.split("/")[0] for name in unit.names if "/" in name})
    name = rng.choice(names)
    moved = folder.outside / name
    shutil.move(unit.path / name, moved)
    target = moved if rng.random() < 0.5 else Path(os.path.relpath(moved, unit.path))
    (unit.path / name).symlink_to(target)
    return Told(f"{name} is a link to {target}", must_refuse="index")


def replace_side(rng: random.Random, folder: Folder) -> Told:
    """A side file is no file."""
    unit = rng.choice(folder.units)
    name = rng.choice([CALIBRATION, VERIFIED])
    unit.late.clear()
    kind = rng.choice(list(_KINDS))
    _put(rng, folder, unit.path / name, kind)
    leads_out = kind in ("out", "dangling", "pipe outside")
    refused = "calibration" if name == CALIBRATION and leads_out and unit is folder.outer else ""
    return Told(f"{name} is {_KINDS[kind]}", must_refuse=refused)


def replace_backwards(rng: random.Random, folder: Folder) -> Told:
    """The other side is no index; the one side may well be."""
    if len(folder.units) < 2:
        return replace_column(rng, folder)
    unit = folder.units[-1]
    kind = rng.choice(["out", "zero", "pipe", "loop", "gone", "manifest", "column"])
    if kind in ("manifest", "column"):
        name = MANIFEST if kind == "manifest" else rng.choice(unit.names)
        inner = rng.choice(["out", "dangling", "loop", "zero", "pipe", "folder", "socket"])
        _put(rng, folder, unit.path / name, inner)
        return Told(f"{unit.path.name}/{name} is {_KINDS[inner]}", must_refuse="other side")
    content = folder.outside / "backwards"
    shutil.move(unit.path, content)
    folder.units.remove(unit)
    if kind == "out":
        unit.path.symlink_to(content)
    elif kind != "gone":
        _put(rng, folder, unit.path, kind)
    return Told(f"{unit.path.name} is {_KINDS.get(kind, 'missing')}", must_refuse="other side")


def replace_current(rng: random.Random, folder: Folder) -> Told:
    """The file that names the generation names none, or is no file."""
    path, line = folder.path / CURRENT, folder.line
    if line is None:
        return replace_column(rng, folder)
    generation = folder.outer.path
    name = generation.name
    if rng.random() < 0.4:
        kind = rng.choice(list(_KINDS))
        _put(rng, folder, path, kind)
        return Told(
            f"{path.name} is {_KINDS[kind]}", must_refuse="" if kind == "inside" else "index"
        )
    if rng.random() < 0.4:
        outside = folder.outside / name
        shutil.move(generation, outside)
        folder.units.clear()
        kind = rng.choice(["a link", "a relative path", "an absolute path"])
        if kind == "a link":
            generation.symlink_to(outside)
        else:
            relative = os.path.relpath(outside, folder.path)
            target = relative if kind == "a relative path" else str(outside)
            path.write_bytes(line.replace(name.encode(), target.encode()))
        return Told(f"{path.name} leads out by {kind}", must_refuse="index")
    others: list[bytes] = [
        *(
            b"",
            b".",
            b"..",
            b"/",
            b"./NAME",
            b"NAME/",
            b"NAME/../NAME",
            b"NAME\0",
            b"NAME\n",
            b"NAM",
        ),
        *(
            b"generation-" + b"0" * 16,
            b"generation-" + b"g" * 16,
            b"../index.infgram/NAME",
            b"CURRENT",
        ),
    ]
    whole: list[bytes] = [
        *(
            b"",
            b"\n",
            b"\0",
            b"\xff\xfe",
            b"x" * 10_000,
            b" " * 10**6,
            b"{}",
            b"infgram 2 ",
            line * 2,
        ),
        *(line[:-1], line + b"\n", b" " + line, line.upper(), line.replace(b" 2 ", b" 3 ")),
        *(
            line.replace(b" 2 ", b" -2 "),
            line.replace(b"infgram", b"other"),
            line.replace(b"\n", b"\r\n"),
        ),
    ]
    if rng.random() < 0.5:
        content = line.replace(name.encode(), rng.choice(others).replace(b"NAME", name.encode()))
    else:
        content = rng.choice(whole)
    path.write_bytes(content)
    return Told(
        f"{path.name} holds {content[:60]!r}", must_refuse="index" if content != line else ""
    )


_NAMES = [
    *("", ".", "..", "/", "//", "a/../../x", "\0", "a\0b", "shard-00000\\codes", "x" * 300),
    *(
        "x/" * 2000 + "x",
        "CON",
        "shard-00000/" + "x" * 300,
        "x" * 250,
        "shard-00000",
        "shard-00000/",
        "./token_ids",
        "shard-00000/../sources",
    ),
    *(MANIFEST, VERIFIED, CALIBRATION, "~", "é", "\ud800", "%2e%2e/x", "token_ids/", "backwards/x"),
]


def rename_column(rng: random.Random, folder: Folder) -> Told:
    """A column is listed under a name that leads out of the folder, or nowhere."""
    unit = folder.outer
    unit.is_manifest_changed = True
    if rng.random() < 0.5:
        name = rng.choice(unit.names)
        return _rename_out(rng, folder, unit, name)
    shards = unit.manifest["shards"]
    if rng.random() < 0.3:  # all of a shard, which then fits
        shard = rng.choice(shards)
        old = shard["name"]
        moved = folder.outside / old
        shutil.move(unit.path / old, moved)
        shard["name"] = _to(rng, unit, moved)
        for name in unit.names:
            if name.startswith(f"{old}/"):
                unit.rename(name, f"{shard['name']}/{name.removeprefix(old + '/')}")
        return Told(f"the shard {old} is called {shard['name']!r}", must_refuse="index")
    name = rng.choice(unit.names)
    other = rng.choice(_NAMES)
    if rng.random() < 0.2:
        new = rng.choice(["more", "shard-00000/more", "shard-00009/more", "more.json"])
        unit.add(new, unit.read(name))
        return Told(f"{new} is listed, which nobody needs", must_refuse="")
    if rng.random() < 0.5:
        unit.manifest["files"][other] = dict(unit.manifest["files"][name])
        return Told(f"{other[:60]!r} is listed, as long as {name}", must_refuse="")
    unit.rename(name, other)
    return Told(f"{name} is listed as {other[:60]!r}", must_refuse="")


def _rename_out(rng: random.Random, folder: Folder, unit: Unit, name: str) -> Told:
    """A file that is listed, and whatever it is called, stands outside."""
    outside = folder.put_outside((unit.path / name).read_bytes())
    target = _to(rng, unit, outside)
    if rng.random() < 0.5:
        unit.rename(name, target)
        return Told(f"{name} is listed as {target!r}", must_refuse="index")
    unit.manifest["files"][target] = dict(unit.manifest["files"][name])
    return Told(f"{target!r} is listed too", must_refuse="index")


def _to(rng: random.Random, unit: Unit, outside: Path) -> str:
    relative = os.path.relpath(outside, unit.path)
    ways = [str(outside), relative, f"./{relative}", f"shard-00000/../{relative}"]
    return rng.choice(ways)


_KINDS = {
    "out": "a link out of the folder",
    "inside": "a link within the folder",
    "dangling": "a link to nothing",
    "loop": "a link to itself",
    "zero": "a link to /dev/zero",
    "null": "a link to /dev/null",
    "pipe": "a pipe",
    "pipe outside": "a link to a pipe",
    "folder": "a folder",
    "socket": "a socket",
}


def _put(rng: random.Random, folder: Folder, path: Path, kind: str) -> None:
    content = path.read_bytes() if path.is_file() else b""
    if path.is_file() or path.is_symlink():
        path.unlink()
    if kind == "out":
        outside = folder.put_outside(content)
        path.symlink_to(outside if rng.random() < 0.5 else os.path.relpath(outside, path.parent))
    elif kind == "inside":
        path.with_name("elsewhere").write_bytes(content)
        path.symlink_to("elsewhere")
    elif kind == "dangling":
        path.symlink_to("nothing")
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind in ("zero", "null"):
        path.symlink_to(f"/dev/{kind}")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "pipe outside":
        os.mkfifo(folder.outside / "pipe")
        path.symlink_to(folder.outside / "pipe")
    elif kind == "folder":
        path.mkdir()
    else:
        here = os.getcwd()
        os.chdir(path.parent)  # an address is short
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
        os.chdir(here)
