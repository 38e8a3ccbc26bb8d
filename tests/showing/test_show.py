"""`p3d show`: pictures and videos of results, with a net worked out by hand."""

from __future__ import annotations

import json
import types
from pathlib import Path

import cv2
import numpy as np
import pytest
from jobs.test_runner import run
from video.drawn import picture, write_frames, write_video

from p3d import cli
from p3d.jobs.output import Output
from p3d.video import write


@pytest.fixture(autouse=True)
def result(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_video(Path("a.mp4"), 60, 96, 128)
    run(["a.mp4"])


def show(*arguments) -> int:
    return cli.main(["show", *arguments])


@pytest.mark.parametrize("file", ["out/a.npz", "out/a.json", "out/a"])
def test_a_picture_has_the_frames_of_the_clips(file):
    assert show(file, "-o", "a.png", "--columns", "4", "--top", "2") == 0
    image = cv2.imread("a.png").astype(int)
    starts = json.loads(Path("out/a.json").read_text())["starts"]
    for column, clip in enumerate((0, 6, 13, 19)):
        level = picture(starts[clip] + 8, 96, 128)[48, 40].astype(int)
        x = 8 + column * 140 + 40
        patch = image[28 + 36 + 4 + 45 : 28 + 36 + 4 + 55, x : x + 5]
        assert np.abs(np.median(patch, axis=(0, 1)) - level).max() < 25, f"clip {clip}"


def test_a_picture_without_classes():
    run(["a.mp4"], blobs=("pool5",))
    assert show("out/a.npz", "-o", "a.png") == 0
    assert cv2.imread("a.png") is not None


def test_a_picture_of_one_clip_and_of_frames_in_a_folder():
    write_frames(Path("f"), "%05d.png", range(5))
    run(["f"], clips=1)
    assert show("out/f.npz", "-o", "f.png") == 0
    assert cv2.imread("f.png") is not None


def test_a_video_shows_the_classes_of_the_nearest_clip():
    assert show("out/a.npz", "-o", "b.mp4", "--top", "1") == 0
    capture = cv2.VideoCapture("b.mp4")
    frames = []
    while (pair := capture.read())[0]:
        frames.append(pair[1])
    assert len(frames) == 60
    assert frames[0].shape == (240, 320, 3)
    assert frames[0][:20].mean() > 150, "a light ground below the text"
    # The text changes with the clip: compare lines of text between the first and the last clip.
    assert np.abs(frames[0][:20].astype(int) - frames[-1][:20]).max() > 60
    assert [p.name for p in Path().iterdir() if "p3d-" in p.name] == []


def test_a_video_that_the_disk_did_not_take_is_told(monkeypatch, capsys):
    def cut_off(path, codec, first, rate):
        Path(path).write_bytes(b"cut off")
        return types.SimpleNamespace(
            isOpened=lambda: True, write=lambda frame: None, release=lambda: None
        )

    monkeypatch.setattr(write, "_writer", cut_off)
    assert show("out/a.npz", "-o", "cut.mp4") == 1
    assert "cannot write cut.mp4" in capsys.readouterr().err
    assert not [p for p in Path().iterdir() if p.name == "cut.mp4" or "p3d-" in p.name]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["out/none.npz", "-o", "x.png"], "no result of p3d extract"),
        (["out", "-o", "x.png"], "it is a folder: name a file in it"),
        (["a.mp4", "-o", "x.png"], "no result of p3d extract"),
        (["out/a.npz", "-o", "x.doc"], "x.doc"),
        (["out/a.npz", "-o", "x.png", "--top", "0"], "are counts"),
        (["out/a.npz", "-o", "nowhere/x.png"], "cannot write"),
        (["out/a.npz", "-o", "nowhere/x.mp4"], "cannot write nowhere/x.mp4"),
    ],
)
def test_wrong_arguments(arguments, message, capsys):
    assert show(*arguments) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_pooled_results_have_no_classes_per_clip(capsys):
    run(["a.mp4"], output=Output(kind="npz", pool="avg"))
    assert show("out/a.npz", "-o", "x.mp4") == 1
    assert "no classes per clip" in capsys.readouterr().err
    assert show("out/a.npz", "-o", "x.png") == 0


def test_a_video_that_is_gone(capsys):
    Path("a.mp4").unlink()
    assert show("out/a.npz", "-o", "x.png") == 1
    assert "there is no such file" in capsys.readouterr().err
