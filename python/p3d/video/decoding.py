"""Clips of many videos, decoded ahead of whoever takes them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from p3d.error import Error
from p3d.video.ahead import ahead
from p3d.video.decoder import TIMEOUT, Decoder
from p3d.video.reading import Clip, End, Reading, read

_IDLE = 1.0  # seconds


class Decoders:
    """`count` child processes, each with a video of its own; 0 decodes here, without a watchdog.

    Calls of `events` that overlap, in one thread or in several, have `count` processes each.
    """

    def __init__(self, count: int, timeout: float = TIMEOUT) -> None:
        if count < 0 or not timeout > 0:
            raise Error(f"{count} decoders, {timeout} s for a frame: take 0 or more, and some time")
        self._count = count if sys.executable else 0
        self._timeout = timeout
        self._lock = threading.Lock()
        self._decoders: list[Decoder] = []  # all there are
        self._idle: list[list[Decoder]] = []  # those that no call of `events` uses

    def events(
        self, readings: Iterable[Reading], depth: int
    ) -> Generator[tuple[int, Clip | End] | None, None, None]:
        """(number of the video, its next clip or its end); None when nothing comes for a while.

        Clips of one video are in order and its end is last; with several decoders those of several
        videos mix. At most `depth` events wait, and a clip in the hands of each decoder.
        """
        feed = _Feed(readings)
        with self._lock:
            decoders = self._idle.pop() if self._idle else self._more()
        readers: list[Decoder | None] = [*decoders] or [None]
        sources = [_events(feed, reader) for reader in readers]
        try:
            yield from ahead(*sources, depth=depth, idle=_IDLE, on_stop=lambda: _stop(decoders))
        finally:
            with self._lock:
                self._idle.append(decoders)

    @property
    def count(self) -> int:
        """Videos that one call of `events` decodes at the same time."""
        return max(1, self._count)

    @property
    def busy(self) -> float:
        """Seconds of work of the children so far."""
        return sum(decoder.busy for decoder in self._decoders)

    def stop(self) -> None:
        """Ends the children; new ones are started when they are needed."""
        _stop(self._decoders)

    def _more(self) -> list[Decoder]:
        decoders = [Decoder(self._timeout) for _ in range(self._count)]
        self._decoders += decoders
        return decoders


def _stop(decoders: Iterable[Decoder]) -> None:
    for decoder in decoders:
        decoder.stop()


class _Numbered(NamedTuple):
    number: int
    reading: Reading


class _Feed:
    """What several threads take turns to take from."""

    def __init__(self, readings: Iterable[Reading]) -> None:
        self._readings = enumerate(readings)
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[_Numbered]:
        while True:
            with self._lock:
                pair = next(self._readings, None)
            if pair is None:
                return
            yield _Numbered(*pair)


def _events(feed: _Feed, decoder: Decoder | None) -> Iterator[tuple[int, Clip | End]]:
    for number, reading in feed:
        if decoder is None or isinstance(reading.video, np.ndarray):
            events = read(reading)
        else:
            events = decoder.read(reading)
        for event in events:
            yield number, event
