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
import re
import resource
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .files import Job
from .systems import System


class Failed(Exception):
    """What a system said when it failed, in one line."""


class Started(NamedTuple):
    version: str
    first_result_s: float  # from files to the first result, imports not counted


def installed(system: System) -> bool:
    """Whether the system can be imported here; imports nothing of it."""
    return importlib.util.find_spec(system.module.partition(".")[0]) is not None


class Worker:
    def __init__(self, system: System, job: Job) -> None:
        self.system = system
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, system, job), daemon=True)
        self._process.start()
        other.close()

    def start(self) -> Started:
        return self._ask("start")

    def results(self) -> dict[str, np.ndarray]:
        return self._ask("results")

    def run(self, forwards: int) -> list[float]:
        return self._ask("run", forwards)

    def peak_memory(self) -> float:
        return self._ask("peak_memory")

    def stop(self) -> None:
        """Lets the process end by itself, if it can."""
        self._pipe.close()
        self._process.join(10)
        self._process.terminate()
        self._process.join()

    def _ask(self, *question: Any) -> Any:
        try:
            self._pipe.send(question)
            fine, answer = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(10)
            raise Failed(f"its process ended with code {self._process.exitcode}") from None
        if not fine:
            raise Failed(answer)
        return answer


def _serve(pipe: Any, system: System, job: Job) -> None:
    server = _Server(system, job)
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

    forward: Callable[[np.ndarray], list[np.ndarray]]

    def __init__(self, system: System, job: Job) -> None:
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

    def results(self) -> dict[str, np.ndarray]:
        return dict(zip(self.job.blobs, self.forward(self.clip), strict=True))

    def run(self, forwards: int) -> list[float]:
        seconds = []
        for _ in range(forwards):
            begin = time.perf_counter()
            self.forward(self.clip)
            seconds.append(time.perf_counter() - begin)
        return seconds

    def peak_memory(self) -> float:
        """Not ru_maxrss alone: Linux starts that at the peak of the process that started us."""
        try:
            with open("/proc/self/status") as file:
                for line in file:
                    if line.startswith("VmHWM:"):
                        return int(line.split()[1]) / 1024
        except OSError:
            pass
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
