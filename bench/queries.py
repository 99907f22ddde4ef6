"""Questions from Python: count, next-token distribution, all back-off levels.

Every contender gets its queries in the form it likes best, prepared beforehand, and is asked for an
exact answer. All answers are compared with a scan of the text.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import infgram

from . import truth
from .common import Contender, arguments, corpus_path, interleave, pin
from .report import Report
from .rivals import EXACT, RIVALS, Absent, InfiniGram, PyInfinigram, Rival, Tokengrams

_N_NGRAMS = 1000
_N_CONTEXTS = 32
_CONTEXT = 200


def main() -> None:
    """Measures and prints."""
    args = arguments(__doc__).parse_args()
    pinned = pin(args)
    corpus = corpus_path(args)
    data = corpus.read_bytes()
    report = Report("Queries", f"{len(data):,} bytes of {corpus.name}, {pinned}")
    with tempfile.TemporaryDirectory() as temp:
        index = infgram.build(corpus, Path(temp) / "corpus.infgram")
        rivals = _build_rivals(corpus, Path(temp), report)
        bench = _Bench(data, index, rivals, report, args.rounds)
        bench.counts()
        bench.next_tokens(b"th")
        bench.levels("inside the text", bench.contexts_inside())
        bench.levels("10 bytes of the text after 190 random ones", bench.contexts_new())
    report.emit(args)


def _build_rivals(corpus: Path, folder: Path, report: Report) -> list[Rival]:
    rivals = []
    for rival in RIVALS:
        home = folder / rival.name
        home.mkdir()
        try:
            rival.build(corpus, home)
            rivals.append(rival(home))
        except Absent as absent:
            report.note(f"{rival.name}: {absent}")
    return rivals


class _Bench:
    """The questions, each a method that measures, compares answers and reports."""

    def __init__(
        self,
        data: bytes,
        index: infgram.Index,
        rivals: Sequence[Rival],
        report: Report,
        rounds: int,
    ) -> None:
        self._data = data
        self._index = index
        self._rivals = rivals
        self._report = report
        self._rounds = rounds
        self._random = random.Random(1)

    def counts(self) -> None:
        """Count 3 to 20 byte n-grams of the text, one a call and in a batch."""
        index = self._index
        inside = [self._slice(self._random.randint(3, 20)) for _ in range(_N_NGRAMS)]
        right = [truth.count(self._data, ngram) for ngram in inside]
        strings = [ngram.decode("latin-1") for ngram in inside]
        is_text = all(map(str.isascii, strings))
        lists = [list(ngram) for ngram in inside]
        flat = np.frombuffer(b"".join(inside), np.uint8)
        offsets = np.cumsum([0, *map(len, inside)], dtype=np.int64)

        contenders = [_each("infgram, bytes", index.count, inside)]
        self._compare("infgram count", list(map(index.count, inside)), right)
        if is_text:
            contenders.append(_each("infgram, str", index.count, strings))
            self._compare("infgram count of str", list(map(index.count, strings)), right)
        judged = list(contenders)
        contenders.append(_each("infgram, list of int", index.count, lists))
        self._compare("infgram count of ids", list(map(index.count, lists)), right)
        for rival in self._rivals:
            asked = _each(rival.name, rival.index.count, lists)
            contenders.append(asked)
            answers = [rival.counts(rival.index.count(ids)) for ids in lists]
            self._compare(f"{rival.name} count", answers, right)
        interleave(contenders, rounds=self._rounds, seconds=0.02)
        self._report.timings("count, 3 to 20 bytes, one a call", contenders)
        by_name = {contender.name: contender for contender in contenders}

        forms: list[tuple[str, Callable[[], Any]]] = [
            ("infgram, list of bytes", lambda: index.count_batch(inside)),
            ("infgram, flat array and offsets", lambda: index.count_batch(flat, offsets)),
        ]
        if is_text:
            forms.insert(0, ("infgram, list of str", lambda: index.count_batch(strings)))
        batches = [Contender(name, run, _N_NGRAMS) for name, run in forms]
        for name, run in forms:
            self._compare(f"{name} count_batch", run().tolist(), right)
        # Once more in turn with the batches: the ratio needs figures of the same minutes.
        again = [
            _each(r.name, r.index.count, lists) for r in self._rivals if r.name == "tokengrams"
        ]
        interleave([*batches, *again], rounds=self._rounds, seconds=0.02)
        self._report.timings(f"count, {_N_NGRAMS} n-grams in a batch", [*batches, *again])

        if again:
            rival_seconds = by_name["tokengrams"].timing.seconds
            for own in judged:
                self._report.at_least(
                    f"count a call, {own.name}, to tokengrams",
                    rival_seconds / own.timing.seconds,
                    1,
                )
            for own in batches:
                self._report.at_least(
                    f"count in a batch, {own.name}, to tokengrams",
                    again[0].timing.seconds / own.timing.seconds,
                    5,
                )

    def next_tokens(self, context: bytes) -> None:
        """Exact next-byte counts of one short, frequent context."""
        index, ids = self._index, list(context)
        right = truth.next_counts(self._data, context)
        found = index.ntd(context)
        self._compare("infgram ntd", [_counts(found)], [right])
        contenders = [Contender("infgram", lambda: index.ntd(context))]
        for rival in self._rivals:
            ask: Callable[[], Any]
            match rival:
                case Tokengrams():
                    ask = _call(rival.index.count_next, ids)
                    answer = rival.next_counts(ask())
                case InfiniGram():
                    ask = _call(rival.index.ntd, ids, max_support=EXACT)
                    answer = rival.next_counts(ask())
                case PyInfinigram():
                    ask = _call(rival.continuations, ids)
                    answer = dict(ask())
            self._compare(f"{rival.name} ntd", [answer], [right])
            contenders.append(Contender(rival.name, ask))
        interleave(contenders, rounds=self._rounds, seconds=0.02)
        self._report.timings(
            f"next-token counts of {context.decode()!r}, {found.prompt_cnt:,} matches", contenders
        )
        own = contenders[0].timing.seconds
        for contender in contenders[1:]:
            bar = {"tokengrams": 2, "infini-gram": 500}.get(contender.name)
            if bar:
                ratio = contender.timing.seconds / own
                self._report.at_least(f"ntd, to {contender.name}", ratio, bar)

    def levels(self, which: str, contexts: list[bytes]) -> None:
        """All levels, against rivals that only find the longest one."""
        index = self._index
        right = [truth.levels(self._data, context) for context in contexts]
        longest = [truth.longest(self._data, context) for context in contexts]
        lists = [list(context) for context in contexts]
        answers = [[tuple(level) for level in index.levels(context)] for context in contexts]
        self._compare("infgram levels", answers, right)
        own = [index.infgram_ntd(context) for context in contexts]
        self._compare(
            "infgram infgram_ntd", [(ntd.suffix_len, _counts(ntd)) for ntd in own], longest
        )
        contenders = [
            _each("infgram, all levels", index.levels, contexts),
            _each("infgram, infgram_ntd", index.infgram_ntd, contexts),
        ]
        for rival in self._rivals:
            if isinstance(rival, InfiniGram):
                found = [rival.index.infgram_ntd(ids, max_support=EXACT) for ids in lists]
                pairs = [(one["suffix_len"], rival.next_counts(one)) for one in found]
                self._compare("infini-gram infgram_ntd", pairs, longest)
                ask = _exact_infgram_ntd(rival)
                contenders.append(_each("infini-gram, infgram_ntd", ask, lists))
            elif isinstance(rival, PyInfinigram):
                tables = [dict(rival.continuations(ids)) for ids in lists]
                self._compare("py-infinigram continuations", tables, [t for _, t in longest])
                contenders.append(_each("py-infinigram, continuations", rival.continuations, lists))
        interleave(contenders, rounds=self._rounds, seconds=0.02)
        question = f"levels of a {_CONTEXT} byte context, {which}"
        self._report.timings(question, contenders)
        for contender in contenders:
            if contender.name.startswith("infini-gram"):
                ratio = contender.timing.seconds / contenders[0].timing.seconds
                self._report.at_least(f"{question}, to infini-gram's infgram_ntd", ratio, 50)

    def contexts_inside(self) -> list[bytes]:
        """Contexts that occur as a whole."""
        return [self._slice(_CONTEXT) for _ in range(_N_CONTEXTS)]

    def contexts_new(self) -> list[bytes]:
        """Contexts of which little more than the end occurs."""
        letters = b"abcdefghijklmnopqrstuvwxyz "
        return [
            bytes(self._random.choices(letters, k=_CONTEXT - 10)) + self._slice(10)
            for _ in range(_N_CONTEXTS)
        ]

    def _slice(self, n: int) -> bytes:
        start = self._random.randrange(len(self._data) - n)
        return self._data[start : start + n]

    def _compare(self, who: str, answers: Sequence[Any], right: Sequence[Any]) -> None:
        wrong = sum(a != b for a, b in zip(answers, right, strict=True))
        if wrong:
            self._report.note(f"{who}: {wrong} of {len(right)} answers are WRONG")


def _each(name: str, ask: Callable[[Any], Any], queries: Sequence[Any]) -> Contender:
    """Asks all queries one after another; an operation is one of them."""

    def run() -> None:
        for query in queries:
            ask(query)

    return Contender(name, run, len(queries))


def _call(function: Callable[..., Any], *args: Any, **options: Any) -> Callable[[], Any]:
    return lambda: function(*args, **options)


def _exact_infgram_ntd(rival: InfiniGram) -> Callable[[list[int]], Any]:
    ask = rival.index.infgram_ntd
    return lambda ids: ask(ids, max_support=EXACT)


def _counts(ntd: infgram.NextTokens) -> dict[int, int]:
    return dict(zip(ntd.token_ids.tolist(), ntd.counts.tolist(), strict=True))


if __name__ == "__main__":
    main()
