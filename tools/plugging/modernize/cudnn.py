"""cuDNN 6 to 9."""

from __future__ import annotations

import re
from pathlib import Path

from .edit import Edit

_CHOICES = (Path(__file__).parent / "cudnn_choices.hpp").read_text()
_NAMESPACE = "namespace caffe {\n\nnamespace cudnn {\n"


def _entry_points(text: str) -> str:
    if "#define CAFFE_CUDNN_CHOICE(" in text:
        return text
    return text.replace(_NAMESPACE, f"{_CHOICES}\n{_NAMESPACE}", 1)


_DESCRIPTOR = re.compile(r"[ \t]*CUDNN_CHECK\(cudnnSetConvolution2dDescriptor\([^;]*;\n")
_MODE = "CUDNN_CROSS_CORRELATION"


def _data_type(text: str) -> str:
    calls = _DESCRIPTOR.findall(text)
    if len(calls) != 1 or f"{_MODE})" not in calls[0]:  # newer ones have a second, with the type
        return text
    typed = calls[0].replace(f"{_MODE})", f"{_MODE},\n      dataType<Dtype>::type)")
    both = f"#if CUDNN_VERSION >= 6000\n{typed}#else\n{calls[0]}#endif\n"
    return text.replace(calls[0], both)


_READ = "    file(READ ${CUDNN_INCLUDE}/cudnn.h CUDNN_VERSION_FILE_CONTENTS)\n"
_READ_BOTH = """\
    if(EXISTS "${CUDNN_INCLUDE}/cudnn_version.h")  # cuDNN >= 8
      file(READ "${CUDNN_INCLUDE}/cudnn_version.h" CUDNN_VERSION_FILE_CONTENTS)
    else()
      file(READ ${CUDNN_INCLUDE}/cudnn.h CUDNN_VERSION_FILE_CONTENTS)
    endif()
"""


def _version(text: str) -> str:
    if "cudnn_version.h" in text:
        return text
    return text.replace(_READ, _READ_BOTH)


EDITS = [
    Edit(
        id="cudnn-entry-points",
        needed_by="cuDNN >= 8; changes nothing for older",
        reason="cudnnGetConvolution*Algorithm became cudnnGetConvolution*Algorithm_v7",
        tested="compiled with cuDNN 8.9 and 9 for CUDA 13; not run, and no cuDNN 7 was at hand",
        changes={"include/caffe/util/cudnn.hpp": _entry_points},
    ),
    Edit(
        id="cudnn-data-type",
        needed_by="cuDNN >= 6, in a Caffe from before it (March 2017); changes nothing for older",
        reason="cudnnSetConvolution2dDescriptor takes the type of the sums as well",
        tested="compiled with cuDNN 8.9 and 9 for CUDA 13; not run",
        changes={"include/caffe/util/cudnn.hpp": _data_type},
    ),
    Edit(
        id="cudnn-version",
        needed_by="cuDNN >= 8 with CMake",
        reason="the version moved to cudnn_version.h; CMake stops when it does not find one",
        tested="configured with the headers of cuDNN 8.9 and 9",
        changes={"cmake/Cuda.cmake": _version},
    ),
]
