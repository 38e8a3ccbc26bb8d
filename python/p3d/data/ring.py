"""Memory that processes share: places for clips, used round and round."""

from __future__ import annotations

import math
import mmap
import os
import tempfile
import weakref

import numpy as np

from p3d.error import Error

_CURE = "set a smaller prefetch, or workers: 0"


class Ring:
    """`pixels` is uint8 (places, *shape). The memory has no name, so nothing of it can be left
    behind: it is gone with the last process that has it."""

    def __init__(self, places: int, shape: tuple[int, ...]) -> None:
        size = check_size(places, shape)
        self.descriptor = _anonymous()
        self._close = weakref.finalize(self, os.close, self.descriptor)
        try:
            os.ftruncate(self.descriptor, size)
            if hasattr(os, "posix_fallocate"):  # else a full disk or memory would be a SIGBUS later
                os.posix_fallocate(self.descriptor, 0, size)
        except OSError as error:
            raise Error(
                f"{size >> 20} MiB for clips that are read ahead cannot be had ({error}): {_CURE}"
            ) from None
        self.pixels = attach(self.descriptor, shape)


def check_size(places: int, shape: tuple[int, ...]) -> int:
    """Bytes of a ring; raises Error where they are more than half of the machine's memory."""
    size = places * math.prod(shape)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if size > memory // 2:
        raise Error(
            f"{places} clips that are read ahead take {size >> 20} MiB of {memory >> 20}: {_CURE}"
        )
    return size


def attach(descriptor: int, shape: tuple[int, ...]) -> np.ndarray:
    """The same places in another process."""
    memory = mmap.mmap(descriptor, 0)
    return np.frombuffer(memory, np.uint8).reshape(-1, *shape)


def _anonymous() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("p3d-clips")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
