"""What stands in a corpus more than once, and the corpus without it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from .. import native
from ..checks import instance, whole
from ..create import build
from ..errors import CorruptIndex, InvalidParameter, UndecodableText
from ..index import Index, check_index
from ..store.directory import replacing
from ..store.storage import Progress
from ..text.pieces import REACH
from ..values.value import Value

_Spans = NDArray[np.int64]  # (n, 2): tokens [begin, end) of a document
_LONGEST_IN_BYTES = 7  # so many bytes hold a whole character, whatever stands around it
_COMPRESSED = {".gz", ".bz2", ".xz", ".zst"}
_NONE = (-1, (0, 0))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Repeat(Value):
    """Tokens [begin, end) of a document, each in a run that stands elsewhere before.

    `first_document`, `first_begin`: where the run that they begin with stands first.
    """

    document: int
    begin: int
    end: int
    text: str
    first_document: int
    first_begin: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Deduplicated(Value):
    """What `dedup` has left out.

    - `n_documents`, `n_tokens`: of the corpus as it was.
    - `n_spans`, `n_removed`: spans that were cut, and their tokens.
    - `n_emptied`: documents of which nothing is left, or was; they are not written.
    - `n_passes`: how often the corpus was searched. A cut joins what stood before and behind it,
      and may so make a new repeat.
    - `n_left`: repeats that could not be cut without breaking a character.
    """

    n_documents: int
    n_tokens: int
    n_spans: int
    n_removed: int
    n_emptied: int
    n_passes: int
    n_left: int


def repeats(
    index: Index, min_length: int = 50, *, against: Index | None = None
) -> Iterator[Repeat]:
    """The parts of a corpus that repeat `min_length` tokens or more of what stands before them.

    In the order of the corpus, as large as they are: parts that touch are one. The first occurrence
    of a run is no repeat. With `against`, parts that stand in that other index, all of them.

    Exact. O(n_rows), three bits of memory a row. Of an index in several shards, each is read beside
    all before it, as `against` is: about a microsecond a token and shard.

    Raises InvalidParameter.

    >>> import infgram
    >>> index = infgram.build(["to be or not to be", "or not to see"])
    >>> [(each.document, each.text, each.first_begin) for each in infgram.repeats(index, 5)]
    [(0, 'to be', 0), (1, 'or not to ', 6)]
    """
    _check(index, min_length, against)
    return _found(index, min_length, against)


def _found(index: Index, length: int, against: Index | None) -> Iterator[Repeat]:
    of = against or index
    first: dict[tuple[int, int], tuple[int, int]] = {}  # by the rows of a run
    for number, spans in _spans(index, length, against):
        ids = index.document(number).token_ids
        for begin, end in spans.tolist():
            run = ids[begin : begin + length].astype(np.uint32)
            ranges = of.native.find(run)
            s, rows = next((each for each in enumerate(ranges) if each[1][0] < each[1][1]), _NONE)
            if s < 0:
                raise CorruptIndex(f"{of.path}: a run that repeats is not found; build it again")
            if (s, rows[0]) not in first:
                positions = of.native.positions(s, np.arange(*rows, dtype=np.uint32))
                position = np.array([positions.min()]) - length
                (offset,) = of.source_offsets(np.array([s]), position.astype(np.uint32))
                first[s, rows[0]] = of.locate(int(offset))
            text = index.decode(ids[begin:end], after=ids[max(0, begin - REACH) : begin])
            yield Repeat(number, begin, end, text, *first[s, rows[0]])


def dedup(
    index: Index,
    output: str | os.PathLike[str],
    min_length: int = 50,
    *,
    against: Index | None = None,
    text_field: str = "text",
    progress: Progress | None = None,
) -> Deduplicated:
    """Writes the documents of an index without what `repeats` finds in them.

    What is written has no run of `min_length` tokens twice, nor, with `against`, one that stands
    there: cuts are made until none is found. Of a run that stood several times, the first is kept,
    unless an earlier cut has taken part of it. Characters stay whole.

    `output`: JSON lines, an object a document with its text in `text_field` and with its metadata;
    or, if the name ends in .npy, the token ids of all documents with the index's end of text
    between them (`infgram build --separator`). It appears when it is whole.

    For tokens that are neither bytes nor characters, what is written has no repeat in these tokens;
    encoded anew it may be cut into others. Each pass after the first builds an index of what is
    left, in the folder for temporary files.

    Deterministic. Raises InvalidParameter, UndecodableText for bytes that JSON cannot hold.

    >>> import infgram
    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp(), "kept.jsonl")
    >>> index = infgram.build(["to be or not to be", "or not to see"])
    >>> infgram.dedup(index, path, 7).n_removed
    10
    >>> print(path.read_text(), end="")
    {"text": "to be or not to be"}
    {"text": "see"}
    """
    _check(index, min_length, against)
    instance(str, "the name of a field", text_field=text_field)
    path = Path(output)
    kind = path.suffix.lower()
    if kind in _COMPRESSED:
        raise InvalidParameter(
            f"{path} would be compressed, and what is written is not: give a name without {kind}"
        )
    if index.tokenizer.name == "bytes" and min_length < _LONGEST_IN_BYTES:
        raise InvalidParameter(
            f"min_length is {min_length}, expected at least {_LONGEST_IN_BYTES}: fewer bytes may "
            "all be of characters that are no part of the repeat"
        )
    if index.tokenizer.name == "ids" and kind != ".npy":
        raise InvalidParameter(
            f"{path} is to be JSON lines, and this index has only token ids: give a name in .npy"
        )
    with tempfile.TemporaryDirectory(prefix="infgram-dedup-") as folder:
        left = _Left(index, index, list(range(index.n_documents)))
        n_passes = n_spans = 0
        while True:
            n_passes += 1
            if progress:
                progress(f"pass {n_passes}", 0, 0)
            cuts, n_left = left.cuts(min_length, against)
            if against is not None and not cuts:  # what is left of the corpus may repeat itself
                cuts, n_left = left.cuts(min_length, None, n_left)
            if not cuts:
                break
            n_spans += sum(map(len, cuts.values()))
            left = left.without(cuts, Path(folder, str(n_passes)), progress)
        with replacing(path) as file:
            n_written = (
                left.write_ids(file) if kind == ".npy" else left.write_lines(file, text_field)
            )
    return Deduplicated(
        n_documents=index.n_documents,
        n_tokens=index.n_tokens,
        n_spans=n_spans,
        n_removed=index.n_tokens - left.n_tokens,
        n_emptied=index.n_documents - n_written,
        n_passes=n_passes,
        n_left=n_left,
    )


def _check(index: Index, min_length: int, against: Index | None) -> None:
    check_index(index=index)
    whole(1, 2**32 - 1, min_length=min_length)
    index.need_one_piece("repeats, which is also in dedup,")
    if against is None:
        index.need_fast_layout("repeats, which is also in dedup,")
        return
    check_index(against=against)
    against.need_one_piece("repeats, which is also in dedup,")
    if against.tokenizer.spec() != index.tokenizer.spec():
        raise InvalidParameter(
            f"against has tokens of {against.tokenizer.name!r} and the index of "
            f"{index.tokenizer.name!r}: build both with one tokenizer"
        )


def _spans(index: Index, length: int, against: Index | None) -> Iterator[tuple[int, _Spans]]:
    """Of each document that has some, the spans to be cut: rising, apart from each other."""
    if against is not None:
        for number in range(index.n_documents):
            ids = index.document(number).token_ids
            lengths = against.match_lengths(ids, window=length)
            if len(spans := _joined(np.flatnonzero(lengths >= length) + 1, length)):
                yield number, spans
        return
    first = 0
    for s, layout in enumerate(index.stored.layout.shards):
        found = native.repeats(index.native, s, length).reshape(-1, 2).astype(np.int64)
        boundaries = index.stored.column(f"{layout.name}/documents")
        documents = np.searchsorted(boundaries, found[:, 0], side="right") - 1
        found -= boundaries[documents].astype(np.int64)[:, None] + 1
        starts = np.flatnonzero(np.diff(documents, prepend=-1))
        for begin, spans in zip(starts.tolist(), np.split(found, starts[1:]), strict=False):
            yield first + int(documents[begin]), spans
        first += layout.n_documents


def _joined(ends: NDArray[np.int64], length: int) -> _Spans:
    """The spans that windows with these ends cover."""
    is_first = np.diff(ends, prepend=-length - 1) > length
    begins = ends[is_first] - length
    return np.stack([begins, ends[np.append(is_first[1:], True)[: len(ends)]]], axis=1)


def _json(record: dict[str, Any]) -> bytes:
    try:
        return json.dumps(record, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair: JSON has an escape for it
        return json.dumps(record).encode("ascii")


class _Left:
    """What is left of a corpus after some cuts: an index of it, and which documents these are."""

    def __init__(self, original: Index, index: Index | None, numbers: list[int]) -> None:
        self._original = original
        self._index = index  # None: nothing is left
        self.numbers = numbers

    @property
    def n_tokens(self) -> int:
        return self._index.n_tokens if self._index else 0

    def documents(self) -> Iterator[tuple[int, NDArray[np.uint32]]]:
        """Its documents that are not empty, by their places in `numbers`."""
        if self._index is None:
            return
        for i in range(self._index.n_documents):
            ids = self._index.document(i).token_ids
            if len(ids):
                yield i, ids

    def cuts(
        self, length: int, against: Index | None, n_left: int = 0
    ) -> tuple[dict[int, _Spans], int]:
        """What is to be cut next, by document; and how many spans cannot be, with those before."""
        found: dict[int, _Spans] = {}
        if self._index is None:
            return found, n_left
        for number, spans in _spans(self._index, length, against):
            ids = self._index.document(number).token_ids
            kept = np.array([self._inside(ids, *span) for span in spans.tolist()])
            is_cut = kept[:, 0] < kept[:, 1]
            n_left += int(np.count_nonzero(~is_cut))
            if is_cut.any():
                found[number] = kept[is_cut]
        return found, n_left

    def _inside(self, ids: NDArray[np.uint32], begin: int, end: int) -> tuple[int, int]:
        """The span without the parts of characters at its ends."""
        while begin < end and not self._is_between(ids, begin):
            begin += 1
        while begin < end and not self._is_between(ids, end):
            end -= 1
        return begin, end

    def _is_between(self, ids: NDArray[np.uint32], place: int) -> bool:
        """Whether a place lies between characters."""
        name = self._original.tokenizer.name
        if name in ("chars", "ids") or not 0 < place < len(ids):
            return True
        if name == "bytes":
            own = bytes(ids[max(0, place - 3) : place].tolist())
            return not _is_within(own, int(ids[place]))
        before, behind = ids[max(0, place - REACH) : place], ids[place : place + REACH]
        decode = self._original.decode
        return decode(before) + decode(behind, after=before) == decode(
            np.concatenate([before, behind])
        )

    def without(self, cuts: dict[int, _Spans], path: Path, progress: Progress | None) -> _Left:
        """The rest, as an index of its own."""
        numbers = []

        def kept() -> Iterator[NDArray[np.uint32]]:
            for i, ids in self.documents():
                is_kept = np.ones(len(ids), bool)
                for begin, end in cuts.get(i, ()):
                    is_kept[begin:end] = False
                if is_kept.any():
                    numbers.append(self.numbers[i])
                    yield ids[is_kept]

        rest = kept()
        some = next(rest, None)
        if some is None:
            return _Left(self._original, None, [])

        index = build(
            chain([some], rest),
            path,
            tokenizer="ids",
            vocab_size=self._original.tokenizer.vocab_size,
            progress=progress,
        )
        return _Left(self._original, index, numbers)

    def write_lines(self, file: IO[bytes], text_field: str) -> int:
        """Writes the documents; returns how many."""
        n = 0
        for i, ids in self.documents():
            n += 1
            number = self.numbers[i]
            document = self._original.document(number)
            if text_field in document.metadata:
                raise InvalidParameter(
                    f"text_field is {text_field!r}, and document {number} of {document.source} has "
                    "metadata of that name: give another name"
                )
            text = self._original.decode(ids)
            if not np.array_equal(ids, document.token_ids) or "\ufffd" in text:
                self._check_text(number, ids, document.source)
            record: dict[str, Any] = {text_field: text, **document.metadata}
            file.write(_json(record) + b"\n")
        return n

    def _check_text(self, number: int, ids: NDArray[np.uint32], source: str) -> None:
        raw = self._original.tokenizer.decode(ids)
        try:
            if isinstance(raw, bytes):
                raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UndecodableText(
                f"document {number} of {source} is not UTF-8 ({error.reason}), which JSON lines "
                "cannot hold: write token ids, to a name in .npy"
            ) from error

    def write_ids(self, file: IO[bytes]) -> int:
        """The same as an array."""
        n_documents = sum(1 for _ in self.documents())
        shape = (self.n_tokens + max(0, n_documents - 1),)
        header = {"descr": "<u4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        separator = np.array([self._original.end_of_text], "<u4").tobytes()
        for n, (_, ids) in enumerate(self.documents()):
            file.write((separator if n else b"") + ids.astype("<u4").tobytes())
        return n_documents


def _is_within(before: bytes, byte: int) -> bool:
    """Whether a byte goes on with a character that has begun before it."""
    if byte & 0xC0 != 0x80:
        return False
    for n, lead in enumerate(reversed(before), 1):
        if lead & 0xC0 != 0x80:
            return n < (lead >= 0xC2) + (lead >= 0xE0) + (lead >= 0xF0) + 1
    return False
