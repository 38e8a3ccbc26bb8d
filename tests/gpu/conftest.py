"""A GPU that needs no GPU: see simulated_gpu.cpp."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cpp
import pytest

ROOT = Path(__file__).parents[2]

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def library() -> Path:
    """The simulated GPU's library, unless P3D_CUDA_LIBRARY names that of a real one."""
    given = os.environ.get("P3D_CUDA_LIBRARY")
    return Path(given) if given else cpp.build("gpu") / "simulated_gpu.so"


@pytest.fixture(scope="session")
def nccl(library: Path) -> str:
    """The simulated NCCL, by which processes with that GPU reach each other, unless
    P3D_NCCL_LIBRARY names a real one."""
    given = os.environ.get("P3D_NCCL_LIBRARY")
    path = Path(given) if given else library.with_name("simulated_nccl.so")
    if not path.exists():
        pytest.skip("for three real GPUs name libnccl.so.2 in P3D_NCCL_LIBRARY")
    return str(path)


@pytest.fixture
def run(library: Path, tmp_path: Path) -> Run:
    """Runs Python with these arguments where that GPU is the only one.

    A library cannot be unloaded, so every test has a process of its own. Keyword arguments are
    environment variables; None takes one out. Convolutions are not compared, unless a test says so.
    """

    def run(*arguments: object, **variables: str | None) -> subprocess.CompletedProcess[str]:
        paths = [str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]
        changed = {
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "P3D_CUDA_LIBRARY": str(library),
            "P3D_CONVOLUTION": "own",
            **variables,
        }
        environment = {**os.environ, **changed}
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(
            command,
            env={name: value for name, value in environment.items() if value is not None},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    return run
