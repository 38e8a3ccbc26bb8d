"""The layers' own tests in a Caffe with CUDA."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from gpu_checking.running import ROOT, Row, run

CAFFE_TESTS = ROOT / "layers" / "caffe" / "src" / "caffe" / "test"
CAFFE_OPTIONS = ("BUILD_docs=OFF", "BUILD_python=OFF", "USE_OPENCV=OFF", "USE_LEVELDB=OFF")
CAFFE_OPTIONS += ("USE_LMDB=OFF", "CMAKE_BUILD_TYPE=Release", "CMAKE_POLICY_VERSION_MINIMUM=3.5")
NOT_RUN = Row("layers in Caffe", True, "not run: needs --caffe TREE")


def check_caffe(tree: Path, work: Path, capability: str) -> Row:
    """The layers' own tests in a copy of this Caffe, built for GPUs of this compute capability."""
    copy, build = work / "caffe", work / "caffe-build"
    if not (tree / "src" / "caffe").is_dir():
        return Row("layers in Caffe", False, f"{tree} is no source tree of Caffe")
    shutil.copytree(tree, copy, symlinks=True, ignore=shutil.ignore_patterns(".git", "build"))
    tests = sorted(path.stem.removeprefix("test_") for path in CAFFE_TESTS.glob("test_*.cpp"))
    options = [*CAFFE_OPTIONS, f"BUILD_only_tests={','.join(tests)}"]
    options += ["CUDA_ARCH_NAME=Manual", f"CUDA_ARCH_BIN={capability}", "CUDA_ARCH_PTX="]
    commands: list[list[str | Path]] = [
        [sys.executable, ROOT / "tools" / "plug_into_caffe.py", copy, "--modernize"],
        ["cmake", "-S", copy, "-B", build, *(f"-D{option}" for option in options)],
        ["make", "-C", build, f"-j{os.cpu_count()}", "test.testbin"],
        [build / "test" / "test.testbin"],
    ]
    error = next(filter(None, map(run, commands)), "")
    return Row("layers in Caffe", not error, error or "all tests passed")
