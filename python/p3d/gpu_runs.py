"""Runs of a net on a GPU of which one begins before the last one's results are looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from p3d import _core
from p3d.gpu_clips import GpuClips
from p3d.pixel_values import PixelValues

Values = dict[str, np.ndarray]


class GpuRuns:
    """While the GPU runs the net on one batch, the next one's clips are copied to it (see
    GpuClips); results come back likewise and are waited for when somebody asks for them.

    net: of the embedded engine; with any other it is never `possible`
    """

    def __init__(self, net: Any, input: str, blobs: Sequence[str]) -> None:
        self._net, self._input, self._blobs = net, input, blobs
        self._clips = GpuClips()
        self._free: list[_core.GpuFetch] = []

    def possible(self) -> bool:
        """Whether the net runs on a GPU now."""
        return _core.gpu_mode() and isinstance(self._net.blobs[self._input], _core.Blob)

    def batch(self) -> int:
        """How many items the GPU has room for, about."""
        found: int = self._net.gpu_batch(self._blobs)
        return found

    def start(self, clips: Sequence[np.ndarray], values: PixelValues) -> Callable[[], Values]:
        """Runs the net on clips of the input's shape. What is returned waits for the blobs'
        values."""
        try:
            return self._start(clips, values)
        except RuntimeError:
            self._forget()
            raise

    def _start(self, clips: Sequence[np.ndarray], values: PixelValues) -> Callable[[], Values]:
        self._clips.send(self._net.blobs[self._input], clips, values)
        self._net.launch(self._blobs)
        fetches = {
            name: self._free.pop() if self._free else _core.GpuFetch() for name in self._blobs
        }
        for name, fetch in fetches.items():
            fetch.begin(self._net.blobs[name])

        def wait() -> Values:
            try:
                found = {name: fetch.values() for name, fetch in fetches.items()}
            except RuntimeError:
                self._forget()
                raise
            self._free.extend(fetches.values())
            return found

        return wait

    def _forget(self) -> None:
        """The GPU may have failed: nothing shall be read from it any more."""
        self._clips = GpuClips()
        blob = self._net.blobs[self._input]
        blob.assign(np.zeros(blob.shape, np.float32))
