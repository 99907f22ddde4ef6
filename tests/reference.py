"""The naive oracle: every answer of an index by looping over documents. Nothing clever."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple


@dataclass
class Reference:
    """Documents of token ids. Every document but the last is followed by an end of text."""

    documents: Sequence[Sequence[int]]
    end_of_text: int

    def occurrences(self, ngram: Sequence[int]) -> list[tuple[int, int]]:
        """(document, offset) of every occurrence, in the order of the corpus."""
        n = len(ngram)
        return [
            (d, i)
            for d, document in enumerate(self.documents)
            for i in range(len(document) - n + 1)
            if list(document[i : i + n]) == list(ngram)
        ]

    def count(self, ngram: Sequence[int]) -> int:
        if not ngram:
            return sum(map(len, self.documents))
        return len(self.occurrences(ngram))

    def ntd(self, context: Sequence[int]) -> Counter[int]:
        """Next-token counts after the whole context."""
        counts: Counter[int] = Counter()
        for d, offset in self.occurrences(context):
            document = self.documents[d]
            end = offset + len(context)
            if end < len(document):
                counts[document[end]] += 1
            elif d < len(self.documents) - 1:
                counts[self.end_of_text] += 1
        return counts

    def levels(self, context: Sequence[int], window: int | None = None) -> list[tuple[int, int]]:
        """(n, m) of every level, longest first."""
        levels: list[tuple[int, int]] = []
        longest = len(context) if window is None else min(window, len(context))
        for n in range(longest, 0, -1):
            m = self.ntd(context[len(context) - n :]).total()
            if m > (levels[-1][1] if levels else 0):
                levels.append((n, m))
        return levels

    def match_length(self, tokens: Sequence[int], end: int) -> int:
        """The longest run of tokens that ends at `end` and occurs."""
        return max(n for n in range(end + 1) if n == 0 or self.count(tokens[end - n : end]))

    def sbis(
        self, context: Sequence[int], k: int, decay: float, normalise: bool, window: int
    ) -> dict[int, float]:
        """Weights of the next token."""
        levels = self.levels(context, window)
        mixed = levels if k == -1 else levels[:k]
        contexts = [context[len(context) - n :] for n, _ in mixed] or [[]]
        weights: dict[int, float] = {}
        level_weight = 1.0
        for suffix in contexts:
            counts = self.ntd(suffix)
            for token, count in counts.items():
                share = count / counts.total() if normalise else count
                weights[token] = weights.get(token, 0.0) + level_weight * share
            level_weight *= decay
        return weights


class Continuation(NamedTuple):
    """What a context counted of a next token."""

    count: int
    contexts: int
    passed: float


class Tree:
    """Places of a text that share a context, told apart by ever more of what stands before it.

    `left(place, n)` is the token n tokens before a place; a place where it is None shares nothing
    with any other one. At `max_depth` tokens all places part.
    """

    def __init__(self, left: Callable[[int, int], int | None], max_depth: int, exponent: float):
        self.left, self.max_depth, self.exponent = left, max_depth, exponent

    def contexts(self, places: Sequence[int], n: int) -> list[list[int]]:
        """The places that share n tokens, by the token before those."""
        groups: dict[object, list[int]] = {}
        for place in places:
            token = self.left(place, n + 1) if n < self.max_depth else None
            groups.setdefault(("none", place) if token is None else token, []).append(place)
        return list(groups.values())

    def value(self, places: Sequence[int], n: int) -> float:
        """F: 1 of a place alone; else, where its contexts part, the sum of what they pass on."""
        if len(places) == 1:
            return 1.0
        contexts = self.contexts(places, n)
        if len(contexts) == 1:
            return self.value(places, n + 1)
        return self.passed(contexts, n)

    def passed(self, contexts: Sequence[Sequence[int]], n: int) -> float:
        return sum(self.value(context, n + 1) ** self.exponent for context in contexts)

    def continuations(self, tokens: Sequence[int], places: Sequence[int], n: int):
        """{next token: Continuation} at places, of the text's tokens, that share n tokens."""
        found = {}
        for token in {tokens[place] for place in places}:
            same = [place for place in places if tokens[place] == token]
            contexts = self.contexts(same, n)
            found[token] = Continuation(len(same), len(contexts), self.passed(contexts, n))
        return found


def shard_texts(
    documents: Sequence[Sequence[int]], end_of_text: int, shard_rows: Sequence[int]
) -> list[list[int]]:
    """The text of every shard: a boundary before each document, and one at its end unless last."""
    rest = list(documents)
    texts = []
    for i, n_rows in enumerate(shard_rows):
        last = i == len(shard_rows) - 1
        text = [] if last else [end_of_text]
        while rest and len(text) + len(rest[0]) + 1 <= n_rows:
            document = [end_of_text, *rest.pop(0)]
            text = text + document if last else text[:-1] + document + [end_of_text]
        assert len(text) == n_rows
        texts.append(text)
    assert not rest
    return texts


def continuations(
    texts: Sequence[Sequence[int]], context: Sequence[int], exponent: float
) -> dict[int, Continuation]:
    """What the whole context counted of each next token, the texts of all shards together."""
    n = len(context)
    counted: dict[int, Continuation] = {}
    for text in texts:
        tree = Tree(lambda p, back, text=text: text[p - back] if p >= back else None, 254, exponent)
        places = [p for p in range(1, len(text)) if p >= n and text[p - n : p] == list(context)]
        for token, found in tree.continuations(text, places, n).items():
            before = counted.get(token, Continuation(0, 0, 0.0))
            counted[token] = Continuation(*(a + b for a, b in zip(before, found, strict=True)))
    return counted


@dataclass
class ReferenceLive:
    """A live text: tokens, the end of text, and None for what is not known."""

    tokens: Sequence[int | None]
    end_of_text: int
    exponent: float
    max_depth: int = 48

    def left(self, place: int, back: int) -> int | None:
        """The token before a place, where a context reaches that far."""
        before = self.tokens[max(place - back, 0) : place]
        ended = len(before) < back or None in before or self.end_of_text in before
        return None if ended else before[0]

    def levels(self) -> list[tuple[int, int, dict[int, Continuation]]]:
        """(n, m, {next token: Continuation}) of the present context, longest first."""
        here = len(self.tokens)
        places = [p for p, token in enumerate(self.tokens) if token is not None]
        tree = Tree(self.left, self.max_depth, self.exponent)
        levels: list[tuple[int, int, dict[int, Continuation]]] = []
        n = 0
        while places:
            token = self.left(here, n + 1) if n < self.max_depth else None
            longer = [p for p in places if token is not None and self.left(p, n + 1) == token]
            if n == 0 or len(longer) < len(places):
                counts = tree.continuations(self.tokens, places, n)
                levels.insert(0, (n, len(places), counts))
            places, n = longer, n + 1
        return levels
