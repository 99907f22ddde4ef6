"""`python -m fuzzing`: runs cases and tells what came of them; one case alone with --case."""

from __future__ import annotations

import argparse
import os
import shutil
import sys

from .run import Fuzzer, Report, scratch_folder


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzzing", description=__doc__)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--case", type=int, help="this case alone")
    parser.add_argument("--keep", action="store_true", help="leave the mutated index behind")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    scratch = scratch_folder()
    try:
        fuzzer = Fuzzer(scratch, seed=asked.seed)
        numbers = range(asked.first, asked.first + asked.cases)
        if asked.case is not None:
            numbers = range(asked.case, asked.case + 1)
            case = fuzzer.make(asked.case, scratch / "kept")
            print(f"{case.base}, checksums {'' if case.is_mended else 'not '}mended", end=", ")
            print(f"opened with verify={case.verify}", *case.what, sep="\n  ")
            if asked.keep:
                shutil.copytree(case.path, f"case-{asked.case}.infgram", symlinks=True)
        report = fuzzer.run(numbers, jobs=asked.jobs, told=_tell(len(numbers)))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(report.text())
    return 1 if report.findings else 0


def _tell(n_cases: int):  # type: ignore[no-untyped-def]
    """A line each thousand cases."""
    last = [0]

    def tell(report: Report) -> None:
        if report.n_cases // 1000 > last[0]:
            last[0] = report.n_cases // 1000
            print(
                f"{report.n_cases:,} of {n_cases:,} cases, {report.seconds:.0f} s, "
                f"{len(report.findings)} findings",
                file=sys.stderr,
                flush=True,
            )

    return tell


if __name__ == "__main__":
    sys.exit(main())
