"""`python -m fuzzing`: runs cases and tells what came of them; ends with 1 if one must not be."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable

from .report import Report
from .run import Fuzzer, scratch_folder


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzzing", description=__doc__)
    parser.add_argument("--cases", type=int, default=1000, help="how many, from --first on")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--case", type=int, help="this case alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    parser.add_argument("--keep", action="store_true", help="leave the index of --case behind")
    asked = parser.parse_args()
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    scratch = scratch_folder()
    try:
        fuzzer = Fuzzer(scratch, seed=asked.seed)
        numbers = range(asked.first, asked.first + asked.cases)
        if asked.case is not None:
            numbers = range(asked.case, asked.case + 1)
            _show(fuzzer, asked.case, keep=asked.keep)
        report = fuzzer.run(numbers, jobs=asked.jobs, told=_each_thousand(len(numbers)))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(report.text())
    return 1 if report.findings else 0


def _show(fuzzer: Fuzzer, number: int, *, keep: bool) -> None:
    case = fuzzer.make(number, fuzzer.scratch / "shown")
    mended = "mended" if case.is_mended else "not mended"
    print(f"{case.base}, checksums {mended}, opened with verify={case.verify}:")
    print(*case.what, sep="\n", end="\n\n")
    if keep:
        shutil.copytree(case.path, f"case-{number}.infgram", symlinks=True)


def _each_thousand(n_cases: int) -> Callable[[Report], None]:
    """Tells how far it is on standard error."""
    last = 0

    def tell(report: Report) -> None:
        nonlocal last
        if report.n_cases // 1000 > last:
            last = report.n_cases // 1000
            done = f"{report.n_cases:,} of {n_cases:,} cases, {report.seconds:.0f} s"
            print(f"{done}, {len(report.findings)} findings", file=sys.stderr, flush=True)

    return tell


if __name__ == "__main__":
    sys.exit(main())
