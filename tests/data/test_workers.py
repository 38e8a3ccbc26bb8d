"""Processes that read ahead: the same batches, whatever happens, and nothing left behind."""

from __future__ import annotations

import gc
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from video_layers import batches, frame_folder, net, write_list

import p3d.caffe as caffe
from p3d.caffe.proto import caffe_pb2
from p3d.data.listed_clips import Bad, Clip, ListedClips
from p3d.data.workers import Ahead

pytestmark = pytest.mark.embedded

PARAM = (
    "new_height: 24 new_width: 32 new_length: 4 crop_size: 20 mirror: true shuffle: true "
    "brightness: 0.3 batch_size: 3 seed: 1 max_bad_share: 0.5 rand_skip: 4"
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven videos of which one is bad."""
    folder = tmp_path_factory.mktemp("videos")
    lines = [f"{frame_folder(folder / str(i), i, 4 + i)} {i}" for i in range(6)]
    return write_list(folder, [*lines[:3], f"{folder}/missing.mp4 9", *lines[3:]])


def layer(source: Path, workers: int, param: str = PARAM) -> caffe.Net:
    return net(source, f"{param} workers: {workers}")


def children() -> set[int]:
    """Processes of this one that read ahead."""
    found = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            stat = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
            command = Path(f"/proc/{name}/cmdline").read_bytes()
        except OSError:
            continue
        ours = int(stat[1]) == os.getpid() and stat[0] != "Z"
        if ours and b"p3d.data.worker_process" in command:
            found.add(int(name))
    return found


def named_memory():
    """Names in /dev/shm, but for those of other tests that run at the same time."""
    others = ("sem.mp-", "p3d-simulated-")  # of multiprocessing and of the simulated NCCL
    return {name for name in os.listdir("/dev/shm") if not name.startswith(others)}


@pytest.fixture(autouse=True)
def nothing_left_behind():
    named = named_memory()
    yield
    gc.collect()
    assert not children()
    assert named_memory() <= named


def quiet_batches(made: caffe.Net, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return batches(made, count)


def assert_same(one, other) -> None:
    for (a, b), (c, d) in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, d)


@pytest.mark.parametrize(("workers", "prefetch"), [(1, 3), (3, 0)])
def test_batches_do_not_depend_on_the_number_of_workers(source, workers, prefetch) -> None:
    expected = quiet_batches(layer(source, 0), 8)
    made = layer(source, workers, f"{PARAM} prefetch: {prefetch}")
    assert not children()
    assert_same(quiet_batches(made, 8), expected)
    assert len(children()) == workers


def test_a_fork_goes_on_with_workers_of_its_own(source: Path) -> None:
    code = f"""
import os, sys, warnings
sys.path[:] = {sys.path!r}
warnings.simplefilter("ignore")
from pathlib import Path
from data.test_workers import assert_same, layer, quiet_batches
source = Path({str(source)!r})
expected = quiet_batches(layer(source, 0), 6)
made = layer(source, 1)
assert_same(quiet_batches(made, 3), expected[:3])
fork = os.fork()
assert_same(quiet_batches(made, 3), expected[3:])
if fork:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1]))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_a_state_goes_on_with_the_next_batch(source: Path) -> None:
    one, other = layer(source, 2), layer(source, 1)
    quiet_batches(one, 3)
    state = one.layers[0].python_object.save_state()
    expected = quiet_batches(one, 4)
    for made in (other, one):
        made.layers[0].python_object.load_state(state)
        assert_same(quiet_batches(made, 4), expected)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV])
def test_workers_that_are_killed_are_replaced(source: Path, how: signal.Signals) -> None:
    expected = quiet_batches(layer(source, 0), 18)
    made = layer(source, 2, f"{PARAM} prefetch: 4")
    found = []
    for kills in (1, 2, 0):  # never one clip twice: it would be taken for the cause
        found += quiet_batches(made, 6)
        for child in sorted(children())[:kills]:
            os.kill(child, how)
    assert_same(found, expected)


class Hostile(ListedClips):
    """A list whose video 1 takes its reader with it, or never ends."""

    how = ""

    def read(self, position, pixels, alive=lambda: None) -> Clip | Bad:
        if self.video(position) == 1:
            if self.how == "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            time.sleep(600)
        return super().read(position, pixels, alive)


@pytest.mark.parametrize(
    ("how", "message"), [("crash", "decoder crashed .SIGSEGV"), ("hang", "decoder hangs")]
)
def test_a_hostile_video_is_a_bad_one(source: Path, how: str, message: str) -> None:
    size = {"new_height": 24, "new_width": 32, "new_length": 4}
    clips = Hostile(caffe_pb2.VideoDataParameter(source=str(source), **size), True, 1)
    clips.how = how
    ahead = Ahead(clips, 2, 5, timeout=1.0)
    results = [ahead.take(position, lambda _: False) for position in range(7)]
    bad = [i for i, result in enumerate(results) if isinstance(result, Bad)]
    assert bad == [1, 3]
    assert re.search(f"{clips.videos[1].path}: the {message}", results[1].reason)
    ahead.close()


def test_an_exception_and_close_end_the_workers(source: Path) -> None:
    made = layer(source, 2, PARAM.replace("max_bad_share: 0.5", "max_bad_share: 0"))
    with pytest.raises(RuntimeError, match="1 of 7 videos cannot be read"):
        batches(made, 9)
    made.layers[0].python_object.close()
    assert not children()


def test_more_memory_than_there_is(source: Path) -> None:
    with pytest.raises(RuntimeError, match=r"VideoData 'v': 3000000 clips .* smaller prefetch"):
        layer(source, 1, f"{PARAM} prefetch: 1000000".replace("new_length: 4", "new_length: 4000"))


SCRIPT = """
import sys, time, warnings
sys.path[:] = {path!r}
warnings.simplefilter("ignore")
from video_layers import batches, net
made = net({source!r}, {param!r})
batches(made, 1)
try:
    print("ready", flush=True)
    while True:
        batches(made, 1)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_parent_that_ends_leaves_no_worker(source: Path, how: signal.Signals) -> None:
    param = f"{PARAM} workers: 2"
    path = [str(Path(__file__).parent), *sys.path]
    code = SCRIPT.format(path=path, source=str(source), param=param)
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert parent.stdout.readline() == "ready\n"
    workers = _group(parent.pid) - {parent.pid}
    assert len(workers) == 2
    if how == signal.SIGINT:
        os.killpg(parent.pid, how)  # as a terminal does it: to all of them
    else:
        parent.send_signal(how)
    said, _ = parent.communicate(timeout=60)
    assert said == ("interrupted\n" if how == signal.SIGINT else "")
    while _group(parent.pid):
        time.sleep(0.05)


def _group(leader: int) -> set[int]:
    """The living processes of a process group."""
    found = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            stat = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(stat[2]) == leader and stat[0] != "Z":
            found.add(int(name))
    return found
