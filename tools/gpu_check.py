"""Verifies the CUDA kernels on the GPU of this machine: one command, one table.

    python tools/gpu_check.py                    builds, tests against the CPU, measures
    python tools/gpu_check.py --caffe BUILD      and runs the layers' tests of a Caffe with CUDA

Kernels are compared with the CPU's and timed, then the engine's tests run on the GPU, then nets.

Needs an NVIDIA GPU with its driver, nvcc 12.8 or newer, a C++ compiler and caffe-p3d with what its
tests need (`pip install '.[test]'`) in the Python that runs this; says what is missing otherwise.
BUILD is the build folder of a Caffe tree that plug_into_caffe.py has been run on, built with its
tests (`make test`): that is where the convolutions are, through cuDNN.

Exit codes: 0 all passed, 1 something failed, 2 something is missing, nothing was verified.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests" / "kernels"
INCLUDES = [f"-I{ROOT / 'layers'}", f"-I{TESTS}"]
NET_TESTS = tuple(ROOT / "tests" / "gpu" / f"test_{name}.py" for name in ("nets", "graph"))
NETS = (("p3d63-kinetics", 8), ("p3d199-kinetics", 1), ("p3d199-kinetics", 8))
CAFFE_TESTS = "BN*:Pooling3D*:Convolution3D*"


class Row(NamedTuple):
    what: str
    passed: bool
    result: str


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--caffe", type=Path, metavar="BUILD")
    parser.add_argument("--num", type=int, default=8, metavar="N", help="clips to measure with (8)")
    args = parser.parse_args(argv)
    missing = _missing()
    if missing:
        print(f"gpu_check: nothing was verified: {'; '.join(missing)}", file=sys.stderr)
        return 2
    print(_gpu())
    with tempfile.TemporaryDirectory() as work:
        rows = _check(Path(work), args.num)
    rows.append(_check_caffe(args.caffe) if args.caffe else NO_CAFFE)
    width = max(len(row.what) for row in rows)
    for row in rows:
        print(f"{row.what:{width}}  {'ok    ' if row.passed else 'FAILED'}  {row.result}")
    return 0 if all(row.passed for row in rows) else 1


NO_CAFFE = Row("layers in Caffe", True, "not run: needs --caffe BUILD")


def _missing() -> list[str]:
    """What this machine lacks, with the cure."""
    missing = []
    try:
        driver = ctypes.CDLL("libcuda.so.1")
        code, count = driver.cuInit(0), ctypes.c_int()
        if code or driver.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
            missing.append(f"the NVIDIA driver finds no GPU (cuInit returns {code})")
    except OSError:
        missing.append("there is no NVIDIA driver (libcuda.so.1); install it, or use a GPU machine")
    for tool, cure in (("nvcc", "install the CUDA toolkit"), ("cmake", "pip install cmake")):
        if not shutil.which(tool):
            missing.append(f"{tool} is not on the PATH; {cure}")
    for package in ("p3d", "pytest", "pybind11"):
        if not importlib.util.find_spec(package):
            missing.append(f"{package} cannot be imported; pip install '.[test]'")
    return missing


def _gpu() -> str:
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "GPU without nvidia-smi"


def _check(work: Path, num: int) -> list[Row]:
    options = ["-DP3D_CUDA=ON", "-DCMAKE_CUDA_ARCHITECTURES=native", "-DP3D_PYTHON=OFF"]
    error = _run(["cmake", "-S", ROOT, "-B", work, *options])
    error = error or _run(["cmake", "--build", work, "--target", "p3d_cuda", "--parallel"])
    if error:
        return [Row("p3d_cuda", False, error)]
    return [*_check_kernels(work, num), *check_nets(work / "libp3d_cuda.so", NETS)]


def _check_kernels(work: Path, num: int) -> list[Row]:
    rows = []
    for source in sorted(TESTS.glob("test_cuda_*.cpp")):
        rows.append(_build_and_run(work, source, [], []))
    kernels = [ROOT / "layers" / "kernels" / name for name in ("bn.cu", "pool.cu")]
    rows.append(_build_and_run(work, ROOT / "tools" / "bench_cuda.cpp", kernels, [str(num)]))
    rows.append(_build_and_run(work, ROOT / "tools" / "bench_cuda_conv.cpp", [], [str(num)]))
    return rows


def check_nets(
    library: Path, nets: Sequence[tuple[str, int]], tests: Sequence[Path] = NET_TESTS
) -> list[Row]:
    """The tests of nets with this library, and what (net, batch) take."""
    environment = {**os.environ, "P3D_CUDA_LIBRARY": str(library)}
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    error, _ = _output(pytest, environment)
    rows = [Row("nets on the GPU", not error, error or "equal to the stored outputs of Caffe")]
    for net, batch in nets:
        time = [sys.executable, "-m", "p3d", "time", net, "--batch", str(batch), "--json"]
        error, output = _output([*time, "--device", "cuda:0"], environment)
        result = error or f"{json.loads(output)['ms_per_item']['median']:.2f} ms per clip, float32"
        rows.append(Row(f"{net}, batch {batch}", not error, result))
    return rows


def _build_and_run(work: Path, source: Path, kernels: list[Path], arguments: list[str]) -> Row:
    """A program's row: the last line of its output, or all of it if there are more."""
    compiler = ["nvcc", "-std=c++14", "-O2", "-arch=native", *INCLUDES]
    objects = [work / f"{path.stem}.o" for path in (source, *kernels)]
    program = work / source.stem
    commands = [
        [*compiler, "-x=cu", "-c", path, "-o", result]
        for path, result in zip((source, *kernels), objects, strict=True)
    ]
    commands.append([*compiler, *objects, work / "libp3d_kernels.a", "-o", program])
    for command in commands:
        if error := _run(command):
            return Row(source.stem, False, error)
    done = subprocess.run(
        [str(program), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    lines = done.stdout.strip().splitlines()
    return Row(
        source.stem, done.returncode == 0, "\n    ".join(["", *lines] if lines[1:] else lines)
    )


def _check_caffe(build: Path) -> Row:
    programs = sorted(build.rglob("test.testbin")) or sorted(build.rglob("test_all.testbin"))
    if not programs:
        return Row("layers in Caffe", False, f"{build} has no test.testbin; build the tests")
    error = _run([programs[0], f"--gtest_filter={CAFFE_TESTS}"])
    return Row("layers in Caffe", not error, error or "all tests passed")


def _run(command: list[str | Path]) -> str:
    """What a command that fails prints; nothing if it succeeds."""
    return _output(command)[0]


def _output(
    command: list[str | Path], environment: dict[str, str] | None = None
) -> tuple[str, str]:
    """(what a command that fails prints, or nothing; what it prints on stdout)"""
    words = list(map(str, command))
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    text = f"{' '.join(words)}\n{(done.stdout + done.stderr)[-4000:]}" if done.returncode else ""
    return text, done.stdout


if __name__ == "__main__":
    sys.exit(main())
