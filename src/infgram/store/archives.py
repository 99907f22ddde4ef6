"""NumPy archives from anywhere: nothing is unpickled, nothing inflates without end."""

from __future__ import annotations

import errno
import io
import math
import mmap
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Collection, Iterator
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

_CHUNK = 1 << 20
# Other methods inflate whatever they are given at once.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGES = (
    *(OSError, EOFError, LookupError, NotImplementedError, RuntimeError, OverflowError, TypeError),
    *(MemoryError, zipfile.BadZipFile, zlib.error, tokenize.TokenError, struct.error),
)


def read_arrays(
    data: bytes | mmap.mmap, *, most: int, unread: Collection[str] = ()
) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file's content, which together take at most `most` bytes; read-only.

    Of a mapped file, what is not compressed is a view of the map, and need not be aligned. Every
    checksum is compared, but for those arrays of a mapped file that are to stay `unread`.

    Raises ValueError for anything else.
    """
    arrays = {}
    try:
        with zipfile.ZipFile(io.BufferedReader(_Content(data))) as archive:
            for member in _members(archive, most):
                name = member.filename.removesuffix(".npy")
                if isinstance(data, mmap.mmap) and member.compress_type == zipfile.ZIP_STORED:
                    content = _stored(data, member)
                    if name not in unread and zlib.crc32(content) != member.CRC:
                        raise ValueError(f"the checksum of {name} is another one")
                else:
                    content = memoryview(archive.read(member))
                arrays[name] = _array(content)
    except _DAMAGES as error:
        raise ValueError(f"it is no archive of arrays: {error}") from error
    return arrays


def check_archive(file: IO[bytes], *, most: int) -> Iterator[int]:
    """Compares every checksum of an .npz file, of which little is in memory at once.

    Yields numbers of bytes, as they are read. Raises ValueError as `read_arrays` does, OSError
    where the file cannot be read.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            for member in _members(archive, most):
                with archive.open(member) as content:
                    while chunk := content.read(_CHUNK):
                        yield len(chunk)
    except OSError:
        raise
    except _DAMAGES as error:
        raise ValueError(f"it is no archive of arrays: {error}") from error


def _members(archive: zipfile.ZipFile, most: int) -> list[zipfile.ZipInfo]:
    """What is in it. Raises ValueError for what is too large, or compressed in another way."""
    members = archive.infolist()
    size = sum(member.file_size for member in members)
    if size > most:
        raise ValueError(f"its arrays take {size:,} bytes, expected at most {most:,}")
    if any(member.compress_type not in _METHODS for member in members):
        raise ValueError("it is compressed in another way than NumPy does it")
    return members


class _Content(io.RawIOBase):
    """Bytes as a file, without a copy of them."""

    def __init__(self, data: bytes | mmap.mmap) -> None:
        self._view, self._at = memoryview(data), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        begin = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: len(self._view)}[whence]
        if begin + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._at = begin + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        read = self._view[self._at : self._at + len(buffer)]
        buffer[: len(read)] = read
        self._at += len(read)
        return len(read)


def _stored(data: mmap.mmap, member: zipfile.ZipInfo) -> memoryview:
    """What a member holds that is not compressed, where it lies."""
    signature, n_name, n_extra = struct.unpack_from("<4s22x2H", data, member.header_offset)
    start = member.header_offset + 30 + n_name + n_extra
    content = memoryview(data)[start : start + member.file_size]
    if signature != b"PK\3\4" or len(content) != member.file_size:
        raise ValueError("its members do not lie where it says")
    return content


_MOST_HEADER = 1 << 16


def _array(content: memoryview) -> NDArray[Any]:
    file = io.BytesIO(content[:_MOST_HEADER])
    version = npy.read_magic(file)
    if version == (1, 0):
        shape, fortran_order, dtype = npy.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, fortran_order, dtype = npy.read_array_header_2_0(file)
    else:
        raise ValueError(f"it holds an array of version {version}")
    if dtype.hasobject or fortran_order:
        raise ValueError(f"it holds an array of {dtype}, expected plain numbers in C order")
    n, start = math.prod(shape), file.tell()
    if min(shape, default=0) < 0 or n * dtype.itemsize != len(content) - start:
        raise ValueError(f"it holds an array of shape {shape} in {len(content) - start} bytes")
    return np.frombuffer(content, dtype, n, start).reshape(shape)
