"""Bytes as they come from a file, and without their compression, which the first ones tell."""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, BinaryIO, Protocol

from ...errors import MalformedRecord
from .document import missing

HEAD = 1 << 16
"""Bytes that are looked at to tell what a file is."""
CHUNK = 1 << 20
"""Bytes read at once from plain files."""
COMPRESSED_CHUNK = 1 << 15
"""Bytes inflated at once: what comes out can be 1000 times more."""
_MAX_INFLATED = 1 << 24  # held at once, where the library can stop there
_ZSTD_CHUNK = 1 << 9  # it cannot there: a block of 4 bytes makes 128 KB, these 16 MB

_MAGIC = (
    (b"\x1f\x8b", ".gz"),
    (b"BZh", ".bz2"),
    (b"\xfd7zXZ\x00", ".xz"),
    (b"\x28\xb5\x2f\xfd", ".zst"),
)
SUFFIXES = tuple(suffix for _, suffix in _MAGIC)
_NUMBER = re.compile(r"^Error -\d+ while decompressing data: ")  # how zlib's words begin
_BZIP2_BLOCKS = (b"\x31\x41\x59\x26\x53\x59", b"\x17\x72\x45\x38\x50\x90")


def compression_of(head: bytes) -> str:
    """The suffix of the compression that the first bytes are of, or "".

    >>> compression_of(bytes.fromhex("1f8b08")), compression_of(b"plain")
    ('.gz', '')
    """
    for magic, suffix in _MAGIC:
        if head.startswith(magic) and (suffix != ".bz2" or head[4:10] in _BZIP2_BLOCKS):
            return suffix
    is_skippable = head[1:4] == b"\x2a\x4d\x18" and 0x50 <= head[0] <= 0x5F
    return ".zst" if is_skippable else ""


def peek(chunks: Iterator[bytes], n: int = HEAD) -> tuple[bytes, Iterator[bytes]]:
    """The first `n` bytes, or all if there are fewer, and the chunks as if nobody had looked."""
    seen: list[bytes] = []
    size = 0
    for chunk in chunks:
        seen.append(chunk)
        size += len(chunk)
        if size >= n:
            break
    head = seen[0][:n] if len(seen) == 1 else b"".join(seen)[:n]
    return head, chain(seen, chunks)


class Source:
    """An open file: its first bytes, then all in chunks, told to `on_bytes` as they are taken."""

    def __init__(
        self, handle: BinaryIO, on_bytes: Callable[[int], None], *, is_stream: bool
    ) -> None:
        self._handle = handle
        self._on_bytes = on_bytes
        self._is_stream = is_stream
        begun: list[bytes] = []
        left = HEAD
        while left > 0 and (chunk := handle.read(min(left, CHUNK))):
            begun.append(chunk)
            left -= len(chunk)
        self.head = b"".join(begun)

    def chunks(self, size: int) -> Iterator[bytes]:
        """All bytes, never more than `size` at once."""
        for at in range(0, len(self.head), size):
            chunk = self.head[at : at + size]
            self._on_bytes(len(chunk))
            yield chunk
        while chunk := self._handle.read(size):
            self._on_bytes(len(chunk))
            yield chunk

    def whole(self) -> bytes:
        """All bytes in one piece, held once where the file can be read again."""
        if self._is_stream:
            return b"".join(self.chunks(CHUNK))
        self._handle.seek(0)
        content = self._handle.read()
        self._on_bytes(len(content))
        return content


class _Frame(Protocol):
    """One compressed stream of the possibly many in a file: what the libraries have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def inflated(path: str, source: Source, compression: str) -> Iterator[bytes]:
    """The bytes of a file without their compression, which is "" for none.

    Frames may follow each other, with zero bytes between and behind them (as tapes and block
    devices pad). Not by the readers of the libraries: some take a stream that was cut short for a
    whole one. Raises MalformedRecord, MissingExtra.
    """
    if not compression:
        yield from source.chunks(CHUNK)
        return
    held: list[bytes] = []
    size = 0
    try:
        for piece in _inflated(path, source, compression):
            held.append(piece)
            size += len(piece)
            if size >= HEAD:
                yield b"".join(held)
                held, size = [], 0
    except MalformedRecord:
        yield b"".join(held)
        raise
    yield b"".join(held)


def _inflated(path: str, source: Source, compression: str) -> Iterator[bytes]:
    """The same in pieces as the library makes them, some of them tiny."""
    new_frame, broken = _library(path, compression)
    step = _ZSTD_CHUNK if compression == ".zst" else COMPRESSED_CHUNK
    frame: _Frame | None = None
    n_frames = 0
    try:
        chunks = source.chunks(COMPRESSED_CHUNK)
        for data in (
            chunk[at : at + step] for chunk in chunks for at in range(0, len(chunk), step)
        ):
            while data:
                if frame is None:
                    data = data.lstrip(b"\0") if n_frames else data
                    if not data:
                        break
                    frame = new_frame()
                    n_frames += 1
                yield from _pieces(frame, data)
                data = frame.unused_data if frame.eof else b""
                if frame.eof:
                    frame = None
    except broken as error:
        raise MalformedRecord(
            f"{path}: not a sound {compression} stream: {_NUMBER.sub('', str(error))}; make or "
            "download the file again"
        ) from error
    if frame is not None or not n_frames:
        raise MalformedRecord(
            f"{path}: the {compression} stream ends too early; make or download the file again"
        )


def _pieces(frame: Any, data: bytes) -> Iterator[bytes]:
    """What comes out of `data`, a bounded piece at a time where the library has bounds."""
    if not hasattr(frame, "needs_input"):
        yield frame.decompress(data)
        return
    yield frame.decompress(data, _MAX_INFLATED)
    while not frame.eof and not frame.needs_input:
        yield frame.decompress(b"", _MAX_INFLATED)


def _library(
    path: str, compression: str
) -> tuple[Callable[[], _Frame], tuple[type[Exception], ...]]:
    if compression == ".gz":
        return lambda: zlib.decompressobj(16 + zlib.MAX_WBITS), (zlib.error,)
    if compression == ".bz2":
        return bz2.BZ2Decompressor, (OSError, ValueError)
    if compression == ".xz":
        return lzma.LZMADecompressor, (lzma.LZMAError,)
    try:
        import zstandard
    except ImportError as error:
        raise missing(path, "zstandard", "zstd") from error
    # the window of `zstd --long=31`, in which large corpora are handed around
    decompressor = zstandard.ZstdDecompressor(max_window_size=1 << 31)
    return decompressor.decompressobj, (zstandard.ZstdError,)


def joined(chunks: Iterable[bytes]) -> bytes:
    """All chunks in one piece; a single one is not copied."""
    pieces = list(chunks)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
