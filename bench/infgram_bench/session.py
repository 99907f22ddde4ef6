"""A run over questions: which are still open, what they cost, results kept as each one ends.

The folder of a run holds `results.json`, rewritten after every question, so that a run which was
interrupted goes on with the question it was at.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from . import machine
from .answers import Answer, read, write
from .findings import Findings
from .pictures import draw
from .question import Bench, CannotMeasure, Progress, Question
from .render import report
from .settings import Settings


class Session:
    """The answers in a folder. Raises OSError, ForeignResults."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._folder = folder.resolve()  # jobs may run in another one
        self._settings = settings
        self._path = folder / "results.json"
        self.answers: dict[str, Answer] = {}
        if self._path.exists():
            self.answers = read(self._path)

    def is_answered(self, question: Question) -> bool:
        """By a run with the same choices, the same build and the same versions."""
        answer = self.answers.get(question.name)
        return answer is not None and answer.fingerprint == self._settings.fingerprint

    def ask(self, question: Question, progress: Progress) -> Answer:
        """Answers a question and keeps the answer."""
        findings = Findings()
        texts = self._folder / "texts"
        texts.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        earlier = {
            name: answer.findings
            for name, answer in self.answers.items()
            if answer.fingerprint == self._settings.fingerprint
        }
        with (
            tempfile.TemporaryDirectory(prefix=".working-", dir=self._folder) as temp,
            machine.pinned(self._settings.core) as where,
        ):
            findings.setting["cores"] = where
            bench = Bench(self._settings, findings, Path(temp), texts, earlier, progress)
            try:
                question.answer(bench)
            except CannotMeasure as reason:
                findings.note(f"not measured: {reason}")
        answer = Answer(
            question.name,
            question.title,
            self._settings.fingerprint,
            machine.today(),
            time.perf_counter() - started,
            machine.description(),
            findings,
        )
        self.answers[question.name] = answer
        write(self.answers.values(), self._path)
        return answer

    def write_report(self, questions: Iterable[Question]) -> list[Path]:
        """Text and pictures of all that is answered of these; returns the session's files."""
        path = self._folder / "report.md"
        answers = [self.answers[each.name] for each in questions if self.is_answered(each)]
        path.write_text(report(answers), encoding="utf-8", errors="replace")  # names of files too
        return [self._path, path, *draw(answers, self._folder)]
