"""The core for other systems: compiled for each, and run where an emulator is installed.

    python tools/cross.py    # in an environment with ziglang and pybind11, which `make cross` makes

zig's C++ compiler knows all of these systems; the GNU compilers are asked too where they are
installed. One line a target as each is done, and at the end what was not run, and why. Exits with 1
if anything does not compile, or fails where it runs. The first time takes minutes longer: zig makes
the libraries of each system.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
OUT = ROOT / "build" / "cross"
TESTS = ("core", "models", "mix", "tracing", "answers", "playground")
ZIG = [sys.executable, "-m", "ziglang", "c++"]
# As CMakeLists.txt has them for such compilers; here a warning is an error.
FLAGS = ["-std=c++20", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Wno-psabi", "-Werror"]
FLAGS += ["-ffp-contract=off"]


def installed(*names: str) -> list[str]:
    """The first of these programs that is installed, if any is."""
    return next(([name] for name in names if shutil.which(name)), [])


# What runs WebAssembly in Node.js.
WASI = """
const { WASI } = require("node:wasi");
const path = process.argv[1];
const wasi = new WASI({ version: "preview1", args: [path] });
const code = require("node:fs").readFileSync(path);
WebAssembly.instantiate(code, wasi.getImportObject())
  .then(({ instance }) => process.exit(wasi.start(instance)));
"""
NODE = installed("node") and ["node", "--no-warnings", "-e", WASI, "--"]
WINE = installed("wine64", "wine")
QEMU = installed("qemu-aarch64", "qemu-aarch64-static")
QEMU_32 = installed("qemu-arm", "qemu-arm-static")

# Nothing is thrown where nothing fails, and zig's WebAssembly has nothing to throw with.
NO_THROW = """
#include <cstddef>
#include <cstdlib>
extern "C" void* __cxa_allocate_exception(std::size_t) { std::abort(); }
extern "C" void __cxa_throw(void*, void*, void*) { std::abort(); }
"""


@dataclass
class Target:
    """A system, a compiler for it, and what is done there."""

    system: str
    compiler: list[str]  # none: it is not installed
    runner: list[str] = field(default_factory=list)  # none: it is not installed
    needs: str = ""  # what its programs run in
    suffix: str = ""
    link: list[str] = field(default_factory=list)
    only_compiled: dict[str, str] = field(default_factory=dict)  # test: why
    left_out: dict[str, str] = field(default_factory=dict)  # test: why
    bindings: bool = False

    @property
    def name(self) -> str:
        return f"{self.system:20} {'zig' if ZIG[0] in self.compiler else 'g++'}"


def zig(system: str, **others: object) -> Target:
    return Target(system, [*ZIG, "-target", system], **others)  # type: ignore[arg-type]


TARGETS = [
    zig("x86_64-windows-gnu", runner=WINE, needs="wine", suffix=".exe"),
    zig("aarch64-macos", needs="macOS on ARM", bindings=True),
    zig("aarch64-linux-musl", runner=QEMU, needs="qemu-aarch64", link=["-static"]),
    zig("arm-linux-musleabihf", runner=QEMU_32, needs="qemu-arm", link=["-static"]),
    zig(
        "wasm32-wasi",
        runner=NODE,
        needs="node",
        suffix=".wasm",
        link=["no_throw.cpp"],
        only_compiled={"core": "it throws, and zig's WebAssembly cannot"},
        left_out=dict.fromkeys(
            ("models", "mix", "tracing"), "it takes locks, and zig's WebAssembly has no threads"
        ),
    ),
    Target(
        "x86_64-w64-mingw32",
        # Of Debian's two, the one that has std::mutex.
        installed("x86_64-w64-mingw32-g++-posix", "x86_64-w64-mingw32-g++"),
        runner=WINE,
        needs="wine",
        suffix=".exe",
        link=["-static"],
    ),
    Target(
        "aarch64-linux-gnu",
        installed("aarch64-linux-gnu-g++"),
        runner=QEMU,
        needs="qemu-aarch64",
        link=["-static"],
    ),
]


class Failed(Exception):
    """What a command said before it failed."""


def call(command: list[str], **environment: str) -> None:
    done = subprocess.run(
        command,
        cwd=OUT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=900,
    )
    if done.returncode:
        said = "\n".join(done.stdout.splitlines()[:40])
        raise Failed(f"$ {' '.join(command)}\n{said}\nexit code {done.returncode}")


def write(path: Path, text: str) -> None:
    """Only what changed: zig knows by a file's times whether it compiled it before."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def do(target: Target) -> tuple[list[str], list[str]]:
    """Compiles and runs; returns what was done, and what was not and why."""
    done: list[str] = []
    not_done = [f"not compiled: {test} ({why})" for test, why in target.left_out.items()]
    include = [f"-I{ROOT / 'csrc'}"]
    for test in TESTS:
        source = str(ROOT / "tests" / "cpp" / f"test_{test}.cpp")
        program = str(OUT / f"{target.system}-{test}{target.suffix}")
        command = [*target.compiler, *FLAGS, *include, source, "-o", program]
        if test in target.left_out:
            continue
        if test in target.only_compiled:
            call([*command, "-c"])
            done.append(f"{test} compiled")
            not_done.append(f"compiled, not run: {test} ({target.only_compiled[test]})")
            continue
        call([*command, *target.link])
        if not target.runner:
            done.append(f"{test} linked")
            not_done.append(f"compiled, not run: {test} (needs {target.needs})")
            continue
        call([*target.runner, program], WINEDEBUG="-all", WINEPREFIX=str(OUT / "wine"))
        done.append(f"{test} ran")
    if target.bindings:
        headers = Path(sysconfig.get_paths()["include"])
        if (headers / "Python.h").exists():
            import pybind11

            python = [f"-I{headers}", f"-I{pybind11.get_include()}", '-DINFGRAM_VERSION="0"']
            whole = OUT / "bindings.cpp"
            sources = sorted((ROOT / "csrc" / "bindings").glob("*.cpp"))
            write(whole, "".join(f'#include "{source}"\n' for source in sources))
            output = str(OUT / f"{target.system}-bindings.o")
            call([*target.compiler, *FLAGS, *include, *python, "-c", str(whole), "-o", output])
            done.append("bindings compiled")
        else:
            not_done.append("not compiled: bindings (this Python has no headers)")
    return done, not_done


def main() -> int:
    OUT.mkdir(parents=True, exist_ok=True)
    write(OUT / "no_throw.cpp", NO_THROW)
    left: list[str] = []
    failures: list[str] = []

    def report(target: Target) -> None:
        if not target.compiler:
            left.append(f"{target.name}  not compiled: all (this compiler is not installed)")
            return
        started = time.monotonic()
        try:
            done, not_done = do(target)
        except (Failed, subprocess.TimeoutExpired) as failure:
            failures.append(f"{target.name}\n{failure}")
            done, not_done = ["FAILED"], []
        left.extend(f"{target.name}  {each}" for each in not_done)
        print(f"{target.name}  {', '.join(done)}  {time.monotonic() - started:.0f} s", flush=True)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(report, TARGETS))
    if left:
        print("", *sorted(left), sep="\n")
    if failures:
        print("", *failures, sep="\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
