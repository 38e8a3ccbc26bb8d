"""Videos one after the other, and not too many at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


class Gate(Iterator[T]):
    """Lets so many videos in that at most `most` are not yielded yet."""

    def __init__(self, videos: Iterable[T], most: int) -> None:
        self.yielded = 0
        self._videos = iter(videos)
        self._room = threading.Semaphore(most)
        self._open = True

    def __next__(self) -> T:
        while not self._room.acquire(timeout=0.1):
            if not self._open:
                raise StopIteration
        return next(self._videos)

    def release(self) -> None:
        """The next one was yielded."""
        self.yielded += 1
        self._room.release()

    def close(self) -> None:
        """Lets none in any more."""
        self._open = False
