"""A child process that decodes videos, and its watchdog.

A decoder that a hostile file crashes, or hangs, takes nothing with it: the video is reported and
the next one gets a new process.
"""

from __future__ import annotations

import pickle
import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from p3d.child_process import Child, Gone
from p3d.error import Error
from p3d.video.reading import AnyReading, Clip, End

TIMEOUT = 60.0
"""Seconds without a single new frame after which a decoder is taken to hang."""

START = 60.0
"""Seconds more for the start of a process on a busy machine."""


class Decoder:
    """Reads one video after the other in a child process, which is started when it is needed."""

    def __init__(self, timeout: float = TIMEOUT) -> None:
        self._timeout = timeout
        self._child: Child | None = None
        self._stopped = False
        self.busy = 0.0  # seconds that children spent on clips

    def read(self, reading: AnyReading) -> Iterator[Clip | End]:
        """As reading.read; warnings of the child are repeated here."""
        self._stopped = False
        if self._child is None or self._child.inherited:
            self._child = Child("p3d.video.decoder_process")
        child, ended = self._child, False
        try:
            child.send(reading)
            while not ended:
                kind, *rest = self._receive(child, str(reading.video))
                if kind == "clip":
                    number, shape, dtype = rest
                    values = np.empty(shape, dtype)
                    child.receive_into(values)
                    yield Clip(number, values)
                elif kind == "note":
                    text, category = rest
                    warnings.warn(text, category, stacklevel=2)
                elif kind == "end":
                    ended, (result, busy) = True, rest
                    self.busy += busy
                    yield End(result)
        except Gone as gone:
            self.stop()
            yield End(Error(f"{reading.video}: {gone}"))
            ended = True
        finally:
            if not ended:
                self.stop()

    def stop(self) -> None:
        """Kills the child; `read` in another thread returns."""
        self._stopped = True
        if self._child is not None:
            self._child.kill()
            self._child = None

    def _receive(self, child: Child, video: str) -> tuple[Any, ...]:
        """The next message but those that only tell of life."""
        deadline = time.monotonic() + self._timeout + (0 if child.awake else START)
        while True:
            if not child.waits(0.2):
                if self._stopped:
                    raise Gone("decoding was stopped")
                if time.monotonic() > deadline:
                    raise Gone(
                        f"the decoder hangs: not one new frame in {self._timeout:g} s, so it was "
                        "ended (on a slow disk, allow more with --timeout)"
                    )
                continue
            message = pickle.loads(child.receive())
            child.awake = True
            if message[0] != "alive":
                return message
            deadline = time.monotonic() + self._timeout
