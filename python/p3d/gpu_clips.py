"""Batches of clips on their way to a GPU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from p3d import _core
from p3d.gpu_pixels import GpuPixels
from p3d.pixel_values import PixelValues, fill


class GpuClips:
    """Copies clips to a blob on the GPU beside what it does, from page-locked memory that one batch
    is written into while the last one is copied.

    Where all clips of a batch are bytes, so are the copies, and the GPU makes values of them; where
    some come as floats, all do.
    """

    def __init__(self) -> None:
        self._feed: _core.GpuFeed | GpuPixels | None = None
        self._for: object = None  # kind and shape of the batches that the feed takes

    def send(self, blob: _core.Blob, clips: Sequence[np.ndarray], values: PixelValues) -> None:
        """The blob, (n, c, l, h, w), has the values of these n clips from now on."""
        bytes_only = all(clip.dtype == np.uint8 for clip in clips)
        wanted = (bytes_only, tuple(blob.shape))
        if self._feed is None or self._for != wanted:
            self._feed = None  # before there are two
            self._feed = GpuPixels(blob) if bytes_only else _core.GpuFeed(blob)
            self._for = wanted
        if isinstance(self._feed, GpuPixels):
            self._feed.begin()
            for place, clip in enumerate(clips):
                self._feed.put(place, clip, values)
        else:
            fill(self._feed.next(), clips, values)
        self._feed.send(blob)
