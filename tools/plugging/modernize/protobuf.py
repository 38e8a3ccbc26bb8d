"""protobuf."""

from __future__ import annotations

import re

from .edit import Edit


def _one_argument(text: str) -> str:
    return re.sub(r"(SetTotalBytesLimit\(\s*\w+)\s*,\s*\w+\s*\)", r"\1)", text)


EDITS = [
    Edit(
        id="protobuf-bytes-limit",
        needed_by="protobuf >= 3.18; needs >= 3.6",
        reason="CodedInputStream::SetTotalBytesLimit lost its second argument",
        tested="built and run with 3.21",
        changes={"src/caffe/util/io.cpp": _one_argument},
    )
]
