"""A release: what must be true of it, checked, and what must be changed for it, written.

    python tools/release.py prepare 0.2.0     # writes version, changelog, names; commit it
    python tools/release.py check             # of the last commit: is it a release?
    python tools/release.py wheel             # of the last commit: is its wheel as promised?

`prepare` is the one way to set a version: in both pyproject files, in what infgram-bench asks for,
in the recipe and in the changelog. `wheel` needs the packages `build` and `twine` beside it; it
builds everything twice, in two folders, and installs it where there is no compiler.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

ROOT = Path(__file__).parents[1]
MOST_BYTES = 1_500_000  # of a wheel
VERSION = re.compile(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?")
UNRELEASED = "## [Unreleased]"
DOCUMENTS = ("README.md", "bench/README.md", "docs/drafting.md", "docs/refiner.md")

# Where a version stands, beside the pyproject files themselves.
PLACES = {
    "pyproject.toml": r'^version = "(.*)"$',
    "bench/pyproject.toml": r'^version = "(.*)"$|\binfgram\[[a-z,]+\]==([^"]+)"',
    "packaging/recipe.yaml": r'^  version: "(.*)"$',
}

# What a document says before there is anything to be had by name, and what it says from then on.
INSTALLING = """<!-- installing -->
```console
$ pip install infgram
$ infgram demo
```

There are wheels for Linux (x86-64 and ARM64), macOS (ARM64) and Windows (x64), which need no \
compiler; elsewhere, a C++20 compiler builds it in a minute. A clone has `make demo` and \
`make test`.
<!-- end of installing -->"""
NAMES = [
    (r"pip install \. \./bench\b", "pip install infgram infgram-bench"),
    (r"pip install \. '\./bench\[(\w+)\]'", r"pip install infgram 'infgram-bench[\1]'"),
    (r"pip install '\.\[(\w+)\]'", r"pip install 'infgram[\1]'"),
    (r"pip install \.(?=`)", "pip install infgram"),
    (r"(?s)<!-- installing -->.*<!-- end of installing -->", INSTALLING),
]


def read(name: str, root: Path = ROOT) -> str:
    return (root / name).read_text(encoding="utf-8")


def write(name: str, text: str, root: Path = ROOT) -> None:
    (root / name).write_text(text, encoding="utf-8")


# Preparing ----------------------------------------------------------------------------------------


def prepare(version: str, root: Path = ROOT, today: date | None = None) -> None:
    """Writes a version wherever one stands; for a release also the changelog and the names."""
    if not VERSION.fullmatch(version):
        sys.exit(f"{version!r} is no version, expected one like 0.2.0, 0.2.0rc1 or 0.3.0.dev0")
    for name, pattern in PLACES.items():
        found = re.compile(pattern, re.MULTILINE)

        def renewed(match: re.Match[str]) -> str:
            return match[0].replace(next(filter(None, match.groups())), version)

        text, n = found.subn(renewed, read(name, root))
        if not n:
            sys.exit(f"{name} has no version where one was expected ({pattern})")
        write(name, text, root)
    if ".dev" in version:
        return
    day = (today or date.today()).isoformat()
    heading = f"{UNRELEASED}\n\n## [{version}] - {day}"
    changes = read("CHANGELOG.md", root)
    if f"## [{version}]" not in changes:
        write("CHANGELOG.md", changes.replace(UNRELEASED, heading, 1), root)
    publish(root)


def publish(root: Path = ROOT) -> None:
    """Lets every hint and every document name what can then be had by name."""
    name = "src/infgram/extras.py"
    write(name, read(name, root).replace("PUBLISHED = False", "PUBLISHED = True"), root)
    for name in DOCUMENTS:
        text = read(name, root)
        for before, after in NAMES:
            text = re.sub(before, after, text)
        write(name, text, root)


# Checking the text --------------------------------------------------------------------------------


def versions(root: Path = ROOT) -> dict[str, set[str]]:
    """The versions that each file names."""
    return {
        name: {
            next(filter(None, match.groups()))
            for match in re.finditer(pattern, read(name, root), re.MULTILINE)
        }
        for name, pattern in PLACES.items()
    }


def check_text(root: Path = ROOT, tag: str | None = None) -> Iterator[tuple[str, str]]:
    """What a release's files must say, and what is wrong with it, or nothing."""
    version = tomllib.loads(read("pyproject.toml", root))["project"]["version"]
    others = {name: found for name, found in versions(root).items() if found != {version}}
    yield "one version everywhere", f"{version}, but {others}" if others else ""
    yield (
        "a version to release",
        f"{version} is one under way: python tools/release.py prepare X.Y.Z"
        if ".dev" in version
        else "",
    )
    if tag is not None:
        yield f"the tag is v{version}", "" if tag == f"v{version}" else f"it is {tag}"
    changes = read("CHANGELOG.md", root)
    section = re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n+(.*)", changes, re.M)
    yield "the changelog tells of it, with its date", "" if section else f"no section [{version}]"
    rest = changes.partition(UNRELEASED)[2].partition("\n## [")[0].strip()
    yield "nothing is left as unreleased", f"{rest[:60]!r}..." if rest else ""
    old = sorted(_measured(root) - {version, f"{version}.dev0"})
    yield "its figures were measured", f"some are of {', '.join(old)}" if old else ""
    published = "PUBLISHED = True" in read("src/infgram/extras.py", root)
    yield "hints name the distribution", "" if published else "extras.PUBLISHED is False"
    cloned = [
        name
        for name in DOCUMENTS
        for old, new in NAMES
        if _would_change(read(name, root), old, new)
    ]
    yield "documents name the distribution", f"not {', '.join(cloned)}" if cloned else ""


def _measured(root: Path) -> set[str]:
    """The versions of infgram that the stored figures are of."""
    answers = json.loads(read("bench/results/results.json", root))["answers"]
    return {answer["machine"]["infgram"] for answer in answers}


def _would_change(text: str, before: str, after: str) -> bool:
    return re.sub(before, after, text) != text


def check_repository() -> Iterator[tuple[str, str]]:
    """What the repository must be like when a release is made from it."""
    changed = git("status", "--porcelain")
    yield "everything is committed", changed and f"not {changed.split()[1]} and others"
    exact = git("tag", "--points-at", "HEAD").split()
    yield "the commit has a tag of its version, or none", _wrong_tags(exact)


def _wrong_tags(tags: list[str]) -> str:
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    return "" if set(tags) <= {f"v{version}"} else f"it has {', '.join(tags)}"


def git(*arguments: str, root: Path = ROOT) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=root, check=True, capture_output=True, text=True
    ).stdout.strip()


# Checking the wheel -------------------------------------------------------------------------------


@contextmanager
def clone(commit: str) -> Iterator[Path]:
    """A commit alone, in a new folder."""
    with tempfile.TemporaryDirectory(prefix="infgram-release-") as folder:
        root = Path(folder, "infgram")
        git("clone", "--quiet", "--no-checkout", str(ROOT), str(root))
        git("checkout", "--quiet", commit, root=root)
        yield root


def build(commit: str, output: Path) -> list[Path]:
    """Both distributions' sdists, and wheels made from them."""
    when = git("log", "-1", "--format=%ct", commit)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": when}
    with clone(commit) as root:
        for folder in (root, root / "bench"):
            command = [sys.executable, "-m", "build", "--outdir", output, folder]
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            if done.returncode:
                sys.exit(f"{folder.name} cannot be built:\n{done.stdout[-3000:]}{done.stderr}")
    return sorted(output.iterdir())


def check_wheel(keep: Path | None = None, within: float | None = None) -> Iterator[tuple[str, str]]:
    """Whether what is built is the same each time, small, and runs without a compiler."""
    with tempfile.TemporaryDirectory(prefix="infgram-wheel-") as folder:
        one, other = Path(folder, "one"), Path(folder, "another folder")
        commit = git("rev-parse", "HEAD")
        files, again = build(commit, one), build(commit, other)
        yield "four files", "" if len(files) == 4 else f"{[each.name for each in files]}"
        differ = [a.name for a, b in zip(files, again, strict=True) if digest(a) != digest(b)]
        yield "built twice, equal byte for byte", f"not {', '.join(differ)}" if differ else ""
        wheel = next(each for each in files if re.fullmatch(r"infgram-[^-]+-cp.*\.whl", each.name))
        size = wheel.stat().st_size
        yield f"{size:,} bytes, under {MOST_BYTES:,}", "" if size < MOST_BYTES else "it is larger"
        yield from check_contents(wheel, packaged(commit))
        command = [sys.executable, "-m", "twine", "check", "--strict", *files]
        said = subprocess.run(command, capture_output=True, text=True)
        yield "metadata that twine takes", said.stdout[-500:] if said.returncode else ""
        yield from check_installed(wheel, Path(folder, "empty"), within)
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            for each in files:
                shutil.copy2(each, keep)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def packaged(commit: str) -> set[str]:
    """Where a wheel puts what a commit has in its two packages."""
    packages = {"src/infgram": "infgram", "cli/infgram_cli": "infgram_cli"}
    return {
        Path(package, Path(name).relative_to(folder)).as_posix()
        for folder, package in packages.items()
        for name in git("ls-tree", "-r", "--name-only", commit, folder).splitlines()
    }


def check_contents(wheel: Path, packages: set[str]) -> Iterator[tuple[str, str]]:
    """Whether a wheel holds these files, and beside them only what a build makes."""
    made = re.compile(
        r"infgram/_core\.[^/]+\.(so|pyd)"
        r"|infgram-[^/]+\.data/data/share/man/man1/infgram\.1"
        r"|infgram-[^/]+\.dist-info/(METADATA|RECORD|WHEEL|entry_points\.txt|licenses/LICENSE)"
    )
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    yield "every file of the packages", ", ".join(sorted(packages - held))
    others = {name for name in held - packages if not made.fullmatch(name)}
    yield "and beside them only what a build makes", ", ".join(sorted(others))


def check_installed(wheel: Path, folder: Path, within: float | None) -> Iterator[tuple[str, str]]:
    """Whether a wheel installs and runs in an empty environment, without a compiler."""
    venv.create(folder / "venv", with_pip=True)
    bin_ = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    nothing = "false" if os.name != "nt" else "cmd /c exit 1"
    environment = {**os.environ, "CC": nothing, "CXX": nothing, "XDG_CACHE_HOME": str(folder)}
    environment.pop("PYTHONPATH", None)
    started = time.monotonic()
    seconds = []
    for command in (
        [bin_ / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check", wheel],
        [bin_ / "infgram", "demo", "-o", folder / "demo"],
    ):
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, encoding="utf-8"
        )
        seconds.append(time.monotonic() - started - sum(seconds))
        if done.returncode:
            yield f"{command[0].name} without a compiler", done.stdout[-1000:] + done.stderr[-1000:]
            return
    total = sum(seconds)
    yield (
        f"installed without a compiler in {seconds[0]:.1f} s, demo in {seconds[1]:.1f} s",
        f"{total:.1f} s, expected under {within:.0f} s" if within and total > within else "",
    )
    said = subprocess.run([bin_ / "infgram", "--version"], capture_output=True, text=True).stdout
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    yield "infgram --version tells it", "" if version in said else said


# The command --------------------------------------------------------------------------------------


def report(*checks: Iterator[tuple[str, str]]) -> int:
    """Prints each check as it is done; 1 if any fails."""
    failed = False
    for each in checks:
        for what, wrong in each:
            print(
                f"{'FAILED' if wrong else 'ok':7} {what}{f': {wrong}' if wrong else ''}", flush=True
            )
            failed |= bool(wrong)
    return int(failed)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    preparing = commands.add_parser("prepare", help="write a version wherever one stands")
    preparing.add_argument("version")
    checking = commands.add_parser("check", help="whether the last commit is a release")
    checking.add_argument("--tag", help="the tag that it is released under")
    wheels = commands.add_parser("wheel", help="whether its wheel is as promised")
    wheels.add_argument("-o", "--output", type=Path, help="keep what was built in this folder")
    wheels.add_argument(
        "--within", type=float, metavar="SECONDS", help="from an empty environment to a demo's end"
    )
    given = parser.parse_args(arguments)
    if given.command == "prepare":
        prepare(given.version)
        return report(check_text()) if ".dev" not in given.version else 0
    if given.command == "check":
        return report(check_text(tag=given.tag), check_repository())
    return report(check_wheel(given.output, given.within))


if __name__ == "__main__":
    sys.exit(main())
