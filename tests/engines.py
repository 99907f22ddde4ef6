"""Packages of engines that drafts are made for: fetched by pip without what they need, unpacked.

`python tests/engines.py FOLDER` puts the newest version of each and the one before it there, a
folder a version, of what tests read alone; what is there already is not fetched again. Tests find
them in the folder that the environment variable INFGRAM_ENGINES names.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath

VARIABLE = "INFGRAM_ENGINES"
_N_VERSIONS = 2
_LARGEST = 4 << 20  # bytes of a file that tests may read
# Of which folders of a package files are kept, and how it is fetched.
_ENGINES = {
    "vllm": (("vllm/v1/spec_decode", "vllm/v1/worker/gpu_model_runner.py"), "--only-binary"),
    "sglang": (("sglang/srt/speculative", "sglang/srt/plugins"), "--only-binary"),
    "llama-cpp-python": (
        (
            "llama_cpp",
            "vendor/llama.cpp/common",
            "vendor/llama.cpp/include",
            "vendor/llama.cpp/ggml/include",
        ),
        "--no-binary",
    ),
}


def unpacked(name: str) -> list[Path]:
    """The folders of a package, the newest version first; none where nothing was fetched."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        return []
    return sorted(Path(folder).resolve().glob(f"{name}-[0-9]*"), key=_version_of, reverse=True)


def _version_of(folder: Path) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", folder.name)]


def seen() -> list[str]:
    """Names and versions of all that are there, and of what is installed."""
    found = [folder.name for name in _ENGINES for folder in unpacked(name)]
    with suppress(PackageNotFoundError):
        found.append(f"llama-cpp-python {version('llama-cpp-python')} (installed)")
    return found


def fetch(name: str, number: str, to: Path) -> Path:
    """The folder of a version, which is complete if it is there."""
    done = to / f"{name}-{number}"
    if done.is_dir():
        return done
    to.mkdir(parents=True, exist_ok=True)
    inside, how = _ENGINES[name]
    with tempfile.TemporaryDirectory(dir=to) as scratch:
        command = ["pip", "download", "--quiet", "--no-deps", how, ":all:", f"{name}=={number}"]
        subprocess.run([sys.executable, "-m", *command], cwd=scratch, check=True)
        (archive,) = Path(scratch).iterdir()
        half = Path(scratch) / "half"
        for path, content in _files(archive):
            if any(path.is_relative_to(folder) for folder in inside):
                (half / path).parent.mkdir(parents=True, exist_ok=True)
                (half / path).write_bytes(content)
        shutil.move(half, done)
    return done


def _files(archive: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Of a wheel, or of a source archive without its outermost folder."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for each in wheel.infolist():
                if not each.is_dir() and each.file_size <= _LARGEST:
                    yield PurePosixPath(each.filename), wheel.read(each)
        return
    with tarfile.open(archive) as source:
        for member in source:
            content = source.extractfile(member) if member.size <= _LARGEST else None
            if content is not None:
                yield PurePosixPath(*PurePosixPath(member.name).parts[1:]), content.read()


def versions(name: str) -> list[str]:
    """Those that pip could install here, the newest first."""
    command = [sys.executable, "-m", "pip", "index", "versions", name]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"Available versions: (.*)", told)
    assert found, told
    return found[1].split(", ")


if __name__ == "__main__":
    for engine in _ENGINES:
        for wanted in versions(engine)[:_N_VERSIONS]:
            print(fetch(engine, wanted, Path(sys.argv[1])), flush=True)
