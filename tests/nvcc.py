"""Compiles CUDA sources for every architecture that we name, or builds with CMake, without a GPU.

The compiler is the nvcc on the PATH if it knows the architectures, else the one that PyPI has.
Libraries' headers come from PyPI as well. What was fetched and what did compile is remembered in
$P3D_CUDA_CACHE, or else caffe-p3d/cuda in $XDG_CACHE_HOME or ~/.cache.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path

import cpp
import fetch_nvcc
import pytest

ARCHITECTURES = ("75", "80", "86", "90", "100", "120")
OLDEST = (12, 8)  # the first nvcc that knows them all
INCLUDE = re.compile(rb'^\s*#\s*include\s*["<]([^">]+)[">]', re.MULTILINE)

HEADERS = {
    "cublas": "nvidia-cublas==13.10.0.20",
    "curand": "nvidia-curand==10.4.5.25",
    "cudnn8": "nvidia-cudnn-cu12==8.9.7.29",
    "cudnn9": "nvidia-cudnn-cu13==9.28.1.4",
}


def compile_cuda(
    sources: Iterable[Path],
    include_dirs: Sequence[Path],
    defines: Sequence[str] = (),
    archs: Sequence[str] = ARCHITECTURES,
    options: Sequence[str] = (),
    compiler: Path | None = None,
) -> None:
    """Compiles each source for each architecture and PTX of the last, hardly optimised, and keeps
    nothing of it; asserts that all succeed.

    Skips the calling test where no nvcc can be had. A source that compiled before with the same
    compiler, options and contents, also of what it includes from `include_dirs`, is not compiled
    again.
    """
    nvcc = compiler or find_nvcc()
    targets = [f"arch=compute_{arch},code=sm_{arch}" for arch in archs]
    targets.append(f"arch=compute_{archs[-1]},code=compute_{archs[-1]}")
    flags = [*(f"-gencode={target}" for target in targets), *(f"-D{name}" for name in defines)]
    flags += [*options, _quick(nvcc)]
    job = partial(_compile, nvcc, include_dirs, flags)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        done = list(pool.map(job, sources))
    failures = [text for text in done if text]
    assert not failures, "\n".join(failures)


def target(name: str) -> Path:
    """Makes a target of CMakeLists.txt with its CUDA part; returns the build folder. Skips the
    calling test where no nvcc can be had.

    For GPUs of 9.0, and as PTX that ptx/test_ptx_machine.py runs, all by one run of the compiler.
    """
    options = [f"-DCMAKE_CUDA_COMPILER={find_nvcc()}", "-DP3D_CUDA=ON", "-DP3D_PYTHON=OFF"]
    # As PTX these differ in instructions: 7.5 has no copies past the registers, and tensor cores
    # for fp16 alone.
    options += ["-DCMAKE_CUDA_ARCHITECTURES=75-virtual;90", "-DP3D_WGMMA_ARCHITECTURES=90a"]
    return cpp.target(name, "cuda", "-DCMAKE_CUDA_FLAGS=--no-compress", *options)


def headers(name: str) -> Path:
    """The folder with a library's headers; skips the calling test where PyPI has none for us."""
    folder = _folder((HEADERS[name],))
    try:
        fetch_nvcc.fetch((HEADERS[name],), folder, "/include/")
    except RuntimeError as error:
        pytest.skip(f"CUDA SKIPPED: {error}")
    found = sorted(folder.glob("nvidia/*/include"))
    assert found, f"{HEADERS[name]} has no headers any more"
    return found[0]


@cache
def find_nvcc() -> Path:
    """An nvcc that knows the architectures; skips the calling test where there is none."""
    found = shutil.which("nvcc")
    if found:
        release = re.search(r"release (\d+)\.(\d+)", _version(Path(found)))
        if release and tuple(map(int, release.groups())) >= OLDEST:
            return Path(found)
    return pypi_nvcc()


@cache
def pypi_nvcc() -> Path:
    """The nvcc of PyPI; skips the calling test where there is none."""
    if not (shutil.which("g++") or shutil.which("c++")):
        pytest.skip("CUDA SKIPPED: nvcc needs a C++ compiler on the PATH")
    try:
        return fetch_nvcc.nvcc(_folder(fetch_nvcc.COMPILER))
    except RuntimeError as error:
        pytest.skip(f"CUDA SKIPPED: {error}")


def _compile(nvcc: Path, include_dirs: Sequence[Path], flags: Sequence[str], source: Path) -> str:
    """What the compiler complains about, or nothing."""
    key = _fingerprint(source, include_dirs, [_version(nvcc), *flags])
    mark = _cache() / "compiled" / f"{source.name}-{key}"
    if mark.exists():
        return ""
    includes = [f"-I{folder}" for folder in include_dirs]
    with tempfile.TemporaryDirectory() as work:
        output = ["-c", str(source), "-o", str(Path(work, "out.o"))]
        command = [str(nvcc), *flags, *includes, *output]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    return ""


def _fingerprint(source: Path, include_dirs: Sequence[Path], texts: Iterable[str]) -> str:
    """Of the texts, the source and what it includes from the folders, wherever those lie."""
    digest = hashlib.sha256("\0".join(texts).encode())
    waiting, seen = [source], {source}
    while waiting:
        file = waiting.pop()
        content = file.read_bytes()
        digest.update(hashlib.sha256(content).digest())
        for name in INCLUDE.findall(content):
            for folder in [file.parent, *include_dirs]:
                path = folder / os.fsdecode(name)
                if path.is_file() and path not in seen:
                    seen.add(path)
                    waiting.append(path)
    return digest.hexdigest()[:32]


@cache
def _quick(nvcc: Path) -> str:
    """The option by which it optimises least, which is what most of its time goes into."""
    done = subprocess.run([nvcc, "--help"], capture_output=True, text=True, check=False)
    return "--Ofast-compile=max" if "--Ofast-compile" in done.stdout else "-Xptxas=-O1"


@cache
def _version(nvcc: Path) -> str:
    done = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=False)
    return done.stdout


def _cache() -> Path:
    own = os.environ.get("P3D_CUDA_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(own) if own else Path(base, "caffe-p3d", "cuda")


def _folder(requirements: Sequence[str]) -> Path:
    """Where what is fetched for these is kept."""
    name = hashlib.sha256(" ".join(requirements).encode()).hexdigest()[:8]
    return _cache() / f"{requirements[0].replace('==', '-')}-{name}"
