"""Frames to a video file."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import cv2
import numpy as np

from p3d.error import Error

_FORMATS = ((".mp4", "mp4v"), (".avi", "MJPG"))


def write_video(base: str, frames: Iterable[np.ndarray], rate: float = 25.0) -> str:
    """Writes images (h, w, 3) B G R, all of one even size, to `base`.mp4; returns the path.

    Where OpenCV cannot write mp4 it is `base`.avi.
    """
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        raise Error(f"{base}: a video has at least one frame")
    size = (first.shape[1], first.shape[0])
    for extension, codec in _FORMATS:
        path = base + extension
        writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*codec), rate, size)
        if not writer.isOpened():
            continue
        for frame in chain([first], frames):
            writer.write(frame)
        writer.release()
        return path
    raise Error(f"{base}: this OpenCV can write neither mp4 nor avi files here")
