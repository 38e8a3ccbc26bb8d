"""transform_param: from an image to what a net takes, as Caffe's DataTransformer does it."""

from __future__ import annotations

from typing import Any

import numpy as np

from p3d.caffe.proto import caffe_pb2
from p3d.data.mean import read_mean
from p3d.error import Error
from p3d.video.preprocess import crop_corner


class Transform:
    """y = (x - mean) * scale on a square crop: at random in phase TRAIN, else central (half of
    what is left over, rounded down). With mirror half of the images are flipped, in both phases.

    A mean_file has the size of the images; the pixels of the crop are subtracted, and flipped
    with it.
    """

    def __init__(self, param: Any, phase: int, channels: int) -> None:
        self._param, self._train, self._channels = param, phase == caffe_pb2.TRAIN, channels
        self._mean = read_mean(param, channels, places=2)

    def apply(self, image: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """(h, w, c) -> float32 (c, h, w)."""
        h, w, channels = image.shape
        crop = self._param.crop_size
        if crop > min(h, w):
            raise Error(f"crop_size {crop} is larger than the image, {w}x{h}: resize it")
        if channels != self._channels:
            raise Error(f"has {channels} channels, the first image {self._channels}")
        top, left = self._corner(h, w, random) if crop else (0, 0)
        window = (..., slice(top, top + (crop or h)), slice(left, left + (crop or w)))
        values = image.transpose(2, 0, 1)[window].astype(np.float32)
        if self._mean is not None:
            values -= self._mean_of(h, w)[window] if self._mean[0].size > 1 else self._mean
        if self._param.mirror and random.integers(2):
            values = values[:, :, ::-1]
        return values * np.float32(self._param.scale)

    def _corner(self, h: int, w: int, random: np.random.Generator) -> tuple[int, int]:
        crop = self._param.crop_size
        if not self._train:
            return crop_corner(h, w, crop)
        return int(random.integers(h - crop + 1)), int(random.integers(w - crop + 1))

    def _mean_of(self, h: int, w: int) -> np.ndarray:
        assert self._mean is not None
        if self._mean.shape[1:] != (h, w):
            size = "x".join(map(str, self._mean.shape[:0:-1]))
            raise Error(
                f"the mean in mean_file is {size}, the image {w}x{h}: they have to be alike"
            )
        return self._mean
