"""What a decoder does not tell about a file: that there is nothing to decode."""

from __future__ import annotations

import os

from p3d.error import Error


def check_file(path: str) -> None:
    """Raises Error if `path` is no file that can be read and has something in it."""
    if not os.path.exists(path):
        raise Error(f"{path}: there is no such file")
    if not os.path.isfile(path):
        raise Error(f"{path}: is not a file")
    if not os.access(path, os.R_OK):
        raise Error(f"{path}: may not be read (file permissions)")
    if os.path.getsize(path) == 0:
        raise Error(f"{path}: the file is empty")
