"""What was changed in a text, why, and how to do it again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidParameter, MalformedRecord
from ..store.directory import replacing
from ..text.characters import characters
from ..values import markup
from ..values.value import Value

FORMAT = "infgram-trace/1"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Edit(Value):
    """One replacement in a text.

    - `start`, `end`: tokens [start, end) of the text, its prompt not counted.
    - `old`, `new`: their ids before and after, as many.
    - `gain`: nats by which the judge finds the text better. Negative where a verbatim run had to be
      broken.
    - `proposer`: "sbis", "lexicon", "exchange", "fill".
    - `source_offset`: a place of the corpus that has `new`, for `Index.locate`; None where no one
      place has all of it.
    - `round`: from 0.
    """

    start: int
    end: int
    old: tuple[int, ...]
    new: tuple[int, ...]
    gain: float
    proposer: str
    source_offset: int | None
    round: int = 0


@dataclass(frozen=True, eq=False, repr=False)
class Trace(Value):
    """A draft, and the edits that made another text of it; on disk, JSON lines.

    - `token_ids`: of the draft, uint32, its prompt not among them.
    - `edits`: in the order in which they were made.
    - `settings`: what decided them, the seed among it: for people.

    >>> import numpy as np
    >>> from infgram.refine import Edit, Trace
    >>> draft = np.array(list(b"to bee"), np.uint32)
    >>> edit = Edit(3, 6, tuple(b"bee"), tuple(b"die"), 1.5, "lexicon", None)
    >>> bytes(Trace(draft, (edit,)).replay().tolist())
    b'to die'
    """

    token_ids: NDArray[np.uint32]
    edits: tuple[Edit, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def replay(self) -> NDArray[np.uint32]:
        """The text after all edits. Raises InvalidParameter for one that does not fit."""
        token_ids = self.token_ids.copy()
        for i, edit in enumerate(self.edits):
            fits = 0 <= edit.start <= edit.end <= len(token_ids)
            if not fits or tuple(token_ids[edit.start : edit.end].tolist()) != edit.old:
                raise InvalidParameter(
                    f"edit {i} is of other tokens than stand at [{edit.start}, {edit.end}): these "
                    "are not the edits of this draft"
                )
            if len(edit.new) != len(edit.old):
                raise InvalidParameter(
                    f"edit {i} puts {len(edit.new)} tokens in place of {len(edit.old)}, expected "
                    "as many"
                )
            token_ids[edit.start : edit.end] = edit.new
        return token_ids

    def __str__(self) -> str:
        """The text after all edits."""
        return characters(tokenizer_of(self), self.replay())[0]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes it, all or nothing. Raises StorageError."""
        header = {
            "format": FORMAT,
            "token_ids": self.token_ids.tolist(),
            "settings": dict(self.settings),
        }
        end = {"n_edits": len(self.edits), "sha256": _sha256(self.replay())}
        with replacing(path) as file:
            for record in [header, *map(asdict, self.edits), end]:
                file.write(json.dumps(record).encode() + b"\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Trace:
        """Reads what `save` wrote.

        Raises MalformedRecord for a file that is torn, changed or something else, OSError.
        """
        try:
            records = [json.loads(line) for line in Path(path).read_bytes().splitlines()]
            header, *edits, end = records
            if header["format"] != FORMAT:
                raise ValueError(f"its format is {header['format']!r}, expected {FORMAT!r}")
            trace = cls(
                np.array(header["token_ids"], np.uint32),
                tuple(_edit(edit) for edit in edits),
                dict(header["settings"]),
            )
            if end != {"n_edits": len(edits), "sha256": _sha256(trace.replay())}:
                raise ValueError("its last line does not fit the others")
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
            raise MalformedRecord(f"{path} is no whole trace of edits: {error}") from error
        return trace


@dataclass(frozen=True, eq=False, repr=False)
class Refined(Value):
    """An edited text, without its prompt.

    - `text`: bytes that are not UTF-8 show as U+FFFD.
    - `token_ids`: uint32 array of shape (n_tokens,), as many as the draft has.
    - `edits`: in the order in which they were made; a place may have been edited more than once.
    - `n_rounds`: rounds that edited something.
    - `n_unjudged`: characters that were left as they are because the corpus cannot judge them:
      those it does not have, and the words that they stand in or next to.
    - `longest_run`: tokens of its longest verbatim run, and `runs`, those of more than `max_copy`
      tokens that are left, [begin, end) each; None and () where no limit was asked for.
    - `trace`: the draft and the edits, to keep.
    """

    text: str
    token_ids: NDArray[np.uint32]
    edits: tuple[Edit, ...]
    n_rounds: int
    n_unjudged: int
    longest_run: int | None
    runs: tuple[tuple[int, int], ...]
    trace: Trace = field(repr=False)

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        _, bounds = characters(tokenizer_of(self.trace), self.token_ids)
        is_other = self.token_ids != self.trace.token_ids
        if len(is_other):
            is_other = np.logical_or.reduceat(is_other, bounds[:-1])
        shades = 2 * is_other[: markup.MOST_CHARACTERS]
        runs = groupby(zip(self.text, shades.tolist(), strict=False), lambda each: each[1])
        told = f"{self.n_edited:,} of {len(self.token_ids):,} tokens were edited"
        return markup.output(
            markup.passage(("".join(c for c, _ in run), shade, "") for shade, run in runs),
            markup.left_out(len(self.text) - markup.MOST_CHARACTERS, "characters"),
            markup.note(told),
        )

    @property
    def n_edited(self) -> int:
        """Tokens that are not those of the draft."""
        return int(np.count_nonzero(self.token_ids != self.trace.token_ids))


def tokenizer_of(trace: Trace) -> str:
    """ "bytes" or "chars": what the settings say, or else bytes, unless a token is none."""
    ids = trace.token_ids
    if len(ids) and int(ids.max()) > 0xFF:
        return "chars"
    return str(trace.settings.get("tokenizer", "bytes"))


def _edit(record: Mapping[str, Any]) -> Edit:
    return Edit(**{**record, "old": _ids(record["old"]), "new": _ids(record["new"])})


def _ids(values: Iterable[int]) -> tuple[int, ...]:
    return tuple(int(i) for i in values)


def _sha256(token_ids: NDArray[np.uint32]) -> str:
    return hashlib.sha256(token_ids.astype("<u4").tobytes()).hexdigest()
