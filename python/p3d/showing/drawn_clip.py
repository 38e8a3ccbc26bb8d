"""A clip by itself, as a video that people can see or as one picture of its frames."""

from __future__ import annotations

import os

import cv2
import numpy as np

from p3d.atomic import NewFile
from p3d.error import Error
from p3d.showing.drawing import save
from p3d.video.write import MP4, write_video

_RATE = 8.0  # frames a second: a clip of 16 is two seconds
_SMALLEST = 320  # pixels of width of a video
_COLUMNS = 8  # of a picture


def check_place(path: str) -> None:
    """Raises Error where `write` could not write, before a clip is drawn for minutes."""
    ending = os.path.splitext(path)[1].lower()
    if ending != MP4[0] and not (ending and cv2.haveImageWriter(path)):
        raise Error(f"{path}: OpenCV writes no such image; name it .mp4 or .png")
    NewFile(path).abandon()


def write(pixels: np.ndarray, path: str) -> str:
    """Writes uint8 (l, h, w, c), c = 3 (B G R) or 2 (flow), to an .mp4 or an image; the path.

    Differences from grey are made larger where they are faint.
    """
    frames = [_flow_in_colours(frame) if frame.shape[2] == 2 else frame for frame in _clear(pixels)]
    base, ending = os.path.splitext(path)
    if ending.lower() != MP4[0]:
        save(path, _beside_each_other(frames))
        return path
    factor = max(1, -(-_SMALLEST // frames[0].shape[1]))
    h, w = (side * factor // 2 * 2 for side in frames[0].shape[:2])
    large = [cv2.resize(frame, (w, h), interpolation=cv2.INTER_CUBIC) for frame in frames]
    return write_video(base, large, _RATE, [(ending, MP4[1])])


def _clear(pixels: np.ndarray) -> np.ndarray:
    """Differences from the middle of the clip, all but the largest, as large as they can be."""
    middle = np.median(pixels, axis=(0, 1, 2))
    off = pixels - middle
    gain = max(1.0, 100 / max(1.0, np.percentile(np.abs(off), 99.5)))
    return np.rint(middle + off * gain).clip(0, 255).astype(np.uint8)


def _beside_each_other(frames: list[np.ndarray]) -> np.ndarray:
    h, w = frames[0].shape[:2]
    rows = -(-len(frames) // _COLUMNS)
    columns = min(len(frames), _COLUMNS)
    image = np.full((rows * (h + 4) - 4, columns * (w + 4) - 4, 3), 255, np.uint8)
    for index, frame in enumerate(frames):
        y, x = (index // _COLUMNS) * (h + 4), (index % _COLUMNS) * (w + 4)
        image[y : y + h, x : x + w] = frame
    return image


def _flow_in_colours(frame: np.ndarray) -> np.ndarray:
    """uint8 (h, w, x y) -> B G R: x is red, y green; grey is still."""
    x, y = np.moveaxis(frame, 2, 0)
    return np.dstack([np.full_like(x, 128), y, x])
