"""The naive oracle: every answer of an index by looping over documents. Nothing clever."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


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
