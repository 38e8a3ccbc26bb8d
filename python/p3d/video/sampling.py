"""Which frames make the clips of a video: small pure functions, frames counted from 0."""

from __future__ import annotations

import math

import numpy as np


def author20(frames: int, length: int = 16, clips: int = 20) -> list[int]:
    """First frames of the clips by the authors' rule for feature extraction.

    Always `clips` clips of `length` consecutive frames. With stride = (frames - length - 2) / clips
    clip i (from 0) starts at floor(i * stride). The product is taken in double precision, as the
    authors' MATLAB does: with 182 frames clip 15 starts at 122, not at 15 * 164 / 20 = 123. A video
    of less than length + 2 frames starts every clip at frame 0.
    Source: the MATLAB code that the authors posted, which counts clips and frames from 1.
    """
    stride = max(0, frames - length - 2) / clips
    return [math.floor(i * stride) for i in range(clips)]


def frame_indices(start: int, length: int, frames: int) -> np.ndarray:
    """The frames of a clip, shape (length,). After the video's last frame the first follows."""
    return (start + np.arange(length)) % frames
