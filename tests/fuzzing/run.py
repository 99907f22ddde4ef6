"""Cases asked all that can be asked, and what came of it held against the sound index's answers."""

from __future__ import annotations

import hashlib
import os
import re
import resource
import select
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import infgram
from infgram.errors import InfgramError

from . import cases, corpora, questions
from .cases import Case
from .children import SECONDS, Child, Say
from .corpora import Base
from .folders import contents
from .report import Finding, Report

_BATCH = 20
RIGHT, PLAUSIBLE, REFUSED = "right", "plausible", "refused"


class Fuzzer:
    """Sound indexes, their answers, and a scratch folder for them and for what is made of them.

    - `only`: names of the sound indexes to take; None: all.
    - `seconds`: after which a case hangs.
    """

    def __init__(
        self,
        scratch: Path,
        *,
        seed: int = 0,
        only: Iterable[str] | None = None,
        seconds: float = SECONDS,
    ) -> None:
        self.scratch = scratch
        self.seed = seed
        self.seconds = seconds
        sound = scratch / "sound"
        sound.mkdir()
        self.bases: list[Base] = corpora.make_all(sound, only)
        self._files = [contents(base.path) for base in self.bases]
        self._asked = [questions.material(base) for base in self.bases]
        self._right = [self._answers(at) for at in range(len(self.bases))]

    def make(self, number: int, place: Path) -> Case:
        """Writes the index of a case into a folder that does not exist yet."""
        return cases.make(self.seed, number, self.bases, self._files, place)

    def run(
        self,
        numbers: Iterable[int],
        *,
        jobs: int = 1,
        told: Callable[[Report], None] = lambda report: None,
    ) -> Report:
        """Runs cases, `jobs` children at once.

        A case that ends its child is run again, alone: what hung on a busy machine may go on then.
        """
        report = Report(self.seed)
        started = time.monotonic()
        left = list(numbers)
        waiting = [left[i : i + _BATCH] for i in range(0, len(left), _BATCH)]
        children: list[Child] = []
        try:
            while waiting or children:
                while waiting and len(children) < jobs:
                    batch = waiting.pop(0)
                    children.append(Child(self.outcome, batch, self.scratch, seconds=self.seconds))
                select.select([child.pipe for child in children], [], [], 0.5)
                for child in list(children):
                    if child.read():
                        children.remove(child)
                        waiting[:0] = self._close(report, child)
                        report.seconds = time.monotonic() - started
                        told(report)
        finally:
            for child in children:
                child.kill()
        report.seconds = time.monotonic() - started
        report.findings.sort(key=lambda finding: finding.number)
        return report

    def _close(self, report: Report, child: Child) -> list[list[int]]:
        """Counts what a child has told; returns cases that it did not come to."""
        for outcome in child.outcomes:
            report.add(outcome)
        if child.running is None:
            if child.left:
                raise RuntimeError(f"a child ended between two cases:\n{child.errors}")
            return []
        alone = Child(self.outcome, [child.running], self.scratch, seconds=2 * self.seconds)
        try:
            while not alone.read():
                select.select([alone.pipe], [], [], 0.5)
        finally:
            alone.kill()
        if alone.running is not None:
            report.add_end(alone.finding())
        else:
            report.add(alone.outcomes[0])
            if child.crashed:  # what happens only behind other cases is a fault, too
                report.findings.append(child.finding(" (only behind other cases of its batch)"))
        return [child.left[1:]] if child.left[1:] else []

    # Asking, in the child -------------------------------------------------------------------------

    def outcome(self, number: int, place: Path, say: Say) -> dict[str, Any]:
        """Makes a case, asks all that can be asked, and tells what came of it."""
        case = self.make(number, place)
        say({"what": case.what})
        say({"asking": "open"})
        outside = contents(case.outside)
        answers, errors, findings = Counter[str](), Counter[str](), list[Finding]()

        def find(kind: str, question: str, cause: str, details: str = "") -> None:
            findings.append(Finding(number, kind, question, cause, details, case.what))

        came = self._ask(case, answers, errors, find, say)
        if contents(case.outside) != outside:
            find("touched", "open", "a file outside of the index was changed")
        return {
            "mended": "mended" if case.is_mended else "not mended",
            "came": came,
            "answers": answers,
            "errors": errors,
            "findings": [vars(finding) for finding in findings],
            "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10,
        }

    def _ask(
        self,
        case: Case,
        answers: Counter[str],
        errors: Counter[str],
        find: Callable[..., None],
        say: Say,
    ) -> str:
        at = self.bases.index(case.base)
        right = self._right[at]
        try:
            index = infgram.open(case.path, verify=case.verify)
        except InfgramError as error:
            errors[type(error).__name__] += 1
            return REFUSED
        except Exception as error:
            find("exception", "open", _cause(error), _told(error))
            return "failed"
        if not _is_refused(index, case.must_refuse):
            find("unconfined", "open", _kind_of(case.what[0]), "it was opened")
        for name, ask in questions.asked_of(index):
            say({"asking": name})
            try:
                answer = _digest(ask(self._asked[at]))
            except InfgramError as error:
                answers[REFUSED] += 1
                errors[type(error).__name__] += 1
            except questions.Impossible as error:
                find("impossible", name, f"{name}: {str(error).partition(':')[0]}", _told(error))
            except Exception as error:
                find("exception", name, _cause(error), _told(error))
            else:
                is_right = answer == right.get(name)
                answers[RIGHT if is_right else PLAUSIBLE] += 1
                if not is_right and case.must_be_right:
                    find("wrong", name, f"{name} of files that were changed")
        if answers[REFUSED] > len(dict(questions.asked_of(index))) - len(right):
            return "partly refused"
        return PLAUSIBLE if answers[PLAUSIBLE] else RIGHT

    def _answers(self, at: int) -> dict[str, str]:
        """What a sound index answers, by question."""
        index = infgram.open(self.bases[at].path)
        found = {}
        for name, ask in questions.asked_of(index):
            try:
                found[name] = _digest(ask(self._asked[at]))
            except InfgramError:
                continue  # polishing needs an index with two sides, of letters
        return found


def _is_refused(index: infgram.Index, what: str) -> bool:
    """Whether what must be refused of an index that was opened is."""
    try:
        if what == "other side":
            return index.backwards is None
        if what == "calibration":
            return infgram.stored_calibration(index) is None
    except InfgramError:
        return True
    return what != "index"


def scratch_folder() -> Path:
    """A new folder, in memory where there is one."""
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    return Path(tempfile.mkdtemp(prefix="infgram-fuzzing-", dir=parent))


# Telling ------------------------------------------------------------------------------------------


def _digest(answer: Any) -> str:
    plain = repr(questions.comparable(answer)).encode("utf-8", "replace")
    return hashlib.sha256(plain).hexdigest()


def _kind_of(what: str) -> str:
    """A mutation without the names in it."""
    return re.sub(r"'.*'|\S*/\S*|shard-\d+", "...", what)


def _calls(error: BaseException) -> list[str]:
    """Where in infgram it was raised, the outermost call first."""
    return [
        f"{frame.filename.rpartition('/infgram/')[2]}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
        if "/infgram/" in frame.filename
    ]


def _cause(error: BaseException) -> str:
    return f"{type(error).__name__} in {(_calls(error) or ['?'])[-1]}"


def _told(error: BaseException) -> str:
    return "\n".join([f"{type(error).__name__}: {str(error)[:300]}", *_calls(error)[-6:]])
