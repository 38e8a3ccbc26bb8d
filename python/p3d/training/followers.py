"""The other ranks of `p3d train` on several GPUs: processes that follow this one, rank 0.

They read no signals, show nothing and end when this process does. What ends one early is told by
this process.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from p3d import caffe, gpu
from p3d.caffe import backend
from p3d.cli._guard import show_warning
from p3d.error import Error

SECONDS = 20.0  # for a process to end that has nothing left to do


class Followers:
    """One process for each of `gpus` but the first; `job` is what `_follow` is given besides."""

    def __init__(self, gpus: list[int], job: dict[str, Any]) -> None:
        self._gpus = gpus
        self._processes = []
        self._uid = caffe.NCCL.new_uid()
        code = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import main; main()"
        for rank in range(1, len(gpus)):
            process = subprocess.Popen(
                [sys.executable, "-c", code],
                env={**os.environ, "P3D_DEVICE": f"cuda:{gpus[rank]}"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            self._processes.append(process)
            whole = {**job, "rank": rank, "count": len(gpus), "uid": self._uid.hex()}
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # `check` says why
                process.stdin.write(json.dumps(whole).encode() + b"\n")
                process.stdin.flush()

    @contextmanager
    def joined(self, solver: Any) -> Iterator[None]:
        """Inside, all train the net of this solver. Raises Error for a follower that ends."""
        nccl = None
        try:
            nccl = caffe.NCCL(solver, self._uid, self._check)
            nccl.bcast()
            solver.add_callback(nccl)
            yield
        except Error:
            if nccl is not None and nccl.ended is not None:
                raise Error(self._epitaph(nccl.ended)) from None
            raise
        if solver.iter >= solver.param.max_iter:
            self._finish()

    def kill(self) -> None:
        """Ends all that still run."""
        for process in self._processes:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()

    def _check(self) -> None:
        for rank, process in enumerate(self._processes, 1):
            if process.poll() is not None:
                raise Error(self._epitaph(rank))

    def _epitaph(self, rank: int) -> str:
        """Of a rank that has ended: why."""
        process = self._processes[rank - 1]
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(SECONDS)
        code = process.poll()
        told = process.stdout.read().decode() if process.stdout and code == 1 else ""
        if code is not None and code < 0:
            told = f"its process was ended by {signal.Signals(-code).name}"
        return f"GPU {self._gpus[rank]}: {told or f'its process ended with exit code {code}'}"

    def _finish(self) -> None:
        """Waits for those that have nothing left to do."""
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(SECONDS)


@contextmanager
def following(gpus: list[int], job: dict[str, Any]) -> Iterator[Followers]:
    """Inside, this process is rank 0 on the first of `gpus`, and the others are there.

    Raises Error for a GPU that does not exist, and without NCCL.
    """
    if backend.current() != "embedded":
        raise Error("several GPUs: a real Caffe trains on them by `caffe train -gpu 0,1`")
    os.environ["P3D_DEVICE"] = f"cuda:{gpus[0]}"
    for index in gpus:
        if index >= gpu.count():
            raise Error(f"there is no GPU {index}; this machine has {gpu.count()}, counted from 0")
    backend.set_device(f"cuda:{gpus[0]}")
    be_rank(0, len(gpus))
    followers = Followers(gpus, job)
    try:
        yield followers
    finally:
        followers.kill()
        be_rank(0, 1)


def be_rank(rank: int, count: int) -> None:
    caffe.set_solver_count(count)
    caffe.set_solver_rank(rank)
    caffe.set_multiprocess(count > 1)


def main() -> None:
    """A follower: what it is to do is a line on standard input, whose end ends it."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    with open(0, "rb", buffering=0, closefd=False) as stdin:
        job = json.loads(stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _follow(job)
    except (RuntimeError, OSError) as error:
        print(" ".join(str(error).splitlines()) or type(error).__name__, end="", flush=True)
        sys.exit(1)


def _end_with_parent() -> None:
    os.read(0, 1)
    os._exit(1)


def _follow(job: dict[str, Any]) -> None:
    warnings.showwarning = show_warning
    backend.set_num_threads(job["threads"])
    be_rank(job["rank"], job["count"])
    solver = caffe.get_solver(job["solver"])
    if job["snapshot"]:
        solver.restore(job["snapshot"])
    nccl = caffe.NCCL(solver, bytes.fromhex(job["uid"]))
    nccl.bcast()
    solver.add_callback(nccl)
    solver.solve()
