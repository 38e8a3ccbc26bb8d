"""A video of noise, as large as those of Kinetics usually are."""

from __future__ import annotations

import cv2
import numpy as np

FRAMES, SIZE = 200, (320, 240)


def write_video(path: str) -> None:
    """An .avi of FRAMES frames of SIZE (w, h)."""
    fourcc = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(path, fourcc, 25, SIZE)
    rng = np.random.default_rng(0)
    picture = cv2.resize(rng.integers(0, 255, (60, 80, 3), np.uint8), SIZE)
    for frame in range(FRAMES):
        writer.write(np.roll(picture, frame, axis=1))
    writer.release()
