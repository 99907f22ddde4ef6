"""Mutations of calibration.npz: torn, of other shapes, of objects, inflating, packed otherwise."""

from __future__ import annotations

import io
import pickle
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .folders import CALIBRATION, Folder, Unit, archive

_Arrays = dict[str, NDArray[Any]]
_BOMB_BYTES = 1 << 29


def mutate(rng: random.Random, folder: Folder) -> str:
    """Replaces an index's calibration by another, which claims to belong to it."""
    unit = rng.choice(folder.units)
    arrays = dict(unit.calibration or _invented())
    arrays.pop("identity", None)
    way = rng.choice(_WAYS)
    made, told = way(rng, arrays)
    unit.late.clear()
    unit.late.append(lambda identity: _write(unit, made(identity)))
    return f"{CALIBRATION}: {told}"


_Made = Callable[[str], bytes]


def _write(unit: Unit, content: bytes) -> None:
    path = unit.path / CALIBRATION
    if unit.path.is_dir() and (not path.exists() or path.is_file()):
        path.write_bytes(content)


def _whole(arrays: _Arrays, identity: str) -> bytes:
    return archive({**arrays, "identity": np.array(identity)})


def _invented() -> _Arrays:
    """A calibration for an index that has none."""
    from infgram import native

    table = native.textbook_discounts().astype(np.float32)
    fit = np.array([0.2, 5000.0, 2.0])
    named = ("static_corpus", "adapting_corpus", "adapting_live")
    return {**dict.fromkeys(named, table), "static_fit": fit, "adapting_fit": fit}


def _torn(rng: random.Random, arrays: _Arrays) -> tuple[_Made, str]:
    share = rng.random()

    def made(identity: str) -> bytes:
        content = _whole(arrays, identity)
        return content[: int(len(content) * share)]

    return made, f"torn at {share}"


def _flipped(rng: random.Random, arrays: _Arrays) -> tuple[_Made, str]:
    seed, n = rng.getrandbits(64), rng.choice([1, 1, 3, 20])
    tail = rng.random() < 0.5  # the directory, and not all those numbers

    def made(identity: str) -> bytes:
        content = bytearray(_whole(arrays, identity))
        inner = random.Random(seed)
        for _ in range(n):
            begin = max(len(content) - 900, 0) if tail else 0
            content[inner.randrange(begin, len(content))] ^= 1 << inner.randrange(8)
        return bytes(content)

    return made, f"{n} bits flipped{' at its end' if tail else ''}"


def _values(rng: random.Random, arrays: _Arrays) -> tuple[_Made, str]:
    name = rng.choice(sorted(arrays))
    column = arrays[name].copy()
    hurt = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        1e-38,
        1e-45,
        1e30,
        -1e30,
        3.4e38,
        np.nan,
        np.inf,
        -np.inf,
        0.5,
        2.0,
    ]
    value = rng.choice(hurt)
    if rng.random() < 0.5:
        at = rng.randrange(column.size)
        column.flat[at] = value
        told = f"[{at}]"
    elif rng.random() < 0.5:
        column = (column * value).astype(column.dtype)
        told = " times"
    else:
        column[:] = value
        told = " all"
    return lambda i: _whole({**arrays, name: column}, i), f"{name}{told} {value}"


def _shapes(rng: random.Random, arrays: _Arrays) -> tuple[_Made, str]:
    name = rng.choice(sorted(arrays))
    column = arrays[name]
    others: list[Any] = [
        *(column[:-1], np.append(column, column[:1]), column[:0], column.reshape(1, -1)),
        *(column.reshape(-1, 1), np.array(0.5), column.astype(np.float16), column.astype(">f8")),
        *(column.astype(np.float64), np.zeros(column.shape, np.int32), column.astype(complex)),
        *(column.astype("S8"), column.astype("U4"), np.zeros(column.shape, "M8[s]")),
        *(np.zeros(column.shape, "f4,i4"), np.zeros(column.shape, bool), np.zeros((0, 0))),
        *(np.zeros(column.shape, "V8"), np.asfortranarray(np.ones((3, 3))), np.longdouble(1)),
    ]
    other = rng.choice(others)
    return lambda i: _whole({**arrays, name: other}, i), f"{name} is {other.dtype} {other.shape}"


def _names(rng: random.Random, arrays: _Arrays) -> tuple[_Made, str]:
    name = rng.choice(sorted(arrays))
    column = arrays.pop(name)
    other = rng.choice(["", "x", "../x", "/x", "identity", "a" * 3000, "\udcff", "file", None])
    if other is not None:
        arrays[other] = column

    def made(identity: str) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as members:
            for key, array in {"identity": np.array(identity), **arrays}.items():
                members.writestr(f"{key}.npy".encode("utf-8", "replace").decode(), npy(array))
        return file.getvalue()

    return made, f"{name} is called {str(other)[:20]!r}"


_PACKED = ["bz2", "lzma", "many", "twice", "no arrays", "folder", "encrypted", "method"]


def _members(rng: random.Random, arrays: _Arrays) -> tuple[_Made, str]:
    """The same arrays, packed as another program would."""
    kind = rng.choice(
        ["bz2", "lzma", "many", "twice", "no arrays", "folder", "encrypted", "method"]
    )

    def made(identity: str) -> bytes:
        methods = {"bz2": zipfile.ZIP_BZIP2, "lzma": zipfile.ZIP_LZMA}
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", methods.get(kind, zipfile.ZIP_STORED)) as members:
            everything = {"identity": np.array(identity), **arrays}
            for key, array in everything.items():
                members.writestr(f"{key}.npy", b"" if kind == "no arrays" else npy(array))
            if kind == "many":
                for i in range(3000):
                    members.writestr(f"more-{i}.npy", b"")
            if kind == "twice":
                import warnings

                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    members.writestr("static_fit.npy", npy(np.zeros(3)))
            if kind == "folder":
                members.writestr("static_corpus/", b"")
        changed = bytearray(file.getvalue())
        if kind in ("encrypted", "method"):  # in the local headers, and in the directory
            for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
                at = -1
                while (at := changed.find(mark, at + 1)) >= 0:
                    place = at + offset + (2 if kind == "method" else 0)
                    changed[place : place + 2] = struct.pack("<H", 1 if kind == "encrypted" else 97)
        return bytes(changed)

    return made, kind


def _headers(rng: random.Random, arrays: _Arrays) -> tuple[_Made, str]:
    """Arrays whose headers lie."""
    name = rng.choice([*sorted(arrays), "identity"])
    header = rng.choice(
        [
            "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296,), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1152921504606846976,), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "9" * 40 + ",), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2147483648, 2147483648, 4), }",
            "{'descr': '|O', 'fortran_order': False, 'shape': (3,), }",
            "{'descr': [('a', '<f4', (999999, 999999))], 'fortran_order': False, 'shape': (3,), }",
            "{'descr': '<f4', 'fortran_order': 3, 'shape': 3, }",
            "{'descr': '<U2000000000', 'fortran_order': False, 'shape': (1,), }",
            "{'descr': '<U0', 'fortran_order': False, 'shape': (1099511627776,), }",
            "{'descr': '|V0', 'fortran_order': False, 'shape': (1099511627776,), }",
            "{'descr': None, 'fortran_order': False, 'shape': (), }",
            "(" * 400 + ")" * 400,
            "[" * 9000,
            "{'descr': '<f4'",
            "",
            "9" * 6000,
            "-" * 9000 + "1",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }" + " " * 20_000,
        ]
    )
    version = rng.choice([1, 1, 2, 3, 9])
    packed = header.encode() + b"\n"
    length = struct.pack("<H" if version == 1 else "<I", len(packed))
    lying = b"\x93NUMPY" + bytes([version, 0]) + length + packed + b"\0" * 64

    def made(identity: str) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as members:
            for key, array in {"identity": np.array(identity), **arrays}.items():
                members.writestr(f"{key}.npy", lying if key == name else npy(array))
        return file.getvalue()

    return made, f"{name} has the header {header[:60]!r}, version {version}"


def _inflating(rng: random.Random, arrays: _Arrays) -> tuple[_Made, str]:
    name = rng.choice([*sorted(arrays), "identity", "new"])

    def made(identity: str) -> bytes:
        members = {"identity": np.array(identity), **arrays}
        return bomb({key: npy(array) for key, array in members.items() if key != name}, name)

    return made, f"{name} inflates to {_BOMB_BYTES >> 20} MiB"


def _pickled(rng: random.Random, arrays: _Arrays) -> tuple[_Made, str]:
    kind = rng.choice(["objects", "a pickle", "an npy", "nothing", "text", "zeros"])
    if kind == "objects":
        return lambda i: _whole({**arrays, "static_fit": np.array([0.2, {}, None])}, i), kind
    content = {
        "a pickle": pickle.dumps(_Touch()),
        "an npy": npy(np.zeros(5)),
        "nothing": b"",
        "text": b"static_fit",
        "zeros": bytes(1000),
    }[kind]
    return lambda i: content, kind


class _Touch:
    """Unpickled, it ends the process."""

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.abort, ()


def _identities(rng: random.Random, arrays: _Arrays) -> tuple[_Made, str]:
    identity: Any = rng.choice(
        [np.zeros(5), np.array(["a", "b"]), np.array(b"x"), np.array(1e9), np.zeros((2, 2), "U64")]
    )
    return lambda i: archive({**arrays, "identity": identity}), f"identity is {identity!r:.40}"


_WAYS: list[Callable[[random.Random, _Arrays], tuple[_Made, str]]] = [
    _torn,
    _flipped,
    *[_values] * 3,
    _shapes,
    _names,
    _members,
    _headers,
    _inflating,
    _pickled,
    _identities,
]


def npy(array: Any) -> bytes:
    """An array as a .npy file."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


@lru_cache(1)
def _deflated() -> tuple[bytes, int, int]:
    """A .npy of half a gigabyte of zeros, deflated; its crc32 and its size."""
    n = _BOMB_BYTES // 4
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({n},), }}".encode() + b"\n"
    head = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    chunk = bytes(1 << 22)
    n_chunks = _BOMB_BYTES // len(chunk)
    crc = zlib.crc32(head)
    for _ in range(n_chunks):
        crc = zlib.crc32(chunk, crc)
    # after a full flush nothing refers to what was before, so that one part may come again
    packed = _packed(head) + _packed(chunk) * n_chunks + _packed(b"", zlib.Z_FINISH)
    return packed, crc, len(head) + _BOMB_BYTES


def _packed(raw: bytes, flush: int = zlib.Z_FULL_FLUSH) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    return packer.compress(raw) + packer.flush(flush)


def bomb(members: dict[str, bytes], name: str) -> bytes:
    """A zip of these members, and of one more that inflates to half a gigabyte.

    Written by hand, as zipfile would deflate it anew each time.
    """
    deflated, crc, size = _deflated()
    packed = [(f"{key}.npy", 0, zlib.crc32(raw), len(raw), raw) for key, raw in members.items()]
    packed.append((f"{name}.npy", 8, crc, size, deflated))
    body, directory = bytearray(), bytearray()
    for key, method, checksum, n, raw in packed:
        fields = struct.pack(
            "<HHHHHIIIHH", 20, 0, method, 0, 33, checksum, len(raw), n, len(key), 0
        )
        directory += b"PK\x01\x02" + struct.pack("<H", 20) + fields
        directory += struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + key.encode()
        body += b"PK\x03\x04" + fields + key.encode() + raw
    end = struct.pack("<HHHHIIH", 0, 0, len(packed), len(packed), len(directory), len(body), 0)
    return bytes(body + directory + b"PK\x05\x06" + end)
