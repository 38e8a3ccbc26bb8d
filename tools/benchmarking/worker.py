"""One process per system, so that neither threads nor memory of the others disturb it.

    worker = Worker(system, job)
    worker.start()             versions, milliseconds from file to first result
    worker.results()           name -> values, for the clip of the job
    worker.run(5)              seconds of five forwards
    worker.peak_memory()       MiB
    worker.stop()

A worker that is not asked anything waits for its pipe and takes no processor time. What goes wrong
there is raised here as Failed.
"""

from __future__ import annotations

import importlib
import importlib.util
import multiprocessing
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .files import Job
from .gpu_systems import OnGpu
from .systems import Forward, System
from .training_files import Training


class Failed(Exception):
    """What a system said when it failed, in one line."""


class Started(NamedTuple):
    version: str
    first_result_s: float  # from files to the first result, imports not counted


def installed(system: System) -> bool:
    """Whether the system can be imported here, or is another Python's; imports nothing of it."""
    here = importlib.util.find_spec(system.module.partition(".")[0]) is not None
    return here or bool(system.python)


class Worker:
    def __init__(self, system: System, job: Job | Training) -> None:
        self.system = system
        self._folder = tempfile.TemporaryDirectory(prefix="p3d-benchmark-")
        self._pipe, other = multiprocessing.Pipe()
        self._process = subprocess.Popen(
            [system.python or sys.executable, "-c", _SERVE, str(other.fileno())],
            pass_fds=[other.fileno()],
            stdout=2,  # stdout is for the results
            env=_environment(system, job.threads),
        )
        other.close()
        self._pipe.send((system, job))

    def start(self) -> Started:
        return self._ask("start")

    def results(self) -> dict[str, np.ndarray]:
        path = os.path.join(self._folder.name, "results.npz")
        self._ask("results", path)
        with np.load(path) as file:
            return dict(file)

    def run(self, forwards: int) -> list[float]:
        return self._ask("run", forwards)

    def peak_memory(self) -> float:
        return self._ask("peak_memory")

    def stop(self) -> None:
        """Lets the process end by itself, if it can."""
        self._pipe.close()
        if self._ended() is None:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    def _ended(self) -> int | None:
        """The code of a process that ends; it gets ten seconds."""
        try:
            return self._process.wait(10)
        except subprocess.TimeoutExpired:
            return None

    def _ask(self, *question: Any) -> Any:
        try:
            self._pipe.send(question)
            fine, answer = self._pipe.recv()
        except (EOFError, OSError):
            raise Failed(f"its process ended with code {self._ended()}") from None
        if not fine:
            raise Failed(answer)
        return answer


_SERVE = "import sys; from benchmarking.worker import serve; serve(int(sys.argv[1]))"


def _environment(system: System, threads: int) -> dict[str, str]:
    """Of the process: the modules that this one has, or what PYTHONPATH names for another Python.

    Thread counts that are read when a library is loaded are set here.
    """
    tools = str(Path(__file__).parents[1])
    more = [os.environ.get("PYTHONPATH", "")] if system.python else sys.path
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([tools, *more]),
        "P3D_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
        "GLOG_minloglevel": "2",
    }


def serve(descriptor: int) -> None:
    """In the process: answers what the Worker at the other end of the pipe asks."""
    pipe = Connection(descriptor)
    server = _Server(*pipe.recv())
    while True:
        try:
            name, *arguments = pipe.recv()
        except EOFError:
            return
        try:
            answer = True, getattr(server, name)(*arguments)
        except Exception as error:
            text = " ".join(str(error).split())
            answer = False, f"{type(error).__name__}: {text[:300]}"
        pipe.send(answer)


class _Server:
    """The other end: methods of the names that Worker asks for."""

    forward: Forward

    def __init__(self, system: System, job: Job | Training) -> None:
        self.system, self.job = system, job

    def start(self) -> Started:
        version = importlib.import_module(self.system.module).__version__
        version = re.split(r"[-+]", version)[0]
        self.clip = np.load(self.job.clip)
        begin = time.perf_counter()
        self.forward = self.system.load(self.job)
        self.forward(self.clip)
        seconds = time.perf_counter() - begin
        return Started(version, seconds)

    def results(self, path: str) -> None:
        """To a file, for all weights in a message would be this process's peak of memory."""
        np.savez(path, **dict(zip(self.job.blobs, self.forward(self.clip), strict=True)))

    def run(self, forwards: int) -> list[float]:
        seconds = []
        for _ in range(forwards):
            begin = time.perf_counter()
            self.forward(self.clip)
            seconds.append(time.perf_counter() - begin)
        return seconds

    def peak_memory(self) -> float:
        """Of the GPU, where the system runs on one. Not ru_maxrss alone: Linux starts that at the
        peak of the process that started us."""
        if isinstance(self.forward, OnGpu):
            return self.forward.gpu_mib()
        try:
            with open("/proc/self/status") as file:
                for line in file:
                    if line.startswith("VmHWM:"):
                        return int(line.split()[1]) / 1024
        except OSError:
            pass
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
