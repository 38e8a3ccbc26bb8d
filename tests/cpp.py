"""Builds and runs the C++ programs of the tests, with AddressSanitizer and UBSan.

A build folder is for all that is compiled in one way, so that nothing is compiled twice.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from file_lock import locked

ROOT = Path(__file__).parents[1]


@cache
def build(directory: str, variant: str = "plain", *options: str) -> Path:
    """The folder with the programs that tests/<directory>/CMakeLists.txt describes.

    `variant` names the build folder, which is made with CMake's `options`.
    """
    return target(directory, variant, "-DP3D_PYTHON=OFF", *options) / "tests" / directory


@cache
def sanitized(directory: str) -> Path:
    """The same, built with sanitizers."""
    return _build_sanitized(directory) / "tests" / directory


@cache
def sanitized_package() -> dict[str, str]:
    """The environment in which Python imports a p3d whose engine was built with sanitizers.

    Raises RuntimeError where the compiler has no AddressSanitizer that can be preloaded.
    """
    preload = [_library("libasan.so"), _library("libstdc++.so")]
    binary = _build_sanitized("_core")
    package = Path(_temporary().name)
    shutil.copytree(ROOT / "python" / "p3d", package / "p3d")
    _run([_tool("cmake"), "--install", binary, "--prefix", package])
    options = "detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=4096"
    return {
        **os.environ,
        "LD_PRELOAD": " ".join(preload),
        "PYTHONPATH": os.pathsep.join([str(package), str(ROOT / "tests")]),
        "ASAN_OPTIONS": options,
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }


@cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    """A folder that is there until this process ends."""
    return tempfile.TemporaryDirectory(prefix="p3d-sanitized-")


def _build_sanitized(name: str) -> Path:
    import pybind11

    python = [f"-DPython_EXECUTABLE={sys.executable}"]
    python.append(f"-Dpybind11_DIR={pybind11.get_cmake_dir()}")
    options = ["-DP3D_SANITIZE=ON", "-DCMAKE_BUILD_TYPE=None"]
    return target(name, "sanitized", *options, *python)


@cache
def target(name: str, variant: str, *options: str) -> Path:
    """Makes a target of CMakeLists.txt in the folder of a variant; returns that folder."""
    # As deep as pip's build folder, by the same tools and with the same flags: what pip has
    # compiled comes out of a compiler cache, where there is one.
    binary = ROOT / "build" / variant
    with locked(binary / "lock"):
        _make(name, binary, options)
    return binary


def _make(name: str, binary: Path, options: Iterable[str]) -> None:
    generator = ["-G", "Ninja"] if _tool("ninja") else []
    ninja = [f"-DCMAKE_MAKE_PROGRAM={_tool('ninja')}"] if generator else []
    options = ("-DP3D_TESTS=ON", *_compiler(), *generator, *ninja, *options)
    _run([_tool("cmake"), "-S", ROOT, "-B", binary, *options])
    _run([_tool("cmake"), "--build", binary, "--parallel", "2", "--target", name])


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
    """The tool on the PATH, or beside this Python, where pip puts it."""
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))


def _compiler() -> list[str]:
    """CMake's option for the one that made this Python, as pip takes it, unless $CXX names one."""
    name = (sysconfig.get_config_var("CXX") or "c++").split()[0]
    known = "CXX" not in os.environ and shutil.which(name)
    return [f"-DCMAKE_CXX_COMPILER={name}"] if known else []


def _run(command: list[object]) -> None:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout[-8000:]}{done.stderr}")
