"""Batches of which one is computed while the next one's clips are copied, and what goes wrong."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parents[1] / "golden" / "tiny"
NET, WEIGHTS = GOLDEN / "tiny.prototxt", GOLDEN / "tiny_seeded.caffemodel"

PREPARE = f"""
import numpy as np
import p3d.caffe as caffe
from p3d import _core, gpu
from p3d.clip_net import ClipNet
from p3d.error import Error

def make():
    return caffe.Net({str(NET)!r}, {str(WEIGHTS)!r}, caffe.TEST)

def batch(seed, count=2):
    return list(np.random.default_rng(seed).uniform(-100, 100, (count, 3, 8, 32, 32)))

def close(got, want):
    for ours, theirs in zip(got, want, strict=True):
        for name in theirs:
            np.testing.assert_allclose(ours[name], theirs[name], rtol=0,
                                       atol=1e-5 * np.abs(theirs[name]).max())

def wanted(batches, blobs=("pool5", "prob")):
    gpu.run(False)
    clip_net = ClipNet(make(), blobs)
    found = [clip_net.start(clips)() for clips in batches]
    gpu.run(True)
    return found
"""


def script(run, body: str, **variables: str | None) -> str:
    done = run("-c", PREPARE + textwrap.dedent(body), **variables)
    assert done.returncode == 0, f"{body}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("blobs", [("pool5", "prob"), ("res2a",), ("prob", "pool1")])
def test_batches_in_flight_are_those_of_the_processor(run, blobs) -> None:
    """With two or three of them begun, of changing sizes, from the first forward on."""
    script(
        run,
        f"""
        blobs = {blobs!r}
        batches = [batch(i, count) for i, count in enumerate([2, 2, 2, 2, 1, 2, 3, 3, 3, 2])]
        want = wanted(batches, blobs)
        for in_flight in (1, 2, 3):
            clip_net = ClipNet(make(), blobs)
            waiting = []
            for number, clips in enumerate(batches):
                waiting.append((number, clip_net.start(clips)))
                if len(waiting) == in_flight:
                    first, rows = waiting.pop(0)
                    close(rows(), want[first])
            for number, rows in waiting:
                close(rows(), want[number])
        """,
    )


def test_a_graph_is_launched_for_batches_in_flight(run) -> None:
    script(
        run,
        """
        gpu.run(True)
        clip_net = ClipNet(make(), ["prob"])
        rows = [clip_net.start(batch(i)) for i in range(6)]
        for each in rows:
            each()
        assert _core.gpu_graph_launches() == 5, _core.gpu_graph_launches()
        """,
    )


def test_smaller_batches_are_filled_up(run) -> None:
    """A batch of another size would be captured, and its convolutions chosen, anew; but one that
    had no room, or failed, says nothing of what fits."""
    script(
        run,
        """
        from p3d.error import OutOfMemory
        batches = [batch(i, count) for i, count in enumerate([3, 3, 1, 2, 3])]
        want = wanted(batches)
        net = make()
        clip_net = ClipNet(net, ["pool5", "prob"])
        for clips, rows in zip(batches, want, strict=True):
            close(clip_net.start(clips)(), rows)
            assert net.blobs["data"].shape == (3, 3, 8, 32, 32)
        assert _core.gpu_graph_launches() == 4, _core.gpu_graph_launches()
        assert clip_net.gpu_batch((3, 8, 32, 32)) > 3
        close(clip_net.start(batches[4])(), want[4])
        assert _core.gpu_graph_launches() == 5, "its plan is lost"

        def fail(*arguments):
            raise OutOfMemory("no room")
        forward, net.launch = net.launch, fail
        try:
            clip_net.start(batches[0])
            raise SystemExit("no error")
        except OutOfMemory:
            net.launch = forward
        close(clip_net.start(batches[3])(), want[3])
        assert net.blobs["data"].shape == (2, 3, 8, 32, 32)
        """,
    )


def test_what_a_person_writes_between_them_counts(run) -> None:
    script(
        run,
        """
        batches = [batch(i) for i in range(4)]
        want = wanted(batches)
        net = make()
        net.blobs["data"].reshape(2, 3, 8, 32, 32)
        clip_net = ClipNet(net, ["pool5", "prob"])
        view = net.blobs["data"].data
        for number in (0, 1):
            close(clip_net.start(batches[number])(), want[number])
            np.testing.assert_allclose(view, batches[number], rtol=1e-6)
        for number in (2, 3):
            view[...] = batches[number]
            tops = net.forward(blobs=["pool5"])
            close([{"prob": tops["prob"][i]} for i in range(2)],
                  [{"prob": row["prob"]} for row in want[number]])
            close(clip_net.start(batches[1 - number % 2])(), want[1 - number % 2])
        """,
    )


def test_nothing_is_left_on_the_gpu(run) -> None:
    script(
        run,
        """
        import gc
        gpu.run(True)
        for _ in range(3):
            clip_net = ClipNet(make(), ["prob"])
            pending = [clip_net.start(batch(i)) for i in range(3)]
            pending[0]()
            del clip_net, pending
            gc.collect()
            assert _core.gpu_bytes_in_use() == 0, _core.gpu_bytes_in_use()
        """,
    )


@pytest.mark.parametrize("misuse", ["fill", "no send"])
def test_page_locked_memory_is_not_touched_too_early(run, misuse) -> None:
    """What the simulated GPU is for: it copies as late as it may."""
    script(
        run,
        f"""
        gpu.run(True)
        net = make()
        blob = net.blobs["data"]
        feed = _core.GpuFeed(blob)
        array = feed.next()
        array[...] = 1
        if {misuse!r} == "fill":
            feed.send(blob)
            array[...] = 2
            feed.next()
            feed.send(blob)
            try:
                feed.next()
                raise SystemExit("no error")
            except Error as error:
                assert "was changed while it was copied" in str(error), error
        else:
            assert not blob.data.any(), "nothing was sent"
        """,
    )


@pytest.mark.parametrize("fault", ["1", "20", "60", "90"])
def test_batches_begun_before_a_fault_are_done(run, fault) -> None:
    script(
        run,
        """
        from p3d.gpu_batches import GpuBatches
        batches = [batch(i) for i in range(8)]
        want = wanted(batches)
        clip_net = ClipNet(make(), ["pool5", "prob"])
        start = GpuBatches(clip_net.start).start
        rows = []
        for number, clips in enumerate(batches):
            rows.append(start(clips))
            if number > 0:
                close(rows[number - 1](), want[number - 1])
        close(rows[-1](), want[-1])
        assert not _core.gpu_mode()
        """,
        P3D_SIMULATED_FAULT=fault,
    )
