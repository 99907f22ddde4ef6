"""The texts that are measured on: Tiny Shakespeare, Python's library, and as much as this disk has.

Nothing of it is part of infgram. Tiny Shakespeare is where the environment variable
INFGRAM_TINY_SHAKESPEARE says, or else is fetched once; the other two are gathered from files that
every machine has, so that any machine can measure.
"""

from __future__ import annotations

import hashlib
import os
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from infgram.errors import InfgramError

SHAKESPEARE = "tinyshakespeare"
VARIABLE = "INFGRAM_TINY_SHAKESPEARE"  # of the environment: the path of its file
_SHAKESPEARE_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
_SHAKESPEARE_URL = (
    "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
)
_LARGEST_FILE = 4 << 20
_SKIPPED = {"test", "tests", "site-packages", "dist-packages", "__pycache__", "idlelib"}
_SYSTEM_ROOTS = ("/usr/share", "/usr/include", "/usr/lib", "/usr/local")
_TEXT_SUFFIXES = (
    *(".c", ".cc", ".cfg", ".cmake", ".cpp", ".css", ".el", ".go", ".h", ".hpp", ".html", ".js"),
    *(".json", ".lua", ".md", ".mjs", ".pl", ".pm", ".po", ".pod", ".py", ".pyi", ".pyx", ".rb"),
    *(".rs", ".rst", ".scm", ".sh", ".tcl", ".tex", ".ts", ".txt", ".xml", ".yaml", ".yml"),
)


class NotShakespeare(InfgramError):
    """The environment names a file that is not Tiny Shakespeare."""


@dataclass(frozen=True)
class Corpus:
    """A text by name. The first 90 % of its bytes are for training, the rest is held out."""

    name: str
    text: bytes
    held_out: tuple[str, ...] = ()  # files, where whole ones are

    @property
    def training(self) -> bytes:
        return self.text[: int(0.9 * len(self.text))]

    @property
    def validation(self) -> bytes:
        return self.text[int(0.9 * len(self.text)) :]

    @property
    def is_shakespeare(self) -> bool:
        """Is it the text that published figures are of?"""
        return _sha256(self.text) == _SHAKESPEARE_SHA256


def _sha256(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def shakespeare() -> Corpus | None:
    """Tiny Shakespeare: the file that the environment names, or in the user's cache, fetched if
    need be.

    None where it cannot be had. Raises NotShakespeare where the environment names something else.
    """
    if named := os.environ.get(VARIABLE):
        return _named(Path(named))
    import pooch
    from platformdirs import user_cache_path

    pooch.get_logger().setLevel("ERROR")
    try:
        path = pooch.retrieve(
            _SHAKESPEARE_URL,
            known_hash=f"sha256:{_SHAKESPEARE_SHA256}",
            fname="tinyshakespeare.txt",
            path=user_cache_path("infgram") / "bench",
        )
    except (OSError, ValueError):  # no network; something else at that address
        return None
    return Corpus(SHAKESPEARE, Path(path).read_bytes())


def _named(path: Path) -> Corpus:
    try:
        found = Corpus(SHAKESPEARE, path.read_bytes())
    except OSError as error:
        raise NotShakespeare(
            f"{VARIABLE} is {str(path)!r}, which cannot be read ({error.strerror}), expected the "
            "path of Tiny Shakespeare: correct it, or unset it"
        ) from error
    if not found.is_shakespeare:
        raise NotShakespeare(
            f"{VARIABLE} is {str(path)!r}, which holds {len(found.text):,} bytes of SHA-256 "
            f"{_sha256(found.text)}, expected Tiny Shakespeare, of {_SHAKESPEARE_SHA256}: name its "
            f"file ({_SHAKESPEARE_URL}), or unset it"
        )
    return found


def standard_library(n_bytes: int = 1_200_000) -> Corpus:
    """Modules of Python's standard library by their names, of which every tenth is held out.

    As many bytes, cut at the end of either part. Without the tables of `encodings`, which are
    nearly the same.
    """
    root = Path(sysconfig.get_path("stdlib"))
    skipped = {*_SKIPPED, "encodings"}
    files = [f for f in sorted(root.rglob("*.py")) if not skipped & set(f.relative_to(root).parts)]
    held_out: dict[str, bytes] = {}
    wanted = n_bytes - int(0.9 * n_bytes)
    for file in files[5::10]:
        if (left := wanted - sum(map(len, held_out.values()))) > 0:
            held_out[file.relative_to(root).as_posix()] = file.read_bytes()[:left]
    behind = b"".join(held_out.values())
    others = b"".join(f.read_bytes() for i, f in enumerate(files) if i % 10 != 5)
    before = others[: 9 * len(behind) if behind else n_bytes]
    return Corpus("standard library", before + behind, tuple(held_out))


def gather(n_bytes: int, path: Path) -> int:
    """Writes up to so many bytes of this machine's text files to `path`; returns how many.

    Each different file once, UTF-8 all of it, in the order of the folders: the same on every run,
    another text on every machine. Raises OSError.
    """
    written = 0
    seen: set[bytes] = set()
    with open(path, "wb") as out:
        for file in _text_files():
            if written >= n_bytes:
                break
            try:
                text = file.read_bytes()
                text.decode()
            except (OSError, UnicodeDecodeError):
                continue
            digest = hashlib.sha256(text).digest()
            if digest in seen or b"\0" in text:
                continue
            seen.add(digest)
            written += out.write(text[: n_bytes - written])
    return written


def _text_files() -> Iterator[Path]:
    roots = [sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), sys.prefix]
    visited: set[str] = set()
    for root in map(os.path.realpath, [*roots, *_SYSTEM_ROOTS]):
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(f for f in folders if os.path.join(folder, f) not in visited)
            visited.add(folder)
            for name in sorted(names):
                file = Path(folder, name)
                if file.suffix in _TEXT_SUFFIXES and _is_small_file(file):
                    yield file


def _is_small_file(file: Path) -> bool:
    try:
        return not file.is_symlink() and 0 < file.stat().st_size <= _LARGEST_FILE
    except OSError:
        return False
