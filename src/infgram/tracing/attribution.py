"""Which parts of a text stand in the corpus, how often, and in which documents.

As OLMoTrace does (Liu et al. 2025, arXiv 2504.07096), with exact counts: the levels of an index
tell, in one pass over the text, the longest run that ends with each token and all of its places.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..checks import instance, number, one_of, whole
from ..index import Index, indexes_of
from ..models.sampling import shade
from ..occurrences import draw
from ..results import Match, Matches
from ..seeds import generator
from ..text.placing import place
from ..text.tokens import Query
from ..values import markup
from ..values.table import Table
from ..values.value import Value
from .spans import Found, log_probs, maximal

Rank: TypeAlias = Literal["length", "log_prob"]
RANKS = ("length", "log_prob")
_LEAST_CHARACTERS, _LEAST_TOKENS = 20, 5


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Span(Value):
    """A part of a text that stands in the corpus in one piece, as no longer part around it does.

    - `start`, `end`: its characters, [start, end) of the text.
    - `text`: these.
    - `n_tokens`: its length in tokens.
    - `count`: how often the corpus has it, exactly.
    - `log_prob`: the sum of its tokens' natural logarithms of how frequent each is in the corpus.
      The lower, the less can it be there by chance.
    - `documents`: some of its places, in the order of the corpus, drawn from all of them.

    `str` gives the text.
    """

    start: int
    end: int
    text: str
    n_tokens: int
    count: int
    log_prob: float
    documents: Matches

    def __str__(self) -> str:
        return self.text


class Spans(Table[Span]):
    """Spans of a text, from left to right. `to_arrow()` and `to_pandas()` make a table of them."""

    __slots__ = ()
    row_type = Span

    def _repr_html_(self) -> str:
        rows = (
            (span.start, span.n_tokens, span.count, span.log_prob, span.text, _sources(span))
            for span in self[: markup.MOST_ROWS]
        )
        return markup.output(
            markup.table(["start", "tokens", "count", "log prob", "text", "documents"], rows),
            markup.left_out(len(self) - markup.MOST_ROWS, "spans"),
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Passage(Value):
    """Spans that overlap, as one part of the text: [start, end) of its characters.

    `str` gives the text.
    """

    start: int
    end: int
    text: str
    spans: Spans

    def __str__(self) -> str:
        return self.text

    @property
    def documents(self) -> Matches:
        """Those of its spans, each document once, with the longest of them that was found in it."""
        found: dict[tuple[str, int], Match] = {}
        for span in sorted(self.spans, key=lambda span: -span.n_tokens):
            for match in span.documents:
                found.setdefault((match.source, match.document), match)
        return Matches(found.values())


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Attribution(Value):
    """Where parts of a text stand in a corpus.

    - `text`: what was looked up. Bytes that are not UTF-8 show as U+FFFD each, token ids as the
      text that they decode to, and bare ids as numbers.
    - `n_tokens`: of the text.
    - `spans`: from left to right. They may overlap.

    `str` gives the text. A notebook shows it, and which parts of it are verbatim.
    """

    text: str
    n_tokens: int
    spans: Spans

    def __str__(self) -> str:
        return self.text

    @property
    def passages(self) -> tuple[Passage, ...]:
        """The spans, those that overlap merged.

        >>> import infgram
        >>> index = infgram.build(["to be or not", "or not to see"])
        >>> found = infgram.attribute(index, "be or not to", min_length=5)
        >>> [span.text for span in found.spans], [passage.text for passage in found.passages]
        (['be or not', 'or not to'], ['be or not to'])
        """
        groups: list[list[Span]] = []
        end = 0
        for span in self.spans:
            if groups and span.start < end:
                groups[-1].append(span)
            else:
                groups.append([span])
            end = max(end, span.end)
        return tuple(self._passage(Spans(group)) for group in groups)

    def _passage(self, spans: Spans) -> Passage:
        start, end = spans[0].start, max(span.end for span in spans)
        return Passage(start, end, self.text[start:end], spans)

    @property
    def covered(self) -> float:
        """The share of the characters that lie in a span; 0.0 of a text without any."""
        n = sum(passage.end - passage.start for passage in self.passages)
        return n / len(self.text) if self.text else 0.0

    def place(self, character: int) -> tuple[int, int]:
        """Line and column of a character of the text, both from 1; lines end with \\n.

        >>> import infgram
        >>> infgram.attribute(infgram.build(["to be"]), "or\\nto be").place(6)
        (2, 4)
        """
        before = self.text[:character]
        return before.count("\n") + 1, character - (before.rfind("\n") + 1) + 1

    def runs(self) -> Iterator[tuple[str, int | None]]:
        """The text in parts, each with the number of the longest span that it is part of, if any.

        Joined, the parts are the text.

        >>> import infgram
        >>> index = infgram.build(["to be or not", "or not to see"])
        >>> list(infgram.attribute(index, "(be or not to)", min_length=5).runs())
        [('(', None), ('be or not', 0), (' to', 1), (')', None)]
        """
        owners = np.full(len(self.text), -1, np.int64)
        sizes = [span.n_tokens for span in self.spans]
        for i in sorted(range(len(sizes)), key=lambda i: (sizes[i], -i)):
            owners[self.spans[i].start : self.spans[i].end] = i
        bounds = [0, *(np.flatnonzero(np.diff(owners)) + 1).tolist(), len(owners)]
        for start, end in pairwise(bounds):
            if start < end:
                owner = int(owners[start])
                yield self.text[start:end], None if owner < 0 else owner

    def _repr_html_(self) -> str:
        n = len(self.spans)
        return markup.output(
            markup.passage(
                (text, 0, "")
                if i is None
                else (text, shade_of(self.spans[i]), told_of(self.spans[i]))
                for text, i in self.runs()
            ),
            markup.note(f"{n:,} span{'s' * (n != 1)}, {self.covered:.1%} of the text"),
        )


def attribute(
    index: Index | Sequence[Index],
    text: Query,
    *,
    min_length: int | None = None,
    max_count: int | None = None,
    whole_words: bool = False,
    delimiters: str = "",
    rank: Rank = "length",
    density: float | None = None,
    limit: int | None = None,
    max_documents: int = 3,
    context: int = 60,
    seed: int | np.random.Generator | None = None,
) -> Attribution:
    """The maximal spans of a text that stand in the corpus, and documents that have them.

    A span is maximal if no longer one of which all of this holds has it inside:

    - It stands in one document, in one piece. It never cuts a character in two.
    - `whole_words`: it cuts no word of the text in two. In the corpus it may: "he" is in "the".
    - `delimiters`: characters, such as "\\n.", behind which no span goes on.
    - `max_count`: the corpus has it at most so many times.

    Spans of fewer than `min_length` tokens are left out: by default 20 where tokens are bytes or
    characters, else 5. Of the others, at most `limit` are kept, and with `density` 0.05 one for 20
    tokens of the text, rounded up: the longest, or with `rank` "log_prob" those of the lowest
    `log_prob`; of equals the first.

    `max_documents` places of each are drawn without replacement by `seed`, with `context` tokens
    around. Of several indexes, which must share a tokenizer, counts add up, and a document's number
    counts within its own. O(levels) a token, and some 50 µs a document.

    Raises InvalidParameter, TokenOutOfRange, and what the tokenizer raises.

    >>> import infgram
    >>> index = infgram.build(["to be or not to be", "that is the question"])
    >>> found = infgram.attribute(index, "to be that is", min_length=4)
    >>> [(span.start, span.end, span.text, span.count) for span in found.spans]
    [(0, 6, 'to be ', 1), (6, 13, 'that is', 1)]
    >>> found.spans[1].documents[0].document
    1
    """
    indexes = indexes_of(index)
    tokenizer = indexes[0].tokenizer
    plain = tokenizer.name in ("bytes", "chars")
    if min_length is None:
        min_length = _LEAST_CHARACTERS if plain else _LEAST_TOKENS
    whole(1, min_length=min_length)
    whole(0, max_documents=max_documents, context=context)
    for name, most in (("max_count", max_count), ("limit", limit)):
        if most is not None:
            whole(1, **{name: most})
    if density is not None:
        number(0, 1, above=True, density=density)
    one_of(RANKS, rank=rank)
    instance(str, "the characters themselves, as in '\\n.'", delimiters=delimiters)

    placed = place(tokenizer, text)
    found = maximal(indexes, placed, whole_words, delimiters)
    keep = found.sizes >= min_length
    if max_count is not None:
        keep &= found.counts <= max_count
    found = found.where(keep)
    logs = log_probs(indexes, placed, found)
    most = len(found.sizes)
    if density is not None:  # 0.07 of 100 are 7, though floats say 7.000000000000001
        most = math.ceil(round(density * len(placed.token_ids), 6))
    most = min(most, len(found.sizes) if limit is None else limit)
    order = np.argsort(-found.sizes if rank == "length" else logs, kind="stable")
    best = np.sort(order[:most])
    found = found.where(best)
    documents = _documents(indexes, found, max_documents, context, generator(seed))
    return Attribution(
        placed.text,
        len(placed.token_ids),
        Spans(
            Span(start, end, placed.text[start:end], size, count, log_prob, matches)
            for start, end, size, count, log_prob, matches in zip(
                placed.begins[found.begins].tolist(),
                placed.ends[found.ends - 1].tolist(),
                found.sizes.tolist(),
                found.counts.tolist(),
                logs[best].tolist(),
                documents,
                strict=True,
            )
        ),
    )


def _documents(
    indexes: Sequence[Index], found: Found, most: int, context: int, rng: np.random.Generator
) -> list[Matches]:
    if not most:
        return [Matches()] * len(found.sizes)
    drawn = [draw(ranges, most, rng) for ranges in found.rows]
    documents = [Matches() for _ in drawn]
    first = 0
    for index in indexes:
        behind = first + index.n_shards
        own = [_of_shards(rows, first, behind) for rows in drawn]
        placed = index.matches(own, found.sizes, context)
        documents = [Matches((*a, *b)) for a, b in zip(documents, placed, strict=True)]
        first = behind
    return documents


def _of_shards(rows: NDArray[np.int64], first: int, behind: int) -> NDArray[np.int64]:
    """The rows in shards [first, behind), numbered from the first of these."""
    mine = rows[(first <= rows[:, 0]) & (rows[:, 0] < behind)]
    mine[:, 0] -= first
    return mine


def shade_of(span: Span) -> int:
    """The shade of a span, by its length: 1 to 4.

    >>> shade_of(Span(0, 2, "to", 2, 1, -1.0, Matches()))
    1
    """
    return max(shade(span.n_tokens), 1)


def told_of(span: Span) -> str:
    """A span's length and count in words.

    >>> told_of(Span(0, 5, "to be", 5, 1, -9.0, Matches()))
    '5 tokens, once in the corpus'
    """
    times = "once" if span.count == 1 else f"{span.count:,} times"
    return f"{span.n_tokens:,} token{'s' * (span.n_tokens != 1)}, {times} in the corpus"


def _sources(span: Span) -> str:
    return ", ".join(dict.fromkeys(match.source for match in span.documents))
