"""An extraction that is killed at any moment goes on where it was: nothing lost, nothing twice.

P3D_KILLS=200 and P3D_MOMENTS=50 take more calls and moments than the usual part of them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from jobs.tiny_job import NET, arrays, command, extract, same, videos

CALLS = int(os.environ.get("P3D_KILLS", 60))
MOMENTS = int(os.environ.get("P3D_MOMENTS", 20))

# Counts calls that change what is on the disk and ends the process before call number `last`.
_DIE = """
import os, sys, threading
last, lock, count = {last}, threading.Lock(), 0
def counted(name):
    real = getattr(os, name)
    def call(*args, **more):
        global count
        with lock:
            count += 1
            if count == last:
                os.kill(os.getpid(), 9)
        return real(*args, **more)
    setattr(os, name, call)
for name in ("write", "fsync", "replace", "rename", "open", "unlink", "makedirs"):
    counted(name)
import io
real_open = open
class File(io.FileIO):
    def write(self, data):
        global count
        with lock:
            count += 1
            if count == last:
                super().write(data[: len(data) // 2])  # a write that was cut in the middle
                os.kill(os.getpid(), 9)
        return super().write(data)
def opened(file, mode="r", *args, **more):
    if isinstance(file, int) and ("w" in mode) and "b" in mode:
        raw = File(file, mode.replace("b", ""))
        return io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
    return real_open(file, mode, *args, **more)
import builtins
builtins.open = opened
import atexit
atexit.register(lambda: real_open({tally!r}, "w").write(str(count)))
"""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("undisturbed")
    source = videos(folder / "videos", 3)
    extract(source, folder / "features", "--blobs", "pool5,prob")
    assert len(arrays(folder / "features")) == 6
    return source, folder / "features"


def finished(out: Path) -> dict[Path, int]:
    """Results that have their final name, and when they got it."""
    return {path: path.stat().st_mtime_ns for path in out.rglob("*.npz")}


def resume(source: Path, truth: Path, out: Path) -> None:
    before = finished(out)
    extract(source, out, "--blobs", "pool5,prob")
    after = finished(out)
    assert {path: after[path] for path in before} == before, "a finished result was made twice"
    same(truth, out)


def test_killed_at_every_call_that_changes_the_disk(undisturbed, tmp_path):
    source, truth = undisturbed
    tally = tmp_path / "calls"
    die = _DIE.format(last=0, tally=str(tally))
    extract(source, tmp_path / "counted", "--blobs", "pool5,prob", before=die)
    same(truth, tmp_path / "counted")
    calls = int(tally.read_text())
    assert calls > 40
    chosen = np.unique(np.linspace(1, calls, min(CALLS, calls)).astype(int))
    killed = 0
    for call in map(int, chosen):
        out = tmp_path / f"at{call}"
        die = _DIE.format(last=call, tally=str(tally))
        done = extract(source, out, "--blobs", "pool5,prob", before=die, code=None)
        # How many calls a run makes depends a little on time: the last ones may not come.
        assert done.returncode in (0, -signal.SIGKILL), f"call {call} of {calls}: {done.stderr}"
        killed += done.returncode != 0
        resume(source, truth, out)
    print(f"{killed} of {len(chosen)} runs killed at one of {calls} calls")
    assert killed > 0.9 * len(chosen)


def test_killed_at_random_moments(undisturbed, tmp_path):
    source, truth = undisturbed
    rng = np.random.default_rng(1701)
    start = time.monotonic()
    extract(source, tmp_path / "timed", "--blobs", "pool5,prob")
    length = time.monotonic() - start
    for moment in range(MOMENTS):
        out = tmp_path / f"moment{moment}"
        line = command("extract", source, *NET, "--out", out, "--blobs", "pool5,prob")
        process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(length * rng.uniform(0.3, 1))
        process.send_signal(signal.SIGKILL)
        process.wait()
        resume(source, truth, out)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_cleanly(undisturbed, tmp_path, how):
    source, truth = undisturbed
    out = tmp_path / "features"
    line = command("extract", source, *NET, "--out", out, "--blobs", "pool5,prob", "--json")
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while '"done"' not in process.stdout.readline():
        pass
    process.send_signal(how)
    output, errors = process.communicate()
    assert process.returncode in (0, 130)
    assert "Traceback" not in errors
    assert '"summary"' in output
    assert not list(out.rglob(".*.tmp"))
    assert finished(out)
    resume(source, truth, out)
