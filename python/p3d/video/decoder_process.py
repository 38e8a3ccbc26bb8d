"""The child process of `p3d.video.decoder`: takes Readings, sends messages about them.

A message is a pickled tuple: ("clip", index, shape, dtype), followed by the values as bytes;
("note", text, category) for a warning; ("alive",) once a second while frames come;
("end", record or exception, seconds of work).
"""

from __future__ import annotations

import pickle
import queue
import time
import warnings
from multiprocessing.connection import Connection

import numpy as np

from p3d.child_process import requests, send_values
from p3d.error import Error
from p3d.input_check import InputWarning
from p3d.video.reading import AnyReading, Clip, read

_HEARTBEAT = 1.0  # seconds


def main(down: int, up: int) -> None:
    """Serves until the parent closes its end of `down`, or is no more."""
    readings: queue.SimpleQueue[AnyReading] = requests(down)
    results = Connection(up)
    _send(results, "alive")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        while True:
            try:
                _serve(readings.get(), results, caught)
            except BrokenPipeError:
                return


def _serve(reading: AnyReading, results: Connection, caught: list[warnings.WarningMessage]) -> None:
    clock = _Clock(results)
    for event in read(reading, clock.alive):
        busy = clock.stop()
        for note in caught:
            kind = InputWarning if issubclass(note.category, InputWarning) else UserWarning
            _send(results, "note", str(note.message), kind)
        caught.clear()
        if isinstance(event, Clip):
            values = np.ascontiguousarray(event.values)
            _send(results, "clip", event.number, values.shape, values.dtype.str)
            send_values(results, values)
        else:
            result = event.result
            error = isinstance(result, Exception)
            _send(results, "end", Error(str(result)) if error else result, busy)
        clock.start()


class _Clock:
    """Counts the seconds of work, without those of waiting for the parent, and tells of life."""

    def __init__(self, results: Connection) -> None:
        self._results = results
        self._busy = 0.0
        self._said = time.monotonic()
        self.start()

    def start(self) -> None:
        self._since = time.monotonic()

    def stop(self) -> float:
        self._busy += time.monotonic() - self._since
        return self._busy

    def alive(self) -> None:
        if (now := time.monotonic()) - self._said > _HEARTBEAT:
            self._said = now
            _send(self._results, "alive")


def _send(results: Connection, *message: object) -> None:
    results.send_bytes(pickle.dumps(message))
