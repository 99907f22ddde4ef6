"""Text in any encoding as UTF-8: byte order marks, names of encodings, what is not UTF-8."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from dataclasses import replace

from ...errors import CorpusWarning, InvalidParameter, MalformedRecord, NotUnicode
from .document import BadRecord, Input

_BOMS = (  # the longer first: one of UTF-32 begins as one of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_STEP = 1 << 20  # bytes decoded at once


def check_encoding(name: str | None) -> None:
    """Raises InvalidParameter for a name that Python has no encoding of text for."""
    try:
        if name is not None:
            "".encode(name)
            codecs.getincrementaldecoder(name)()
    except (LookupError, TypeError, ValueError) as error:
        raise InvalidParameter(
            f"encoding is {name!r}, expected one that Python knows, such as 'utf-8', 'latin-1', "
            "'cp1252', 'utf-16' or 'shift_jis'"
        ) from error


def mark_of(head: bytes) -> tuple[str, int]:
    """The encoding that a byte order mark tells, and the mark's length; ("", 0) without one.

    >>> mark_of(b"\\xff\\xfea\\0"), mark_of(b"a")
    (('utf-16-le', 2), ('', 0))
    """
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name, len(mark)
    return "", 0


def to_utf8(file: Input, head: bytes, chunks: Iterator[bytes], *, told: bool) -> Iterator[bytes]:
    """`chunks` as UTF-8 without a byte order mark, which decides over the encoding asked for.

    Where neither says anything the bytes stay as they are, and if `told`, bytes that are not UTF-8
    are noted once. Raises MalformedRecord for bytes that are not of the encoding.
    """
    marked, n_mark = mark_of(head)
    encoding = marked or file.options.encoding
    chunks = _without(chunks, n_mark)
    if encoding in (None, "utf-8"):
        if encoding and not marked:
            return _checked(chunks, lambda at, byte: _refuse(file.path, "utf-8", at, byte))
        return _checked(chunks, lambda at, byte: _note(file, at, byte)) if told else chunks
    assert encoding is not None
    return _decoded(file.path, encoding, chunks)


def held_as_utf8(file: Input, content: bytes) -> bytes:
    """Bytes that a caller or a binary column holds, as UTF-8 if their encoding was named.

    Otherwise they stay as they are, and what is not UTF-8 is noted. Raises BadRecord.
    """
    encoding = file.options.encoding
    if file.options.format == "bytes" or (encoding is None and content.isascii()):
        return content
    try:
        text = content.decode(encoding or "utf-8")
    except UnicodeError as error:
        at = getattr(error, "start", 0)
        if encoding is not None:
            raise BadRecord(f"not {encoding} near byte {at:,}; name its encoding") from error
        _note(file, at, content[at])
        return content
    return text.encode() if encoding is not None else content


def noted_once(file: Input) -> Input:
    """The same file, of which it is said only once that some of it is not UTF-8."""
    said: list[CorpusWarning] = []

    def note(warning: CorpusWarning) -> None:
        if isinstance(warning, NotUnicode):
            if said:
                return
            said.append(warning)
        file.note(warning)

    return replace(file, note=note)


def _without(chunks: Iterator[bytes], n: int) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk[n:] if n else chunk
        n -= min(n, len(chunk))


def _decoded(path: str, encoding: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    done = 0
    first = True
    try:
        for chunk in chunks:
            text = decoder.decode(chunk)
            if first and text:
                text = text.removeprefix("\ufeff")
                first = False
            yield text.encode()
            done += len(chunk)
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        raise MalformedRecord(
            f"{path}: not {encoding} near byte {done + getattr(error, 'start', 0):,} "
            f"({getattr(error, 'reason', error)}): expected text in it; name its encoding "
            "(--encoding, encoding=)"
        ) from error


def _checked(chunks: Iterator[bytes], tell: Callable[[int, int], None]) -> Iterator[bytes]:
    """The same chunks; `tell` is told once of the first byte that is not UTF-8, and where."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    pending = done = 0
    is_sound = True
    for chunk in chunks:
        if is_sound and (pending or not chunk.isascii()):
            view = memoryview(chunk)
            try:
                for at in range(0, len(chunk), _STEP):
                    decoder.decode(view[at : at + _STEP])
                    pending = len(decoder.getstate()[0])
            except UnicodeDecodeError as error:
                is_sound = False
                tell(done + at - pending + error.start, error.object[error.start])
        done += len(chunk)
        yield chunk
    if is_sound and pending:
        tell(done - pending, decoder.getstate()[0][0])


def _note(file: Input, at: int, byte: int) -> None:
    file.note(
        NotUnicode(
            f"{file.path}: not UTF-8 (byte 0x{byte:02x} at offset {at:,}): its bytes are kept, and "
            "what you type may not match them; name its encoding (--encoding latin-1, "
            "encoding='latin-1')"
        )
    )


def _refuse(path: str, encoding: str, at: int, byte: int) -> None:
    raise MalformedRecord(
        f"{path}: not {encoding} (byte 0x{byte:02x} at offset {at:,}): expected text in it; name "
        "its encoding (--encoding, encoding=)"
    )
