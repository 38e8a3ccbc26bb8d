"""From frames of any size to the crop that a net sees: resize, cut a window out, flip."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import cv2
import numpy as np

from p3d.caffe.proto import caffe_pb2
from p3d.error import Error
from p3d.video import preprocess

CORNER_SCALES = tuple(2 ** (-i / 4) for i in range(5))
"""Of the crop mode CORNER: from the whole short edge to half of it."""

_CROP = caffe_pb2.VideoDataParameter


class Window(NamedTuple):
    """What is cut out of a resized frame."""

    top: int
    left: int
    h: int
    w: int


class Framing:
    """The geometry of a VideoData layer (see VideoDataParameter); `train` allows chance."""

    def __init__(self, param: Any, train: bool) -> None:
        self._crop = param.crop_size
        self._mode = param.crop_mode if train else None
        self._scales = tuple(param.crop_scale) or CORNER_SCALES
        self._least_area, self._least_aspect = param.min_area, param.min_aspect
        self._resize = _resize_of(param, train)
        _check(param, self._scales)
        fixed = (param.new_height, param.new_width)
        self.size = (self._crop, self._crop) if self._crop else fixed

    def resized(self, frame: np.ndarray) -> np.ndarray:
        """uint8 (h, w, c) before anything is cut out."""
        if self._resize is None or frame.shape[:2] == self._resize:
            return frame
        return preprocess.resize(frame, self._resize)

    def window(self, h: int, w: int, random: np.random.Generator) -> Window:
        """The window in a resized frame: one for all frames of a clip."""
        if not self._crop:
            return Window(0, 0, h, w)
        if self._mode == _CROP.CORNER:
            return corner(h, w, self._scales, random)
        if self._mode == _CROP.RESIZED:
            return resized_crop(h, w, self._least_area, self._least_aspect, random)
        if min(h, w) < self._crop:
            raise Error(
                f"frames of {w}x{h} are smaller than crop_size {self._crop}: set short_edge, or "
                "new_height and new_width"
            )
        if self._mode is None:
            top, left = preprocess.crop_corner(h, w, self._crop)
        else:
            top = int(random.integers(h - self._crop + 1))
            left = int(random.integers(w - self._crop + 1))
        return Window(top, left, self._crop, self._crop)

    def cut(self, frame: np.ndarray, window: Window, flip: bool) -> np.ndarray:
        """The window of a resized frame (h, w, ...), in the layer's size."""
        part = frame[window.top : window.top + window.h, window.left : window.left + window.w]
        if part.shape[:2] != self.size:
            part = cv2.resize(part, self.size[::-1], interpolation=cv2.INTER_LINEAR)
        return cv2.flip(part, 1) if flip else part


def check_sizes(*sizes: int) -> None:
    """Raises Error for sides of pictures that no net takes and OpenCV may be unable to make."""
    if max(sizes) > preprocess.LARGEST_EDGE:
        raise Error(f"sizes of frames are at most {preprocess.LARGEST_EDGE}, not {max(sizes)}")


def corner(h: int, w: int, scales: tuple[float, ...], random: np.random.Generator) -> Window:
    """A square of floor(scale * short edge), in the centre or a corner."""
    side = int(min(h, w) * scales[int(random.integers(len(scales)))])
    bottom, right = h - side, w - side
    places = [(bottom // 2, right // 2), (0, 0), (0, right), (bottom, 0), (bottom, right)]
    return Window(*places[int(random.integers(5))], side, side)


def resized_crop(
    h: int, w: int, least_area: float, least_aspect: float, random: np.random.Generator
) -> Window:
    """A share of the area uniform in [least_area, 1), the logarithm of width / height uniform
    between those of least_aspect and 1 / least_aspect; where ten of them do not fit into the frame,
    the centre square."""
    bound = abs(math.log(least_aspect))
    for _ in range(10):
        area = h * w * random.uniform(least_area, 1)
        aspect = math.exp(random.uniform(-bound, bound))
        wide, high = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < wide <= w and 0 < high <= h:
            top, left = int(random.integers(h - high + 1)), int(random.integers(w - wide + 1))
            return Window(top, left, high, wide)
    side = min(h, w)
    return Window((h - side) // 2, (w - side) // 2, side, side)


def _resize_of(param: Any, train: bool) -> int | tuple[int, int] | None:
    """What preprocess.resize is told, None for nothing."""
    if (param.new_height > 0) != (param.new_width > 0):
        raise Error("needs both new_height and new_width, or neither")
    if param.new_height and param.short_edge:
        raise Error("takes short_edge, or new_height and new_width, but not both")
    if param.new_height:
        return (param.new_height, param.new_width)
    # The windows of training have every size: in tests all that is left of it is the centre.
    scaled = not train and param.crop_mode != _CROP.RANDOM and param.crop_size
    return param.short_edge or (param.crop_size if scaled else None)


def _check(param: Any, scales: tuple[float, ...]) -> None:
    if not param.crop_size and not param.new_height:
        raise Error("needs a crop_size, or new_height and new_width: a net has one input size")
    if not param.crop_size and param.crop_mode != _CROP.RANDOM:
        raise Error("crop_mode needs a crop_size")
    check_sizes(param.crop_size, param.new_height, param.new_width, param.short_edge)
    small = [v for v in (param.new_height, param.new_width, param.short_edge) if v]
    if small and param.crop_mode == _CROP.RANDOM and param.crop_size > min(small):
        raise Error(f"crop_size {param.crop_size} does not fit into a size of {min(small)}")
    if not (0 < param.min_area <= 1 and 0 < param.min_aspect <= 1):
        raise Error("min_area and min_aspect have to be above 0 and at most 1")
    if not all(0 < scale <= 1 for scale in scales):
        raise Error("values of crop_scale have to be above 0 and at most 1")
