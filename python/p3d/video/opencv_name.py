"""File names that OpenCV can take."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from p3d.video.file_check import check_file


@contextmanager
def opencv_name(path: str) -> Iterator[str]:
    """A name for an existing file, to be opened within the block.

    It is absolute: a file to FFmpeg, and never a URL, a device or a list of files. A name that is
    not UTF-8 crashes OpenCV's binding; such a file is opened here, or an Error, and named by its
    descriptor.
    """
    absolute = os.path.abspath(path)
    try:
        absolute.encode()
    except UnicodeEncodeError:
        check_file(path)
        descriptor = os.open(absolute, os.O_RDONLY)
        try:
            yield f"/dev/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        yield absolute
