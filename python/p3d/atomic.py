"""Files that are either written whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from p3d.error import Error


@contextmanager
def replacing(path: str | os.PathLike[str], mode: str = "wb") -> Iterator[IO[Any]]:
    """A new file that becomes `path` when the block ends well; otherwise `path` is as before.

    It is written under a temporary name in the same directory, flushed to disk and renamed. `mode`
    is "wb", "w+b", or "w" for text in UTF-8. A place that cannot be written is a p3d.Error.
    """
    target = Path(path)
    temporary = target.parent / f".{target.name[:64]}.{secrets.token_hex(4)}.tmp"
    try:
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    except OSError as error:
        raise Error(f"cannot write {target}: {error.strerror}") from error
    try:
        with open(handle, mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _rename(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _rename(temporary: Path, target: Path) -> None:
    try:
        os.replace(temporary, target)
    except OSError as error:
        raise Error(f"cannot write {target}: {error.strerror}") from error
