"""How the bytes of pixels become a net's values: here, and in gpu_pixels.py on a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class PixelValues(NamedTuple):
    """y = (x - mean) * scale in float32; with a negative scale (mean - x) * -scale, which is the
    same but for the sign of 0.

    mean: float32 (c, 1, 1, 1), (c, 1, h, w) or (c, l, h, w) for clips (c, l, h, w).
    scale: float32 (c).
    """

    mean: np.ndarray
    scale: np.ndarray

    def of(self, pixels: np.ndarray) -> np.ndarray:
        """uint8 (c, l, h, w) -> float32 of that shape."""
        out = np.empty(pixels.shape, np.float32)
        self.write(pixels, out)
        return out

    def write(self, pixels: np.ndarray, out: np.ndarray) -> None:
        """uint8 (c, l, h, w) -> `out`, float32 of that shape."""
        for x, mean, scale, y in zip(pixels, self.mean, self.scale, out, strict=True):
            np.subtract(*((mean, x) if scale < 0 else (x, mean)), out=y, dtype=np.float32)
            if abs(scale) != 1:
                y *= abs(scale)


def minus(mean: Sequence[float]) -> PixelValues:
    """A value per channel is subtracted."""
    values = np.asarray(mean, np.float32).reshape(-1, 1, 1, 1)
    return PixelValues(values, np.ones(len(values), np.float32))


def fill(array: np.ndarray, clips: Sequence[np.ndarray], values: PixelValues) -> None:
    """float32 (n, c, l, h, w) of n clips: those of bytes become values, others are such."""
    for row, clip in zip(array, clips, strict=True):
        if clip.dtype == np.uint8:
            values.write(clip, row)
        else:
            row[...] = clip
