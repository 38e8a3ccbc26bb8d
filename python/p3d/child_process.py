"""A child process with a pipe in each direction, which never outlives its parent.

It is spawned with this Python, not forked: the parent has threads, and a net's memory.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import queue
import signal
import subprocess
import sys
import threading
import weakref
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

_MAIN = """
import sys
sys.path[:] = {path!r}
from {module} import main
main({fds})
"""


class Gone(Exception):
    """The child is no more, or has to go."""


class Child:
    """The process and its two pipes; it is killed when nobody holds this object any more."""

    def __init__(self, module: str, *shared: int) -> None:
        """Calls `main` of a module with two descriptors, of what this sends and of what it is to
        answer, and with those in `shared`, which the child inherits."""
        self.awake = False  # whether it has said anything yet
        self._parent = os.getpid()
        down, self._requests = (Connection(fd) for fd in os.pipe())
        self.results, up = (Connection(fd) for fd in os.pipe())
        _widen(self.results.fileno())
        fds = (down.fileno(), up.fileno(), *shared)
        code = _MAIN.format(path=sys.path, module=module, fds=", ".join(map(str, fds)))
        debug = os.environ.get("P3D_DEBUG", "0") not in ("", "0")
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            pass_fds=fds,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=None if debug else subprocess.DEVNULL,
        )
        down.close()
        up.close()
        ends = (self._requests, self.results)
        self.kill = weakref.finalize(self, _end, self._parent, self._process, *ends)

    @property
    def inherited(self) -> bool:
        """Whether this process is a fork of the one that the child works for, and gets none of its
        answers."""
        return os.getpid() != self._parent

    def send(self, request: Any) -> None:
        """Anything that can be pickled."""
        try:
            self._requests.send(request)
        except (OSError, ValueError) as error:
            raise Gone(self._epitaph()) from error

    def waits(self, seconds: float) -> bool:
        """Whether there is a message within that time."""
        try:
            return self.results.poll(seconds)
        except (OSError, ValueError) as error:
            raise Gone(self._epitaph()) from error

    def receive(self) -> bytes:
        """The next message."""
        try:
            return self.results.recv_bytes()
        except (EOFError, OSError, ValueError) as error:
            raise Gone(self._epitaph()) from error

    def receive_into(self, array: np.ndarray) -> None:
        """Fills the array with what `send_values` sent, without a copy in between."""
        left = array.data.cast("B")
        try:
            while left:
                count = os.readv(self.results.fileno(), [left])
                if count == 0:
                    raise EOFError
                left = left[count:]
        except (EOFError, OSError, ValueError) as error:
            raise Gone(self._epitaph()) from error

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


def send_values(results: Connection, array: np.ndarray) -> None:
    """In the child: an array's values as they are. The parent knows their number."""
    left = array.data.cast("B")
    while left:
        left = left[os.write(results.fileno(), left) :]


def requests(down: int) -> queue.SimpleQueue[Any]:
    """In the child: what the parent sends. From now on Ctrl-C is left to the parent, lack of memory
    ends this process first, and it ends when the parent is gone, even in the middle of a decoder's
    endless loop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    received: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(Connection(down), received), daemon=True).start()
    return received


def _listen(down: Connection, received: queue.SimpleQueue[Any]) -> None:
    with contextlib.suppress(EOFError, OSError):
        while True:
            received.put(down.recv())
    os._exit(0)


def _widen(pipe: int) -> None:
    """Lets a whole clip be on its way at once, where the system can (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)


def _end(parent: int, process: subprocess.Popen[bytes], *pipes: Connection) -> None:
    if os.getpid() == parent:
        process.kill()
        process.wait()
    for pipe in pipes:
        pipe.close()
