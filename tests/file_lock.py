"""A lock that keeps other processes, such as those of `pytest -n 2`, from making the same thing."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def locked(path: Path, kind: int = fcntl.LOCK_EX) -> Iterator[IO[str]]:
    """Inside, the file `path`, made with its folder, is locked; flock changes the kind of lock.

    A child that is given all descriptors keeps the lock when it outlives us, as a make may.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        os.set_inheritable(file.fileno(), True)
        fcntl.flock(file, kind)
        yield file
