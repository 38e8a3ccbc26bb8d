"""The last step from pixels to a net's input: mean, sign of flipped flow, scale."""

from __future__ import annotations

from typing import Any

import numpy as np

from p3d.data.framing import Framing
from p3d.data.listed_clips import Clip
from p3d.data.mean import read_mean
from p3d.error import Error
from p3d.pixel_values import PixelValues


class Finish:
    """y = (x - mean) * scale; x of flow is negated in a flipped clip, after the mean.

    A mean_file has the size of the resized frames, (c, h, w) or (c, l, h, w); it is cut and flipped
    as the clip is.
    """

    def __init__(self, param: Any, train: bool) -> None:
        channels = 2 if param.use_flow else 3
        self._scale = np.full(channels, param.scale, np.float32)
        self._flipped_scale = self._scale.copy()
        if param.use_flow:
            self._flipped_scale[0] *= -1
        self._framing = Framing(param, train)
        mean = read_mean(param, channels, places=3)
        self._mean = np.zeros((channels, 1, 1, 1), np.float32) if mean is None else mean
        if self._mean.shape[1] not in (1, param.new_length):
            raise Error(
                f"mean_file {param.mean_file} has {self._mean.shape[1]} frames, new_length is "
                f"{param.new_length}"
            )

    @property
    def means(self) -> int:
        """Of each channel: one, or one for each pixel of a frame or of the clip."""
        h, w = self._framing.size if self._mean[0].size > 1 else (1, 1)
        return self._mean.shape[1] * h * w

    def values(self, clip: Clip) -> PixelValues:
        """How this clip's pixels become the net's."""
        mean = self._mean if self._mean[0].size == 1 else self._cut_mean(clip)
        return PixelValues(mean, self._flipped_scale if clip.flip else self._scale)

    def _cut_mean(self, clip: Clip) -> np.ndarray:
        if self._mean.shape[2:] != clip.frame:
            raise Error(
                f"the mean in mean_file is for frames of (h, w) {self._mean.shape[2:]}, not "
                f"{clip.frame}: set new_height and new_width"
            )
        planes = self._mean.reshape(-1, *clip.frame)
        cut = np.stack([self._framing.cut(plane, clip.window, clip.flip) for plane in planes])
        return cut.reshape(*self._mean.shape[:2], *cut.shape[1:])
