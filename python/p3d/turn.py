"""Taking turns in a process that may fork."""

from __future__ import annotations

import itertools
import os
import threading
import weakref


class Turn:
    """A lock that forks wait for: in the child the thread that has it is not there to give it
    back, and what it guards would be in the middle of something."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # whoever has it may fork
        _turns[next(_numbers)] = self

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()


_numbers = itertools.count()
_turns: weakref.WeakValueDictionary[int, Turn] = weakref.WeakValueDictionary()
_forking = threading.local()


def _take_all() -> None:
    """In one order in all threads, the newest first: what a net calls was there before it. Other
    threads may make turns meanwhile."""
    _forking.taken = []
    for reference in reversed(_turns.valuerefs()):
        if (turn := reference()) is not None:
            turn.__enter__()
            _forking.taken.append(turn)


def _give_back() -> None:
    for turn in _forking.taken:
        turn.__exit__()
    _forking.taken.clear()


os.register_at_fork(before=_take_all, after_in_parent=_give_back, after_in_child=_give_back)
