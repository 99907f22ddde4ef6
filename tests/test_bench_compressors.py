"""Compressors as language models: the archive of a whole text, less that of its first part."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from command_line import run
from infgram_bench import compressors
from infgram_bench.processes import JobFailed

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="programs are shell scripts")
TRAINING, VALIDATION = b"to be or not to be, " * 20, b"that is the question" * 2


def program(folder: Path, name: str, script: str) -> Path:
    made = folder / name
    made.write_text(f"#!/bin/sh\n{script}\n")
    made.chmod(0o755)
    return made


def half(text: str, archive: str) -> str:
    return f'head -c $(($(wc -c < "${text}") / 2)) "${text}" > "${archive}"'


@pytest.mark.parametrize(
    ("name", "script", "expected"),
    [
        ("paq8px", 'cp "$2" "$3"', 256.0),  # 8 bits a byte
        ("paq8px", half("2", "3"), 16.0),
        ("paq8px", half("2", "3") + '; mv "$3" "$3.paq8px"', 16.0),  # an archive of another name
        ("cmix", half("2", "3"), 16.0),
        ("7z", half("5", "4"), 16.0),
        ("7zz", half("5", "4"), 16.0),
    ],
)
def test_a_compressor_pays_in_bits(tmp_path: Path, name: str, script: str, expected: float) -> None:
    made = program(tmp_path, name, script)
    found = compressors.perplexity(made, TRAINING, VALIDATION, limit=60)
    assert found == pytest.approx(expected)
    assert compressors.name_of(made)


@pytest.mark.parametrize(
    ("script", "message"),
    [("echo full >&2; exit 3", "full"), ("true", "wrote no archive"), ("sleep 9", "stopped after")],
)
def test_a_compressor_that_fails_says_so(tmp_path: Path, script: str, message: str) -> None:
    with pytest.raises(JobFailed, match=message):
        compressors.perplexity(program(tmp_path, "cmix", script), TRAINING, VALIDATION, limit=1)


def test_a_compressor_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    made = program(tmp_path, "gzip", "true")
    assert compressors.name_of(made) is None
    refused = run("bench", "--list", "--compressor", made, exit_code=2)
    assert "--compressor names gzip, expected a program called 7z" in refused.stderr
