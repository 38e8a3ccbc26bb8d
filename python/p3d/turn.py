"""Taking turns in a process that may fork."""

from __future__ import annotations

import os
import threading
import weakref


class Turn:
    """A lock that forks wait for: in the child the thread that has it is not there to give it
    back, and what it guards would be in the middle of something."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # whoever has it may fork
        _turns.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()


_turns: weakref.WeakSet[Turn] = weakref.WeakSet()
_forking = threading.local()


def _take_all() -> None:
    _forking.taken = []
    for turn in tuple(_turns):
        turn.__enter__()
        _forking.taken.append(turn)


def _give_back() -> None:
    for turn in _forking.taken:
        turn.__exit__()


os.register_at_fork(before=_take_all, after_in_parent=_give_back, after_in_child=_give_back)
