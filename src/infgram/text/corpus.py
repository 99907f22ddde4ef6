"""A corpus: `plan` finds the inputs, `Corpus.documents` reads them. Where all kinds meet.

The first bytes of an input decide what it is where they can, and its name where they cannot:

| an input                       | a document is                                                  |
| ------------------------------ | -------------------------------------------------------------- |
| .jsonl .ndjson .jl             | a line: a JSON object with the text, or ids, in `text_field`   |
| .json                          | the same, or an object of an array, or the object              |
| .csv .tsv                      | a row, with the text in the column `text_field`                |
| Parquet, Arrow, Feather        | a row, with the text, or token ids, in the column `text_field` |
| .npy                           | the whole array of token ids, or a row if it has two dimensions |
| .u16 .u32                      | the whole file: little-endian token ids                        |
| .bin, with a `token_dtype`     | the same                                                       |
| a folder that `datasets` saved | a row                                                          |
| an index of infini-gram        | a document of it                                               |
| other text                     | plain text: the file, a line or a paragraph of it; but what    |
|                                | begins with a JSON object that has `text_field` is `.json`     |

A `separator` cuts token ids further. All but token files may be compressed (gzip, bzip2, xz, zstd)
and may come from a pipe.
Text becomes UTF-8 where a byte order mark or the caller tells its encoding, and otherwise stays the
bytes it was on disk: what they mean is for the tokenizer to say. Archives and binaries hold no
text: refused where they were named, left out and counted in folders.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, BinaryIO, get_args

from ..checks import whole
from ..errors import (
    CorpusWarning,
    EmptyCorpus,
    FilesSkipped,
    InputError,
    InvalidParameter,
    MalformedRecord,
    ReadAsText,
)
from .reading import arrays, kinds, memory, plain, records, tables
from .reading.compression import HEAD, Source, compression_of, inflated, peek
from .reading.document import (
    Content,
    Document,
    Format,
    Input,
    Options,
    Split,
    TokenDtype,
    unreadable,
)
from .reading.encodings import check_encoding, to_utf8
from .reading.folders import Found, check_exclude, left_out_in_words, walk
from .reading.kinds import Kind

__all__ = ["Content", "Corpus", "Document", "File", "Format", "Split", "TokenDtype", "plan"]

_STDIN = "-"
_NAMED = 3  # binaries of a folder that are named; the others are counted


@dataclass(frozen=True, slots=True)
class File:
    """One input as `plan` sees it. What it holds is seen when it is read."""

    path: str
    """As given or found; "-" is standard input."""
    n_bytes: int
    """On disk; 0 for a stream, whose length nobody knows."""
    is_stream: bool
    """Standard input, a pipe or a device: it can be read once only."""
    folder: str = ""
    """The input in which it was found; "" if it was named itself."""


class _NoText(Exception):
    """A file holds no text; says what it is, and how many of its bytes were told of."""

    def __init__(self, what: str, n_told: int) -> None:
        super().__init__(what)
        self.n_told = n_told


@dataclass(frozen=True)
class Corpus:
    """What to read and how: made by `plan`, read by `documents` as often as its files allow."""

    files: tuple[File, ...]
    options: Options
    stdin: BinaryIO | None = None
    stdin_name: str = _STDIN
    folders: Mapping[str, Found] = field(default_factory=dict)
    """What was found in each folder among the inputs."""

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
        on_note: Callable[[CorpusWarning], None] | None = None,
    ) -> Iterator[Document]:
        """Read the documents, in the order of the inputs.

        Holds one document in memory at a time, and a chunk of the file: where a document is a
        whole file, the whole file. Token files are mapped, not read.

        With `skip_bad`, a broken record is passed over, as is (the rest of) a file that cannot be
        read, or a folder; `on_bad` is told each time, in a sentence. `on_bytes` is told how many
        more bytes were read from disk: `n_bytes` altogether where all files are regular and sound.
        `on_note` is told what is no error: files that were left out, text that is not UTF-8.

        Raises MalformedRecord for a broken record or file, InputError for a file that cannot be
        read or holds no text, MissingExtra where a library for the kind of file is not installed.

        >>> [document.source for document in plan(["README.md"]).documents()]
        ['README.md']
        """

        def bad(message: str) -> None:
            if not skip_bad:
                raise MalformedRecord(message)
            if on_bad is not None:
                on_bad(message)

        note = on_note or _ignore
        tell = on_bytes or _ignore
        for problem in chain.from_iterable(found.unreadable for found in self.folders.values()):
            if not skip_bad:
                raise problem
            if on_bad is not None:
                on_bad(str(problem))
        binaries: dict[str, list[str]] = {}
        for file in self.files:
            name = self.stdin_name if file.path == _STDIN else file.path
            given = Input(name, self.options, bad, note, tell, bool(file.folder))
            try:
                with _explained(name):
                    yield from self._read(file, given)
            except _NoText as error:
                if file.folder:
                    binaries.setdefault(file.folder, []).append(f"{file.path} ({error})")
                    tell(file.n_bytes - error.n_told)
                    continue
                problem = InputError(
                    f"{name}: holds no text: it is {error}; --format bytes (format='bytes') "
                    "indexes any file as the bytes it is"
                )
                if not skip_bad:
                    raise problem from None
                if on_bad is not None:
                    on_bad(str(problem))
            except InputError as error:
                if not skip_bad:
                    raise
                if on_bad is not None:
                    on_bad(str(error))
        for folder, found in self.folders.items():
            _tell_of_folder(folder, found, binaries.get(folder, []), note)

    def _read(self, file: File, given: Input) -> Iterator[Document]:
        options = self.options
        name_says, named = kinds.named(file.path, options)
        if name_says in kinds.TOKEN_FILES:
            _must_be_plain(file, given.path, named)
            yield from arrays.token_file(given, name_says)
            given.on_bytes(file.n_bytes)
            return
        with self._opened(file) as handle:
            told = _Told(given.on_bytes)
            source = Source(handle, told, is_stream=file.is_stream)
            compression = "" if name_says == "bytes" else compression_of(source.head) or named
            is_plain = not compression
            head, chunks = source.head, inflated(given.path, source, compression)
            if compression:
                head, chunks = peek(chunks)
            kind = kinds.kind_of(head, name_says, options)
            if kind == "npy":
                _must_be_plain(file, given.path, compression)
                yield from arrays.token_file(given, kind)
                given.on_bytes(file.n_bytes)
                return
            if kind in kinds.TABLES:
                if options.format is None and (no_table := kinds.no_table(head)):
                    raise _NoText(no_table, told.n)
                whole = None
                if is_plain and not file.is_stream:
                    handle.seek(0)
                    whole = handle
                else:  # in proportion to its rows, and not while it is inflated
                    told.is_silent = True
                yield from tables.table(given, kind, whole, chunks, file.n_bytes - told.n)
                return
            if kind == "bytes":
                yield Document(source.whole(), given.path, 0, {}, True)
                return
            if no_text := _nested(head) or kinds.binary(file.path, head, options):
                raise _NoText(no_text, told.n)
            is_whole = options.documents == "file" and kind in (None, "text") and is_plain
            if is_whole and not file.is_stream:
                chunks = iter([source.whole()])
            yield from self._text(file, given, kind, head, chunks)

    def _text(
        self, file: File, given: Input, kind: Kind | None, head: bytes, chunks: Iterator[bytes]
    ) -> Iterator[Document]:
        """The documents of what is text: plain, or records."""
        options = self.options
        if kind is None and records.seem_records(
            head, options.text_field, options.encoding, is_stream=file.is_stream
        ):
            kind = "json"
        if (
            kind in ("json", "csv", "tsv")
            and options.format is None
            and not records.holds_records(kind, head, options.text_field, options.encoding)
        ):
            if given.is_found:
                given.note(
                    ReadAsText(
                        f"{given.path}: no record with {options.text_field!r}: read as plain text; "
                        "--text-field names another field"
                    )
                )
                kind = "text"
            elif kind == "json" and head.strip() and head.lstrip()[:1] not in b"{[\xef\xff\xfe\0":
                raise MalformedRecord(
                    f"{given.path}: not JSON records: expected an object or an array of objects; "
                    "--format text (format='text') reads the file as it is"
                )
        is_text = kind in (None, "text")
        chunks = to_utf8(given, head, chunks, told=is_text)
        if is_text:
            yield from plain.text(given, chunks)
        elif kind == "jsonl":
            yield from records.json_lines(given, chunks)
        elif kind == "json":
            first, chunks = peek(chunks, HEAD)
            read = records.json_lines if records.are_lines(first) else records.json_values
            yield from read(given, chunks)
        else:
            yield from records.csv_rows(given, chunks, str(kind))

    @contextmanager
    def _opened(self, file: File) -> Iterator[BinaryIO]:
        if file.path == _STDIN:
            if self.stdin is None and sys.stdin is None:
                raise InputError("-: standard input is closed; give a file, or pipe one in")
            yield self.stdin or sys.stdin.buffer  # not ours to close
        else:
            with open(file.path, "rb", buffering=0) as handle:
                yield handle


class _Told:
    """Passes on how many bytes were read, and knows how many there were."""

    def __init__(self, on_bytes: Callable[[int], None]) -> None:
        self.n = 0
        self.is_silent = False
        self._on_bytes = on_bytes

    def __call__(self, n: int) -> None:
        if not self.is_silent:
            self.n += n
            self._on_bytes(n)


def _nested(head: bytes) -> str:
    compression = compression_of(head)
    return f"compressed twice ({compression} inside)" if compression else ""


def _must_be_plain(file: File, name: str, compression: str) -> None:
    if file.is_stream:
        raise InputError(
            f"{name}: token ids are mapped from a file, and this is a stream; save it, and give "
            "its path"
        )
    if compression:
        raise InputError(
            f"{name}: token files are mapped and cannot be compressed; decompress it first"
        )


def _tell_of_folder(
    folder: str, found: Found, binaries: Sequence[str], note: Callable[[CorpusWarning], None]
) -> None:
    said = []
    if binaries:
        more = len(binaries) - _NAMED
        names = ", ".join(binaries[:_NAMED]) + (f", and {more:,} more" if more > 0 else "")
        holds = "file that holds" if len(binaries) == 1 else "files that hold"
        said.append(f"; left out: {len(binaries):,} {holds} no text: {names}")
    said.append(left_out_in_words(found))
    if any(said):
        n = len(binaries) + found.n_ignored + found.n_excluded
        words = "".join(said).removeprefix("; left out: ").replace("; left out: ", "; ")
        note(FilesSkipped(f"{folder}: left out: {words}", n))


def plan(
    inputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    glob: str = "**/*",
    exclude: Sequence[str] = (),
    gitignore: bool = True,
    documents: Split = "file",
    text_field: str = "text",
    format: Format | None = None,
    encoding: str | None = None,
    token_dtype: TokenDtype | None = None,
    separator: int | None = None,
    stdin: BinaryIO | None = None,
) -> Corpus:
    """Find the files of `inputs`: paths of files and folders, and "-" for standard input.

    A folder stands for its files that match `glob` (case-sensitive, `**` is any number of
    folders), sorted by path; hidden files and folders, links to folders and `*.infgram` folders
    are passed over. An input may be given twice, standard input only once.

    - `exclude`: globs as in .gitignore of what to leave out of folders.
    - `gitignore`: also leave out what the .gitignore files of a folder name, and those above it in
      a git repository, unless they name the folder itself.
    - `documents`: what a document of plain text is. "file": all of it. "line": each line that is
      not empty, without its ending (\\n or \\r\\n). "paragraph": each run of lines that are not
      blank, as it stands, without its last line ending.
    - `text_field`: the field of a record, or the column of a table, that holds the text, or a path
      to it: `messages[].content` is the content of every message, joined by newlines.
    - `format`: what every input is, whatever its name and first bytes say. "bytes" is any file, as
      it is.
    - `encoding`: of text without a byte order mark, by a name that Python knows.
    - `token_dtype`: the width of the token ids in `.bin` files.
    - `separator`: the id that separates documents in arrays of token ids, and belongs to none.
    - `stdin`: what "-" reads (the process's standard input).

    Raises InputError for an input that is not there or cannot be read, EmptyCorpus if there is
    no input or no file in a folder, InvalidParameter for an argument outside its choices.

    >>> plan(["README.md"]).files[0].is_stream
    False
    """
    _check_choice("documents", documents, get_args(Split))
    _check_choice("format", format, (None, *get_args(Format)))
    _check_choice("token_dtype", token_dtype, (None, *get_args(TokenDtype)))
    if not isinstance(text_field, str) or not text_field:
        raise InvalidParameter(f"text_field is {text_field!r}, expected the name of a field")
    if separator is not None:
        whole(0, separator=separator)
    if not isinstance(glob, str):
        raise InvalidParameter(f"glob is {glob!r}, expected a pattern such as '**/*.txt'")
    check_encoding(encoding)
    check_exclude(exclude)
    options = Options(documents, text_field, format, encoding, token_dtype, separator)
    if isinstance(inputs, str | os.PathLike):
        inputs = [inputs]
    paths = [os.fspath(path) for path in inputs]
    if not paths:
        raise EmptyCorpus("no inputs: give at least one file or folder, or '-' to read stdin")
    if paths.count(_STDIN) > 1:
        raise InputError("'-' is given twice, and standard input can be read only once")

    files: list[File] = []
    folders: dict[str, Found] = {}
    for path in paths:
        if path == _STDIN:
            files.append(File(path, 0, True))
        elif os.path.isdir(path):
            folders[path] = walk(path, glob, exclude, gitignore=gitignore)
            files.extend(_file(found, path) for found in folders[path].files)
        else:
            files.append(_file(path))
    return Corpus(tuple(files), options, stdin, _STDIN, folders)


@dataclass(frozen=True)
class InMemory:
    """Documents that never were files, read as a corpus is, but only once."""

    inputs: Any
    options: Options
    n_bytes: int = 0

    def documents(
        self,
        *,
        skip_bad: bool = False,
        on_bad: Callable[[str], None] | None = None,
        on_bytes: Callable[[int], None] | None = None,
        on_note: Callable[[CorpusWarning], None] | None = None,
    ) -> Iterator[Document]:
        """As `Corpus.documents`, of what is iterated over."""

        def bad(message: str) -> None:
            if not skip_bad:
                raise MalformedRecord(message)
            if on_bad is not None:
                on_bad(message)

        note, tell = on_note or _ignore, on_bytes or _ignore
        given = Input(memory.SOURCE, self.options, bad, note, tell)
        return memory.documents_in(self.inputs, given)


def plan_any(inputs: Any, **options: Any) -> tuple[Corpus | InMemory, list[str]]:
    """A plan for whatever a caller holds, and the names of its inputs.

    Paths as `plan` takes them, an open file, or what is iterated over: strings, records, token ids,
    tables. A string is a path, and a list of strings holds paths if they exist.

    >>> corpus, names = plan_any(["to be", "or not"])
    >>> [document.content for document in corpus.documents()], names
    ([b'to be', b'or not'], ['memory'])
    """
    if (stream := memory.stream_of(inputs)) is not None:
        if stream.is_text:
            check_encoding(options.pop("encoding", None))
        corpus = plan([_STDIN], stdin=stream.handle, **options)
        return replace(corpus, stdin_name=stream.name), [stream.name]
    paths = memory.paths_in(inputs)
    if paths is not None:
        return plan(paths, **options), paths
    return InMemory(inputs, plan([_STDIN], **options).options), [memory.SOURCE]


def _check_choice(name: str, value: object, choices: Iterable[object]) -> None:
    if value not in choices:
        expected = ", ".join(map(repr, choices))
        raise InvalidParameter(f"{name} must be one of {expected}; got {value!r}")


def _ignore(_: object) -> None:
    pass


def _file(path: str, folder: str = "") -> File:
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    is_stream = not stat.S_ISREG(status.st_mode)
    return File(path, 0 if is_stream else status.st_size, is_stream, folder)


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unreadable(path, error) from error
