"""Cases in forked children: their limits, how they end, and what is told of it.

A child takes a batch of cases and says through a pipe which one it begins and what came of it, so
that a crash or a hang is known by its case. That case is then run alone, to tell one that is due to
it from one that the batch, or a busy machine, is to blame for.
"""

from __future__ import annotations

import faulthandler
import hashlib
import json
import os
import re
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import infgram
from infgram.errors import InfgramError

from . import cases, corpora, questions
from .cases import Case
from .corpora import Base
from .folders import contents

SANITIZED = "asan" in os.environ.get("LD_PRELOAD", "")
_SLOWER = 10 if SANITIZED else 1
_CPU_SECONDS = 20 * _SLOWER
_SECONDS = 20 * _SLOWER
_MEMORY = 384 << 20
"""Bytes of data that a child may have more than its parent."""

RIGHT, PLAUSIBLE, REFUSED = "right", "plausible", "refused"


@dataclass(frozen=True)
class Finding:
    """What must not be.

    - `number`: of the case.
    - `kind`: "crash", "hang", "exception", "impossible", "wrong", "unconfined", "touched".
    - `question`: what was asked; "open" before any.
    - `cause`: findings with the same one are told together.
    - `details`: for people.
    """

    number: int
    kind: str
    question: str
    cause: str
    details: str
    what: tuple[str, ...] = ()


@dataclass
class Report:
    """What came of some cases.

    - `cases`: by whether checksums were mended, and what came of the case: "refused" at open,
      "right" in all that was asked, "plausible" in some, "partly refused".
    - `answers`: answers by what they are.
    """

    seed: int
    cases: Counter[tuple[str, str]] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    seconds: float = 0.0
    most_memory: int = 0

    @property
    def n_cases(self) -> int:
        return self.cases.total()

    def text(self) -> str:
        """For people: figures, and each cause with the least case that shows it."""
        lines = [f"{self.n_cases:,} cases of seed {self.seed} in {self.seconds:.0f} s"]
        for mended in ("mended", "not mended"):
            of_kind = {kind: n for (m, kind), n in sorted(self.cases.items()) if m == mended}
            lines.append(f"  checksums {mended}: {_counted(of_kind)}")
        lines.append(f"  answers: {_counted(self.answers)}")
        lines.append(f"  errors: {_counted(self.errors)}")
        lines.append(f"  most memory of a child: {self.most_memory >> 20} MiB")
        kinds = Counter(finding.kind for finding in self.findings)
        lines.append(f"  findings: {_counted(kinds) or 'none'}")
        grouped: dict[tuple[str, str], list[Finding]] = {}
        for finding in self.findings:
            grouped.setdefault((finding.kind, finding.cause), []).append(finding)
        for (kind, cause), those in sorted(grouped.items(), key=lambda item: -len(item[1])):
            first = min(those, key=lambda finding: (len(finding.what), finding.number))
            lines += [
                "",
                f"{kind}, {len(those)} times: {cause}",
                f"  asked: {', '.join(sorted({each.question for each in those}))}",
                *(f"  {each[:300]}" for each in first.what),
                *(f"  | {line}" for line in first.details.splitlines()[:24]),
                f"  python -m fuzzing --seed {self.seed} --case {first.number}",
            ]
        return "\n".join(lines)


def _counted(counts: Counter[str] | dict[str, int]) -> str:
    return ", ".join(f"{n:,} {name}" for name, n in counts.items())


class Fuzzer:
    """Sound indexes, the right answers, and a scratch folder for both and for what is mutated."""

    def __init__(self, scratch: Path, *, seed: int = 0) -> None:
        self.scratch = scratch
        self.seed = seed
        sound = scratch / "sound"
        sound.mkdir()
        self.bases: list[Base] = corpora.make_all(sound)
        self._files = [contents(base.path) for base in self.bases]
        self._asked = [questions.material(base) for base in self.bases]
        self._right = [self._answers(base) for base in self.bases]

    def run(
        self,
        numbers: Iterable[int],
        *,
        jobs: int = 1,
        batch: int = 20,
        told: Callable[[Report], None] = lambda report: None,
    ) -> Report:
        """Runs cases, `jobs` children at once. Findings are told with the case run alone."""
        report = Report(self.seed)
        started = time.monotonic()
        waiting = _batches(list(numbers), batch)
        children: list[_Child] = []
        try:
            while waiting or children:
                while waiting and len(children) < jobs:
                    children.append(_Child(self, waiting.pop(0)))
                ready, _, _ = select.select([child.pipe for child in children], [], [], 0.5)
                for child in [c for c in children if c.pipe in ready or c.is_late()]:
                    ended = child.read()
                    for outcome in child.outcomes:
                        self._add(report, outcome)
                    child.outcomes.clear()
                    if ended:
                        children.remove(child)
                        self._close(report, child, waiting)
                        report.seconds = time.monotonic() - started
                        told(report)
        finally:
            for child in children:
                child.kill()
        report.seconds = time.monotonic() - started
        report.findings.sort(key=lambda finding: finding.number)
        return report

    def make(self, number: int, place: Path) -> Case:
        """Writes the index of a case into a folder."""
        return cases.make(self.seed, number, self.bases, self._files, place)

    def outcome(
        self, number: int, place: Path, say: Callable[[dict[str, Any]], None]
    ) -> dict[str, Any]:
        """Makes a case and asks all that can be asked; says before what."""
        case = self.make(number, place)
        say({"what": case.what})
        at = self.bases.index(case.base)
        before = contents(case.outside)
        kinds, errors, findings = Counter[str](), Counter[str](), list[Finding]()

        def find(kind: str, question: str, cause: str, details: str) -> None:
            findings.append(Finding(number, kind, question, cause, details, case.what))

        came = self._ask(case, at, kinds, errors, find, say)
        if contents(case.outside) != before:
            find("touched", "open", "a file outside of the index was changed", "")
        return {
            "mended": "mended" if case.is_mended else "not mended",
            "came": came,
            "answers": kinds,
            "errors": errors,
            "findings": [vars(finding) for finding in findings],
            "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10,
        }

    def _ask(
        self,
        case: Case,
        at: int,
        kinds: Counter[str],
        errors: Counter[str],
        find: Callable[[str, str, str, str], None],
        say: Callable[[dict[str, Any]], None],
    ) -> str:
        try:
            index = infgram.open(case.path, verify=case.verify)
        except InfgramError as error:
            errors[type(error).__name__] += 1
            return REFUSED
        except Exception as error:
            find("exception", "open", _cause(error), _told(error))
            return "failed"
        if case.must_refuse:
            find("unconfined", "open", _kind_of(case.what[0]), "it was opened")
        for name, ask in questions.asked_of(index):
            say({"asking": name})
            try:
                answer = _digest(ask(self._asked[at]))
            except InfgramError as error:
                kinds[REFUSED] += 1
                errors[type(error).__name__] += 1
                continue
            except questions.Impossible as error:
                find("impossible", name, f"{name}: {str(error).partition(':')[0]}", _told(error))
                continue
            except Exception as error:
                find("exception", name, _cause(error), _told(error))
                continue
            is_right = answer == self._right[at].get(name)
            kinds[RIGHT if is_right else PLAUSIBLE] += 1
            if not is_right and case.must_be_right:
                find("wrong", name, f"{name} of files that were changed", "")
        if kinds[REFUSED] > self._right[at]["refused"]:
            return "partly refused"
        return PLAUSIBLE if kinds[PLAUSIBLE] else RIGHT

    def _answers(self, base: Base) -> dict[str, Any]:
        """What the sound index answers, by question; how many it has no answer to."""
        index = infgram.open(base.path)
        found: dict[str, Any] = {"refused": 0}
        for name, ask in questions.asked_of(index):
            try:
                found[name] = _digest(ask(self._asked[self.bases.index(base)]))
            except InfgramError:
                found["refused"] += 1
        return found

    def _add(self, report: Report, outcome: dict[str, Any]) -> None:
        report.cases[outcome["mended"], outcome["came"]] += 1
        report.answers.update(outcome["answers"])
        report.errors.update(outcome["errors"])
        report.most_memory = max(report.most_memory, outcome["memory"])
        for found in outcome["findings"]:
            report.findings.append(Finding(**{**found, "what": tuple(found["what"])}))

    def _close(self, report: Report, child: _Child, waiting: list[list[int]]) -> None:
        """What is to be made of a child that has ended."""
        if child.running is None:
            if child.left:
                raise RuntimeError(f"a child ended between cases: {child.errors()[-2000:]}")
            return
        if child.left[1:]:
            waiting.insert(0, child.left[1:])
        if child.is_alone:
            report.cases["?", "crash" if child.crashed else "hang"] += 1
            report.findings.append(child.finding())
            return
        alone = _Child(self, [child.running], is_alone=True)
        while not alone.read():
            select.select([alone.pipe], [], [], 0.5)
        for outcome in alone.outcomes:
            self._add(report, outcome)
        if alone.running is not None:
            self._close(report, alone, waiting)
        elif child.crashed:  # what only happens behind other cases is a fault, too
            report.findings.append(child.finding(" (only behind other cases of its batch)"))


class _Child:
    """A process that runs a batch of cases."""

    def __init__(self, fuzzer: Fuzzer, numbers: Sequence[int], *, is_alone: bool = False) -> None:
        self.left = list(numbers)
        self.running: int | None = None
        self.is_alone = is_alone
        self.outcomes: list[dict[str, Any]] = []
        self.place = Path(tempfile.mkdtemp(dir=fuzzer.scratch))
        self._fuzzer = fuzzer
        self._said = b""
        self._what: tuple[str, ...] = ()
        self._asking = "open"
        self._since = time.monotonic()
        self._status: int | None = None
        self._late = False
        self.pipe, writing = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(self.pipe)
            _run(fuzzer, numbers, self.place, writing)
        os.close(writing)

    def read(self) -> bool:
        """Takes what the child has said; whether it has ended. Kills one that is late."""
        if self.is_late():
            self._late = True
            os.kill(self.pid, signal.SIGUSR1)  # which makes it tell where it is
            time.sleep(0.5)
            os.kill(self.pid, signal.SIGKILL)
        elif not select.select([self.pipe], [], [], 0)[0]:
            return False
        said = os.read(self.pipe, 1 << 20)
        self._said += said
        *lines, self._said = self._said.split(b"\n")
        for line in lines:
            told = json.loads(line)
            self._since = time.monotonic()
            if "begin" in told:
                self.running, self._what, self._asking = told["begin"], (), "open"
            elif "what" in told:
                self._what = tuple(told["what"])
            elif "asking" in told:
                self._asking = told["asking"]
            else:
                self.outcomes.append(told)
                self.left.pop(0)
                self.running = None
        if said and not self._late:
            return False
        self._end()
        return True

    def is_late(self) -> bool:
        limit = _SECONDS * (2 if self.is_alone else 1)
        return self._status is None and time.monotonic() - self._since > limit

    def kill(self) -> None:
        if self._status is None:
            os.kill(self.pid, signal.SIGKILL)
            self._end()

    def _end(self) -> None:
        _, self._status = os.waitpid(self.pid, 0)
        self._errors = (self.place / "errors").read_text(errors="replace")
        os.close(self.pipe)
        shutil.rmtree(self.place, ignore_errors=True)

    def errors(self) -> str:
        """What the child wrote on standard error."""
        return self._errors

    @property
    def crashed(self) -> bool:
        signalled = os.WTERMSIG(self._status or 0)
        return not self._late and signalled != signal.SIGXCPU

    def finding(self, more: str = "") -> Finding:
        """What the child died of."""
        assert self.running is not None
        kind = "crash" if self.crashed else "hang"
        cause = _native_cause(self._errors, self._status) + more
        return Finding(self.running, kind, self._asking, cause, self._errors, self._what)


# In the child -------------------------------------------------------------------------------------


def _run(fuzzer: Fuzzer, numbers: Sequence[int], place: Path, pipe: int) -> None:
    """Runs cases and never returns."""
    code = 1
    try:
        errors = os.open(place / "errors", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(errors, 2)
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        warnings.simplefilter("ignore")
        _limit()
        for number in numbers:
            os.ftruncate(errors, 0)
            _say(pipe, {"begin": number})
            folder = place / "case"
            _limit_cpu()
            outcome = fuzzer.outcome(number, folder, partial(_say, pipe))
            shutil.rmtree(folder, ignore_errors=True)
            _say(pipe, outcome)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _say(pipe: int, what: dict[str, Any]) -> None:
    said = json.dumps(what).encode() + b"\n"
    while said:
        said = said[os.write(pipe, said) :]


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    faulthandler.register(signal.SIGXCPU, all_threads=True, chain=True)
    if not SANITIZED:  # whose own report is better, and whose shadow is large
        faulthandler.enable()
        present = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_DATA, (present + _MEMORY, present + _MEMORY))


def _limit_cpu() -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    limit = int(used.ru_utime + used.ru_stime) + 1 + _CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (limit, hard))


# Telling ------------------------------------------------------------------------------------------


def _digest(answer: Any) -> str:
    return hashlib.sha256(repr(questions.comparable(answer)).encode("utf-8", "replace")).hexdigest()


def _kind_of(what: str) -> str:
    """A mutation without the names in it."""
    return re.sub(r"'.*'|\S*/\S*|shard-\d+", "...", what)


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    return [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "/infgram/" in frame.filename and "/fuzzing/" not in frame.filename
    ]


def _cause(error: BaseException) -> str:
    frames = _frames(error)
    at = "?"
    if frames:
        at = f"{frames[-1].filename.rpartition('/infgram/')[2]}:{frames[-1].lineno} {frames[-1].name}"
    return f"{type(error).__name__} in {at}"


def _told(error: BaseException) -> str:
    calls = [f"{f.filename.rpartition('/infgram/')[2]}:{f.lineno} {f.name}" for f in _frames(error)]
    return "\n".join([f"{type(error).__name__}: {str(error)[:300]}", *calls[-6:]])


def _native_cause(errors: str, status: int | None) -> str:
    """Signal, and the place that the sanitizer or Python's own handler names."""
    number = os.WTERMSIG(status or 0)
    name = signal.Signals(number).name if number else f"exit code {os.WEXITSTATUS(status or 0)}"
    lines = errors.splitlines()
    for line in lines:
        if "runtime error:" in line or line.startswith("SUMMARY:"):
            return f"{name}: {line[-160:]}"
    for line in lines:
        if line.lstrip().startswith("File ") and "/infgram/" in line:
            return f"{name} in {line.rpartition('/infgram/')[2][:160]}"
    return f"{name}: {lines[-1][-160:] if lines else ''}"


def _batches(numbers: Sequence[int], size: int) -> list[list[int]]:
    return [list(numbers[i : i + size]) for i in range(0, len(numbers), size)]


def scratch_folder() -> Path:
    """A folder in memory where there is one."""
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    return Path(tempfile.mkdtemp(prefix="infgram-fuzzing-", dir=parent))
