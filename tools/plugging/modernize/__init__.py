"""What a Caffe of 2020 needs today, as small separate edits.

Each file here holds the edits for one thing that changed since, each edit its reason, the versions
that need it and what it was tested with.
"""

from __future__ import annotations

from . import boost, cmake, cuda, cudnn, opencv, protobuf, python
from .edit import Edit

EDITS = [
    *protobuf.EDITS,
    *boost.EDITS,
    *opencv.EDITS,
    *cuda.EDITS,
    *cudnn.EDITS,
    *python.EDITS,
    *cmake.EDITS,
]

__all__ = ["EDITS", "Edit"]
