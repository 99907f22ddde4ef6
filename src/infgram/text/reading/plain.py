"""Plain text: a document is the file, a line or a paragraph of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from .compression import joined
from .document import Document, Input


def text(file: Input, chunks: Iterator[bytes]) -> Iterator[Document]:
    """The documents of a text in UTF-8, or in whatever bytes it was left."""
    path, split = file.path, file.options.documents
    if split == "file":
        yield Document(joined(chunks), path, 0, {}, True)
    elif split == "line":
        for first, block in line_blocks(chunks):
            lines = block.replace(b"\r\n", b"\n").split(b"\n")
            for number, line in enumerate(lines, first):
                if line:
                    yield Document(line, path, number, {}, True)
    else:
        for first, paragraph in _paragraphs(chunks):
            yield Document(paragraph, path, first, {}, True)


def line_blocks(chunks: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Cut `chunks` at line ends: (number of the first line, whole lines with their endings).

    The end of the file ends a line too: the last block ends in \\n though the file may not.
    Holds a chunk and the longest line.

    >>> list(line_blocks([b"a\\nb", b"c\\nd"]))
    [(1, b'a\\n'), (2, b'bc\\n'), (3, b'd\\n')]
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
    for first_of_block, block in chain(line_blocks(chunks), ((0, b"\n"),)):
        # a block ends in \n, after which split sees one empty line that is not there
        for number, line in enumerate(block.split(b"\n")[:-1], first_of_block):
            if line and not line.isspace():
                if not lines:
                    first = number
                lines.append(line)
            elif lines:
                yield first, b"\n".join(lines).removesuffix(b"\r")
                lines.clear()
