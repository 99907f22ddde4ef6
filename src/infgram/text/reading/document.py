"""A document of a corpus, and what its readers share: options, who is told what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...errors import CorpusWarning, InputError, MissingExtra
from ...extras import how_to_install

Split = Literal["file", "line", "paragraph"]
TokenDtype = Literal["uint8", "uint16", "uint32"]
Format = Literal["text", "bytes", "jsonl", "json", "csv", "tsv", "parquet", "arrow", "npy"]
Content = bytes | NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a corpus, and where it came from.

    >>> Document(b"To be, or not to be", "hamlet.txt", 0, {}).source
    'hamlet.txt'
    """

    content: Content
    """The text as UTF-8, or as the bytes it was found in; or token ids of shape (n,), not yet
    checked."""
    source: str
    """The path as given or found; "-" is standard input, "memory" what never was a file."""
    line: int
    """1-based line, row or record where the document begins; 0 if it is the whole file."""
    metadata: Mapping[str, object]
    """JSON-able: the other fields of the record; {} for plain text."""
    is_text: bool = field(default=False, compare=False)
    """Plain text as it stands in its source, so that its lines are those of the source."""


@dataclass(frozen=True)
class Options:
    """What the caller of `plan` says of the inputs; `plan` tells what each means."""

    documents: Split = "file"
    text_field: str = "text"
    format: Format | None = None
    encoding: str | None = None
    token_dtype: TokenDtype | None = None
    separator: int | None = None


@dataclass(frozen=True)
class Input:
    """What a reader of one file must know besides its bytes."""

    path: str
    options: Options
    bad: Callable[[str], None]
    """Told of a broken record; raises unless broken records are skipped."""
    note: Callable[[CorpusWarning], None]
    on_bytes: Callable[[int], None]
    is_found: bool = False
    """In a folder; nobody has named it."""


class BadRecord(Exception):
    """A record cannot be used; says why, and the reader adds where."""


def missing(path: str, module: str, extra: str) -> MissingExtra:
    """The error for a library that is not installed and that a file needs."""
    return MissingExtra(
        f"{path}: reading it needs {module}, which is not installed: {how_to_install(extra)}"
    )


def unreadable(path: str, error: Exception) -> InputError:
    """What the system says of a file, in our words."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"{path}: no such file or folder; check the path")
    if isinstance(error, PermissionError):
        return InputError(f"{path}: permission denied; make it readable, or leave it out")
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return InputError(f"{path}: cannot be read: {reason}")
