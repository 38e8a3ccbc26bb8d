"""The child process of `p3d.data.workers`: reads clips into places of a ring.

It is sent the ListedClips once, then (position, place); it answers with a pickled (place, Clip or
Bad), and with None once a second while it works on one.
"""

from __future__ import annotations

import contextlib
import time
from multiprocessing.connection import Connection

from p3d.child_process import requests
from p3d.data.listed_clips import ListedClips
from p3d.data.ring import attach
from p3d.video.decode import opencv_threads_off

_HEARTBEAT = 1.0  # seconds


def main(down: int, up: int, memory: int) -> None:
    """Serves until the parent closes its end of `down`, or is no more."""
    received = requests(down)
    results = Connection(up)
    results.send(None)
    clips: ListedClips = received.get()
    pixels = attach(memory, clips.shape)
    with contextlib.suppress(BrokenPipeError), opencv_threads_off():
        while True:
            position, place = received.get()
            result = clips.read(position, pixels[place], _Pulse(results))
            results.send((place, result))


class _Pulse:
    """Tells of life when it is called, but not more often than once a second."""

    def __init__(self, results: Connection) -> None:
        self._results, self._said = results, time.monotonic()

    def __call__(self) -> None:
        if (now := time.monotonic()) - self._said > _HEARTBEAT:
            self._said = now
            self._results.send(None)
