"""Runs of a net on a GPU of which one begins before the last one's results are looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from p3d import _core

Values = dict[str, np.ndarray]


class GpuRuns:
    """While the GPU runs the net on one batch, the next one's clips are written into page-locked
    memory, from which they are copied to the GPU beside what it does; results come back likewise
    and are waited for when somebody asks for them.

    net: of the embedded engine; with any other it is never `possible`
    """

    def __init__(self, net: Any, input: str, blobs: Sequence[str]) -> None:
        self._net, self._input, self._blobs = net, input, blobs
        self._feed: _core.GpuFeed | None = None
        self._fed: tuple[int, ...] = ()  # the shape that the feed is for
        self._free: list[_core.GpuFetch] = []

    def possible(self) -> bool:
        """Whether the net runs on a GPU now."""
        return _core.gpu_mode() and isinstance(self._net.blobs[self._input], _core.Blob)

    def batch(self) -> int:
        """How many items the GPU has room for, about."""
        found: int = self._net.gpu_batch(self._blobs)
        return found

    def start(self, fill: Callable[[np.ndarray], object]) -> Callable[[], Values]:
        """Runs the net on what `fill` writes into an array of the input's shape. What is returned
        waits for the blobs' values."""
        try:
            return self._start(fill)
        except RuntimeError:
            self._forget()
            raise

    def _start(self, fill: Callable[[np.ndarray], object]) -> Callable[[], Values]:
        blob = self._net.blobs[self._input]
        if self._feed is None or self._fed != tuple(blob.shape):
            self._feed = None  # before there are two
            self._feed, self._fed = _core.GpuFeed(blob), tuple(blob.shape)
        fill(self._feed.next())
        self._feed.send()
        self._net.launch(self._blobs)
        fetches = {
            name: self._free.pop() if self._free else _core.GpuFetch() for name in self._blobs
        }
        for name, fetch in fetches.items():
            fetch.begin(self._net.blobs[name])

        def values() -> Values:
            try:
                found = {name: fetch.values() for name, fetch in fetches.items()}
            except RuntimeError:
                self._forget()
                raise
            self._free.extend(fetches.values())
            return found

        return values

    def _forget(self) -> None:
        """The GPU may have failed: nothing shall be read from it any more."""
        self._feed = None
        blob = self._net.blobs[self._input]
        blob.assign(np.zeros(blob.shape, np.float32))
