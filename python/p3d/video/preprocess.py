"""From a decoded frame to the net's input; geometry first, then numbers.

A frame is uint8 (h, w, c): B, G, R as OpenCV decodes it, or x, y for optical flow. Resizing is
OpenCV's INTER_LINEAR (no antialiasing); the authors' feature code used MATLAB's imresize, their
training code the same cv::resize as ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from p3d.error import Error
from p3d.pixel_values import PixelValues, minus

MEAN = {"frame": (104.0, 117.0, 123.0), "flow": (128.0, 128.0)}
"""What is subtracted per channel: B, G, R of a frame; x, y of a flow image."""

CHANNELS = {"frame": "BGR", "flow": "xy"}

RESIZE = "bilinear, cv2.INTER_LINEAR (the authors' feature code: MATLAB imresize)"
"""For the record that accompanies features."""

LARGEST_EDGE = 1 << 13
"""Of frames that people ask for."""

_MAX_PIXELS = 1 << 26  # a 1 x 65535 frame would become 162 x 10616670


def short_edge_size(h: int, w: int, edge: int) -> tuple[int, int]:
    """(h, w) scaled to a short edge of `edge`, aspect kept, both sides rounded up."""
    short = min(h, w)
    return -(-h * edge // short), -(-w * edge // short)


def crop_corner(h: int, w: int, crop: int) -> tuple[int, int]:
    """Top and left of the centre crop: half of what is left over, rounded down."""
    return (h - crop) // 2, (w - crop) // 2


def resize(frame: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
    """Resizes a uint8 frame (h, w, c): `size` is the short edge (aspect kept) or (h, w)."""
    h, w = frame.shape[:2]
    h, w = short_edge_size(h, w, size) if isinstance(size, int) else size
    if h * w > _MAX_PIXELS:
        shape = "x".join(map(str, frame.shape[1::-1]))
        raise Error(f"a frame of {shape} pixels is too elongated to resize to {w}x{h}: crop it")
    return cv2.resize(frame, (w, h), interpolation=cv2.INTER_LINEAR)


def resize_and_crop(frame: np.ndarray, size: int | tuple[int, int], crop: int) -> np.ndarray:
    """Resizes a uint8 frame (h, w, c) and cuts out the centre: uint8 (crop, crop, c)."""
    resized = resize(frame, size)
    h, w = resized.shape[:2]
    top, left = crop_corner(h, w, crop)
    return resized[top : top + crop, left : left + crop].copy()


VIEWS = {"centre": 1, "five": 5, "ten": 10, "full": 1}
"""How many views of a clip each kind of crops gives."""


def views(clip: np.ndarray, crop: int, kind: str, flow: bool = False) -> Iterator[np.ndarray]:
    """Cuts a uint8 clip (c, l, h, w) into views (c, l, crop, crop).

    "five": top left, top right, bottom left, bottom right, centre; "ten": these, then the same
    mirrored (in flow, x changes its sign: 255 - x); "full": the clip as it is.
    """
    if kind == "full":
        yield clip
        return
    h, w = clip.shape[2:]
    bottom, right, centre = h - crop, w - crop, crop_corner(h, w, crop)
    corners = [(0, 0), (0, right), (bottom, 0), (bottom, right)] if kind != "centre" else []
    cut = [clip[:, :, t : t + crop, x : x + crop] for t, x in (*corners, centre)]
    yield from map(np.ascontiguousarray, cut)
    for view in cut if kind == "ten" else []:
        mirrored = view[..., ::-1].copy()
        if flow:
            np.subtract(255, mirrored[0], out=mirrored[0])
        yield mirrored


def planes(frames: Sequence[np.ndarray]) -> np.ndarray:
    """uint8 frames (h, w, c), one after the other -> uint8 (c, l, h, w)."""
    h, w, c = frames[0].shape
    clip = np.empty((c, len(frames), h, w), np.uint8)
    for index, frame in enumerate(frames):
        clip[:, index] = frame.transpose(2, 0, 1)
    return clip


def pixel_values(modality: str) -> PixelValues:
    """The mean of "frame" or "flow" is subtracted."""
    return minus(MEAN[modality])


def to_clip(frames: Sequence[np.ndarray], mean: Sequence[float]) -> np.ndarray:
    """uint8 frames (h, w, c), one after the other -> float32 (c, l, h, w), mean subtracted."""
    return minus(mean).of(planes(frames))
