"""Batches of clips: those of several videos share a forward of the net."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from p3d import _core
from p3d.error import Error
from p3d.video.reading import Clip


class Row(NamedTuple):
    """What the net says of one view of a clip; number 0 starts its video, or starts it afresh."""

    video: int
    number: int
    values: dict[str, np.ndarray]


class Done(NamedTuple):
    """A video is at its end: its meta, or what went wrong."""

    video: int
    result: dict[str, Any] | Exception


class Refused(Exception):
    """The net cannot take clips of this size, whatever it does with others."""


#: Waits for the rows of a batch, one of every clip; raises Refused.
Rows = Callable[[], list[dict[str, np.ndarray]]]


@dataclass
class _Batch:
    """Clips that the net runs on at once, of videos by number, and the ends of some of these."""

    clips: list[tuple[int, Clip]] = field(default_factory=list)
    ended: list[Done] = field(default_factory=list)
    rows: Rows = list

    def has(self, video: int) -> bool:
        return any(number == video for number, _ in self.clips)


class ClipBatches:
    """Clips and ends of videos as they come, to rows and ends as the net has made them.

    Rows of one video are given in order, its end after them; those of several videos may mix. What
    is held does not grow with the length of videos or with their number.

    start     begins a run of the net with the values of clips of one size
    most      clips in a run
    on_clips  is called with the number of clips after every run
    """

    def __init__(
        self,
        start: Callable[[list[np.ndarray]], Rows],
        most: int,
        on_clips: Callable[[int], object] = lambda count: None,
    ) -> None:
        self._start, self._most, self._on_clips = start, most, on_clips
        self._waiting = _Batch()  # for the next run
        self._running: deque[_Batch] = deque()  # on a GPU one runs while the next is made ready
        self._names: dict[int, str] = {}  # of videos that are not at their end
        self._refused: set[int] = set()  # those of them whose clips the net cannot take

    def open(self, video: int, name: str) -> None:
        """Clips of the video may come from now on; errors call it by this name."""
        self._names[video] = name

    def add(self, video: int, clip: Clip) -> Iterator[Row | Done]:
        """A clip of an open video."""
        waiting = self._waiting.clips
        if waiting and waiting[0][1].values.shape != clip.values.shape:
            yield from self._run()
        if video in self._refused:
            return
        self._waiting.clips.append((video, clip))
        if len(self._waiting.clips) == self._most:
            yield from self._run()

    def end(self, done: Done) -> Iterator[Done]:
        """No more clips of the video come."""
        for batch in (self._waiting, *reversed(self._running)):
            if batch.has(done.video):
                batch.ended.append(done)
                return
        yield from self._close(done)

    def rest(self) -> Iterator[Row | Done]:
        """Nothing comes for now: what videos that are at their end still wait for."""
        if self._waiting.ended:
            yield from self._run()
        yield from self._finish(0)

    def all(self) -> Iterator[Row | Done]:
        """Nothing comes any more: everything that is left."""
        yield from self._run()
        yield from self._finish(0)

    def _run(self) -> Iterator[Row | Done]:
        batch = self._waiting
        if batch.clips:
            self._waiting = _Batch()
            batch.rows = self._start([clip.values for _, clip in batch.clips])
            self._running.append(batch)
        yield from self._finish(1 if _core.gpu_mode() else 0)

    def _finish(self, left: int) -> Iterator[Row | Done]:
        while len(self._running) > left:
            batch = self._running.popleft()
            yield from self._rows(batch)
            for done in batch.ended:
                yield from self._close(done)

    def _rows(self, batch: _Batch) -> Iterator[Row | Done]:
        try:
            rows = batch.rows()
        except Refused as reason:
            for video in dict.fromkeys(number for number, _ in batch.clips):
                if video not in self._refused:
                    self._refused.add(video)
                    yield Done(video, Error(f"{self._names[video]}: {reason}"))
            return
        self._on_clips(len(batch.clips))
        for (video, clip), values in zip(batch.clips, rows, strict=True):
            if video not in self._refused:
                yield Row(video, clip.number, values)

    def _close(self, done: Done) -> Iterator[Done]:
        """The video's end, if it was not told already as one that the net refuses."""
        del self._names[done.video]
        if done.video in self._refused:
            self._refused.remove(done.video)
        else:
            yield done
