"""NumPy archives from anywhere: nothing is unpickled, nothing inflates without end."""

from __future__ import annotations

import io
import math
import tokenize
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

# Other methods inflate whatever they are given at once.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGES = (
    *(OSError, EOFError, LookupError, NotImplementedError, RuntimeError, OverflowError, TypeError),
    *(MemoryError, zipfile.BadZipFile, zlib.error, tokenize.TokenError),
)


def read_arrays(data: bytes, *, most: int) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file's content, which together take at most `most` bytes; read-only.

    Raises ValueError for anything else.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            size = sum(member.file_size for member in members)
            if size > most:
                raise ValueError(f"its arrays take {size:,} bytes, expected at most {most:,}")
            if any(member.compress_type not in _METHODS for member in members):
                raise ValueError("it is compressed in another way than NumPy does it")
            return {
                member.filename.removesuffix(".npy"): _array(archive.read(member))
                for member in members
            }
    except _DAMAGES as error:
        raise ValueError(f"it is no archive of arrays: {error}") from error


def _array(content: bytes) -> NDArray[Any]:
    file = io.BytesIO(content)
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
