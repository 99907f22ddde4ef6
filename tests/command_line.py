"""The command line as tests run it: in this process, in one of its own, in a terminal.

Processes of their own can be interrupted however the tests were started: conftest sees to it.
"""

from __future__ import annotations

import inspect
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import IO, Any

from click.testing import CliRunner, Result
from infgram_cli.main import cli
from waiting import TIMEOUT

# A development install prints what it compiles, unless it is told not to.
ENVIRONMENT = {**os.environ, "SKBUILD_EDITABLE_VERBOSE": "0"}
for _variable in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "INFGRAM_INDEX"):
    ENVIRONMENT.pop(_variable, None)


# Before 8.2, click's runner mixes the two streams unless it is told not to; later it never does.
_APART = {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}


def invoke(*arguments: object, stdin: str | bytes | None = None, **more: Any) -> Result:
    """A command in this process, however it ends. more: as click's runner takes it."""
    result = CliRunner(**_APART).invoke(cli, list(map(str, arguments)), input=stdin, **more)
    assert "Traceback" not in result.stderr, result.stderr
    return result


def run(
    *arguments: object, exit_code: int = 0, stdin: str | bytes | None = None, **more: Any
) -> Result:
    result = invoke(*arguments, stdin=stdin, **more)
    assert result.exit_code == exit_code, (result.output, result.exception)
    return result


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def start(
    *arguments: str | bytes,
    environment: Mapping[str, str] | None = None,
    stdin: int = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "infgram_cli", *arguments],
        env={**ENVIRONMENT, **(environment or {})},
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
    )


def executable(code: str, options: str = "") -> str:
    """A file that this Python runs when it is executed; its path may have spaces in it."""
    return f"""#!/bin/sh
'''exec' "{sys.executable}" {options} "$0" "$@"
' '''
{code}"""


def ended(process: subprocess.Popen[bytes]) -> tuple[int, bytes, bytes]:
    stdout, stderr = process.communicate(timeout=TIMEOUT)
    return process.returncode, stdout, stderr


def interrupted(process: subprocess.Popen[bytes]) -> tuple[int, bytes, bytes]:
    process.send_signal(signal.SIGINT)
    return ended(process)


def read_terminal(ours: int) -> bytes:
    """What is written to a terminal until nobody has its other side open; closes ours."""
    seen = b""
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        try:
            while piece := terminal.read(1 << 16):
                seen += piece
        except OSError:  # so Linux tells that the other side was closed
            pass
    return seen


def drawn(
    *arguments: str | bytes, stream: str = "stdout", environment: Mapping[str, str] | None = None
) -> tuple[str, str]:
    """What a command draws where `stream` is a terminal, and what it prints on the other one."""
    ours, theirs = pty.openpty()
    settings = {"TERM": "xterm", "COLUMNS": "100", **(environment or {})}
    process = start(*arguments, environment=settings, **{stream: theirs})
    os.close(theirs)
    seen = read_terminal(ours)
    code, stdout, stderr = ended(process)
    other = stderr if stream == "stdout" else stdout
    assert code == 0, (seen, other)
    return seen.decode(errors="replace").replace("\r\n", "\n"), other.decode()
