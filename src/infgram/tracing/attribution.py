"""Which parts of a text stand in the corpus, how often, and in which documents.

As OLMoTrace does (Liu et al. 2025, arXiv 2504.07096), with exact counts: the levels of an index
tell, in one pass over the text, the longest run that ends with each token and all of its places.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..checks import instance, number, one_of, whole
from ..index import Index, check_index
from ..models.sampling import shade
from ..occurrences import draw
from ..results import Match, Matches
from ..seeds import generator
from ..text.placing import PlacedText, place
from ..text.tokens import Query
from ..values import markup
from ..values.table import Table
from ..values.value import Value

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
        for start, end in zip(bounds, bounds[1:], strict=False):
            if start < end:
                owner = int(owners[start])
                yield self.text[start:end], None if owner < 0 else owner

    def _repr_html_(self) -> str:
        n = len(self.spans)
        return markup.output(
            markup.passage(
                (text, 0, "") if i is None else (text, shade_of(self.spans[i]), _told(self.spans[i]))
                for text, i in self.runs()
            ),
            markup.note(f"{n:,} span{'s' * (n != 1)}, {self.covered:.1%} of the text"),
        )


def attribute(
    index: Index,
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
    around. O(levels) a token, and some 50 µs a document.

    Raises InvalidParameter, TokenOutOfRange, and what the tokenizer raises.

    >>> import infgram
    >>> index = infgram.build(["to be or not to be", "that is the question"])
    >>> found = infgram.attribute(index, "to be that is", min_length=4)
    >>> [(span.start, span.end, span.text, span.count) for span in found.spans]
    [(0, 6, 'to be ', 1), (6, 13, 'that is', 1)]
    >>> found.spans[1].documents[0].document
    1
    """
    check_index(index=index)
    plain = index.tokenizer.name in ("bytes", "chars")
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

    placed = place(index.tokenizer, text)
    found = _maximal(index, placed, whole_words, delimiters)
    keep = found.sizes >= min_length
    if max_count is not None:
        keep &= found.counts <= max_count
    found = found.where(keep)
    log_probs = _log_probs(index, placed, found)
    most = math.ceil(density * len(placed.token_ids)) if density is not None else len(found.sizes)
    most = min(most, len(found.sizes) if limit is None else limit)
    order = np.argsort(-found.sizes if rank == "length" else log_probs, kind="stable")
    best = np.sort(order[:most])
    found = found.where(best)
    documents = _documents(index, found, max_documents, context, generator(seed))
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
                log_probs[best].tolist(),
                documents,
                strict=True,
            )
        ),
    )


@dataclass(frozen=True)
class _Found:
    """Spans as the core has them: tokens [begins, ends), and rows of shape (n, n_shards, 2)."""

    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    rows: NDArray[np.int64]

    @property
    def sizes(self) -> NDArray[np.int64]:
        return self.ends - self.begins

    @property
    def counts(self) -> NDArray[np.int64]:
        counts: NDArray[np.int64] = (self.rows[..., 1] - self.rows[..., 0]).sum(axis=1)
        return counts

    def where(self, chosen: NDArray[Any]) -> _Found:
        return _Found(self.begins[chosen], self.ends[chosen], self.rows[chosen])


def _maximal(index: Index, placed: PlacedText, whole_words: bool, delimiters: str) -> _Found:
    """The maximal spans among those that stand where spans may."""
    n = len(placed.token_ids)
    can_begin, can_end = placed.can_begin(), placed.can_end()
    stops = can_end & placed.has(delimiters) if delimiters else np.zeros(n, np.bool_)
    if whole_words:
        cuts = placed.cuts_words()
        can_begin &= ~cuts[placed.begins]
        can_end &= ~cuts[placed.ends]
    # the first place from each on where a span may begin; n, where none may
    begins = np.where(np.append(can_begin, True), np.arange(n + 1), n)
    begins = np.minimum.accumulate(begins[::-1])[::-1]
    # behind the last delimiter before each token
    behind = np.maximum.accumulate(np.append(0, np.where(stops, np.arange(1, n + 1), 0)))[:-1]
    earliest = np.where(can_end, behind, n)
    bounds, rows = index.native.maximal_spans(
        placed.token_ids, begins.astype(np.uint32), earliest.astype(np.uint32)
    )
    bounds = bounds.astype(np.int64).reshape(-1, 2)
    return _Found(
        bounds[:, 0], bounds[:, 1], rows.astype(np.int64).reshape(len(bounds), index.n_shards, 2)
    )


def _log_probs(index: Index, placed: PlacedText, found: _Found) -> NDArray[np.float64]:
    """Of each span, by how often the corpus has each of its tokens."""
    different, places = np.unique(placed.token_ids, return_inverse=True)
    counts = index.native.count_batch(different, np.arange(len(different) + 1))
    with np.errstate(divide="ignore"):  # of tokens that are in no span
        each = np.log(counts / index.n_tokens)[places]
    sums = np.concatenate([[0.0], np.cumsum(np.where(np.isfinite(each), each, 0.0))])
    return sums[found.ends] - sums[found.begins]


def _documents(
    index: Index, found: _Found, most: int, context: int, rng: np.random.Generator
) -> Sequence[Matches]:
    if not most:
        return [Matches()] * len(found.sizes)
    rows = [draw(ranges, most, rng) for ranges in found.rows]
    return index.matches(rows, found.sizes, context)


def shade_of(span: Span) -> int:
    """The shade of a span, by its length: 1 to 4.

    >>> shade_of(Span(0, 2, "to", 2, 1, -1.0, Matches())), shade_of(Span(0, 9, "", 70, 1, -1.0, Matches()))
    (1, 4)
    """
    return max(shade(span.n_tokens), 1)


def _told(span: Span) -> str:
    return f"{span.n_tokens:,} tokens, {span.count:,} times in the corpus"


def _sources(span: Span) -> str:
    return ", ".join(dict.fromkeys(match.source for match in span.documents))
