"""The two plugged trees, and ways to run things in them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import apt_source
import numpy as np
import pytest
import real_caffe
import upstream_python

import p3d

HERE = Path(__file__).parent
PREPARE = "python tests/upstream/prepare.py builds real Caffe (4 minutes, once)"


class Plugged(NamedTuple):
    """A Caffe tree with our layers, and the Python that can import it."""

    tree: real_caffe.Tree
    python: Path
    folders: tuple[Path, ...]  # of p3d, and of the tests' modules

    def run(self, *command: str | Path, backend: str | None = None) -> str:
        """Runs a command in that Python; returns its output. A failure tells how to repeat it."""
        done = subprocess.run(
            [self.python, *command],
            env=self.environment(backend),
            cwd=real_caffe.ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, (
            f"{done.stdout[-6000:]}\nexit status {done.returncode}; {self.again(*command)}"
        )
        return done.stdout

    def environment(self, backend: str | None = None) -> dict[str, str]:
        return upstream_python.environment(self.tree, *self.folders, backend=backend)

    def again(self, *command: str | Path, backend: str | None = None) -> str:
        """How to run a command alone."""
        path = self.environment()["PYTHONPATH"]
        chosen = f"P3D_BACKEND={backend} " if backend else ""
        words = " ".join(map(str, command))
        return f"alone: {chosen}PYTHONPATH={path} {self.python} {words}"


@pytest.fixture(scope="session", params=apt_source.TREES)
def plugged(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Plugged]:
    if not real_caffe.is_prepared():
        pytest.skip(f"UPSTREAM SKIPPED: {PREPARE}")
    alone = tmp_path_factory.mktemp("p3d-alone")  # of all that is installed beside it
    (alone / "p3d").symlink_to(Path(p3d.__file__).parent)
    try:
        with real_caffe.tree(request.param) as tree:
            yield Plugged(tree, upstream_python.interpreter(), (alone, HERE.parent))
    except apt_source.Unavailable as error:
        pytest.skip(f"UPSTREAM SKIPPED: {error}")


class Worker:
    """Runs golden cases in a real Caffe; see worker.py."""

    def __init__(self, plugged: Plugged, folder: Path) -> None:
        self._plugged, self._folder, self._count = plugged, folder, 0
        environment = {**plugged.environment(), "OPENBLAS_NUM_THREADS": "1", "P3D_NUM_THREADS": "2"}
        self._process = subprocess.Popen(
            [plugged.python, HERE / "worker.py"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, case: Path, replace: tuple[str, str] | None = None) -> dict[str, np.ndarray]:
        """What the case gives there."""
        self._count += 1
        out = self._folder / f"{self._count}.npz"
        job = json.dumps({"case": str(case), "out": str(out), "replace": replace})
        again = f"echo '{job}' | {self._plugged.again(HERE / 'worker.py').removeprefix('alone: ')}"
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(job + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"the worker ended; alone: {again}"
        result = json.loads(answer)
        status = os.waitstatus_to_exitcode(result["status"])
        assert status == 0, f"{result['log']}\nexit status {status}; alone: {again}"
        with np.load(out) as file:
            return dict(file)

    def close(self) -> None:
        with self._process:  # closes its pipes, so that it ends, and waits for it
            pass


@pytest.fixture(scope="session")
def worker(plugged: Plugged, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    made = Worker(plugged, tmp_path_factory.mktemp("worker"))
    yield made
    made.close()
