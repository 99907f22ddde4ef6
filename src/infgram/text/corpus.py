"""Alone in knowing what files hold text: kinds, compression, folders and standard input.

`plan` looks at the inputs, `Corpus.documents` reads them. Text stays the bytes it was on disk:
what they mean is for the tokenizer to say.

| suffix                     | a document is                                                      |
| -------------------------- | ------------------------------------------------------------------ |
| .jsonl .ndjson .jl         | a line: a JSON object with the text, or token ids, in `text_field` |
| .parquet                   | a row, with the text, or token ids, in the column `text_field`     |
| .npy                       | the whole file: a one-dimensional array of token ids               |
| .u16 .u32                  | the whole file: little-endian token ids                            |
| .bin, with a `token_dtype` | the same                                                           |
| anything else              | plain text: the file, a line or a paragraph of it                  |

Text, JSON lines and Parquet may be compressed, with .gz or .zst after the suffix.
"""

from __future__ import annotations

import json
import math
import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import chain
from typing import Any, BinaryIO, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import EmptyCorpus, InputError, InvalidParameter, MalformedRecord, MissingExtra
from ..extras import how_to_install

__all__ = ["Corpus", "Document", "File", "plan"]

Split = Literal["file", "line", "paragraph"]
TokenDtype = Literal["uint16", "uint32"]
StdinKind = Literal["text", "jsonl"]
Kind = Literal["text", "jsonl", "parquet", "npy", "uint16", "uint32"]
Compression = Literal["", ".gz", ".zst"]

_KINDS: Mapping[str, Kind] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".jl": "jsonl",
    ".parquet": "parquet",
    ".npy": "npy",
    ".u16": "uint16",
    ".u32": "uint32",
}
_COMPRESSIONS: Mapping[str, Compression] = {".gz": ".gz", ".zst": ".zst"}
_STDIN = "-"
_CHUNK = 1 << 20  # bytes read at once from plain files
_COMPRESSED_CHUNK = 1 << 15  # bytes inflated at once: what comes out can be 1000 times more
_PARQUET_ROWS = 1024  # rows held at once


def _finite(number: str) -> float | str:
    return value if math.isfinite(value := float(number)) else number


# NaN, Infinity and numbers beyond a float's range are kept as text: no JSON can hold them again
_JSON = json.JSONDecoder(parse_constant=str, parse_float=_finite)


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a corpus, and where it came from.

    >>> Document(b"To be, or not to be", "hamlet.txt", 0, {}).source
    'hamlet.txt'
    """

    content: bytes | NDArray[np.integer[Any]]
    """The text as the bytes it was found in, or token ids of shape (n,), not yet checked."""
    source: str
    """The path as given or found; "-" is standard input."""
    line: int
    """1-based line or record where the document begins; 0 if it is the whole file."""
    metadata: Mapping[str, object]
    """JSON-able: the other fields of the record; {} for plain text."""


@dataclass(frozen=True, slots=True)
class File:
    """One input as `plan` sees it."""

    path: str
    """As given or found; "-" is standard input."""
    kind: Kind
    compression: Compression
    n_bytes: int
    """On disk; 0 for a stream, whose length nobody knows."""
    is_stream: bool
    """Standard input, a pipe or a device: it can be read once only."""


@dataclass(frozen=True)
class Corpus:
    """What to read and how: made by `plan`, read by `documents` as often as its files allow."""

    files: tuple[File, ...]
    split: Split
    text_field: str
    stdin: BinaryIO | None

    @property
    def n_bytes(self) -> int:
        """Of all files on disk; streams count as 0."""
        return sum(file.n_bytes for file in self.files)

    def documents(
        self,
        *,
        skip_bad: bool = False,
        on_bad: Callable[[str], None] | None = None,
        on_bytes: Callable[[int], None] | None = None,
    ) -> Iterator[Document]:
        """Read the documents, in the order of the inputs.

        Holds one document in memory at a time, and a chunk of the file: where a document is a
        whole file, the whole file. Token files are mapped, not read.

        With `skip_bad`, a broken record is passed over, as is (the rest of) a file that cannot be
        read; `on_bad` is told each time, in a sentence. `on_bytes` is told how many more bytes
        were read from disk: `n_bytes` altogether where all files are regular and sound.

        Raises MalformedRecord for a broken record or file, InputError for a file that cannot be
        read, MissingExtra where a library for the kind of file is not installed.

        >>> [document.source for document in plan(["README.md"]).documents()]
        ['README.md']
        """

        def bad(message: str) -> None:
            if not skip_bad:
                raise MalformedRecord(message)
            if on_bad is not None:
                on_bad(message)

        for file in self.files:
            try:
                with _explained(file):
                    yield from self._read(file, bad, on_bytes or _ignore)
            except InputError as error:
                if not skip_bad:
                    raise
                if on_bad is not None:
                    on_bad(str(error))

    def _read(
        self, file: File, bad: Callable[[str], None], on_bytes: Callable[[int], None]
    ) -> Iterator[Document]:
        if file.kind == "text":
            with self._opened(file) as handle:
                yield from _text(file, handle, self.split, on_bytes)
        elif file.kind == "jsonl":
            with self._opened(file) as handle:
                chunks = _inflated(file, _chunks(file, handle, on_bytes))
                yield from _json_lines(file.path, chunks, self.text_field, bad)
        elif file.is_stream:
            raise InputError(
                f"{file.path}: a {file.kind} input must be a regular file, and this is a stream; "
                "save it first"
            )
        elif file.kind == "parquet":
            with self._opened(file) as handle:
                yield from _parquet(file, handle, self.text_field, bad, on_bytes)
        else:
            yield _token_file(file)
            on_bytes(file.n_bytes)

    @contextmanager
    def _opened(self, file: File) -> Iterator[BinaryIO]:
        if file.path == _STDIN:
            if self.stdin is None and sys.stdin is None:
                raise InputError("-: standard input is closed; give a file, or pipe one in")
            yield self.stdin or sys.stdin.buffer  # not ours to close
        else:
            with open(file.path, "rb", buffering=0) as handle:
                yield handle


def plan(
    inputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    glob: str = "**/*",
    documents: Split = "file",
    text_field: str = "text",
    token_dtype: TokenDtype | None = None,
    stdin: BinaryIO | None = None,
    stdin_kind: StdinKind = "text",
) -> Corpus:
    """Find the files of `inputs`: paths of files and folders, and "-" for standard input.

    A folder stands for its files that match `glob` (case-sensitive, `**` is any number of
    folders), sorted by path; hidden files and folders, links to folders and `*.infgram` folders
    are passed over. An input may be given twice, standard input only once.

    documents: what a document of plain text is. "file": all of it. "line": each line that is
        not empty, without its ending (\\n or \\r\\n). "paragraph": each run of lines that are not
        blank, as it stands, without its last line ending.
    text_field: the field of a JSON line, or the column of a Parquet file, that holds the text.
    token_dtype: the width of the token ids in `.bin` files, which are plain text without it.
    stdin, stdin_kind: what "-" reads (the process's standard input) and what is in it.

    Raises InputError for an input that is not there or cannot be read, EmptyCorpus if there is
    no input or no file in a folder, InvalidParameter for an argument outside its choices.

    >>> plan(["README.md"]).files[0].kind
    'text'
    """
    _check_choice("documents", documents, get_args(Split))
    _check_choice("token_dtype", token_dtype, (None, *get_args(TokenDtype)))
    _check_choice("stdin_kind", stdin_kind, get_args(StdinKind))
    if isinstance(inputs, str | os.PathLike):
        inputs = [inputs]
    paths = [os.fspath(path) for path in inputs]
    if not paths:
        raise EmptyCorpus("no inputs: give at least one file or folder, or '-' to read stdin")
    if paths.count(_STDIN) > 1:
        raise InputError("'-' is given twice, and standard input can be read only once")

    files: list[File] = []
    for path in paths:
        if path == _STDIN:
            files.append(File(path, stdin_kind, "", 0, True))
        elif os.path.isdir(path):
            files.extend(_file(found, token_dtype) for found in _walk(path, glob))
        else:
            files.append(_file(path, token_dtype))
    return Corpus(tuple(files), documents, text_field, stdin)


def _check_choice(name: str, value: object, choices: Iterable[object]) -> None:
    if value not in choices:
        expected = ", ".join(map(repr, choices))
        raise InvalidParameter(f"{name} must be one of {expected}; got {value!r}")


def _ignore(n_bytes: int) -> None:
    pass


# ---- finding files -------------------------------------------------------------------------------


def _file(path: str, token_dtype: TokenDtype | None) -> File:
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    is_stream = not stat.S_ISREG(status.st_mode)
    stem, suffix = os.path.splitext(path.lower())
    compression = _COMPRESSIONS.get(suffix, "")
    if compression:
        suffix = os.path.splitext(stem)[1]
    kind = _KINDS.get(suffix, "text")
    if suffix == ".bin" and token_dtype is not None:
        kind = token_dtype
    return File(path, kind, compression, 0 if is_stream else status.st_size, is_stream)


def _walk(folder: str, glob: str) -> list[str]:
    """The files under `folder` that match `glob`, sorted by the parts of their paths."""
    if _is_index(os.path.abspath(folder)):
        raise InputError(f"{folder}: this is an infgram index; give the corpus it was built from")
    patterns = glob.split("/")
    found: list[list[str]] = []

    def refuse(error: OSError) -> None:
        raise _unreadable(str(error.filename), error) from error

    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not _is_hidden(name) and not _is_index(name)]
        within = os.path.relpath(parent, folder)
        above = [] if within == os.curdir else within.split(os.sep)
        for name in names:
            parts = [*above, name]
            if (
                not _is_hidden(name)
                and _matches(parts, patterns)
                and os.path.isfile(os.path.join(parent, name))
            ):
                found.append(parts)
    if not found:
        raise EmptyCorpus(f"{folder}: no file in this folder matches the glob {glob!r}")
    return [os.path.join(folder, *parts) for parts in sorted(found)]


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


def _is_index(name: str) -> bool:
    return name.endswith(".infgram")


def _matches(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    """Whether a path fits a glob, both in parts; `**` stands for any number of parts."""
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return any(_matches(parts[i:], patterns[1:]) for i in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], patterns[0]) and _matches(parts[1:], patterns[1:])


# ---- errors of the system, in our words ----------------------------------------------------------


@contextmanager
def _explained(file: File) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unreadable(file.path, error) from error


def _unreadable(path: str, error: Exception) -> InputError:
    if isinstance(error, FileNotFoundError):
        return InputError(f"{path}: no such file or folder; check the path")
    if isinstance(error, PermissionError):
        return InputError(f"{path}: permission denied; make it readable, or leave it out")
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return InputError(f"{path}: cannot be read: {reason}")


def _missing(file: File, module: str, extra: str) -> MissingExtra:
    return MissingExtra(
        f"{file.path}: reading it needs {module}, which is not installed: {how_to_install(extra)}"
    )


# ---- bytes, inflated -----------------------------------------------------------------------------


class _Frame(Protocol):
    """One compressed stream of the possibly many in a file: zlib's and zstandard's common part."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def _chunks(file: File, handle: BinaryIO, on_bytes: Callable[[int], None]) -> Iterator[bytes]:
    """The bytes of an open file as they come, never more than a chunk at once."""
    size = _COMPRESSED_CHUNK if file.compression else _CHUNK
    while chunk := handle.read(size):
        on_bytes(len(chunk))
        yield chunk


def _inflated(file: File, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """`chunks` without their compression.

    Not by the readers of gzip and zstandard: the latter takes a stream that was cut short for a
    whole one.
    """
    if not file.compression:
        yield from chunks
        return
    new_frame, broken = _gzip() if file.compression == ".gz" else _zstd(file)
    frame = new_frame()
    for data in chunks:
        while data:
            if frame.eof:
                frame = new_frame()
            try:
                yield frame.decompress(data)
            except broken as error:
                raise MalformedRecord(
                    f"{file.path}: not a sound {file.compression} stream: {error}; "
                    "make or download the file again"
                ) from error
            data = frame.unused_data
    if not frame.eof:
        raise MalformedRecord(
            f"{file.path}: the {file.compression} stream ends too early; "
            "make or download the file again"
        )


def _gzip() -> tuple[Callable[[], _Frame], type[Exception]]:
    return lambda: zlib.decompressobj(16 + zlib.MAX_WBITS), zlib.error


def _zstd(file: File) -> tuple[Callable[[], _Frame], type[Exception]]:
    try:
        import zstandard
    except ImportError as error:
        raise _missing(file, "zstandard", "zstd") from error
    # the window of `zstd --long=31`, in which large corpora are handed around
    decompressor = zstandard.ZstdDecompressor(max_window_size=1 << 31)
    return decompressor.decompressobj, zstandard.ZstdError


# ---- plain text ----------------------------------------------------------------------------------


def _text(
    file: File, handle: BinaryIO, split: Split, on_bytes: Callable[[int], None]
) -> Iterator[Document]:
    if split == "file":
        yield Document(_whole(file, handle, on_bytes), file.path, 0, {})
        return
    path = file.path
    chunks = _inflated(file, _chunks(file, handle, on_bytes))
    if split == "line":
        for first, block in _line_blocks(chunks):
            lines = block.replace(b"\r\n", b"\n").split(b"\n")
            for number, line in enumerate(lines, first):
                if line:
                    yield Document(line, path, number, {})
    else:
        for first, paragraph in _paragraphs(chunks):
            yield Document(paragraph, path, first, {})


def _whole(file: File, handle: BinaryIO, on_bytes: Callable[[int], None]) -> bytes:
    if file.compression:
        return b"".join(_inflated(file, _chunks(file, handle, on_bytes)))
    content = handle.read()
    on_bytes(len(content))
    return content


def _line_blocks(chunks: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Cut `chunks` at line ends: (number of the first line, whole lines with their endings).

    The end of the file ends a line too: the last block ends in \\n though the file may not.
    Holds a chunk and the longest line.
    """
    first = 1
    begun: list[bytes] = []  # of a line whose end has not come yet
    for chunk in chunks:
        end = chunk.rfind(b"\n") + 1
        if end:
            block = b"".join((*begun, chunk[:end]))
            yield first, block
            first += block.count(b"\n")
            begun.clear()
        begun.append(chunk[end:])
    if last := b"".join(begun):
        yield first, last + b"\n"


def _paragraphs(chunks: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """(number of the first line, text) of each run of lines that are not blank."""
    first, lines = 0, list[bytes]()
    for first_of_block, block in chain(_line_blocks(chunks), ((0, b"\n"),)):
        # a block ends in \n, after which split sees one empty line that is not there
        for number, line in enumerate(block.split(b"\n")[:-1], first_of_block):
            if line and not line.isspace():
                if not lines:
                    first = number
                lines.append(line)
            elif lines:
                yield first, b"\n".join(lines).removesuffix(b"\r")
                lines.clear()


# ---- records -------------------------------------------------------------------------------------


class _BadRecord(Exception):
    """A record cannot be used; says why, and the reader adds where."""


def _json_lines(
    path: str, chunks: Iterable[bytes], text_field: str, bad: Callable[[str], None]
) -> Iterator[Document]:
    for first, block in _line_blocks(chunks):
        if first == 1:
            block = block.removeprefix(b"\xef\xbb\xbf")  # the byte order mark some programs write
        for number, line in enumerate(block.split(b"\n"), first):
            if not line or line.isspace():
                continue
            try:
                content, metadata = _json_record(line, text_field)
            except _BadRecord as error:
                bad(f"{path}:{number}: {error}")
            else:
                yield Document(content, path, number, metadata)


def _json_record(
    line: bytes, text_field: str
) -> tuple[bytes | NDArray[np.integer[Any]], dict[str, object]]:
    """The text, or token ids, and the other fields of a JSON line."""
    try:
        record = _JSON.decode(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _BadRecord(f"not UTF-8 at byte {error.start} of the line") from error
    except (ValueError, RecursionError) as error:
        raise _BadRecord(f"not JSON: {error}") from error
    if not isinstance(record, dict):
        raise _BadRecord(f"expected a JSON object, found {type(record).__name__}")
    if text_field not in record:
        raise _BadRecord(f"no field {text_field!r}, only {', '.join(map(repr, record)) or 'none'}")
    text = record.pop(text_field)
    if isinstance(text, str):
        try:
            return text.encode("utf-8"), record
        except UnicodeEncodeError as error:
            raise _BadRecord(
                f"field {text_field!r} holds a lone surrogate at character {error.start}"
            ) from error
    if isinstance(text, list) and set(map(type, text)) <= {int}:
        try:
            return np.array(text, np.int64), record
        except OverflowError as error:
            raise _BadRecord(f"field {text_field!r} holds a number beyond 64 bits") from error
    raise _BadRecord(
        f"field {text_field!r} must be a string or a list of integers, found {type(text).__name__}"
    )


def _parquet(
    file: File,
    handle: BinaryIO,
    text_field: str,
    bad: Callable[[str], None],
    on_bytes: Callable[[int], None],
) -> Iterator[Document]:
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ImportError as error:
        raise _missing(file, "pyarrow", "parquet") from error
    try:
        # Parquet is read from its end, so a compressed one is inflated whole
        source = pa.BufferReader(_whole(file, handle, _ignore)) if file.compression else handle
        parquet = pa.parquet.ParquetFile(source)
        names = parquet.schema_arrow.names
        if text_field not in names:
            raise MalformedRecord(
                f"{file.path}: no column {text_field!r}, only {', '.join(map(repr, names))}"
            )
        others = [name for name in names if name != text_field]
        n_rows, done, n_read = parquet.metadata.num_rows, 0, 0
        for batch in parquet.iter_batches(batch_size=_PARQUET_ROWS):
            contents = _parquet_contents(file.path, batch.column(text_field))
            metadata = batch.select(others).to_pylist()
            for number, (content, record) in enumerate(
                zip(contents, metadata, strict=True), done + 1
            ):
                if content is None:
                    bad(f"{file.path}:{number}: the column {text_field!r} is null")
                else:
                    plain = {name: _json_able(value) for name, value in record.items()}
                    yield Document(content, file.path, number, plain)
            done += batch.num_rows
            before, n_read = n_read, file.n_bytes * done // n_rows
            on_bytes(n_read - before)
        on_bytes(file.n_bytes - n_read)  # of a file without rows: all
    except (pa.ArrowException, OSError) as error:
        raise MalformedRecord(f"{file.path}: not a sound Parquet file: {error}") from error


def _parquet_contents(path: str, column: Any) -> Iterator[bytes | NDArray[np.integer[Any]] | None]:
    """Text or token ids of a pyarrow column, None where a row, or an id in it, is null."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    is_text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    is_bytes = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    is_list = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    if any(is_kind(kind) for is_kind in is_text + is_bytes):
        yield from column.cast(pa.large_binary()).to_pylist()
    elif any(is_kind(kind) for is_kind in is_list) and pa.types.is_integer(kind.value_type):
        for row in column:
            sound = row.is_valid and not row.values.null_count
            yield row.values.to_numpy(zero_copy_only=False) if sound else None
    else:
        raise MalformedRecord(
            f"{path}: the text must be strings, bytes or lists of integers, found {kind}"
        )


def _json_able(value: object) -> object:
    """A value of Parquet as JSON has it: what JSON lacks (dates, decimals, NaN) as text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, Mapping):
        return {str(key): _json_able(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_able(item) for item in value]
    return str(value)


# ---- token ids -----------------------------------------------------------------------------------


def _token_file(file: File) -> Document:
    if file.compression:
        raise InputError(
            f"{file.path}: token files are mapped and cannot be compressed; decompress it first"
        )
    ids: NDArray[np.integer[Any]]
    if file.kind == "npy":
        try:
            ids = np.lib.format.open_memmap(file.path, mode="r")
        except (ValueError, EOFError) as error:
            raise MalformedRecord(f"{file.path}: not a sound .npy file: {error}") from error
        if ids.ndim != 1 or ids.dtype.kind not in "iu":
            raise InputError(
                f"{file.path}: token ids must be integers of shape (n,); "
                f"found {ids.dtype} of shape {ids.shape}"
            )
    else:
        dtype = np.dtype(file.kind).newbyteorder("<")
        n_tokens, rest = divmod(os.path.getsize(file.path), dtype.itemsize)
        if rest:
            raise InputError(
                f"{file.path}: {file.kind} token ids take {dtype.itemsize} bytes each, and its "
                f"length is not a multiple of that ({rest} left over); is the width right?"
            )
        # an empty file cannot be mapped
        ids = np.memmap(file.path, dtype, mode="r") if n_tokens else np.empty(0, dtype)
    return Document(ids, file.path, 0, {})
