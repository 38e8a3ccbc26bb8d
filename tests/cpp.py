"""Builds and runs the C++ programs of the tests, with AddressSanitizer and UBSan."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]


@cache
def build(directory: str, variant: str = "", *options: str) -> Path:
    """The folder with the programs that tests/<directory>/CMakeLists.txt describes.

    `variant` names a second build of them, made with further CMake `options`.
    """
    source = ROOT / "tests" / directory
    binary = ROOT / "build" / "tests" / (directory + variant)
    generator = ["-G", "Ninja"] if _tool("ninja") else []
    arguments = ["-S", source, "-B", binary, *generator, *options]
    ninja = [f"-DCMAKE_MAKE_PROGRAM={_tool('ninja')}"] if generator else []
    _run([_tool("cmake"), *arguments, *ninja])
    _run([_tool("cmake"), "--build", binary, "--parallel", "2"])
    return binary


def run(program: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs a sanitized program; what it finds ends it with a report on stderr."""
    options = "max_allocation_size_mb=64:detect_stack_use_after_return=1"
    environment = {**os.environ, "ASAN_OPTIONS": options, "UBSAN_OPTIONS": "print_stacktrace=1"}
    command = [str(program), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def _tool(name: str) -> str | None:
    """The tool beside this Python, where pip puts it, or on the PATH."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


def _run(command: list[object]) -> None:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout[-8000:]}{done.stderr}")
