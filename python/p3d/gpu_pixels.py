"""Clips that travel to a GPU as bytes."""

from __future__ import annotations

import numpy as np

from p3d import _core
from p3d.pixel_values import PixelValues


class GpuPixels:
    """Batches of pixels that become a blob's values on the GPU, to which they are copied beside
    what it does: bit for bit what PixelValues.write makes, rounded where values take 16 bits.

    blob: of the embedded engine, (n, c, l, h, w); one of another shape needs another object
    """

    def __init__(self, blob: _core.Blob, means: int = 1) -> None:
        """means: of a channel, the size of each clip's mean[0]."""
        self._feed = _core.GpuPixelFeed(blob, means)

    def begin(self) -> None:
        """Waits until clips of the next batch may be put."""
        self._pixels, self._means, self._scales = self._feed.next()

    def put(self, place: int, pixels: np.ndarray, values: PixelValues) -> None:
        """Clip `place` of the batch, copied: uint8 (c, l, h, w)."""
        self._pixels[place] = pixels
        self._means[place] = values.mean.reshape(len(values.mean), -1)
        self._scales[place] = values.scale

    def send(self, blob: _core.Blob) -> None:
        """The blob has the values of the batch from now on."""
        self._feed.send(blob)
