"""Where verbs write many files."""

from __future__ import annotations

import os


def check_folder(out: str) -> None:
    """Raises Error if --out is a file; it may not be there yet."""
    from p3d.error import Error

    if os.path.exists(out) and not os.path.isdir(out):
        raise Error(f"--out {out} is a file: name a folder")
