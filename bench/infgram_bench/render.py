"""Answers as text: Markdown, the same for a terminal, a file and the README."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .answers import Answer


def report(answers: Iterable[Answer]) -> str:
    """Everything, question by question. Answers of the same machine name it once."""
    parts = ["# Benchmarks of infgram", ""]
    machine: Mapping[str, str] = {}
    for answer in answers:
        if answer.machine != machine:
            machine = answer.machine
            parts += [facts(machine), ""]
        parts += [section(answer), ""]
    return "\n".join(parts)


def section(answer: Answer) -> str:
    """One question: its setting, tables, bars and notes."""
    found = answer.findings
    setting = {**found.setting, "date": answer.date, "took": f"{answer.seconds / 60:.1f} minutes"}
    parts = [f"## {answer.title}", "", facts(setting), ""]
    for made in found.tables:
        parts += [table([made.title, *made.header], made.rows), ""]
    if found.bars:
        rows = [
            [
                bar.what,
                f"{_amount(bar.found)} {bar.unit}",
                f"{'at least' if bar.at_least else 'at most'} {_amount(bar.asked)} {bar.unit}",
                "reached" if bar.reached else "NOT reached",
            ]
            for bar in found.bars
        ]
        parts += [table(["what was asked", "found", "asked", ""], rows), ""]
    parts += [f"- {note}" for note in found.notes]
    return "\n".join(parts).rstrip() + "\n"


def facts(named: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {value}" for name, value in named.items())


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns line up as plain text too."""
    lines = [list(header), *map(list, rows)]
    cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    padded = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |"
        for line in cells
    ]
    rule = "| " + " | ".join("-" * width for width in widths) + " |"
    return "\n".join([padded[0], rule, *padded[1:]])


def _amount(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:,.4g}"
