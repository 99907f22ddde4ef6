"""A part of a build: which files it has, how it is known again, which token ids have a code in it.

Machines that build parts share nothing but the list of files. So which files a part has follows
from that list alone, codes are given to token ids before any text is read, and the manifest of a
part holds no time: the same part has the same bytes wherever it is built.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks import whole
from ..errors import EmptyCorpus, InputError, InvalidParameter, StorageError
from ..text.corpus import Corpus
from ..text.tokens import Tokenizer
from .layout import Fields
from .segments import open_segments
from .storage import StoredIndex, checksum

_MOST_CODES = 1 << 22
_BYTES_BELOW = 255  # with a boundary, 256 codes, of 8 bits


@dataclass(frozen=True)
class Part:
    """One part of a build, as its manifest tells it."""

    number: int
    """From 1."""
    of: int
    n_files: int
    """Of the whole build, as the other three are."""
    n_bytes: int
    files: str
    """SHA-256 of the names and sizes of all files, in order."""
    settings: Mapping[str, Any]
    """What else decides the bytes of every part: tokenizer, layout, how files are read."""

    def fields(self) -> dict[str, object]:
        """As a JSON object."""
        return asdict(self)

    @property
    def build(self) -> str:
        """The same for all parts of one build, and for no other."""
        return checksum({**self.fields(), "number": 0})


def part_of(
    corpus: Corpus, number: int, of: int, settings: Mapping[str, object]
) -> tuple[Part, Corpus]:
    """Part `number` of `of`, and its files: a run of the list, about as many bytes as any other.

    `settings`: what decides the bytes of a part beside files and how they are read. O(files).

    Raises InvalidParameter unless there is such a part and a file for each; InputError for a
    stream, whose size nobody knows; EmptyCorpus if no file has a byte.
    """
    whole(1, of=of)
    whole(1, of, part=number)
    for file in corpus.files:
        if file.is_stream:
            raise InputError(
                f"{file.path}: this is a stream, and parts are cut by the sizes of files: save it "
                "to a file first"
            )
    if of > len(corpus.files):
        raise InvalidParameter(
            f"{of:,} parts of {len(corpus.files):,} files, expected a file or more for each: ask "
            "for fewer parts, or split the files (a document is never split)"
        )
    if not corpus.n_bytes:
        raise EmptyCorpus("every file is empty: there is no part of nothing")
    cuts = _cuts([file.n_bytes for file in corpus.files], of)
    sizes = hashlib.sha256()
    for file in corpus.files:
        sizes.update(f"{file.path}\0{file.n_bytes}\0".encode(errors="surrogateescape"))
    part = Part(
        number,
        of,
        len(corpus.files),
        corpus.n_bytes,
        sizes.hexdigest(),
        {**asdict(corpus.options), **settings},
    )
    folders = corpus.folders
    if number > 1:  # what was left out of folders is told once
        folders = {
            name: replace(found, n_ignored=0, n_excluded=0) for name, found in folders.items()
        }
    mine = corpus.files[cuts[number - 1] : cuts[number]]
    return part, replace(corpus, files=mine, folders=folders)


def _cuts(sizes: list[int], n: int) -> list[int]:
    """Where parts begin, and where the last one ends: near the n-th parts of all, none empty.

    >>> _cuts([5, 1, 1, 1], 2), _cuts([1, 1, 9], 3), _cuts([0, 0], 2)
    ([0, 1, 4], [0, 1, 2, 3], [0, 1, 2])
    """
    ends = list(accumulate(sizes))
    cuts = [0]
    for i in range(1, n):
        after = bisect_left(ends, -(-ends[-1] * i // n))
        # the end of the file in which the cut lies, or its beginning, whichever is nearer
        before = ends[after - 1] if after else 0
        cut = after + ((ends[after] + before) * n <= 2 * ends[-1] * i)
        cuts.append(min(max(cut, cuts[-1] + 1), len(sizes) - (n - i)))
    return [*cuts, len(sizes)]


def alphabet(tokenizer: Tokenizer) -> NDArray[np.uint32]:
    """The token ids that have a code in every part of a build, whether they occur in it or not.

    All that the tokenizer has; of bytes all but 0xff, which no text in UTF-8 has, so that codes
    have 8 bits. A part with that byte has one more code.

    Raises InvalidParameter for a vocabulary of millions, of which the tables would be too large.
    """
    if tokenizer.name == "bytes":
        return np.arange(_BYTES_BELOW, dtype=np.uint32)
    if tokenizer.vocab_size > _MOST_CODES:
        raise InvalidParameter(
            f"the tokenizer has {tokenizer.vocab_size:,} token ids, expected at most "
            f"{_MOST_CODES:,} for an index in parts, where each has a code: give the number of ids "
            "that there are (vocab_size=, --vocab-size)"
        )
    return np.arange(tokenizer.vocab_size, dtype=np.uint32)


def read_part(stored: StoredIndex) -> Part | None:
    """Which part of which build this is; None if it is none. Raises CorruptIndex."""
    fields = Fields(stored.manifest, stored.folder)
    if not fields.has("part"):
        return None
    found = Fields(fields.object("part"), stored.folder)
    of = found.integer("of", 1, 1 << 31)
    return Part(
        found.integer("number", 1, of),
        of,
        found.integer("n_files", 1, 1 << 62),
        found.integer("n_bytes", 0, 1 << 62),
        found.text("files"),
        found.object("settings"),
    )


def finished(path: Path, part: Part) -> StoredIndex | None:
    """The part as it stands at `path`; None if something else stands there, or nothing sound."""
    if not path.exists():
        return None
    try:
        opened = open_segments(path)
        stored = opened.segments[0].stored
        return stored if opened.is_one and read_part(stored) == part else None
    except StorageError:
        return None
