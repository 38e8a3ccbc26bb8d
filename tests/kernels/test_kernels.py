"""The C++ tests of layers/kernels: here, with sanitizers, and on an emulated ARM processor."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import cpp
import pytest

PROGRAMS = sorted(path.stem for path in Path(__file__).parent.glob("test_*.cpp"))
ARM = ("-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64")


def check(command: list[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command[0]}\n{done.stdout}{done.stderr}"
    assert " checks, 0 failed" in done.stdout


@pytest.mark.parametrize("program", PROGRAMS)
def test_kernels(program: str) -> None:
    check([cpp.build("kernels") / program])


@pytest.mark.parametrize("program", PROGRAMS)
def test_kernels_sanitized(program: str) -> None:
    check([cpp.sanitized("kernels") / program, "--quick"])


@pytest.mark.parametrize("program", PROGRAMS)
def test_kernels_arm(program: str) -> None:
    compiler = shutil.which("aarch64-linux-gnu-g++")
    emulator = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    if not compiler or not emulator:
        pytest.skip("needs aarch64-linux-gnu-g++ and qemu-aarch64 on the PATH")
    options = (*ARM, f"-DCMAKE_CXX_COMPILER={compiler}", "-DCMAKE_EXE_LINKER_FLAGS=-static")
    check([emulator, cpp.build("kernels", "aarch64", *options) / program, "--quick"])
