"""A thread that writes results while the net runs."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

_BACKLOG = 64  # rows and ends of videos


class Writing:
    """Calls `take` with what `put` was given, in order, in a thread; `close` waits for the last.

    An exception out of `take` is raised by the next `put`, or by `close`.
    """

    def __init__(self, take: Callable[[Any], object]) -> None:
        self._take = take
        self._queue: queue.Queue[Any] = queue.Queue(_BACKLOG)
        self._error: BaseException | None = None
        self.waited = 0.0  # seconds that `put` had to wait
        self._thread = threading.Thread(target=self._work, name="p3d-write", daemon=True)
        self._thread.start()

    def put(self, item: Any) -> None:
        """Waits where the disk is behind."""
        start = time.perf_counter()
        self._queue.put(item)
        self.waited += time.perf_counter() - start
        self._check()

    def close(self) -> None:
        """Everything that was put is done, or the error raised.

        Ctrl-C meanwhile gives up what has not begun; what has is finished before it is raised.
        """
        start = time.perf_counter()
        interrupt: KeyboardInterrupt | None = None
        while self._thread.is_alive():
            try:
                self._queue.put(self)
                self._thread.join()
            except KeyboardInterrupt as ctrl_c:
                if interrupt is not None:
                    raise
                interrupt = self._error = ctrl_c
        self.waited += time.perf_counter() - start
        self._check()

    def _work(self) -> None:
        while (item := self._queue.get()) is not self:
            if self._error is None:
                try:
                    self._take(item)
                except BaseException as error:
                    self._error = error

    def _check(self) -> None:
        if self._error is not None:
            raise self._error
