"""`p3d flow`: from videos to folders of flow images, and on to features."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from p3d import cli, flow_folders
from p3d.video.clips import open_video
from p3d.video.tvl1 import Tvl1, to_images

H, W, FRAMES = 48, 64, 6


def scene() -> NDArray[np.uint8]:
    """A picture to look at through a window that moves."""
    noise = cv2.GaussianBlur(np.random.default_rng(3).uniform(0, 255, (99, 120, 3)), (0, 0), 2)
    return np.asarray(cv2.normalize(noise, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8))


def frame(index: int) -> NDArray[np.uint8]:
    y, x = 3 * (index % 11), 5 * (index % 11)
    return scene()[y : y + H, x : x + W]


def write_frames(folder: Path, frames: int = FRAMES) -> Path:
    folder.mkdir(parents=True)
    for index in range(frames):
        cv2.imwrite(str(folder / f"img_{index + 1:05d}.png"), frame(index))
    return folder


def write_video(path: Path, frames: int = FRAMES) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25.0, (W, H))
    for index in range(frames):
        writer.write(frame(index))
    writer.release()
    return path


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def flow_of(path: str) -> list[NDArray[np.uint8]]:
    return [np.asarray(each) for each in open_video(path, "flow").frames(lambda _: True)]


def names(path: str) -> list[str]:
    return sorted(os.listdir(path))


def test_a_video_becomes_a_folder(folder, capsys) -> None:
    write_video(folder / "some.mp4")
    assert cli.main(["flow", "some.mp4"]) == 0
    out, err = capsys.readouterr()
    assert out == "1 video, 5 pairs of flow images -> flow\n"
    assert err == ""
    images = [f"flow_{c}_{n:05d}.jpg" for c in "xy" for n in range(1, FRAMES)]
    assert names("flow") == ["some"]
    assert names("flow/some") == ["flow.json", *images]
    made = json.loads(Path("flow/some/flow.json").read_text())
    assert made["video"] == os.path.abspath("some.mp4")
    assert {"method": "tvl1", "bound": 20.0, "size": 256, "pairs": 5}.items() <= made.items()
    for image in flow_of("flow/some"):
        assert image.shape == (H, W, 2)
        # What is seen through the window moves the other way: 5 and 3 pixels.
        moved = (np.median(image.reshape(-1, 2), axis=0) - 127.5) * 40 / 255
        np.testing.assert_allclose(moved, (-5, -3), atol=0.2)


def test_images_are_those_of_the_frames(folder) -> None:
    """In order, of frames made another size first, as JPEG."""
    write_frames(folder / "frames")
    assert cli.main(["flow", "frames", "--size", "32x40", "--bound", "8", "--quality", "100"]) == 0
    greys = [cv2.cvtColor(frame(i), cv2.COLOR_BGR2GRAY) for i in range(FRAMES)]
    greys = [cv2.resize(each, (40, 32), interpolation=cv2.INTER_AREA) for each in greys]
    found = flow_of("flow/frames")
    assert len(found) == FRAMES - 1
    for image, before, after in zip(found, greys[:-1], greys[1:], strict=True):
        expected = to_images(Tvl1()(before, after), 8).astype(int)
        assert np.abs(image - expected).max() <= 6


@pytest.mark.parametrize(
    ("size", "shape"), [("own", (48, 64)), ("24", (24, 32)), ("99", (48, 64)), ("20x40", (20, 40))]
)
def test_sizes(folder, size: str, shape: tuple[int, int]) -> None:
    write_frames(folder / "frames", 2)
    assert cli.main(["flow", "frames", "--size", size]) == 0
    (image,) = flow_of("flow/frames")
    assert image.shape == (*shape, 2)


def test_the_same_command_does_what_is_missing(folder, capsys) -> None:
    write_frames(folder / "in" / "one")
    write_frames(folder / "in" / "two", 3)
    assert cli.main(["flow", "in/one"]) == 0
    before = os.stat("flow/one/flow_x_00001.jpg")
    capsys.readouterr()
    assert cli.main(["flow", "in", "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(e["event"], e.get("name")) for e in events] == [
        ("start", None), ("skipped", "one"), ("done", "two"), ("summary", None),
    ]  # fmt: skip
    assert events[-1] == {"event": "summary", "done": 1, "skipped": 1, "failed": 0, "pairs": 2}
    assert os.stat("flow/one/flow_x_00001.jpg").st_mtime_ns == before.st_mtime_ns


def test_flow_of_another_kind_or_video_is_left_alone(folder, capsys) -> None:
    write_frames(folder / "one")
    assert cli.main(["flow", "one"]) == 0
    assert cli.main(["flow", "one", "--bound", "10"]) == 1
    assert (
        "flow/one is there and is not the flow of this video, made like this (bound is 20.0)"
        in (capsys.readouterr().err)
    )
    write_frames(folder / "other" / "one")
    assert cli.main(["flow", "other/one"]) == 1
    assert len(flow_of("flow/one")) == FRAMES - 1


@pytest.mark.parametrize("when", [2, 9])
def test_a_kill_loses_nothing_that_was_finished(folder, when: int) -> None:
    write_frames(folder / "long", 40)
    command = [sys.executable, "-m", "p3d", "flow", "long", "--threads", "1"]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    partial = Path("flow/.long.partial")
    while running.poll() is None and not (partial / f"flow_y_{when:05d}.jpg").exists():
        time.sleep(0.001)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL, "it was done before it could be killed"
    assert names("flow") == [".long.partial"]
    (partial / ".flow_x_00039.jpg.0123abcd.tmp").write_bytes(b"what a kill may leave")
    first = (partial / "flow_x_00001.jpg").stat().st_mtime_ns
    assert cli.main(["flow", "long"]) == 0
    assert names("flow") == ["long"]
    assert len(names("flow/long")) == 1 + 2 * 39
    assert os.stat("flow/long/flow_x_00001.jpg").st_mtime_ns == first


def test_what_other_options_left_is_made_anew(folder) -> None:
    write_frames(folder / "one", 3)
    assert cli.main(["flow", "one", "--bound", "10"]) == 0
    os.rename("flow/one", "flow/.one.partial")
    assert cli.main(["flow", "one"]) == 0
    expected = to_images(Tvl1()(*(cv2.cvtColor(frame(i), cv2.COLOR_BGR2GRAY) for i in (0, 1))))
    assert np.abs(flow_of("flow/one")[0].astype(int) - expected).max() <= 12


def test_what_cannot_be_read_is_told_and_the_others_go_on(folder, capsys) -> None:
    (folder / "broken.mp4").write_bytes(b"this is no video")
    write_frames(folder / "single", 1)
    write_frames(folder / "good", 3)
    for number in (1, 2):
        cv2.imwrite(f"flow_x_{number}.jpg", frame(number))
    bad = ["broken.mp4", "gone.mp4", "single", "flow_x_%d.jpg"]
    assert cli.main(["flow", *bad, "good"]) == 1
    out, err = capsys.readouterr()
    assert out == "1 video, 2 pairs of flow images -> flow; 4 failed\n"
    assert "flow_x_%d.jpg: this is flow in one direction" in err
    assert "broken.mp4: OpenCV finds no video in it" in err
    assert "gone.mp4: there is no such file" in err
    assert "single: flow is between two frames, and there is one" in err
    assert "good" in names("flow")
    assert not [name for name in names("flow") if not name.startswith(".") and name != "good"]


def test_a_full_disk_ends_it(folder, monkeypatch, capsys) -> None:
    class Full:
        def write(self, data: bytes) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    @contextlib.contextmanager
    def replacing(path: str, mode: str = "wb") -> Iterator[Any]:
        with real(path, mode) as file:
            yield Full() if path.endswith("flow_y_00003.jpg") else file

    real = flow_folders.replacing
    write_frames(folder / "in" / "one")
    write_frames(folder / "in" / "two")
    with monkeypatch.context() as patch:
        patch.setattr(flow_folders, "replacing", replacing)
        assert cli.main(["flow", "in", "--threads", "1"]) == 1
    out, err = capsys.readouterr()
    assert out == "0 videos, 0 pairs of flow images -> flow; 1 failed\n"
    assert "flow_y_00003.jpg: No space left on device: make room there" in err
    assert "the same command then makes what is missing" in err
    assert names("flow") == [".one.partial"]
    assert "flow_y_00002.jpg" in names("flow/.one.partial")
    assert cli.main(["flow", "in"]) == 0
    assert names("flow") == ["one", "two"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "9"], "'9': edges are 16 to 8192"),
        (["--size", "9x300"], "'9x300': edges are 16 to 8192"),
        (["--size", "300x"], "'300x' is no size: give N or HxW"),
        (["--size", "9999x300"], "'9999x300': edges are 16 to 8192"),
        (["--bound", "0"], "--bound 0, --quality 95: --threads takes 1 or more, --bound 0.01 to"),
        (["--bound", "inf"], "--bound inf, "),
        (["--bound", "nan"], "--bound nan, "),
        (["--threads", "0"], "--threads takes 1 or more"),
        (["--quality", "101"], "--quality 1 to 100"),
        (["--out", "one/img_00001.png"], "--out one/img_00001.png is a file: name a folder"),
    ],
)
def test_bad_options(folder, arguments: list[str], message: str, capsys) -> None:
    write_frames(folder / "one", 2)
    assert cli.main(["flow", "one", *arguments]) != 0
    assert message in capsys.readouterr().err
    assert not os.path.exists("flow/one")
