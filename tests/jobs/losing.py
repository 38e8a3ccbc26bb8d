"""Tasks of p3d.jobs.over_dask that go wrong."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from p3d.error import DiskFull
from p3d.jobs.over_dask import extract_group as real
from p3d.jobs.runner import Runner


def extract_group(settings: Any, items: list[Any]) -> Any:
    """The first worker kills itself in the middle of its videos."""
    try:
        os.close(os.open(os.environ["P3D_LOST"], os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return real(settings, items)
    real(settings, items[:1])
    os.kill(os.getpid(), signal.SIGKILL)
    return None


def ctrl_c(settings: Any, items: list[Any]) -> Any:
    """A person at the terminal, which tells the client and its workers."""
    os.killpg(0, signal.SIGINT)
    time.sleep(1)


def full_disk(settings: Any, items: list[Any]) -> Any:
    """On a disk that has room for nothing."""

    def write(self: Any, event: Any) -> None:
        raise DiskFull("cannot write x.npy: No space left on device")

    Runner._take = write  # type: ignore[method-assign]
    return real(settings, items)
