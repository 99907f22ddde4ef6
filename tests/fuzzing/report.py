"""What came of cases, counted, and what must not be, told with the least case that shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_MOST_DETAILS = 24


@dataclass(frozen=True)
class Finding:
    """What must not be.

    - `number`: of the case; `what`: its mutations.
    - `kind`: "crash", "hang", "exception", "impossible" (an answer that no index can give), "wrong"
      (an answer of another text, though checksums were looked at), "unconfined" (opened, though it
      leads out of its folder), "touched" (a file outside was changed).
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

    - `cases`: (whether checksums were mended, what came of it): "refused" at open, "partly refused"
      where some questions were, "plausible" where some answers are others than the sound index's,
      "right", "failed", "crash", "hang".
    - `answers`: to single questions; `errors`: those of them that were refused, by their types.
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

    def add(self, outcome: Mapping[str, Any]) -> None:
        """Counts what a child says of a case."""
        self.cases[outcome["mended"], outcome["came"]] += 1
        self.answers.update(outcome["answers"])
        self.errors.update(outcome["errors"])
        self.most_memory = max(self.most_memory, outcome["memory"])
        self.findings += [
            Finding(**{**found, "what": tuple(found["what"])}) for found in outcome["findings"]
        ]

    def add_end(self, finding: Finding) -> None:
        """Counts a case that ended its process."""
        self.cases["mended or not", finding.kind] += 1
        self.findings.append(finding)

    def text(self) -> str:
        lines = [f"{self.n_cases:,} cases of seed {self.seed} in {self.seconds:.0f} s"]
        for mended in sorted({mended for mended, _ in self.cases}):
            came = {kind: n for (m, kind), n in sorted(self.cases.items()) if m == mended}
            lines.append(f"  checksums {mended}: {_counted(came)}")
        lines.append(f"  answers: {_counted(self.answers)}")
        lines.append(f"  errors: {_counted(self.errors)}")
        lines.append(f"  most memory of a child: {self.most_memory >> 20} MiB")
        kinds = Counter(finding.kind for finding in self.findings)
        lines.append(f"  findings: {_counted(kinds)}")
        causes: dict[tuple[str, str], list[Finding]] = {}
        for finding in self.findings:
            causes.setdefault((finding.kind, finding.cause), []).append(finding)
        for (kind, cause), those in sorted(causes.items(), key=lambda item: -len(item[1])):
            least = min(those, key=lambda finding: (len(finding.what), finding.number))
            lines += [
                "",
                f"{kind}, {len(those)} times: {cause}",
                f"  asked: {', '.join(sorted({each.question for each in those}))}",
                *(f"  {each[:300]}" for each in least.what),
                *(f"  | {line}" for line in least.details.splitlines()[:_MOST_DETAILS]),
                f"  PYTHONPATH=tests python -m fuzzing --seed {self.seed} --case {least.number}",
            ]
        return "\n".join(lines)


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n:,} {name}" for name, n in counts.items()) or "none"
