"""Answers on disk: results.json, all figures of a run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infgram.errors import InfgramError

from .findings import Findings

_FORMAT = 1


class ForeignResults(InfgramError):
    """A file is not the results.json of a run."""


@dataclass(frozen=True)
class Answer:
    """Findings, and of when and what machine they are."""

    question: str
    title: str
    fingerprint: str
    date: str
    seconds: float
    machine: dict[str, str]
    findings: Findings


def write(answers: Iterable[Answer], path: Path) -> None:
    """Replaces the file as a whole. A line an answer, so that changes show by question."""
    lines = ",\n".join(
        json.dumps({**vars(answer), "findings": answer.findings.to_json()}, separators=(",", ":"))
        for answer in answers
    )
    partial = path.with_suffix(".partial")
    partial.write_text(f'{{"format":{_FORMAT},"answers":[\n{lines}\n]}}\n', encoding="utf-8")
    os.replace(partial, path)


def read(path: Path) -> dict[str, Answer]:
    """The answers in a results.json, by question. Raises ForeignResults, OSError."""
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if record["format"] != _FORMAT:
            raise KeyError("format")
        answers = [
            Answer(**{**answer, "findings": Findings.from_json(answer["findings"])})
            for answer in record["answers"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise ForeignResults(
            f"{path} holds no results of this version of the benchmarks: "
            "move it away, or choose another folder"
        ) from error
    return {answer.question: answer for answer in answers}
