"""Questions from Python: count, next-token distribution, all back-off levels.

Every contender gets its queries in the form it likes best, prepared beforehand, and is asked for an
exact answer. All answers are compared with a scan of the text.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import infgram

from . import truth
from .failures import Trial
from .findings import Findings
from .processes import run_beside
from .question import Bench, CannotMeasure, Question
from .rivals import RIVALS, System, build_apart, next_counts
from .timing import Contender, interleave

_N_NGRAMS = 1000
_N_CONTEXTS = 32
_CONTEXT = 200
_BATCH = "count in a batch"
_IN_BATCHES = "tokengrams"  # counted in a loop beside infgram's batches


def _answer(bench: Bench) -> None:
    corpus, findings, limit = bench.settings.corpus, bench.findings, bench.settings.patience
    findings.setting["text"] = f"{len(corpus.text):,} bytes of {corpus.name}"
    if len(corpus.text) <= _CONTEXT:
        raise CannotMeasure(f"{corpus.name} has no context of {_CONTEXT} bytes: name a larger text")
    source = bench.folder / "corpus.txt"
    source.write_bytes(corpus.text)
    bench.progress("building indexes", 0, 0)
    index = infgram.build(source, bench.folder / "corpus.infgram", format="bytes")
    infgram.convert(index, bench.folder / "compact.infgram", layout="compact")
    trial = Trial()
    for rival in RIVALS:
        built = build_apart(rival, source, bench.folder / rival.name, trial, limit=limit)
        if isinstance(built, str) and rival.name not in trial.failed:
            findings.note(f"{rival.name}: {built}")
    bench.progress("asking", 0, 0)
    rounds = str(bench.settings.rounds)
    run = run_beside("queries", source, bench.folder, rounds, trial=trial, limit=limit)
    findings.take(Findings.from_json(run.result["findings"]))


QUESTION = Question(
    "queries",
    "Questions from Python",
    _answer,
    minutes=lambda settings: 0.4 if settings.quick else 1.5,
    in_quick=True,
)


# In a process of its own --------------------------------------------------------------------------


def ask(corpus: Path, folder: Path, rounds: int, trial: Trial) -> Findings:
    """Asks infgram and every rival that has an index in the folder."""
    rivals: list[System] = []
    for rival in RIVALS:
        if (folder / rival.name).is_dir() and rival.name not in trial.failed:
            with trial.of(rival.name, "opening"):
                rivals.append(rival(folder / rival.name))
    index = infgram.open(folder / "corpus.infgram")
    compact = infgram.open(folder / "compact.infgram")
    asked = _Queries(corpus.read_bytes(), index, compact, rivals, trial, rounds)
    asked.counts()
    asked.next_tokens(b"th")
    asked.levels("inside the text", asked.contexts_inside())
    asked.levels("10 bytes of the text after 190 random ones", asked.contexts_new())
    return asked.findings


class _Queries:
    """The questions, each a method that measures, compares answers and reports."""

    def __init__(
        self,
        data: bytes,
        index: infgram.Index,
        compact: infgram.Index,
        rivals: Sequence[System],
        trial: Trial,
        rounds: int,
    ) -> None:
        self.findings = Findings()
        self._data = data
        self._index = index
        self._compact = compact
        self._rivals = rivals
        self._trial = trial
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
        truth.check("infgram count", list(map(index.count, inside)), right)
        if is_text:
            contenders.append(_each("infgram, str", index.count, strings))
            truth.check("infgram count of str", list(map(index.count, strings)), right)
        judged = list(contenders)
        contenders.append(_each("infgram, compact, bytes", self._compact.count, inside))
        truth.check("infgram compact count", list(map(self._compact.count, inside)), right)
        contenders.append(_each("infgram, list of int", index.count, lists))
        truth.check("infgram count of ids", list(map(index.count, lists)), right)
        contenders += self._rivals_at("count", lists, right)
        alone = self._time("count, 3 to 20 bytes, one a call", contenders, "count")

        forms: list[tuple[str, Callable[[], Any]]] = [
            ("infgram, list of bytes", lambda: index.count_batch(inside)),
            ("infgram, flat array and offsets", lambda: index.count_batch(flat, offsets)),
        ]
        if is_text:
            forms.insert(0, ("infgram, list of str", lambda: index.count_batch(strings)))
        batches = [Contender(name, run, _N_NGRAMS) for name, run in forms]
        for name, run in forms:
            truth.check(f"{name} count_batch", run().tolist(), right)
        # Once more in turn with the batches: the ratio needs figures of the same minutes.
        again = [
            _each(r.name, r.calls["count"].ask, lists, rival=r.name)
            for r in self._rivals
            if r.name == _IN_BATCHES and r.name not in self._trial.failed
        ]
        title = f"count, {_N_NGRAMS} n-grams in a batch"
        measured = self._time(title, [*batches, *again], _BATCH)

        figures = self.findings.figures
        figures["count seconds"] = contenders[0].timing.seconds
        figures["count seconds in a batch"] = batches[0].timing.seconds
        self._keep_ratios(alone, "count, {}")
        first = {contender.name: contender for contender in contenders}
        for rival in measured[len(batches) :]:
            rival_seconds = first[_IN_BATCHES].timing.seconds
            batch_ratio = rival.timing.seconds / batches[0].timing.seconds
            figures["count in a batch, tokengrams"] = batch_ratio
            for own in judged:
                self.findings.at_least(
                    f"count a call, {own.name}, to tokengrams",
                    rival_seconds / own.timing.seconds,
                    1,
                )
            for own in batches:
                self.findings.at_least(
                    f"count in a batch, {own.name}, to tokengrams",
                    rival.timing.seconds / own.timing.seconds,
                    5,
                )

    def next_tokens(self, context: bytes) -> None:
        """Exact next-byte counts of one short, frequent context."""
        index, figures = self._index, self.findings.figures
        right = truth.next_counts(self._data, context)
        truth.check("infgram ntd", [next_counts(index.ntd(context))], [right])
        truth.check("infgram compact ntd", [next_counts(self._compact.ntd(context))], [right])
        contenders = [
            Contender("infgram", lambda: index.ntd(context)),
            Contender("infgram, compact", lambda: self._compact.ntd(context)),
        ]
        contenders += self._rivals_at("ntd", [context], [right])
        n_matches = sum(right.values())
        title = f"next-token counts of {context.decode()!r}, {n_matches:,} matches"
        measured = self._time(title, contenders, "ntd")
        own = contenders[0].timing.seconds
        figures.update({"ntd seconds": own, "ntd matches": n_matches})
        for rival, ratio in self._keep_ratios(measured, "ntd, {}").items():
            if bar := {"tokengrams": 2, "infini-gram": 500}.get(rival):
                self.findings.at_least(f"ntd, to {rival}", ratio, bar)

    def levels(self, which: str, contexts: list[bytes]) -> None:
        """All levels, against rivals that only find the longest one."""
        index, findings = self._index, self.findings
        right = [truth.levels(self._data, context) for context in contexts]
        longest = [truth.longest(self._data, context) for context in contexts]
        answers = [[tuple(level) for level in index.levels(context)] for context in contexts]
        truth.check("infgram levels", answers, right)
        own = [index.infgram_ntd(context) for context in contexts]
        found = [(ntd.suffix_len, next_counts(ntd)) for ntd in own]
        truth.check("infgram infgram_ntd", found, longest)
        contenders = [
            _each("infgram, all levels", index.levels, contexts),
            _each("infgram, compact, all levels", self._compact.levels, contexts),
            _each("infgram, infgram_ntd", index.infgram_ntd, contexts),
        ]
        alone = [table for _, table in longest]
        contenders += self._rivals_at("longest", contexts, alone, name="{}, longest suffix")
        question = f"levels of a {_CONTEXT} byte context, {which}"
        measured = self._time(question, contenders, "longest")
        findings.figures[f"levels seconds, {which}"] = contenders[0].timing.seconds
        for rival, ratio in self._keep_ratios(measured, f"levels, {{}}, {which}").items():
            if rival == "infini-gram":
                findings.at_least(f"{question}, to infini-gram's infgram_ntd", ratio, 50)

    def _rivals_at(
        self, question: str, queries: Sequence[Any], right: Sequence[Any], *, name: str = "{}"
    ) -> list[Contender]:
        """Every rival that answers the question, and does so rightly."""
        contenders = []
        for rival in self._rivals:
            call = rival.calls.get(question)
            if call is None or rival.name in self._trial.failed:
                continue
            with self._trial.of(rival.name, question):
                forms = [rival.query(bytes(query)) for query in queries]
                truth.check(question, [call.answer(call.ask(form)) for form in forms], right)
                contenders.append(_each(name.format(rival.name), call.ask, forms, rival=rival.name))
        return contenders

    def _time(self, title: str, contenders: list[Contender], question: str) -> list[Contender]:
        """Measures, and returns who came through it."""
        trial = self._trial
        interleave(contenders, rounds=self._rounds, seconds=0.02, trial=trial, doing=title)
        failed = {n: each for n, each in trial.failed.items() if self._takes_part(n, question)}
        self.findings.timing_table(title, contenders, failed=failed)
        return [contender for contender in contenders if contender.rival not in trial.failed]

    def _keep_ratios(self, measured: list[Contender], figure: str) -> dict[str, float]:
        """How many times as long as the first one each rival takes, as figures, too."""
        own = measured[0].timing.seconds
        ratios = {each.rival: each.timing.seconds / own for each in measured if each.rival}
        self.findings.figures.update({figure.format(name): x for name, x in ratios.items()})
        return ratios

    def _takes_part(self, rival: str, question: str) -> bool:
        """Would it have a row? Of a rival that could not be opened nobody knows better."""
        if question == _BATCH:
            return rival == _IN_BATCHES
        return all(question in each.calls for each in self._rivals if each.name == rival)

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


def _each(
    name: str, ask: Callable[[Any], Any], queries: Sequence[Any], *, rival: str = ""
) -> Contender:
    """Asks all queries one after another; an operation is one of them."""

    def run() -> None:
        for query in queries:
            ask(query)

    return Contender(name, run, len(queries), rival=rival)
