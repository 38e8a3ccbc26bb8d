"""Folders of frames and of flow: found by looking."""

from __future__ import annotations

import cv2
import drawn
import numpy as np
import pytest

from p3d import Error
from p3d.video.clips import open_video


def wanted(video) -> list[np.ndarray]:
    return list(video.frames(lambda _: True))


@pytest.mark.parametrize(
    ("pattern", "first"),
    [
        ("%06d.png", 1),
        ("%d.png", 0),  # natural order: 9 before 10
        ("img_%05d.png", 1),
        ("frame_%010d.png", 0),
        ("thumb%04d.PNG", 7),
        ("frame%d.png", 95),  # over the hundred
        ("v_Dive_g01_c02_%04d.png", 1),
        ("%05d_rgb.png", 1),
        ("v1.2-%03d.png", 1),
    ],
)
def test_frames_come_in_the_order_of_their_numbers(tmp_path, pattern, first):
    folder = drawn.write_frames(tmp_path / "f", pattern, range(first, first + 13))
    (folder / "readme.txt").write_text("7")
    (folder / "Thumbs.db").write_bytes(b"")
    (folder / "._img_00001.jpg").write_bytes(b"")
    video = open_video(folder)
    assert video.estimate() == 13
    for index, frame in enumerate(wanted(video)):
        assert np.array_equal(frame, drawn.picture(index)), f"frame {index}"
    assert video.record()["first"] == first


def test_unwanted_files_are_not_opened(tmp_path):
    folder = drawn.write_frames(tmp_path / "f", "%03d.png", range(5))
    (folder / "003.png").write_bytes(b"broken")
    some = list(open_video(folder).frames(lambda index: index == 1))
    assert [frame is not None for frame in some] == [False, True, False, False, False]
    with pytest.raises(Error, match=r"003\.png: the image is damaged"):
        wanted(open_video(folder))


def test_grey_images_become_three_channels(tmp_path):
    cv2.imwrite(str(tmp_path / "1.png"), np.full((4, 6), 77, np.uint8))
    assert np.array_equal(wanted(open_video(tmp_path))[0], np.full((4, 6, 3), 77, np.uint8))


def test_gaps_are_reported(tmp_path):
    numbers = [1, 2, 5, 6, 8, 20]
    folder = drawn.write_frames(tmp_path / "f", "img_%05d.png", numbers)
    report = r"14 frames are missing between 1 and 20 of img_\*\.png \(3-4, 7, 9-19\)"
    with pytest.warns(UserWarning, match=report):
        video = open_video(folder)
    assert len(wanted(video)) == 6


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ("flow_x_%05d.png", "flow_y_%05d.png"),
        ("x_%04d.png", "y_%04d.png"),
        ("u%d.png", "v%d.png"),
        ("%05d_x.png", "%05d_y.png"),
        ("frame%05d_flow_x.png", "frame%05d_flow_y.png"),
        ("flow_x/%05d.png", "flow_y/%05d.png"),
        ("u/frame%06d.png", "v/frame%06d.png"),
        ("X/%d.png", "Y/%d.png"),
        ("flow_x/flow_x_%05d.png", "flow_y/flow_y_%05d.png"),
        ("v_dive_flow_x_%05d.png", "v_dive_flow_y_%05d.png"),
        ("flowx%05d.png", "flowy%05d.png"),
    ],
)
def test_flow_is_found_and_x_comes_first(tmp_path, x, y):
    folder = tmp_path / "f"
    for index in range(1, 4):
        for pattern, level in ((x, 100), (y, 200)):
            file = folder / (pattern % index)
            file.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(file), np.full((5, 7), level + index, np.uint8))
    drawn.write_frames(folder, "img_%05d.png", range(1, 4))  # as dense_flow leaves it
    video = open_video(folder, "flow")
    assert (video.modality, video.estimate()) == ("flow", 3)
    for index, frame in enumerate(wanted(video), 1):
        assert frame.shape == (5, 7, 2)
        assert frame[0, 0].tolist() == [100 + index, 200 + index]
    # The same folder serves weights for frames.
    assert np.array_equal(wanted(open_video(folder, "frame"))[0], drawn.picture(0))


def flow(folder, x=(1, 2, 3), y=(1, 2, 3), shape=(5, 7)):
    folder.mkdir(exist_ok=True)
    for letter, numbers, size in (("x", x, (5, 7)), ("y", y, shape)):
        for number in numbers:
            cv2.imwrite(str(folder / f"flow_{letter}_{number}.png"), np.zeros(size, np.uint8))


def two_sets(folder):
    drawn.write_frames(folder, "a_%d.png", range(3))
    drawn.write_frames(folder, "b_%d.png", range(3))


@pytest.mark.parametrize(
    ("prepare", "modality", "message"),
    [
        (
            lambda f: f.mkdir(),
            "frame",
            r"no videos and no numbered frames in it \(img_00001.jpg, .*; it is empty",
        ),
        (
            lambda f: (f.mkdir(), (f / "a.mp4").touch()),
            "frame",
            r"there are no numbered frames in it .*; it holds a\.mp4$",
        ),
        (
            lambda f: (f.mkdir(), (f / "a.hdf5").touch()),
            "frame",
            r"there are no numbered frames in it .*; it holds a\.hdf5$",
        ),
        (lambda f: f.mkdir(), "flow", r"no flow images \(x and y\) in it; `p3d flow VIDEO"),
        (flow, "frame", "holds optical flow, which needs weights for flow"),
        (lambda f: flow(f, y=()), "frame", "no videos and no numbered frames in it"),
        (lambda f: flow(f, y=()), "flow", r"flow_x_\*\.png but not the other direction"),
        (lambda f: flow(f, y=(1, 3)), "flow", "only one of them has number 2"),
        (lambda f: flow(f, shape=(5, 8)), "flow", r"differ in size: \(5, 7\) and \(5, 8\)"),
        (two_sets, "frame", r"more than one set of numbered frames in it \(a_\*\.png, b_\*\.png\)"),
        (lambda f: drawn.write_frames(f, "%s.png", ("1", "01")), "frame", "have the same number"),
        (lambda f: drawn.write_frames(f, "%s.png", "ab"), "frame", r"; it holds a\.png, b\.png$"),
        (
            lambda f: drawn.write_frames(f, "%s.png", "abcd"),
            "frame",
            r"a\.png, b\.png, c\.png, \.\.\.",
        ),
    ],
)
def test_folders_that_are_not_clear(tmp_path, prepare, modality, message):
    prepare(tmp_path / "f")
    with pytest.raises(Error, match=message) as error:
        wanted(open_video(tmp_path / "f", modality))
    assert str(error.value).startswith(str(tmp_path / "f"))


def test_a_pattern_names_one_of_two_sets(tmp_path):
    two_sets(tmp_path)
    assert len(wanted(open_video(tmp_path / "b_%05d.png"))) == 3
    with pytest.raises(Error, match="there is no such file"):
        open_video(tmp_path / "c_%05d.png")


@pytest.mark.parametrize("name", ["a.mp4", "missing.mp4"])
def test_flow_of_a_video_file_is_not_there(tmp_path, name):
    drawn.write_video(tmp_path / "a.mp4", 20)
    with pytest.raises(Error) as error:
        open_video(tmp_path / name, "flow")
    if name == "a.mp4":
        for word in ("optical flow", "`p3d flow VIDEO --out flow`", "TV-L1"):
            assert word in str(error.value)


def test_huge_and_odd_images(tmp_path):
    (tmp_path / "1.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"\x7f\xff\xff\xff" * 2
    )
    with pytest.raises(Error, match=r"1\.png"):
        wanted(open_video(tmp_path))


@pytest.mark.parametrize(
    "names", [("flow_x", "flow_y"), ("flow/u", "flow/v"), ("my_flow_x", "my_flow_y")]
)
def test_flow_in_two_trees(tmp_path, names):
    for name, level in zip(names, (100, 200), strict=True):
        folder = tmp_path / name / "dive"
        folder.mkdir(parents=True)
        for number in range(3):
            cv2.imwrite(str(folder / f"{number:05d}.png"), np.full((8, 6), level, np.uint8))
    for name in names:
        frames = wanted(open_video(tmp_path / name / "dive", "flow"))
        assert len(frames) == 3
        assert np.all(frames[0] == (100, 200))
