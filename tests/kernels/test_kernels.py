"""The C++ tests of layers/kernels: here, with sanitizers, and on an emulated ARM processor."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock

import cpp
import pytest

PROGRAMS = sorted(path.stem for path in Path(__file__).parent.glob("test_*.cpp"))
ARM = ("-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64")
BUILDING = Lock()  # one at a time: they share what is built
Command = list[str | Path]
Done = subprocess.CompletedProcess[str]


def plain(program: str) -> Command:
    return [cpp.build("kernels") / program]


def sanitized(program: str) -> Command:
    return [cpp.sanitized("kernels") / program, "--quick"]


def run(command: Command) -> Done:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def build_and_run(way: Callable[[str], Command], program: str) -> Done:
    with BUILDING:
        command = way(program)
    return run(command)


def check(done: Done) -> None:
    assert done.returncode == 0, f"{' '.join(map(str, done.args))}\n{done.stdout}{done.stderr}"
    assert " checks, 0 failed" in done.stdout


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest) -> Iterator[dict[tuple[str, str], Future[Done]]]:
    """By way and program: what the tests that were chosen wait for. Programs run side by side, for
    each of them takes one processor."""
    ways = {"test_kernels": plain, "test_kernels_sanitized": sanitized}
    pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)))
    found = {}
    for item in request.session.items:
        way = ways.get(item.originalname) if item.module is request.module else None
        if way:
            program = item.callspec.params["program"]
            found[item.originalname, program] = pool.submit(build_and_run, way, program)
    yield found
    pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("program", PROGRAMS)
def test_kernels(program: str, running) -> None:
    check(running["test_kernels", program].result())


@pytest.mark.parametrize("program", PROGRAMS)
def test_kernels_sanitized(program: str, running) -> None:
    check(running["test_kernels_sanitized", program].result())


@pytest.mark.parametrize("program", PROGRAMS)
def test_kernels_arm(program: str) -> None:
    compiler = shutil.which("aarch64-linux-gnu-g++")
    emulator = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    if not compiler or not emulator:
        pytest.skip("needs aarch64-linux-gnu-g++ and qemu-aarch64 on the PATH")
    options = (*ARM, f"-DCMAKE_CXX_COMPILER={compiler}", "-DCMAKE_EXE_LINKER_FLAGS=-static")
    check(run([emulator, cpp.build("kernels", "aarch64", *options) / program, "--quick"]))
