"""The last step from pixels to a net's input: mean, sign of flipped flow, scale."""

from __future__ import annotations

from typing import Any

import numpy as np

from p3d.data.framing import Framing
from p3d.data.listed_clips import Clip
from p3d.data.mean import read_mean
from p3d.error import Error


class Finish:
    """y = (x - mean) * scale; x of flow is negated in a flipped clip, after the mean.

    A mean_file has the size of the resized frames, (c, h, w) or (c, l, h, w); it is cut and flipped
    as the clip is.
    """

    def __init__(self, param: Any, train: bool) -> None:
        channels = 2 if param.use_flow else 3
        self._flow, self._length = param.use_flow, param.new_length
        self._scale = np.float32(param.scale)
        self._framing = Framing(param, train)
        mean = read_mean(param, channels, places=3)
        self._mean = np.zeros((channels, 1, 1, 1), np.float32) if mean is None else mean
        if self._mean.shape[1] not in (1, self._length):
            raise Error(
                f"mean_file {param.mean_file} has {self._mean.shape[1]} frames, new_length is "
                f"{self._length}"
            )

    def apply(self, clip: Clip, pixels: np.ndarray, out: np.ndarray) -> None:
        """uint8 (c, l, h, w) -> `out`, float32 of that shape."""
        mean = self._mean if self._mean[0].size == 1 else self._cut_mean(clip)
        for channel, (values, minus) in enumerate(zip(pixels, mean, strict=True)):
            negated = self._flow and clip.flip and channel == 0
            terms = (minus, values) if negated else (values, minus)
            np.subtract(*terms, out=out[channel], dtype=np.float32)
        if self._scale != 1:
            out *= self._scale

    def _cut_mean(self, clip: Clip) -> np.ndarray:
        if self._mean.shape[2:] != clip.frame:
            raise Error(
                f"the mean in mean_file is for frames of (h, w) {self._mean.shape[2:]}, not "
                f"{clip.frame}: set new_height and new_width"
            )
        planes = self._mean.reshape(-1, *clip.frame)
        cut = np.stack([self._framing.cut(plane, clip.window, clip.flip) for plane in planes])
        return cut.reshape(*self._mean.shape[:2], *cut.shape[1:])
