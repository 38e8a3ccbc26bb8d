"""The test programs and benchmarks of the kernels."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from gpu_checking.running import ROOT, Row, run, run_program

TESTS = ROOT / "tests" / "kernels"
INCLUDES = [f"-I{ROOT / 'layers'}", f"-I{TESTS}"]


def check_kernels(work: Path, num: int) -> Iterator[Row]:
    tests = sorted(TESTS.glob("test_cuda_*.cpp"))
    benchmarks = sorted((ROOT / "tools").glob("bench_cuda*.cpp"))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        errors = list(pool.map(partial(build, work), [*tests, *benchmarks]))
    programs = [
        *((source, []) for source in tests),
        *((source, [str(num)]) for source in benchmarks),
    ]
    for error, (source, arguments) in zip(errors, programs, strict=True):
        if error:
            yield Row(source.stem, False, error)
        else:
            yield run_program(work / source.stem, arguments)


def build(work: Path, source: Path, architecture: str = "native") -> str:
    """Makes work/<the source's name>, a program on the kernels that were built in `work`; returns
    what a compiler that fails prints."""
    nvcc = ["nvcc", f"-arch={architecture}", *_library_options()]
    compiled = work / f"{source.stem}.o"
    options = ["-std=c++14", "-O2", *INCLUDES, "-x=cu", "-c", source, "-o", compiled]
    libraries = [work / "libp3d_cuda_kernels.a", work / "libp3d_kernels.a"]
    return run([*nvcc, *options]) or run([*nvcc, compiled, *libraries, "-o", work / source.stem])


def _library_options() -> list[str]:
    """Where CUDA's libraries are; nvcc 13.0 as PyPI has it does not know."""
    nvcc = shutil.which("nvcc")
    folder = Path(nvcc).resolve().parents[1] / "lib" if nvcc else ROOT
    return [f"-L{folder}"] if (folder / "libcudart_static.a").exists() else []
