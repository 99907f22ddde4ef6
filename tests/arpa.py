"""A reader of ARPA files: the oracle of what infgram exports. Nothing clever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Arpa:
    """What a file lists: {n-gram: (log10 probability, log10 back-off weight)}, by order from 1."""

    orders: list[dict[tuple[str, ...], tuple[float, float]]] = field(default_factory=list)

    @classmethod
    def read(cls, text: str) -> Arpa:
        """Refuses what a strict reader would."""
        lines = iter(text.split("\n"))
        assert next(lines) == "\\data\\"
        counts = []
        while line := next(lines):
            name, _, n = line.partition("=")
            assert name == f"ngram {len(counts) + 1}"
            counts.append(int(n))
        arpa = cls()
        for order, n in enumerate(counts, 1):
            assert next(lines) == f"\\{order}-grams:"
            listed: dict[tuple[str, ...], tuple[float, float]] = {}
            while line := next(lines):
                prob, words, *weight = line.split("\t")
                ngram = tuple(words.split(" "))
                assert len(ngram) == order and all(ngram) and ngram not in listed
                assert float(prob) <= 0 and len(weight) <= (order < len(counts))
                listed[ngram] = float(prob), float(weight[0]) if weight else 0.0
            assert len(listed) == n
            arpa.orders.append(listed)
        assert (next(lines), list(lines)) == ("\\end\\", [""])
        for shorter, longer in zip(arpa.orders, arpa.orders[1:], strict=False):
            for ngram in longer:
                assert ngram[1:] in shorter and ngram[:-1] in shorter
        return arpa

    @property
    def vocabulary(self) -> list[str]:
        """Every word that can come next, the end of a text and the unknown word among them."""
        return [word for (word,) in self.orders[0] if word != "<s>"]

    def log10(self, context: Sequence[str], word: str) -> float:
        """Of a word after a context, as Katz's back-off defines it."""
        context = tuple(
            self._known(each) for each in context[max(0, len(context) + 1 - len(self.orders)) :]
        )
        ngram = (*context, self._known(word))
        if ngram in self.orders[len(ngram) - 1]:
            return self.orders[len(ngram) - 1][ngram][0]
        weight = self.orders[len(context) - 1].get(context, (0.0, 0.0))[1] if context else 0.0
        return weight + self.log10(context[1:], word)

    def scores(self, words: Sequence[str], *, bos: bool, eos: bool) -> list[float]:
        """Of each word of a text."""
        read = ["<s>"] if bos else []
        found = []
        for word in [*words, "</s>"] if eos else words:
            found.append(self.log10(read, word))
            read.append(word)
        return found

    def _known(self, word: str) -> str:
        return word if (word,) in self.orders[0] else "<unk>"
