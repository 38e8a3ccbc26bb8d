"""p3d.video.write."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from p3d import Error
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
    with pytest.raises(Error, match="missing/a: this OpenCV can write neither"):
        write_video(str(tmp_path / "missing" / "a"), [frame])
    with pytest.raises(Error, match="at least one frame"):
        write_video(str(tmp_path / "a"), [])
