"""Processes that read clips ahead of the net.

pycaffe never lets go of Python's lock while a net runs, so threads would stand still; processes
do not. Which of them reads a clip, and when, changes nothing about it.
"""

from __future__ import annotations

import contextlib
import pickle
import sys
import time
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import wait
from typing import NamedTuple

import numpy as np

from p3d.child_process import Child, Gone
from p3d.data.listed_clips import Bad, Clip, ListedClips
from p3d.data.loader import Here, Read, Reading
from p3d.data.ring import Ring, check_size
from p3d.video.decode import cores
from p3d.video.decoder import START, TIMEOUT

_ATTEMPTS = 2  # a process that was killed, or a machine that stood still, proves nothing


def reading(clips: ListedClips, workers: int | None, places: int, step: int = 1) -> Reading:
    """Who reads: `workers` processes, by default half of the cores and at most 4, with room for so
    many clips; or nobody but this process. Every `step`-th clip is wanted: others read the rest."""
    count = max(1, min(4, cores() // 2 // step)) if workers is None else workers
    return (
        Ahead(clips, count, max(places, count + 1), step=step)
        if count and sys.executable
        else Here(clips)
    )


class _Task(NamedTuple):
    """A clip that is to be read, and the place for it."""

    position: int
    place: int


class _Worker:
    """A child and what it was asked for, the first of which it works on."""

    def __init__(self, clips: ListedClips, ring: Ring) -> None:
        self.tasks: deque[_Task] = deque()
        self.child = Child("p3d.data.worker_process", ring.descriptor)
        self.heard = time.monotonic() + START
        with contextlib.suppress(Gone):  # which shows when it is asked for something
            self.child.send(clips)

    def ask(self, task: _Task) -> None:
        if not self.tasks:
            self.heard = max(self.heard, time.monotonic())
        self.tasks.append(task)
        self.child.send((task.position, task.place))

    def receive(self) -> tuple[_Task, Clip | Bad] | None:
        """The next answer; None is only a sign of life."""
        message = pickle.loads(self.child.receive())
        self.heard = time.monotonic()
        return None if message is None else (self.tasks.popleft(), message[1])


class Ahead:
    """See Reading. Clips are asked for in order as long as there are free places."""

    def __init__(
        self,
        clips: ListedClips,
        count: int,
        places: int,
        timeout: float = TIMEOUT,
        step: int = 1,
    ) -> None:
        self.workers, self._step = count, step
        self._clips, self._places = clips, places
        self._timeout = timeout
        check_size(places, clips.shape)
        self._reset()

    def take(self, position: int, skip: Callable[[int], bool]) -> Read | Bad:
        try:
            return self._take(position, skip)
        except BaseException:  # Ctrl-C may have come in the middle of a message
            self.close()
            raise

    def close(self) -> None:
        for worker in self._workers:
            worker.child.kill()
        self._reset()

    def _reset(self) -> None:
        self._workers: list[_Worker] = []
        self._ring: Ring | None = None
        self._free: list[int] = []
        self._held: int | None = None  # the place of the clip that was taken last
        self._next = -1  # the position to ask for next
        self._wanted = 0  # that to take next: nobody wants those before it
        self._done: dict[int, tuple[int, Clip | Bad]] = {}
        self._attempts: dict[int, int] = {}

    def _take(self, position: int, skip: Callable[[int], bool]) -> Read | Bad:
        begun = bool(self._workers) and not self._workers[0].child.inherited
        if not begun or not self._wanted <= position <= self._next:
            self._start(position)
        if self._held is not None:
            self._free.append(self._held)
            self._held = None
        self._wanted = position
        for old in [p for p in self._done if p < position]:
            self._free.append(self._done.pop(old)[0])
        self._ask(skip)
        while position not in self._done:
            self._receive()
            self._ask(skip)
        place, result = self._done.pop(position)
        if isinstance(result, Bad):
            self._free.append(place)
            return result
        self._held = place
        return Read(result, self._pixels[place])

    def _start(self, position: int) -> None:
        self.close()
        self._ring = Ring(self._places, self._clips.shape)
        self._pixels: np.ndarray = self._ring.pixels
        self._free = list(range(self._places))
        self._workers = [_Worker(self._clips, self._ring) for _ in range(self.workers)]
        self._next = position

    def _ask(self, skip: Callable[[int], bool]) -> None:
        while self._free:
            if not skip(self._next):
                self._assign(_Task(self._next, self._free.pop()))
            self._next += self._step

    def _assign(self, task: _Task) -> None:
        """To the worker that has least to do."""
        worker = min(self._workers, key=lambda w: len(w.tasks))
        try:
            worker.ask(task)
        except Gone as gone:
            self._replace(worker, str(gone))

    def _receive(self) -> None:
        """Waits for an answer, and takes all that are there."""
        ready = wait([worker.child.results for worker in self._workers], timeout=0.2)
        for worker in [w for w in self._workers if w.child.results in ready]:
            try:
                if answer := worker.receive():
                    self._finish(*answer)
            except Gone as gone:
                self._replace(worker, str(gone))
        now = time.monotonic()
        for worker in [w for w in self._workers if w.tasks and now - w.heard > self._timeout]:
            worker.child.kill()
            reason = f"the decoder hangs: not one new frame in {self._timeout:g} s, so it was ended"
            self._replace(worker, reason)

    def _finish(self, task: _Task, result: Clip | Bad) -> None:
        if task.position < self._wanted:
            self._free.append(task.place)
        else:
            self._done[task.position] = (task.place, result)

    def _replace(self, worker: _Worker, reason: str) -> None:
        """Another one takes over what it was asked for; the clip that it was at is tried so many
        times before it counts as the cause."""
        if worker not in self._workers:
            return
        assert self._ring is not None
        worker.child.kill()
        self._workers.remove(worker)
        self._workers.append(_Worker(self._clips, self._ring))
        if worker.tasks:
            first = worker.tasks[0]
            self._attempts[first.position] = self._attempts.get(first.position, 0) + 1
            if self._attempts[first.position] >= _ATTEMPTS:
                path = self._clips.videos[self._clips.video(first.position)].path
                self._finish(worker.tasks.popleft(), Bad(f"{path}: {reason}"))
        for task in worker.tasks:
            self._assign(task)
