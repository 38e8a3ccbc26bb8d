"""Text, bars and lines on images (h, w, 3), B G R."""

from __future__ import annotations

import os

import cv2
import numpy as np

from p3d.atomic import replacing
from p3d.error import Error

INK = (30, 30, 30)
COLOURS = (
    *((180, 90, 20), (40, 140, 40), (40, 60, 200), (150, 50, 150), (20, 130, 180)),
    *((160, 150, 0), (100, 100, 100), (150, 90, 240), (30, 60, 110), (210, 160, 90)),
)
"""One for each of the classes or curves that are shown."""


def text(
    image: np.ndarray,
    words: str,
    x: int,
    y: int,
    size: float = 0.4,
    colour: tuple[int, int, int] = INK,
) -> None:
    """Words with their left bottom corner at (x, y); what OpenCV's letters lack becomes "?"."""
    plain = words.encode("ascii", "replace").decode()
    cv2.putText(image, plain, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)


def text_width(words: str, size: float = 0.4) -> int:
    """Of what `text` draws, in pixels."""
    return int(cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, size, 1)[0][0])


def bar(
    image: np.ndarray, x: int, y: int, width: int, share: float, colour: tuple[int, int, int]
) -> None:
    """A bar of `share` (0..1) of `width` pixels, with its left top corner at (x, y)."""
    length = round(width * min(1.0, max(0.0, share)))
    image[y : y + 6, x : x + width] = (225, 225, 225)
    image[y : y + 6, x : x + length] = colour


def curve(image: np.ndarray, xs: np.ndarray, ys: np.ndarray, colour: tuple[int, int, int]) -> None:
    """A line through the points (xs, ys), each (n,), in pixels."""
    points = np.stack([xs, ys], axis=1).round().astype(np.int32)
    cv2.polylines(image, [points], False, colour, 1, cv2.LINE_AA)
    for x, y in points:
        cv2.circle(image, (int(x), int(y)), 2, colour, -1, cv2.LINE_AA)


def save(path: str, image: np.ndarray) -> None:
    """Writes an image in the kind that the path's ending names, .png without one."""
    try:
        data = cv2.imencode(os.path.splitext(path)[1] or ".png", image)[1]
    except cv2.error as error:
        raise Error(f"{path}: OpenCV cannot write such images; name it .png") from error
    with replacing(path) as file:
        file.write(data.tobytes())


def thumbnail(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    """A frame (h, w, 3 or 2) in a box: B G R, aspect kept; of flow, x as grey."""
    if frame.shape[2] == 2:
        frame = np.repeat(frame[:, :, :1], 3, axis=2)
    scale = min(height / frame.shape[0], width / frame.shape[1])
    h, w = (max(1, int(side * scale)) for side in frame.shape[:2])
    box = np.full((height, width, 3), 255, np.uint8)
    top, left = (height - h) // 2, (width - w) // 2
    small = cv2.resize(frame, (w, h), interpolation=cv2.INTER_AREA)
    box[top : top + h, left : left + w] = small
    return box
