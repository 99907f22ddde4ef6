"""What an index answers: levels, distributions, probabilities, occurrences, documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .checks import whole
from .text.pieces import shown_alone
from .text.tokens import Tokenizer


class Level(NamedTuple):
    """One back-off step: `n` tokens of context matched, `m` matches that have a next token."""

    n: int
    m: int


class NextTokens:
    """Exact next-token distribution (ntd) after a prompt.

    - `token_ids`: uint32 array of shape (n,), the tokens that follow, rising, the id of the end of
      text, if it is among them, first.
    - `counts`: int64 array of shape (n,), how often each follows.
    - `prompt_cnt`: matches of the prompt that have a next token, the sum of the counts.
    - `suffix_len`: tokens of the prompt that were matched.
    """

    __slots__ = ("_tokenizer", "counts", "prompt_cnt", "suffix_len", "token_ids")

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

    def __len__(self) -> int:
        return len(self.token_ids)

    def __repr__(self) -> str:
        shown = ", ".join(f"{text!r}: {count}" for text, count in self.most_common(5))
        more = ", ..." if len(self) > 5 else ""
        return f"NextTokens({{{shown}{more}}}, prompt_cnt={self.prompt_cnt})"

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
        >>> infgram.open(demo_index).ntd("to b").most_common()
        [('e', 2)]
        """
        if n is not None:
            whole(0, n=n)
        order = np.argsort(-self.counts, kind="stable")[:n]
        return [(self.text(int(self.token_ids[i])), int(self.counts[i])) for i in order]


class Prob(NamedTuple):
    """How often a token follows a prompt: `prob` = `cont_cnt` / `prompt_cnt`."""

    prompt_cnt: int
    cont_cnt: int
    prob: float
    suffix_len: int


@dataclass(frozen=True, slots=True)
class Match:
    """One occurrence of an n-gram. `document` counts documents from 0, `offset` its tokens.

    `line` and `column` are where it begins in `source`, from 1, in plain text; `column` counts
    characters. Of a record `line` is the record's own, and `column` 0. Both are 0 where nobody can
    tell: in token ids of a file, and where a tokenizer drops line ends.
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


@dataclass(frozen=True, slots=True)
class IndexedDocument:
    """A document as it was indexed. `line` is where it began in `source`, 0 for a whole file."""

    document: int
    source: str
    line: int
    metadata: dict[str, Any]
    token_ids: NDArray[np.uint32]
    text: str
