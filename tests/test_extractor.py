"""The extractor against a net that can be worked out by hand."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from fake_net import FakeNet
from jobs.tiny_job import NET

import p3d
from p3d.caffe.proto import caffe_pb2
from p3d.extractor import Extractor
from p3d.input_check import InputWarning
from p3d.video.clips import ClipReader, open_video
from p3d.video.recipe import Recipe, recipe_named

SMALL = {"crop": 32, "size": 34}


def write_video(path, frames=30, level=0, h=48, w=64):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 25.0, (w, h))
    for index in range(frames):
        writer.write(np.full((h, w, 3), (level + 5 * index) % 256, np.uint8))
    writer.release()
    return path


def expected(path, side=32, size=34):
    clips = dict(ClipReader(open_video(path), recipe_named("author20").at(crop=side, size=size)))
    return FakeNet.pool5(np.stack([clips[i] for i in range(20)]))


@pytest.mark.parametrize("batch", [1, 3, 4, 20, 33])
def test_one_row_per_clip_whatever_the_batch(tmp_path, batch):
    path = write_video(tmp_path / "a.mp4")
    net = FakeNet()
    features = Extractor(net=net, blobs=["pool5", "prob"], batch=batch, **SMALL).extract(path)
    assert features["pool5"].shape == features["prob"].shape == (20, 6)
    assert features["pool5"].dtype == np.float32
    np.testing.assert_array_equal(features["pool5"], expected(path))
    assert sum(net.batches) == 20
    assert max(net.batches) <= batch


@pytest.mark.parametrize("batch", [3, 4, 7])
def test_many_videos_share_batches_and_bad_ones_do_not_stop_the_rest(tmp_path, batch, monkeypatch):
    monkeypatch.setattr("p3d.video.decoding._IDLE", 60)  # a busy machine makes no smaller batches
    good = [write_video(tmp_path / f"{i}.mp4", 18 + 9 * i, 40 * i) for i in range(4)]
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"not a video")
    missing = tmp_path / "missing.mp4"
    videos = [bad, good[0], good[1], missing, good[2], good[3], bad]
    counts = []
    extractor = Extractor(net=FakeNet(), batch=batch, **SMALL)
    results = list(extractor.extract_many(videos, counts.append))
    assert len(results) == len(videos)
    for video, result in zip(videos, results, strict=True):
        if video in good:
            np.testing.assert_array_equal(result["pool5"], expected(video), err_msg=str(video))
        else:
            assert isinstance(result, p3d.Error)
            assert str(video) in str(result)
    assert sum(counts) == 80
    assert all(count == batch for count in counts[:-1])


class Choosy(FakeNet):
    """Takes no frames higher than they are wide."""

    def reshape(self):
        h, w = self.blobs["data"].shape[3:]
        if h > w:
            raise RuntimeError("layer 'pool': too high")
        super().reshape()

    def forward(self, blobs=()):
        self.reshape()
        return super().forward(blobs)


@pytest.mark.parametrize("batch", [1, 3, 40])
@pytest.mark.parametrize("decoders", [0, 2])
def test_frames_of_a_size_that_the_net_refuses_fail_their_video_alone(tmp_path, batch, decoders):
    sizes = [(48, 64), (64, 48), (80, 64), (48, 64), (64, 48), (32, 80), (64, 48)]
    videos = [write_video(tmp_path / f"{i}.mp4", 20, h=h, w=w) for i, (h, w) in enumerate(sizes)]
    extractor = Extractor(
        net=Choosy(), batch=batch, crops="full", size=32, clips=5, decoders=decoders
    )
    for (h, w), video, result in zip(sizes, videos, extractor.extract_many(videos), strict=True):
        if h <= w:
            assert result["pool5"].shape == (5, 6), (h, w)
        else:
            assert isinstance(result, p3d.Error)
            assert str(result).startswith(f"{video}: the net takes no frames of ")
            assert "layer 'pool': too high" in str(result)


class Alone(FakeNet):
    """Sees whether two run it at once."""

    def __init__(self):
        super().__init__()
        self.running = threading.Lock()

    def forward(self, blobs=()):
        assert self.running.acquire(blocking=False), "two threads in one net"
        try:
            time.sleep(0.001)  # gives the others a chance
            return super().forward(blobs)
        finally:
            self.running.release()


def videos_to_share(folder):
    return [write_video(folder / f"{i}.mp4", level=40 * i) for i in range(4)]


def check(results, videos):
    for video, result in zip(videos, results, strict=True):
        np.testing.assert_array_equal(result["pool5"], expected(video), err_msg=str(video))


@pytest.mark.parametrize("decoders", [0, 2])
def test_threads_share_an_extractor(tmp_path, decoders):
    videos = videos_to_share(tmp_path)
    extractor = Extractor(net=Alone(), batch=3, decoders=decoders, **SMALL)
    with ThreadPoolExecutor(4) as pool:
        check(list(pool.map(extractor.extract, videos)), videos)
        many = [videos[i:] + videos[:i] for i in range(4)]
        for order, results in zip(
            many, pool.map(lambda some: list(extractor.extract_many(some)), many), strict=True
        ):
            check(results, order)


@pytest.mark.parametrize("decoders", [0, 1])
def test_one_thread_is_in_the_middle_of_several_extractions(tmp_path, decoders):
    videos = videos_to_share(tmp_path)
    extractor = Extractor(net=Alone(), batch=3, decoders=decoders, **SMALL)
    left = extractor.extract_many(videos)
    next(left)
    two = zip(extractor.extract_many(videos), extractor.extract_many(videos[::-1]), strict=True)
    for index, (one, other) in enumerate(two):
        check([one, other], [videos[index], videos[-1 - index]])
        check([extractor.extract(videos[0])], videos[:1])
    left.close()
    check([extractor.extract(videos[0])], videos[:1])


def test_results_come_as_soon_as_the_last_clip_ran(tmp_path):
    path = write_video(tmp_path / "a.mp4")
    asked = []

    def videos():
        for index in range(100):
            asked.append(index)
            yield path

    results = Extractor(net=FakeNet(), batch=4, **SMALL).extract_many(videos())
    next(results)
    results.close()
    assert len(asked) <= 3
    assert not [t for t in threading.enumerate() if t.name == "p3d-decode"]


def test_a_wrong_estimate_leaves_no_trace(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", 40)
    monkeypatch.setattr("p3d.video.decode.VideoFile.estimate", lambda self, alive: 38)
    features = Extractor(net=FakeNet(), batch=3, decoders=0, **SMALL).extract(path)
    np.testing.assert_array_equal(features["pool5"], expected(path))
    assert features.meta["frames"] == 40


def test_meta_says_how_and_is_json(tmp_path):
    path = write_video(tmp_path / "a.mp4")
    meta = Extractor(net=FakeNet(side=160)).extract(path).meta
    assert json.loads(json.dumps(meta)) == meta
    assert meta["video"] == str(path)
    assert meta["frames"] == 30
    assert meta["starts"][:3] == [0, 0, 1]
    assert meta["recipe"]["size"] == 162
    assert "imresize" in meta["recipe"]["resize"]
    assert (meta["channels"], meta["mean"]) == ("BGR", [104.0, 117.0, 123.0])
    assert meta["blobs"] == {"pool5": [20, 6]}


def test_crop_and_length_are_the_nets_unless_they_are_given():
    assert Extractor(net=FakeNet(side=160)).recipe == recipe_named("author20")
    small = Extractor(net=FakeNet(side=112, length=8)).recipe
    assert (small.crop, small.length, small.size) == (112, 8, 114)
    own = Recipe("own", size=50, crop=40, length=4, clips=3)
    assert Extractor(net=FakeNet(), recipe=own).recipe is own
    assert Extractor(net=FakeNet(), recipe="squash").recipe.size == (37, 49)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"net": FakeNet(), "blobs": ["pol5"]}, "no blob 'pol5'; it has pool5"),
        ({"net": FakeNet(), "blobs": []}, "no blob was asked for"),
        ({"net": FakeNet(), "batch": 0}, "a batch of 0 clips"),
        ({"net": FakeNet(), "crop": 64, "size": 32}, "does not fit"),
        ({"net": FakeNet(), "recipe": "c3d"}, "no recipe 'c3d'"),
        ({"net": FakeNet(channels=4)}, "no input for clips"),
        ({"net": FakeNet(), "labels": "no-such-list"}, "no-such-list"),
        ({}, "weights are missing"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(p3d.Error, match=message):
        Extractor(**arguments)


def test_a_blob_without_a_row_per_clip_is_refused(tmp_path):
    path = write_video(tmp_path / "a.mp4")
    with pytest.raises(p3d.Error, match=r"blob 'all' is \(1,\): its first axis"):
        Extractor(net=FakeNet(), blobs=["all"], **SMALL).extract(path)


def test_a_net_for_flow_gets_it_of_the_frames(tmp_path):
    video = write_video(tmp_path / "a.mp4", 20)
    net = FakeNet(channels=2)
    features = Extractor(net=net, clips=3, **SMALL).extract(video)
    clips = p3d.clips(video, modality="flow", clips=3, **SMALL)
    np.testing.assert_array_equal(
        features["pool5"], FakeNet.pool5(np.stack([clip.values for clip in clips]))
    )
    assert features.meta["frames"] == 19
    assert features.meta["flow"]["bound"] == 20


@pytest.mark.parametrize("many", [False, True])
def test_clips_of_ones_own(tmp_path, many):
    clips = np.random.default_rng(1701).normal(0, 50, (5, 3, 16, 32, 32)).astype(np.float32)
    given = clips if many else clips[0]
    np.save(tmp_path / "clips.npy", given)
    extractor = Extractor(net=FakeNet(), batch=2)
    truth = FakeNet.pool5(clips if many else clips[:1])
    for source in (given, tmp_path / "clips.npy"):
        np.testing.assert_array_equal(extractor.extract(source)["pool5"], truth)


def test_odd_clips_are_used_with_one_warning_that_names_them(tmp_path):
    clips = np.random.default_rng(1701).random((5, 3, 16, 32, 32), np.float32)
    np.save(tmp_path / "odd.npy", clips)
    with pytest.warns(InputWarning, match=r"odd\.npy: .*looks scaled to 0\.\.1") as caught:
        features = Extractor(net=FakeNet()).extract(tmp_path / "odd.npy")
    assert len(caught) == 1
    assert features["pool5"].shape == (5, 6)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((3, 16, 32, 31), np.float32),
        np.zeros((0, 3, 16, 32, 32), np.float32),
        np.zeros((1, 1, 3, 16, 32, 32), np.float32),
        np.zeros((3, 16, 32, 32), complex),
        np.zeros((3, 16, 32, 32), object),
        np.zeros(7),
    ],
)
def test_arrays_that_are_no_clips(array):
    with pytest.raises(p3d.Error, match=r"the net takes clips .*\(n, 3, 16, 32, 32\)"):
        Extractor(net=FakeNet()).extract(array)


HUGE = b"{'descr': '<f4', 'fortran_order': False, 'shape': (9999, 3, 16, 32, 32), }"


@pytest.mark.parametrize(
    "content",
    [b"", b"\x93NUMPY\1\0", b"PK\3\4", b"x" * 500, b"\x93NUMPY\1\0" + b"\x4b\0" + HUGE + b"\n"],
)
def test_npy_files_that_are_none(tmp_path, content):
    path = tmp_path / "x.npy"
    path.write_bytes(content)
    with pytest.raises(p3d.Error, match=r"x\.npy: not an array"):
        Extractor(net=FakeNet()).extract(path)


def test_top_averages_the_clips(tmp_path):
    path = write_video(tmp_path / "a.mp4")
    names = tmp_path / "names.txt"
    names.write_text("\n".join("abcdef"))
    extractor = Extractor(net=FakeNet(), blobs=["prob"], labels=names, **SMALL)
    features = extractor.extract(path)
    mean = features["prob"].mean(axis=0)
    top = extractor.top(features, 3)
    assert [name for name, _ in top] == ["abcdef"[i] for i in np.argsort(-mean)[:3]]
    assert top[0][1] == pytest.approx(mean.max())
    extractor.labels = None
    assert extractor.top(features, 1)[0][0] == f"class {mean.argmax()}"
    extractor.labels = ["one"]
    with pytest.raises(p3d.Error, match="1 class names for 6 outputs"):
        extractor.top(features)
    with pytest.raises(p3d.Error, match="prob"):
        extractor.top(p3d.Features())


def test_the_three_lines_leave_no_warning(tmp_path):
    path = write_video(tmp_path / "a.mp4")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert p3d.Extractor(net=FakeNet(), **SMALL).extract(str(path))["pool5"].any()


def test_leaving_early_does_not_wait_for_videos_that_may_not_come_in_yet(tmp_path):
    """More videos than are let in at once, and a consumer that leaves after the first."""
    path = write_video(tmp_path / "a.mp4", 18)
    extractor = Extractor(net=FakeNet(), batch=1, clips=1, decoders=0, **SMALL)
    results = extractor.extract_many([path] * 500)
    next(results)
    results.close()
    assert not [t for t in threading.enumerate() if t.name == "p3d-decode"]


def test_a_process_that_gets_one_makes_it_anew(tmp_path):
    """As in PyTorch's DataLoader where its workers are spawned."""
    path = write_video(tmp_path / "a.mp4")
    _, net, _, weights = NET
    here = Extractor(weights, net, clips=3, batch=2)
    there = pickle.loads(pickle.dumps(here))
    assert there.recipe == here.recipe
    np.testing.assert_array_equal(there.extract(path)["pool5"], here.extract(path)["pool5"])


@pytest.fixture
def trained_at_24(tmp_path):
    """The tiny net's weights in a snapshot of a training on clips of 4 frames of 24 x 24."""
    data = caffe_pb2.NetParameter()
    layer = data.layer.add(name="data", type="VideoData", top=["data", "label"])
    layer.video_data_param.crop_size, layer.video_data_param.new_length = 24, 4
    path = tmp_path / "mine.caffemodel"
    path.write_bytes(data.SerializeToString() + Path(NET[3]).read_bytes())
    return path


def test_other_clips_than_those_of_the_training_are_told(trained_at_24):
    words = r"mine.caffemodel: trained on clips of crop 24 and length 4, not 32 and 8 as here; "
    with pytest.warns(
        UserWarning, match=words + r"crop=24, length=4 \(--crop 24 --length 4\) makes"
    ):
        extractor = Extractor(trained_at_24, NET[1])
    assert extractor.about["trained_on"] == {"crop": 24, "length": 4}
    assert repr(extractor).endswith("recipe author20, clips 3x8x32x32>")


def test_clips_that_were_asked_for_are_no_surprise(trained_at_24):
    """Warnings are errors here."""
    Extractor(trained_at_24, NET[1], crop=32, recipe="squash", size=33, length=8)
    assert "trained_on" not in Extractor(NET[3], NET[1]).about


def test_a_fork_waits_until_the_net_is_through(tmp_path):
    """In the child another thread would have the net for ever."""
    path = write_video(tmp_path / "a.mp4")
    code = f"""
import os, sys, threading, warnings
sys.path[:] = {sys.path!r}
warnings.simplefilter("ignore")
import numpy as np
from fake_net import FakeNet
from p3d.extractor import Extractor

class Slow(FakeNet):
    def forward(self, blobs=None):
        busy.set()
        forking.wait()
        return super().forward(blobs)

busy, forking = threading.Event(), threading.Event()
os.register_at_fork(before=forking.set)
extractor = Extractor(net=Slow(), crop=32, size=34)
thread = threading.Thread(target=extractor.extract, args=({str(path)!r},))
thread.start()
busy.wait()
child = os.fork()
assert extractor.extract({str(path)!r})["pool5"].shape == (20, 6)
if child:
    thread.join()
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
