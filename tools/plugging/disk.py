"""Changes of single files that are there wholly or not at all, whenever the power fails."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_TEMPORARY = ".caffe-p3d~"


def write(path: Path, data: bytes, mode: int | None = None) -> None:
    """Puts a file in place with a mode (that of the umask by default) and its folder's owner."""
    temporary = temporary_of(path)
    with open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        if mode is not None:
            os.chmod(str(temporary), mode)
        _give_to_owner(temporary, path)
        os.fsync(file.fileno())
    os.replace(str(temporary), str(path))
    _sync(path.parent)


def remove(path: Path) -> None:
    """Removes a file if it is there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(str(path))
        _sync(path.parent)


def temporary_of(path: Path) -> Path:
    """The name that a file has until it is complete; what a killed process may leave."""
    return path.with_name(path.name + _TEMPORARY)


def _give_to_owner(temporary: Path, path: Path) -> None:
    """A file written by root in another person's tree stays that person's."""
    like = os.stat(str(path if path.exists() else path.parent))
    with contextlib.suppress(OSError, AttributeError):
        os.chown(str(temporary), like.st_uid, like.st_gid)


def _sync(folder: Path) -> None:
    with contextlib.suppress(OSError):
        handle = os.open(str(folder), os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
