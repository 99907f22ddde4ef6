"""Records in text: JSON lines, JSON values, CSV and TSV. Holds one record in memory at a time."""

from __future__ import annotations

import codecs
import csv
import json
import math
import re
from collections.abc import Iterator
from typing import Any

from ...errors import MalformedRecord
from .document import BadRecord, Document, Input
from .encodings import mark_of
from .fields import Field, unique
from .plain import line_blocks

_SPACE = re.compile(r"[ \t\r\n]*")
_DELIMITERS = {"csv": ",;\t|", "tsv": "\t"}
_MAX_FIELD = 2**31 - 1  # characters of a CSV field; what a C long holds on Windows
_TAIL = 32  # characters before the end of what was read in which a value may seem broken


def _finite(number: str) -> float | str:
    return value if math.isfinite(value := float(number)) else number


# NaN, Infinity and numbers beyond a float's range are kept as text: no JSON can hold them again
_JSON = json.JSONDecoder(parse_constant=str, parse_float=_finite)


# ---- what a file of records looks like -----------------------------------------------------------


def holds_records(kind: str, head: bytes, text_field: str) -> bool:
    """Whether the first record of a `.json`, `.csv` or `.tsv` file has the text field."""
    name, n_mark = mark_of(head)
    text = head[n_mark:].decode(name or "utf-8", "replace")
    if kind != "json":
        return _delimiter(kind, text.partition("\n")[0], text_field) is not None
    field = Field(text_field)
    match = re.match(r"[\s\[]*", text)
    at = match.end() if match else 0
    if text[at : at + 1] != "{":
        return False
    try:
        record, _ = _JSON.raw_decode(text, at)
    except (ValueError, RecursionError):  # longer than what was looked at
        return json.dumps(field.root) in text or json.dumps(text_field) in text
    return text_field in record or field.root in record


def are_lines(head: bytes) -> bool:
    """Whether JSON stands in lines, an object each, and not in one array or over several lines.

    >>> are_lines(b'{"text": "a"}\\n{}'), are_lines(b'[{"text": "a"}]')
    (True, False)
    """
    first = head.lstrip().partition(b"\n")
    if not first[0].startswith(b"{"):
        return False
    try:
        _JSON.decode(first[0].decode("utf-8"))
    except (ValueError, RecursionError):
        return not first[1]  # a line longer than what was looked at
    return True


def seem_json_lines(head: bytes, text_field: str) -> bool:
    """Whether something that has no name begins with a JSON object that has the text field."""
    first = head.lstrip().partition(b"\n")[0]
    return first.startswith(b"{") and are_lines(head) and holds_records("json", first, text_field)


# ---- JSON ----------------------------------------------------------------------------------------


def json_lines(file: Input, chunks: Iterator[bytes]) -> Iterator[Document]:
    """A document a line: a JSON object with the text, or token ids, in the text field."""
    field = Field(file.options.text_field)
    for first, block in line_blocks(chunks):
        for number, line in enumerate(block.split(b"\n"), first):
            if not line or line.isspace():
                continue
            try:
                document = _document(file, number, _object(line), field)
            except BadRecord as error:
                file.bad(f"{file.path}:{number}: {error}")
            else:
                yield document


def _object(line: bytes) -> object:
    try:
        return _JSON.decode(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadRecord(f"not UTF-8 at byte {error.start} of the line") from error
    except (ValueError, RecursionError) as error:
        raise BadRecord(f"not JSON: {error}") from error


def _document(file: Input, line: int, record: object, field: Field) -> Document:
    if not isinstance(record, dict):
        raise BadRecord(f"expected a JSON object, found {type(record).__name__}")
    return Document(field.take(record), file.path, line, record)


def json_values(file: Input, chunks: Iterator[bytes]) -> Iterator[Document]:
    """A document an object: of one array, or one object after another, over any lines."""
    field = Field(file.options.text_field)
    for line, value in _Values(file.path, chunks):
        try:
            document = _document(file, line, value, field)
        except BadRecord as error:
            file.bad(f"{file.path}:{line}: {error}")
        else:
            yield document


class _Values:
    """The values of an array, or those that follow one another, with the lines they begin at."""

    def __init__(self, path: str, chunks: Iterator[bytes]) -> None:
        self._path = path
        self._chunks = chunks
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._at = 0
        self._line = 1

    def __iter__(self) -> Iterator[tuple[int, object]]:
        if not self._skip_space():
            return
        is_array = self._text[self._at] == "["
        if is_array:
            self._move(self._at + 1)
        while self._skip_space():
            if is_array and self._text[self._at] == "]":
                self._move(self._at + 1)
                if self._skip_space():
                    raise self._broken("something follows the array")
                return
            yield self._line, self._value()
            more = self._skip_space()
            if is_array and more and self._text[self._at] == ",":
                self._move(self._at + 1)
            elif is_array and not (more and self._text[self._at] == "]"):
                raise self._broken("expected ',' or ']' between values")
        if is_array:
            raise self._broken("the array ends too early")

    def _value(self) -> object:
        while True:
            try:
                value, end = _JSON.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                is_open = error.msg.startswith("Unterminated") or (
                    error.pos > len(self._text) - _TAIL
                )
                # as much again, so that a long value is not begun too often
                if not (is_open and self._read(len(self._text) - self._at)):
                    raise self._broken(f"not JSON: {error.msg}") from error
            except (ValueError, RecursionError) as error:
                raise self._broken(f"not JSON: {error}") from error
            else:
                self._move(end)
                return value

    def _skip_space(self) -> bool:
        """Moves to what is no space; whether there is anything."""
        while True:
            match = _SPACE.match(self._text, self._at)
            assert match
            self._move(match.end())
            if self._at < len(self._text):
                return True
            if not self._read(1):
                return False

    def _move(self, to: int) -> None:
        self._line += self._text.count("\n", self._at, to)
        self._at = to

    def _read(self, n: int) -> bool:
        """Reads at least `n` more characters, or what there is; whether there was any."""
        pieces = [self._text[self._at :]]
        found = 0
        try:
            for chunk in self._chunks:
                pieces.append(self._decoder.decode(chunk))
                found += len(pieces[-1])
                if found >= n:
                    break
            else:
                self._decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            raise self._broken(f"not UTF-8 (byte 0x{error.object[error.start]:02x})") from error
        self._text, self._at = "".join(pieces), 0
        return found > 0

    def _broken(self, what: str) -> MalformedRecord:
        return MalformedRecord(f"{self._path}:{self._line}: {what}")


# ---- CSV -----------------------------------------------------------------------------------------


def csv_rows(file: Input, chunks: Iterator[bytes], kind: str) -> Iterator[Document]:
    """A document a row; the first one names the columns, of which one is the text field.

    A quoted field may hold line ends. The other columns are metadata.
    """
    csv.field_size_limit(_MAX_FIELD)
    lines = _Lines(file.path, chunks)
    first = next(lines, "")
    delimiter = _delimiter(kind, first, file.options.text_field)
    if delimiter is None:
        names = ", ".join(map(repr, next(csv.reader([first], delimiter=_DELIMITERS[kind][0]), [])))
        raise MalformedRecord(
            f"{file.path}: no column {file.options.text_field!r} in its first line, only "
            f"{names or 'none'}; name the column (--text-field), or read the file as it is "
            "(--format text)"
        )
    header = next(csv.reader([first], delimiter=delimiter))
    if header.count(file.options.text_field) > 1:
        raise MalformedRecord(
            f"{file.path}: {header.count(file.options.text_field)} columns are called "
            f"{file.options.text_field!r}; give the one with the text a name of its own"
        )
    at = header.index(file.options.text_field)
    names_of_columns = unique(header)
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        line = lines.n + 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            file.bad(f"{file.path}:{line}: not sound CSV: {error}")
            continue
        if not row:
            continue
        if len(row) != len(header):
            file.bad(
                f"{file.path}:{line}: {len(row)} columns, expected {len(header)} as in the first "
                "line"
            )
            continue
        fields: dict[str, Any] = dict(zip(names_of_columns, row, strict=True))
        del fields[names_of_columns[at]]
        yield Document(row[at].encode("utf-8"), file.path, line, fields)


class _Lines:
    """Lines as csv takes them, with their ends, and how many there were."""

    def __init__(self, path: str, chunks: Iterator[bytes]) -> None:
        self.n = 0
        self._lines = self._all(path, chunks)

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.n += 1
        return line

    def _all(self, path: str, chunks: Iterator[bytes]) -> Iterator[str]:
        for first, block in line_blocks(chunks):
            try:
                lines = block.decode("utf-8").split("\n")
            except UnicodeDecodeError as error:
                line = first + block.count(b"\n", 0, error.start)
                raise MalformedRecord(
                    f"{path}:{line}: not UTF-8 (byte 0x{block[error.start]:02x}); name its "
                    "encoding (--encoding latin-1, encoding='latin-1')"
                ) from error
            yield from (f"{line}\n" for line in lines[:-1])


def _delimiter(kind: str, first: str, text_field: str) -> str | None:
    """What separates the columns, if one of them has the name that is looked for."""
    for delimiter in _DELIMITERS[kind]:
        try:
            if text_field in next(csv.reader([first], delimiter=delimiter), []):
                return delimiter
        except csv.Error:
            continue
    return None
