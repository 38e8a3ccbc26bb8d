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
    _build(source, binary, *options)
    return binary


def _build(source: Path, binary: Path, *options: str) -> None:
    generator = ["-G", "Ninja"] if _tool("ninja") else []
    ninja = [f"-DCMAKE_MAKE_PROGRAM={_tool('ninja')}"] if generator else []
    _run([_tool("cmake"), "-S", source, "-B", binary, *generator, *ninja, *options])
    _run([_tool("cmake"), "--build", binary, "--parallel", "2"])


@cache
def sanitized_package() -> dict[str, str]:
    """The environment in which Python imports a p3d whose engine was built with sanitizers.

    Raises RuntimeError where the compiler has no AddressSanitizer that can be preloaded.
    """
    import pybind11

    preload = [_library("libasan.so"), _library("libstdc++.so")]
    binary, package = (ROOT / "build" / "tests" / name for name in ("sanitized", "sanitized-p3d"))
    arguments = ["-DP3D_SANITIZE=ON", f"-Dpybind11_DIR={pybind11.get_cmake_dir()}"]
    arguments += [f"-DPython_EXECUTABLE={sys.executable}"]
    _build(ROOT, binary, *arguments)
    shutil.copytree(ROOT / "python" / "p3d", package / "p3d", dirs_exist_ok=True)
    _run([_tool("cmake"), "--install", binary, "--prefix", package])
    options = "detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=4096"
    return {
        **os.environ,
        "LD_PRELOAD": " ".join(preload),
        "PYTHONPATH": os.pathsep.join([str(package), str(ROOT / "tests")]),
        "ASAN_OPTIONS": options,
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    }


def _library(name: str) -> str:
    """Where the compiler keeps one of its libraries."""
    compiler = os.environ.get("CXX", "c++")
    command = [*compiler.split(), f"-print-file-name={name}"]
    path = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    if not os.path.isabs(path):
        raise RuntimeError(f"{compiler} has no {name}")
    return os.path.realpath(path)


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
