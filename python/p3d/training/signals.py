"""What Ctrl-C and a hang-up mean to a training: see `p3d train --help`."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

EFFECTS = ("stop", "snapshot", "none")

SAME_WISH = 0.5
"""Seconds."""


class Wishes:
    """Collects what signals ask for until the training asks."""

    def __init__(self, effects: dict[int, str]) -> None:
        self._effects = effects
        self._wish: str | None = None
        self.stopped_by: int | None = None
        self._stopped_at = 0.0

    def take(self) -> str | None:
        """ "stop", "snapshot" or None; a wish is told once."""
        wish, self._wish = self._wish, None
        return wish

    def signalled(self, number: int, _: object) -> None:
        """A second Ctrl-C does not wait for the end of the iteration.

        What follows at once is the same wish: `timeout` and job schedulers signal a process and
        then its group.
        """
        effect, now = self._effects[number], time.monotonic()
        if effect == "stop" and self.stopped_by is not None:
            if now - self._stopped_at > SAME_WISH:
                raise KeyboardInterrupt
            return
        if effect == "stop":
            self.stopped_by, self._stopped_at = number, now
        if effect != "none" and self._wish != "stop":
            self._wish = effect


@contextmanager
def wishes(on_interrupt: str, on_hang_up: str) -> Iterator[Wishes]:
    """Inside, the signals are wishes; SIGTERM, by which clusters end jobs, is one to stop."""
    effects = {signal.SIGINT: on_interrupt, signal.SIGTERM: "stop"}
    if hasattr(signal, "SIGHUP"):
        effects[signal.SIGHUP] = on_hang_up
    found = Wishes({int(number): effect for number, effect in effects.items()})
    if threading.current_thread() is not threading.main_thread():
        yield found
        return
    before = {number: signal.signal(number, found.signalled) for number in effects}
    try:
        yield found
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
