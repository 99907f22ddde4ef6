"""Records in text: JSON lines, JSON values, CSV and TSV. Holds one record in memory at a time."""

from __future__ import annotations

import codecs
import csv
import io
import json
import math
import re
from collections.abc import Iterator
from typing import Any

from ...errors import MalformedRecord
from .document import BadRecord, Document, Input
from .encodings import mark_of
from .fields import Field, Number, in_words, unique
from .plain import line_blocks, line_end

_BLANKS = " \t\r\n"
_SPACE = re.compile(rf"[{_BLANKS}\ufeff]*")  # a mark stands where two files were joined
_NOT_IN_LINES = "; --format json reads objects that do not stand one on a line"
_DELIMITERS = {"csv": ",;\t|", "tsv": "\t"}
_MAX_FIELD = 2**31 - 1  # characters of a CSV field; what a C long holds on Windows
_MAX_HEADER = 64  # lines
_TAIL = 32  # characters before the end of what was read in which a value may seem broken


def _finite(number: str) -> float | Number:
    return value if math.isfinite(value := float(number)) else Number(number)


def _integer(number: str) -> int | Number:
    try:
        return int(number)
    except ValueError:  # Python reads only so many digits
        return Number(number)


# NaN, Infinity and numbers beyond a float's range are kept as text: no JSON can hold them again
_JSON = json.JSONDecoder(parse_constant=Number, parse_float=_finite)
_JSON_OF_LONG_NUMBERS = json.JSONDecoder(
    parse_constant=Number, parse_float=_finite, parse_int=_integer
)


def _parsed(text: str, at: int) -> tuple[object, int]:
    """The value that begins there, and where it ends. Raises JSONDecodeError, BadRecord."""
    try:
        return _JSON.raw_decode(text, at)
    except json.JSONDecodeError:
        raise
    except RecursionError as error:
        raise BadRecord("not JSON that can be read: it is nested too deeply") from error
    except ValueError:
        return _JSON_OF_LONG_NUMBERS.raw_decode(text, at)


# ---- what a file of records looks like -----------------------------------------------------------


def holds_records(kind: str, head: bytes, text_field: str, encoding: str | None) -> bool:
    """Whether the first record of a `.json`, `.csv` or `.tsv` file has the text field."""
    text = _decoded(head, encoding)
    if kind != "json":
        return _delimiter(kind, _header(io.StringIO(text, newline="")), text_field) is not None
    record = _first_record(text)
    names = (text_field, Field(text_field).root)
    if isinstance(record, dict):
        return any(name in record for name in names)
    return any(json.dumps(name) in record for name in names)


def seem_records(head: bytes, text_field: str, encoding: str | None, *, is_stream: bool) -> bool:
    """Whether something that no name tells of begins with a JSON object that has the text field.

    Of an object that is longer than what was looked at, a file must begin with that field: many
    kinds of files begin with a brace, and few are piped.

    >>> seem_records(b'[{"text": "a"}]', "text", None, is_stream=False)
    True
    """
    record = _first_record(_decoded(head, encoding))
    if isinstance(record, dict) or is_stream:
        return holds_records("json", head, text_field, encoding)
    begins = "|".join(re.escape(json.dumps(n)) for n in (text_field, Field(text_field).root))
    return re.match(rf"\{{\s*({begins})\s*:", record) is not None


def _decoded(head: bytes, encoding: str | None) -> str:
    name, n_mark = mark_of(head)
    try:
        return head[n_mark:].decode(name or encoding or "utf-8", "replace")
    except UnicodeError:  # some encodings replace nothing
        return ""


def _first_record(text: str) -> dict[str, Any] | str:
    """The first object of an array, or of several objects; if it is not all there, its text."""
    match = re.match(r"[\s\[\ufeff]*", text)
    at = match.end() if match else 0
    if text[at : at + 1] != "{":
        return ""
    try:
        record, _ = _parsed(text, at)
    except (ValueError, BadRecord):
        return text[at:]
    return record if isinstance(record, dict) else ""


def are_lines(head: bytes) -> bool:
    """Whether JSON stands in lines, an object each, and not in one array or over several lines.

    >>> are_lines(b'{"text": "a"}\\n{}'), are_lines(b'[{"text": "a"}]')
    (True, False)
    """
    first, end, _ = head.lstrip().partition(b"\n")
    if not first.startswith(b"{"):
        return False
    try:
        line = first.decode("utf-8", "ignore" if not end else "strict")
        _, behind = _parsed(line, 0)
    except (ValueError, BadRecord):
        return not end  # a line longer than what was looked at
    return not line[behind:].strip()


# ---- JSON ----------------------------------------------------------------------------------------


def json_lines(file: Input, chunks: Iterator[bytes]) -> Iterator[Document]:
    """A document a line: a JSON object with the text, or token ids, in the text field."""
    field = Field(file.options.text_field)
    end, chunks = line_end(chunks)
    for first, block in line_blocks(chunks, end):
        for number, line in enumerate(block.split(end), first):
            line = line.removeprefix(codecs.BOM_UTF8)  # as where two files were joined
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
        text = line.decode("utf-8").strip(_BLANKS)
        value, end = _parsed(text, 0)
    except UnicodeDecodeError as error:
        raise BadRecord(
            f"not UTF-8 at byte {error.start} of the line; name its encoding (--encoding latin-1, "
            "encoding='latin-1')"
        ) from error
    except json.JSONDecodeError as error:
        hint = _NOT_IN_LINES if text[0] in "{[" and error.pos >= len(text) - 1 else ""
        raise BadRecord(f"not JSON at character {error.pos + 1}: {error.msg}{hint}") from error
    if end < len(text):
        raise BadRecord(
            f"more than a JSON object, from character {end + 1} on: {text[end : end + 20]!r}"
            + _NOT_IN_LINES
        )
    return value


def _document(file: Input, line: int, record: object, field: Field) -> Document:
    if not isinstance(record, dict):
        hint = "; --format json reads the objects of an array" if isinstance(record, list) else ""
        raise BadRecord(f"expected a JSON object, found {in_words(record)}{hint}")
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
                value, end = _parsed(self._text, self._at)
            except json.JSONDecodeError as error:
                is_open = error.msg.startswith("Unterminated") or (
                    error.pos > len(self._text) - _TAIL
                )
                # as much again, so that a long value is not begun too often
                if not (is_open and self._read(len(self._text) - self._at)):
                    raise self._broken(f"not JSON: {error.msg}") from error
            except BadRecord as error:
                raise self._broken(str(error)) from error
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
    first = _header(lines)
    delimiter = _delimiter(kind, first, file.options.text_field)
    if delimiter is None:
        names = ", ".join(map(repr, _columns(first, _DELIMITERS[kind][0])))
        raise MalformedRecord(
            f"{file.path}: no column {file.options.text_field!r} in its first line, only "
            f"{names or 'none'}; name the column (--text-field), or read the file as it is "
            "(--format text)"
        )
    header = _columns(first, delimiter)
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
            file.bad(f"{file.path}:{line}: not sound CSV: {_csv_in_words(str(error))}")
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
        end, chunks = line_end(chunks)
        for first, block in line_blocks(chunks, end):
            try:
                lines = block.decode("utf-8").split(end.decode())
            except UnicodeDecodeError as error:
                line = first + block.count(end, 0, error.start)
                raise MalformedRecord(
                    f"{path}:{line}: not UTF-8 (byte 0x{block[error.start]:02x}); name its "
                    "encoding (--encoding latin-1, encoding='latin-1')"
                ) from error
            yield from (line + end.decode() for line in lines[:-1])


def _delimiter(kind: str, first: str, text_field: str) -> str | None:
    """What separates the columns, if one of them has the name that is looked for."""
    delimiters = _DELIMITERS[kind]
    return next((each for each in delimiters if text_field in _columns(first, each)), None)


def _header(lines: Iterator[str]) -> str:
    """The first record that is not blank: more than a line where a name is quoted and holds one."""
    header = next((line for line in lines if line.strip()), "")
    for _ in range(_MAX_HEADER):
        if header.count('"') % 2 == 0 or not (more := next(lines, "")):
            break
        header += more
    return header


def _columns(header: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([header], delimiter=delimiter), [])
    except csv.Error:
        return []


def _csv_in_words(error: str) -> str:
    """What Python's csv says, for those who do not program in it."""
    if "end of data" in error:
        return "a quote that opens here is never closed"
    if "new-line" in error:
        return "a carriage return outside quotes"
    if "expected after" in error:
        return "text behind a closing quote; a quote inside quotes is written twice"
    return error
