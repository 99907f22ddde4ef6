"""Questions from Python: count, next-token distribution, all back-off levels.

Every contender gets its queries in the form it likes best, prepared beforehand, and is asked for an
exact answer. All answers are compared with a scan of the text.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

import infgram

from . import truth
from .findings import Findings
from .processes import JobFailed, run_job
from .question import Bench, CannotMeasure, Question
from .rivals import RIVALS, System, next_counts
from .timing import Contender, interleave

_N_NGRAMS = 1000
_N_CONTEXTS = 32
_CONTEXT = 200


def _answer(bench: Bench) -> None:
    corpus, findings = bench.settings.corpus, bench.findings
    findings.setting["text"] = f"{len(corpus.text):,} bytes of {corpus.name}"
    if len(corpus.text) <= _CONTEXT:
        raise CannotMeasure(f"{corpus.name} has no context of {_CONTEXT} bytes: name a larger text")
    source = bench.folder / "corpus.txt"
    source.write_bytes(corpus.text)
    bench.progress("building indexes", 0, 0)
    index = infgram.build(source, bench.folder / "corpus.infgram", calibrate=False)
    rivals = []
    for rival in RIVALS:
        home = bench.folder / rival.name
        home.mkdir()
        try:
            absent = run_job("peer_build", rival.name, source, home).result.get("absent")
        except JobFailed as failed:
            absent = f"build failed: {failed}"
        if absent:
            findings.note(f"{rival.name}: {absent}")
        else:
            rivals.append(rival(home))
    asked = _Queries(corpus.text, index, rivals, findings, bench.settings.rounds)
    bench.progress("counts", 0, 3)
    asked.counts()
    bench.progress("next-token distributions", 1, 3)
    asked.next_tokens(b"th")
    bench.progress("levels", 2, 3)
    asked.levels("inside the text", asked.contexts_inside())
    asked.levels("10 bytes of the text after 190 random ones", asked.contexts_new())


QUESTION = Question(
    "queries",
    "Questions from Python",
    _answer,
    minutes=lambda settings: 0.4 if settings.quick else 1.5,
    in_quick=True,
)


class _Queries:
    """The questions, each a method that measures, compares answers and reports."""

    def __init__(
        self,
        data: bytes,
        index: infgram.Index,
        rivals: Sequence[System],
        findings: Findings,
        rounds: int,
    ) -> None:
        self._data = data
        self._index = index
        self._rivals = rivals
        self._findings = findings
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
        self._findings.compare("infgram count", list(map(index.count, inside)), right)
        if is_text:
            contenders.append(_each("infgram, str", index.count, strings))
            self._findings.compare("infgram count of str", list(map(index.count, strings)), right)
        judged = list(contenders)
        contenders.append(_each("infgram, list of int", index.count, lists))
        self._findings.compare("infgram count of ids", list(map(index.count, lists)), right)
        for rival in self._rivals:
            call = rival.calls["count"]
            contenders.append(_each(rival.name, call.ask, lists))
            answers = [call.answer(call.ask(ids)) for ids in lists]
            self._findings.compare(f"{rival.name} count", answers, right)
        interleave(contenders, rounds=self._rounds, seconds=0.02)
        self._findings.timing_table("count, 3 to 20 bytes, one a call", contenders)
        by_name = {contender.name: contender for contender in contenders}

        forms: list[tuple[str, Callable[[], Any]]] = [
            ("infgram, list of bytes", lambda: index.count_batch(inside)),
            ("infgram, flat array and offsets", lambda: index.count_batch(flat, offsets)),
        ]
        if is_text:
            forms.insert(0, ("infgram, list of str", lambda: index.count_batch(strings)))
        batches = [Contender(name, run, _N_NGRAMS) for name, run in forms]
        for name, run in forms:
            self._findings.compare(f"{name} count_batch", run().tolist(), right)
        # Once more in turn with the batches: the ratio needs figures of the same minutes.
        again = [
            _each(r.name, r.calls["count"].ask, lists)
            for r in self._rivals
            if r.name == "tokengrams"
        ]
        interleave([*batches, *again], rounds=self._rounds, seconds=0.02)
        self._findings.timing_table(f"count, {_N_NGRAMS} n-grams in a batch", [*batches, *again])

        figures = self._findings.figures
        figures["count seconds"] = contenders[0].timing.seconds
        figures["count seconds in a batch"] = batches[0].timing.seconds
        if again:
            rival_seconds = by_name["tokengrams"].timing.seconds
            figures["count, tokengrams"] = rival_seconds / contenders[0].timing.seconds
            batch_ratio = again[0].timing.seconds / batches[0].timing.seconds
            figures["count in a batch, tokengrams"] = batch_ratio
            for own in judged:
                self._findings.at_least(
                    f"count a call, {own.name}, to tokengrams",
                    rival_seconds / own.timing.seconds,
                    1,
                )
            for own in batches:
                self._findings.at_least(
                    f"count in a batch, {own.name}, to tokengrams",
                    again[0].timing.seconds / own.timing.seconds,
                    5,
                )

    def next_tokens(self, context: bytes) -> None:
        """Exact next-byte counts of one short, frequent context."""
        index, findings = self._index, self._findings
        right = truth.next_counts(self._data, context)
        findings.compare("infgram ntd", [next_counts(index.ntd(context))], [right])
        contenders = [Contender("infgram", lambda: index.ntd(context))]
        for rival in self._rivals:
            call, query = rival.calls["ntd"], rival.query(context)
            findings.compare(f"{rival.name} ntd", [call.answer(call.ask(query))], [right])
            contenders.append(Contender(rival.name, partial(call.ask, query)))
        interleave(contenders, rounds=self._rounds, seconds=0.02)
        n_matches = sum(right.values())
        findings.timing_table(
            f"next-token counts of {context.decode()!r}, {n_matches:,} matches", contenders
        )
        own = contenders[0].timing.seconds
        findings.figures.update({"ntd seconds": own, "ntd matches": n_matches})
        for contender in contenders[1:]:
            ratio = contender.timing.seconds / own
            findings.figures[f"ntd, {contender.name}"] = ratio
            if bar := {"tokengrams": 2, "infini-gram": 500}.get(contender.name):
                findings.at_least(f"ntd, to {contender.name}", ratio, bar)

    def levels(self, which: str, contexts: list[bytes]) -> None:
        """All levels, against rivals that only find the longest one."""
        index, findings = self._index, self._findings
        right = [truth.levels(self._data, context) for context in contexts]
        longest = [truth.longest(self._data, context) for context in contexts]
        answers = [[tuple(level) for level in index.levels(context)] for context in contexts]
        findings.compare("infgram levels", answers, right)
        own = [index.infgram_ntd(context) for context in contexts]
        found = [(ntd.suffix_len, next_counts(ntd)) for ntd in own]
        findings.compare("infgram infgram_ntd", found, longest)
        contenders = [
            _each("infgram, all levels", index.levels, contexts),
            _each("infgram, infgram_ntd", index.infgram_ntd, contexts),
        ]
        for rival in self._rivals:
            if call := rival.calls.get("longest"):
                lists = [rival.query(context) for context in contexts]
                tables = [call.answer(call.ask(ids)) for ids in lists]
                alone = [table for _, table in longest]
                findings.compare(f"{rival.name}, longest suffix", tables, alone)
                contenders.append(_each(f"{rival.name}, longest suffix", call.ask, lists))
        interleave(contenders, rounds=self._rounds, seconds=0.02)
        question = f"levels of a {_CONTEXT} byte context, {which}"
        findings.timing_table(question, contenders)
        findings.figures[f"levels seconds, {which}"] = contenders[0].timing.seconds
        for contender in contenders:
            if contender.name.startswith("infini-gram"):
                ratio = contender.timing.seconds / contenders[0].timing.seconds
                findings.figures[f"levels, infini-gram, {which}"] = ratio
                findings.at_least(f"{question}, to infini-gram's infgram_ntd", ratio, 50)

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


def _each(name: str, ask: Callable[[Any], Any], queries: Sequence[Any]) -> Contender:
    """Asks all queries one after another; an operation is one of them."""

    def run() -> None:
        for query in queries:
            ask(query)

    return Contender(name, run, len(queries))
