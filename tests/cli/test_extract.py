"""`p3d extract` from the command line to the files, with a net that can be worked out by hand."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from fake_net import FakeNet

from p3d import cli, extractor
from p3d.loading import Loaded
from p3d.video.clips import ClipReader, open_video
from p3d.video.recipe import recipe_named


@pytest.fixture(autouse=True)
def fake_net(monkeypatch, tmp_path):
    """Any weights load FakeNet; the current folder is empty."""
    names = [f"name{i}" for i in range(6)]
    monkeypatch.setattr(
        extractor, "load_net", lambda *_, **__: Loaded(FakeNet(), names, {"net": "FAKE"})
    )
    monkeypatch.chdir(tmp_path)


def video(path, level=0, frames=20):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"mp4v"), 25.0, (64, 48))
    for index in range(frames):
        writer.write(np.full((48, 64, 3), (level + 5 * index) % 256, np.uint8))
    writer.release()
    return path


def pool5(path):
    clips = dict(ClipReader(open_video(path), recipe_named("author20").at(crop=32)))
    return FakeNet.pool5(np.stack([clips[i] for i in range(20)]))


def extract(*arguments):
    return cli.main(["extract", "--weights", "w", *arguments])


def test_a_video_becomes_an_npy(capsys):
    video("some.mp4")
    assert extract("some.mp4") == 0
    np.testing.assert_array_equal(np.load("features/some.npy"), pool5("some.mp4"))
    meta = json.loads(Path("features/some.json").read_text())
    assert meta["video"] == os.path.abspath("some.mp4")
    assert len(meta["starts"]) == 20
    out, err = capsys.readouterr()
    assert out.startswith("1 video, 20 clips in ")
    assert err == ""  # no progress bar outside of a terminal


def test_lists_and_folders_and_several_blobs(capsys):
    for level, name in enumerate(("v/a/x.mp4", "v/b/x.mp4", "y.mp4")):
        video(name, level)
    Path("list.txt").write_text("y.mp4\n")
    assert extract("v", "list.txt", "--out", "o", "--blobs", "pool5,prob", "-top", "2") == 0
    for name in ("v/a/x.mp4", "v/b/x.mp4", "y.mp4"):
        with np.load("o/" + name.removeprefix("v/").replace(".mp4", ".npz")) as stored:
            np.testing.assert_array_equal(stored["pool5"], pool5(name))
            assert stored["prob"].shape == (20, 6)
    out = capsys.readouterr().out
    assert "v/a/x.mp4: name" in out
    assert "3 videos, 60 clips" in out


def test_failing_videos_are_told_and_the_rest_goes_on(capsys):
    video("a.mp4")
    video("c.mp4", 9)
    Path("b.mp4").write_text("no video")
    assert extract("a.mp4", "b.mp4", "missing.mp4", "c.mp4", "--format", "npz") == 1
    assert sorted(os.listdir("features")) == [
        "a.json",
        "a.npz",
        "c.json",
        "c.npz",
        "failed.jsonl",
    ]
    failed = [json.loads(line) for line in Path("features/failed.jsonl").read_text().splitlines()]
    assert [os.path.relpath(line["video"]) for line in failed] == ["b.mp4", "missing.mp4"]
    assert "OpenCV finds no video" in failed[0]["error"]
    out, err = capsys.readouterr()
    assert [line.split(":")[1].strip() for line in err.splitlines()] == ["b.mp4", "missing.mp4"]
    assert out.strip().endswith("-> features; 2 failed")


def test_features_of_another_video_are_not_overwritten(capsys):
    video("a/x.mp4")
    video("b/x.mp4", 50)
    assert extract("a/x.mp4") == 0
    assert extract("b/x.mp4") == 1
    assert "would overwrite those of" in capsys.readouterr().err
    np.testing.assert_array_equal(np.load("features/x.npy"), pool5("a/x.mp4"))
    assert extract("a/x.mp4") == 0
    assert extract("b/x.mp4", "--overwrite") == 0
    np.testing.assert_array_equal(np.load("features/x.npy"), pool5("b/x.mp4"))


def test_equal_names_are_refused_before_anything_is_done(capsys):
    video("a/x.mp4")
    video("b/x.mp4")
    assert extract("a/x.mp4", "b/x.mp4") == 1
    assert "--root" in capsys.readouterr().err
    assert not os.path.exists("features")
    assert extract("a/x.mp4", "b/x.mp4", "--root", ".") == 0
    assert os.path.exists("features/b/x.npy")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--blobs", "pool5,prob", "--format", "npy"], "holds one blob, not 2"),
        (["--blobs", "pol5"], "no blob 'pol5'"),
        (["--batch", "0"], "batch of 0"),
        (["--timeout", "nan"], "nan s for a frame"),
        (["--top", "-1"], "-1 classes of each video"),
        (["--recipe", "tsn"], "no recipe 'tsn'"),
        (["--crop", "64", "--size", "48x80"], "does not fit"),
        (["--out", "a.mp4"], "--out a.mp4 is a file"),
        (["--out", "a.mp4/features"], "a.mp4/features"),
    ],
)
def test_wrong_options_are_one_line(arguments, message, capsys):
    video("a.mp4")
    assert extract("a.mp4", *arguments) == 1
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_warnings_do_not_stop_a_run(capsys, recwarn):
    for number in (1, 2, 5, *range(6, 30)):
        os.makedirs("frames", exist_ok=True)
        cv2.imwrite(f"frames/img_{number:05d}.jpg", np.full((40, 50, 3), number, np.uint8))
    warnings.simplefilter("always")
    assert extract("frames") == 0
    assert "2 frames are missing" in capsys.readouterr().err
