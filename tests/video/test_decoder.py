"""Decoding in a child process: the same clips, and no file can hurt the parent."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time

import drawn
import numpy as np
import pytest

from p3d.child_process import Child, Gone
from p3d.video.decoder import Decoder
from p3d.video.decoding import Decoders
from p3d.video.reading import Clip, End, Reading, read
from p3d.video.recipe import Recipe

RECIPE = Recipe("small", size=40, crop=32, length=8)


def reading(video) -> Reading:
    return Reading(str(video), "frame", RECIPE, (3, 8, 32, 32))


def outcome(events) -> str:
    """The error that a reading ended with, or "whole"."""
    *clips, end = events
    assert all(isinstance(clip, Clip) for clip in clips)
    assert isinstance(end, End)
    return str(end.result) if isinstance(end.result, Exception) else "whole"


def test_a_child_gives_what_reading_here_gives(tmp_path):
    decoder = Decoder()
    for index in range(3):
        video = drawn.write_video(tmp_path / f"{index}.mp4", 20 + index)
        here, there = list(read(reading(video))), list(decoder.read(reading(video)))
        assert len(here) == len(there) == 21
        for one, two in zip(here[:-1], there[:-1], strict=True):
            assert one.number == two.number
            assert np.array_equal(one.values, two.values)
        assert here[-1] == there[-1]
    decoder.stop()


def test_clips_of_ones_own_and_their_warnings(tmp_path):
    clips = np.random.default_rng(1701).random((2, 3, 8, 32, 32), np.float32)
    np.save(tmp_path / "a.npy", clips)
    decoder = Decoder()
    with pytest.warns(UserWarning, match="looks scaled to 0..1"):
        events = list(decoder.read(reading(tmp_path / "a.npy")))
    assert [np.array_equal(e.values, c) for e, c in zip(events, clips, strict=False)] == [True] * 2
    decoder.stop()


@pytest.mark.parametrize("how", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
def test_a_crash_is_the_failure_of_that_video_alone(tmp_path, how):
    video = drawn.write_video(tmp_path / "a.mp4", 40)
    decoder = Decoder()
    events = decoder.read(reading(video))
    first = next(events)
    os.kill(decoder._child._process.pid, how)
    assert f"{video}: the decoder crashed ({how.name}" in outcome([first, *events])
    assert outcome(decoder.read(reading(video))) == "whole"
    decoder.stop()


def test_a_child_that_dies_in_the_middle_of_a_clip(tmp_path):
    """Which is larger than what a pipe holds."""
    shape = (3, 8, 320, 321)
    clip = np.random.default_rng(1).random((1, *shape)).astype(np.float32)
    np.save(tmp_path / "a.npy", clip)
    wanted = reading(tmp_path / "a.npy")._replace(shape=shape)
    for dies in (False, True):
        child = Child("p3d.video.decoder_process")
        child.send(wanted)
        while (message := pickle.loads(child.receive()))[0] != "clip":
            assert message[0] in ("alive", "note")
        values = np.empty(*message[2:])
        if dies:
            os.kill(child._process.pid, signal.SIGKILL)
            with pytest.raises(Gone, match=r"the decoder crashed \(SIGKILL"):
                child.receive_into(values)
        else:
            child.receive_into(values)
            assert np.array_equal(values, clip[0])
        child.kill()


def test_a_decoder_that_hangs_is_ended(tmp_path):
    video = drawn.write_video(tmp_path / "a.mp4", 40)
    decoder = Decoder(timeout=0.5)
    events = decoder.read(reading(video))
    first = next(events)
    child = decoder._child._process
    child.send_signal(signal.SIGSTOP)
    assert "the decoder hangs: not one new frame in 0.5 s" in outcome([first, *events])
    assert child.poll() is not None
    decoder.stop()


def test_a_slow_consumer_is_no_hanging_decoder(tmp_path):
    video = drawn.write_video(tmp_path / "a.mp4", 40)
    decoder = Decoder(timeout=0.3)
    events = []
    for event in decoder.read(reading(video)):
        events.append(event)
        if len(events) < 3:
            time.sleep(1)
    assert outcome(events) == "whole"
    decoder.stop()


def test_a_parent_that_is_killed_leaves_no_child(tmp_path):
    video = drawn.write_video(tmp_path / "a.mp4", 40)
    code = f"""
import sys, time
sys.path[:] = {sys.path!r}
from p3d.child_process import Child, Gone
from p3d.video.decoder import Decoder
from video.test_decoder import reading
decoder = Decoder()
events = decoder.read(reading({str(video)!r}))
next(events)
print(decoder._child._process.pid, flush=True)
time.sleep(600)
"""
    command = [sys.executable, "-W", "ignore", "-c", code]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    os.kill(child, 0)
    parent.kill()
    parent.communicate()
    while _runs(child):
        time.sleep(0.05)


def test_forks_have_children_of_their_own(tmp_path):
    """As the workers of PyTorch's DataLoader, which are forks of the process with the Extractor."""
    videos = [str(drawn.write_video(tmp_path / f"{n}.mp4", n)) for n in (20, 30, 40)]
    code = f"""
import os, sys
sys.path[:] = {sys.path!r}
from p3d.video.decoder import Decoder
from video.test_decoder import reading
decoder = Decoder()
frames = lambda video: [*decoder.read(reading(video))][-1].result["frames"]
print(frames({videos[0]!r}), flush=True)
forks = []
for video in {videos[1:]!r}:
    forks.append(os.fork())
    if not forks[-1]:
        print(*(frames(video) for _ in range(5)), flush=True)
        sys.exit()
for fork in forks:
    os.waitpid(fork, 0)
print(frames({videos[0]!r}))
"""
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    first, *forks, last = done.stdout.splitlines()
    assert first == last == "20", done.stderr
    assert sorted(forks) == ["30 30 30 30 30", "40 40 40 40 40"], done.stderr


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("count", [0, 1, 3])
def test_several_decoders_keep_the_order_within_a_video(tmp_path, count):
    videos = [drawn.write_video(tmp_path / f"{i}.mp4", 18 + i) for i in range(7)]
    (tmp_path / "bad.mp4").write_bytes(b"bad")
    videos.insert(3, tmp_path / "bad.mp4")
    decoders = Decoders(count)
    numbers: dict[int, list[int]] = {}
    ends: dict[int, End] = {}
    for event in decoders.events(map(reading, videos), 5):
        if event is not None and isinstance(event[1], Clip):
            assert event[0] not in ends
            numbers.setdefault(event[0], []).append(event[1].number)
        elif event is not None:
            ends[event[0]] = event[1]
    assert sorted(ends) == list(range(8))
    for video in range(8):
        if video == 3:
            assert "bad.mp4" in str(ends[3].result)
        else:
            assert numbers[video] == list(range(20))
            assert ends[video].result["frames"] == 18 + video - (video > 3)
    decoders.stop()


def test_a_feed_that_fails_is_raised_here(tmp_path):
    def videos():
        yield reading(drawn.write_video(tmp_path / "a.mp4", 20))
        raise KeyError("the list")

    decoders = Decoders(1)
    with pytest.raises(KeyError, match="the list"):
        list(decoders.events(videos(), 5))
    decoders.stop()
