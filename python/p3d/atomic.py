"""Files that are either written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from p3d.error import DiskFull, Error

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Inside, an OSError becomes an Error about writing `path`, DiskFull where no room is left, and
    so does text that UTF-8 cannot hold: a name of a file may be such.

    One that names a file is about that file, and stays what it is.
    """
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        raise _failure(path, error) from error
    except UnicodeEncodeError as error:
        part = ascii(error.object[max(0, error.start - 40) : error.end + 10])
        raise Error(
            f"cannot write {path}: this in it cannot be written in UTF-8: {part}"
        ) from error


def _failure(path: str | os.PathLike[str], error: OSError | ValueError) -> Error:
    """ValueError is that of a name that no file can have."""
    text = f"cannot write {path}: {getattr(error, 'strerror', None) or error}"
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"{text}: make room there, or write to another disk")
    return Error(text)


class NewFile:
    """A file in the making, beside what will be its place: `commit` puts it there.

    It is locked while its process lives, so that `sweep` can tell it from what a killed process
    left. `mode` is "wb", "w+b", or "w" for text in UTF-8. A place that cannot be written is a
    p3d.Error; `writing` makes one of what happens to `file`.
    """

    def __init__(self, path: str | os.PathLike[str], mode: str = "wb") -> None:
        self.path = Path(path)
        name = f".{self.path.name[:64]}.{secrets.token_hex(4)}.tmp"
        self._temporary = self.path.parent / name
        try:
            if self.path.exists() and not self.path.is_file():  # for root it could be replaced
                kind = "folder" if self.path.is_dir() else "device or a pipe"
                raise Error(f"cannot write {self.path}: it is a {kind}, name a file")
            handle = os.open(self._temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except (OSError, ValueError) as error:
            raise _failure(self.path, error) from error
        with contextlib.suppress(OSError):  # a file system without locks: nothing is swept there
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        encoding = None if "b" in mode else "utf-8"
        self.file: IO[Any] = open(handle, mode, encoding=encoding)  # noqa: SIM115

    def sync(self) -> None:
        """Has the content on the disk."""
        self.file.flush()
        os.fsync(self.file.fileno())

    def commit(self) -> None:
        """Makes it `path`, whole and durable; after an Error it is to be abandoned."""
        try:
            self.sync()
            os.replace(self._temporary, self.path)
            _sync_folder(self.path.parent)
        except OSError as error:
            raise _failure(self.path, error) from error
        self.file.close()  # not before: what is not locked may be swept

    def abandon(self) -> None:
        """Leaves nothing of it."""
        with contextlib.suppress(OSError):  # what a full disk could not take any more
            self.file.close()
        self._temporary.unlink(missing_ok=True)


@contextmanager
def replacing(path: str | os.PathLike[str], mode: str = "wb") -> Iterator[IO[Any]]:
    """A new file that becomes `path` when the block ends well; otherwise `path` is as before.

    It is written under a temporary name in the same directory, flushed to disk and renamed. For
    `mode` and errors see NewFile.
    """
    new = NewFile(path, mode)
    try:
        with writing(path):
            yield new.file
        new.commit()
    except BaseException:
        new.abandon()
        raise


def make_folder(path: str | os.PathLike[str]) -> None:
    """A folder and those around it, where they are missing. Errors as of `writing`."""
    try:
        os.makedirs(path, exist_ok=True)
    except (OSError, ValueError) as error:
        raise _failure(path, error) from error


def append(path: str | os.PathLike[str], line: str) -> None:
    """Adds a line to a file, in a single write: whole, or not at all. Errors as of `writing`."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    except OSError as error:
        raise _failure(path, error) from error
    try:
        data, before = f"{line}\n".encode(), os.fstat(handle).st_size
        with writing(path):
            if os.write(handle, data) < len(data):  # all that there was room for
                os.ftruncate(handle, before)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(handle)


def sweep(folder: str | os.PathLike[str]) -> None:
    """Removes the files in the making that killed processes left in a folder."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _TEMPORARY.fullmatch(entry.name):
                _remove_if_orphaned(entry.path)


def _remove_if_orphaned(path: str) -> None:
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDWR)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)
        finally:
            os.close(handle)


def _sync_folder(folder: Path) -> None:
    """Has a rename on the disk; not every file system can, or has to."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
