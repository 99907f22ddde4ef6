"""Mutations of JSON: the manifest, the tokenizer's file, documents' metadata, what was verified."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np

from infgram.text.tokens import load

from .folders import VERIFIED, Folder

NUMBERS = [
    *(0, 1, -1, 2, 7, 255, 256, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**32, -(2**31), -(2**63)),
    *(2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**30),
]
OTHERS: list[Any] = [
    *(
        None,
        True,
        False,
        "",
        "x",
        "0",
        "1",
        [],
        {},
        [0],
        [[]],
        {"a": 1},
        0.0,
        0.5,
        1.5,
        -0.0,
        1e308,
    ),
    *("a\0b", "\ud800", "é" * 300, "x" * 100_000, "../x", "/", ".", "..", "\\", "C:\\x"),
]
_RAW = {
    "1e999": "1e999",
    "minus": "-1e999",
    "nan": "NaN",
    "infinity": "Infinity",
    "float": "1.0",
    "exponent": "1E2",
    "digits": "9" * 5000,
    "many": "9" * 3000,
    "deep": "[" * 100_000 + "]" * 100_000,
    "half deep": "[" * 900 + "]" * 900,
    "nearly deep": '{"a":' * 300 + "1" + "}" * 300,
    "open": "[",
    "empty": "",
    "twice": '1, "twice": 2',
}


def mutate_manifest(rng: random.Random, folder: Folder) -> str:
    """A field of a manifest is of another type, out of range, missing, there twice, or new."""
    unit = rng.choice(folder.units)
    unit.is_manifest_changed = True
    told = _mutate(rng, unit.manifest, unit.raw)
    if told is None:
        unit.manifest, told = _other(rng, unit.raw), "all of it replaced"
    return f"manifest: {told}"


def mutate_numbers(rng: random.Random, folder: Folder) -> str:
    """A number of a manifest is another that may look right."""
    unit = rng.choice(folder.units)
    unit.is_manifest_changed = True
    manifest = unit.manifest
    where = rng.choice([manifest, *[rng.choice(manifest["shards"])] * 2])
    key = rng.choice([k for k, v in where.items() if isinstance(v, int)])
    before = where[key]
    near = [n + d for n in unit.numbers for d in (-1, 0, 1)]
    where[key] = rng.choice([before - 1, before + 1, -before, 2 * before, *near, *NUMBERS])
    return f"manifest: {key} {before} -> {where[key]}"


def mutate_shards(rng: random.Random, folder: Folder) -> str:
    """The list of shards repeats one, lacks one, or has another order."""
    unit = rng.choice(folder.units)
    unit.is_manifest_changed = True
    shards = unit.manifest["shards"]
    kind = rng.choice(["repeated", "dropped", "reversed", "many", "empty", "renamed"])
    if kind == "repeated":
        shards.append(dict(rng.choice(shards)))
    elif kind == "dropped":
        shards.pop(rng.randrange(len(shards)))
    elif kind == "reversed":
        shards.reverse()
    elif kind == "many":
        shards *= rng.choice([3, 300])
    elif kind == "empty":
        shards.clear()
    else:
        rng.choice(shards)["name"] = rng.choice(["", ".", "backwards", "shard-00001", "../x", "/"])
    if mend := rng.random() < 0.7:  # totals fit
        for key in ("n_documents", "n_tokens"):
            unit.manifest[key] = sum(shard[key] for shard in shards)
    return f"manifest: shards {kind}{', totals fit' if mend else ''}"


def mutate_tokenizer(rng: random.Random, folder: Folder) -> str:
    """The tokenizer is another one, with a hash that is right, or its file is broken."""
    name = "tokenizer.json"
    unit = folder.outer
    unit.is_manifest_changed = True
    if name in unit.names and rng.random() < 0.7:
        file = unit.read(name).tobytes()
        told = "cut"
        if rng.random() < 0.5:
            parsed, raw = json.loads(file), dict[str, str]()
            told = _mutate(rng, parsed, raw) or ""
            file = _dump(parsed, raw)
        else:
            file = file[: rng.randrange(len(file))]
        unit.write(name, np.frombuffer(file, np.uint8))
        if rng.random() < 0.8:
            import hashlib

            unit.manifest["tokenizer"]["sha256"] = hashlib.sha256(file).hexdigest()
            told += ", its hash fits"
        return f"{name}: {told}"
    kind = rng.choice(["bytes", "chars", "ids", "vocab_size", "tokenizers", "tiktoken:none"])
    if kind == "vocab_size":
        size = rng.choice([0, 1, 255, 256, 257, 400, 2**31, 2**32 - 1, 2**32, 2**63, 2**64, -1])
        told = f"vocab_size {size}"
        for each in folder.units:
            each.is_manifest_changed = True
            each.manifest["tokenizer"]["vocab_size"] = size
    elif kind == "ids":
        size = rng.choice([1, 100, 255, 256, 0x10FFFF, 2**31, 2**32 - 2, 2**32 - 1])
        told = f"ids {size}"
        for each in folder.units:
            each.is_manifest_changed = True
            each.manifest["tokenizer"] = load("ids", vocab_size=size).spec()
    elif kind in ("bytes", "chars"):
        told = kind
        for each in folder.units:
            each.is_manifest_changed = True
            each.manifest["tokenizer"] = load(kind).spec()
    else:
        told = kind
        unit.manifest["tokenizer"]["name"] = kind
    return f"manifest: tokenizer {told}"


_METADATA = [
    *(b"[]", b"1", b"null", b"true", b'"x"', b"[1, 2]", b'[["a", 1]]', b'["ab", "cd"]', b"[[1]]"),
    *(
        b"{",
        b"{}",
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b"\xff\xfe",
        b'"\xed\xa0\x80"',
        b'{"\\ud800": 0}',
    ),
    *(
        b"9" * 5000,
        b"[" * 100_000,
        b'{"a":' * 500 + b"1" + b"}" * 500,
        b'{"a": 1, "a": 2}',
        b"[[[]]]",
    ),
    *(b"\0", b" ", b"[{}]", b"[[{}, 1]]", b"[[[], 1]]", b"-", b'{"a": "\x01"}'),
]


def mutate_strings(rng: random.Random, folder: Folder) -> str:
    """Metadata that is no JSON object, sources that are no text, with offsets that fit."""
    unit = rng.choice(folder.units)
    kinds = sorted({n.removesuffix("_offsets") for n in unit.names if n.endswith("_offsets")})
    name = rng.choice(kinds)
    offsets = unit.read(f"{name}_offsets")
    blob = unit.read(name).tobytes()
    strings = [blob[a:b] for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)]
    at = rng.randrange(len(strings))
    strange = [b"", b"\0", b"/etc/passwd", b"\xff" * 10, b"a" * 70_000, b"../" * 9, b"\xed\xa0\x80"]
    strings[at] = rng.choice(strange if name.endswith("sources") else _METADATA)
    if rng.random() < 0.3:
        strings = [strings[at]] * len(strings)
    unit.write(name, np.frombuffer(b"".join(strings), np.uint8))
    unit.write(f"{name}_offsets", np.cumsum([0, *map(len, strings)]).astype(np.uint64))
    return f"{name}[{at}]: {strings[at][:40]!r}"


def mutate_verified(rng: random.Random, folder: Folder) -> str:
    """What is said to have been verified is no such thing."""
    unit = rng.choice(folder.units)
    path = unit.path / VERIFIED
    known = json.loads(path.read_bytes()) if path.is_file() else {}
    raw: dict[str, str] = {}
    told = _mutate(rng, known, raw) if rng.random() < 0.5 else None
    if told is None:
        known, told = _other(rng, raw), "all of it replaced"
    content = _dump(known, raw)
    if rng.random() < 0.1:
        content, told = rng.choice([b"", b"\xff\xfe", b"\0" * 100, b"[" * 10**6]), "no JSON"
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    return f"{VERIFIED}: {told}"


def _mutate(rng: random.Random, value: Any, raw: dict[str, str]) -> str | None:
    """Changes a part of a JSON value in place, and says what; None for what has no parts."""
    path: list[Any] = []
    while isinstance(value, (dict, list)) and value:
        key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        path.append(key)
        below = value[key]
        if not (isinstance(below, (dict, list)) and below) or rng.random() < 0.25:
            break
        value = below
    if not path:
        return None
    key, told = path[-1], "/".join(str(each)[:60] for each in path)
    kind = rng.choice(["other", "other", "other", "gone", "new", "moved"])
    if kind == "gone":
        del value[key]
    elif kind == "new":
        other = _other(rng, raw)
        if isinstance(value, dict):
            value[rng.choice(["new", "", "checksum", "backwards", "version", "files"])] = other
        else:
            value.insert(key, other)
    elif kind == "moved" and len(value) > 1:
        place = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        value[key], value[place] = value[place], value[key]
        told += f" swapped with {str(place)[:60]}"
    else:
        other = _other(rng, raw)
        if type(value[key]) is int and rng.random() < 0.5:
            other = rng.choice([str(value[key]), float(value[key]), [value[key]], -value[key]])
        value[key] = other
        told += f" = {str(raw.get(str(other), other))[:40]!r}"
    return f"{told} {kind}"


def _other(rng: random.Random, raw: dict[str, str]) -> Any:
    kind = rng.random()
    if kind < 0.35:
        return rng.choice(NUMBERS)
    if kind < 0.75:
        return rng.choice(OTHERS)
    name = rng.choice(list(_RAW))
    raw[f"raw {name}"] = _RAW[name]
    return f"raw {name}"


def _dump(value: Any, raw: dict[str, str]) -> bytes:
    text = json.dumps(value)
    for name, instead in raw.items():
        text = text.replace(f'"{name}"', instead)
    return text.encode("utf-8", "surrogatepass")
