"""Clips of a video: the same whatever the estimate was, in memory that does not grow."""

from __future__ import annotations

import json
from dataclasses import replace

import drawn
import numpy as np
import pytest

import p3d
from p3d import Error
from p3d.video import preprocess
from p3d.video.clips import ClipReader, open_video
from p3d.video.recipe import RECIPES, Recipe, recipe_named
from p3d.video.source import Position


class Numbers:
    """A source whose frame i is filled with i, and that is wrong about its length."""

    path = "numbers"
    modality = "frame"

    def __init__(self, frames: int, estimate: int | None = None) -> None:
        self.count = frames
        self.guess = frames if estimate is None else estimate
        self.passes = 0
        self.converted = 0

    def estimate(self, alive=lambda: None) -> int:
        return self.guess

    def frames(self, wanted):
        self.passes += 1
        for index in range(self.count):
            self.position = Position(index, index / 25)
            self.converted += wanted(index)
            yield np.full((8, 8, 3), index % 256, np.uint8) if wanted(index) else None

    def record(self):
        return {}


SMALL = Recipe("small", size=8, crop=8)


def numbers_in(clips) -> list[list[int]]:
    """The frames of each clip, as the pixels tell."""
    whole = [clip + np.float32([104, 117, 123])[:, None, None, None] for clip in clips]
    for clip in whole:
        assert np.all(clip == clip[:1, :, :1, :1])
    return [[int(n) for n in clip[0, :, 0, 0]] for clip in whole]


@pytest.mark.parametrize("frames", [1, 2, 15, 16, 17, 18, 19, 25, 38, 100, 182, 255])
@pytest.mark.parametrize("error", [0, 1, -1, 7, -14, 1000])
def test_clips_are_the_recipe_whatever_the_estimate(frames, error):
    source = Numbers(frames, max(1, frames + error))
    reader = ClipReader(source, SMALL)
    if frames < 0.95 * source.guess - 2:
        with pytest.warns(UserWarning, match=f"only {frames} of {source.guess} frames"):
            clips = dict(reader)
    else:
        clips = dict(reader)
    expected = [clip.tolist() for clip in SMALL.frames_of_clips(frames)]
    assert numbers_in(clips[i] for i in range(20)) == expected
    assert reader.frames == frames
    assert source.passes == (1 if source.guess == frames else 2)
    assert reader.record()["starts"] == [clip[0] for clip in expected]
    assert reader.record()["looped"] == (frames < 16)


def test_a_source_that_never_agrees_with_itself_is_an_error():
    class Restless(Numbers):
        def frames(self, wanted):
            self.count += 3
            return super().frames(wanted)

    with pytest.raises(Error, match="another number of frames every time"):
        dict(ClipReader(Restless(40), SMALL))


def test_long_videos_need_no_more_memory(monkeypatch):
    held = []
    real = preprocess.planes

    class Watched(Recipe):
        alive = 0

        def picture(self, frame):
            return Picture(frame)

    class Picture:
        alive = 0

        def __init__(self, frame):
            self.frame = frame
            Picture.alive += 1

        def __del__(self):
            Picture.alive -= 1

    def planes(pictures):
        held.append(Picture.alive)
        return real([picture.frame for picture in pictures])

    monkeypatch.setattr(preprocess, "planes", planes)
    source = Numbers(3000)
    assert sum(1 for _ in ClipReader(source, Watched("watched", size=8, crop=8))) == 20
    assert max(held) <= 17
    assert source.converted == 320  # other frames are decoded, not converted


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_video_file_and_its_frames_in_a_folder_give_the_same_clips(tmp_path, recipe):
    import cv2

    path = drawn.write_video(tmp_path / "a.mp4", 30)
    folder = tmp_path / "frames"
    folder.mkdir()
    for index, frame in enumerate(open_video(path).frames(lambda _: True)):
        cv2.imwrite(str(folder / f"{index:06d}.png"), frame)
    one = dict(ClipReader(open_video(path), RECIPES[recipe]))
    two = dict(ClipReader(open_video(folder), RECIPES[recipe]))
    assert one.keys() == two.keys()
    for index in one:
        assert np.array_equal(one[index], two[index]), f"clip {index}"


def test_flow_clips_have_two_channels_and_no_mean(tmp_path):
    import cv2

    for number in range(1, 21):
        cv2.imwrite(str(tmp_path / f"flow_x_{number:05d}.png"), np.full((48, 64), 100, np.uint8))
        cv2.imwrite(str(tmp_path / f"flow_y_{number:05d}.png"), np.full((48, 64), 200, np.uint8))
    reader = ClipReader(open_video(tmp_path, "flow"), RECIPES["author20"])
    for _, clip in reader:
        assert clip.shape == (2, 16, 160, 160)
        assert np.all(clip[0] == 100 - 128)
        assert np.all(clip[1] == 200 - 128)
    assert reader.record()["channels"] == "xy"


def test_clips_in_three_lines(tmp_path):
    path = drawn.write_video(tmp_path / "a.mp4", 30)
    seen = list(p3d.clips(path, stride=5, crop=40, size=44, crops="five"))
    assert [(clip.number, clip.crop, clip.frame) for clip in seen] == [
        (number, crop, 5 * number) for number in range(3) for crop in range(5)
    ]
    assert seen[-1].time == pytest.approx(10 / 25)
    assert {clip.values.shape for clip in seen} == {(3, 16, 40, 40)}
    again = dict(ClipReader(open_video(path), RECIPES["author20"]))
    for clip in p3d.clips(path):
        assert np.array_equal(clip.values, again[clip.number])


def test_clips_come_once_even_where_the_estimate_is_wrong(tmp_path, monkeypatch):
    path = drawn.write_video(tmp_path / "a.mp4", 40)
    monkeypatch.setattr("p3d.video.decode.VideoFile.estimate", lambda self, alive: 30)
    assert [clip.number for clip in p3d.clips(path, crop=40, size=44)] == list(range(20))


@pytest.mark.parametrize("frames", [1, 7, 15, 16, 17, 40, 41])
@pytest.mark.parametrize("stride", [1, 8, 16, 40])
def test_dense_clips_need_no_estimate(frames, stride):
    source = Numbers(frames, estimate=-1)
    reader = ClipReader(source, replace(SMALL, sampling="dense", stride=stride))
    clips = dict(reader)
    starts = list(range(0, max(1, frames - 15), stride))
    expected = [[(start + i) % frames for i in range(16)] for start in starts]
    assert numbers_in(clips[i] for i in range(len(clips))) == expected
    assert source.passes == 1
    assert reader.record()["starts"] == starts
    assert reader.record()["times"] == [start / 25 for start in starts]


@pytest.mark.parametrize("short", ["loop", "repeat-last", "error"])
@pytest.mark.parametrize("changes", [{"stride": 4}, {"clips": 2}, {}])
def test_short_videos(short, changes):
    reader = ClipReader(Numbers(3), recipe_named(SMALL, short=short, **changes))
    if short == "error":
        with pytest.raises(Error, match="numbers: the video has 3 frames, a clip 16"):
            dict(reader)
        return
    rest = [0, 1, 2] * 5 if short == "loop" else [2] * 13
    assert numbers_in(dict(reader).values())[0] == [0, 1, 2, *rest][:16]
    assert reader.record()["short"]
    assert reader.record()["recipe"]["short"] == short


def test_another_frame_rate_is_told_in_frames_of_the_file():
    reader = ClipReader(Numbers(60), recipe_named(SMALL, fps=12.5, stride=4))
    clips = dict(reader)
    assert numbers_in([clips[1]]) == [list(range(8, 40, 2))]
    assert reader.record()["starts"] == [0, 8, 16, 24]
    assert reader.record()["times"] == [0, 0.32, 0.64, 0.96]
    assert reader.frames == 30


@pytest.mark.parametrize("crop", [0, -5, 5000])
def test_a_crop_that_cannot_be(crop) -> None:
    with pytest.raises(p3d.Error, match=f"^a crop of {crop} is not possible: take 1 to 4096"):
        next(p3d.clips("some.mp4", crop=crop))


def test_numbers_of_a_recipe_are_whole() -> None:
    recipe = Recipe("x", size=[np.int32(20), 30], crop=np.int64(8), clips=np.uint8(3))
    assert recipe == Recipe("x", size=(20, 30), crop=8, clips=3)
    assert "[20, 30]" in json.dumps(recipe.record())
    for name, value in {"clips": 2.5, "stride": "8", "crop": None, "size": (8, 8.5)}.items():
        with pytest.raises(Error, match=f"{name} is .*: give a whole number"):
            Recipe("x", **{"size": 9, "crop": 8, name: value})
    with pytest.raises(Error, match="give the short edge, or"):
        Recipe("x", size=(8, 8, 8), crop=8)
