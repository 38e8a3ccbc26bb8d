"""A child process that decodes videos, and its watchdog.

A decoder that a hostile file crashes, or hangs, takes nothing with it: the video is reported and
the next one gets a new process.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pickle
import signal
import subprocess
import sys
import time
import warnings
import weakref
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from p3d.error import Error
from p3d.video.reading import Clip, End, Reading

TIMEOUT = 60.0
"""Seconds without a single new frame after which a decoder is taken to hang."""

_START = 60.0  # seconds more for the start of a process on a busy machine

_MAIN = """
import sys
sys.path[:] = {path!r}
from p3d.video.decoder_process import main
main({fds})
"""


class Decoder:
    """Reads one video after the other in a child process, which is started when it is needed."""

    def __init__(self, timeout: float = TIMEOUT) -> None:
        self._timeout = timeout
        self._child: _Child | None = None
        self._stopped = False
        self.busy = 0.0  # seconds that children spent on clips

    def read(self, reading: Reading) -> Iterator[Clip | End]:
        """As reading.read; warnings of the child are repeated here."""
        self._stopped = False
        if self._child is None:
            self._child = _Child()
        child, ended = self._child, False
        try:
            child.send(reading)
            while not ended:
                kind, *rest = self._receive(child, str(reading.video))
                if kind == "clip":
                    number, shape, dtype = rest
                    yield Clip(number, np.frombuffer(child.receive(), dtype).reshape(shape))
                elif kind == "note":
                    text, category = rest
                    warnings.warn(text, category, stacklevel=2)
                elif kind == "end":
                    ended, (result, busy) = True, rest
                    self.busy += busy
                    yield End(result)
        except _Gone as gone:
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

    def _receive(self, child: _Child, video: str) -> tuple[Any, ...]:
        """The next message but those that only tell of life."""
        deadline = time.monotonic() + self._timeout + (0 if child.awake else _START)
        while True:
            if not child.waits(0.2):
                if self._stopped:
                    raise _Gone("decoding was stopped")
                if time.monotonic() > deadline:
                    raise _Gone(
                        f"the decoder hangs: not one new frame in {self._timeout:g} s, so it was "
                        "ended (on a slow disk, allow more with --timeout)"
                    )
                continue
            message = pickle.loads(child.receive())
            child.awake = True
            if message[0] != "alive":
                return message
            deadline = time.monotonic() + self._timeout


class _Gone(Exception):
    """The child is no more, or has to go."""


class _Child:
    """The process and its two pipes."""

    def __init__(self) -> None:
        self.awake = False  # whether it has said anything yet
        down, self._requests = (Connection(fd) for fd in os.pipe())
        self._results, up = (Connection(fd) for fd in os.pipe())
        _widen(self._results.fileno())
        code = _MAIN.format(path=sys.path, fds=f"{down.fileno()}, {up.fileno()}")
        debug = os.environ.get("P3D_DEBUG", "0") not in ("", "0")
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            pass_fds=(down.fileno(), up.fileno()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=None if debug else subprocess.DEVNULL,
        )
        down.close()
        up.close()
        self.kill = weakref.finalize(self, _end, self._process, self._requests, self._results)

    def send(self, reading: Reading) -> None:
        try:
            self._requests.send(reading)
        except (OSError, ValueError) as error:
            raise _Gone(self._epitaph()) from error

    def waits(self, seconds: float) -> bool:
        """Whether there is a message within that time."""
        try:
            return self._results.poll(seconds)
        except (OSError, ValueError) as error:
            raise _Gone(self._epitaph()) from error

    def receive(self) -> bytes:
        try:
            return self._results.recv_bytes()
        except (EOFError, OSError, ValueError) as error:
            raise _Gone(self._epitaph()) from error

    def _epitaph(self) -> str:
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "the decoder closed its pipe"
        if code >= 0:
            return f"the decoder ended by itself with exit code {code}"
        name = signal.Signals(-code).name
        why = "for lack of memory, or by a person" if name == "SIGKILL" else "a damaged file"
        return f"the decoder crashed ({name}: {why})"


def _widen(pipe: int) -> None:
    """Lets a whole clip be on its way at once, where the system can (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)


def _end(process: subprocess.Popen[bytes], *pipes: Connection) -> None:
    process.kill()
    process.wait()
    for pipe in pipes:
        pipe.close()
