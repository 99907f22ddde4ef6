"""What a file is. The first bytes decide where they can, and its name where they cannot."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterable, Mapping
from typing import Literal

from .compression import SUFFIXES
from .document import Options
from .encodings import mark_of

Kind = Literal[
    "text",
    "bytes",
    "jsonl",
    "json",
    "csv",
    "tsv",
    "parquet",
    "arrow",
    "npy",
    "uint8",
    "uint16",
    "uint32",
    "infini-gram",
]
TABLES = ("parquet", "arrow")
TOKEN_FILES = ("npy", "uint8", "uint16", "uint32", "infini-gram")
"""Mapped where they lie: neither compressed nor read from a stream."""

_BY_NAME: Mapping[str, Kind] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".jl": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".npy": "npy",
    ".u16": "uint16",
    ".u32": "uint32",
}
# Those of letters could begin a text: they count where a zero byte says that it is none.
_BY_BYTES: tuple[tuple[bytes, Kind], ...] = (
    (b"PAR1", "parquet"),
    (b"ARROW1\0\0", "arrow"),
    (b"\x93NUMPY", "npy"),
)

# What holds no text by its first bytes. Those of the second list could begin a text: they count
# only where a zero byte says that it is none.
_BINARIES = (
    (b"PK\x03\x04", "a zip archive: unpack it"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it"),
    (b"Rar!\x1a\x07", "a RAR archive: unpack it"),
    (b"!<arch>\n", "an ar archive: unpack it"),
    (b"\x04\x22\x4d\x18", "an LZ4 stream: decompress it"),
    (b"\x1f\x9d", "a compress (.Z) stream: decompress it"),
    (b"\x7fELF", "an ELF program or library"),
    (b"\xca\xfe\xba\xbe", "a Java class or a program for macOS"),
    (b"\xcf\xfa\xed\xfe", "a program for macOS"),
    (b"\0asm", "a WebAssembly module"),
    (b"%PDF-", "a PDF: extract its text, as with pdftotext"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document: save it as text"),
    (b"\x89PNG\r\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"OggS\0", "an Ogg file"),
    (b"fLaC\0", "a FLAC file"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\x89HDF\r\n", "an HDF5 file"),
    (b"Obj\x01", "an Avro file"),
    (b"MMIDIDX\0", "an index of Megatron: give its .bin, with --token-dtype and --separator"),
    *((bytes([0x80, version]), "a pickle: save its text in another form") for version in range(6)),
)
_WITH_ZEROS = (
    (b"GIF87a", "a GIF image"),
    (b"GIF89a", "a GIF image"),
    (b"FEA1", "a Feather file of version 1: write it again as version 2"),
    (b"PARE", "an encrypted Parquet file: decrypt it"),
    (b"]\0\0", "an LZMA stream: decompress it, or compress it as .xz"),
    (b"MZ", "a program for Windows"),
    (b"ID3", "an MP3 file"),
    (b"BM", "a BMP image"),
    (b"RIFF", "an image, a sound or a film (RIFF)"),
    (b"wOF", "a font"),
    (b"OTTO", "a font"),
    (b"ORC", "an ORC table: write it as Parquet"),
    (b"GGUF", "a neural model (GGUF)"),
)
_MAX_SCHEMA = 1 << 28
_LOOKED_AT = 8000  # bytes in which a zero byte tells a binary, as git and grep look for one
# What no text has: bells, terminals' escapes and the end of files on DOS stand in some.
_CONTROLS = bytes({*range(32), 127} - {*b"\a\b\t\n\v\f\r\x1a\x1b"})
_MAX_CONTROLS = 0.02  # of all bytes; among random ones they are 0.1


def named(path: str, options: Options) -> tuple[Kind | None, str]:
    """What the name alone says a file is, and the compression that it names."""
    if options.format == "bytes":
        return "bytes", ""
    stem, suffix = os.path.splitext(path.lower())
    compression = suffix if suffix in SUFFIXES else ""
    if compression:
        suffix = os.path.splitext(stem)[1]
    kind = _BY_NAME.get(suffix)
    if re.fullmatch(r"tokenized\.\d+", os.path.basename(path)):
        folder, name = os.path.split(path)
        if os.path.exists(os.path.join(folder, name.replace("tokenized", "offset"))):
            kind = "infini-gram"
    if suffix == ".bin" and options.token_dtype is not None:
        kind = options.token_dtype
    return options.format or kind, compression


def kind_of(head: bytes, name_says: Kind | None, options: Options) -> Kind | None:
    """What a file is by its first bytes, else by its name; None where neither tells."""
    if options.format is None:
        for magic, kind in _BY_BYTES:
            if head.startswith(magic) and b"\0" in head[:_LOOKED_AT]:
                return kind
        # a stream of Arrow, how `datasets` saves: a mark, and the length of what comes first
        is_marked = head.startswith(b"\xff\xff\xff\xff")
        if is_marked and 0 < int.from_bytes(head[4:8], "little") < _MAX_SCHEMA:
            return "arrow"
    return name_says


def binary(path: str, head: bytes, options: Options) -> str:
    """What a file is that holds no text by its first bytes: a name and what to do, or "".

    >>> binary("a.txt", b"%PDF-1.7", Options()), binary("a.txt", b"text", Options())
    ('a PDF: extract its text, as with pdftotext', '')
    """
    if name := _known(_BINARIES, head):
        return name
    if head[257:262] == b"ustar":
        return "a tar archive: unpack it"
    if mark_of(head)[0] or options.encoding is not None:
        return ""
    zero = head.find(b"\0", 0, _LOOKED_AT)
    if zero < 0:
        return _full_of_controls(head[:_LOOKED_AT])
    if head[2:4] == b"\r\n" and path.lower().endswith((".pyc", ".pyo")):
        return "compiled Python"
    if name := _known(_WITH_ZEROS, head):
        return name
    hints = []
    if path.lower().endswith((".bin", ".idx", ".dat")):
        hints.append("--token-dtype uint16 if it holds token ids")
    places = head[:_LOOKED_AT]
    if len({at % 2 for at in range(len(places)) if not places[at]}) == 1:
        hints.append(f"--encoding utf-16-{'be' if zero % 2 == 0 else 'le'} if it is UTF-16")
    return f"binary, with a zero byte at {zero}" + "".join(f" ({hint})" for hint in hints)


def no_table(head: bytes) -> str:
    """What a file is that has the name of a table, where its first bytes tell another kind."""
    return _known(_BINARIES, head) or (_known(_WITH_ZEROS, head) if b"\0" in head else "")


def _known(kinds: Iterable[tuple[bytes, str]], head: bytes) -> str:
    return next((name for magic, name in kinds if head.startswith(magic)), "")


def _full_of_controls(head: bytes) -> str:
    """Says that bytes are no text in any encoding, if they are neither UTF-8 nor print."""
    n_controls = len(head) - len(head.translate(None, _CONTROLS))
    if n_controls <= _MAX_CONTROLS * len(head):
        return ""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError as error:
        return f"binary: not UTF-8 at {error.start}, and {n_controls:,} bytes that no text has"
    return ""
