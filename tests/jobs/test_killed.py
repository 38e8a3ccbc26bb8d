"""An extraction that is killed at any moment goes on where it was: nothing lost, nothing twice.

P3D_KILLS=1000 and P3D_MOMENTS=50 take more calls and moments than the usual part of them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from jobs.killing import finished
from jobs.tiny_job import NET, arrays, command, extract, same, videos

CALLS = int(os.environ.get("P3D_KILLS", 60))
MOMENTS = int(os.environ.get("P3D_MOMENTS", 20))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("undisturbed")
    source = videos(folder / "videos", 7)
    extract(source, folder / "features", "--blobs", "pool5,prob")
    assert len(arrays(folder / "features")) == 14
    return source, folder / "features"


def resume(source: Path, truth: Path, out: Path) -> None:
    before = finished(out)
    extract(source, out, "--blobs", "pool5,prob")
    after = finished(out)
    assert {path: after[path] for path in before} == before, "a finished result was made twice"
    same(truth, out)


def test_killed_at_calls_that_change_the_disk(undisturbed, tmp_path):
    source, truth = undisturbed
    arguments = [str(each) for each in (source, truth, tmp_path, CALLS)]
    code = f"import sys; sys.path[:] = {sys.path!r}; sys.argv[1:] = {arguments!r}"
    program = f"{code}; import runpy; runpy.run_module('jobs.killing', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    calls, killed = map(int, done.stdout.split())
    assert calls > 150
    # How many calls a run makes depends a little on time: the last ones may not come.
    assert killed > 0.9 * min(CALLS, calls)


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
