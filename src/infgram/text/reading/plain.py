"""Plain text: a document is the file, a line or a paragraph of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from .compression import HEAD, joined, peek
from .document import Document, Input


def text(file: Input, chunks: Iterator[bytes]) -> Iterator[Document]:
    """The documents of a text in UTF-8, or in whatever bytes it was left."""
    path, split = file.path, file.options.documents
    if split == "file":
        yield Document(joined(chunks), path, 0, {}, True)
    elif split == "line":
        end, chunks = line_end(chunks)
        for first, block in line_blocks(chunks, end):
            lines = block.replace(b"\r\n", b"\n").split(end)
            for number, line in enumerate(lines, first):
                if line:
                    yield Document(line, path, number, {}, True)
    else:
        for first, paragraph in _paragraphs(chunks):
            yield Document(paragraph, path, first, {}, True)


def line_end(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """What ends the lines of a text: \\n, or \\r alone where its beginning has no other, as the
    first Macintosh had it. And the text as if nobody had looked.

    >>> line_end(iter([b"a\\rb\\r"]))[0], line_end(iter([b"a\\r\\nb"]))[0]
    (b'\\r', b'\\n')
    """
    head, chunks = peek(chunks)
    if len(head) == HEAD:  # a \n may come next
        head = head[:-1]
    return (b"\r" if b"\r" in head and b"\n" not in head else b"\n"), chunks


def line_blocks(chunks: Iterable[bytes], end: bytes = b"\n") -> Iterator[tuple[int, bytes]]:
    """Cut `chunks` at line ends: (number of the first line, whole lines with their endings).

    The end of the file ends a line too: the last block has its `end` though the file may not.
    Holds a chunk and the longest line.

    >>> list(line_blocks([b"a\\nb", b"c\\nd"]))
    [(1, b'a\\n'), (2, b'bc\\n'), (3, b'd\\n')]
    """
    first = 1
    begun: list[bytes] = []  # of a line whose end has not come yet
    for chunk in chunks:
        n_whole = chunk.rfind(end) + 1
        if n_whole:
            block = b"".join((*begun, chunk[:n_whole]))
            yield first, block
            first += block.count(end)
            begun.clear()
        begun.append(chunk[n_whole:])
    if last := b"".join(begun):
        yield first, last + end


def _paragraphs(chunks: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
    """(number of the first line, text) of each run of lines that are not blank."""
    first, lines = 0, list[bytes]()
    end, chunks = line_end(chunks)
    for first_of_block, block in chain(line_blocks(chunks, end), ((0, end),)):
        # a block ends a line, after which split sees an empty one that is not there
        for number, line in enumerate(block.split(end)[:-1], first_of_block):
            if line and not line.isspace():
                if not lines:
                    first = number
                lines.append(line)
            elif lines:
                yield first, end.join(lines).removesuffix(b"\r")
                lines.clear()
