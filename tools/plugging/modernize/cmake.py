"""CMake."""

from __future__ import annotations

import re

from .edit import Edit


def _minimum(text: str) -> str:
    return re.sub(
        r"(?im)^(\s*cmake_minimum_required\s*\(\s*VERSION\s+)2\.[0-9.]+",
        r"\g<1>3.5...3.10",
        text,
    )


EDITS = [
    Edit(
        id="cmake-minimum",
        needed_by="CMake >= 4",
        reason="projects for CMake below 3.5 are rejected; the policies that caffe's old modules "
        "(FindCUDA, FindPythonLibs) need are younger than 3.10 and stay as they were",
        tested="configured and built with 3.25, 3.31 and 4.3",
        changes=dict.fromkeys(
            ("CMakeLists.txt", "examples/CMakeLists.txt", "cmake/lint.cmake"), _minimum
        ),
    )
]
