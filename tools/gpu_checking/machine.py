"""What the machine lacks, and what its GPU is."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import re
import shutil
import subprocess

import fetch_nvcc

from gpu_checking.running import ROOT, output_of


def what_is_missing(tests: bool = True) -> list[str]:
    """What this machine lacks, with the cure; for the tests, too."""
    missing = []
    version, count = ctypes.c_int(), ctypes.c_int()
    try:
        driver = ctypes.CDLL("libcuda.so.1")
        driver.cuDriverGetVersion(ctypes.byref(version))
        code = driver.cuInit(0)
        if code or driver.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
            missing.append(f"the NVIDIA driver finds no GPU (cuInit returns {code})")
    except OSError:
        missing.append("there is no NVIDIA driver (libcuda.so.1); install it, or use a GPU machine")
    if not shutil.which("cmake"):
        missing.append("cmake is not on the PATH; pip install cmake")
    for package in ("p3d", "pytest") if tests else ("p3d",):
        if not importlib.util.find_spec(package):
            missing.append(f"{package} cannot be imported; pip install '.[test]'")
    if not missing and (error := _bring_nvcc() or _mismatch(version.value // 1000)):
        missing.append(error)
    return missing


def _bring_nvcc() -> str:
    """Puts an nvcc on the PATH, PyPI's where there is none; says why it cannot."""
    if shutil.which("nvcc"):
        return ""
    try:
        nvcc = fetch_nvcc.installed() or fetch_nvcc.nvcc(ROOT / "build" / "cuda")
    except RuntimeError as error:
        return f"nvcc is not on the PATH; install the CUDA toolkit ({error})"
    os.environ["PATH"] = os.pathsep.join([str(nvcc.parent), os.environ.get("PATH", "")])
    return ""


def _mismatch(driver: int) -> str:
    """What is wrong where nvcc is of a later CUDA than this one, whose programs the driver runs."""
    found = re.search(r"release (\d+)", output_of(["nvcc", "--version"])[1])
    if found is None or int(found[1]) <= driver:
        return ""
    return (
        f"the driver knows CUDA {driver}, what nvcc makes needs CUDA {found[1]}; update the driver "
        f"or put an nvcc of CUDA {driver} on the PATH"
    )


def gpu_name() -> str:
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "GPU without nvidia-smi"


def capability() -> str:
    """Of the first GPU: "90" for 9.0."""
    query = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
    _, output = output_of(query)
    return output.split()[0].replace(".", "")
