"""What an index answers: levels, distributions, probabilities, occurrences, documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .checks import whole
from .errors import InvalidParameter
from .text.pieces import shown_alone
from .text.tokens import Tokenizer
from .values import markup
from .values.table import Column, Table, Tabular
from .values.value import Value, read_only, short


class Level(NamedTuple):
    """One back-off step: `n` tokens of context matched, `m` matches that have a next token."""

    n: int
    m: int


class Levels(Table[Level]):
    """All levels of a context, longest first. `to_arrow()` and `to_pandas()` make a table."""

    __slots__ = ()
    row_type = Level


class NextTokens(Tabular, Mapping[int, int]):
    """Exact next-token distribution (ntd) after a prompt: a mapping from token ids to counts.

    - `token_ids`: uint32 array of shape (n,), the tokens that follow, rising, the id of the end of
      text, if it is among them, first.
    - `counts`: int64 array of shape (n,), how often each follows.
    - `prompt_cnt`: matches of the prompt that have a next token, the sum of the counts.
    - `suffix_len`: tokens of the prompt that were matched.

    Its keys are ids, as two tokens may show the same text; `most_common` tells texts. A token that
    never follows is no key: `get(token_id, 0)` is its count. As every mapping, it equals another
    of the same keys and counts, whatever the prompt was. It cannot be changed, and has a hash.

    `to_arrow()` and `to_pandas()` make a table of it.

    >>> import infgram
    >>> ntd = infgram.build(["to be or not to be"]).ntd("o")
    >>> dict(ntd)
    {32: 2, 114: 1, 116: 1}
    >>> ntd[ord("r")], ntd.get(ord("x"), 0), ntd.prompt_cnt
    (1, 0, 4)
    """

    __slots__ = ("_by_id", "_tokenizer", "counts", "prompt_cnt", "suffix_len", "token_ids")

    def __init__(
        self,
        token_ids: NDArray[np.uint32],
        counts: NDArray[np.int64],
        prompt_cnt: int,
        suffix_len: int,
        tokenizer: Tokenizer,
    ) -> None:
        self.token_ids = token_ids
        self.counts = counts
        self.prompt_cnt = prompt_cnt
        self.suffix_len = suffix_len
        self._tokenizer = tokenizer
        self._by_id: dict[int, int] | None = None

    @classmethod
    def of(
        cls,
        token_ids: NDArray[np.uint32],
        counts: NDArray[np.int64],
        prompt_cnt: int,
        suffix_len: int,
        tokenizer: Tokenizer,
    ) -> NextTokens:
        """Of arrays that could be written to; the core's cannot."""
        arrays = read_only(token_ids), read_only(counts)
        return cls(*arrays, prompt_cnt, suffix_len, tokenizer)

    def __len__(self) -> int:
        return len(self.token_ids)

    def __iter__(self) -> Iterator[int]:
        return iter(self._counts())

    def __getitem__(self, token_id: int) -> int:
        """How often a token follows. Raises KeyError if it never does."""
        if isinstance(token_id, (str, bytes)):
            raise InvalidParameter(
                f"{token_id!r} is text, expected a token id: `Index.ids` tells those of a text, "
                "`most_common` the texts of tokens"
            )
        return self._counts()[token_id]

    def __hash__(self) -> int:
        return hash(frozenset(self._counts().items()))

    def __reduce__(self) -> tuple[Any, ...]:
        own = (self.token_ids, self.counts, self.prompt_cnt, self.suffix_len, self._tokenizer)
        return NextTokens.of, own

    def __repr__(self) -> str:
        shown = ", ".join(f"{text!r}: {count}" for text, count in self.most_common(5))
        more = ", ..." if len(self) > 5 else ""
        return f"NextTokens({{{shown}{more}}}, prompt_cnt={self.prompt_cnt})"

    def _counts(self) -> dict[int, int]:
        if self._by_id is None:
            self._by_id = dict(zip(self.token_ids.tolist(), self.counts.tolist(), strict=True))
        return self._by_id

    @property
    def prob(self) -> NDArray[np.float64]:
        """Probabilities of shape (n,); they sum to one."""
        return self.counts / max(self.prompt_cnt, 1)

    def text(self, token_id: int) -> str:
        """The token as the vocabulary has it; "" for the end of text.

        Of tokenizers that put blanks into tokens, or between them, this is the token's own name,
        as "\u2581world" or "##ing": `Index.decode` gives the text of several.
        """
        if token_id == self._tokenizer.vocab_size:
            return ""
        return shown_alone(self._tokenizer, token_id)

    def most_common(self, n: int | None = None) -> list[tuple[str, int]]:
        """The n (all) most frequent tokens as (text, count), most frequent first.

        >>> import infgram
        >>> infgram.build(["to be or not to be"]).ntd("o").most_common(2)
        [(' ', 2), ('r', 1)]
        """
        if n is not None:
            whole(0, n=n)
        order = np.argsort(-self.counts, kind="stable")[:n]
        return [(self.text(int(self.token_ids[i])), int(self.counts[i])) for i in order]

    def columns(self) -> dict[str, Column]:
        """The tokens' ids, texts, counts and probabilities."""
        return {
            "token_id": self.token_ids,
            "text": [self.text(token_id) for token_id in self.token_ids.tolist()],
            "count": self.counts,
            "prob": self.prob,
        }

    def _hints(self) -> Mapping[str, Any]:
        return {"text": str}

    def _repr_html_(self) -> str:
        rows = [
            (repr(text) if text else "end of text", count, markup.percent(share), markup.bar(share))
            for text, count in self.most_common(markup.MOST_ROWS)
            for share in (count / self.prompt_cnt,)
        ]
        return markup.output(
            markup.table(["next", "count", "share", ""], rows),
            markup.left_out(len(self) - len(rows), "tokens"),
            markup.note(f"{self.prompt_cnt:,} matches, {self.suffix_len:,} tokens of context"),
        )


class Prob(NamedTuple):
    """How often a token follows a prompt: `prob` = `cont_cnt` / `prompt_cnt`."""

    prompt_cnt: int
    cont_cnt: int
    prob: float
    suffix_len: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Match(Value):
    """One occurrence of an n-gram. `document` counts documents from 0, `offset` its tokens.

    `line` and `column` are where it begins in `source`, from 1, in plain text; `column` counts
    characters. Of a record `line` is the record's own, and `column` 0. Both are 0 where nobody can
    tell: in token ids of a file, and where a tokenizer drops line ends.

    `str` gives the passage: `before`, `match` and `after`.
    """

    document: int
    offset: int
    source: str
    line: int
    column: int
    metadata: dict[str, Any]
    before: str
    match: str
    after: str

    def __str__(self) -> str:
        return self.before + self.match + self.after

    @property
    def place(self) -> str:
        """source:line:column, as compilers tell it, so that it can be jumped to.

        Where there are no lines, the document and the token of it, counted from 0.
        """
        if not self.line:
            return f"{self.source}:document {self.document}, token {self.offset}"
        return ":".join([self.source, str(self.line), *([str(self.column)] * (self.column > 0))])

    def _repr_html_(self) -> str:
        return Matches([self])._repr_html_()


class Matches(Table[Match]):
    """Occurrences of an n-gram. `to_arrow()` and `to_pandas()` make a table of them."""

    __slots__ = ()
    row_type = Match

    def _repr_html_(self) -> str:
        rows = (
            (match.document, match.place, markup.marked(match.before, match.match, match.after))
            for match in self[: markup.MOST_ROWS]
        )
        return markup.output(
            markup.table(["document", "place", "text"], rows),
            markup.left_out(len(self) - markup.MOST_ROWS, "matches"),
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class IndexedDocument(Value):
    """A document as it was indexed. `line` is where it began in `source`, 0 for a whole file.

    `str` gives its text.
    """

    document: int
    source: str
    line: int
    metadata: dict[str, Any]
    token_ids: NDArray[np.uint32]
    text: str

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        place = f"{self.source}:{self.line}" if self.line else self.source
        told = f"document {self.document:,}, {place}, {len(self.token_ids):,} tokens"
        more = [markup.note(short(self.metadata))] if self.metadata else []
        return markup.output(markup.note(told), *more, markup.plain(self.text))
