"""p3d.video.write."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from p3d import Error
from p3d.video.decode import VideoFile
from p3d.video.write import write_video


@pytest.mark.parametrize(("count", "height", "width"), [(1, 48, 64), (7, 72, 96)])
def test_what_is_written_can_be_read(count, height, width, tmp_path):
    greys = np.linspace(40, 200, count).astype(np.uint8)
    path = write_video(str(tmp_path / "a"), (np.full((height, width, 3), g) for g in greys))
    capture, found = cv2.VideoCapture(path), []
    while (read := capture.read())[0]:
        found.append(read[1])
    assert [frame.shape for frame in found] == [(height, width, 3)] * count
    for frame, grey in zip(found, greys, strict=True):
        assert abs(frame.mean() - grey) < 4


def test_what_cannot_be_written_is_said(tmp_path):
    frame = np.zeros((48, 64, 3), np.uint8)
    with pytest.raises(Error, match=r"cannot write .*missing/a\.mp4: there is no folder .*missing"):
        write_video(str(tmp_path / "missing" / "a"), [frame])
    with pytest.raises(Error, match=r"this OpenCV can write no \.xyz files here"):
        write_video(str(tmp_path / "a"), [frame], formats=[(".xyz", "none")])
    with pytest.raises(Error, match="at least one frame"):
        write_video(str(tmp_path / "a"), [])


@pytest.mark.parametrize("kept", [0, 3])
def test_what_is_not_whole_is_not_there(kept, tmp_path, monkeypatch):
    """OpenCV goes on silently where a disk is full."""
    monkeypatch.setattr(VideoFile, "estimate", lambda file: kept)
    with pytest.raises(Error, match=r"cannot write .*a\.mp4: not all of it; is the disk full"):
        write_video(str(tmp_path / "a"), [np.zeros((48, 64, 3), np.uint8)] * 4)
    assert not list(tmp_path.iterdir())
