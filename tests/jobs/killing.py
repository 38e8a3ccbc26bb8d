"""`p3d extract` in forks of this process, which die before a chosen call that changes the disk.

`python -m jobs.killing SOURCE TRUTH FOLDER COUNT` has COUNT runs killed, each at another call, then
gone on with and compared; prints the number of calls of a whole run and of the runs killed. Forks
save the time of imports: decoding is done in the process itself (--decoders 0).
"""

from __future__ import annotations

import builtins
import io
import os
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
from jobs.tiny_job import NET, same

from p3d import cli

CALLS = ("write", "fsync", "replace", "rename", "open", "unlink", "makedirs")


class Fuse:
    """Counts calls and ends the process before call number `last`; 0 ends it never."""

    def __init__(self, last: int) -> None:
        self.last, self.count = last, 0
        self._lock = threading.Lock()

    def __call__(self, first: Any = lambda: None) -> None:
        """`first` is what of the last call is still done."""
        with self._lock:
            self.count += 1
            if self.count == self.last:
                first()
                os.kill(os.getpid(), signal.SIGKILL)


def arm(fuse: Fuse) -> None:
    """Has the calls of this process counted."""

    class File(io.FileIO):
        def write(self, data: Any) -> int:
            half = memoryview(data)[: len(data) // 2]
            fuse(lambda: super(File, self).write(half))  # a write that is cut in the middle
            return super().write(data)

    def counted(real: Any) -> Any:
        def call(*args: Any, **more: Any) -> Any:
            fuse()
            return real(*args, **more)

        return call

    real_open = builtins.open

    def opened(file: Any, mode: str = "r", *args: Any, **more: Any) -> Any:
        if not isinstance(file, int) or "w" not in mode:
            return real_open(file, mode, *args, **more)
        raw = File(file, mode.replace("b", ""))
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding="utf-8")

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))
    builtins.open = opened


def run(source: Path, out: Path, last: int, tally: Path | None = None) -> int:
    """The wait status of a run that dies at call `last`; `tally` gets the number of calls."""
    pid = os.fork()
    if pid == 0:
        fuse = Fuse(last)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        write = Path.write_text
        arm(fuse)
        more = ["--out", str(out), "--blobs", "pool5,prob", "--decoders", "0"]
        code = cli.main(["extract", str(source), *NET, *more])
        count = fuse.count
        fuse.last = 0
        if tally is not None:
            write(tally, str(count))
        os._exit(code)
    return os.waitpid(pid, 0)[1]


def finished(out: Path) -> dict[Path, int]:
    """Results that have their final name, and when they got it."""
    return {path: path.stat().st_mtime_ns for path in out.rglob("*.npz")}


def main(source: Path, truth: Path, folder: Path, count: int) -> tuple[int, int]:
    tally = folder / "calls"
    assert run(source, folder / "whole", 0, tally) == 0
    same(truth, folder / "whole")
    calls, killed = int(tally.read_text()), 0
    for call in np.unique(np.linspace(1, calls, min(count, calls)).astype(int)):
        out = folder / f"at{call}"
        status = run(source, out, int(call))
        assert status in (0, signal.SIGKILL), f"call {call} of {calls}: status {status}"
        killed += status != 0
        before = finished(out)
        assert run(source, out, 0) == 0, f"after call {call} of {calls}"
        after = finished(out)
        twice = [path for path in before if after[path] != before[path]]
        assert not twice, f"after call {call}: {twice} were made twice"
        same(truth, out)
        shutil.rmtree(out)
    return calls, killed


if __name__ == "__main__":
    print(*main(*map(Path, sys.argv[1:4]), int(sys.argv[4])))
